"""The public data sets by name, each prepared from its original downloads."""

from __future__ import annotations

from collections.abc import Mapping

from crossbit.datasets.benchmark import Benchmark
from crossbit.datasets.coco import COCO
from crossbit.datasets.hierarchy import FASHIONVC
from crossbit.datasets.iapr_tc12 import IAPR_TC12
from crossbit.datasets.karpathy import COCO_KARPATHY, FLICKR30K
from crossbit.datasets.legacy_items import LEGACY_MAT
from crossbit.datasets.mirflickr import MIRFLICKR
from crossbit.datasets.nus_wide import NUS_WIDE
from crossbit.datasets.wikipedia import WIKIPEDIA
from crossbit.errors import SettingsError

BENCHMARKS: Mapping[str, Benchmark] = {
    each.name: each
    for each in (MIRFLICKR, NUS_WIDE, COCO, IAPR_TC12, WIKIPEDIA, FLICKR30K, COCO_KARPATHY, FASHIONVC, LEGACY_MAT)
}
"""Every public data set that `crossbit data prepare` knows."""


def benchmark_named(name: str) -> Benchmark:
    """The data set of a name; raises SettingsError, listing all, for one that is not known."""
    if name not in BENCHMARKS:
        raise SettingsError(f"There is no public data set {name!r} to prepare; there are {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]
