"""Asymmetric ranking of a snapshot: by the query before it is cut to bits, over all items that a search may find."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.collection import Snapshot
from crossbit.collection.gather import codes_at
from crossbit.kernels import all_threads, highest_scores
from crossbit.service.encoding import Side


def highest(
    snapshot: Snapshot, real: NDArray[np.float32], k: int, among: Side, where: str | None, farthest: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of the k items of highest cosine with a query's real values (n_bits,), and the cosines, -1 to 1.

    farthest: only items of at most so many differing bits. Ties go to the lower row.
    """
    masks = None if where is None else snapshot.kept(where)
    code = Codes.from_real(real[None])
    rows, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for number, segment in enumerate(snapshot.segments):
        packed, held, dead = segment.codes[among], segment.rows[among], snapshot.dead[number]
        if not len(packed):
            continue
        kept = np.ones(len(packed), np.bool_)
        if dead is not None:
            kept &= ~(dead if held is None else dead[held])
        if masks is not None:
            kept &= masks[number] if held is None else masks[number][held]
        if farthest < snapshot.n_bits:
            kept &= differing(packed, code) <= farthest
        found, products = highest_scores(real[None], packed, k, kept=kept, threads=all_threads())
        rows.append((found[0] if held is None else held[found[0]]) + snapshot.starts[number])
        scores.append(products[0])
    length = float(np.linalg.norm(real)) * float(np.sqrt(len(real))) or 1.0
    all_rows, all_scores = np.concatenate(rows), np.concatenate(scores) / np.float32(length)
    best = np.lexsort((all_rows, -all_scores))[:k]
    return all_rows[best], all_scores[best].astype(np.float32)


def distances_at(
    snapshot: Snapshot, rows: NDArray[np.int64], among: Side, real: NDArray[np.float32]
) -> NDArray[np.int32]:
    """The Hamming distances between a query's code and the codes of some rows, (n,)."""
    return differing(codes_at(snapshot, rows, among).packed, Codes.from_real(real[None]))


def differing(packed: NDArray[np.uint8], code: Codes) -> NDArray[np.int32]:
    """In how many bits each of n packed codes differs from one code, (n,)."""
    return np.asarray(_ONES[packed ^ code.packed[0]].sum(axis=1), dtype=np.int32)


_ONES = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)
