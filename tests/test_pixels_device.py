"""Where learning from pixels computes, and in which precision, with and without a GPU; none is needed to see that."""

from __future__ import annotations

import pytest

from crossbit.cli.pixels import pixel_learner

torch = pytest.importorskip("torch")

from crossbit.methods.djsrh import DJSRH  # noqa: E402 - only where torch is installed
from crossbit.pixels import FromPixels, TinyBackbone  # noqa: E402 - as above

TINY = TinyBackbone(side=16, channels=(8,))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As if torch found a GPU that has bfloat16; nothing is computed on it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    return monkeypatch


def test_mixed_precision_is_chosen_on_a_gpu_that_has_it_and_nowhere_else(gpu: pytest.MonkeyPatch) -> None:
    on_gpu, on_cpu = DJSRH(device="cuda"), DJSRH()
    assert FromPixels(method=on_gpu, backbone=TINY).mixed() is True
    assert FromPixels(method=on_cpu, backbone=TINY).mixed() is False
    assert FromPixels(method=on_gpu, backbone=TINY, mixed_precision=False).mixed() is False
    assert FromPixels(method=on_cpu, backbone=TINY, mixed_precision=True).mixed() is True
    gpu.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert FromPixels(method=on_gpu, backbone=TINY).mixed() is False


@pytest.mark.parametrize(
    ("settings", "device"),
    [((), "cuda"), (("epochs=3",), "cuda"), (("device=cpu",), "cpu"), (("epochs=3", " device = cpu"), "cpu")],
)
@pytest.mark.usefixtures("gpu")
def test_the_command_learns_on_a_gpu_unless_told_otherwise(settings: tuple[str, ...], device: str) -> None:
    learner = pixel_learner(True, DJSRH(), "tiny", "efficientnet-lite0", settings)
    assert learner is not None
    assert (learner.method.device, learner.mixed()) == (device, device == "cuda")


def test_without_a_gpu_the_command_learns_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    learner = pixel_learner(True, DJSRH(), "tiny", "efficientnet-lite0")
    assert learner is not None
    assert (learner.method.device, learner.mixed()) == ("cpu", False)
