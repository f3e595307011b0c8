"""Approximate search: held to the index suite where it looks into every list, and to its promises where it does not."""

import dataclasses

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from crossbit import Codes
from crossbit.errors import DataError, FileFormatError, SettingsError, WidthError
from crossbit.index import ExactIndex, IvfIndex, choose_engine, choose_index
from crossbit.testing.index import WIDTHS, check_hits, check_true_hits, index_checks, random_codes, recall_of

pytest.importorskip("faiss")


def clustered(n, n_bits, seed, clusters=50):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).random((clusters, n_bits)) < 0.5
    return Codes.from_bits(centres[rng.integers(clusters, size=n)] ^ (rng.random((n, n_bits)) < 0.08))


def thorough(codes, ids=None):
    """Lists of which every query looks into all, so that only the ties at the last place are open."""
    index = IvfIndex.build(codes, ids, target_recall=0.5, threads=1)
    if index._held.built is not None:
        index._held.built.faiss.nprobe = index._held.built.faiss.nlist
    return index


@pytest.mark.parametrize("check", index_checks(), ids=lambda check: check.__name__)
def test_before_a_build_it_is_exact(check):
    check(IvfIndex)


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_every_list_gives_what_a_full_comparison_gives(n_bits):
    codes, queries = clustered(400, n_bits, 1), clustered(7, n_bits, 2)
    ids = np.random.default_rng(3).permutation(2000)[:400].astype(np.int64) - 500
    index = thorough(codes, ids)
    for k in (1, 10, 399, 400, 1000):
        check_hits(index.search(queries, k), queries, codes, ids, k, any_last=True)
    for hits, own in zip(index.within(queries, 3), ExactIndex.over(codes, ids).within(queries, 3), strict=True):
        assert np.array_equal(hits.ids, own.ids)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 1.0])
def test_filters_by_lists_and_in_full(share):
    codes, queries, ids = clustered(3000, 64, 4), clustered(9, 64, 5), np.arange(3000, dtype=np.int64)
    kept = np.random.default_rng(6).random(3000) < share
    index = IvfIndex.build(codes, target_recall=0.9, threads=1)
    for where in (kept, np.flatnonzero(kept)):
        hits = index.search(queries, 10, where=where)
        assert hits.ids.shape == (9, min(10, kept.sum()))
        check_true_hits(hits, queries, codes[np.flatnonzero(kept)], ids[kept]) if kept.any() else None
        exact = ExactIndex.over(codes).search(queries, 10, where=where)
        assert recall_of(hits, exact) > 0.8


def test_the_recall_asked_for_is_reached_and_told():
    codes, queries = clustered(6000, 64, 7, 300), clustered(400, 64, 8, 300)
    exact = ExactIndex.over(codes).search(queries, 10)
    looked_into = []
    for target in (0.6, 0.9, 0.99):
        index = IvfIndex.build(codes, target_recall=target, queries=queries, threads=1)
        told = index.settings
        assert told is not None
        assert told.recall >= target
        assert told.recall == pytest.approx(recall_of(index.search(queries, 10), exact))
        looked_into.append(told.n_probe)
    assert looked_into == sorted(looked_into)
    assert looked_into[0] < looked_into[-1]
    alone = IvfIndex.build(codes, target_recall=0.9, threads=1)
    assert recall_of(alone.search(queries, 10), exact) > 0.85  # the sample was drawn from the codes themselves


