"""What indexes share whose codes stand in another program: an address, hits put in order, calls made again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import DataError, MismatchError, SettingsError
from crossbit.index.protocol import Hits, Ids, Where

Answer = TypeVar("Answer")
Found = tuple[Ids, NDArray[np.int32]]
"""The ids and distances found for one query."""


@dataclass(frozen=True)
class Address:
    """Where an engine stands and what its codes are called there: scheme://user:password@host:port/.../name."""

    scheme: str
    server: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address that a text such as milvus://host:19530/shop says; raises SettingsError for another form."""
        parts = urlsplit(text)
        before, _, name = parts.path.rpartition("/")
        if not (parts.scheme and parts.netloc and name.isidentifier() and name.isascii()):
            raise SettingsError(
                f"An engine is named as milvus://host:port/name or postgresql://user@host:port/database/name, the name "
                f"of ASCII letters, digits and _; got {without_password(text)!r}."
            )
        return cls(parts.scheme, f"{parts.netloc}{before}{'?' * bool(parts.query)}{parts.query}", name)


def without_password(text: str) -> str:
    """An address as it may be shown: what stands between user and host is left out."""
    scheme, mark, rest = text.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{mark}{user.split(':')[0]}{at}{host}" if mark else text


def note(n_bits: int, hasher: str) -> str:
    """What is kept in the engine beside the codes, so that they are only ever compared with their own kind."""
    return json.dumps({"crossbit": 1, "n_bits": n_bits, "hasher": hasher})


def check_note(text: str, n_bits: int, hasher: str, place: str) -> None:
    """Raise MismatchError unless a note speaks of codes of this length and hasher ("" where either is not told)."""
    try:
        about = json.loads(text)
        held, stored = int(about["n_bits"]), str(about["hasher"])
    except (ValueError, KeyError, TypeError) as error:
        raise MismatchError(f"{place} was not made for crossbit's codes; choose another name.") from error
    if held != n_bits or (hasher and stored and hasher != stored):
        raise MismatchError(
            f"{place} holds {held}-bit codes of the hasher {stored or '(not told)'}; asked for were {n_bits} bits of "
            f"{hasher or '(not told)'}. Use its own hasher, or another name."
        )


def nothing_there(name: str, place: str) -> SettingsError:
    """What to raise where codes are looked for under a name that an engine does not have."""
    return SettingsError(
        f"There are no codes called {name} at {without_password(place)}. Look at the address; codes are put there with "
        " crossbit index --to ADDRESS."
    )


def ids_of(where: Where) -> Ids:
    """The ids that a filter names, of which the engine may hold some; raises DataError for a filter of another type."""
    array = np.asarray(where)
    if array.ndim == 1 and array.dtype == np.bool_:
        return np.flatnonzero(array).astype(np.int64)
    if array.ndim == 1 and (np.issubdtype(array.dtype, np.integer) or array.size == 0):
        if array.dtype == np.uint64:
            array = array[array <= np.uint64(np.iinfo(np.int64).max)]
        return np.unique(array.astype(np.int64))
    raise DataError(f"where= takes a list of ids or booleans by id; got {array.dtype} of shape {array.shape}.")


def nothing_found(queries: int, k: int = 0) -> Hits:
    """Hits of a search that found nothing, or that asked nothing."""
    return Hits(np.empty((queries, k), np.int64), np.empty((queries, k), np.int32))


def in_order(found: Sequence[Found], k: int | None = None) -> list[Hits]:
    """Each query's hits nearest first, ties by lower id, at most k of them, as Hits of one row."""
    rows = []
    for ids, distances in found:
        order = np.lexsort((ids, distances))[:k]
        rows.append(Hits(ids[order][None], distances[order][None]))
    return rows


def together(rows: Sequence[Hits]) -> Hits:
    """Hits of one row each as one (q, k); an approximate search may find fewer for a query, and then k is the least."""
    k = min(row.ids.shape[1] for row in rows)
    return Hits(
        np.concatenate([row.ids[:, :k] for row in rows]), np.concatenate([row.distances[:, :k] for row in rows])
    )


def parts_of(n: int, size: int) -> Iterator[slice]:
    """0 to n in slices of at most `size`."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def again(call: Callable[[], Answer], passing: Callable[[Exception], bool], attempts: int, wait: float) -> Answer:
    """The answer of a call, made again after a wait (doubled each time) while it fails in a way that passes.

    Only for calls that may be made twice: reading, and writing the same rows under the same ids.
    """
    for attempt in range(1, attempts):
        try:
            return call()
        except Exception as error:
            if not passing(error):
                raise
            time.sleep(wait * 2 ** (attempt - 1))
    return call()
