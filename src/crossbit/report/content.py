"""What a report shows, as plain values: questions, what each hasher answered, scores and how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Found:
    """One hit. distance: differing bits. picture: PNG, JPEG or WebP bytes. code: its (n_bits,) bits, to be drawn.

    relevant: whether it shares a label with the question; None where nobody knows.
    """

    caption: str
    distance: int
    picture: bytes | None = None
    relevant: bool | None = None
    code: Bits | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What one hasher found. hasher: its name as shown. code: the question's own (n_bits,) bits under this hasher."""

    hasher: str
    found: Sequence[Found]
    code: Bits | None = None


@dataclass(frozen=True)
class Question:
    """A query: a text that looks for pictures, or, with `picture`, a picture that looks for texts.

    typed: True for words that somebody typed, which stand in no data set and so have no labels.
    """

    text: str
    answers: Sequence[Answer]
    picture: bytes | None = None
    typed: bool = False


@dataclass(frozen=True)
class ScoreLine:
    """The scores of one method. values: by protocol name, mean average precision (I2T, T2I), each from 0 to 1."""

    name: str
    role: str
    values: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Report:
    """A page of results. protocols: by name, what the protocol counts and its id. made: how, as name and value."""

    title: str
    introduction: str
    n_bits: int
    questions: Sequence[Question]
    scores: Sequence[ScoreLine]
    protocols: Mapping[str, str]
    made: Mapping[str, str] = field(default_factory=dict)
    credit: str = ""
