"""Codes in PostgreSQL with pgvector, for those who have a database already: `bit(n)`, Hamming distance, one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, check_n_bits
from crossbit.errors import CrossbitError, DataError, EngineError, MissingExtraError
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
from crossbit.index.protocol import Hits, Ids, Where, check_at_least, check_codes, check_ids, some_ids

if TYPE_CHECKING:
    from psycopg import Cursor

Value = str | int | float | bool
Answer = TypeVar("Answer")

_QUERIES = 100  # queries a statement
_ATTEMPTS, _WAIT = 5, 0.5  # tries of a statement that may pass, and the first wait between two, in seconds


class PostgresIndex:
    """An index whose codes stand in a table of PostgreSQL with pgvector. See `Index`; needs the extra 'postgres'.

    n_bits: the code length. database: a connection string, such as postgresql://user@host:5432/database. table: its
    name; made where it is not there, with the extension, unless `make` is False. hasher: a fingerprint kept with the
    table, and compared when it is opened again. approximate: search by an HNSW index, built where it is not there,
    with `width` candidates a query; under a filter it goes on until enough are found. Without it every code is
    compared, and hits are exact.

    Adding, removing and `upsert` are transactions: all of it is stored, or nothing. What is acknowledged is durable as
    far as the database is set to be.

    Raises EngineError where the server does not answer or refuses, MismatchError for a table of another code length or
    hasher, or which is not crossbit's, SettingsError for no table to open, MissingExtraError without psycopg.
    """

    def __init__(
        self,
        n_bits: int,
        database: str,
        table: str,
        *,
        hasher: str = "",
        approximate: bool = False,
        width: int = 100,
        make: bool = True,
    ) -> None:
        check_n_bits(n_bits)
        self._n_bits, self._database, self._hasher = int(n_bits), database, hasher
        self._approximate, self._width = approximate, check_at_least("width", width, 1)
        try:
            import psycopg  # noqa: PLC0415 - an optional package, needed only where there is a PostgreSQL
        except ImportError as error:
            raise MissingExtraError("Codes in PostgreSQL", "postgres") from error
        self._psycopg = psycopg
        self._names = {
            "table": psycopg.sql.Identifier(table),
            "index": psycopg.sql.Identifier(f"{table}_hamming"),
            "n_bits": psycopg.sql.Literal(self._n_bits),
        }
        self._connection: Any = None
        try:
            self._transaction(lambda cursor: self._open(cursor, table, make), twice=True)
        except CrossbitError:
            self.close()
            raise

    @property
    def n_bits(self) -> int:
        """The code length of everything in it."""
        return self._n_bits

    def __len__(self) -> int:
        return self._transaction(lambda cursor: self._count(cursor, None, {}), twice=True)

    def add(self, codes: Codes, ids: NDArray[np.integer[Any]]) -> None:
        """Take in n codes under n ids; see `Index.add`."""
        check_codes(codes, self._n_bits, "codes")
        new = check_ids(ids, len(codes))

        def work(cursor: Cursor[Any]) -> None:
            known = self._known(cursor, new)
            if known.size:
                raise DataError(f"Ids that are in the index already: {some_ids(known)}. Remove them first.")
            self._copy(cursor, codes, new, {})

        self._transaction(work, twice=False)

    def upsert(
        self,
        codes: Codes,
        ids: NDArray[np.integer[Any]],
        *,
        metadata: Mapping[str, Sequence[Value]] | None = None,
    ) -> None:
        """Take in n codes under n ids, in place of what stands under them: safe to do again after any failure.

        metadata: columns of n values, which `matching` can speak of. Raises WidthError and DataError for what does not
        fit, EngineError where the database fails; nothing is stored then.
        """
        check_codes(codes, self._n_bits, "codes")
        rows = check_ids(ids, len(codes))
        columns = {name: list(values) for name, values in (metadata or {}).items()}
        wrong = [name for name, values in columns.items() if len(values) != len(rows)]
        if wrong:
            raise DataError(f"Metadata is a column of {len(rows)} values; look at {wrong}.")
        self._transaction(lambda cursor: self._copy(cursor, codes, rows, columns), twice=True)

    def remove(self, ids: NDArray[np.integer[Any]]) -> None:
        """Take out the codes of these ids; see `Index.remove`."""
        gone = check_ids(ids)

        def work(cursor: Cursor[Any]) -> None:
            unknown = np.setdiff1d(gone, self._known(cursor, gone), assume_unique=True)
            if unknown.size:
                raise DataError(f"Ids that are not in the index: {some_ids(unknown)}. Nothing was removed.")
            cursor.execute(self._sql("DELETE FROM {table} WHERE id = ANY(%(ids)s)"), {"ids": gone.tolist()})

        self._transaction(work, twice=False)

    def search(
        self, queries: Codes, k: int, *, where: Where | None = None, matching: Mapping[str, Value] | None = None
    ) -> Hits:
        """The k nearest codes of each query, nearest first, ties by lower id; see `Index.search`.

        matching: metadata that hits must have, by name; it holds beside `where`.
        """
        check_codes(queries, self._n_bits, "queries")
        k = check_at_least("k", k, 1)
        kept, needed = None if where is None else ids_of(where), dict(matching or {})
        if kept is not None and not kept.size:
            return nothing_found(len(queries))
        if not len(queries):
            held = self._transaction(lambda cursor: self._count(cursor, kept, needed), twice=True)
            return nothing_found(0, min(k, held))
        statement = (
            "SELECT q.row, h.id, h.distance FROM unnest(%(codes)s::bit({n_bits})[]) WITH ORDINALITY AS q(code, row),"
            " LATERAL (SELECT t.id, t.code <~> q.code AS distance FROM {table} t WHERE "
            + _condition(kept, needed)
            + " ORDER BY "
            + ("t.code <~> q.code" if self._approximate else "t.code <~> q.code, t.id")
            + " LIMIT %(k)s) h"
        )
        return together(in_order(self._ask(statement, queries, {"k": k, **_values(kept, needed)}), k))

    def within(self, queries: Codes, radius: int) -> list[Hits]:
        """All codes within a Hamming radius; see `Index.within`. Always exact."""
        check_codes(queries, self._n_bits, "queries")
        radius = min(check_at_least("radius", radius, 0), self._n_bits)
        statement = (
            "SELECT q.row, t.id, t.code <~> q.code FROM unnest(%(codes)s::bit({n_bits})[]) WITH ORDINALITY"
            " AS q(code, row), {table} t WHERE t.code <~> q.code <= %(radius)s"
        )
        return in_order(self._ask(statement, queries, {"radius": radius}))

    def metadata(self, ids: NDArray[np.integer[Any]]) -> dict[int, dict[str, Value]]:
        """The metadata of some items by id; ids that are not there are left out."""
        statement, values = self._sql("SELECT id, metadata FROM {table} WHERE id = ANY(%(ids)s)"), {"ids": ids.tolist()}
        rows = self._transaction(lambda cursor: cursor.execute(statement, values).fetchall(), twice=True)
        return {int(row[0]): dict(row[1]) for row in rows}

    def drop(self) -> None:
        """Take the table and all its codes out of the database."""
        self._transaction(lambda cursor: cursor.execute(self._sql("DROP TABLE IF EXISTS {table}")), twice=True)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _open(self, cursor: Cursor[Any], table: str, make: bool) -> None:
        """Make the table, or see that it holds what is expected."""
        if cursor.execute("SELECT to_regclass(%s)", [table]).fetchone() != (None,):
            told = cursor.execute("SELECT obj_description(to_regclass(%s))", [table]).fetchone()
            check_note(str(told[0]) if told else "", self._n_bits, self._hasher, f"The table {table}")
        elif not make:
            raise nothing_there(table, self._database)
        else:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
            columns = "id bigint PRIMARY KEY, code bit({n_bits}) NOT NULL, metadata jsonb NOT NULL DEFAULT '{{}}'"
            cursor.execute(self._sql("CREATE TABLE {table} (" + columns + ")"))
            cursor.execute(self._sql("CREATE INDEX ON {table} USING gin (metadata jsonb_path_ops)"))
            about = note(self._n_bits, self._hasher)
            cursor.execute(self._sql("COMMENT ON TABLE {table} IS {about}", about=about))
        if self._approximate:
            cursor.execute(self._sql("CREATE INDEX IF NOT EXISTS {index} ON {table} USING hnsw (code bit_hamming_ops)"))

    def _ask(self, statement: str, queries: Codes, values: dict[str, Any]) -> list[Found]:
        """What a statement finds for each query: rows of the query's number from 1, an id and a distance."""
        composed, found = self._sql(statement), []
        for part in parts_of(len(queries), _QUERIES):
            given = {"codes": _bit_strings(queries[part]), **values}

            def work(cursor: Cursor[Any], given: dict[str, Any] = given) -> list[Any]:
                if self._approximate:
                    cursor.execute(self._sql("SET LOCAL hnsw.ef_search = {width}", width=min(self._width, 1000)))
                    cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
                else:  # an index that somebody built is approximate: not for an exact search
                    cursor.execute("SET LOCAL enable_indexscan = off")
                return list(cursor.execute(composed, given).fetchall())

            rows = np.array(self._transaction(work, twice=True), dtype=object).reshape(-1, 3)
            numbers = rows[:, 0].astype(np.int64) - 1
            for query in range(part.stop - part.start):
                own = rows[numbers == query]
                found.append((own[:, 1].astype(np.int64), own[:, 2].astype(np.int32)))
        return found

    def _count(self, cursor: Cursor[Any], kept: Ids | None, needed: dict[str, Value]) -> int:
        statement = self._sql("SELECT count(*) FROM {table} t WHERE " + _condition(kept, needed))
        row = cursor.execute(statement, _values(kept, needed)).fetchone()
        return int(row[0]) if row else 0

    def _known(self, cursor: Cursor[Any], ids: Ids) -> Ids:
        statement = self._sql("SELECT id FROM {table} WHERE id = ANY(%(ids)s) ORDER BY id")
        return np.array([row[0] for row in cursor.execute(statement, {"ids": ids.tolist()})], dtype=np.int64)

    def _copy(self, cursor: Cursor[Any], codes: Codes, ids: Ids, columns: Mapping[str, Sequence[Value]]) -> None:
        """Send rows by COPY to a table of this transaction, and from there into place."""
        cursor.execute("CREATE TEMPORARY TABLE crossbit_new (id bigint, code text, metadata text) ON COMMIT DROP")
        with cursor.copy("COPY crossbit_new FROM STDIN") as copy:
            for at, bits in enumerate(_bit_strings(codes)):
                about = json.dumps({name: values[at] for name, values in columns.items()})
                copy.write_row((int(ids[at]), bits, about))
        cursor.execute(
            self._sql(
                "INSERT INTO {table} SELECT id, code::bit({n_bits}), metadata::jsonb FROM crossbit_new"
                " ON CONFLICT (id) DO UPDATE SET code = EXCLUDED.code, metadata = EXCLUDED.metadata"
            )
        )

    def _sql(self, text: str, **values: Any) -> Any:
        """A statement with the table's names and literal values set in, quoted as SQL needs it."""
        sql = self._psycopg.sql
        return sql.SQL(text).format(**self._names, **{name: sql.Literal(value) for name, value in values.items()})

    def _transaction(self, work: Callable[[Cursor[Any]], Answer], *, twice: bool) -> Answer:
        """What `work` gives within one transaction. twice: it may be done again where the connection is lost."""

        def once() -> Answer:
            if self._connection is None or self._connection.closed:
                self._connection = self._psycopg.connect(self._database, connect_timeout=10)
            with self._connection.transaction(), self._connection.cursor() as cursor:
                return work(cursor)

        def passes(error: Exception) -> bool:
            return twice and isinstance(error, self._psycopg.OperationalError)

        try:
            return again(once, passes, _ATTEMPTS, _WAIT)
        except CrossbitError:
            raise
        except self._psycopg.Error as error:
            told = " ".join(str(error).split())[:300]
            raise EngineError(f"PostgreSQL at {without_password(self._database)} failed: {told}") from error


def _bit_strings(codes: Codes) -> list[str]:
    """Codes as PostgreSQL writes them: "0110..."."""
    signs = (codes.bits().astype(np.uint8) + ord("0")).tobytes().decode("ascii")
    return [signs[start : start + codes.n_bits] for start in range(0, len(signs), codes.n_bits)]


def _condition(kept: Ids | None, needed: Mapping[str, Value]) -> str:
    conditions = ["t.id = ANY(%(ids)s)"] * (kept is not None) + ["t.metadata @> %(needed)s::jsonb"] * bool(needed)
    return " AND ".join(conditions) or "true"


def _values(kept: Ids | None, needed: Mapping[str, Value]) -> dict[str, Any]:
    values: dict[str, Any] = {} if kept is None else {"ids": kept.tolist()}
    return values | ({"needed": json.dumps(dict(needed))} if needed else {})
