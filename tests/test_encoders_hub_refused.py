"""What is refused of the hub: names of no known form, damaged models, pickles and code of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from crossbit.encoders import load_image_encoder, load_text_encoder
from crossbit.errors import CrossbitError, FileFormatError, SettingsError
from hub_models import PICTURES, TEXTS, broken


@pytest.mark.parametrize(
    "name", ["hub:", "hub:timm", "hub:timm/", "hub:keras/x", "hub:sentence-transformers/x", "hub:timm/not a name!"]
)
def test_names_of_no_known_form_are_refused(name: str) -> None:
    with pytest.raises(SettingsError):
        load_image_encoder(name)
    with pytest.raises(SettingsError, match="no encoder"):
        load_text_encoder("hub:timm/resnet18")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("model.safetensors", None, "no weights as .safetensors"),
        ("model.safetensors", b"\0" * 40, "no whole clip model"),
        ("config.json", b"{", "cannot be read"),
        ("config.json", b'{"model_type": "bert"}', "of the kinds clip, siglip"),
        ("preprocessor_config.json", b"{}", "does not say how pictures"),
        ("preprocessor_config.json", b'{"size": {"height": 3, "width": 4}}', "square"),
    ],
)
def test_a_damaged_model_is_refused(
    name: str, content: bytes | None, expected: str, clip: Path, tmp_path: Path
) -> None:
    folder = broken(clip, tmp_path, name, content)
    with pytest.raises(CrossbitError, match=expected):
        load_image_encoder(f"hub:transformers/{folder}").encode(PICTURES[:1])


def test_missing_weights_are_not_drawn_at_random(clip: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save

    kept = load_file(clip / "model.safetensors")
    del kept["visual_projection.weight"]
    folder = broken(clip, tmp_path, "model.safetensors", save(kept, metadata={"format": "pt"}))
    with pytest.raises(FileFormatError, match=r"lacks weights .*visual_projection"):
        load_image_encoder(f"hub:transformers/{folder}").encode(PICTURES[:1])


def test_a_sentence_model_with_code_or_pickles_of_its_own_is_refused(sentences: Path, tmp_path: Path) -> None:
    modules = json.loads((sentences / "modules.json").read_text())
    for number, (changed, expected) in enumerate(
        [
            ([{**modules[0], "type": "os.system"}, *modules[1:]], "code of its own"),
            ([{**modules[0], "path": "../.."}, *modules[1:]], "outside its folder"),
            ([{**modules[0], "path": "dense"}, *modules[1:]], "pickled weights"),
            ("nothing", "says nothing"),
        ]
    ):
        folder = tmp_path / str(number) / "copy"
        shutil.copytree(sentences, folder)
        (folder / "dense").mkdir()
        (folder / "dense" / "pytorch_model.bin").write_bytes(b"pickle")
        (folder / "modules.json").write_text(json.dumps(changed))
        with pytest.raises(FileFormatError, match=expected):
            load_text_encoder(f"hub:sentence-transformers/{folder}").encode(TEXTS)
