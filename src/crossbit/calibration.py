"""From a Hamming distance to the probability of a true match, measured on pairs that the training never saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import DataError, FileFormatError, SettingsError, WidthError
from crossbit.pairs import PairedFeatures

Direction = Literal["I2T", "T2I"]
Ratios = NDArray[np.float64]

LEAST_PAIRS = 30  # fewer held-out pairs say too little about the distances of true matches
DEFAULT_RANDOM_PER_MATCH = 999.0  # one match among a thousand items
_RANDOM_PAIRS = 2_000_000  # random pairs compared at most, in each direction
_BLOCK = 65_536  # pairs compared at once: bounds the memory
_ONES = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a Hamming distance says: how much more often a true pair lies at it than a random pair does.

    i2t, t2i: by direction (image queries against texts; text queries against images) the likelihood ratio at each
        distance, (n_bits + 1,) float64, above 0, never rising with the distance.
    pairs: the held-out pairs it was measured on. random_pairs: the random pairs, in each direction.
    random_per_match: r, how many random items are taken to stand beside each true match unless a call says otherwise.

    The probability of a match at distance d is ratio(d) / (ratio(d) + r): Bayes' rule for one true pair to r random
    pairs. A search among m items of which one is the match has r = m - 1. Nothing can be said without r: the same
    distance is a sure match among ten items and chance among a million.

    Raises DataError or SettingsError for values that cannot be.
    """

    i2t: Ratios
    t2i: Ratios
    pairs: int
    random_pairs: int
    random_per_match: float = DEFAULT_RANDOM_PER_MATCH

    def __post_init__(self) -> None:
        for name in ("i2t", "t2i"):
            ratios = np.array(getattr(self, name), dtype=np.float64)
            if ratios.ndim != 1 or len(ratios) < 2 or not (np.isfinite(ratios).all() and (ratios > 0).all()):
                raise DataError(f"{name} is expected as a ratio above 0 for each distance; got {ratios.shape}.")
            if (np.diff(ratios) > 0).any():
                raise DataError(f"{name} rises with the distance: no calibration does. Make it with calibrate().")
            ratios.flags.writeable = False
            object.__setattr__(self, name, ratios)
        if len(self.i2t) != len(self.t2i):
            raise WidthError(f"Both directions need one code length; got {len(self.i2t) - 1} and {len(self.t2i) - 1}.")
        _check_random_per_match(self.random_per_match)

    @property
    def n_bits(self) -> int:
        """The code length in bits."""
        return len(self.i2t) - 1

    def confidence(
        self, distances: NDArray[np.integer[Any]], direction: Direction, *, random_per_match: float | None = None
    ) -> NDArray[np.float64]:
        """The probability of a true match at each distance, same shape, between 0 and 1.

        random_per_match: random items beside each true match; the stored number where it is None. Raises DataError for
        a distance outside 0 to n_bits, SettingsError for another direction or a negative number of random items.
        """
        places = np.asarray(distances)
        if not np.issubdtype(places.dtype, np.integer):
            raise DataError(f"Hamming distances are whole numbers; got {places.dtype}.")
        if places.size and not 0 <= int(places.min()) <= int(places.max()) <= self.n_bits:
            raise DataError(f"Distances of {self.n_bits}-bit codes lie from 0 to {self.n_bits}; got others.")
        return self._table(direction, random_per_match)[places]

    def distance_for(
        self, min_confidence: float, direction: Direction, *, random_per_match: float | None = None
    ) -> int:
        """The largest distance whose confidence is at least min_confidence (0 to 1); -1 where there is none."""
        if isinstance(min_confidence, bool) or not 0 <= min_confidence <= 1:
            raise SettingsError(f"A confidence is a probability from 0 to 1; got {min_confidence!r}.")
        return int((self._table(direction, random_per_match) >= min_confidence).sum()) - 1

    def _table(self, direction: Direction, random_per_match: float | None) -> NDArray[np.float64]:
        if direction not in get_args(Direction):
            raise SettingsError(
                f"A confidence is known for I2T and T2I; got {direction!r}. Within one modality there are no true "
                "pairs to measure it on."
            )
        beside = self.random_per_match if random_per_match is None else _check_random_per_match(random_per_match)
        ratios = self.i2t if direction == "I2T" else self.t2i
        return ratios / (ratios + beside)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            "i2t": self.i2t.tolist(),
            "t2i": self.t2i.tolist(),
            "pairs": self.pairs,
            "random_pairs": self.random_pairs,
            "random_per_match": self.random_per_match,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """What `to_json` gave; raises FileFormatError for anything else."""
        try:
            names = ("i2t", "t2i", "pairs", "random_pairs", "random_per_match")
            return cls(**{name: values[name] for name in names})
        except (KeyError, TypeError, ValueError, DataError, SettingsError, WidthError) as error:
            raise FileFormatError(f"The stored calibration is damaged ({error}); calibrate again.") from error


