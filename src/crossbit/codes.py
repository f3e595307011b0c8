"""Binary codes, bit-packed. There is one bit rule in crossbit: a value of zero or more is a 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import DataError, SettingsError, WidthError


@dataclass(frozen=True, eq=False)
class Codes:
    """Packed binary codes of n items.

    packed: (n, ceil(n_bits / 8)) uint8, read-only. Bit j of a code is bit j % 8 (least significant first) of byte
        j // 8, the order of FAISS; unused bits of the last byte are 0.
    n_bits: the code length in bits, 1 or more.

    Raises WidthError when the width does not fit n_bits, DataError for another type or for unused bits that are set.
    """

    packed: NDArray[np.uint8]
    n_bits: int

    def __post_init__(self) -> None:
        check_n_bits(self.n_bits)
        packed = np.asarray(self.packed)
        if packed.dtype != np.uint8 or packed.ndim != 2:
            raise DataError(
                f"Packed codes are expected as a (n, bytes) array of uint8; got {packed.dtype} of {packed.shape}. "
                "Use Codes.from_real for real values or Codes.from_bits for bits."
            )
        n_bytes = bytes_of(self.n_bits)
        if packed.shape[1] != n_bytes:
            raise WidthError(f"{self.n_bits}-bit codes are {n_bytes} bytes wide; got {packed.shape[1]} bytes.")
        unused = 8 * n_bytes - self.n_bits
        if unused and packed.size and int(packed[:, -1].max()) >> (8 - unused):
            raise DataError(f"The last {unused} bits of a {self.n_bits}-bit code must be 0; some are set.")
        packed = np.ascontiguousarray(packed)
        if packed is self.packed:
            packed = packed.view()
        packed.flags.writeable = False
        object.__setattr__(self, "packed", packed)

    @classmethod
    def from_real(cls, values: NDArray[np.floating]) -> Codes:
        """Codes of real outputs (n, n_bits): a value >= 0 becomes 1, a smaller one 0. Raises DataError on NaN."""
        values = np.asarray(values)
        if values.ndim != 2:
            raise DataError(f"Real outputs are expected as (n, n_bits); got shape {values.shape}.")
        if np.isnan(values).any():
            raise DataError("Real outputs hold NaN, which is neither 0 nor 1; look at the features they came from.")
        return cls.from_bits(values >= 0)

    @classmethod
    def from_bits(cls, bits: NDArray[np.bool_]) -> Codes:
        """Codes of a (n, n_bits) boolean array."""
        bits = np.asarray(bits)
        if bits.ndim != 2 or bits.dtype != np.bool_:
            raise DataError(
                f"Bits are expected as a (n, n_bits) boolean array; got {bits.dtype} of shape {bits.shape}."
            )
        return cls(np.packbits(bits, axis=1, bitorder="little"), bits.shape[1])

    def bits(self) -> NDArray[np.bool_]:
        """The codes as (n, n_bits) booleans."""
        unpacked = np.unpackbits(self.packed, axis=1, count=self.n_bits, bitorder="little")
        return unpacked.astype(np.bool_)

    def signs(self) -> NDArray[np.float32]:
        """The codes as (n, n_bits) float32 in {-1, +1}, the form in which papers write them."""
        return np.where(self.bits(), np.float32(1), np.float32(-1))

    def __len__(self) -> int:
        return int(self.packed.shape[0])

    def __getitem__(self, rows: NDArray[np.integer] | slice) -> Codes:
        """The codes of some rows (an index array or a slice), in that order."""
        return Codes(self.packed[rows], self.n_bits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Codes) and self.n_bits == other.n_bits and np.array_equal(self.packed, other.packed)

    __hash__ = None  # type: ignore[assignment]  # equal by value, and arrays have no hash

    def prefix(self, n_bits: int) -> Codes:
        """The codes of the first n_bits bits alone; raises WidthError for more bits than there are.

        A prefix is a good code of its length where the method was told to make it one (KDCMH's `prefixes`).
        """
        check_prefix(n_bits, self.n_bits)
        packed = self.packed[:, : bytes_of(n_bits)].copy()
        if n_bits % 8:
            packed[:, -1] &= (1 << n_bits % 8) - 1
        return Codes(packed, n_bits)

    def n_unique(self) -> int:
        """How many different codes there are; far fewer than items is a sign of collapse."""
        return len(np.unique(self.packed, axis=0))


def bytes_of(n_bits: int) -> int:
    """The bytes that one packed code takes."""
    return (n_bits + 7) // 8


def check_n_bits(n_bits: int) -> None:
    """Raise SettingsError unless n_bits is a whole number from 1 to 4096."""
    if isinstance(n_bits, bool) or not isinstance(n_bits, int | np.integer) or not 1 <= n_bits <= 4096:
        raise SettingsError(f"n_bits must be a whole number from 1 to 4096 (64 is a good start); got {n_bits!r}.")


def check_prefix(n_bits: int, of: int) -> None:
    """Raise SettingsError unless n_bits is a code length, WidthError where it is more than the `of` bits there are."""
    check_n_bits(n_bits)
    if n_bits > of:
        raise WidthError(f"A prefix of {n_bits} bits cannot be taken from {of}-bit codes; ask for {of} or fewer.")
