"""The scans against NumPy: every width, filters, ties over many tiles, threads, mapped files and other processors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crossbit.kernels import nearest, search, within
from crossbit.kernels.tiles import TILE

AVX2 = (
    "+64bit,+avx,+avx2,+bmi,+bmi2,+cmov,+crc32,+cx16,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,"
    "+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3,+xsave"
)


def some_bytes(n, n_bytes, seed, near=None):
    """Random rows; near: rows that a third of them differ from in few bits, so that there are near ones and ties."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)
    if near is not None:
        some = np.arange(0, n, 3)
        flips = 1 << rng.integers(0, 8, len(some), dtype=np.uint8)
        rows[some] = near[rng.integers(0, len(near), len(some))]
        rows[some, rng.integers(0, n_bytes, len(some))] ^= flips.astype(np.uint8)
    return rows


def plain(queries, codes, k, kept=None):
    """Rows and distances by a full stable sort."""
    looked_at = np.arange(len(codes)) if kept is None else np.flatnonzero(kept)
    distances = np.stack([np.bitwise_count(codes[looked_at] ^ query).sum(axis=1, dtype=np.int64) for query in queries])
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return looked_at[order], np.take_along_axis(distances, order, axis=1)


def check(queries, codes, k, **options):
    rows, distances = nearest(queries, codes, k, **options)
    expected_rows, expected = plain(queries, codes, k, options.get("kept"))
    assert np.array_equal(distances, expected)
    assert np.array_equal(rows, expected_rows)


@pytest.mark.parametrize("n_bytes", [1, 2, 3, 7, 8, 9, 12, 15, 16, 24, 31, 32, 33, 64, 100])
def test_every_width_one_query_and_many(n_bytes):
    queries = some_bytes(19, n_bytes, 1)
    codes = some_bytes(TILE + 77, n_bytes, 2, near=queries)
    for n_queries in (1, 2, 8, 19):
        for k in (1, 10, 300):
            check(queries[:n_queries], codes, k)


@pytest.mark.parametrize("n", [1, 63, 64, 65, TILE - 1, TILE, 2 * TILE + 1])
@pytest.mark.parametrize("n_queries", [1, 11])
def test_sizes_around_blocks_and_tiles(n, n_queries):
    check(some_bytes(n_queries, 8, 3), some_bytes(n, 8, 4), 20)
    check(some_bytes(n_queries, 8, 3), some_bytes(n, 8, 4), n)


@pytest.mark.parametrize("n_bytes", [8, 11, 32])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 1.0])
def test_filters(n_bytes, share):
    queries = some_bytes(9, n_bytes, 5)
    codes = some_bytes(3 * TILE + 5, n_bytes, 6, near=queries)
    kept = np.random.default_rng(7).random(len(codes)) < share
    for n_queries in (1, 9):
        check(queries[:n_queries], codes, 25, kept=kept)
    rows, distances, bounds = within(queries, codes, 3 * n_bytes, kept=kept)
    for query in range(9):
        expected_rows, expected = plain(queries[query : query + 1], codes, len(codes), kept)
        inside = expected[0] <= 3 * n_bytes
        assert np.array_equal(rows[bounds[query] : bounds[query + 1]], expected_rows[0][inside])
        assert np.array_equal(distances[bounds[query] : bounds[query + 1]], expected[0][inside])


@pytest.mark.parametrize("n_bytes", [8, 16, 32])
@pytest.mark.parametrize("share", [None, 0.9, 0.3, 0.05])
def test_within_for_few_queries_as_for_many(n_bytes, share):
    queries = some_bytes(9, n_bytes, 11)
    codes = some_bytes(3 * TILE + 65, n_bytes, 12, near=queries)
    kept = None if share is None else np.random.default_rng(3).random(len(codes)) < share
    for radius in (0, 1, 3 * n_bytes, 8 * n_bytes):
        rows, distances, bounds = within(queries, codes, radius, kept=kept)
        for query in range(len(queries)):
            alone = within(queries[query : query + 1], codes, radius, kept=kept)
            assert np.array_equal(alone[0], rows[bounds[query] : bounds[query + 1]])
            assert np.array_equal(alone[1], distances[bounds[query] : bounds[query + 1]])


@pytest.mark.parametrize("k", [1, 10, 64, 100, 128, 1000])
def test_the_limit_counted_first_loses_nothing(k):
    queries = some_bytes(9, 8, 13)
    first = np.repeat(queries[:1], TILE, axis=0)  # the first tile holds nothing but copies of one query
    check(queries, np.concatenate([first, some_bytes(2 * TILE + 3, 8, 14, near=queries)]), k)
    check(queries, np.concatenate([first ^ 255, some_bytes(2 * TILE + 3, 8, 15, near=queries)]), k)


