"""CLIP and SigLIP models by the package transformers, as modules that a graph is made from."""

from __future__ import annotations

from typing import Any

from crossbit.encoders.hub import HubPictures, HubTexts
from crossbit.encoders.hub_transformers import load_model, tokenizer_of
from crossbit.queries.text_preparation import TextPreparation
from crossbit.queries.traceable import Traceable, of_pictures, tokenizer_json


def pictures(encoder: HubPictures) -> Traceable:
    """Prepared pictures to image features."""
    torch, model = load_model(encoder.folder)
    return of_pictures(encoder, torch, _side(torch, model, "image"), encoder.preparation)


def texts(encoder: HubTexts) -> Traceable:
    """Tokens to text features; SigLIP has one length of text and no mask."""
    torch, model = load_model(encoder.folder)
    split = tokenizer_of(encoder.folder, model)
    tokens = split(["a red apple", "a"])  # from here on the tokenizer cuts and fills as it did now
    masked = model.config.model_type != "siglip"
    axes = {0: "n", 1: "length"} if masked else {0: "n"}
    inputs = {"tokens": tokens["input_ids"], **({"mask": tokens["attention_mask"]} if masked else {})}
    return Traceable(
        encoder,
        _side(torch, model, "text"),
        inputs,
        {name: dict(axes) for name in inputs},
        texts=TextPreparation(int(model.config.text_config.max_position_embeddings)),
        tokenizer=tokenizer_json(split.func, encoder.name),
    )


def _side(torch: Any, model: Any, modality: str) -> Any:
    """One side of a model as a module from its inputs to features."""

    class Pictures(torch.nn.Module):  # type: ignore[misc]  # torch is imported with the model
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: Any) -> Any:
            return _pooled(self.model.get_image_features(pixel_values=pixels))

    class Texts(torch.nn.Module):  # type: ignore[misc]  # as above
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: Any, mask: Any = None) -> Any:
            masked = {} if mask is None else {"attention_mask": mask}
            return _pooled(self.model.get_text_features(input_ids=tokens, **masked))

    return (Pictures if modality == "image" else Texts)().eval()


def _pooled(given: Any) -> Any:
    return getattr(given, "pooler_output", given)
