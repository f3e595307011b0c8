"""CLIP, SigLIP and their kin by the package open_clip, as modules that a graph is made from."""

from __future__ import annotations

from typing import Any

from crossbit.encoders.hub import HubPictures, HubTexts
from crossbit.encoders.hub_open_clip import load_model, tokenizer_of
from crossbit.queries.clip_tokens import clip_tokenizer
from crossbit.queries.text_preparation import Clean, TextPreparation
from crossbit.queries.traceable import NoGraphError, Traceable, of_pictures, tokenizer_json

_CLEANED: dict[str, Clean] = {f"_clean_{way}": way for way in ("whitespace", "lower", "canonicalize")}


def pictures(encoder: HubPictures) -> Traceable:
    """Prepared pictures to image features."""
    torch, model = load_model(encoder.folder)
    return of_pictures(encoder, torch, _side(torch, model, "encode_image"), encoder.preparation)


def texts(encoder: HubTexts) -> Traceable:
    """Tokens to text features; all texts have one length, and no mask.

    Raises NoGraphError for a tokenizer that draws, or that changes tokens after they were made.
    """
    split = tokenizer_of(encoder.folder)
    kept, content = _tokenizer(split, encoder.name)
    torch, model = load_model(encoder.folder)
    return Traceable(
        encoder,
        _side(torch, model, "encode_text"),
        {"tokens": split(["a red apple", "a"])},
        {"tokens": {0: "n"}},
        texts=kept,
        tokenizer=content,
    )


def _tokenizer(split: Any, what: str) -> tuple[TextPreparation, str]:
    """How texts are prepared, and tokenizer.json."""
    clean = _CLEANED.get(getattr(split.clean_fn, "__name__", ""))
    for name in ("reduction_fn", "tokenizer_mode", "strip_sep_token"):
        if clean is None or getattr(split, name, None):
            raise NoGraphError(
                f"the tokens of {what} are made by rules of open_clip ({name if clean else 'clean_fn'}) that crossbit "
                "does not write into a graph."
            )
    preparation = TextPreparation(int(split.context_length), clean=clean or "none")
    if hasattr(split, "bpe_ranks"):
        named = {number: token for token, number in split.encoder.items()}
        special = [named[number] for number in split.all_special_ids]
        return preparation, clip_tokenizer(split.encoder, list(split.bpe_ranks), special, preparation.max_tokens)
    split(["a red apple"])  # from here on its tokenizer cuts and fills as it did now
    return preparation, tokenizer_json(split.tokenizer, what)


def _side(torch: Any, model: Any, verb: str) -> Any:
    """One side of a model as a module from its input to features. verb: "encode_image" or "encode_text"."""

    class Side(torch.nn.Module):  # type: ignore[misc]  # torch is imported with the model
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, given: Any) -> Any:
            return getattr(self.model, verb)(given)

    return Side().eval()
