"""The compiled loops against NumPy, for every width, beyond one block, and without a folder to cache in."""

import subprocess
import sys

import numba
import numpy as np
import pytest

from crossbit import Codes, kernels
from crossbit.kernels import counts, lone, scan

WIDTHS = [1, 8, 12, 16, 64, 65, 128, 200, 255, 300]


def codes_of(n, n_bits, seed):
    return Codes.from_bits(np.random.default_rng(seed).random((n, n_bits)) < 0.5)


def distances_of(queries, items):
    return (queries.bits()[:, None] != items.bits()[None]).sum(axis=2)


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_words_hold_the_codes_and_zeros(n_bits):
    codes = codes_of(9, n_bits, 0)
    words = kernels.code_words(codes.packed)
    assert words.dtype == np.uint64
    assert words.shape == (9, -(-n_bits // 64))
    assert not words.flags.writeable
    as_bytes = words.view(np.uint8)
    assert np.array_equal(as_bytes[:, : codes.packed.shape[1]], codes.packed)
    assert not as_bytes[:, codes.packed.shape[1] :].any()


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_counts_per_distance(n_bits):
    rng = np.random.default_rng(n_bits)
    queries, items = codes_of(5, n_bits, 1), codes_of(300, n_bits, 2)
    query_labels, item_labels = rng.random((5, 70)) < 0.1, rng.random((300, 70)) < 0.1
    found, relevant = kernels.count_distances(
        kernels.code_words(queries.packed),
        kernels.code_words(items.packed),
        kernels.label_words(query_labels),
        kernels.label_words(item_labels),
        n_bits,
        threads=2,
    )
    distances = distances_of(queries, items)
    shared = (query_labels[:, None] & item_labels[None]).any(axis=2)
    for query in range(5):
        assert np.array_equal(found[query], np.bincount(distances[query], minlength=n_bits + 1))
        assert np.array_equal(relevant[query], np.bincount(distances[query][shared[query]], minlength=n_bits + 1))
    totals = kernels.count_relevant(kernels.label_words(query_labels), kernels.label_words(item_labels))
    assert np.array_equal(totals, shared.sum(axis=1))


def test_a_label_beyond_the_64th_is_a_label():
    labels = np.zeros((2, 130), dtype=bool)
    labels[:, 129] = True
    words = kernels.label_words(labels)
    assert kernels.count_relevant(words[:1], words[1:]).tolist() == [1]


def test_items_beyond_one_block_are_counted():
    n = 2 * counts.BLOCK + 3
    queries, items = codes_of(2, 16, 3), codes_of(n, 16, 4)
    none, alike = np.zeros((2, 1), dtype=bool), np.ones((n, 1), dtype=bool)
    found, relevant = kernels.count_distances(
        kernels.code_words(queries.packed),
        kernels.code_words(items.packed),
        kernels.label_words(none),
        kernels.label_words(alike),
        16,
    )
    distances = distances_of(queries, items)
    assert np.array_equal(found, [np.bincount(row, minlength=17) for row in distances])
    assert not relevant.any()


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_nearest_rows_with_ties_by_lower_row(n_bits):
    queries, items = codes_of(4, n_bits, 5), codes_of(200, n_bits, 6)
    order = np.argsort(distances_of(queries, items), axis=1, kind="stable")
    for k in (0, 1, 17, 200):
        rows, distances = kernels.nearest(queries.packed, items.packed, k)
        assert np.array_equal(rows, order[:, :k])
        assert np.array_equal(distances, np.take_along_axis(distances_of(queries, items), order[:, :k], axis=1))


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_rows_within_a_radius(n_bits):
    queries, items = codes_of(4, n_bits, 7), codes_of(200, n_bits, 8)
    all_distances = distances_of(queries, items)
    for radius in (0, n_bits // 2, n_bits):
        rows, distances, bounds = kernels.within(queries.packed, items.packed, radius)
        assert bounds[0] == 0
        assert bounds[-1] == len(rows) == (all_distances <= radius).sum()
        for query in range(4):
            inside = slice(bounds[query], bounds[query + 1])
            order = np.argsort(all_distances[query], kind="stable")
            order = order[all_distances[query][order] <= radius]
            assert np.array_equal(rows[inside], order)
            assert np.array_equal(distances[inside], all_distances[query][order])


def test_places_of_given_rows():
    queries, items = codes_of(20, 8, 9), codes_of(100, 8, 10)
    rows = np.random.default_rng(11).integers(0, 100, 20)
    nearer, equal = kernels.count_nearer(kernels.code_words(queries.packed), kernels.code_words(items.packed), rows)
    distances = distances_of(queries, items)
    own = np.take_along_axis(distances, rows[:, None], axis=1)
    assert np.array_equal(nearer, (distances < own).sum(axis=1))
    assert np.array_equal(equal, (distances == own).sum(axis=1))


def test_the_interpreter_lock_is_released():
    for loop in (
        counts.tally_distances,
        counts.tally_relevant,
        kernels.count_nearer,
        scan.scan_nearest,
        scan.scan_within,
        lone.scan_few,
    ):
        assert loop.targetoptions["nogil"] is True


def test_compiles_where_no_folder_can_be_written(monkeypatch):
    njit = numba.njit

    def without_a_folder(*arguments, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*arguments, **options)

    monkeypatch.setattr(numba, "njit", without_a_folder)

    def twice(number):
        return 2 * number

    assert kernels.compiled(twice)(21) == 42


@pytest.mark.parametrize("module", ["crossbit.evaluation", "crossbit.index", "crossbit.testing.index"])
def test_import_compiles_nothing_and_needs_no_torch(module):
    program = (
        "import sys; sys.modules['torch'] = None; "
        f"import {module}, crossbit.kernels.lone; from numba.core.dispatcher import Dispatcher; "
        "loops = [v for m in list(sys.modules.values()) if getattr(m, '__name__', '').startswith('crossbit') "
        "for v in vars(m).values() if isinstance(v, Dispatcher)]; "
        "assert loops; assert not any(loop.signatures for loop in loops)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_package_and_its_indexes_do_not_load_the_compiler():
    program = "import sys, crossbit, crossbit.index; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
