"""Markdown tables made from stored results alone, and the marked blocks of documents that hold them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from crossbit.errors import FileFormatError, MismatchError
from crossbit.evaluation import one_protocol
from crossbit.experiment.references import REFERENCES
from crossbit.experiment.result import Result
from crossbit.methods import METHODS

DATA_SETS = ("emoji", "fashion6k", "openclipart5k", "wiki")
"""The columns in their order; data sets not named here follow by name."""

NOTHING = "There are no stored results for this table yet."
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[^>]+?) -->\n).*?(<!-- end generated -->)", re.DOTALL)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], *, figures: bool = True) -> str:
    """A Markdown table; the first column is text, and so are the others unless they are figures."""
    lines = [header, ["---"] + ["---:" if figures else "---"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fill_blocks(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """The document with every marked block made anew.

    A block stands between `<!-- generated: name -->` and `<!-- end generated -->`, each on its own line. Raises
    FileFormatError for a name that nobody makes and for a block without an end.
    """
    opened, closed = text.count("<!-- generated: "), text.count("<!-- end generated -->")
    if opened != closed:
        raise FileFormatError(f"{opened} generated blocks are opened and {closed} closed; write both marks of each.")

    def made(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in blocks:
            raise FileFormatError(f"Nothing generates the block {name!r}; there are {', '.join(blocks)}.")
        return f"{match[1]}\n{blocks[name]()}\n\n{match[3]}"

    return _BLOCK.sub(made, text)


def mean_and_spread(values: Sequence[float]) -> str:
    """The mean to three digits, with the sample standard deviation over seeds where there are two or more."""
    mean = f"{statistics.fmean(values):.3f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.3f}"


def score_table(
    results: Sequence[Result],
    preset: str,
    n_bits: int,
    direction: str = "mean",
    labelled: Collection[str] = (),
    *,
    notes: bool = True,
) -> str:
    """One protocol, one code length: a row a method, a column a data set, the mean over seeds and its spread.

    Rows without a code length (references) stand in every table; ablations in none. direction: "mean", "I2T" or
    "T2I". labelled: methods that learn with labels; they stand apart, below the others. notes: whether the
    sentences of the experiment files follow. The last row prints the protocol's id, which holds all of its rules and
    the split. Raises MismatchError when the results of one column were not all scored under one id.
    """
    shown = [r for r in results if r.n_bits in (0, n_bits) and "@" not in r.row and preset in r.scores]
    if not any(result.n_bits == n_bits for result in shown):
        return NOTHING
    columns = ordered({result.data for result in shown}, DATA_SETS)
    ids = {data: protocol_id([r for r in shown if r.data == data], preset) for data in columns}
    names = ordered({result.row for result in shown}, [*REFERENCES, *METHODS])
    rows = [
        [row, *(_cell([r for r in shown if (r.row, r.data) == (row, data)], preset, direction) for data in columns)]
        for row in sorted(names, key=lambda name: name in labelled)
    ]
    if first := next((place for place, row in enumerate(rows) if row[0] in labelled), 0):
        rows.insert(first, ["*with labels:*", *("" for _ in columns)])
    table = markdown([f"{n_bits} bits", *columns], [*rows, ["protocol id", *(f"`{ids[data]}`" for data in columns)]])
    if not notes:
        return table
    told = sorted({(r.row, str(r.details["note"])) for r in shown if r.details.get("note")})
    return "\n".join([table, *(f"\n- `{row}`: {note}" for row, note in told)])


def label_distance(results: Sequence[Result], preset: str, n_bits: int, labelled: Collection[str]) -> str:
    """One sentence: how far the best method with labels stands from the best one without, on each data set."""
    shown = [r for r in results if r.n_bits == n_bits and "@" not in r.row and preset in r.scores]
    told = []
    for data in ordered({result.data for result in shown}, DATA_SETS):
        means: dict[str, list[float]] = {}
        for result in shown:
            if result.data == data:
                means.setdefault(result.row, []).append(result.scores[preset]["mean"])
        sides = [
            {row: v for row, v in means.items() if (row in labelled) == with_labels} for with_labels in (True, False)
        ]
        if not all(sides):
            continue
        protocol_id([result for result in shown if result.data == data], preset)
        (best, high), (rival, low) = (
            max(((n, statistics.fmean(v)) for n, v in s.items()), key=lambda x: x[1]) for s in sides
        )
        told.append(f"on {data} {abs(high - low):.3f} {'above' if high >= low else 'below'} ({best}, {rival})")
    if not told:
        return NOTHING
    return f"At {n_bits} bits, the best method with labels stands above or below the best without: {'; '.join(told)}."


def protocol_id(results: Sequence[Result], preset: str) -> str:
    """The one protocol id of results that are to stand side by side; raises MismatchError if there are two."""
    return one_protocol({f"{r.data}/{r.row}/{r.n_bits}-{r.seed}": r.scores[preset]["protocol_id"] for r in results})


def _cell(results: Sequence[Result], preset: str, direction: str) -> str:
    return mean_and_spread([result.scores[preset][direction] for result in results]) if results else "n/a"


def gain_table(results: Sequence[Result], preset: str, method: str, rivals: Sequence[str]) -> str:
    """How far a method stands above its rivals: the mean difference over the seeds that both were run with."""
    shown = [r for r in results if r.row in (method, *rivals) and preset in r.scores]
    columns = ordered({result.data for result in shown}, DATA_SETS)
    scores = {(r.data, r.row, r.n_bits, r.seed): r.scores[preset]["mean"] for r in shown}
    rows = []
    for data in columns:
        protocol_id([result for result in shown if result.data == data], preset)
    for n_bits in sorted({result.n_bits for result in shown if result.row == method}):
        for rival in rivals:
            cells = []
            for data in columns:
                seeds = [key[3] for key in scores if key[:3] == (data, method, n_bits)]
                both = [(scores[data, method, n_bits, s], scores.get((data, rival, n_bits, s))) for s in seeds]
                gains = [own - other for own, other in both if other is not None]
                cells.append(("+" if gains and statistics.fmean(gains) >= 0 else "") + _gain(gains))
            rows.append([f"{n_bits} bits, above {rival}", *cells])
    return markdown([f"{method}, {preset}", *columns], rows) if rows else NOTHING


def _gain(gains: Sequence[float]) -> str:
    return mean_and_spread(gains) if gains else "n/a"


def ablation_table(results: Sequence[Result], preset: str, n_bits: int) -> str:
    """The variants of methods at one code length, under the method they vary, all on the variants' seeds."""
    of_length = [r for r in results if r.n_bits == n_bits and preset in r.scores]
    variants = {(result.row.split("@")[0], result.seed) for result in of_length if "@" in result.row}
    shown = [r for r in of_length if (r.row.split("@")[0], r.seed) in variants]
    if not shown:
        return NOTHING
    columns = ordered({result.data for result in shown}, DATA_SETS)
    for data in columns:
        protocol_id([result for result in shown if result.data == data], preset)
    names = sorted({result.row for result in shown})
    rows = [
        [row, *(_cell([r for r in shown if (r.row, r.data) == (row, data)], preset, "mean") for data in columns)]
        for row in names
    ]
    notes = {r.row: r.details["note"] for r in shown if r.details.get("note")}
    told = "\n".join(f"- `{row}`: {notes[row]}" for row in names if row in notes)
    return markdown([f"{n_bits} bits", *columns], rows) + (f"\n\n{told}" if told else "")


