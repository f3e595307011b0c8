"""Encoders of the Hugging Face hub, on tiny models built here and saved in the hub's own layout."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossbit.encoders import PictureEncoder, encode_stream, encoder_of, load_image_encoder, load_text_encoder
from crossbit.errors import MismatchError
from crossbit.sources import Record
from hub_models import PICTURES, TEXTS


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_features_are_those_of_transformers(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    import torch
    from transformers import AutoTokenizer, CLIPModel, SiglipModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    made, process = (CLIPModel, CLIPImageProcessorPil) if kind == "clip" else (SiglipModel, SiglipImageProcessorPil)
    model, processor = made.from_pretrained(folder).eval(), process.from_pretrained(folder)
    painter, writer = load_image_encoder(f"hub:transformers/{folder}"), load_text_encoder(f"hub:transformers/{folder}")
    opened = [Image.open(io.BytesIO(content)).convert("RGB") for content in PICTURES]
    pixels = torch.from_numpy(np.stack([np.asarray(processor(one)["pixel_values"][0]) for one in opened]))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    padding = "max_length" if kind == "siglip" else True
    length = model.config.text_config.max_position_embeddings
    tokens = tokenizer(TEXTS, padding=padding, truncation=True, max_length=length, return_tensors="pt")
    given = {"input_ids": tokens["input_ids"]}
    if kind == "clip":
        given["attention_mask"] = tokens["attention_mask"]
    with torch.inference_mode():
        images = model.get_image_features(pixel_values=pixels).pooler_output.numpy()
        texts = model.get_text_features(**given).pooler_output.numpy()
    assert isinstance(painter, PictureEncoder)
    assert painter.width == images.shape[1] == writer.width
    assert np.allclose(painter.encode(PICTURES).features, images, atol=1e-4)
    encoded = writer.encode([*TEXTS, 3]).features
    assert np.allclose(encoded[[0, 1, 3]], texts[[0, 1, 3]], atol=1e-5)
    assert not encoded[[2, 4]].any(), "texts without a word are rows of zeros"
    assert np.allclose(writer.encode(TEXTS[:1]).features[0], encoded[0], atol=1e-6), "a row depends on its text alone"


def test_features_are_those_of_sentence_transformers(sentences: Path) -> None:
    from sentence_transformers import SentenceTransformer

    writer = load_text_encoder(f"hub:sentence-transformers/{sentences}")
    expected = SentenceTransformer(str(sentences), device="cpu").encode(TEXTS)
    encoded = writer.encode(TEXTS).features
    assert writer.width == expected.shape[1] == 16
    assert np.allclose(encoded[[0, 1, 3]], expected[[0, 1, 3]], atol=1e-6)
    assert not encoded[[2, 4]].any()


def test_a_hub_encoder_goes_through_a_stream(clip: Path, tmp_path: Path) -> None:
    name = f"hub:transformers/{clip}"
    encoders = {"image": load_image_encoder(name), "text": load_text_encoder(name)}
    given = [Record(str(row), content, (TEXTS[0],)) for row, content in enumerate(PICTURES)]
    store = encode_stream(given, encoders, tmp_path / "e")  # type: ignore[arg-type]  # two names, not any
    assert np.array_equal(store.features("image")[:], encoders["image"].encode(PICTURES).features)
    assert dict(store.encoders) == {side: encoder.fingerprint() for side, encoder in encoders.items()}


def test_the_fingerprint_is_of_files_and_preparation_and_not_of_the_place(clip: Path, tmp_path: Path) -> None:
    moved = tmp_path / clip.name
    shutil.copytree(clip, moved)
    here, there = (load_image_encoder(f"hub:transformers/{folder}") for folder in (clip, moved))
    assert here.fingerprint() == there.fingerprint()
    assert str(clip.parent) not in here.fingerprint()
    assert encoder_of(here.fingerprint(), encoder=there) is there
    with pytest.raises(MismatchError, match="hub:transformers/tiny-clip"):
        encoder_of(here.fingerprint())
    said = json.loads((moved / "preprocessor_config.json").read_text())
    (moved / "preprocessor_config.json").write_text(json.dumps(said | {"image_mean": [0.1, 0.2, 0.3]}))
    assert load_image_encoder(f"hub:transformers/{moved}").fingerprint() != here.fingerprint()
    with pytest.raises(MismatchError):
        encoder_of(here.fingerprint(), encoder=load_image_encoder(f"hub:transformers/{moved}"))


def hub_copy(folder: Path, cache: Path, repository: str) -> None:
    """The files as the hub's client keeps them after a download."""
    place = cache / f"models--{repository.replace('/', '--')}"
    revision = "0123456789abcdef0123456789abcdef01234567"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(revision)
    shutil.copytree(folder, place / "snapshots" / revision)


OFFLINE = """
import sys
from crossbit.encoders import encoder_of, load_image_encoder, load_text_encoder
from crossbit.errors import CrossbitError
painter = load_image_encoder("hub:transformers/somebody/tiny")
assert painter.fingerprint().startswith("hub:transformers/somebody/tiny#image-"), painter.fingerprint()
assert encoder_of(painter.fingerprint()) == painter
for wrong in (painter.fingerprint()[:-3] + "000", "hub:timm/nobody/nothing#image-0-0"):
    try:
        encoder_of(wrong)
    except CrossbitError as error:
        print(error)
try:
    load_text_encoder("hub:sentence-transformers/all-MiniLM-L6-v2")
except CrossbitError as error:
    print(error)
assert "torch" not in sys.modules, "names and fingerprints need no torch"
"""


def test_offline_the_hubs_own_copies_are_used_and_others_say_what_to_do(clip: Path, tmp_path: Path) -> None:
    hub_copy(clip, tmp_path, "somebody/tiny")
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", OFFLINE]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    changed, absent, sentence = ran.stdout.strip().splitlines()
    assert "Get the files of that time" in changed
    assert "nobody/nothing" in absent
    assert "'sentence-transformers/all-MiniLM-L6-v2' is not on this machine" in sentence
    assert "hf download sentence-transformers/all-MiniLM-L6-v2" in sentence
