"""Leaks: what lets a score tell more of the data's flaws, or of its labels, than of a method."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossbit.hasher import Hasher
from crossbit.judging.suspicions import label_order
from crossbit.kernels import within
from crossbit.pairs import Features, PairedFeatures, Rows, Split, row_digests

BATCHES = (1, 7, 256)
_NEAR_PICTURES = 3  # bits of 64 in which two prints of one picture may differ
_FLAT = 4  # of 255: a smaller step is noise of an even ground, no edge
_NEAR_TEXTS = 0.8  # shared words over all words of two texts that are nearly one
_WORDS = 4  # words a text needs before its near copies say anything
_SORTED = 0.5


@dataclass(frozen=True)
class Finding:
    """One thing found. leak: it makes scores wrong; a note only has to be known.

    what: a short name for programs. told: a sentence. rows: the first ten couples of query and other row, where rows
    are concerned. n: how many there are in all.
    """

    what: str
    leak: bool
    told: str
    n: int = 1
    rows: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The finding as plain values."""
        return {**vars(self), "rows": [list(couple) for couple in self.rows]}


def row_leaks(train: Rows, query: Rows, database: Rows) -> list[Finding]:
    """Row numbers that are query and train or database at once; `Split` refuses these, other tools do not."""
    found = []
    for name, rows in (("database", database), ("train", train)):
        shared = np.intersect1d(query, rows)
        if shared.size:
            told = f"{shared.size:,} of {len(query):,} query rows are {name} rows too; take them out of one of the two."
            found.append(Finding(f"query in {name}", True, told, int(shared.size), _couples(shared, shared)))
    return found


def content_leaks(
    pairs: PairedFeatures,
    split: Split,
    *,
    captions: Sequence[str] = (),
    pictures: Sequence[bytes] | None = None,
) -> list[Finding]:
    """Queries whose content stands in train or database under another row.

    Exact: both feature rows are the same (a leak), or the image's alone (a leak: the picture stands there with another
    text), or the text's alone (a note: captions repeat). Near, where the contents themselves are given: pictures whose
    64-bit difference hashes lie within 3 bits, and captions of 4 words and more that share 80 % of their words.
    """
    others = np.union1d(split.train, split.database)
    kinds = (
        ("same pair", True, row_digests(pairs), "the same picture and text"),
        ("same picture", True, [row.tobytes() for row in pairs.image], "the same picture, with another text"),
        ("same text", False, [row.tobytes() for row in pairs.text], "the same text, with another picture"),
    )
    found: list[Finding] = []
    known: set[int] = set()
    for what, leak, keys, told in kinds:
        first = {keys[row]: int(row) for row in others[::-1]}
        own = [int(row) for row in split.query if int(row) not in known and keys[row] in first]
        found += _of_couples(what, leak, own, [first[keys[row]] for row in own], told, len(split.query))
        known |= set(own) if what == "same pair" else set()
    if pictures is not None:
        queries, there = _near_pictures(pictures, split.query, others)
        told = "a picture that looks the same"
        found += _of_couples("near picture", True, queries, there, told, len(split.query))
    if any(captions):
        queries, there = _near_texts(captions, split.query, others)
        told = "nearly the same caption"
        found += _of_couples("near text", False, queries, there, told, len(split.query))
    return found


def batch_leaks(encode: Callable[[Features], NDArray[Any]], features: Features, *, seed: int = 0) -> list[Finding]:
    """Whether an item's code depends on the items encoded with it: batches of 1, 7 and 256, and a random order.

    encode: from feature rows (b, d) to codes, an array with a row an item; compared bit by bit.
    """
    whole, order = np.asarray(encode(features)), np.random.default_rng(seed).permutation(len(features))
    ways = {f"batches of {size}": _in_batches(encode, features, size) for size in BATCHES}
    ways["another order"] = np.asarray(encode(features[order]))[np.argsort(order)]
    found = []
    for way, codes in ways.items():
        wrong = np.flatnonzero((codes != whole).any(axis=1)) if codes.shape == whole.shape else np.arange(len(features))
        if wrong.size:
            told = f"{wrong.size:,} of {len(features):,} items get another code in {way}; an encoder must see one item."
            found.append(Finding("batch dependent", True, told, int(wrong.size)))
    return found


def order_leaks(pairs: PairedFeatures, split: Split) -> list[Finding]:
    """Queries or database in the order of their labels: harmless by itself, a leak with a batch-dependent encoder."""
    found = []
    for part in ("query", "database") if pairs.labels is not None else ():
        assert pairs.labels is not None
        order = label_order(pairs.labels[getattr(split, part)])
        if order > _SORTED:
            told = f"The {part} rows stand in the order of their labels; ties by file order and batches see it."
            found.append(Finding("label order", False, told))
    return found


def label_leaks(fit: Callable[[PairedFeatures], Hasher], pairs: PairedFeatures, *, seed: int = 0) -> list[Finding]:
    """Whether labels reach an unsupervised fit: with the labels shuffled and without any, the hasher must be the same.

    fit: a method's `fit`, or any function that must not look at labels. Fits three times.
    """
    if pairs.labels is None:
        return []
    shuffled = np.random.default_rng(seed).permutation(pairs.labels)
    own = fit(pairs).fingerprint()
    changed = {
        "shuffled": PairedFeatures(pairs.image, pairs.text, shuffled),
        "taken away": pairs.without_labels(),
    }
    return [
        Finding("labels reach the fit", True, f"With its labels {how} the fit gives another hasher.")
        for how, other in changed.items()
        if fit(other).fingerprint() != own
    ]


