"""Rules of bad input: a clear error that says what was expected and given, never a silent wrong result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import DataError, WidthError
from crossbit.hasher import Hasher
from crossbit.pairs import Labels, PairedFeatures
from crossbit.testing.subject import Subject
from crossbit.testing.verdict import must_raise, require


def wrong_width_raises(subject: Subject) -> None:
    """Features of another width raise WidthError with both widths, in either modality."""
    pairs, hasher = subject.world.pairs, subject.hasher
    for encode, rows in ((hasher.encode_images, pairs.image), (hasher.encode_texts, pairs.text)):
        wider = np.concatenate([rows, rows[:, :1]], axis=1)
        must_raise(WidthError, encode, wider, words=(rows.shape[1], wider.shape[1]))


def nan_raises(subject: Subject) -> None:
    """NaN and infinity raise DataError that names the row, when fitting and when encoding."""
    pairs, hasher = subject.few(20), subject.hasher
    for bad in (np.nan, np.inf):
        image, text = pairs.image.copy(), pairs.text.copy()
        image[11, 0] = text[13, 2] = bad
        must_raise(DataError, hasher.encode_images, image, words=("image", 11))
        must_raise(DataError, hasher.encode_texts, text, words=("text", 13))
        must_raise(DataError, _fit, subject, image, pairs.text, pairs.labels, words=("image", 11))


def misaligned_pairs_raise(subject: Subject) -> None:
    """Unequal numbers of images and texts raise DataError with both numbers."""
    pairs = subject.few(20)
    must_raise(DataError, _fit, subject, pairs.image, pairs.text[:17], pairs.labels, words=(20, 17))


def one_pair_raises(subject: Subject) -> None:
    """One pair teaches nothing and raises DataError."""
    must_raise(DataError, subject.method().fit, subject.few(1), words=("2", "got 1"))


def constant_features_raise(subject: Subject) -> None:
    """A modality whose rows are all the same raises DataError that names it."""
    pairs = subject.few(30)
    same_image, same_text = np.ones_like(pairs.image), np.full_like(pairs.text, 2.5)
    must_raise(DataError, _fit, subject, same_image, pairs.text, pairs.labels, words=("image",))
    must_raise(DataError, _fit, subject, pairs.image, same_text, pairs.labels, words=("text",))


def constant_columns_are_borne(subject: Subject) -> None:
    """Columns that do not vary (a word that no text has) and repeated columns do no harm."""
    pairs = subject.few(60)
    image = np.concatenate([pairs.image, np.zeros_like(pairs.image[:, :2]), pairs.image[:, :2]], axis=1)
    text = np.concatenate([pairs.text, np.ones_like(pairs.text[:, :2])], axis=1)
    hasher = subject.method(n_bits=16).fit(PairedFeatures(image, text, pairs.labels))
    require(hasher.encode_images(image).n_unique() > 1, "all images have one code")
    require(hasher.encode_texts(text).n_unique() > 1, "all texts have one code")


def zero_rows_are_left_out(subject: Subject) -> None:
    """Pairs with an all-zero modality are left out and counted, and still get a code; only such pairs raise."""
    pairs = subject.few(60)
    text = pairs.text.copy()
    text[[4, 9]] = 0
    hasher = subject.method(n_bits=16).fit(PairedFeatures(pairs.image, text, pairs.labels))
    require(hasher.report["pairs"] == 58, f"58 of 60 pairs are usable; the report says {hasher.report['pairs']}")
    require("4, 9" in hasher.report["left_out"], f"the rows left out are not named: {hasher.report['left_out']}")
    require(len(hasher.encode_texts(text)) == 60, "an item without words gets no code")
    nothing = PairedFeatures(np.zeros_like(pairs.image), pairs.text, pairs.labels)
    must_raise(DataError, subject.method().fit, nothing, words=("zero",))


def _fit(subject: Subject, image: NDArray[Any], text: NDArray[Any], labels: Labels | None) -> Hasher:
    return subject.method().fit(PairedFeatures(image, text, labels))


INPUT_RULES = (
    wrong_width_raises,
    nan_raises,
    misaligned_pairs_raise,
    one_pair_raises,
    constant_features_raise,
    constant_columns_are_borne,
    zero_rows_are_left_out,
)