class Histories(RuleBasedStateMachine):
    """Any history after a build, beside a dictionary that does the same."""

    @initialize(seed=st.integers(0, 5), n=st.integers(0, 120))
    def build(self, seed, n):
        ids = np.random.default_rng(seed).permutation(200)[:n].astype(np.int64)
        codes = random_codes(n, 9, seed)
        self.index = thorough(codes, ids) if n else IvfIndex(9)
        self.held = dict(zip(ids.tolist(), codes.packed, strict=True))

    @rule(ids=st.lists(st.integers(0, 250), unique=True, max_size=6), seed=st.integers(0, 9))
    def add(self, ids, seed):
        codes = random_codes(len(ids), 9, seed)
        if set(ids) & set(self.held):
            with pytest.raises(DataError, match="already"):
                self.index.add(codes, np.array(ids, dtype=np.int64))
        else:
            self.index.add(codes, np.array(ids, dtype=np.int64))
            self.held.update(zip(ids, codes.packed, strict=True))

    @rule(data=st.data())
    def remove(self, data):
        if self.held:
            gone = data.draw(st.lists(st.sampled_from(sorted(self.held)), unique=True, max_size=20))
            self.index.remove(np.array(gone, dtype=np.int64))
            for one in gone:
                del self.held[one]

    @rule(seed=st.integers(0, 9), k=st.integers(1, 40), data=st.data())
    def search(self, seed, k, data):
        kept = data.draw(st.none() | st.lists(st.sampled_from([*sorted(self.held), 777]), max_size=60))
        ids = np.array([one for one in self.held if kept is None or one in kept], dtype=np.int64)
        codes = Codes(np.array([self.held[one] for one in ids.tolist()], dtype=np.uint8).reshape(-1, 2), 9)
        queries = random_codes(2, 9, seed)
        where = None if kept is None else np.array(kept, dtype=np.int64)
        check_hits(self.index.search(queries, k, where=where), queries, codes, ids, k, any_last=True)

    @invariant()
    def counts(self):
        assert not hasattr(self, "held") or len(self.index) == len(self.held)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)


def test_saved_and_loaded_it_answers_the_same(tmp_path):
    codes, queries = clustered(2000, 100, 9), clustered(20, 100, 10)
    index = IvfIndex.build(codes[:1800], np.arange(1800) * 3, target_recall=0.8, threads=1)
    index.remove(np.arange(0, 900, 3))
    index.add(codes[1800:], np.arange(200) * 3 + 1)
    index.save(tmp_path / "index.ivf")
    again = IvfIndex.load(tmp_path / "index.ivf", threads=1)
    assert again.settings == index.settings
    assert len(again) == len(index) == 1700
    before, after = index.search(queries, 20), again.search(queries, 20)
    assert np.array_equal(before.ids, after.ids)
    assert np.array_equal(before.distances, after.distances)
    IvfIndex(16).save(tmp_path / "empty.ivf")
    assert len(IvfIndex.load(tmp_path / "empty.ivf")) == 0


def test_a_damaged_file_is_refused_and_a_failed_save_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "index.ivf"
    index = IvfIndex.build(clustered(500, 16, 11), target_recall=0.8, threads=1)
    index.save(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 40):
        spoilt = bytearray(whole)
        spoilt[place] ^= 16
        path.write_bytes(bytes(spoilt))
        try:
            again = IvfIndex.load(path, threads=1)
        except FileFormatError:
            continue
        assert len(again) == 500  # a byte of the archive that no content hangs on, such as a date
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="not a whole"):
        IvfIndex.load(path)
    with pytest.raises(FileFormatError, match="not there"):
        IvfIndex.load(tmp_path / "none")
    path.write_bytes(whole)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        index.save(path)
    assert path.read_bytes() == whole
    assert [file.name for file in tmp_path.iterdir()] == ["index.ivf"]


def test_wrong_settings_are_refused():
    codes = clustered(100, 16, 12)
    for target in (0, -1, 1.5, float("nan")):
        with pytest.raises(SettingsError, match="target_recall"):
            IvfIndex.build(codes, target_recall=target)
        with pytest.raises(SettingsError, match="target_recall"):
            choose_engine(10, 16, target_recall=target)
    with pytest.raises(WidthError):
        IvfIndex.build(codes, queries=random_codes(5, 24, 0))
    with pytest.raises(SettingsError, match="threads"):
        IvfIndex(16, threads=0)


def test_the_engine_goes_by_size_and_recall(monkeypatch):
    assert choose_engine(1_000_000, 64, target_recall=0.9)[0] == "exact"
    engine, reason = choose_engine(100_000_000, 64, target_recall=0.9)
    assert engine == "ivf"
    assert "800 MB" in reason
    assert choose_engine(100_000_000, 64)[0] == "exact"
    codes = clustered(1000, 64, 13)
    index, reason = choose_index(codes, target_recall=0.9, threads=1)
    assert isinstance(index, ExactIndex)
    assert "1,000 codes of 64 bits" in reason
    monkeypatch.setattr("crossbit.index.choice.EXACT_BYTES", 100)
    index, reason = choose_index(codes, target_recall=0.9, threads=1)
    assert isinstance(index, IvfIndex)
    assert "recall of" in reason
    assert dataclasses.asdict(index.settings)["target"] == 0.9
