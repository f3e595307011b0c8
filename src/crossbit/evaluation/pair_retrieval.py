"""Finding the one right pair: recall of a picture's own captions and of a caption's own picture, without labels.

The measure of Flickr30k and COCO with Karpathy's split (Karpathy and Fei-Fei, CVPR 2015; VSE++ and after): the query
pairs search each other, pictures among all their captions and captions among all their pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from crossbit.codes import Codes
from crossbit.errors import DataError, SettingsError, WidthError
from crossbit.evaluation.measures import pair_places
from crossbit.evaluation.protocol import with_data
from crossbit.hasher import Hasher
from crossbit.kernels import Counts, code_words
from crossbit.pairs import Features, Rows, array_fingerprint


@dataclass(frozen=True)
class PairProtocol:
    """The rules of a recall of the own pair.

    name: what people call it. k: how many of the first places count. fold: pictures that search each other at a time,
    in their order, whose recalls are averaged ("COCO 1K"); None for all at once. Ties count as the mean over all their
    orders. Raises SettingsError for a k or a fold below 1.
    """

    name: str
    k: int
    fold: int | None = None

    def __post_init__(self) -> None:
        for what, value in (("k", self.k), ("fold", 1 if self.fold is None else self.fold)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SettingsError(f"{what} must be a whole number of 1 or more; got {value!r}.")

    def rules(self) -> dict[str, str | int | None]:
        """The rules as plain values, without the name."""
        return {"measure": "own pair among the first", "cutoff": self.k, "fold": self.fold, "ties": "expected"}

    def id(self, split_fingerprint: str, relevance: str, data_id: str = "") -> str:
        """A 10-digit hash of the rules, the split and which caption is whose: what `EvaluationProtocol.id` is."""
        rules = {"version": 1, "split": split_fingerprint, "relevance": relevance, **self.rules()}
        return with_data(hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:10], data_id)


PAIR_PROTOCOLS = {
    **{f"R{k}": PairProtocol(f"R@{k}", k) for k in (1, 5, 10)},
    **{f"R{k}_1K": PairProtocol(f"R@{k} (folds of 1,000)", k, 1000) for k in (1, 5, 10)},
}
"""The presets by their short names: all pictures at once, and the mean of folds of 1,000 as for "COCO 1K"."""


@dataclass(frozen=True)
class PairScores:
    """Recall under one protocol, from 0 to 1. i2t: pictures that find one of their captions; t2i: the reverse."""

    protocol: PairProtocol
    protocol_id: str
    i2t: float
    t2i: float

    @property
    def mean(self) -> float:
        """The mean of both directions."""
        return (self.i2t + self.t2i) / 2

    def to_json(self) -> dict[str, Any]:
        """The scores as plain JSON values."""
        values = {"i2t": self.i2t, "t2i": self.t2i, "mean": self.mean}
        return {"protocol": self.protocol.name, "protocol_id": self.protocol_id, **self.protocol.rules(), **values}


@dataclass(frozen=True)
class PairEvaluation:
    """Recalls of one hasher. scores, random: an entry a protocol, random of a ranking by chance.

    n_images, n_texts: pictures and captions that search each other. relevance: whose captions are whose, as a hash.
    """

    scores: tuple[PairScores, ...]
    random: tuple[PairScores, ...]
    n_images: int
    n_texts: int
    n_bits: int
    split_id: str
    relevance: str
    data_id: str

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        told = {name: value for name, value in self.__dict__.items() if name not in ("scores", "random")}
        return {name: [one.to_json() for one in getattr(self, name)] for name in ("scores", "random")} | told


def evaluate_pairs(
    hasher: Hasher,
    image: Features,
    text: Features,
    owner: Rows,
    protocols: Sequence[PairProtocol] = (PAIR_PROTOCOLS["R1"], PAIR_PROTOCOLS["R5"], PAIR_PROTOCOLS["R10"]),
    *,
    split_id: str = "",
) -> PairEvaluation:
    """Recall of a hasher. image: (n, d) pictures; text: (m, e) captions; owner: (m,) the picture each was written of.

    Raises DataError where a picture has no caption or an owner is no picture, and WidthError for features of another
    width than the hasher's.
    """
    owner = np.asarray(owner, dtype=np.int64)
    if owner.shape != (len(text),) or not len(owner) or owner.min() < 0 or owner.max() >= len(image):
        raise DataError(f"Each of {len(text)} captions needs a row of the {len(image)} pictures; got {owner.shape}.")
    alone = np.flatnonzero(np.bincount(owner, minlength=len(image)) == 0)
    if len(alone):
        raise DataError(f"{len(alone)} pictures have no caption, the first is picture {int(alone[0])}; leave them out.")
    images, texts = hasher.encode_images(image), hasher.encode_texts(text)
    relevance = own_pair_rule(owner)
    data_id = array_fingerprint(np.asarray(image), np.asarray(text))
    measured, chance = [], []
    for protocol in protocols:
        named = protocol.id(split_id, relevance, data_id)
        measured.append(PairScores(protocol, named, *_recalls(images, texts, owner, protocol)))
        chance.append(PairScores(protocol, named, *_random(owner, len(images), protocol)))
    rest = (len(images), len(texts), images.n_bits, split_id, relevance, data_id)
    return PairEvaluation(tuple(measured), tuple(chance), *rest)


def own_pair_rule(owner: Rows) -> str:
    """What is relevant to what, with a hash of which caption is whose."""
    return f"own pair {array_fingerprint(np.asarray(owner, dtype=np.int64))}"


def recall_of_own(images: Codes, texts: Codes, owner: Rows, k: int) -> tuple[float, float]:
    """The share of pictures with a caption of their own among the first k, and of captions with their picture there.

    Expected over the order of ties: where a captions are nearer than a picture's nearest own ones, e are as near, and
    g of these are its own, the first k hold none of them with probability C(e - g, k - a) / C(e, k - a).
    Raises WidthError for codes of two lengths.
    """
    if images.n_bits != texts.n_bits:
        raise WidthError(f"Pictures and captions need one code length; got {images.n_bits} and {texts.n_bits} bits.")
    apart = np.bitwise_count(code_words(images.packed)[owner] ^ code_words(texts.packed)).sum(axis=1, dtype=np.int64)
    order = np.lexsort((apart, owner))  # captions by picture, the nearest of each first
    first = order[np.searchsorted(owner[order], np.arange(len(images)))]
    as_near = np.bincount(owner[apart == apart[first][owner]], minlength=len(images))
    nearer, equal = pair_places(images, texts, first)
    i2t = float(any_among(nearer, equal, as_near, k).mean())
    nearer, equal = pair_places(texts, images, owner)
    return i2t, float(np.clip((k - nearer) / equal, 0.0, 1.0).mean())


def any_among(nearer: Counts, equal: Counts, own: Counts, k: int) -> NDArray[np.float64]:
    """The probability that one of `own` among `equal` tied items, behind `nearer` others, is among the first k."""
    drawn = np.clip(k - nearer, 0, equal).astype(np.float64)
    others = (equal - own).astype(np.float64)
    possible = drawn <= others
    drawn_possible = np.where(possible, drawn, 0.0)
    none = np.exp(_log_choose(others, drawn_possible) - _log_choose(equal.astype(np.float64), drawn_possible))
    return np.asarray(np.where(possible, 1.0 - none, 1.0), dtype=np.float64)


def _log_choose(n: NDArray[np.float64], k: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)


def _folds(n: int, owner: Rows, fold: int | None) -> Iterator[tuple[Rows, Rows]]:
    """The pictures and captions of each fold; a last fold that is not full is left out unless it is the only one."""
    size = min(fold or n, n)
    for start in range(0, n - size + 1, size):
        yield np.arange(start, start + size), np.flatnonzero((owner >= start) & (owner < start + size))


def _recalls(images: Codes, texts: Codes, owner: Rows, protocol: PairProtocol) -> tuple[float, float]:
    found = [
        recall_of_own(images[rows], texts[captions], owner[captions] - rows[0], protocol.k)
        for rows, captions in _folds(len(images), owner, protocol.fold)
    ]
    return float(np.mean([i2t for i2t, _ in found])), float(np.mean([t2i for _, t2i in found]))


def _random(owner: Rows, n: int, protocol: PairProtocol) -> tuple[float, float]:
    """A ranking by chance: everything ties."""
    found = []
    for rows, captions in _folds(n, owner, protocol.fold):
        own = np.bincount(owner[captions] - rows[0], minlength=len(rows))
        equal = np.full(len(rows), len(captions))
        i2t = float(any_among(np.zeros_like(equal), equal, own, protocol.k).mean())
        found.append((i2t, min(1.0, protocol.k / len(rows))))
    return float(np.mean([i2t for i2t, _ in found])), float(np.mean([t2i for _, t2i in found]))
