"""Measure search: against FAISS's flat index, filtered, approximate, on other processors, and against the hardware.

    python benchmarks/speed/search.py --quick          1 million codes of 64 bits, k = 10, one thread: within 40 seconds
    python benchmarks/speed/search.py --only 10m-128   one part, put into search.json in place of its older rows
    python benchmarks/speed/search.py                  all parts, one after another: about 15 minutes

Prints one JSON line a row. One-thread figures are CPU seconds, the fastest of several, ours and FAISS's in turn in
one process; figures of two threads are wall time and hang on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from change_rows import changes, first_call_row  # noqa: E402  # beside this file
from engine_rows import filters, lists  # noqa: E402
from limit_rows import limits  # noqa: E402
from measuring import MILLION, Row, store  # noqa: E402
from scan_rows import scans, small_rows, without_avx512  # noqa: E402

from crossbit.files import write_whole  # noqa: E402

PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "1m-64": partial(scans, MILLION, 64),
    "1m-128": partial(scans, MILLION, 128),
    "10m-64": partial(scans, 10 * MILLION, 64),
    "10m-128": partial(scans, 10 * MILLION, 128),
    "avx2": partial(without_avx512, MILLION),
    "avx2-10m": partial(without_avx512, 10 * MILLION),
    "filters": filters,
    "lists-1m": partial(lists, MILLION),
    "lists-10m": partial(lists, 10 * MILLION),
    "limits": limits,
    "changes": changes,
    "first-call": lambda: iter([first_call_row()]),
}


def main() -> int:
    """Measure, print, and store the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one ratio, within 40 seconds; nothing is stored")
    parser.add_argument("--only", choices=sorted(PARTS), help="one part alone")
    parser.add_argument("--avx2", type=int, metavar="N", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick or options.avx2:
        lengths, ks = ((64,), (10,)) if options.quick else ((64, 128), (10, 100))
        what, n = ("exact", MILLION) if options.quick else ("exact without AVX-512", options.avx2)
        for row in small_rows(n, what, lengths, ks):
            print(json.dumps(row), flush=True)
        return 0
    for part in [options.only] if options.only else PARTS:
        load, rows = os.getloadavg(), []
        for row in PARTS[part]():
            rows.append({**row, "part": part})
            print(json.dumps(rows[-1]), flush=True)
        store_part(part, rows, load)
    return 0


def store_part(part: str, rows: list[Row], load: tuple[float, float, float]) -> None:
    """Put a part's rows into search.json in place of its older ones, and beside them how it was measured."""
    path = HERE / "search.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": []}
    kept = [row for row in before["rows"] if row.get("part") in PARTS and row["part"] != part]
    places = list(PARTS)
    store(sorted(kept + rows, key=lambda row: places.index(row["part"])))  # a stable sort: rows keep their order
    stored = json.loads(path.read_text(encoding="utf-8"))
    own = {key: stored[key] for key in ("machine", "versions", "date")}
    own["load"] = [round(one, 1) for one in load]
    stored["parts"] = before.get("parts", {}) | {part: own}
    write_whole(path, (json.dumps(stored, indent=1) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