def selection_leaks(
    fit: Callable[[PairedFeatures, Split], Hasher], pairs: PairedFeatures, split: Split, *, seed: int = 0
) -> list[Finding]:
    """Whether anything is chosen on the queries: with their features or labels redrawn, the hasher must be the same.

    fit: the whole procedure, the choice of epoch and settings included, from pairs and split to a hasher. Fits three
    times.
    """
    rng, own = np.random.default_rng(seed), fit(pairs, split).fingerprint()
    image, text = pairs.image.copy(), pairs.text.copy()
    for values in (image, text):
        values[split.query] = rng.permutation(values[split.query].ravel()).reshape(values[split.query].shape)
    changed = {"features": PairedFeatures(image, text, pairs.labels)}
    if pairs.labels is not None:
        labels = pairs.labels.copy()
        labels[split.query] = ~labels[split.query]
        changed["labels"] = PairedFeatures(pairs.image, pairs.text, labels)
    return [
        Finding("chosen on queries", True, f"With other {part} of the queries the procedure gives another hasher.")
        for part, other in changed.items()
        if fit(other, split).fingerprint() != own
    ]


def hasher_leaks(hasher: Hasher, pairs: PairedFeatures, rows: Rows) -> list[Finding]:
    """`batch_leaks` of both hash functions of a hasher, on some rows."""
    found = []
    some: tuple[tuple[Literal["image", "text"], Any], ...] = (
        ("image", hasher.encode_images),
        ("text", hasher.encode_texts),
    )
    for modality, encode in some:
        features = getattr(pairs, modality)[rows]
        for one in batch_leaks(lambda batch, encode=encode: encode(batch).packed, features):  # type: ignore[misc]  # a bound default
            found.append(Finding(one.what, one.leak, f"{modality}: {one.told}", one.n, one.rows))
    return found


def _in_batches(encode: Callable[[Features], NDArray[Any]], features: Features, size: int) -> NDArray[Any]:
    parts = [np.asarray(encode(features[at : at + size])) for at in range(0, len(features), size)]
    return np.concatenate(parts)


def _of_couples(
    what: str, leak: bool, queries: Sequence[int], others: Sequence[int], told: str, n: int
) -> list[Finding]:
    if not len(queries):
        return []
    different = len(set(queries))
    said = f"{different:,} of {n:,} queries have {told} in train or database."
    return [Finding(what, leak, said, different, _couples(queries, others))]


def _couples(queries: Sequence[int] | Rows, others: Sequence[int] | Rows) -> tuple[tuple[int, int], ...]:
    return tuple((int(query), int(other)) for query, other in list(zip(queries, others, strict=True))[:10])


def _near_pictures(pictures: Sequence[bytes], queries: Rows, others: Rows) -> tuple[list[int], list[int]]:
    hashed = ((int(row), _difference_hash(pictures[row])) for row in np.union1d(queries, others))
    prints = {row: bits for row, bits in hashed if bits is not None}
    asking, asked = ([row for row in rows.tolist() if row in prints] for rows in (queries, others))
    if not asking or not asked:
        return [], []
    own, there = (np.stack([prints[row] for row in rows]) for rows in (asking, asked))
    rows, _, bounds = within(own, there, _NEAR_PICTURES)
    numbers = np.repeat(np.arange(len(asking)), np.diff(bounds))
    return [asking[number] for number in numbers], [asked[row] for row in rows]


def _difference_hash(content: bytes) -> NDArray[np.uint8] | None:
    """64 bits: which of 8 x 8 places are clearly darker than their right neighbour; None for flat or broken ones."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            ground = Image.new("RGBA", picture.size, "white")
            seen = Image.alpha_composite(ground, picture.convert("RGBA")).convert("L").resize((9, 8))
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    grey = np.asarray(seen, dtype=np.int16)
    return None if np.ptp(grey) < 16 else np.packbits(grey[:, 1:] > grey[:, :-1] + _FLAT)


def _near_texts(captions: Sequence[str], queries: Rows, others: Rows) -> tuple[list[int], list[int]]:
    """Couples of captions that share most words, found by their rarest words."""
    words = {int(row): frozenset(re.findall(r"\w+", captions[row].lower())) for row in np.union1d(queries, others)}
    where: dict[str, list[int]] = {}
    for row in others.tolist():
        for word in words[row]:
            where.setdefault(word, []).append(row)
    found: tuple[list[int], list[int]] = ([], [])
    for query in queries.tolist():
        own = words[query]
        if len(own) < _WORDS:
            continue
        # A caption that shares 80 % of the words has one at least of any fifth of them and one more.
        rare = sorted(own, key=lambda word: len(where.get(word, ())))[: len(own) // 5 + 1]
        for other in sorted({row for word in rare for row in where.get(word, ())}):
            if len(own & words[other]) >= _NEAR_TEXTS * len(own | words[other]):
                found[0].append(query)
                found[1].append(other)
                break
    return found
