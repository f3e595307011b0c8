"""The public data sets by name, each prepared from its original downloads."""

from __future__ import annotations

from collections.abc import Mapping

from crossbit.datasets.benchmark import Benchmark
from crossbit.datasets.mirflickr import MIRFLICKR
from crossbit.datasets.nus_wide import NUS_WIDE
from crossbit.errors import SettingsError

BENCHMARKS: Mapping[str, Benchmark] = {each.name: each for each in (MIRFLICKR, NUS_WIDE)}
"""Every public data set that `crossbit data prepare` knows."""


def benchmark_named(name: str) -> Benchmark:
    """The data set of a name; raises SettingsError, listing all, for one that is not known."""
    if name not in BENCHMARKS:
        raise SettingsError(f"There is no public data set {name!r} to prepare; there are {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]
