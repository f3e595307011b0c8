"""Pairs and splits: what is refused, and whether the message leads to the fault."""

from __future__ import annotations

import numpy as np
import pytest

from crossbit.errors import DataError, LabelError, SplitError
from crossbit.pairs import PairedFeatures, Split


@pytest.fixture
def pairs(generator: np.random.Generator) -> PairedFeatures:
    image, text = generator.standard_normal((12, 5)), generator.standard_normal((12, 3))
    return PairedFeatures(image, text, generator.random((12, 4)) < 0.5)


def test_pairs_are_float32_bool_and_read_only(pairs: PairedFeatures) -> None:
    assert (pairs.image.dtype, pairs.text.dtype) == (np.float32, np.float32)
    assert pairs.labels is not None
    assert pairs.labels.dtype == np.bool_
    for array in (pairs.image, pairs.text, pairs.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_the_callers_arrays_stay_writable_and_unchanged() -> None:
    image = np.ones((2, 2), dtype=np.float32)
    labels = np.ones((2, 1), dtype=bool)
    PairedFeatures(image, image, labels)
    image[0, 0] = 5
    labels[0, 0] = False


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, np.uint8, np.bool_])
def test_other_number_types_are_converted(dtype: type) -> None:
    values = np.array([[1, 0], [0, 1]]).astype(dtype)
    np.testing.assert_array_equal(PairedFeatures(values, values).image, np.eye(2, dtype=np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("side", ["image", "text"])
def test_nan_and_infinity_are_named_by_row(side: str, bad: float) -> None:
    arrays = {"image": np.ones((9, 2)), "text": np.ones((9, 2))}
    arrays[side][[3, 7], 1] = bad
    with pytest.raises(DataError, match=rf"{side} features hold NaN or infinity in 2 of 9 rows: rows 3, 7"):
        PairedFeatures(**arrays)


def test_many_bad_rows_are_counted_and_the_first_are_named() -> None:
    with pytest.raises(DataError, match=r"8 of 8 rows: rows 0, 1, 2, 3, 4 and 3 more"):
        PairedFeatures(np.full((8, 2), np.nan), np.ones((8, 2)))


def test_unequal_lengths_name_both() -> None:
    with pytest.raises(DataError, match="4 image rows and 3 text rows"):
        PairedFeatures(np.ones((4, 2)), np.ones((3, 2)))


@pytest.mark.parametrize("shape", [(4,), (4, 0), (4, 2, 2), ()])
def test_features_are_a_table(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"\(items, features\)"):
        PairedFeatures(np.ones(shape), np.ones((4, 2)))


@pytest.mark.parametrize("values", [np.array([["a"]]), np.array([[1j]]), np.array([[None]])])
def test_features_are_real_numbers(values: np.ndarray) -> None:
    with pytest.raises(DataError, match="real numbers"):
        PairedFeatures(values, np.ones((1, 2)))


def test_no_pairs_at_all() -> None:
    with pytest.raises(DataError, match="no pairs"):
        PairedFeatures(np.ones((0, 2)), np.ones((0, 2)))


@pytest.mark.parametrize("labels", [np.ones((3, 2)), np.ones(4), np.full((4, 2), 2), np.full((4, 1), 0.5)])
def test_labels_are_one_row_of_zeros_and_ones_a_pair(labels: np.ndarray) -> None:
    with pytest.raises(LabelError, match="Labels are expected as"):
        PairedFeatures(np.ones((4, 2)), np.ones((4, 2)), labels)


def test_zero_rows_are_allowed_and_found() -> None:
    image, text = np.ones((5, 2)), np.ones((5, 2))
    image[1] = text[[1, 4]] = 0
    assert PairedFeatures(image, text).empty_rows().tolist() == [1, 4]


def test_rows_are_taken_with_their_labels(pairs: PairedFeatures) -> None:
    taken = pairs[np.array([7, 2])]
    assert pairs.labels is not None
    assert taken.labels is not None
    np.testing.assert_array_equal(taken.text, pairs.text[[7, 2]])
    np.testing.assert_array_equal(taken.labels, pairs.labels[[7, 2]])
    assert pairs.without_labels()[:3].labels is None


def test_the_fingerprint_hangs_on_features_and_order_only(pairs: PairedFeatures) -> None:
    assert pairs.fingerprint() == pairs.without_labels().fingerprint()
    assert pairs.fingerprint() != pairs[::-1].fingerprint()
    assert pairs.fingerprint() != PairedFeatures(pairs.text, pairs.image).fingerprint()


def split(train: list[int], query: list[int], database: list[int]) -> Split:
    return Split(*(np.array(rows, dtype=np.int64) for rows in (train, query, database)))


def test_train_may_lie_within_the_database() -> None:
    assert len(split([2, 3], [0, 1], [2, 3, 4]).train) == 2


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([2], [0, 1, 5], [5, 1, 2]), "2 rows are query and database at once: rows 1, 5"),
        (([2, 0], [0, 1], [2, 3]), "1 rows are query and train at once: rows 0"),
        (([2, 2, 3], [0], [2, 3]), "train lists rows twice: rows 2"),
        (([2], [0], []), "database is empty"),
        (([2], [-1], [2]), "query holds negative row numbers, the first is -1"),
    ],
)
def test_splits_that_are_refused(parts: tuple[list[int], list[int], list[int]], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        split(*parts)


def test_row_numbers_are_whole() -> None:
    with pytest.raises(SplitError, match="row numbers; got float64"):
        Split(np.array([1.0]), np.array([2]), np.array([3]))
    with pytest.raises(SplitError, match="row numbers"):
        Split(np.array([[1]]), np.array([2]), np.array([3]))


def test_rows_beyond_the_pairs(pairs: PairedFeatures) -> None:
    with pytest.raises(SplitError, match="database names row 12, but there are only 12 pairs"):
        split([1], [0], [1, 12]).check_duplicates(pairs)


def test_duplicate_content_across_query_and_database_is_named(pairs: PairedFeatures) -> None:
    image, text = pairs.image.copy(), pairs.text.copy()
    image[3], text[3] = image[10], text[10]
    copied = PairedFeatures(image, text)
    with pytest.raises(SplitError, match=r"1 queries have the same content .* query row 3 = row 10"):
        split([5], [2, 3], [5, 10]).check_duplicates(copied)
    with pytest.raises(SplitError, match="query row 3 = row 10"):
        split([10], [2, 3], [5]).check_duplicates(copied)
    split([5], [2, 4], [3, 10]).check_duplicates(copied)


def test_the_same_image_with_another_text_is_no_duplicate(pairs: PairedFeatures) -> None:
    image = pairs.image.copy()
    image[3] = image[10]
    split([5], [3], [5, 10]).check_duplicates(PairedFeatures(image, pairs.text))


def test_split_rows_are_read_only_and_fingerprinted() -> None:
    made = split([2], [0], [2, 3])
    with pytest.raises(ValueError, match="read-only"):
        made.train[0] = 1
    assert made.fingerprint() == split([2], [0], [2, 3]).fingerprint()
    assert made.fingerprint() != split([2], [0], [3, 2]).fingerprint()


def test_the_callers_row_numbers_stay_writable() -> None:
    rows = np.array([4, 5], dtype=np.int64)
    made = Split(rows, np.array([0]), np.array([1]))
    rows[0] = 9
    assert made.train.tolist() == [4, 5]
