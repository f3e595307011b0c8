"""Filters: a condition in the words of SQL, read by a grammar that can compare and combine, and nothing else.

There is no call, no subquery, no statement and no name but a column's in this grammar, so a filter from a stranger can
neither write nor reach outside. The conditions run as Arrow's compiled column functions.

    year > 2019 AND tag IN ('cat', 'dog') AND NOT (caption LIKE '%toy%' OR price IS NULL)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from crossbit.collection.conditions import (
    All,
    Column,
    Compare,
    Condition,
    IsNull,
    Kind,
    Like,
    Not,
    OneOf,
    Operand,
    Some,
    Value,
)
from crossbit.errors import SettingsError

LONGEST = 10_000  # characters of a filter
DEEPEST = 50  # parentheses and NOTs within each other
MOST_VALUES = 1_000  # in one IN (...)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<word>[^\W\d]\w*)
    | (?P<sign><=|>=|<>|!=|==|[=<>(),-])
    )""",
    re.VERBOSE,
)
_WORDS = frozenset(["AND", "OR", "NOT", "IN", "LIKE", "ILIKE", "BETWEEN", "IS", "NULL", "TRUE", "FALSE"])
_COMPARISONS = {"=": "equal", "==": "equal", "<>": "not_equal", "!=": "not_equal"} | {
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}


def parse_where(text: str, columns: Mapping[str, Kind]) -> Condition:
    """The condition of a filter. columns: what it may name, and of which kind each is.

    Raises SettingsError, with the place and what was expected, for whatever is not a condition on these columns.
    """
    if not isinstance(text, str) or not text.strip():
        raise SettingsError("where= is a condition such as  year > 2019 AND tag = 'cat'; it is empty.")
    if len(text) > LONGEST:
        raise SettingsError(f"A filter has at most {LONGEST} characters; got {len(text)}.")
    parser = _Parser(text, columns)
    condition = parser.any_of(0)
    parser.expect_end()
    return condition