def prefix_table(results: Sequence[Result], preset: str, method: str = "kdcmh") -> str:
    """The first bits of one model (the row method@prefix) beside models of that length alone, on the same seeds."""
    nested = [r for r in results if r.row == f"{method}@prefix" and "prefixes" in r.details and preset in r.scores]
    if not nested:
        return NOTHING
    columns = ordered({result.data for result in nested}, DATA_SETS)
    alone = {(r.data, r.n_bits, r.seed): r.scores[preset] for r in results if r.row == method and preset in r.scores}
    cells: dict[tuple[str, int], tuple[list[float], list[float]]] = {}
    for result in nested:
        lengths = {int(n): scores[preset] for n, scores in result.details["prefixes"].items()}
        for n_bits, scores in (lengths | {result.n_bits: result.scores[preset]}).items():
            other = alone.get((result.data, n_bits, result.seed))
            if other is not None:
                check_same_id(result, scores, other)
                own, rival = cells.setdefault((result.data, n_bits), ([], []))
                own.append(scores["mean"])
                rival.append(other["mean"])
    rows = []
    for n_bits in sorted({length for _, length in cells}):
        for place, name in ((1, "a model of its own"), (0, "the first bits of one model")):
            values = [
                mean_and_spread(cells[data, n_bits][place]) if (data, n_bits) in cells else "n/a" for data in columns
            ]
            rows.append([f"{n_bits} bits, {name}", *values])
    return markdown([f"{method}, {preset}", *columns], rows)


