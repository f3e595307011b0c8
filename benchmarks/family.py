"""The page of the family: every method beside its paper, what it was built on, and what was published of it.

Facts about the papers stand in benchmarks/systems/*.toml, figures in benchmarks/results and benchmarks/published.toml.
"""

from __future__ import annotations

import dataclasses
import statistics
import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from crossbit import tables
from crossbit.errors import FileFormatError
from crossbit.experiment import Result
from crossbit.experiment.comparison import published_preset
from crossbit.experiment.files import Published, read_published
from crossbit.method import Method, Paper
from crossbit.methods import METHODS, load_method

SYSTEMS = Path(__file__).parent / "systems"
N_BITS = 64
EVIDENCE = {
    "paper": "its whole text was read",
    "code": "its released code was read",
    "own table": "its authors' tables were read, on a page or a picture of theirs",
    "quoted table": "its numbers were read in other papers' tables",
    "port": "code of it by others was read",
    "note": "notes on it by others were read",
    "abstract": "its abstract was read",
    "title": "its title, and nothing else",
    "known": "what is commonly known of it, without a text that was open to us",
    "ours": "nobody published it; it stands here for comparison",
}
"""What can be known of a system, strongest first, and what each word means."""
STRENGTH = ("paper", "quoted", "recalled")  # how a published number is known, best first


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a method was built on. row: of the results; departs: what the method's docstring does not say itself."""

    evidence: tuple[str, ...]
    read: str
    departs: str = ""
    row: str = ""


def read_facts(folder: Path = SYSTEMS) -> dict[str, Facts]:
    """Facts by method name; raises FileFormatError for an entry with other keys or an unknown kind of evidence."""
    found: dict[str, Facts] = {}
    for name in ("unsupervised", "supervised"):
        for method, values in tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8")).items():
            try:
                facts = Facts(**(values | {"evidence": tuple(values["evidence"])}))
            except (KeyError, TypeError) as error:
                raise FileFormatError(f"{folder.name}/{name}.toml, [{method}]: {error}.") from error
            if method in found or not facts.evidence or set(facts.evidence) - set(EVIDENCE):
                raise FileFormatError(f"[{method}] must stand once, with evidence out of {', '.join(EVIDENCE)}.")
            found[method] = facts
    return found


def not_built(folder: Path = SYSTEMS) -> list[dict[str, object]]:
    """Systems without a method here, by name."""
    listed = tomllib.loads((folder / "not-built.toml").read_text(encoding="utf-8"))["system"]
    return sorted(listed, key=lambda system: str(system["name"]).lower())


def blocks(results: Sequence[Result]) -> dict[str, Callable[[], str]]:
    """The page's blocks by name."""
    made: dict[str, Callable[[], str]] = {
        "family evidence": evidence_list,
        "family not built": not_built_table,
        "family one by one": partial(_one_by_one, results),
    }
    for preset in ("PALL", "P50"):
        for side in (False, True):
            name = f"family {'supervised' if side else 'unsupervised'} {preset}"
            made[name] = partial(_overview, results, preset, side)
    return made


def evidence_list() -> str:
    """What each kind of evidence means."""
    return "\n".join(f"- **{kind}**: {meaning}." for kind, meaning in EVIDENCE.items())


def rows_of(results: Sequence[Result], supervised: bool) -> dict[str, list[Result]]:
    """Every method of one side with its results at 64 bits; a method without any has no row."""
    facts, found = read_facts(), {}
    for name in METHODS:
        if load_method(name).supervised != supervised:
            continue
        if name not in facts:
            raise FileFormatError(f"Say in benchmarks/systems what {name} was built on; nothing stands there.")
        own = [r for r in results if r.row == (facts[name].row or name) and r.n_bits == N_BITS]
        if own:
            found[name] = own
    return found


def _overview(results: Sequence[Result], preset: str, supervised: bool) -> str:
    methods, facts, published = rows_of(results, supervised), read_facts(), read_published()
    shown = [result for own in methods.values() for result in own if preset in result.scores]
    if not shown:
        return tables.NOTHING
    columns = tables.ordered({result.data for result in shown}, tables.DATA_SETS)
    ids = {data: tables.protocol_id([r for r in shown if r.data == data], preset) for data in columns}
    rows = []
    for name, own in methods.items():
        cells = [
            _mean([r.scores[preset]["mean"] for r in own if r.data == data and preset in r.scores]) for data in columns
        ]
        beside = [
            _number(row, short=True) for row in _published(published, name) if published_preset(row.protocol) == preset
        ]
        rows.append(
            [f"[{name}](#{name})", ", ".join(facts[name].evidence), *cells, beside[0] if beside else "none found"]
        )
    rows.append(["protocol id", "", *(f"`{ids[data]}`" for data in columns), "not ours"])
    return tables.markdown([f"{N_BITS} bits", "built on", *columns, "published, on other data: I2T / T2I"], rows)


