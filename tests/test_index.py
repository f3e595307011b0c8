"""Exact search, held to the checks every index must pass; and the checks held to find what is wrong."""

import dataclasses
import threading

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from crossbit import Codes
from crossbit.errors import DataError, SettingsError
from crossbit.index import ExactIndex, Hits
from crossbit.testing.index import (
    check_filters,
    check_hits,
    check_index,
    check_random_history,
    check_refusals,
    check_removed_ids,
    check_within,
    index_checks,
    random_codes,
)


@pytest.mark.parametrize("check", index_checks(), ids=lambda check: check.__name__)
def test_exact_index(check):
    check(ExactIndex)


@pytest.mark.parametrize("seed", range(1, 6))
def test_histories_of_other_seeds(seed):
    check_random_history(ExactIndex, seed=seed, steps=40)


class Histories(RuleBasedStateMachine):
    """Any history of adding and removing, beside a dictionary that does the same."""

    def __init__(self):
        super().__init__()
        self.index, self.held = ExactIndex(9), {}

    @rule(
        ids=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9), unique=True, max_size=6),
        seed=st.integers(0, 9),
    )
    def add(self, ids, seed):
        new = np.array(ids, dtype=np.int64)
        codes = random_codes(len(new), 9, seed)
        if set(ids) & set(self.held):
            with pytest.raises(DataError, match="already"):
                self.index.add(codes, new)
        else:
            self.index.add(codes, new)
            self.held.update(zip(ids, codes.packed, strict=True))

    @rule(data=st.data())
    def remove(self, data):
        if self.held:
            gone = data.draw(st.lists(st.sampled_from(sorted(self.held)), unique=True, max_size=4))
            self.index.remove(np.array(gone, dtype=np.int64))
            for one in gone:
                del self.held[one]

    @rule(seed=st.integers(0, 9), k=st.integers(1, 12), data=st.data())
    def search(self, seed, k, data):
        kept = data.draw(st.none() | st.lists(st.sampled_from([*sorted(self.held), 77]), max_size=6))
        ids = np.array([one for one in self.held if kept is None or one in kept], dtype=np.int64)
        codes = Codes(np.array([self.held[one] for one in ids.tolist()], dtype=np.uint8).reshape(-1, 2), 9)
        queries = random_codes(2, 9, seed)
        where = None if kept is None else np.array(kept, dtype=np.int64)
        check_hits(self.index.search(queries, k, where=where), queries, codes, ids, k)

    @invariant()
    def counts(self):
        assert len(self.index) == len(self.held)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


class Spoilt(ExactIndex):
    """An exact index with one fault, to see that the checks find it."""

    def __init__(self, n_bits, fault):
        super().__init__(n_bits)
        self.fault = fault

    def search(self, queries, k, *, where=None):
        if self.fault == "k of 0" and k < 1:
            k = 1
        hits = super().search(queries, k, where=None if self.fault == "filter" else where)
        if self.fault == "ties" and hits.ids.shape[1] > 1:
            first = hits.distances[:, 0] == hits.distances[:, 1]
            ids = hits.ids.copy()
            ids[first, :2] = ids[first, 1::-1]
            return dataclasses.replace(hits, ids=ids)
        if self.fault == "distances":
            return dataclasses.replace(hits, distances=hits.distances * 2)
        if self.fault == "columns":
            missing = max(0, k - hits.ids.shape[1])
            return Hits(
                *(np.pad(part, ((0, 0), (0, missing)), constant_values=-1) for part in (hits.ids, hits.distances))
            )
        return hits

    def remove(self, ids):
        if self.fault != "remove":
            super().remove(ids)

    def within(self, queries, radius):
        return super().within(queries, max(radius - 1, 0) if self.fault == "radius" else radius)


@pytest.mark.parametrize("fault", ["ties", "distances", "columns", "filter", "k of 0", "remove", "radius"])
def test_the_checks_find_a_fault(fault):
    with pytest.raises(AssertionError, match="An index must"):
        check_index(lambda n_bits: Spoilt(n_bits, fault))


@pytest.mark.parametrize(
    ("check", "fault"),
    [(check_filters, "filter"), (check_refusals, "k of 0"), (check_removed_ids, "remove"), (check_within, "radius")],
)
def test_the_check_by_its_name_finds_it(check, fault):
    with pytest.raises(AssertionError, match="An index must"):
        check(lambda n_bits: Spoilt(n_bits, fault))
    check(lambda n_bits: Spoilt(n_bits, None))


def test_errors_say_what_was_given():
    index = ExactIndex(16)
    codes = random_codes(3, 16, 0)
    index.add(codes, np.array([4, 5, 6]))
    with pytest.raises(DataError, match=r"already: 5, 6\. Remove them first"):
        index.add(codes, np.array([5, 6, 7]))
    with pytest.raises(DataError, match=r"not in the index: 9\. Nothing was removed"):
        index.remove(np.array([4, 9]))
    with pytest.raises(DataError, match="3 codes and 2 ids"):
        index.add(codes, np.array([7, 8]))
    with pytest.raises(DataError, match="beyond"):
        index.add(codes, np.array([1, 2, 2**63], dtype=np.uint64))
    with pytest.raises(SettingsError, match="k must be a whole number of 1 or more; got 0"):
        index.search(codes, 0)
    with pytest.raises(SettingsError, match="got True"):
        index.search(codes, True)
    with pytest.raises(SettingsError, match="n_bits"):
        ExactIndex(0)
    assert len(index) == 3


def test_hits_are_read_only_and_of_one_shape():
    index = ExactIndex(16)
    index.add(random_codes(3, 16, 0), np.arange(3))
    hits = index.search(random_codes(2, 16, 1), 2)
    assert len(hits) == 2
    for part in (hits.ids, hits.distances):
        with pytest.raises(ValueError, match="read-only"):
            part[0, 0] = 9
    with pytest.raises(DataError, match="one \\(q, k\\) shape"):
        Hits(np.zeros((1, 2)), np.zeros((1, 3)))


def test_arrays_given_to_add_may_be_changed_afterwards():
    index, packed, ids = ExactIndex(64), np.zeros((2, 8), dtype=np.uint8), np.array([1, 2])
    index.add(Codes(packed, 64), ids)
    packed[:] = 255
    ids[:] = 7
    hits = index.search(Codes(np.zeros((1, 8), dtype=np.uint8), 64), 2)
    assert hits.ids.tolist() == [[1, 2]]
    assert hits.distances.tolist() == [[0, 0]]


def test_a_search_is_whole_while_another_thread_adds_and_removes():
    # Ids and codes say the same number; a search that mixed two states of the index would pair them wrongly.
    def coded(numbers):
        return Codes(numbers.astype("<u8").view(np.uint8).reshape(-1, 8), 64)

    index, numbers, wrong = ExactIndex(64), np.arange(400), []
    index.add(coded(numbers[::2]), numbers[::2])
    done = threading.Event()

    def search():
        while not done.is_set():
            hits = index.search(coded(numbers), 1)
            codes = hits.ids[:, 0] ^ numbers
            wrong.extend(np.flatnonzero(np.bitwise_count(codes) != hits.distances[:, 0]))

    reader = threading.Thread(target=search)
    reader.start()
    for _ in range(150):
        index.add(coded(numbers[1::2]), numbers[1::2])
        index.remove(numbers[1::2])
    done.set()
    reader.join()
    assert not wrong
