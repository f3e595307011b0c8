"""Codes in Milvus, for what one machine does not hold: binary vectors, the Hamming metric, the same answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of, check_n_bits
from crossbit.errors import CrossbitError, DataError, EngineError, MissingExtraError, SettingsError
from crossbit.index.beside import (
    Found,
    again,
    check_note,
    ids_of,
    in_order,
    note,
    nothing_found,
    nothing_there,
    parts_of,
    together,
    without_password,
)
from crossbit.index.milvus_language import among
from crossbit.index.protocol import Hits, Ids, Where, check_at_least, check_codes, check_ids, some_ids

Value = str | int | float | bool
Consistency = Literal["Strong", "Session", "Bounded", "Eventually"]
Answer = TypeVar("Answer")

_BATCH, _QUERIES = 5_000, 200  # rows a write, queries a request: each costs milliseconds, whatever is in it
_MOST = 16_384  # rows that Milvus gives to one query at most
_WRONG_REQUEST = frozenset({1, 65535, 100, 1100})  # codes of what stays wrong however often it is asked
_NOT_LOADED = 101
_ATTEMPTS, _WAIT = 5, 0.5  # tries of a call that may pass, and the first wait between two, in seconds
_SOON = 10.0  # seconds for a server to answer at first: a wrong address need not be tried for minutes


class MilvusIndex:
    """An index whose codes stand in a Milvus collection. See `Index`; needs the extra 'milvus'.

    n_bits: the code length, filled up to whole bytes there. uri: the server, such as http://host:19530. collection: its
    name in Milvus; made where it is not there, unless `make` is False. hasher: a fingerprint kept with it, and compared
    when it is opened again. token: "user:password" or a key. lists: 0 for an exact scan (BIN_FLAT); else the number of
    lists of BIN_IVF_FLAT, which is approximate and looks into `probes` of them. It is exact for k, and for a radius
    that holds, up to 16,384 items a query, which is all that Milvus gives.

    consistency: what a search sees. "Session", the default, sees all that this object has written, and waits only
    after writing; "Strong" also sees what others have written, and waits each time for Milvus' clock (about 0.2 s);
    "Bounded" and "Eventually" never wait. Counting, adding and removing always look with "Strong", and so does a
    session between a removal and its next write.

    Writes are sent in batches, and again where the server does not answer: a row written twice under one id stands
    once. One object writes at a time, as the check of ids and the write are two steps.

    Raises EngineError where the server does not answer or refuses, MismatchError for a collection of other codes,
    SettingsError for a setting that cannot be or no collection to open, MissingExtraError without pymilvus.
    """

    def __init__(
        self,
        n_bits: int,
        uri: str,
        collection: str,
        *,
        hasher: str = "",
        token: str = "",
        lists: int = 0,
        probes: int = 64,
        consistency: Consistency = "Session",
        timeout: float = 30.0,
        make: bool = True,
    ) -> None:
        check_n_bits(n_bits)
        if consistency not in get_args(Consistency):
            raise SettingsError(f"consistency is one of {', '.join(get_args(Consistency))}; got {consistency!r}.")
        self._n_bits, self._name, self._consistency, self._timeout = int(n_bits), collection, consistency, timeout
        self._lists, self._probes = check_at_least("lists", lists, 0), check_at_least("probes", probes, 1)
        self._uri, self._removed = uri, False
        try:
            import pymilvus  # noqa: PLC0415 - an optional package, needed only where there is a Milvus
        except ImportError as error:
            raise MissingExtraError("Codes in Milvus", "milvus") from error
        self._pymilvus = pymilvus
        soon = min(timeout, _SOON)
        self._client = self._call(lambda: pymilvus.MilvusClient(uri=uri, token=token, timeout=soon), attempts=1)
        try:
            self._open(hasher, make)
            self._call(lambda: self._client.load_collection(collection, timeout=timeout))
        except CrossbitError:
            self.close()
            raise

    @property
    def n_bits(self) -> int:
        """The code length of everything in it."""
        return self._n_bits

    def __len__(self) -> int:
        return self._count("")

    def add(self, codes: Codes, ids: NDArray[np.integer[Any]]) -> None:
        """Take in n codes under n ids; see `Index.add`."""
        check_codes(codes, self._n_bits, "codes")
        new = check_ids(ids, len(codes))
        known = self._known(new)
        if known.size:
            raise DataError(f"Ids that are in the index already: {some_ids(known)}. Remove them first.")
        self.upsert(codes, new)

    def upsert(
        self,
        codes: Codes,
        ids: NDArray[np.integer[Any]],
        *,
        metadata: Mapping[str, Sequence[Value]] | None = None,
        partition: str = "",
    ) -> None:
        """Take in n codes under n ids, in place of what stands under them: safe to do again after any failure.

        metadata: columns of n values, which `matching` can speak of. partition: where the rows go; made where it is
        not there. Raises WidthError and DataError for what does not fit, EngineError where Milvus fails; batches
        written before that stay, and the same call completes them.
        """
        check_codes(codes, self._n_bits, "codes")
        rows = check_ids(ids, len(codes))
        columns = {name: list(values) for name, values in (metadata or {}).items()}
        wrong = [name for name, values in columns.items() if len(values) != len(rows) or name in ("id", "code")]
        if wrong:
            raise DataError(f"Metadata is a column of {len(rows)} values, not called id or code; look at {wrong}.")
        if partition and not self._call(lambda: self._client.has_partition(self._name, partition)):
            self._call(lambda: self._client.create_partition(self._name, partition))
        for part in parts_of(len(rows), _BATCH):
            data = [
                {"id": int(rows[at]), "code": codes.packed[at].tobytes(), **{n: v[at] for n, v in columns.items()}}
                for at in range(part.start, part.stop)
            ]
            self._call(partial(self._client.upsert, self._name, data, self._timeout, partition))
            self._removed = False

    def remove(self, ids: NDArray[np.integer[Any]]) -> None:
        """Take out the codes of these ids; see `Index.remove`."""
        gone = check_ids(ids)
        unknown = np.setdiff1d(gone, self._known(gone), assume_unique=True)
        if unknown.size:
            raise DataError(f"Ids that are not in the index: {some_ids(unknown)}. Nothing was removed.")
        for part in parts_of(len(gone), _BATCH):
            self._removed = True
            self._call(partial(self._client.delete, self._name, filter=among(gone[part]), timeout=self._timeout))

    def search(
        self,
        queries: Codes,
        k: int,
        *,
        where: Where | None = None,
        matching: str = "",
        partitions: Sequence[str] = (),
    ) -> Hits:
        """The k nearest codes of each query, nearest first, ties by lower id; see `Index.search`.

        matching: a condition on the metadata in Milvus' language, such as 'year > 2020 and kind == "photo"'.
        partitions: only these are searched. Both hold beside `where`. Raises SettingsError for k above 16,384 where
        there are more items.
        """
        check_codes(queries, self._n_bits, "queries")
        k = check_at_least("k", k, 1)
        if k > _MOST and len(self) > _MOST:
            raise SettingsError(f"Milvus gives at most {_MOST} hits to a query; got k={k}.")
        condition = matching
        if where is not None:
            kept = ids_of(where)
            if not kept.size:
                return nothing_found(len(queries))
            condition = f"{among(kept)} and ({matching})" if matching else among(kept)
        if not len(queries):
            return nothing_found(0, min(k, self._count(condition)))
        return together(in_order(self._nearest(queries, min(k, _MOST), condition, partitions), k))

    def within(self, queries: Codes, radius: int) -> list[Hits]:
        """All codes within a Hamming radius; see `Index.within`. Raises EngineError for more than Milvus gives."""
        check_codes(queries, self._n_bits, "queries")
        radius = min(check_at_least("radius", radius, 0), self._n_bits)
        parts = parts_of(len(queries), _QUERIES)
        found = [one for part in parts for one in self._ask(queries[part], _MOST, "", (), radius)]
        if any(len(ids) >= _MOST for ids, _ in found):
            raise EngineError(f"{_MOST} or more items lie within {radius} bits, and Milvus gives no more.")
        return in_order(found)

    def metadata(self, ids: NDArray[np.integer[Any]]) -> dict[int, dict[str, Value]]:
        """The metadata of some items by id; ids that are not there are left out."""
        parts = (check_ids(ids)[part] for part in parts_of(len(ids), _BATCH))
        rows = [row for some in parts for row in self._query(among(some), ["*"])]
        return {int(row["id"]): {name: row[name] for name in row if name not in ("id", "code")} for row in rows}

    def drop(self) -> None:
        """Take the collection and all its codes out of Milvus."""
        self._call(lambda: self._client.drop_collection(self._name, timeout=self._timeout))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _open(self, hasher: str, make: bool) -> None:
        """Make the collection, or see that it holds what is expected."""
        if self._call(lambda: self._client.has_collection(self._name, timeout=self._timeout)):
            told = self._call(lambda: self._client.describe_collection(self._name, timeout=self._timeout))
            check_note(str(told["description"]), self._n_bits, hasher, f"The Milvus collection {self._name}")
            return
        if not make:
            raise nothing_there(self._name, self._uri)
        kinds = self._pymilvus.DataType
        about = note(self._n_bits, hasher)
        schema = self._pymilvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True, description=about)
        schema.add_field("id", kinds.INT64, is_primary=True)
        schema.add_field("code", kinds.BINARY_VECTOR, dim=8 * bytes_of(self._n_bits))
        index = self._client.prepare_index_params()
        kind, settings = ("BIN_IVF_FLAT", {"nlist": self._lists}) if self._lists else ("BIN_FLAT", {})
        index.add_index("code", index_type=kind, metric_type="HAMMING", params=settings)
        self._call(partial(self._client.create_collection, self._name, schema=schema, index_params=index))

    def _nearest(self, queries: Codes, k: int, condition: str, partitions: Sequence[str]) -> list[Found]:
        """The k nearest of each query, and all that are as near as the last of them, as far as Milvus gives them.

        Milvus takes any of the items at the last distance. To take those of lower ids, more are asked for until the
        last one is farther than the k-th.
        """
        found: list[Found] = []
        for part in parts_of(len(queries), _QUERIES):
            some, limit = queries[part], min(2 * k + 16, _MOST)
            answers = self._ask(some, limit, condition, partitions)
            while limit < _MOST:
                cut = [at for at, (_, d) in enumerate(answers) if len(d) == limit and d[-1] == d[k - 1]]
                if not cut:
                    break
                limit = min(4 * limit, _MOST)
                for at, answer in zip(cut, self._ask(some[np.array(cut)], limit, condition, partitions), strict=True):
                    answers[at] = answer
            found += answers
        return found

    def _ask(
        self, queries: Codes, limit: int, condition: str, partitions: Sequence[str], radius: int | None = None
    ) -> list[Found]:
        """What Milvus finds, nearest first, for up to 200 queries."""
        settings: dict[str, Any] = {"nprobe": self._probes} if self._lists else {}
        level = "Strong" if self._removed and self._consistency == "Session" else self._consistency
        settings |= {"radius": radius + 1} if radius is not None else {}  # the bound itself is left out
        answers = self._call(
            lambda: self._client.search(
                self._name,
                data=[row.tobytes() for row in queries.packed],
                filter=condition,
                limit=limit,
                search_params={"metric_type": "HAMMING", "params": settings},
                anns_field="code",
                partition_names=list(partitions) or None,
                consistency_level=level,
                timeout=self._timeout,
            )
        )
        hits = [[(hit["id"], int(hit["distance"])) for hit in answer] for answer in answers]
        rows = [np.array(own, dtype=np.int64).reshape(-1, 2) for own in hits]
        return [(row[:, 0], row[:, 1].astype(np.int32)) for row in rows]

    def _count(self, condition: str) -> int:
        return int(self._query(condition, ["count(*)"])[0]["count(*)"])

    def _known(self, ids: Ids) -> Ids:
        """Those of the ids that are there."""
        found = [int(row["id"]) for part in parts_of(len(ids), _BATCH) for row in self._query(among(ids[part]), ["id"])]
        return np.array(sorted(found), dtype=np.int64)

    def _query(self, condition: str, fields: list[str]) -> Any:
        settings = {"output_fields": fields, "consistency_level": "Strong", "timeout": self._timeout}
        return self._call(lambda: self._client.query(self._name, filter=condition, **settings))

    def _call(self, call: Callable[[], Answer], attempts: int | None = None) -> Answer:
        """The answer of a call that may be made twice, with Milvus' failures as crossbit's."""
        try:
            return again(call, self._passes, attempts or _ATTEMPTS, _WAIT)
        except Exception as error:
            if isinstance(error, CrossbitError):
                raise
            told = " ".join(str(error).split())[:300]
            raise EngineError(f"Milvus at {without_password(self._uri)} failed: {told}") from error

    def _passes(self, error: Exception) -> bool:
        """Whether a failure may pass, as the server is away, starting or busy; what it let go of is loaded again."""
        code = getattr(error, "code", None)
        if code == _NOT_LOADED:  # as after a restart of the server
            with suppress(self._pymilvus.MilvusException):
                self._client.load_collection(self._name, timeout=self._timeout)
        return not isinstance(error, CrossbitError | TypeError | ValueError) and code not in _WRONG_REQUEST
