"""What engines find out on a sample: the rows drawn, the recall, and the least that reaches it."""

import numpy as np
import pytest

from crossbit.errors import SettingsError
from crossbit.index.tuning import Sample, check_recall, fewest, some_rows
from crossbit.testing.index import random_codes


@pytest.mark.parametrize("n", [0, 1, 500, 501, 10_000, 2_000_000, 10**12])
def test_rows_are_drawn_in_memory_that_goes_by_their_number(n):
    rows = some_rows(n, 500, np.random.default_rng(0))  # a list of 10^12 rows would take 8 TB
    assert min(n, 490) <= len(rows) <= 500
    assert (np.diff(rows) > 0).all()
    assert not len(rows) or 0 <= rows[0] <= rows[-1] < n
    np.testing.assert_array_equal(rows, some_rows(n, 500, np.random.default_rng(0)))


@pytest.mark.parametrize("needed", [1, 2, 3, 7, 60, 100, 101])
def test_the_fewest_that_reach_the_target_within_an_eighth(needed):
    asked = []

    def recall(number):
        asked.append(number)
        return 0.9 if number >= needed else 0.1

    number, reached = fewest(recall, 0.9, 100)
    assert reached == (0.9 if needed <= 100 else 0.1)
    assert min(needed, 100) <= number <= min(needed + max(needed // 8, 1), 100)
    assert len(asked) == len(set(asked)) <= 14


def test_a_code_does_not_count_as_its_own_hit():
    packed = random_codes(50, 16, 0).packed
    sample = Sample.of(packed, None, 3, seed=0, threads=1)
    assert (sample.k, sample.asked, sample.own) == (3, 4, True)
    nothing_but_itself = np.full_like(sample.exact, 99)
    nothing_but_itself[:, 0] = 0
    assert sample.recall(sample.exact) == 1
    assert sample.recall(nothing_but_itself) == 0
    assert sample.recall(np.full_like(sample.exact, -1)) == 0  # what FAISS gives where it found none
    assert Sample.of(packed[:1], None, 3, seed=0, threads=1).recall(np.zeros((1, 1), np.int32)) == 1


@pytest.mark.parametrize("wrong", [0, -1, 1.1, float("nan")])
def test_a_recall_that_cannot_be(wrong):
    with pytest.raises(SettingsError, match="target_recall"):
        check_recall(wrong)
