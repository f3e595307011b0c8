"""What is suspicious about codes and labels taken together: collapse, copies, order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.judging.health import CodeHealth
from crossbit.judging.values import Warned
from crossbit.pairs import Labels

_SORTED = 0.5  # of the way from chance to always, of neighbours that share a label
_COPIED = 0.5  # share of queries whose code and labels stand in the database


def suspicions(
    codes: Mapping[str, Codes], health: Mapping[str, CodeHealth], query_labels: Labels, database_labels: Labels
) -> Iterator[Warned]:
    """Everything that a reader of the scores should know first."""
    for role, one in health.items():
        yield from _collapse(role, one)
    for part in ("query", "database"):
        image, text = codes.get(f"image_{part}"), codes.get(f"text_{part}")
        if image is not None and text is not None and image == text and len(image) > 1:
            told = f"Image and text codes of the {part} are one and the same array; one was probably written over."
            yield Warned("one array", part, told)
    for part, labels in (("query", query_labels), ("database", database_labels)):
        if (order := label_order(labels)) > _SORTED:
            told = (
                f"The {part} rows stand in the order of their labels ({order:.0%} of the way from a random order to a "
                "sorted one). A sort that keeps file order then breaks ties by label, and an encoder that mixes the "
                "items of a batch sees neighbours of one label; expected ties are not moved by it."
            )
            yield Warned("label order", part, told)
    for queries, database in (
        ("image_query", "image_database"),
        ("text_query", "text_database"),
        ("query_codes", "database_codes"),
    ):
        if queries in codes and database in codes:
            yield from _copies(queries, codes[queries], codes[database], query_labels, database_labels)
    empty = int((~(query_labels @ database_labels.any(axis=0))).sum()) if len(query_labels) else 0
    if empty:
        told = f"{empty:,} queries have nothing relevant; they score 0, and are left out under mAP@all (UCCH)."
        yield Warned("nothing relevant", "query", told)
    if not database_labels.any(axis=1).all():
        n = int((~database_labels.any(axis=1)).sum())
        yield Warned(
            "no label", "database", f"{n:,} items of the database have no label at all; they are never relevant."
        )


def _collapse(role: str, health: CodeHealth) -> Iterator[Warned]:
    if health.constant:
        yield Warned("constant bits", role, f"{health.constant} of {health.n_bits} bits of {role} never change.")
    if health.twins:
        told = f"{health.twins} of {health.n_bits} bits of {role} always equal another bit, or its opposite."
        yield Warned("twin bits", role, told)
    room = min(health.n, 2.0 ** min(health.n_bits, 60))
    if health.n > 1 and health.unique * health.n < 0.05 * room:
        told = (
            f"Only {round(health.unique * health.n):,} different codes among the {health.n:,} of {role}: many rows are "
            "duplicates, and their order is decided by ties."
        )
        yield Warned("duplicated rows", role, told)
    if health.balanced < 0.95:
        yield Warned(
            "unbalanced bits", role, f"Only {health.balanced:.0%} of the bits of {role} are balanced (95% is usual)."
        )


def label_order(labels: Labels) -> float:
    """How far rows stand in the order of their labels: 0 as by chance, 1 where all neighbours share one."""
    if len(labels) < 10:
        return 0.0
    near = float((labels[1:] & labels[:-1]).any(axis=1).mean())
    drawn = np.random.default_rng(0).permutation(len(labels))
    chance = float((labels & labels[drawn]).any(axis=1).mean())
    return 0.0 if chance >= 0.999 else max(0.0, (near - chance) / (1 - chance))


def _copies(
    role: str, queries: Codes, database: Codes, query_labels: Labels, database_labels: Labels
) -> Iterator[Warned]:
    """Queries whose very code and labels stand in the database: with long codes they are the same items."""
    if queries.n_bits < 32:
        return
    own, others = _rows(queries, query_labels), _rows(database, database_labels)
    copied = int(np.isin(own, others).sum())
    if copied > _COPIED * len(own):
        told = (
            f"{copied:,} of {len(own):,} queries stand in the database with the same {queries.n_bits}-bit code and the "
            "same labels; the queries are probably part of the database."
        )
        yield Warned("query in database", role, told)


def _rows(codes: Codes, labels: Labels) -> NDArray[np.void]:
    together = np.ascontiguousarray(np.hstack([codes.packed, np.packbits(labels, axis=1)]))
    return together.view(np.dtype((np.void, together.shape[1]))).ravel()
