"""Small searches in NumPy: the same answers as the compiled loops, and no compiler imported for them."""

import os
import subprocess
import sys

import numpy as np
import pytest

import crossbit.kernels.scan  # the compiler is here now, so `nearest` and `within` take the compiled loops
from crossbit.kernels import nearest, within
from crossbit.kernels.plain import is_little, plain_nearest, plain_within
from crossbit.kernels.search import as_bytes, flags_of


def some_codes(n, n_bytes, seed):
    """Few different rows, so that there are ties everywhere."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (max(n // 3, 1), n_bytes), dtype=np.uint8)[rng.integers(0, max(n // 3, 1), n)]


@pytest.mark.parametrize("n_bytes", [1, 3, 8, 9, 16, 32, 50])
@pytest.mark.parametrize("n_queries", [1, 5])
@pytest.mark.parametrize("filtered", [False, True])
def test_nearest_as_compiled(n_bytes, n_queries, filtered):
    queries, codes = some_codes(n_queries, n_bytes, 1), some_codes(300, n_bytes, 2)
    kept = np.random.default_rng(3).random(300) < 0.4 if filtered else None
    n_kept = 300 if kept is None else int(kept.sum())
    for k in (1, 7, n_kept):
        expected = nearest(queries, codes, k, kept=kept)
        found = plain_nearest(as_bytes(queries), as_bytes(codes), flags_of(kept), k)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("n_bytes", [1, 3, 8, 16, 50])
@pytest.mark.parametrize("filtered", [False, True])
def test_within_as_compiled(n_bytes, filtered, monkeypatch):
    queries, codes = some_codes(4, n_bytes, 4), some_codes(300, n_bytes, 5)
    kept = np.random.default_rng(6).random(300) < 0.4 if filtered else None
    for radius in (0, 3 * n_bytes, 8 * n_bytes):
        expected = within(queries, codes, radius, kept=kept)
        with monkeypatch.context() as changed:
            changed.setattr("crossbit.kernels.search.is_little", lambda queries, codes: True)
            found = within(queries, codes, radius, kept=kept)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs)


def test_no_codes_and_no_queries():
    none, one = np.empty((0, 8), np.uint8), np.zeros((1, 8), np.uint8)
    for queries, codes in ((none, one), (one, none), (none, none)):
        asked, rows, distances = plain_within(as_bytes(queries), as_bytes(codes), flags_of(None), 64)
        assert (len(asked), len(rows), len(distances)) == (0, 0, 0)


def test_where_the_compiler_is_it_is_used():
    assert crossbit.kernels.scan
    assert not is_little(np.zeros((1, 8), np.uint8), np.zeros((2, 8), np.uint8))


PROGRAM = """
import sys
import numpy as np
from crossbit import Codes
from crossbit.index import ExactIndex

def index(n):
    index = ExactIndex(64)
    index.add(Codes(np.random.default_rng(0).integers(0, 256, (n, 8), dtype=np.uint8), 64), np.arange(n))
    return index

query = Codes(np.zeros((1, 8), np.uint8), 64)
small = index(3000)
before = small.search(query, 10), small.within(query, 24)
print("numba" in sys.modules, "scipy" in sys.modules)
index(700_000).search(query, 10)
print("numba" in sys.modules)
after = small.search(query, 10), small.within(query, 24)
print(np.array_equal(before[0].ids, after[0].ids), np.array_equal(before[0].distances, after[0].distances))
print(np.array_equal(before[1][0].ids, after[1][0].ids), np.array_equal(before[1][0].distances, after[1][0].distances))
"""


def test_a_small_search_imports_no_compiler_and_a_large_one_does():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.splitlines() == ["False False", "True", "True True", "True True"]
