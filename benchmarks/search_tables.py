"""Tables and the plot of docs/search.md, from what speed/search.py and speed/pruning.py stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from crossbit import tables
from crossbit.experiment.state import digest
from plots import STYLE

SPEED = Path(__file__).resolve().parent / "speed"
PLOT = "recall-against-queries.svg"
Row = dict[str, Any]


def blocks() -> dict[str, Callable[[], str]]:
    """Every block of the document by its name."""
    return {
        "table search exact": lambda: _table(("exact", "exact without AVX-512"), EXACT),
        "table search single": lambda: _table(("single",), SINGLE),
        "table search filter": lambda: _table(("filter",), FILTER),
        "table search recall": lambda: _table(("recall",), RECALL),
        "table search rest": _rest,
        "table search pruning": lambda: _table(None, PRUNING, file="pruning.json"),
        "table search radius": lambda: _table(("radius",), RADIUS, file="radius.json"),
        "table search rings": lambda: _table(("rings",), RINGS, file="rings.json"),
        "table search prefix": lambda: _table(("prefix",), PREFIX, file="prefix.json"),
        "search origin": _origin,
    }


EXACT = {
    "codes": lambda r: f"{r['n'] // 1_000_000} M",
    "bits": lambda r: str(r["n_bits"]),
    "k": lambda r: str(r["k"]),
    "threads": lambda r: str(r["threads"]),
    "processor": lambda r: "AVX2 only" if "without" in r["what"] else "AVX-512",
    "queries a second": lambda r: f"{r['queries_a_second']:,.0f}",
    "FAISS flat": lambda r: f"{r['faiss_flat_queries_a_second']:,.0f}",
    "ratio": lambda r: f"{r['ratio_to_faiss_flat']:.1f}",
}
SINGLE = {
    "codes": EXACT["codes"],
    "bits": EXACT["bits"],
    "k": EXACT["k"],
    "milliseconds": lambda r: f"{r['milliseconds']:.2f}",
    "FAISS flat": lambda r: f"{r['faiss_flat_milliseconds']:.2f}",
    "ratio": EXACT["ratio"],
}
FILTER = {
    "share kept": lambda r: f"{100 * r['share_kept']:.0f} %",
    "time, unfiltered = 1": lambda r: f"{r['time_to_unfiltered']:.2f}",
    "times faster than filtering afterwards": lambda r: f"{r['times_faster_than_post_filtering']:.1f}",
}
RECALL = {
    "codes": EXACT["codes"],
    "engine": lambda r: r["engine"],
    "lists looked into": lambda r: str(r.get("n_probe", "")),
    "recall": lambda r: f"{r['recall']:.4f}",
    "queries a second": lambda r: f"{r['queries_a_second']:,}",
}
PRUNING = {
    "way": lambda r: r["way"],
    "bits": EXACT["bits"],
    "still to be compared": lambda r: f"{100 * r['share_left']:.1f} %",
}
RADIUS = {
    "codes": EXACT["codes"],
    "bits": EXACT["bits"],
    "radius": lambda r: str(r["radius"]),
    "found a query": lambda r: f"{r['found_a_query']:,.1f}",
    "batch, microseconds a query": lambda r: f"{r['batch_microseconds']:,.0f}",
    "times faster than a scan": lambda r: f"{r['batch_times_faster']:.1f}",
    "single query, microseconds": lambda r: f"{r['single_microseconds']:,.0f}",
    "times faster": lambda r: f"{r['single_times_faster']:.1f}",
}
RINGS = {
    "codes": lambda r: f"{r['n'] // 1_000_000} M {r['codes']}",
    "bits": EXACT["bits"],
    "k": EXACT["k"],
    **{name: RADIUS[name] for name in list(RADIUS)[4:]},
}
PREFIX = {
    "codes": lambda r: r["codes"],
    "bits": EXACT["bits"],
    "first bits": lambda r: str(r["prefix_bits"]),
    "recall asked for": lambda r: f"{r['target']:g}",
    "candidates": lambda r: f"{r['candidates']:,}",
    "recall of the nearest 10": lambda r: f"{r['recall']:.3f}",
    "time, a whole search = 1": lambda r: f"{r['time_to_whole']:.2f}" if "time_to_whole" in r else "",
}
TOLD = {
    "ivf build": "Building {n_lists} lists over {n:,} codes of {n_bits} bits: {cpu_seconds} CPU seconds. "
    "For a recall of {target} it chose to look into {n_probe}, measured {recall_told}.",
    "limit of reading": "A single query over {n:,} codes of 64 bits takes {share_reached_by_a_single_query:.0%} of the "
    "speed at which a C loop reads them once ({gigabytes_a_second} GB/s).",
    "limit of comparing": "{n:,} codes of {n_bits} bits, k = {k}: {share_reached:.0%} of the speed of a C loop that "
    "compares codes in the cache and does nothing else.",
    "open": "{n:,} codes of {n_bits} bits mapped from a file: open in {seconds_to_open} s, first answer after "
    "{seconds_to_first_answer} s.",
    "change": "Batches of {batch:,}: {added_a_second:,} codes added a second, {removed_a_second:,} removed.",
    "first call": "In a new process the loops take {seconds_compiling} s to compile the first time, and later "
    "{seconds_cached} s to load.",
}


def plots() -> dict[str, bytes]:
    """Recall against queries a second, the exact scan as one point."""
    rows = [row for row in _rows("search.json") if row["what"] == "recall"]
    if not rows:
        return {}
    with mpl.rc_context():
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(4.5, 3.0), layout="constrained")
        panel = figure.subplots()
        for engine, marker in (("ivf", "o"), ("exact", "*")):
            for n in sorted({row["n"] for row in rows}):
                own = [row for row in rows if (row["engine"], row["n"]) == (engine, n)]
                across, up = [row["recall"] for row in own], [row["queries_a_second"] for row in own]
                label = f"{engine}, {n // 1_000_000} M"
                panel.plot(across, up, marker=marker, markersize=5, linewidth=1, label=label)
        panel.set_yscale("log")
        panel.set_xlabel("recall of the nearest 10")
        panel.set_ylabel("queries a second, one thread")
        panel.legend()
        stream = BytesIO()
        metadata = {"Date": None, "Description": f"figures {digest(repr(rows))}"}
        figure.savefig(stream, format="svg", metadata=metadata)
    return {PLOT: stream.getvalue()}


def _stored(file: str) -> Row:
    path = SPEED / file
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": []}


def _rows(file: str) -> list[Row]:
    return list(_stored(file)["rows"])


def _table(
    kinds: tuple[str, ...] | None, columns: dict[str, Callable[[Row], str]], only: Row | None = None,
    file: str = "search.json",
) -> str:  # fmt: skip
    rows = [row for row in _rows(file) if kinds is None or row["what"] in kinds]
    rows = [row for row in rows if all(row[key] == value for key, value in (only or {}).items())]
    if not rows:
        return tables.NOTHING
    return tables.markdown(list(columns), [[show(row) for show in columns.values()] for row in rows])


def _rest() -> str:
    told = [f"- {TOLD[row['what']].format(**row)}" for row in _rows("search.json") if row["what"] in TOLD]
    return "\n".join(told) or tables.NOTHING


def _origin() -> str:
    stored = _stored("search.json")
    if not stored["rows"]:
        return tables.NOTHING
    versions = ", ".join(f"{name} {version}" for name, version in stored["versions"].items())
    note = f" {stored['note']}" if "note" in stored else ""
    machine = stored["machine"]
    loads = [f"{part} {own['load'][0]}" for part, own in stored.get("parts", {}).items()]
    note += f" Measured in parts, one at a time (load of the machine before each: {', '.join(loads)})." if loads else ""
    return f"{machine['processor']} ({machine['cores']} cores), {stored['date']}; {versions}. {stored['data']}.{note}"
