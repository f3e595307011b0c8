"""Codes: packing, the one bit rule, and refusal of what is no code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from crossbit.codes import Codes, bytes_of, check_n_bits
from crossbit.errors import DataError, SettingsError, WidthError

shapes = st.tuples(st.integers(0, 12), st.integers(1, 70))
bit_arrays = shapes.flatmap(lambda shape: npst.arrays(np.bool_, shape))


@given(bit_arrays)
def test_bits_survive_packing(bits: np.ndarray) -> None:
    codes = Codes.from_bits(bits)
    assert codes.packed.shape == (len(bits), -(-bits.shape[1] // 8))
    assert codes.n_bits == bits.shape[1]
    np.testing.assert_array_equal(codes.bits(), bits)


@given(bit_arrays)
def test_packing_is_what_a_plain_loop_gives(bits: np.ndarray) -> None:
    expected = np.zeros((len(bits), -(-bits.shape[1] // 8)), dtype=np.uint8)
    for row in range(bits.shape[0]):
        for j in range(bits.shape[1]):
            expected[row, j // 8] += int(bits[row, j]) << (j % 8)
    np.testing.assert_array_equal(Codes.from_bits(bits).packed, expected)


@given(bit_arrays)
def test_signs_are_codes_again(bits: np.ndarray) -> None:
    codes = Codes.from_bits(bits)
    assert Codes.from_real(codes.signs()) == codes


@given(bit_arrays)
def test_rows_are_taken_in_the_order_asked_for(bits: np.ndarray) -> None:
    codes = Codes.from_bits(bits)
    rows = np.arange(len(bits))[::-1].copy()
    assert codes[rows] == Codes.from_bits(bits[::-1])
    assert codes[1:3] == Codes.from_bits(bits[1:3])


def test_zero_is_a_one() -> None:
    codes = Codes.from_real(np.array([[0.0, -0.0, 1e-30, -1e-30, np.inf, -np.inf]]))
    np.testing.assert_array_equal(codes.bits(), [[True, True, True, False, True, False]])
    assert codes.packed.tolist() == [[0b010111]]


def test_nan_is_neither_zero_nor_one() -> None:
    with pytest.raises(DataError, match="NaN"):
        Codes.from_real(np.array([[1.0, np.nan]]))


def test_real_outputs_have_two_dimensions() -> None:
    with pytest.raises(DataError, match=r"\(3,\)"):
        Codes.from_real(np.zeros(3))


@pytest.mark.parametrize("bits", [np.zeros((2, 3)), np.zeros(3, dtype=bool), np.zeros((2, 3), dtype=np.uint8)])
def test_bits_are_booleans(bits: np.ndarray) -> None:
    with pytest.raises(DataError, match="boolean"):
        Codes.from_bits(bits)


@pytest.mark.parametrize("packed", [np.zeros((2, 8)), np.zeros(8, dtype=np.uint8), np.zeros((2, 8), dtype=np.int8)])
def test_packed_codes_are_bytes(packed: np.ndarray) -> None:
    with pytest.raises(DataError, match="uint8"):
        Codes(packed, 64)


def test_the_width_must_fit() -> None:
    with pytest.raises(WidthError, match="64-bit codes are 8 bytes wide; got 7"):
        Codes(np.zeros((2, 7), dtype=np.uint8), 64)


def test_unused_bits_must_be_zero() -> None:
    assert len(Codes(np.array([[0xFF, 0x0F]], dtype=np.uint8), 12)) == 1
    with pytest.raises(DataError, match="last 4 bits of a 12-bit code"):
        Codes(np.array([[0, 0], [0, 0x10]], dtype=np.uint8), 12)


@pytest.mark.parametrize("n_bits", [0, -8, 4097, 8.0, True, "64", None])
def test_n_bits_out_of_range(n_bits: object) -> None:
    with pytest.raises(SettingsError, match="n_bits"):
        check_n_bits(n_bits)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(("n_bits", "n_bytes"), [(1, 1), (8, 1), (9, 2), (64, 8), (4096, 512)])
def test_bytes_of(n_bits: int, n_bytes: int) -> None:
    assert bytes_of(n_bits) == n_bytes
    check_n_bits(n_bits)


def test_codes_are_read_only_and_leave_the_source_alone() -> None:
    packed = np.zeros((2, 1), dtype=np.uint8)
    codes = Codes(packed, 8)
    with pytest.raises(ValueError, match="read-only"):
        codes.packed[0, 0] = 1
    packed[0, 0] = 1  # the caller's own array can still be written to


def test_equality_is_by_value_and_length() -> None:
    packed = np.array([[3], [1]], dtype=np.uint8)
    assert Codes(packed, 8) == Codes(packed.copy(), 8)
    assert Codes(packed, 8) != Codes(packed, 7)
    assert Codes(packed, 8) != Codes(packed[::-1], 8)
    assert Codes(packed, 8) != "codes"
    with pytest.raises(TypeError, match="unhashable"):
        hash(Codes(packed, 8))


def test_unique_codes_are_counted() -> None:
    bits = np.array([[0, 1], [1, 1], [0, 1], [0, 1]], dtype=bool)
    assert Codes.from_bits(bits).n_unique() == 2
    assert Codes.from_bits(bits[:0]).n_unique() == 0