def _mean(values: Sequence[float]) -> str:
    return tables.mean_and_spread(values) if values else "n/a"


def _published(published: Sequence[Published], name: str) -> list[Published]:
    own = [row for row in published if row.method == name and row.at(N_BITS)]
    return sorted(own, key=lambda row: STRENGTH.index(row.evidence))


def _number(row: Published, *, short: bool = False) -> str:
    image, text = row.at(N_BITS) or (0.0, 0.0)
    told = f"{image:.3f} / {text:.3f}, {row.data}, {row.protocol}"
    return f"{told} ({row.evidence})" if short else f"{told} ({row.evidence}: {row.source})"


def _one_by_one(results: Sequence[Result]) -> str:
    facts, published = read_facts(), read_published()
    told = []
    for supervised in (False, True):
        for name, own in rows_of(results, supervised).items():
            kind = load_method(name)
            lines = [f"### {name}", "", f"{cited(kind.paper)} {'Needs labels.' if supervised else 'Needs no labels.'}"]
            lines += ["", f"- **Built on** ({', '.join(facts[name].evidence)}): {facts[name].read}."]
            lines.append(f"- **Departs**: {departures(kind, facts[name])}")
            numbers = [_number(row) for row in _published(published, name)]
            lines.append(f"- **Published** at {N_BITS} bits, I2T / T2I: {'; '.join(numbers) or 'no number was found'}.")
            lines += [f"- **Here**, {preset}: {_here(own, preset)}." for preset in ("PALL", "P50")]
            told.append("\n".join(lines))
    return "\n\n".join(told)


def _here(own: Sequence[Result], preset: str) -> str:
    told = []
    for data in tables.ordered({r.data for r in own if preset in r.scores}, tables.DATA_SETS):
        scores = [r.scores[preset] for r in own if r.data == data]
        image, text = (statistics.fmean(score[side] for score in scores) for side in ("I2T", "T2I"))
        told.append(f"{data} {image:.3f} / {text:.3f}")
    return "; ".join(told) or "not scored"


def departures(kind: type[Method], facts: Facts) -> str:
    """What differs from the paper: the docstring's own words from "Departures" on, else those of the facts."""
    paragraphs = [" ".join(part.split()) for part in (kind.__doc__ or "").split("\n\n")]
    said = [part[part.index("Departure") :].partition(": ")[2] for part in paragraphs if "Departure" in part]
    told = said or ([facts.departs] if facts.departs else [])
    if not told:
        raise FileFormatError(f"{kind.name} says nowhere what departs from its paper; see CONTRIBUTING.md.")
    return " ".join(part[0].upper() + part[1:] for part in told)


def not_built_table() -> str:
    """Systems that were met and not built, each with what was read of it and the reason."""
    rows = [
        [
            str(system["name"]),
            str(system["paper"]),
            ", ".join(map(str, _list(system["evidence"]))),
            str(system["reason"]),
        ]
        for system in not_built()
    ]
    return tables.markdown(["system", "paper", "read of it", "why there is no row"], rows, figures=False)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def cited(paper: Paper) -> str:
    """A paper as it stands in the documents."""
    link = f" <{paper.link}>" if paper.link else ""
    return f"{paper.authors}. *{paper.title}*. {paper.venue} {paper.year}.{link}"


def levels_sentence(fine: Sequence[Result], preset: str) -> str:
    """Whether what learns from two label levels beats what learns from one, under fine labels; or that none has run."""
    rows = {"shdch": "on both levels", "hichnet": "on both levels", "shdch@one-level": "on the fine level alone"}
    rows |= {"dcmh": "on the fine level alone"}
    found = {
        row: [r.scores[preset]["mean"] for r in fine if (r.row, r.n_bits) == (row, N_BITS) and preset in r.scores]
        for row in rows
    }
    if not all(found.values()):
        return tables.NOTHING
    told = [f"`{row}` {rows[row]} {tables.mean_and_spread(scores)}" for row, scores in found.items()]
    mean = {row: statistics.fmean(scores) for row, scores in found.items()}
    gap, coarse = mean["shdch"] - mean["dcmh"], mean["shdch"] - mean["shdch@one-level"]
    verdict = f"SHDCH is {abs(gap):.3f} {'above' if gap > 0 else 'below'} DCMH on the same features"
    verdict += f"; its coarse level makes {coarse:+.3f} of that"
    return f"Under the fine labels of fashion6k, {N_BITS} bits, {preset}: {'; '.join(told)}. {verdict}."
