"""Which methods learn from pixels: all deep ones, but those that make further rows of features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="learning from pixels needs torch")

from crossbit.encoders.backbones import TinyBackbone, built  # noqa: E402 - only where torch is installed
from crossbit.encoders.tuned import TunedEncoder  # noqa: E402 - as above
from crossbit.errors import SettingsError  # noqa: E402 - as above
from crossbit.methods import METHODS, load_method  # noqa: E402 - as above
from crossbit.pixels import FromPixels  # noqa: E402 - as above
from crossbit.training import DeepMethod  # noqa: E402 - as above
from test_conformance import quick_settings  # noqa: E402 - as above
from test_pixels import SMALL, TINY  # noqa: E402 - as above

DEEP = [name for name in METHODS if issubclass(load_method(name), DeepMethod)]
MAKE_ROWS = ["ugach", "duch"]
COARSE = np.stack([SMALL.labels[:, :3].any(axis=1), SMALL.labels[:, 3:].any(axis=1)], axis=1)


def learner_of(name: str, backbone: TinyBackbone = TINY) -> FromPixels:
    method: Any = load_method(name)(**{**quick_settings(name), "n_bits": 16, "epochs": 1})
    return FromPixels(method=method, backbone=backbone)


@pytest.mark.parametrize("name", [name for name in DEEP if name not in MAKE_ROWS])
def test_a_deep_method_trains_the_backbone(name: str) -> None:
    fitted = learner_of(name).fit(SMALL.pictures, SMALL.text, labels=SMALL.labels)
    assert fitted.encoder.fingerprint() != TunedEncoder.of(TINY, built(TINY)).fingerprint()
    assert (fitted.hasher.method, fitted.hasher.n_bits) == (name, 16)


@pytest.mark.parametrize("name", MAKE_ROWS)
def test_a_method_that_makes_rows_of_features_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="further rows of features"):
        learner_of(name).fit(SMALL.pictures, SMALL.text)


@pytest.mark.parametrize("name", ["shdch", "hichnet"])
def test_a_hierarchical_method_sees_both_levels(name: str) -> None:
    levels = (COARSE, SMALL.labels)
    two = learner_of(name).fit(SMALL.pictures, SMALL.text, labels=SMALL.labels, levels=levels).hasher
    one = learner_of(name).fit(SMALL.pictures, SMALL.text, labels=SMALL.labels).hasher
    assert (two.report["label_levels"], one.report["label_levels"]) == (2, 1)
    assert two.fingerprint() != one.fingerprint()


def test_levels_change_nothing_for_another_method() -> None:
    given = {"labels": SMALL.labels, "levels": (COARSE, SMALL.labels)}
    first = learner_of("dcmh").fit(SMALL.pictures, SMALL.text, **given).hasher
    second = learner_of("dcmh").fit(SMALL.pictures, SMALL.text, labels=SMALL.labels).hasher
    assert first.fingerprint() == second.fingerprint()
