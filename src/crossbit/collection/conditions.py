"""What a filter is once it is read: comparisons of columns and values, and how they are combined."""

from __future__ import annotations

from dataclasses import dataclass

Kind = str
"""What a column or value is: "text", "integer", "real", "boolean", or "null" for NULL itself."""

Plain = str | int | float | bool | None


@dataclass(frozen=True)
class Column:
    """The value of a column."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Value:
    """A value that stands in the filter."""

    value: Plain
    kind: Kind


@dataclass(frozen=True)
class Compare:
    """left and right compared. function: the name of Arrow's function."""

    function: str
    left: Operand
    right: Operand


@dataclass(frozen=True)
class All:
    """All of the conditions hold (AND)."""

    terms: tuple[Condition, ...]


@dataclass(frozen=True)
class Some:
    """At least one of the conditions holds (OR)."""

    terms: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The condition does not hold."""

    term: Condition


@dataclass(frozen=True)
class OneOf:
    """The operand equals one of the values."""

    operand: Operand
    values: tuple[Plain, ...]


@dataclass(frozen=True)
class Like:
    """The text fits a pattern in which % stands for anything and _ for one character."""

    operand: Operand
    pattern: str
    ignore_case: bool


@dataclass(frozen=True)
class IsNull:
    """The operand has no value."""

    operand: Operand


Operand = Column | Value
Condition = Compare | All | Some | Not | OneOf | Like | IsNull | Column | Value
