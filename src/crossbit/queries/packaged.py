"""What of an encoder goes into a graph: a torch module, inputs to trace it with, and the preparation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossbit.encoders import Encoder, encoder_of
from crossbit.encoders.backbones import EfficientNetLite0Backbone, TinyBackbone
from crossbit.encoders.efficientnet import SIDE, EfficientNetLite0, load_network
from crossbit.encoders.hub import HubPictures, HubTexts
from crossbit.encoders.hub_transformers import load_model, tokenizer_of
from crossbit.encoders.minilm import MAX_TOKENS, MiniLM, load_parts, sentence_rows
from crossbit.encoders.tuned import TunedEncoder
from crossbit.errors import MismatchError, MissingExtraError
from crossbit.queries.preparation import PicturePreparation

_HUB = "hub:transformers/"


@dataclass(frozen=True, eq=False)
class Traceable:
    """What an encoder is exported from.

    encoder: the encoder. module: a torch module from the inputs to features (n, d). inputs: example tensors by the
    name that they get in the graph. varying: by input, the axes of varying length and what each is called.
    pictures: how pictures are prepared; None for texts. tokenizer: tokenizer.json of texts, padding and truncation
    included, "" for pictures. max_tokens: how many tokens of a text are read.
    """

    encoder: Encoder
    module: Any
    inputs: dict[str, Any]
    varying: dict[str, dict[int, str]]
    pictures: PicturePreparation | None = None
    tokenizer: str = ""
    max_tokens: int = 0


def can_trace(fingerprint: str, tuned: TunedEncoder | None = None) -> bool:
    """Whether the encoder of a fingerprint can be exported. tuned: one to try besides the packaged ones.

    A tuned one can where its backbone is crossbit's own: how others prepare pictures no export could tell. Of the
    hub's those of transformers can.
    """
    if fingerprint.startswith(_HUB):
        return True
    if tuned is not None and tuned.fingerprint() == fingerprint:
        return type(tuned.backbone) in (TinyBackbone, EfficientNetLite0Backbone)
    return fingerprint in (EfficientNetLite0().fingerprint(), MiniLM().fingerprint())


def traceable(fingerprint: str, tuned: TunedEncoder | None = None, named: Encoder | None = None) -> Traceable:
    """What an encoder is exported from, by its fingerprint; see `can_trace`.

    named: the encoder itself, where that is one of the hub whose files are in a folder.

    Raises MismatchError where that encoder cannot be exported, MissingExtraError where torch or its weights are not
    installed.
    """
    if tuned is not None and can_trace(fingerprint, tuned) and tuned.fingerprint() == fingerprint:
        return _tuned(tuned)
    if fingerprint == EfficientNetLite0().fingerprint():
        return _efficientnet()
    if fingerprint == MiniLM().fingerprint():
        return _minilm()
    if fingerprint.startswith(_HUB):
        return hub_traceable(encoder_of(fingerprint, encoder=named))
    raise MismatchError(f"crossbit does not know how to export the encoder {fingerprint}.")


def _efficientnet() -> Traceable:
    try:
        import torch  # noqa: PLC0415 - an optional package, needed only for an export
    except ModuleNotFoundError as error:
        raise MissingExtraError("Exporting an encoder", "train") from error
    network = load_network()

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            pooled: torch.Tensor = self.network.extract_features(pixels).mean(dim=(2, 3))
            return pooled

    pixels = torch.zeros(2, 3, SIDE, SIDE)
    preparation = PicturePreparation(SIDE, divisor=1.0, mean=(127.0,) * 3, std=(128.0,) * 3)
    return Traceable(EfficientNetLite0(), Pooled().eval(), {"pixels": pixels}, {"pixels": {0: "n"}}, preparation)


def _tuned(encoder: TunedEncoder) -> Traceable:
    try:
        import torch  # noqa: PLC0415 - an optional package, needed only for an export
    except ModuleNotFoundError as error:
        raise MissingExtraError("Exporting an encoder", "train") from error
    side = encoder.backbone.side
    # Its network takes pixels as they are stored and scales them itself.
    preparation = PicturePreparation(side, divisor=1.0, mean=(0.0,) * 3, std=(1.0,) * 3)
    inputs, varying = {"pixels": torch.zeros(2, 3, side, side)}, {"pixels": {0: "n"}}
    on_cpu = TunedEncoder(encoder.backbone, encoder.weights)
    return Traceable(on_cpu, on_cpu.network(), inputs, varying, preparation)


def _minilm() -> Traceable:
    try:
        import torch  # noqa: PLC0415 - an optional package, needed only for an export
    except ModuleNotFoundError as error:
        raise MissingExtraError("Exporting an encoder", "train") from error
    parts = load_parts()
    weights: dict[str, torch.Tensor] = parts["weights"]

    class Sentences(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.places = {name: f"weight{number}" for number, name in enumerate(weights)}
            for name, place in self.places.items():
                self.register_buffer(place, weights[name])

        def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            own = {name: self.get_buffer(place) for name, place in self.places.items()}
            return sentence_rows(own, tokens, mask.bool())

    tokens, mask = torch.ones(2, 5, dtype=torch.int64), torch.ones(2, 5, dtype=torch.int64)
    mask[1, 3:] = 0
    axes = {0: "n", 1: "length"}
    inputs = {"tokens": tokens, "mask": mask}
    tokenizer = parts["tokenizer"].to_str()
    return Traceable(
        MiniLM(),
        Sentences().eval(),
        inputs,
        {"tokens": axes, "mask": axes},
        tokenizer=tokenizer,
        max_tokens=MAX_TOKENS,
    )


def hub_traceable(encoder: Encoder) -> Traceable:
    """What a CLIP or SigLIP model of transformers is exported from, one side of it."""
    if isinstance(encoder, HubPictures):
        torch, model = load_model(encoder.folder)
        how = encoder.preparation
        preparation = PicturePreparation(
            how.side, how.fit, how.resample, divisor=1.0, mean=how.mean, std=how.std, shorter=how.shorter
        )
        inputs, varying = {"pixels": torch.zeros(2, 3, how.side, how.side)}, {"pixels": {0: "n"}}
        return Traceable(encoder, _side(torch, model, "image"), inputs, varying, preparation)
    if not isinstance(encoder, HubTexts):
        raise MismatchError(f"crossbit does not know how to export the encoder {encoder.fingerprint()}.")
    torch, model = load_model(encoder.folder)
    split = tokenizer_of(encoder.folder, model)
    tokens = split(["a red apple", "a"])  # from here on the tokenizer cuts and fills as it did now
    tokenizer: Any = split.func
    masked = model.config.model_type != "siglip"
    axes = {0: "n", 1: "length"} if masked else {0: "n"}
    inputs = {"tokens": tokens["input_ids"], **({"mask": tokens["attention_mask"]} if masked else {})}
    return Traceable(
        encoder,
        _side(torch, model, "text"),
        inputs,
        {name: dict(axes) for name in inputs},
        tokenizer=tokenizer.backend_tokenizer.to_str(),
        max_tokens=int(model.config.text_config.max_position_embeddings),
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
