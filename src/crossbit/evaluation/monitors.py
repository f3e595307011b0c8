"""What can be said of codes without any labels: signs of collapse, and the agreement with a teacher."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import DataError, WidthError
from crossbit.evaluation.measures import pair_places
from crossbit.hasher import Hasher
from crossbit.pairs import PairedFeatures

_PAIRS_RANKED = 2000


@dataclass(frozen=True)
class CodeMonitor:
    """What can be said of the codes of n pairs without labels.

    balanced_bits: share of bits, over both modalities, whose mean in {-1, +1} lies within [-.9, .9]; healthy codes
    have .95 and more. unique_image, unique_text: different codes over items; near 0 means collapse.
    paired_distance: mean Hamming distance between the two codes of a pair over n_bits; .5 is chance.
    pair_rank: mean rank of a pair's text for its image and the reverse, over the pairs ranked, ties at their mean;
    0 is always first, .5 is chance. (It is taken over at most 2,000 evenly spaced pairs.)
    """

    balanced_bits: float
    unique_image: float
    unique_text: float
    paired_distance: float
    pair_rank: float

    def to_json(self) -> dict[str, float]:
        """The figures as plain JSON values."""
        return asdict(self)


def code_monitors(image_codes: Codes, text_codes: Codes) -> CodeMonitor:
    """The monitors of paired codes, row i of each belonging to pair i.

    Raises WidthError for unequal code lengths, DataError for unequal numbers or none.
    """
    if image_codes.n_bits != text_codes.n_bits:
        raise WidthError(
            f"Both modalities need one code length; got {image_codes.n_bits} and {text_codes.n_bits} bits."
        )
    n = len(image_codes)
    if n != len(text_codes) or n == 0:
        raise DataError(f"Monitors need the codes of pairs; got {n} image and {len(text_codes)} text codes.")
    apart = np.unpackbits(image_codes.packed ^ text_codes.packed, axis=1)
    return CodeMonitor(
        balanced_bits=float(np.mean([_balanced(image_codes), _balanced(text_codes)])),
        unique_image=image_codes.n_unique() / n,
        unique_text=text_codes.n_unique() / n,
        paired_distance=float(apart.sum()) / (n * image_codes.n_bits),
        pair_rank=_pair_rank(image_codes, text_codes),
    )


def _balanced(codes: Codes) -> float:
    means = 2 * codes.bits().mean(axis=0) - 1
    return float((np.abs(means) <= 0.9).mean())


def _pair_rank(image_codes: Codes, text_codes: Codes) -> float:
    rows = np.unique(np.linspace(0, len(image_codes) - 1, _PAIRS_RANKED).astype(np.int64))
    if len(rows) < 2:
        return 0.0
    image_codes, text_codes = image_codes[rows], text_codes[rows]
    own = np.arange(len(rows))
    ranks = []
    for queries, items in ((image_codes, text_codes), (text_codes, image_codes)):
        nearer, equal = pair_places(queries, items, own)
        ranks.append(float((nearer + (equal - 1) / 2).mean()) / (len(rows) - 1))
    return float(np.mean(ranks))


def teacher_agreement(
    student: Hasher, teacher: Hasher, pairs: PairedFeatures, *, at_most: int = 2000, seed: int = 0
) -> float:
    """How far a student's codes keep their teacher's order of pairs: a rank correlation in [-1, 1], without labels.

    Compared are, over all ordered couples of up to `at_most` random pairs, the agreement of one's image code with the
    other's text code and the cosine of the teacher's real-valued outputs for the same two. The two hashers may have
    different code lengths. Raises DataError for fewer than three pairs.
    """
    if len(pairs) < 3:
        raise DataError(f"An agreement needs at least 3 pairs; got {len(pairs)}.")
    rows = np.random.default_rng(seed).permutation(len(pairs))[:at_most]
    image, text = pairs.image[rows], pairs.text[rows]
    codes = student.encode_images(image).signs() @ student.encode_texts(text).signs().T
    taught = unit(np.tanh(teacher.image(image))) @ unit(np.tanh(teacher.text(text))).T
    others = ~np.eye(len(rows), dtype=np.bool_)
    step = max(1, others.sum() // 500_000)
    compared = codes[others][::step], taught[others][::step]
    if any(float(np.ptp(one)) == 0 for one in compared):  # collapsed codes keep no order at all
        return 0.0
    return float(np.corrcoef(average_ranks(compared[0]), average_ranks(compared[1]))[0, 1])


def average_ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Ranks with ties at their mean; in NumPy, because scipy.stats would slow down every import of this package."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place], dtype=np.float64)


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows (n, d) at length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)
