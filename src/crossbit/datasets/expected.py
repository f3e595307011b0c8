"""What encoding and fitting will take: from a timed sample here, or from a measurement that is stored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crossbit.datasets.check import SourceCheck
from crossbit.encoders import Encoder

FIT_SECONDS, FIT_MEMORY, FIT_PAIRS = 44.19, (1251 - 451) << 20, 4995
"""Of kdcmh at 64 bits on fashion6k, on one thread: benchmarks/speed/train.json."""
FIT_SOURCE = "benchmarks/speed/train.json: kdcmh, 64 bits, one thread of a server; processor seconds grow with the "
FIT_SOURCE += "pairs, memory at most with their square"


@dataclass(frozen=True)
class Expected:
    """What work will take. encode_seconds: of pictures and texts, or None where no sample could be timed.

    encode_source: where the figure comes from, or why there is none. feature_bytes: the features of all items, which a
    fit holds in memory. fit_seconds, fit_bytes: of KDCMH, from the measurement that fit_source names. encode_bytes: the
    most memory that the sample took, which does not grow with the items; None where none was timed.
    """

    encode_seconds: float | None
    encode_source: str
    feature_bytes: int
    fit_seconds: float
    fit_bytes: int
    fit_source: str = FIT_SOURCE
    encode_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def expected_cost(found: SourceCheck, painter: Encoder, writer: Encoder, *, timed: bool = True) -> Expected:
    """What a checked source will take with two encoders. timed: run them on a sample of some thirty items.

    Raises MissingExtraError where an encoder needs a package that is not installed.
    """
    seconds, origin = None, "no sample was timed"
    if timed and (found.sample_pictures or found.sample_texts):
        each = seconds_each(painter, found.sample_pictures), seconds_each(writer, found.sample_texts)
        seconds = each[0] * (found.pairs + found.pictures_alone) + each[1] * found.texts
        origin = (
            f"timed here on {len(found.sample_pictures)} pictures and {len(found.sample_texts)} texts, in one process"
        )
    share = found.pairs / FIT_PAIRS
    return Expected(
        encode_seconds=seconds,
        encode_source=origin,
        feature_bytes=4 * (painter.width + writer.width) * (found.pairs + found.pictures_alone + found.texts_alone),
        fit_seconds=FIT_SECONDS * share,
        fit_bytes=round(FIT_MEMORY * share**2),
    )


def seconds_each(encoder: Encoder, items: Sequence[Any]) -> float:
    """Seconds an item takes, after one that loads the weights; 0 without items."""
    if not items:
        return 0.0
    encoder.encode(items[:1])
    rest = items[1:] or items
    began = time.perf_counter()
    encoder.encode(rest)
    return (time.perf_counter() - began) / len(rest)
