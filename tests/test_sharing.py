"""A shared hasher: the same codes from a folder and from a hub, a card that says what is known, and only our files."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from crossbit import Hasher, HashFunction
from crossbit.cli import main
from crossbit.encoders import BagOfWords
from crossbit.errors import CrossbitError, DataError, FileFormatError, MismatchError, MissingExtraError, SettingsError
from crossbit.hasher import Layer
from crossbit.sharing import CardNotes, download, fetch, is_repo_id, layout, model_card
from hub_double import TOKEN, HubDouble, hub_double
from hub_large_files import LargeFiles


def hasher_of(seed: int = 0, n_bits: int = 12) -> Hasher:
    rng = np.random.default_rng(seed)
    sides = [Layer(rng.normal(size=(d, n_bits)).astype(np.float32), np.zeros(n_bits, np.float32)) for d in (6, 3)]
    bag = BagOfWords(("apple", "red", "sea"))
    return Hasher(
        HashFunction((sides[0],)),
        HashFunction((sides[1],)),
        method="cca-itq",
        settings={"power": 4.0, "seed": seed, "note": "a | b"},
        report={"pairs": 77},
    ).with_encoders(image="efficientnet-lite0-9", text=bag.fingerprint(), vocabulary=bag.to_json())


def evaluation_of(hasher: Hasher) -> dict[str, Any]:
    score = {"protocol": "mAP@all", "protocol_id": "23d55f3632", "i2t": 0.38831, "t2i": 0.42064, "mean": 0.4}
    return {"hasher": hasher.fingerprint(), "data": "emoji", "scores": [score], "n_queries": 301, "n_database": 1564}


def export_of(hasher: Hasher, folder: Path, **changes: Any) -> Path:
    """The files of an export as sharing sees them; that graphs are what they say is checked where they are used."""
    folder.mkdir()
    content = {"hasher": hasher.fingerprint(), "files": {"image.onnx": "..."}} | changes
    (folder / "manifest.json").write_text(json.dumps(content))
    (folder / "image.onnx").write_bytes(b"a graph")
    return folder


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


def test_a_folder_gives_the_same_hasher(tmp_path: Path, generator: np.random.Generator) -> None:
    hasher = hasher_of()
    hasher.save_pretrained(tmp_path / "codes")
    loaded = Hasher.from_pretrained(tmp_path / "codes")
    assert loaded.fingerprint() == hasher.fingerprint()
    features = generator.normal(size=(20, 3))
    assert loaded.encode_texts(features) == hasher.encode_texts(features)
    assert loaded.vocabulary == hasher.vocabulary
    assert {path.name for path in (tmp_path / "codes").iterdir()} == {"hasher.safetensors", "README.md"}


def test_an_export_and_a_tuned_encoder_go_along(tmp_path: Path) -> None:
    hasher = hasher_of()
    export = export_of(hasher, tmp_path / "export")
    (tmp_path / "tuned").write_bytes(b"weights")
    place = hasher.save_pretrained(tmp_path / "codes", export=export, image_encoder=tmp_path / "tuned")
    assert (place / "query" / "image.onnx").read_bytes() == b"a graph"
    assert (place / "hasher.image-encoder.safetensors").read_bytes() == b"weights"
    assert "- `query/image.onnx`" in (place / "README.md").read_text()


def test_an_export_that_does_not_belong_is_refused(tmp_path: Path) -> None:
    other = export_of(hasher_of(1), tmp_path / "other")
    with pytest.raises(MismatchError, match="Export it again"):
        hasher_of().save_pretrained(tmp_path / "codes", export=other)
    outside = export_of(hasher_of(), tmp_path / "outside", files={"../../secret": "..."})
    with pytest.raises(FileFormatError, match="none of an export"):
        hasher_of().save_pretrained(tmp_path / "codes", export=outside)
    for number, content in enumerate([b"{", b"[]", b"{}"]):
        damaged = export_of(hasher_of(), tmp_path / f"damaged{number}")
        (damaged / "manifest.json").write_bytes(content)
        with pytest.raises(CrossbitError):
            hasher_of().save_pretrained(tmp_path / "codes", export=damaged)
    assert not (tmp_path / "codes").exists()


def test_the_card_says_what_is_known(tmp_path: Path) -> None:
    hasher = hasher_of()
    notes = CardNotes("Fruit: codes", "Photos of\nfruit.", "apache-2.0", [evaluation_of(hasher)])
    card = model_card(hasher, notes, "me/fruit", ["hasher.safetensors"])
    _, head, body = card.split("---\n", 2)
    told = yaml.safe_load(head)
    assert (told["library_name"], told["license"]) == ("crossbit", "apache-2.0")
    (result,) = told["model-index"][0]["results"]
    assert [metric["value"] for metric in result["metrics"]] == [0.3883, 0.4206]
    assert "23d55f3632" in result["metrics"][0]["name"]
    for part in (
        "Photos of fruit.",
        "77 pairs",
        "| emoji | mAP@all | `23d55f3632` | 0.388 | 0.421 | 301 / 1564 |",
        "| `power` | `4.0` |",
        "a \\| b",
        "`efficientnet-lite0-9` | EfficientNet-Lite0",
        "Apache-2.0",
        "the list is in the hasher file",
        "Intended use and limits",
        hasher.fingerprint(),
    ):
        assert part in body, part


def test_the_card_of_a_hasher_that_says_little(tmp_path: Path) -> None:
    bare = Hasher(hasher_of().image, hasher_of().text)
    card = model_card(bare, CardNotes(), "me/bare", [])
    assert "license" not in yaml.safe_load(card.split("---\n")[1])
    for part in ("did not say what it was learned from", "None were given", "features from elsewhere", "No licence"):
        assert part in card


def test_the_card_says_where_the_licence_of_a_hub_model_stands() -> None:
    bound = hasher_of().with_encoders(
        image="hub:timm/timm/resnet18.a1_in1k#image-0-0", text="hub:sentence-transformers/tiny#text-0"
    )
    card = model_card(bound, CardNotes(), "me/hub", [])
    assert "| timm/resnet18.a1_in1k, a model that the package timm loads |" in card
    assert "the one that https://huggingface.co/timm/resnet18.a1_in1k names" in card
    assert "tiny, a model that the package sentence-transformers loads | the one that the model's page or files" in card


def test_the_huggingface_library_reads_the_card(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    hasher = hasher_of()
    notes = CardNotes('A "name": [with] signs', scores=[evaluation_of(hasher)])
    card = ModelCard(model_card(hasher, notes, "me/fruit", []))
    assert card.data.model_name == 'A "name": [with] signs'
    assert [result.metric_value for result in card.data.eval_results] == [0.3883, 0.4206]


def test_scores_that_do_not_belong_are_refused() -> None:
    hasher = hasher_of()
    with pytest.raises(MismatchError, match="scores are of the hasher"):
        model_card(hasher, CardNotes(scores=[evaluation_of(hasher_of(1))]), "me/fruit", [])
    for change in ({"scores": [{}]}, {"scores": 7}, {"n_queries": None}):
        with pytest.raises(DataError, match="no evaluation"):
            model_card(hasher, CardNotes(scores=[evaluation_of(hasher) | change]), "me/fruit", [])


def test_the_cards_example_runs(tmp_path: Path) -> None:
    hasher = hasher_of()
    place = hasher.save_pretrained(tmp_path / "codes", repo_id=str(tmp_path / "codes"))
    (code,) = re.findall(r"```python\n(.*?)```", (place / "README.md").read_text(), flags=re.DOTALL)
    assert len(code.strip().splitlines()) == 5
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["codes"] == hasher.encode_texts(np.array([[0.0, 1.0, 0.0]]))  # "a red fruit"


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
    page = Path(__file__).resolve().parents[1] / "docs" / "sharing.md"
    fetched, shared = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {"hasher": hasher, "evaluation": evaluation_of(hasher)}
    exec(shared, names)
    assert (tmp_path / "shared" / "query" / "image.onnx").read_bytes() == b"a graph"
    assert (names["place"] / "query" / "image.onnx").read_bytes() == b"a graph"
    exec(fetched, names)
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


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"crossbit\[hub\]"):
        hasher_of().push_to_hub("me/codes")


@pytest.mark.parametrize("name", ["codes", "me/codes/more", "../me", "me/../x", "/me/codes", "me /codes", "-a/b", ""])
def test_names_that_no_repository_has(name: str) -> None:
    assert not is_repo_id(name)
    with pytest.raises(SettingsError, match="owner/name"):
        hasher_of().push_to_hub(name)
    if name:
        with pytest.raises(FileFormatError):
            Hasher.from_pretrained(name)


def test_the_command_shares_to_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    hasher = hasher_of()
    hasher.save("fruit.safetensors")
    Path("scores.json").write_text(json.dumps(evaluation_of(hasher)))
    about = ("--about-data", "Photos of fruit.", "--scores", "scores.json", "--license", "cc-by-4.0")
    code, out, err = run("share", "fruit.safetensors", "--to", "shared", *about, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"shared": "shared", "hasher": hasher.fingerprint(), "export": False}
    card = Path("shared/README.md").read_text()
    assert all(part in card for part in ("Photos of fruit.", "0.388", "cc-by-4.0"))
    for words, told in (
        (("--to", "hub:nobody"), "owner/name"),
        (("--to", "fruit.safetensors"), "cannot be a folder"),
        (("--to", "again", "--scores", "fruit.safetensors"), "cannot be read as JSON"),
    ):
        code, out, err = run("share", "fruit.safetensors", *words)
        assert (code, out, told in err) == (1, "", True), err
    assert not Path("again").exists()
