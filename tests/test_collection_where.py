"""Filters: what they keep, against plain Python; and that nothing but a condition can be said with them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossbit.collection import Collection, Items
from crossbit.errors import CrossbitError, SettingsError
from small_collections import codes_of, hasher_of

ROWS: list[tuple[str, str | None, int | None, float | None, bool | None]] = [
    (f"n{row}", tag, year, price, new)
    for row, (tag, year, price, new) in enumerate(
        [
            ("cat", 2018, 0.5, True),
            ("dog", 2020, None, False),
            (None, 2021, 3.0, None),
            ("it's", None, -1.5, True),
            ("CAT", 2019, 2.0, False),
            ("50%_off", 2020, 2.5, None),
            ("", -5, 1e9, True),
        ]
    )
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    ids = [row[0] for row in ROWS]
    columns = {name: [row[number] for row in ROWS] for number, name in enumerate(("", "tag", "year", "price", "new"))}
    columns.pop("")
    columns["odd name"] = list(range(len(ROWS)))
    made = Collection.create(tmp_path_factory.mktemp("where") / "c", hasher_of())
    half = 4
    for rows in (slice(0, half), slice(half, None)):  # two segments
        items = Items(ids[rows], ids[rows], metadata={name: values[rows] for name, values in columns.items()})
        made.add(items, image=codes_of(ids[rows]))
        made._writer.flush()
    made.remove(["n1"])
    return made


@pytest.fixture(scope="module")
def database() -> sqlite3.Connection:
    opened = sqlite3.connect(":memory:")
    opened.execute("PRAGMA case_sensitive_like = ON")
    opened.execute('CREATE TABLE t (id, tag, year, price, new, "odd name")')
    opened.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", [(*row, number) for number, row in enumerate(ROWS)])
    return opened


def kept(place: Collection, where: str) -> list[str]:
    return sorted(hit.id for hit in place.search(codes_of(["q"]), 50, among="image", where=where)[0])


CONDITIONS = [
    "year > 2019",
    "year > 2019 AND tag = 'cat'",
    "year >= 2018 and (tag = 'cat' or price < 3)",
    "NOT year = 2020",
    "NOT (year = 2020 OR tag = 'cat')",
    "tag IN ('cat', 'dog', 'it''s')",
    "tag NOT IN ('cat')",
    "tag NOT IN ('cat', NULL)",
    "year IN (2018, 2020)",
    "tag LIKE 'c%'",
    "tag LIKE '%_o%'",
    "tag NOT LIKE '_at'",
    "year BETWEEN 2018 AND 2020",
    "year NOT BETWEEN 2018 AND 2020",
    "price IS NULL",
    "price IS NOT NULL AND new",
    "NOT new",
    "new = TRUE OR tag IS NULL",
    "price > year",
    "year = 2020.0",
    "price = 2",
    "price = -1.5",
    "year < -1",
    "tag = ''",
    "tag <> 'cat'",
    "tag != 'cat' AND tag < 'd'",
    '"odd name" >= 3',
    "id = 'n3'",
    "1 = 1",
    "1 > 2",
    "NULL IS NULL",
    "year = NULL",
]


@pytest.mark.parametrize("where", CONDITIONS)
def test_conditions_keep_what_sql_keeps(place: Collection, database: sqlite3.Connection, where: str) -> None:
    expected = sorted(row[0] for row in database.execute(f"SELECT id FROM t WHERE id <> 'n1' AND ({where})"))
    assert kept(place, where) == expected
    assert sorted(place.ids_where(where)) == expected
    assert sum(place.facets("tag", where=where).values()) == len(expected)


def test_case_can_be_left_out(place: Collection) -> None:
    assert kept(place, "tag ILIKE 'c%'") == ["n0", "n4"]


HOSTILE = [
    "1 = 1; DROP TABLE items",
    "year > 2019 -- AND",
    "year > 2019 /* x */",
    "id IN (SELECT id FROM items)",
    "(SELECT 1) = 1",
    "EXISTS (SELECT 1)",
    "read_csv('/etc/passwd') = 1",
    "getenv('HOME') = 'x'",
    "load_extension('x')",
    "COPY t TO '/var/x'",
    "ATTACH '/var/x' AS y",
    "PRAGMA database_list",
    "INSTALL httpfs",
    "year > 2019 UNION SELECT 1",
    "__import__('os').system('true')",
    "tag.__class__ = 'x'",
    "year + 1 = 2",
    "tag || 'x' = 'x'",
    "CAST(year AS text) = 'x'",
    "pg_sleep(10)",
    "year = 1) OR (1 = 1",
    "year > ",
    "> 3",
    "tag = 'open",
    'tag = "cat"',
    "nothing = 3",
    "thumbnail = 'x'",
    "tag = 3",
    "year = 'cat'",
    "year LIKE '2%'",
    "tag LIKE tag",
    "tag IN ()",
    "tag IN (tag)",
    "year",
    "'text'",
    "year = 99999999999999999999999",
    "tag = 'x' AND",
    "",
    "   ",
    "\x00",
    "年 = 1",
    "(" * 60 + "1 = 1" + ")" * 60,
    "NOT " * 60 + "new",
    "year = 1 OR " * 900 + "year = 2",
    f"tag IN ({', '.join(['1'] * 1001)})",
    f"year IN ({', '.join(['1'] * 1001)})",
]


@pytest.mark.parametrize("where", HOSTILE)
def test_what_is_no_condition_is_refused(place: Collection, where: str) -> None:
    with pytest.raises(SettingsError):
        kept(place, where)
    with pytest.raises(SettingsError):
        place.facets("tag", where=where)


def test_long_chains_are_fine(place: Collection) -> None:
    assert kept(place, " OR ".join(["year = 1"] * 700 + ["year = 2020"])) == ["n5"]


PIECES = [
    *("year", "tag", "new", "price", "AND", "OR", "NOT", "IN", "(", ")", ",", "=", "<", ">", "'cat'", "1", "2.5"),
    *("NULL", "IS", "LIKE", "BETWEEN", "TRUE", "-", '"tag"', "%"),
]


@settings(max_examples=200)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(PIECES),
            max_size=14,
        ).map(" ".join),
    )
)
def test_any_text_is_a_condition_or_a_clear_error(text: str) -> None:
    place: Any = test_any_text_is_a_condition_or_a_clear_error.place  # type: ignore[attr-defined]
    try:
        found = place.search(codes_of(["q"]), 50, among="image", where=text)[0]
    except CrossbitError:
        return
    assert len(found) <= 6


@pytest.fixture(autouse=True)
def _one_place(place: Collection) -> None:
    test_any_text_is_a_condition_or_a_clear_error.place = place  # type: ignore[attr-defined]


def test_facets_count_what_is_there(place: Collection) -> None:
    assert place.facets("new") == {True: 3, False: 1, None: 2}
    assert place.facets("year", limit=1) in ({2018: 1}, {-5: 1}, {2019: 1})
    assert place.facets("tag", where="year > 2018") == {"50%_off": 1, "CAT": 1, None: 1}
    with pytest.raises(SettingsError, match="no column 'size'; there are"):
        place.facets("size")


def test_filters_of_many_rows_agree_with_plain_ones(tmp_path: Path) -> None:
    n = 40_000  # several stored batches
    years = np.random.default_rng(0).integers(1900, 2030, n)
    ids = [f"n{row}" for row in range(n)]
    codes = codes_of(["one"])[np.zeros(n, dtype=np.int64)]
    made = Collection.create(tmp_path / "c", hasher_of(), Items(ids, ids, metadata={"year": years}), image=codes)
    hits = made.search(codes_of(["q"]), n, among="image", where="year BETWEEN 1950 AND 1951")[0]
    assert [hit.row for hit in hits] == np.flatnonzero((years == 1950) | (years == 1951)).tolist()
    values, counts = np.unique(years, return_counts=True)
    assert made.facets("year", limit=1000) == dict(zip(values.tolist(), counts.tolist(), strict=True))