def check_same_id(result: Result, scores: Mapping[str, object], other: Mapping[str, object]) -> None:
    """Raise MismatchError where two scores stand under different protocol ids."""
    if scores["protocol_id"] != other["protocol_id"]:
        raise MismatchError(
            f"{result.data}/{result.row} was scored under {scores['protocol_id']}, what stands beside it under "
            f"{other['protocol_id']}; measure again."
        )


def cost_table(results: Sequence[Result], n_bits: int) -> str:
    """CPU seconds and peak memory (MiB, the whole process at the end of the fit), the mean over seeds."""
    shown = [r for r in results if r.n_bits == n_bits and "@" not in r.row and "cost" in r.details]
    if not shown:
        return NOTHING
    columns = ordered({result.data for result in shown}, DATA_SETS)
    rows = []
    for row in ordered({result.row for result in shown}, list(METHODS)):
        cells = []
        for data in columns:
            costs = [r.details["cost"] for r in shown if (r.row, r.data) == (row, data)]
            seconds = [cost["fit_cpu_seconds"] for cost in costs]
            peaks = [cost["peak_memory_mib"] for cost in costs]
            cells.append(f"{statistics.fmean(seconds):.1f} s, {statistics.fmean(peaks):.0f} MiB" if costs else "n/a")
        rows.append([row, *cells])
    return markdown([f"{n_bits} bits", *columns], rows)


def origin_lines(results: Sequence[Result]) -> str:
    """Where the results come from: machines, versions, commits and days."""
    if not results:
        return NOTHING

    def listed(values: Iterable[str]) -> str:
        return ", ".join(sorted(set(values)))

    details = [result.details for result in results]
    machines = (f"{d['machine']['processor']} ({d['machine']['cores']} cores)" for d in details)
    versions = {key: listed(d["versions"][key] for d in details if key in d["versions"]) for key in ("numpy", "torch")}
    return "\n".join(
        [
            f"- {len(results)} results, measured {listed(d['date'] for d in details)}.",
            f"- Machine: {listed(machines)}; threads of a fit: "
            f"{listed(str(d['cost']['threads']) for d in details if 'cost' in d) or 'n/a'}.",
            f"- Versions: {', '.join(f'{name} {found}' for name, found in versions.items() if found)}.",
            f"- Commits: {listed(d['versions']['commit'] for d in details)} (a plus marks a changed source).",
        ]
    )


def published_table(published: Sequence[Mapping[str, object]]) -> str:
    """Numbers from the literature, each with its data, protocol, source and the evidence for it."""
    header = ["method", "data", "protocol", "bits", "I2T", "T2I", "source", "evidence"]
    rows = []
    for row in published:
        values = {key: value if isinstance(value, list) else [value] for key, value in row.items()}
        cells = [" / ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in values[key]) for key in header]
        rows.append(cells)
    return markdown(header, rows, figures=False)


def ordered(names: Iterable[str], first: Sequence[str]) -> list[str]:
    """The names in the order of `first`; those not in it follow in alphabetical order."""
    return sorted(names, key=lambda name: (first.index(name) if name in first else len(first), name))
