"""What stands in for a score where there are no labels: figures of the codes of held-out pairs. No torch.

Which of them goes with mAP, and how far, is measured in docs/choosing.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import DataError, WidthError
from crossbit.evaluation.measures import pair_places
from crossbit.evaluation.monitors import average_ranks, unit
from crossbit.hasher import Hasher
from crossbit.pairs import Features, PairedFeatures

AT_MOST = 1000
"""Pairs that proxies are computed on; of more a random part is taken."""
NEAREST_SHARE = 0.05
"""Of the items, how many count as the nearest ones."""
_COUPLES = 200_000

Square = NDArray[np.float32]


@dataclass(frozen=True)
class CodeProxies:
    """What the codes of n pairs say of themselves and of their features; no label is involved.

    n_pairs: how many pairs the figures are of.
    pair_rank_i2t, pair_rank_t2i: mean rank of a pair's text for its image, and the reverse, over n - 1, ties at their
    mean; from 0, always first, to 1; .5 is chance.
    bit_balance: 1 - mean |mean of a bit in {-1, +1}|, over the bits of both modalities; from 0 to 1, all balanced.
    bit_correlation: mean |correlation| of two bits of one modality, from 0 to 1; a bit that never varies counts as
    correlated with all. 0 for a single bit.
    effective_rank: the exponential of the entropy of the eigenvalues of the bits' covariance, each over their sum
    (Roy and Vetterli 2007), over n_bits; the mean of both modalities; from 0 to 1, all bits tell something else.
    unique: different codes over n; the mean of both modalities; up to 1.
    agreement_image, agreement_text: rank correlation, -1 to 1, of image code i with text code j on one side, and of
    the centred cosine of the two image (text) features on the other, over couples i != j.
    neighbourhood: how near by those cosines the twentieth with the nearest codes of the other modality is: their mean
    rank, from 1, the nearest, to -1, the farthest; 0 is chance. The mean of both directions and both cosines.
    teacher_agreement: as the other agreements, with the cosine of a teacher's outputs; None without a teacher.
    """

    n_pairs: int
    pair_rank_i2t: float
    pair_rank_t2i: float
    bit_balance: float
    bit_correlation: float
    effective_rank: float
    unique: float
    agreement_image: float
    agreement_text: float
    neighbourhood: float
    teacher_agreement: float | None = None

    @property
    def together(self) -> float:
        """The mean of pair order, agreement and neighbourhood, each from -1 to 1 with chance at 0."""
        judged = self._alone()
        return float(np.mean([judged[name] for name in ("pair_rank", "agreement", "neighbourhood")]))

    def judged(self) -> dict[str, float]:
        """Every figure to choose by, turned so that the greatest is the best; the names are those of PROXIES.

        pair_rank is 1 - 2 x the mean of both ways, bit_correlation 1 - itself, agreement the mean of both cosines.
        teacher_agreement is left out where there is none.
        """
        taught = {} if self.teacher_agreement is None else {"teacher_agreement": self.teacher_agreement}
        return {**self._alone(), "together": self.together, **taught}

    def _alone(self) -> dict[str, float]:
        return {
            "pair_rank": 1 - (self.pair_rank_i2t + self.pair_rank_t2i),
            "bit_balance": self.bit_balance,
            "bit_correlation": 1 - self.bit_correlation,
            "effective_rank": self.effective_rank,
            "unique": self.unique,
            "agreement": (self.agreement_image + self.agreement_text) / 2,
            "neighbourhood": self.neighbourhood,
        }

    def to_json(self) -> dict[str, float | None]:
        """The figures as plain JSON values."""
        return asdict(self)


PROXIES: Mapping[str, str] = {
    "pair_rank": "a pair's own other half comes first",
    "bit_balance": "each bit is 1 for half of the items",
    "bit_correlation": "no two bits say the same",
    "effective_rank": "many directions of the codes vary",
    "unique": "few items share a code",
    "agreement": "codes order items as both features do",
    "neighbourhood": "the nearest codes belong to items near in the features",
    "together": "the mean of pair_rank, agreement and neighbourhood",
    "teacher_agreement": "codes order items as a teacher's outputs do",
}
"""The figures of `CodeProxies.judged`, and what each asks for."""


def code_proxies(
    image_codes: Codes, text_codes: Codes, pairs: PairedFeatures, *, teacher: Hasher | None = None, seed: int = 0
) -> CodeProxies:
    """The proxies of the codes of n pairs, row i of each belonging to pair i.

    pairs: the features that were encoded; their labels are not looked at. To tell anything of new items they must not
    have been learned from. teacher: whose real-valued outputs for the pairs are compared too. seed: draws AT_MOST of
    more pairs, and 200,000 of more couples.

    Raises WidthError for unequal code lengths, DataError for unequal numbers or fewer than three pairs.
    """
    if image_codes.n_bits != text_codes.n_bits:
        raise WidthError(
            f"Both modalities need one code length; got {image_codes.n_bits} and {text_codes.n_bits} bits."
        )
    n = len(pairs)
    if not n == len(image_codes) == len(text_codes) or n < 3:
        raise DataError(
            f"Proxies need the codes of the same 3 or more pairs; got {len(image_codes)} image and {len(text_codes)} "
            f"text codes of {n} pairs."
        )
    generator = np.random.default_rng(seed)
    rows = np.sort(generator.permutation(n)[:AT_MOST])
    image_codes, text_codes = image_codes[rows], text_codes[rows]
    image, text = pairs.image[rows], pairs.text[rows]
    bits = [codes.signs() for codes in (image_codes, text_codes)]
    alike = np.asarray(bits[0] @ bits[1].T, dtype=np.float32)
    image, text = (_cosines(side - side.mean(axis=0)) for side in (pairs.image[rows], pairs.text[rows]))
    places, couples = [_places(side) for side in (image, text)], _couples(len(rows), generator)
    taught = None if teacher is None else _taught(teacher, pairs.image[rows], pairs.text[rows])
    return CodeProxies(
        n_pairs=len(rows),
        pair_rank_i2t=_pair_rank(image_codes, text_codes),
        pair_rank_t2i=_pair_rank(text_codes, image_codes),
        bit_balance=1 - float(np.mean([np.abs(side.mean(axis=0)).mean() for side in bits])),
        bit_correlation=float(np.mean([_bit_correlation(side) for side in bits])),
        effective_rank=float(np.mean([_effective_rank(side) for side in bits])),
        unique=(image_codes.n_unique() + text_codes.n_unique()) / (2 * len(rows)),
        agreement_image=_rank_correlation(alike, image, couples),
        agreement_text=_rank_correlation(alike, text, couples),
        neighbourhood=float(np.mean([_nearness(near, side) for near in (alike, alike.T) for side in places])),
        teacher_agreement=None if taught is None else _rank_correlation(alike, taught, couples),
    )


def _pair_rank(queries: Codes, items: Codes) -> float:
    nearer, equal = pair_places(queries, items, np.arange(len(queries)))
    return float((nearer + (equal - 1) / 2).mean()) / (len(queries) - 1)


def _covariance(signs: NDArray[np.float32]) -> NDArray[np.float64]:
    centred = signs.astype(np.float64) - signs.mean(axis=0, dtype=np.float64)
    return np.asarray(centred.T @ centred / len(signs))


def _bit_correlation(signs: NDArray[np.float32]) -> float:
    covariance = _covariance(signs)
    n_bits = len(covariance)
    if n_bits == 1:
        return 0.0
    spread = np.sqrt(np.diag(covariance))
    varies = spread > 0
    correlation = np.ones((n_bits, n_bits))
    both = np.outer(varies, varies)
    correlation[both] = np.abs(covariance[both] / np.outer(spread, spread)[both])
    return float(np.clip(correlation[~np.eye(n_bits, dtype=np.bool_)].mean(), 0, 1))


def _effective_rank(signs: NDArray[np.float32]) -> float:
    values = np.clip(np.linalg.eigvalsh(_covariance(signs)), 0, None)
    if not values.sum() > 0:
        return 0.0
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum())) / len(values)


def _couples(n: int, generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ordered couples of different items: all of them, or so many random ones."""
    if n * (n - 1) <= _COUPLES:
        first, second = np.nonzero(~np.eye(n, dtype=np.bool_))
        return first, second
    first = generator.integers(n, size=_COUPLES)
    return first, (first + 1 + generator.integers(n - 1, size=_COUPLES)) % n