class _Parser:
    """Reads a filter from left to right."""

    def __init__(self, text: str, columns: Mapping[str, Kind]) -> None:
        self._columns = columns
        self._tokens: list[tuple[str, str, int]] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            if found is None:
                raise _wrong(text[place:].strip()[:20], place, "a column, a value, a comparison, AND, OR or NOT")
            group = kind = str(found.lastgroup)
            token = found.group(group)
            if kind == "word" and token.upper() in _WORDS:
                kind, token = "key", token.upper()
            self._tokens.append((kind, token, found.start(group)))
            place = found.end()
        self._tokens.append(("end", "the end", end))
        self._next = 0

    def any_of(self, depth: int) -> Condition:
        """Conditions joined by OR."""
        terms = [self._all_of(depth)]
        while self._take("key", "OR"):
            terms.append(self._all_of(depth))
        return terms[0] if len(terms) == 1 else Some(tuple(terms))

    def expect_end(self) -> None:
        """Raise unless everything was read."""
        if self._tokens[self._next][0] != "end":
            raise self._expected("AND, OR or the end")

    def _all_of(self, depth: int) -> Condition:
        terms = [self._term(depth)]
        while self._take("key", "AND"):
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else All(tuple(terms))

    def _term(self, depth: int) -> Condition:
        if depth > DEEPEST:
            raise SettingsError(f"A filter nests at most {DEEPEST} parentheses and NOTs; write it flatter.")
        if self._take("key", "NOT"):
            return Not(self._term(depth + 1))
        if self._take("sign", "("):
            inner = self.any_of(depth + 1)
            self._must("sign", ")")
            return inner
        return self._predicate()

    def _predicate(self) -> Condition:
        left = self._operand()
        kind, token, _ = self._tokens[self._next]
        if kind == "sign" and token in _COMPARISONS:
            self._next += 1
            return _compared(_COMPARISONS[token], left, self._operand())
        if self._take("key", "IS"):
            negated = self._take("key", "NOT")
            self._must("key", "NULL")
            return Not(IsNull(left)) if negated else IsNull(left)
        negated = self._take("key", "NOT")
        condition = self._further(left)
        if condition is not None:
            return Not(condition) if negated else condition
        if negated:
            raise self._expected("IN, LIKE, ILIKE or BETWEEN")
        if left.kind not in ("boolean", "null"):
            raise self._expected(f"a comparison (=, <, >, IN, LIKE, BETWEEN, IS NULL) after a {left.kind} operand")
        return left

    def _further(self, left: Operand) -> Condition | None:
        if self._take("key", "IN"):
            return self._one_of(left)
        if self._take("key", "BETWEEN"):
            low = self._operand()
            self._must("key", "AND")
            return All((_compared("greater_equal", left, low), _compared("less_equal", left, self._operand())))
        for word in ("LIKE", "ILIKE"):
            if self._take("key", word):
                pattern = self._operand()
                if left.kind not in ("text", "null") or not isinstance(pattern, Value) or pattern.kind != "text":
                    raise SettingsError(f"{word} compares text with a pattern, such as  caption {word} '%cat%'.")
                return Like(left, str(pattern.value), word == "ILIKE")
        return None

    def _one_of(self, left: Operand) -> Condition:
        self._must("sign", "(")
        values = []
        while True:
            value = self._operand()
            if not isinstance(value, Value):
                raise SettingsError("IN takes values, such as  tag IN ('cat', 'dog').")
            _compared("equal", left, value)
            values.append(value.value)
            if len(values) > MOST_VALUES:
                raise SettingsError(f"IN takes at most {MOST_VALUES} values.")
            if not self._take("sign", ","):
                break
        self._must("sign", ")")
        return OneOf(left, tuple(values))

    def _operand(self) -> Operand:
        kind, token, _ = self._tokens[self._next]
        negative = kind == "sign" and token == "-"
        if negative:
            self._next += 1
            kind, token, _ = self._tokens[self._next]
        if kind == "number":
            self._next += 1
            return _number(token, negative)
        if not negative:
            if kind == "text":
                self._next += 1
                return Value(token[1:-1].replace("''", "'"), "text")
            if kind == "key" and token in ("TRUE", "FALSE", "NULL"):
                self._next += 1
                return Value(None, "null") if token == "NULL" else Value(token == "TRUE", "boolean")
            if kind in ("word", "quoted"):
                return self._column(token if kind == "word" else token[1:-1].replace('""', '"'))
        raise self._expected("a column or a value")

    def _column(self, name: str) -> Column:
        if name not in self._columns:
            known = ", ".join(sorted(self._columns))
            raise SettingsError(
                f"The filter names {name!r}, which is no column; there are {known}. Text stands in single quotes."
            )
        self._next += 1
        return Column(name, self._columns[name])

    def _take(self, kind: str, token: str) -> bool:
        found = self._tokens[self._next][:2] == (kind, token)
        self._next += found
        return found

    def _must(self, kind: str, token: str) -> None:
        if not self._take(kind, token):
            raise self._expected(token)

    def _expected(self, what: str) -> SettingsError:
        _, token, place = self._tokens[self._next]
        return _wrong(token, place, what)


def _wrong(token: str, place: int, expected: str) -> SettingsError:
    return SettingsError(
        f"The filter cannot be read at character {place + 1}, {token!r}: {expected} is expected there."
    )


def _number(token: str, negative: bool) -> Value:
    if token.isascii() and token.isdigit():
        whole = -int(token[:30]) if negative else int(token[:30])
        if not -(1 << 63) <= whole < 1 << 63 or len(token) > 30:
            raise SettingsError(f"A whole number in a filter has 64 bits; {token[:30]} is beyond that.")
        return Value(whole, "integer")
    return Value(-float(token) if negative else float(token), "real")


def _compared(function: str, left: Operand, right: Operand) -> Compare:
    """The comparison; raises SettingsError where the two are of kinds that cannot be compared."""
    numbers = {"integer", "real"}
    kinds = {left.kind, right.kind} - {"null"}
    if len(kinds) > 1 and not kinds <= numbers:
        column = left if isinstance(left, Column) else right
        other = right if column is left else left
        name = column.name if isinstance(column, Column) else repr(column.value)
        shown = other.name if isinstance(other, Column) else repr(other.value)
        raise SettingsError(
            f"{name} is {column.kind} and {shown} is {other.kind}; only the same kind can be compared. "
            "Text stands in single quotes, numbers and TRUE or FALSE without."
        )
    return Compare(function, left, right)
