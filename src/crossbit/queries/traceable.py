"""What of an encoder goes into a graph: a torch module, inputs to trace it with, and the preparation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossbit.encoders import Encoder, Preparation
from crossbit.queries.preparation import PicturePreparation
from crossbit.queries.text_preparation import TextPreparation


class NoGraphError(Exception):
    """No graph can stand for this encoder; the text says why. It never leaves an export."""


@dataclass(frozen=True, eq=False)
class Traceable:
    """What an encoder is exported from.

    encoder: the encoder. module: a torch module from the inputs to features (n, d). inputs: example tensors by the
    name that they get in the graph. varying: by input, the axes of varying length and what each is called.
    pictures, texts: how the input is prepared, one of them. tokenizer: tokenizer.json of texts, padding and truncation
    included, "" for pictures.
    """

    encoder: Encoder
    module: Any
    inputs: dict[str, Any]
    varying: dict[str, dict[int, str]]
    pictures: PicturePreparation | None = None
    texts: TextPreparation | None = None
    tokenizer: str = ""


def of_pictures(encoder: Encoder, torch: Any, module: Any, how: Preparation) -> Traceable:
    """A traceable of a module from pixels (n, 3, side, side) that are prepared as `how` says."""
    preparation = PicturePreparation(
        how.side, how.fit, how.resample, divisor=1.0, mean=how.mean, std=how.std, shorter=how.shorter
    )
    pixels = torch.zeros(2, 3, how.side, how.side)
    return Traceable(encoder, module, {"pixels": pixels}, {"pixels": {0: "n"}}, preparation)


def tokenizer_json(tokenizer: Any, what: str) -> str:
    """The tokenizer.json of one of transformers, which cuts and fills as it did in its last call.

    Raises NoGraphError for one that the package tokenizers cannot run.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise NoGraphError(
            f"the tokens of {what} are made by {type(tokenizer).__name__}, which the package tokenizers cannot run."
        )
    content: str = backend.to_str()
    return content
