"""The packaged encoders, and those tuned from pixels, as modules that a graph is made from."""

from __future__ import annotations

from crossbit.encoders.efficientnet import SIDE, EfficientNetLite0, load_network
from crossbit.encoders.minilm import MAX_TOKENS, MiniLM, load_parts, sentence_rows
from crossbit.encoders.tuned import TunedEncoder
from crossbit.errors import MissingExtraError
from crossbit.queries.preparation import PicturePreparation
from crossbit.queries.text_preparation import TextPreparation
from crossbit.queries.traceable import Traceable


def efficientnet() -> Traceable:
    """EfficientNet-Lite0 up to its pooled features."""
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


def of_tuned(encoder: TunedEncoder) -> Traceable:
    """An encoder that was tuned from pixels, on the CPU."""
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


def minilm() -> Traceable:
    """MiniLM-L6 with its weights as buffers."""
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
        texts=TextPreparation(MAX_TOKENS),
        tokenizer=tokenizer,
    )
