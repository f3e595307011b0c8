"""Small collections for the tests of what can be done with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossbit import Codes, Hasher, HashFunction
from crossbit.collection import Added, Collection, Items
from crossbit.hasher import Layer

N_BITS = 12


def hasher_of(seed: int = 0, n_bits: int = N_BITS) -> Hasher:
    rng = np.random.default_rng(seed)
    sides = [
        HashFunction((Layer(rng.normal(size=(5, n_bits)).astype(np.float32), np.zeros(n_bits, np.float32)),))
        for _ in range(2)
    ]
    return Hasher(sides[0], sides[1], method="test")


def codes_of(ids: list[str], salt: int = 0) -> Codes:
    bits = [np.random.default_rng([salt, *name.encode()]).random(N_BITS) < 0.5 for name in ids]
    return Codes.from_bits(np.array(bits, dtype=np.bool_).reshape(-1, N_BITS))


def add(place: Collection, ids: list[str], *, salt: int = 0, year: int | None = 1, **options: Any) -> Added:
    items = Items(ids, [f"{name} {salt}" for name in ids], metadata={"year": [year] * len(ids)})
    return place.add(items, image=codes_of(ids, salt), text=codes_of(ids, salt + 1), **options)
