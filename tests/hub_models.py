"""Tiny models of the Hugging Face hub, built here and saved in the hub's own layout, and pictures to show them."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TEXTS = ["a red apple", "pear", "", "a b c d e f g h", "?!"]
SPOKEN = [0, 1, 3]  # those with a letter; the others are rows of zeros
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
TIMM = ("resnet10t", "test_vit")
OPEN_CLIP = ("byte pairs", "words")  # the tokenizer that CLIP came with, and one of transformers


def picture(seed: int, size: tuple[int, int] = (50, 34)) -> bytes:
    content = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(content, "PNG")
    return content.getvalue()


PICTURES = [picture(0), picture(1, (34, 50)), picture(2, (40, 40)), picture(3, (33, 90))]


def soft_picture(seed: int) -> bytes:
    """A picture that is soft in colour, as photos are, and of another size for each seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    content = io.BytesIO()
    width, height = rng.integers(30, 300, 2)
    small.resize((int(width), int(height)), Image.Resampling.BICUBIC).save(content, "PNG")
    return content.getvalue()


@cache
def usable(package: str) -> bool:
    """Whether a package that needs torchvision can be imported with the torch that is installed."""
    command = [sys.executable, "-W", "ignore", "-c", f"import {package}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def need(package: str) -> None:
    """Skip the test where the package cannot be imported."""
    if not usable(package):
        pytest.skip(f"{package} needs a torchvision that fits the torch installed, and there is none for it here")


def broken(folder: Path, place: Path, name: str, content: bytes | None) -> Path:
    """A copy of a model with one of its files changed, or gone."""
    shutil.copytree(folder, place / "copy")
    if content is None:
        (place / "copy" / name).unlink()
    else:
        (place / "copy" / name).write_bytes(content)
    return place / "copy"


def letters() -> dict[str, int]:
    """Single letters, alone and at a word's end, as CLIP's tokens are made of."""
    signs = [chr(code) for code in range(33, 127)] + [chr(288)]
    names = ["<|startoftext|>", "<|endoftext|>", *signs, *(f"{sign}</w>" for sign in signs)]
    return {name: number for number, name in enumerate(names)}


def save_clip(folder: Path) -> Path:
    """A CLIP model of transformers."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

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


def save_siglip(folder: Path) -> Path:
    """A SigLIP model of transformers."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

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


def save_sentences(folder: Path) -> Path:
    """A model of sentence-transformers: BERT, mean over the tokens, length 1."""
    package = pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    bert = folder.with_name("bert")
    config = transformers.BertConfig(**SMALL, vocab_size=40, max_position_embeddings=16)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        transformers.BertModel(config).save_pretrained(bert)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh", "red", "apple", "pear"]
    transformers.BertTokenizer(vocab={name: n for n, name in enumerate(names)}).save_pretrained(bert)
    modules = [Transformer(str(bert), max_seq_length=16), Pooling(16), Normalize()]
    package.SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


def save_timm(architecture: str, folder: Path) -> Path:
    """A picture model of timm."""
    need("timm")
    import timm
    import torch
    from timm.models import save_for_hf

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(architecture, pretrained=False).eval()
    save_for_hf(model, folder, safe_serialization=True)
    return folder


def save_open_clip(tokens: str, folder: Path) -> Path:
    """A model of open_clip; tokens: "byte pairs" or "words"."""
    need("open_clip")
    import open_clip
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder.mkdir()
    text: dict[str, Any] = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
    if tokens == "words":
        names = {name: number for number, name in enumerate(["<pad>", "<unk>", "a", "red", "apple", "pear", "b", "c"])}
        words = Tokenizer(models.WordLevel(names, "<unk>"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)
        text |= {"hf_tokenizer_name": "local", "tokenizer_kwargs": {"clean": "canonicalize"}, "pool_type": "last"}
        text |= {"context_length": 9, "vocab_size": len(names)}
    model_cfg = {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": text,
    }
    preprocess = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic"}
    content = {"model_cfg": model_cfg, "preprocess_cfg": {**preprocess, "resize_mode": "shortest"}}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    weights = {name: value.contiguous() for name, value in made.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder
