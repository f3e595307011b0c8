"""Coarse to fine: search the first bits of all codes, and rank what that finds by the whole codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of
from crossbit.index.built import Arrays, BuiltIndex, Nearest
from crossbit.index.protocol import check_at_least, check_codes
from crossbit.index.segment import Flags
from crossbit.index.tuning import Sample, check_recall, fewest
from crossbit.kernels import nearest

_SCAN_IS_FASTER = 16  # a candidate ranked again costs this much more than a code compared in full
_CANDIDATE = 4500  # ranking one again costs as much as comparing so many bytes: see crossbit.index.near


@dataclass(frozen=True)
class PrefixSettings:
    """What is looked at, and what it gives.

    prefix_bits: how many of the first bits are searched. candidates: how many codes of a query are ranked again, for k
    hits. k: for which number of hits. recall: the share of hits as near as the exact k-th on `n_sample` queries.
    target: the recall asked for; None where the candidates were given by hand.
    """

    prefix_bits: int
    candidates: int
    k: int
    target: float | None
    recall: float
    n_sample: int

    def cost(self, n: int, n_bits: int) -> float:
        """What a query costs among n codes of n_bits, a full comparison being 1; estimated, not timed."""
        if self.candidates >= n:
            return 1.0
        share = bytes_of(self.prefix_bits) / bytes_of(n_bits)
        return share + self.candidates * _CANDIDATE / (n * bytes_of(n_bits))


@dataclass(frozen=True, eq=False)
class First:
    """The first bits of all codes, in memory, and how they are searched."""

    packed: NDArray[np.uint8]
    settings: PrefixSettings


class PrefixIndex(BuiltIndex[First]):
    """An approximate index by the first bits of codes; see `Index`. Hits have true distances; some may be missing.

    Made by `PrefixIndex.build` or `load`. Meant for methods that make the first bits a code of their own (KDCMH's
    `prefixes`), and for codes that are too many for the memory: they may be mapped from a file, of which a search reads
    the candidates alone. `within` compares in full and is exact. What is added after the build is compared in full.
    """

    file_format = "crossbit-prefix-1"

    @classmethod
    def build(
        cls,
        codes: Codes,
        ids: NDArray[np.integer[Any]] | None = None,
        *,
        prefix_bits: int | None = None,
        target_recall: float = 0.95,
        candidates: int | None = None,
        k: int = 10,
        queries: Codes | None = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> Self:
        """The first bits of codes, and the fewest candidates a query must rank again for the recall asked for.

        prefix_bits: half of the code length if None. candidates: this many in place of the fewest; the recall is
        measured all the same. For more hits than k there are more candidates in proportion. queries, ids: as for
        `IvfIndex.build`. Raises WidthError for a prefix longer than the codes, SettingsError for other settings that
        make no sense.
        """
        check_recall(target_recall)
        index, k = cls(codes.n_bits, threads=threads), check_at_least("k", k, 1)
        given = None if candidates is None else check_at_least("candidates", candidates, 1)
        prefix_bits = max(codes.n_bits // 2, 1) if prefix_bits is None else prefix_bits
        codes[:0].prefix(prefix_bits)  # raises for a prefix that there is not, also where there are no codes
        if queries is not None:
            check_codes(queries, codes.n_bits, "queries")
        base = index._build_over(codes, ids)
        if base is not None:
            first = Codes(base.packed, codes.n_bits).prefix(prefix_bits).packed
            asked = None if queries is None else queries.packed
            sample = Sample.of(base.packed, asked, k, seed=seed, threads=index._threads)
            index._hold(base, First(first, index._tuned(base.packed, first, prefix_bits, sample, target_recall, given)))
        return index

    @classmethod
    def best(
        cls,
        codes: Codes,
        ids: NDArray[np.integer[Any]] | None = None,
        *,
        lengths: Sequence[int],
        target_recall: float = 0.95,
        threads: int | None = None,
    ) -> Self:
        """The prefix of those lengths that costs least for the recall asked for; see `build`."""
        built = [
            cls.build(codes, ids, prefix_bits=length, target_recall=target_recall, threads=threads)
            for length in lengths
        ]
        return min(built, key=lambda one: one.settings.cost(len(codes), codes.n_bits) if one.settings else 0.0)

    @property
    def settings(self) -> PrefixSettings | None:
        """What is looked at; None before a build."""
        built = self._held.built
        return None if built is None else built.settings

    def _tuned(
        self,
        packed: NDArray[np.uint8],
        first: NDArray[np.uint8],
        prefix_bits: int,
        sample: Sample,
        target: float,
        given: int | None,
    ) -> PrefixSettings:
        """The fewest candidates that reach the target on a sample, or those given and what they reach."""

        def recall(number: int) -> float:
            return sample.recall(
                self._ranked(first, prefix_bits, packed, sample.queries, sample.asked, number, None)[1]
            )

        if given is not None:
            return PrefixSettings(prefix_bits, given, sample.k, None, recall(given), len(sample.queries))
        number, reached = fewest(recall, target, max(len(packed) // _SCAN_IS_FASTER, 1))
        if reached < target:  # all are ranked then, by a full comparison
            number, reached = len(packed), 1.0
        return PrefixSettings(prefix_bits, max(number, sample.k), sample.k, target, reached, len(sample.queries))

    def _nearest(
        self, built: First, packed: NDArray[np.uint8], queries: NDArray[np.uint8], k: int, kept: Flags | None
    ) -> Nearest:
        settings = built.settings
        number = -(-settings.candidates * max(k, settings.k) // settings.k)
        return self._ranked(built.packed, settings.prefix_bits, packed, queries, k, number, kept)

    def _ranked(
        self,
        first: NDArray[np.uint8],
        prefix_bits: int,
        packed: NDArray[np.uint8],
        queries: NDArray[np.uint8],
        k: int,
        candidates: int,
        kept: Flags | None,
    ) -> Nearest:
        """The k nearest of each query among its candidates by the first bits."""
        from crossbit.kernels.again import nearest_among  # noqa: PLC0415 - brings the compiler, which is slow to import

        left = len(packed) if kept is None else int(np.count_nonzero(kept))
        filtered = kept is not None and left < len(packed)
        if max(candidates, k) >= left or (filtered and left < candidates * _SCAN_IS_FASTER):
            return nearest(queries, packed, k, kept=kept, threads=self._threads)
        asked = Codes(queries, self._n_bits).prefix(prefix_bits).packed
        found, _ = nearest(asked, first, max(candidates, k), kept=kept, threads=self._threads)
        return nearest_among(queries, packed, found, k, threads=self._threads)

    def _stored(self, built: First) -> tuple[dict[str, Any], Arrays]:
        return {"settings": asdict(built.settings)}, {"first": built.packed}

    @classmethod
    def _restored(cls, told: Mapping[str, Any], arrays: Arrays, packed: NDArray[np.uint8]) -> First:
        return First(arrays["first"], PrefixSettings(**told["settings"]))