def test_only_ties_and_only_equal_codes():
    codes = np.zeros((3 * TILE, 8), np.uint8)
    check(codes[:3], codes, 100)
    check(np.full((5, 8), 255, np.uint8), codes, 100)


@pytest.mark.parametrize("n_bytes", [32, 40, 64])
def test_distances_beyond_a_byte(n_bytes):
    """The vector sums stop at 255; further codes are told apart all the same."""
    codes = np.full((700, n_bytes), 255, np.uint8)
    codes[::7, 0] = 1
    codes[::11, 1] = 0
    codes[350, :] = 0
    for n_queries in (1, 9):
        queries = np.zeros((n_queries, n_bytes), np.uint8)
        check(queries, codes, 200)
        rows, distances, bounds = within(queries, codes, 8 * n_bytes - 8)
        expected = np.bitwise_count(codes).sum(axis=1, dtype=np.int64)
        inside = np.flatnonzero(expected <= 8 * n_bytes - 8)
        assert sorted(rows[: bounds[1]]) == inside.tolist()
        assert np.array_equal(distances[: bounds[1]], np.sort(expected[inside]))


def test_codes_that_come_nearer_and_nearer():
    """The worst order: every code is nearer than all before it, so that what a query holds overflows."""
    bits = np.arange(64)[None, :] >= np.repeat(np.arange(65), 100)[:, None]
    codes = np.packbits(bits, axis=1)
    for n_queries in (1, 6):
        check(np.zeros((n_queries, 8), np.uint8), codes, 10)


@pytest.mark.parametrize("n_queries", [1, 3, 200])
def test_threads_give_the_same(monkeypatch, n_queries):
    monkeypatch.setattr(search, "_WORTH_THREADS", 0)
    monkeypatch.setattr(search, "_ROWS", 1000)
    queries = some_bytes(n_queries, 8, 8)
    codes = some_bytes(9000, 8, 9, near=queries)
    kept = np.arange(9000) % 5 != 0
    check(queries, codes, 30, threads=3)
    check(queries, codes, 30, threads=3, kept=kept)
    check(queries, codes, 2000, threads=2)
    alone, together = within(queries, codes, 20), within(queries, codes, 20, threads=3)
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_fewer_than_k_in_some_piece(monkeypatch):
    monkeypatch.setattr(search, "_WORTH_THREADS", 0)
    monkeypatch.setattr(search, "_ROWS", 64)
    queries, codes = some_bytes(2, 8, 10), some_bytes(200, 8, 11)
    kept = np.zeros(200, np.bool_)
    kept[[3, 70, 71, 199]] = True
    check(queries, codes, 50, threads=2, kept=kept)


def test_mapped_codes_are_searched_as_they_are(tmp_path):
    codes, queries = some_bytes(5000, 16, 12), some_bytes(9, 16, 13)
    np.save(tmp_path / "codes.npy", codes)
    check(queries, np.load(tmp_path / "codes.npy", mmap_mode="r"), 10)
    check(queries[:, :15], codes[1:, :15], 10)  # neither contiguous nor aligned


def test_words_and_bytes_are_the_same_codes():
    codes, queries = some_bytes(100, 16, 14), some_bytes(2, 16, 15)
    by_words = nearest(queries.view(np.uint64), codes.view(np.uint64), 5)
    assert all(np.array_equal(one, other) for one, other in zip(by_words, nearest(queries, codes, 5), strict=True))


PROGRAM = """
import numpy as np
from numba.core.registry import cpu_target
from crossbit.kernels import nearest, vectors, within
assert vectors._by_tables(cpu_target.target_context) == {by_tables}
rng = np.random.default_rng(0)
for n_bytes in (3, 8, 32):
    queries, codes = (rng.integers(0, 256, (n, n_bytes), dtype=np.uint8) for n in (9, 5000))
    distances = np.bitwise_count(codes[None] ^ queries[:, None]).sum(axis=2, dtype=np.int64)
    order = np.argsort(distances, axis=1, kind="stable")[:, :20]
    assert np.array_equal(nearest(queries, codes, 20)[0], order)
    assert np.array_equal(nearest(queries[:1], codes, 20)[0], order[:1])
    assert len(within(queries, codes, 3 * n_bytes)[0]) == (distances <= 3 * n_bytes).sum()
"""


@pytest.mark.parametrize(
    ("cpu", "features", "by_tables"), [("haswell", AVX2, True), ("x86-64", "", False)], ids=["AVX2", "SSE2"]
)
def test_other_processors_find_the_same(cpu, features, by_tables):
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("the code is made for other x86-64 processors, which runs on x86-64 only")
    if by_tables and "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX2")
    environment = os.environ | {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    subprocess.run([sys.executable, "-c", PROGRAM.format(by_tables=by_tables)], check=True, env=environment)