class PairEncoder(Protocol):
    """What makes codes of both modalities; a Hasher is one."""

    def encode_images(self, features: NDArray[Any]) -> Codes:
        """Codes of image features."""

    def encode_texts(self, features: NDArray[Any]) -> Codes:
        """Codes of text features."""


def calibrate(
    hasher: PairEncoder,
    held_out: PairedFeatures,
    *,
    others: PairedFeatures | None = None,
    random_per_match: float = DEFAULT_RANDOM_PER_MATCH,
    seed: int = 0,
) -> Calibration:
    """Measure what the distances of a hasher's codes say.

    held_out: pairs that training never saw and that no evaluation asks with; hundreds are better than the least, 30.
    Pairs with an all-zero modality are left out. others: pairs whose items stand for what will be searched, such as
    the database; a random pair is then a held-out query and one of their items. The held-out
    pairs must not be among them. Without them random pairs are made of the held-out pairs themselves, and both
    directions are the same. seed: chooses the random pairs where there are
    more than two million.

    At each distance the share of true pairs is divided by the share of random pairs. The quotient is made to fall
    with the distance by isotonic regression (pool adjacent violators), and half a pair is added to each count of a
    pool, so that few pairs never claim certainty. Raises DataError for fewer than 30 usable pairs.
    """
    kept = np.setdiff1d(np.arange(len(held_out)), held_out.empty_rows())
    if len(kept) < LEAST_PAIRS:
        raise DataError(
            f"A calibration needs {LEAST_PAIRS} or more held-out pairs (hundreds are better); got {len(kept)}."
        )
    held_out = held_out[kept]
    images, texts = hasher.encode_images(held_out.image), hasher.encode_texts(held_out.text)
    targets = (texts, images)
    if others is not None:
        full = others[np.setdiff1d(np.arange(len(others)), others.empty_rows())]
        targets = hasher.encode_texts(full.text), hasher.encode_images(full.image)
    true = np.bincount(_distances(images.packed, texts.packed), minlength=images.n_bits + 1)
    rng = np.random.default_rng(seed)
    random = [
        _random_counts(queries, items, own=others is None, rng=rng)
        for queries, items in zip((images, texts), targets, strict=True)
    ]
    ratios = [falling_ratios(true, counts) for counts in random]
    return Calibration(ratios[0], ratios[1], len(kept), int(random[0].sum()), float(random_per_match))


def falling_ratios(true: NDArray[np.integer[Any]], random: NDArray[np.integer[Any]]) -> Ratios:
    """Likelihood ratios that never rise, from the true and the random pairs counted at each distance (n_bits + 1,).

    The pools of the isotonic regression do not depend on how many random pairs stand beside each true one, so that
    one regression serves every such number. Distances at which no pair was seen take the ratio of the next larger
    one, which claims less.
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415  # slow to import, and only fitting needs it

    seen = np.flatnonzero(true + random)
    share_true, share_random = true[seen] / true.sum(), random[seen] / random.sum()
    weights = share_true + share_random
    pools = isotonic_regression(share_true / weights, weights=weights, increasing=False).blocks
    sums = [np.add.reduceat(counts[seen].astype(np.float64), pools[:-1]) for counts in (true, random)]
    likelihoods = [(counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in sums]
    # The half pairs move small pools more than large ones and can turn the order of two of them round: pooled again.
    pool_weights = likelihoods[0] + likelihoods[1]
    shares = isotonic_regression(likelihoods[0] / pool_weights, weights=pool_weights, increasing=False).x
    by_pool = shares / (1 - shares)
    by_seen = np.repeat(by_pool, np.diff(pools))
    after = np.minimum(np.searchsorted(seen, np.arange(len(true))), len(seen) - 1)
    return np.asarray(np.minimum.accumulate(by_seen[after]), dtype=np.float64)


def _random_counts(queries: Codes, items: Codes, *, own: bool, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many random pairs lie at each distance. own: queries and items are the same pairs, whose own are left out."""
    total = len(queries) * len(items)
    chosen = np.arange(total) if total <= _RANDOM_PAIRS else rng.integers(0, total, _RANDOM_PAIRS)
    rows, others = np.divmod(chosen, len(items))
    if own:
        rows, others = rows[rows != others], others[rows != others]
    counts = np.zeros(queries.n_bits + 1, dtype=np.int64)
    for start in range(0, len(rows), _BLOCK):
        some = slice(start, start + _BLOCK)
        distances = _distances(queries.packed[rows[some]], items.packed[others[some]])
        counts += np.bincount(distances, minlength=len(counts))
    return counts


def _distances(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Hamming distances of packed codes, row by row."""
    distances: NDArray[np.int64] = _ONES[left ^ right].sum(axis=1, dtype=np.int64)
    return distances


def _check_random_per_match(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value) or value < 0:
        raise SettingsError(f"random_per_match is a number of random items, 0 or more; got {value!r}.")
    return float(value)
