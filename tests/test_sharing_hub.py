"""A hasher on a hub: the same codes come back, only our files are read, and a hub that fails is one sentence."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossbit import Hasher
from crossbit.errors import DataError, FileFormatError
from crossbit.sharing import download, fetch, layout
from hub_double import TOKEN, HubDouble, hub_double
from hub_large_files import LargeFiles
from page_examples import run_example
from shared_hashers import evaluation_of, export_of, hasher_of


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubDouble]:
    """A hub on the loopback; nothing of the environment decides what is asked of it."""
    import huggingface_hub

    for name in ("HF_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()
    with hub_double() as double:
        yield double
    huggingface_hub.close_session()


def test_a_hub_gives_the_same_hasher(hub: HubDouble, tmp_path: Path) -> None:
    hasher = hasher_of()
    export = export_of(hasher, tmp_path / "export")
    options = {"endpoint": hub.endpoint, "token": TOKEN}
    address = hasher.push_to_hub("me/codes", export=export, private=True, **options)  # type: ignore[arg-type]
    assert address == f"{hub.endpoint}/me/codes"
    stored = hub.repositories["me/codes"]
    assert set(stored) == {"README.md", "hasher.safetensors", "query/manifest.json", "query/image.onnx"}
    assert hub.private["me/codes"]
    assert b"from_pretrained('me/codes')" in stored["README.md"]

    loaded = Hasher.from_pretrained("me/codes", cache=tmp_path / "cache", **options)  # type: ignore[arg-type]
    assert loaded.fingerprint() == hasher.fingerprint()
    assert not list((tmp_path / "cache").rglob("*.onnx"))  # a hasher alone needs one file
    place = fetch("hub:me/codes", cache=tmp_path / "cache", **options)  # type: ignore[arg-type]
    assert (place / "query" / "image.onnx").read_bytes() == b"a graph"


def test_the_examples_of_the_page_run(hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand in docs/sharing.md, the second one first: what is fetched has to be there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    template = "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE"
    monkeypatch.setattr(template, hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    hasher = hasher_of()
    export_of(hasher, tmp_path / "hasher.query")
    names: dict[str, Any] = {"hasher": hasher, "evaluation": evaluation_of(hasher)}
    run_example(("sharing.md", 1), names)
    assert (tmp_path / "shared" / "query" / "image.onnx").read_bytes() == b"a graph"
    assert (names["place"] / "query" / "image.onnx").read_bytes() == b"a graph"
    run_example(("sharing.md", 0), names)
    assert names["hasher"] is not hasher
    assert names["hasher"].fingerprint() == hasher.fingerprint()


# huggingface-hub puts large files by an argument that its HTTP client, httpx, would have it call otherwise.
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
@pytest.mark.parametrize("part", [1 << 20, 1000])
def test_arrays_and_graphs_go_up_and_come_down_as_large_files(
    hub: HubDouble, tmp_path: Path, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    hub.large = LargeFiles(hub.endpoint, part)
    hasher = hasher_of()
    options = {"endpoint": hub.endpoint, "token": TOKEN}
    hasher.push_to_hub("me/codes", export=export_of(hasher, tmp_path / "export"), **options)
    stored = hub.repositories["me/codes"]
    assert set(stored) == {"README.md", "hasher.safetensors", "query/manifest.json", "query/image.onnx"}
    names = {hashlib.sha256(content).hexdigest(): name for name, content in stored.items()}
    assert {names[oid] for oid in hub.large.kept} == {"hasher.safetensors", "query/image.onnx"}
    assert any(path.endswith("/complete") for _, path in hub.calls) == (part == 1000)
    place = fetch("me/codes", cache=tmp_path / "cache", **options)  # type: ignore[arg-type]
    assert Hasher.load(place / "hasher.safetensors").fingerprint() == hasher.fingerprint()
    assert (place / "query" / "image.onnx").read_bytes() == b"a graph"
    assert any(call == ("GET", f"/large/{oid}") for oid in hub.large.kept for call in hub.calls)

    hub.calls.clear()
    hasher.push_to_hub("me/again", export=tmp_path / "export", **options)  # type: ignore[arg-type]
    graph = hashlib.sha256(b"a graph").hexdigest()
    assert not any(verb == "PUT" and graph in path for verb, path in hub.calls), "what the hub has is not sent again"
    assert hub.repositories["me/again"]["query/image.onnx"] == b"a graph"


def test_what_an_earlier_hasher_left_goes_and_what_others_put_there_stays(hub: HubDouble, tmp_path: Path) -> None:
    options = {"endpoint": hub.endpoint, "token": TOKEN}
    export = export_of(hasher_of(), tmp_path / "export")
    hasher_of().push_to_hub("me/codes", export=export, **options)
    hub.repositories["me/codes"]["photo.jpg"] = b"theirs"
    hasher_of(1).push_to_hub("me/codes", **options)
    assert set(hub.repositories["me/codes"]) == {"README.md", "hasher.safetensors", "photo.jpg"}
    kept = Hasher.from_pretrained("me/codes", cache=tmp_path / "cache", **options)  # type: ignore[arg-type]
    assert kept.fingerprint() == hasher_of(1).fingerprint()


def test_only_files_that_a_shared_hasher_has_are_downloaded(hub: HubDouble, tmp_path: Path) -> None:
    hasher_of().push_to_hub("me/codes", endpoint=hub.endpoint, token=TOKEN)
    hub.repositories["me/codes"] |= {"pytorch_model.bin": pickle.dumps([1]), "query/run.py": b"x", "../out": b"x"}
    place = download("me/codes", endpoint=hub.endpoint, token=TOKEN, cache=tmp_path / "cache")
    assert {path.name for path in place.rglob("*")} == {"README.md", "hasher.safetensors"}
    assert not any("pytorch_model" in path or "run.py" in path or "out" in path for _, path in hub.calls)


def test_a_file_of_an_impossible_size_is_refused(
    hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher_of().push_to_hub("me/codes", endpoint=hub.endpoint, token=TOKEN)
    hub.says["hasher.safetensors"] = 1 << 50
    with pytest.raises(FileFormatError, match="of me/codes is 1125899906842624 bytes"):
        Hasher.from_pretrained("me/codes", endpoint=hub.endpoint, token=TOKEN, cache=tmp_path / "cache")
    assert not any("resolve" in path for _, path in hub.calls)
    hub.says.clear()
    hub.repositories["me/codes"]["hasher.safetensors"] = pickle.dumps({"weights": [1.0]})
    with pytest.raises(FileFormatError, match="not a whole hasher file"):
        Hasher.from_pretrained("me/codes", endpoint=hub.endpoint, token=TOKEN, cache=tmp_path / "cache")
    del hub.repositories["me/codes"]["hasher.safetensors"]
    with pytest.raises(FileFormatError, match=r"holds no hasher\.safetensors"):
        Hasher.from_pretrained("me/codes", endpoint=hub.endpoint, token=TOKEN, cache=tmp_path / "cache")
    assert layout.LARGEST["hasher.safetensors"] < 1 << 50


def test_a_hub_that_refuses_or_is_away_is_one_sentence(hub: HubDouble, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Downloading me/none failed.*hf auth login"):
        Hasher.from_pretrained("me/none", endpoint=hub.endpoint, cache=tmp_path)
    with pytest.raises(DataError, match=r"Uploading to me/codes failed.*401"):
        hasher_of().push_to_hub("me/codes", endpoint=hub.endpoint, token="hf_wrong")
    with pytest.raises(DataError, match="Downloading me/codes failed"):
        Hasher.from_pretrained("me/codes", endpoint="http://127.0.0.1:9", cache=tmp_path)  # nobody listens there
