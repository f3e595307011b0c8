"""A method: an immutable record of settings with one verb, fit."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from crossbit.codes import check_n_bits
from crossbit.errors import DataError, LabelError, SettingsError
from crossbit.hasher import Hasher
from crossbit.pairs import PairedFeatures, some
from crossbit.progress import Progress, silent

ANNOUNCED_ABOVE = 20_000
"""Pairs beyond which tables of n x n are announced before they are made."""


@dataclass(frozen=True)
class Paper:
    """Where a method comes from. link: a DOI or arXiv address, or "" where there is none."""

    authors: str
    title: str
    venue: str
    year: int
    link: str = ""
    reconstruction: bool = False
    """True where the paper's text is not public and what stands here was rebuilt from its abstract or title."""


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """Settings of one method; `fit` learns a Hasher from pairs and changes nothing here.

    n_bits: code length. seed: the same seed gives the same codes. Every setting is a plain value, or another method.
    """

    paper: ClassVar[Paper]
    name: ClassVar[str]
    supervised: ClassVar[bool] = False
    hierarchical: ClassVar[bool] = False  # whether it learns from label levels, coarse and fine, where there are any

    n_bits: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        check_n_bits(self.n_bits)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise SettingsError(f"seed must be a whole number of 0 or more; got {self.seed!r}.")
        for field in dataclasses.fields(self):
            check_number(field.name, getattr(self, field.name))

    def fit(self, pairs: PairedFeatures, *, progress: Progress = silent, checkpoint: Path | None = None) -> Hasher:
        """Learn two hash functions from n pairs.

        Labels are taken away first unless the method is supervised. Pairs in which a modality is all zeros teach
        nothing about the other one and are left out; how many is noted in the report. checkpoint: a folder in which
        long training leaves its last finished epoch, to go on from after a kill; it is emptied at the end.

        The report of the hasher notes monitors of collapse on the training pairs
        (`crossbit.evaluation.training_monitors`).

        A UserWarning tells, before the work starts, the GiB that tables of all couples of more than 20,000 pairs will
        take, and how to do without (see `whole_table`).

        Raises LabelError where a supervised method gets no labels, DataError where there is nothing to learn from:
        fewer than two usable pairs, or a modality whose rows are all the same.
        """
        if not self.supervised:
            pairs = pairs.without_labels()
        elif pairs.labels is None:
            raise LabelError(
                f"{self.name} is supervised and needs labels; the pairs have none. Give labels=, one row a pair."
            )
        elif not self.hierarchical:
            pairs = pairs.without_levels()
        empty = pairs.empty_rows()
        if empty.size == len(pairs):
            raise DataError("In every pair a modality is all zeros, so nothing can be learned; check the encoders.")
        usable = pairs if not empty.size else pairs[np.setdiff1d(np.arange(len(pairs)), empty)]
        if len(usable) < 2:
            raise DataError(f"Learning needs at least 2 usable pairs (hundreds are better); got {len(usable)}.")
        for side, rows in (("image", usable.image), ("text", usable.text)):
            if (rows == rows[0]).all():
                raise DataError(
                    f"All {side} features are the same, so nothing can be learned from them; check the encoder."
                )
        announce(self, len(usable))
        hasher = self._fit(usable, progress, checkpoint)
        # As it is needed: what only reads methods or hashers need not load all of evaluation.
        monitors = importlib.import_module("crossbit.evaluation.training_monitors")
        report = {**hasher.report, "pairs": len(usable), "monitors": monitors.training_monitors(hasher, usable)}
        if empty.size:
            report["left_out"] = f"{empty.size} pairs with an all-zero modality: {some(empty)}"
        return dataclasses.replace(hasher, method=self.name, settings=self.settings(), report=report)

    def whole_table(self, n: int) -> tuple[int, str]:
        """About how many bytes tables of n x n take while learning from n pairs, and a sentence on how to do without.

        0 and "" for a method that holds none. What stands here is only told, so a change of it dates no stored result.
        """
        return 0, ""

    @abstractmethod
    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        """Learn from validated pairs; method and settings are written into the hasher by `fit`."""

    def settings(self) -> dict[str, Any]:
        """All settings as plain JSON values; a field that is a method becomes {"method": its name, ...}."""
        values: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            values[field.name] = {"method": value.name, **value.settings()} if isinstance(value, Method) else value
        return json.loads(json.dumps(values))  # type: ignore[no-any-return]  # tuples become lists, as in the file

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """The same method with some settings changed; raises SettingsError for a name it does not have."""
        known = {field.name for field in dataclasses.fields(self)}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise SettingsError(f"{self.name} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
        return dataclasses.replace(self, **settings)


def announce(method: Method, n: int) -> None:
    """Warn of tables of n x n above 20,000 pairs, with their size in GiB and the way around them."""
    size, way_out = method.whole_table(n)
    if n > ANNOUNCED_ABOVE and size:
        told = (
            f"{method.name} holds tables of all couples of {n:,} pairs, which will take about {size / 2**30:.1f} GiB."
        )
        warnings.warn(f"{told} {way_out}", stacklevel=3)


def check_number(name: str, value: object) -> None:
    """Raise SettingsError where a setting cannot be what its name says: the ranges that all methods share.

    Numbers are finite; units (`hidden`) are whole and 1 or more, rates (`learning_rate...`) above 0, shares
    (`..._share`) from 0 to 1. What a method asks beyond that it checks itself.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{name} must be a finite number; got {value!r}.")
    if not isinstance(value, int | float):
        return
    if name == "hidden" and (isinstance(value, bool | float) or value < 1):
        raise SettingsError(f"{name} must be a whole number of units, 1 or more; got {value!r}.")
    if name.startswith("learning_rate") and not value > 0:
        raise SettingsError(f"{name} must be above 0; got {value!r}.")
    if name.endswith("_share") and not 0 <= value <= 1:
        raise SettingsError(f"{name} is a share from 0 to 1; got {value!r}.")
