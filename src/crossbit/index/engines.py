"""Engines beside crossbit by their addresses: milvus://host:port/name and postgresql://user@host/database/name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import SettingsError
from crossbit.index.beside import Address
from crossbit.index.milvus import MilvusIndex
from crossbit.index.postgres import PostgresIndex
from crossbit.index.protocol import Ids, Index

SCHEMES = ("milvus", "postgresql")


class EngineIndex(Index, Protocol):
    """An index in an engine, with metadata beside the codes."""

    def upsert(
        self, codes: Codes, ids: NDArray[np.integer[Any]], *, metadata: Mapping[str, Sequence[Any]] | None = None
    ) -> None:
        """Take in codes under ids in place of what stands under them; safe to do again after any failure."""

    def metadata(self, ids: NDArray[np.integer[Any]]) -> dict[int, dict[str, Any]]:
        """The metadata of some items by id."""

    def drop(self) -> None:
        """Take all of it out of the engine."""

    def close(self) -> None:
        """Close the connection."""


def is_address(text: str) -> bool:
    """Whether a text names an engine, also where a path was made of it, which takes one of two slashes away."""
    return text.startswith(tuple(f"{scheme}:/" for scheme in SCHEMES))


def open_engine(address: str, part: str, n_bits: int, hasher: str, *, make: bool = True) -> EngineIndex:
    """The index for the codes of one modality at an address; made where it is not there, unless `make` is False.

    part: what is put behind the address's name, such as "image". hasher: the fingerprint of what makes the codes.
    Raises SettingsError for an address of another form or where there is nothing to open, and what the engines raise.
    """
    scheme, mark, rest = address.partition(":/")
    parsed = Address.parse(f"{scheme}://{rest.removeprefix('/')}" if mark else address)
    name = f"{parsed.name}_{part}"
    if parsed.scheme == "milvus":
        token, _, server = parsed.server.rpartition("@")
        return MilvusIndex(n_bits, f"http://{server}", name, hasher=hasher, token=token, make=make)
    if parsed.scheme == "postgresql":
        return PostgresIndex(n_bits, f"postgresql://{parsed.server}", name, hasher=hasher, make=make)
    raise SettingsError(f"An engine is one of {', '.join(SCHEMES)}; got {parsed.scheme!r}.")


def numbers_of(names: Sequence[str]) -> Ids:
    """A number from 0 to 2^63 - 1 for each name, the same in every run: so that an item is always in one place.

    They are hashes. Among a million names two share a number with a chance of one to 18 million.
    """
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.array([int.from_bytes(digest, "big") >> 1 for digest in digests], dtype=np.int64)
