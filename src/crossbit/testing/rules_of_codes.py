"""Rules of the codes: they retrieve, they do not collapse, and an item's code is its own wherever it is made."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from crossbit.codes import Codes
from crossbit.hasher import Hasher
from crossbit.methods import load_method
from crossbit.pairs import Features
from crossbit.testing.planted import planted_score
from crossbit.testing.subject import N_BITS, Subject
from crossbit.testing.torch_free import run_without_torch
from crossbit.testing.verdict import require

MARGIN = 0.15  # of mAP above random projection: about a fifth of the way to a perfect ranking of the planted world
_ENCODE = """
import sys
import numpy as np
from crossbit import Hasher

hasher = Hasher.load(sys.argv[1] + "/hasher.safetensors")
for side, encode in (("image", hasher.encode_images), ("text", hasher.encode_texts)):
    codes = encode(np.load(f"{sys.argv[1]}/{side}.npy", allow_pickle=False))
    np.save(f"{sys.argv[1]}/{side}-codes.npy", codes.packed)
assert "torch" not in sys.modules
"""


def beats_random_projection(subject: Subject) -> None:
    """mAP on the planted world lies .15 above random projection (mean of five seeds), I2T and T2I."""
    projection = load_method("random-projection")
    floors = [_scores(subject, projection(n_bits=N_BITS, seed=seed).fit(subject.world.train)) for seed in range(5)]
    floor = np.mean(floors, axis=0)
    for direction, score, lowest in zip(("I2T", "T2I"), _scores(subject, subject.hasher), floor, strict=True):
        require(score >= lowest + MARGIN, f"{direction} mAP is {score:.3f}; random projection reaches {lowest:.3f}")


def codes_do_not_collapse(subject: Subject) -> None:
    """At least half the bits vary, and there are at least as many different codes as planted classes."""
    for side, codes in zip(("image", "text"), subject.codes, strict=True):
        bits = codes.bits()
        varying = int((bits.any(axis=0) & ~bits.all(axis=0)).sum())
        require(2 * varying >= codes.n_bits, f"only {varying} of {codes.n_bits} {side} bits vary")
        unique = codes.n_unique()
        require(
            unique >= subject.world.labels.shape[1], f"{len(codes)} items have only {unique} different {side} codes"
        )


def batches_do_not_change_codes(subject: Subject) -> None:
    """A row has the same code in batches of 1, 7 and 256 and in another order, bit for bit."""
    pairs, hasher = subject.world.pairs, subject.hasher
    order = np.random.default_rng(5).permutation(len(pairs))
    sides = (("image", hasher.encode_images, pairs.image), ("text", hasher.encode_texts, pairs.text))
    for (side, encode, rows), whole in zip(sides, subject.codes, strict=True):
        for size in (1, 7, 256):
            require(_in_batches(encode, rows, size) == whole, f"{side} codes made in batches of {size} differ")
        require(encode(rows[order]) == whole[order], f"{side} codes depend on the order of the rows")


def other_modality_does_not_change_codes(subject: Subject) -> None:
    """An item's code is the same when the other side of its pair is another one, whichever is encoded first."""
    pairs, hasher = subject.world.pairs, subject.hasher
    order = np.random.default_rng(6).permutation(len(pairs))
    for changed in (pairs.text[order], -pairs.text, np.zeros_like(pairs.text)):
        hasher.encode_texts(changed)
        require(hasher.encode_images(pairs.image) == subject.codes[0], "image codes depend on the texts of their pairs")
    for changed in (pairs.image[order], -pairs.image, np.zeros_like(pairs.image)):
        hasher.encode_images(changed)
        require(hasher.encode_texts(pairs.text) == subject.codes[1], "text codes depend on the images of their pairs")


def saves_and_loads_without_torch(subject: Subject) -> None:
    """A saved hasher gives the same codes in a process that cannot import torch."""
    pairs = subject.world.pairs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subject.hasher.save(folder / "hasher.safetensors")
        np.save(folder / "image.npy", pairs.image)
        np.save(folder / "text.npy", pairs.text)
        run_without_torch(_ENCODE, [name])
        for side, here in zip(("image", "text"), subject.codes, strict=True):
            there = np.load(folder / f"{side}-codes.npy", allow_pickle=False)
            require(np.array_equal(there, here.packed), f"{side} codes differ in a process without torch")
        again = Hasher.load(folder / "hasher.safetensors")
    require(again.fingerprint() == subject.hasher.fingerprint(), "the loaded hasher has another fingerprint")
    require(again.report == subject.hasher.report, "the report does not survive the file")


def _scores(subject: Subject, hasher: Hasher) -> tuple[float, float]:
    """mAP over the whole ranking, I2T and T2I, on the planted world."""
    (image, text), split, relevant = subject.encode(hasher), subject.world.split, subject.world.relevant()
    return (
        planted_score(image[split.query], text[split.database], relevant),
        planted_score(text[split.query], image[split.database], relevant),
    )


def _in_batches(encode: Callable[[Features], Codes], rows: Features, size: int) -> Codes:
    parts = [encode(rows[start : start + size]) for start in range(0, len(rows), size)]
    return Codes(np.concatenate([part.packed for part in parts]), parts[0].n_bits)


CODE_RULES = (
    beats_random_projection,
    codes_do_not_collapse,
    batches_do_not_change_codes,
    other_modality_does_not_change_codes,
    saves_and_loads_without_torch,
)
