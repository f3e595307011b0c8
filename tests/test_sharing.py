"""A shared hasher: the same codes from a folder, only what belongs to it goes along, and the command that shares."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from crossbit import Hasher
from crossbit.cli import main
from crossbit.errors import CrossbitError, FileFormatError, MismatchError, MissingExtraError, SettingsError
from crossbit.sharing import is_repo_id
from shared_hashers import evaluation_of, export_of, hasher_of


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
