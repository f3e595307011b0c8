"""Labels in two levels as data: which fine class lies under which coarse one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import FileFormatError, LabelError, SettingsError
from crossbit.files import write_whole
from crossbit.pairs import Labels, check_labels

FORMAT = "crossbit-hierarchy"
Several = Literal["refuse", "keep", "most"]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Which of c_fine classes lies under which of c_coarse ones.

    under: (c_coarse, c_fine) bool, True where the fine class (column) lies under the coarse class (row).
    coarse_names, fine_names: names of the classes, or empty. tree: whether every fine class lies under one coarse
    class alone; False allows several, as found in data.

    Raises LabelError for a fine class under no coarse class, and in a tree for one under several.
    """

    under: Labels
    coarse_names: tuple[str, ...] = ()
    fine_names: tuple[str, ...] = ()
    tree: bool = True

    def __post_init__(self) -> None:
        given = np.asarray(self.under)
        if given.ndim != 2 or 0 in given.shape:
            raise LabelError(f"A hierarchy is expected as (coarse classes, fine classes); got shape {given.shape}.")
        under = check_labels(given, len(given))
        object.__setattr__(self, "under", under)
        for what, names, n in (
            ("coarse", self.coarse_names, under.shape[0]),
            ("fine", self.fine_names, under.shape[1]),
        ):
            if names and len(names) != n:
                raise LabelError(
                    f"A hierarchy of {n} {what} classes needs {n} {what} names, or none; got {len(names)}."
                )
        parents = under.sum(axis=0)
        if (parents == 0).any():
            told = self._named("fine", np.flatnonzero(parents == 0))
            raise LabelError(f"Every fine class needs a coarse class above it; there is none above {told}.")
        if self.tree and (parents > 1).any():
            first = int(np.flatnonzero(parents > 1)[0])
            raise LabelError(
                f"{int((parents > 1).sum())} fine classes lie under several coarse ones, the first is "
                f"{self._named('fine', [first])} under {self._named('coarse', np.flatnonzero(under[:, first]))}. "
                "Choose one for each, or give tree=False where the data is so."
            )

    @classmethod
    def of_labels(
        cls,
        coarse: Labels,
        fine: Labels,
        *,
        several: Several = "refuse",
        coarse_names: Sequence[str] = (),
        fine_names: Sequence[str] = (),
    ) -> Hierarchy:
        """The hierarchy that labels have: a fine class lies under the coarse class that its pairs have.

        coarse: (n, c_coarse) and fine: (n, c_fine), of 0 and 1. several: what a fine class gets whose pairs have
        several coarse classes: "refuse" raises, "keep" keeps all, "most" takes the one with most pairs (the first of
        equals).

        Raises LabelError for labels that do not fit together, a fine class without a pair or whose pairs have no
        coarse class, and with "refuse" for a fine class under several, with the numbers of pairs.
        """
        if several not in ("refuse", "keep", "most"):
            raise SettingsError(f'several is "refuse", "keep" or "most"; got {several!r}.')
        counts = _shared(coarse, fine)
        names = (tuple(coarse_names), tuple(fine_names))
        empty = np.flatnonzero(~np.asarray(fine, dtype=np.bool_).any(axis=0))
        if len(empty):
            told = _named(names[1], empty)
            raise LabelError(
                f"No pair has the fine class {told}, so nothing tells what it lies under; drop its column."
            )
        if several == "refuse" and (wrong := np.flatnonzero((counts > 0).sum(axis=0) > 1)).size:
            first = int(wrong[0])
            told = ", ".join(
                f"{_named(names[0], [int(place)])} ({int(counts[place, first])} pairs)"
                for place in np.flatnonzero(counts[:, first])
            )
            raise LabelError(
                f"{len(wrong)} fine classes have pairs of several coarse classes, the first is "
                f'{_named(names[1], [first])}: {told}. Correct the labels, or give several="keep" or several="most".'
            )
        if several == "most":
            counts = np.where(np.arange(len(counts))[:, None] == counts.argmax(axis=0), counts, 0)
        return cls(counts > 0, *names, tree=several != "keep")

    def coarse_of(self, fine: Labels) -> Labels:
        """The coarse labels (n, c_coarse) that fine labels (n, c_fine) imply: every class above one of a pair's."""
        fine = check_labels(fine, len(fine))
        if fine.shape[1] != self.under.shape[1]:
            raise LabelError(f"The hierarchy has {self.under.shape[1]} fine classes; got {fine.shape[1]} columns.")
        return check_labels((fine.astype(np.float32) @ self.under.T.astype(np.float32)) > 0, len(fine))

    def levels(self, fine: Labels) -> tuple[Labels, Labels]:
        """The label levels of pairs of which fine labels are known: what `PairedFeatures(levels=)` takes."""
        return self.coarse_of(fine), check_labels(fine, len(fine))

    def check(self, coarse: Labels, fine: Labels) -> None:
        """Raise LabelError, naming classes, where a pair's fine and coarse class do not lie under one another."""
        counts = _shared(coarse, fine)
        if counts.shape != self.under.shape:
            raise LabelError(f"The hierarchy has {self.under.shape} classes; the labels have {counts.shape}.")
        has_fine, has_coarse = (np.asarray(labels, dtype=np.bool_) for labels in (fine, coarse))
        implied = self.coarse_of(has_fine)
        wrong = has_fine.any(axis=1) & ~(implied & has_coarse).any(axis=1)
        if self.tree:
            wrong |= (implied & ~has_coarse).any(axis=1)
        rows = np.flatnonzero(wrong)
        if len(rows):
            row = int(rows[0])
            raise LabelError(
                f"{len(rows)} pairs have labels that the hierarchy does not, the first is row {row}: fine "
                f"{self._named('fine', np.flatnonzero(has_fine[row]))} with coarse "
                f"{self._named('coarse', np.flatnonzero(has_coarse[row])) or 'nothing'}."
            )

    def save(self, path: str | Path) -> None:
        """Write the hierarchy as JSON, whole or not at all."""
        content = {
            "format": FORMAT,
            "version": 1,
            "classes": list(self.under.shape),
            "parents": [np.flatnonzero(column).tolist() for column in self.under.T],
            "coarse_names": self.coarse_names,
            "fine_names": self.fine_names,
            "tree": self.tree,
        }
        write_whole(Path(path), (json.dumps(content, indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: str | Path) -> Hierarchy:
        """Read what `save` wrote. Raises FileFormatError for what is no such file and LabelError as the record does."""
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT or content["version"] != 1:
                raise ValueError(f"format {content['format']!r}, version {content['version']!r}")
            under = _incidence(content["classes"], content["parents"])
            names = [tuple(content[key]) for key in ("coarse_names", "fine_names")]
            if not all(isinstance(name, str) for one in names for name in one) or type(content["tree"]) is not bool:
                raise ValueError("names that are no texts")
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise FileFormatError(
                f"{path} is not a whole hierarchy file of crossbit ({error}); write it again."
            ) from error
        return cls(under, names[0], names[1], content["tree"])

    def _named(self, what: str, places: Sequence[int] | NDArray[np.integer]) -> str:
        return _named(self.coarse_names if what == "coarse" else self.fine_names, places)


def label_levels(coarse: Labels | None, fine: Labels | None) -> tuple[Labels, ...]:
    """The levels of a data set from coarse to fine; none where there is one labelling, or both are the same."""
    if coarse is None or fine is None:
        return ()
    same = np.shape(coarse) == np.shape(fine) and bool((np.asarray(coarse) == np.asarray(fine)).all())
    return () if same else (coarse, fine)


def _shared(coarse: Labels, fine: Labels) -> NDArray[np.float64]:
    """How many pairs have the coarse and the fine class: (c_coarse, c_fine)."""
    n = len(np.asarray(fine))
    return np.asarray(check_labels(coarse, n).T.astype(np.float64) @ check_labels(fine, n).astype(np.float64))


def _incidence(shape: Any, parents: Any) -> Labels:
    n_coarse, n_fine = shape
    if type(n_coarse) is not int or type(n_fine) is not int or not 0 < n_coarse * n_fine <= 10**8 or n_coarse < 0:
        raise ValueError(f"classes {shape!r}")
    if not isinstance(parents, list) or len(parents) != n_fine:
        raise ValueError(f"{n_fine} fine classes need as many lists of parents")
    under = np.zeros((n_coarse, n_fine), dtype=np.bool_)
    for column, above in enumerate(parents):
        if not all(type(place) is int and 0 <= place < n_coarse for place in above):
            raise ValueError(f"the parents of fine class {column} are not numbers from 0 to {n_coarse - 1}")
        under[above, column] = True
    return under


def _named(names: Sequence[str], places: Sequence[int] | NDArray[np.integer], at_most: int = 5) -> str:
    """Classes by name, or by column where they have none, for an error message."""
    shown = [repr(names[place]) if place < len(names) else f"column {int(place)}" for place in places]
    return ", ".join(shown[:at_most]) + (f" and {len(shown) - at_most} more" if len(shown) > at_most else "")
