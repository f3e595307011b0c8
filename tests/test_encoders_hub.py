"""Encoders of the Hugging Face hub, on tiny models built here and saved in the hub's own layout."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossbit.encoders import PictureEncoder, encode_stream, encoder_of, load_image_encoder, load_text_encoder
from crossbit.encoders.hub_open_clip import picture_preparation as open_clip_preparation
from crossbit.encoders.hub_timm import load_pictures as load_timm
from crossbit.encoders.hub_timm import picture_preparation as timm_preparation
from crossbit.errors import CrossbitError, FileFormatError, MismatchError, MissingExtraError, SettingsError
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.queries import Queries, export_queries
from crossbit.sources import Record

TEXTS = ["a red apple", "pear", "", "a b c d e f g h", "?!"]


def picture(seed: int, size: tuple[int, int] = (50, 34)) -> bytes:
    content = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(content, "PNG")
    return content.getvalue()


PICTURES = [picture(0), picture(1, (34, 50)), picture(2, (40, 40)), picture(3, (33, 90))]
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def letters() -> dict[str, int]:
    """Single letters, alone and at a word's end, as CLIP's tokens are made of."""
    signs = [chr(code) for code in range(33, 127)] + [chr(288)]
    names = ["<|startoftext|>", "<|endoftext|>", *signs, *(f"{sign}</w>" for sign in signs)]
    return {name: number for number, name in enumerate(names)}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("hub") / "tiny-clip"
    words = letters()
    text = {**SMALL, "vocab_size": len(words), "max_position_embeddings": 12, "bos_token_id": 0, "eos_token_id": 1}
    config = transformers.CLIPConfig(
        text_config={**text, "pad_token_id": 1},
        vision_config={**SMALL, "image_size": 32, "patch_size": 8},
        projection_dim=10,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPTokenizer(vocab=words, merges=[], model_max_length=12).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    folder = tmp_path_factory.mktemp("hub") / "tiny-siglip"
    words = {name: number for number, name in enumerate(["<pad>", "</s>", "<unk>", "a", "red", "apple", "pear", "b"])}
    tokens = Tokenizer(models.WordLevel(words, "<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    config = transformers.SiglipConfig(
        text_config={**SMALL, "vocab_size": len(words), "max_position_embeddings": 9, "projection_size": 16},
        vision_config={**SMALL, "image_size": 24, "patch_size": 8},
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        transformers.SiglipModel(config).save_pretrained(folder)
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    made.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 24, "width": 24}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    package = pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    place = tmp_path_factory.mktemp("hub")
    bert = place / "bert"
    config = transformers.BertConfig(**SMALL, vocab_size=40, max_position_embeddings=16)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        transformers.BertModel(config).save_pretrained(bert)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh", "red", "apple", "pear"]
    transformers.BertTokenizer(vocab={name: n for n, name in enumerate(names)}).save_pretrained(bert)
    modules = [Transformer(str(bert), max_seq_length=16), Pooling(16), Normalize()]
    package.SentenceTransformer(modules=modules, device="cpu").save(str(place / "tiny-sentences"))
    return place / "tiny-sentences"


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


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_an_export_gives_the_features_and_codes_of_transformers(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    name = f"hub:transformers/{request.getfixturevalue(kind)}"
    painter, writer = load_image_encoder(name), load_text_encoder(name)
    made = np.random.default_rng(0).normal(size=(2, painter.width, 20)).astype(np.float32)
    image, text = (HashFunction((Layer(weight, np.zeros(20, np.float32), "linear"),)) for weight in made)
    hasher = Hasher(image, text).with_encoders(image=painter.fingerprint(), text=writer.fingerprint())
    with pytest.raises(MismatchError, match=r"neither a folder here nor|is not on this machine"):
        export_queries(hasher, tmp_path / "query")
    exported = export_queries(hasher, tmp_path / "query", named={"image": painter, "text": writer})
    assert exported.left_out == {}
    queries = Queries.open(tmp_path / "query")
    texts = [*TEXTS, "a b " * 30]
    for encoder, own, items in (
        (queries.encoder("image"), painter, PICTURES),
        (queries.encoder("text"), writer, texts),
    ):
        ours, theirs = encoder.encode(items).features, own.encode(items).features  # type: ignore[arg-type]
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
        encode = hasher.encode_images if own is painter else hasher.encode_texts
        assert (encode(ours).bits() == encode(theirs).bits()).mean() >= 0.99
    assert all(side.agreement["bits_by_graph"] >= 0.99 for side in exported.manifest.sides.values())


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


@pytest.mark.parametrize(
    "name", ["hub:", "hub:timm", "hub:timm/", "hub:keras/x", "hub:sentence-transformers/x", "hub:timm/not a name!"]
)
def test_names_of_no_known_form_are_refused(name: str) -> None:
    with pytest.raises(SettingsError):
        load_image_encoder(name)
    with pytest.raises(SettingsError, match="no encoder"):
        load_text_encoder("hub:timm/resnet18")


def broken(folder: Path, place: Path, name: str, content: bytes | None) -> Path:
    shutil.copytree(folder, place / "copy")
    if content is None:
        (place / "copy" / name).unlink()
    else:
        (place / "copy" / name).write_bytes(content)
    return place / "copy"


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


def test_open_clip_and_timm_say_how_pictures_are_prepared(tmp_path: Path) -> None:
    timm = {"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 96, 96], "crop_pct": 0.875}}
    timm["pretrained_cfg"] |= {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bilinear"}  # type: ignore[operator]  # a dict
    (tmp_path / "config.json").write_text(json.dumps(timm))
    made = timm_preparation(tmp_path)
    assert (made.side, made.shorter, made.fit, made.resample, made.mean[0]) == (96, 109, "crop", "bilinear", 127.5)
    clip = {"model_cfg": {"vision_cfg": {"image_size": 48}}, "preprocess_cfg": {"resize_mode": "squash"}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(clip))
    squashed = open_clip_preparation(tmp_path)
    assert (squashed.side, squashed.fit, round(squashed.std[2], 3)) == (48, "squash", 70.323)
    with pytest.raises(FileFormatError, match=r"no model\.safetensors"):
        load_timm(tmp_path)


def usable(package: str) -> bool:
    """Whether a package that needs torchvision can be imported with the torch that is installed."""
    command = [sys.executable, "-W", "ignore", "-c", f"import {package}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("package", ["timm", "open_clip"])
def test_without_their_package_timm_and_open_clip_name_the_extra(package: str, tmp_path: Path) -> None:
    if usable(package):
        pytest.skip(f"{package} is installed here")
    from safetensors.numpy import save_file

    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("model.safetensors", "open_clip_model.safetensors"):
        save_file({"w": np.zeros(1, np.float32)}, folder / name)
    mean = {"mean": [0.5] * 3, "std": [0.5] * 3}
    (folder / "config.json").write_text(json.dumps({"architecture": "resnet18", "input_size": [3, 64, 64], **mean}))
    settings = {"model_cfg": {"embed_dim": 4, "vision_cfg": {"image_size": 32}}}
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    with pytest.raises(MissingExtraError, match=r"crossbit\[clip\]"):
        load_image_encoder(f"hub:{package}/{folder}").encode(PICTURES[:1])


@pytest.mark.parametrize("architecture", ["resnet10t", "test_vit"])
def test_features_are_those_of_timm(architecture: str, tmp_path: Path) -> None:
    if not usable("timm"):
        pytest.skip("timm needs a torchvision that fits the torch installed, and there is none for it here")
    import timm
    import torch
    from timm.data import create_transform, resolve_model_data_config
    from timm.models import save_for_hf

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(architecture, pretrained=False).eval()
    save_for_hf(model, tmp_path / "tiny", safe_serialization=True)
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    opened = [Image.open(io.BytesIO(content)).convert("RGB") for content in PICTURES]
    model.reset_classifier(0)
    with torch.inference_mode():
        expected = model(torch.stack([transform(one) for one in opened])).numpy()
    painter = load_image_encoder(f"hub:timm/{tmp_path / 'tiny'}")
    assert painter.width == expected.shape[1]
    assert np.allclose(painter.encode(PICTURES).features, expected, atol=1e-4)


def test_features_are_those_of_open_clip(tmp_path: Path) -> None:
    if not usable("open_clip"):
        pytest.skip("open_clip needs a torchvision that fits the torch installed, and there is none for it here")
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "tiny"
    folder.mkdir()
    model_cfg = {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
    }
    preprocess = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic"}
    content = {"model_cfg": model_cfg, "preprocess_cfg": {**preprocess, "resize_mode": "shortest"}}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(
        {name: value.contiguous() for name, value in made.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    opened = torch.stack([transform(Image.open(io.BytesIO(content))) for content in PICTURES])
    name = f"hub:open_clip/{folder}"
    with torch.inference_mode():
        images = model.eval().encode_image(opened).numpy()
        texts = model.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)).numpy()
    assert np.allclose(load_image_encoder(name).encode(PICTURES).features, images, atol=1e-4)
    assert np.allclose(load_text_encoder(name).encode(TEXTS).features[[0, 1, 3]], texts[[0, 1, 3]], atol=1e-5)
    assert load_text_encoder(name).width == 12