def _rank_correlation(first: Square, second: Square, couples: tuple[NDArray[np.int64], NDArray[np.int64]]) -> float:
    compared = first[couples], second[couples]
    if any(float(np.ptp(one)) == 0 for one in compared):  # what never differs keeps no order
        return 0.0
    return float(np.corrcoef(average_ranks(compared[0]), average_ranks(compared[1]))[0, 1])


def _places(cosines: Square) -> Square:
    """The rank of each other item in its row, 0 the nearest, ties at their mean; the item itself is left out."""
    n = len(cosines)
    others = cosines[~np.eye(n, dtype=np.bool_)].reshape(n, n - 1)
    return np.stack([n - 1 - average_ranks(row) for row in others]).astype(np.float32)


def _nearness(alike: Square, places: Square) -> float:
    """The mean place, 1 to -1, of the items with the nearest codes; of tied ones each weighs its share."""
    n = len(alike)
    nearest = max(1, round(NEAREST_SHARE * (n - 1)))
    codes = alike[~np.eye(n, dtype=np.bool_)].reshape(n, n - 1)
    bar = np.partition(codes, n - 1 - nearest, axis=1)[:, n - 1 - nearest, None]
    above, tied = codes > bar, codes == bar
    share = (nearest - above.sum(axis=1, keepdims=True)) / tied.sum(axis=1, keepdims=True)
    mean = float(((above + tied * share) * places).sum(axis=1, dtype=np.float64).mean()) / nearest
    return 1 - 2 * mean / max(n - 2, 1)


def _cosines(rows: Features) -> Square:
    return np.asarray(unit(rows) @ unit(rows).T, dtype=np.float32)


def _taught(teacher: Hasher, image: Features, text: Features) -> Square:
    outputs = unit(np.tanh(teacher.image(image))), unit(np.tanh(teacher.text(text)))
    return np.asarray(outputs[0] @ outputs[1].T, dtype=np.float32)
