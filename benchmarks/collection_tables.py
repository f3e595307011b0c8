"""The tables of docs/collection.md, from what was measured of collections and of killed writers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crossbit import tables

HERE = Path(__file__).resolve().parent


def _stored(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def speed_table() -> str:
    """Rates, openings and memory."""
    stored = _stored(HERE / "speed" / "collection.json")
    if stored is None:
        return tables.NOTHING
    whole, large, changes = stored["million"], stored["large"], stored["changes"]
    several = large["several_segments"]
    rows = [
        [f"{whole['n']:,} items from ready features to a collection", f"{whole['build_seconds']:.0f} s"],
        ["of it on disk, an item", f"{whole['bytes_an_item_on_disk']:.0f} bytes"],
        ["one query, ten hits with their captions", f"{whole['search_milliseconds']:.1f} ms"],
        ["the same under a filter that keeps 1 %, used before", f"{whole['filtered_milliseconds']:.1f} ms"],
        ["counts of a column's values", f"{whole['facets_seconds']:.2f} s"],
        ["added one by one / by the hundred, a second", _rates(changes, "added")],
        ["removed one by one / by the hundred, a second", _rates(changes, "removed")],
        ["added by the million, a second", f"{large['added_by_million_per_second']:,.0f}"],
    ]
    for found in (whole, several):
        rows += [
            [f"{found['n']:,} items in {found['segments']} segments: opening", f"{found['open_seconds']:.2f} s"],
            ["more memory after opening", f"{found['open_mib']:.0f} MiB"],
            ["more after a search of all, with mapped files", f"{found['searched_mib']:.0f} MiB"],
            ["of it held by the process itself", f"{found['searched_own_mib']:.0f} MiB"],
            ["the codes alone", f"{found['codes_mib']:.0f} MiB"],
        ]
    told = f"{stored['n_bits']} bits, {_origin(stored)} Other work shared the machine: rates are lower bounds."
    return tables.markdown(["what", "measured"], rows) + f"\n\n{told}"


def _rates(changes: dict[str, float], what: str) -> str:
    return f"{changes[f'{what}_by_1_per_second']:,.0f} / {changes[f'{what}_by_100_per_second']:,.0f}"


def durability_table() -> str:
    """What kills did."""
    stored = _stored(HERE / "durability.json")
    if stored is None:
        return tables.NOTHING
    kinds = sorted(stored["killed_during"])
    rows = [[kind, stored["killed_during"][kind], stored["acknowledged"].get(kind, 0)] for kind in kinds]
    rows.append(["all", stored["kills"], sum(stored["acknowledged"].values())])
    shown = tables.markdown(
        ["change", "kills while under way", "acknowledged"], [[str(c) for c in row] for row in rows]
    )
    return f"{shown}\n\nLost: {stored['lost']}. Seed {stored['seed']}. {_origin(stored)}"


def _origin(stored: dict[str, Any]) -> str:
    machine = stored["machine"]
    return f"{machine['processor']}, {machine['cores']} cores, commit {stored['versions']['commit']}."
