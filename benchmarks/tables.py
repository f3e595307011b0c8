"""Rewrite everything in the documents that is generated: tables and plots of results, and the list of methods.

python benchmarks/tables.py --write     rewrite
python benchmarks/tables.py --check     change nothing; fail and name what is stale
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import choice_tables
import collection_tables
import database_codes
import difference_tables
import encode_tables
import evaluation_tables
import family
import leaderboard
import monitor_tables
import pixels
import plots
import proxy_tables
import query_tables
import reliability
import search_tables
import service_tables
import sizing
from crossbit import tables
from crossbit.datasets.dataset import FINE
from crossbit.evaluation import PAIR_PROTOCOLS, PROTOCOLS
from crossbit.experiment import Result, read_results
from crossbit.files import write_whole
from crossbit.method import Method
from crossbit.methods import METHODS, load_method

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "img"
DOCUMENTS = (
    "README.md",
    "docs/encoders.md",
    "docs/search.md",
    "docs/results.md",
    "docs/family.md",
    "docs/methods.md",
    "docs/protocols.md",
    "docs/confidence.md",
    "docs/choosing.md",
    "docs/scale.md",
    "docs/pixels.md",
    "docs/service.md",
    "docs/export.md",
    "docs/collection.md",
)
LENGTHS = (16, 32, 64, 128)
RIVALS = ("jdsh", "djsrh", "cca-itq")


def blocks(results: list[Result]) -> dict[str, Callable[[], str]]:
    """Every block by its name."""
    made: dict[str, Callable[[], str]] = {
        "table main": partial(_leaderboard, results),
        "table gain": partial(tables.gain_table, results, "PALL", "kdcmh", RIVALS),
        "table gain P50": partial(tables.gain_table, results, "P50", "kdcmh", RIVALS),
        "table differences": partial(difference_tables.difference_table, results, "PALL"),
        "table differences P50": partial(difference_tables.difference_table, results, "P50"),
        "table ablations": partial(tables.ablation_table, results, "PALL", 64),
        "table ablations P50": partial(tables.ablation_table, results, "P50", 64),
        "table prefixes": partial(tables.prefix_table, results, "PALL"),
        "table prefixes P50": partial(tables.prefix_table, results, "P50"),
        "choices": partial(_choices, ROOT / "benchmarks" / "choices" / "settings.json"),
        "table monitors 16": partial(monitor_tables.monitor_table, results, 16),
        "table monitors 64": partial(monitor_tables.monitor_table, results, 64),
        "single choices": choice_tables.single_table,
        "table cost": partial(tables.cost_table, results, 64),
        "table encode": partial(encode_tables.encode_table, ROOT / "benchmarks" / "speed" / "encode.json"),
        "table speed": partial(_speed_table, ROOT / "benchmarks" / "speed" / "train.json"),
        "table query": query_tables.query_table,
        "table query hub": query_tables.hub_table,
        "table published": partial(_published, ROOT / "benchmarks" / "published.toml"),
        "origin": partial(tables.origin_lines, results),
        "methods": method_pages,
        "protocols": protocol_table,
        "pair protocols": pair_protocol_table,
        "plots": partial(_plot_lines, results),
        "table calibration": reliability.table,
        "table scan": sizing.scan_table,
        "table encoding": sizing.encoding_table,
        "table workers": sizing.workers_table,
        "table engines": sizing.engines_table,
        "origin of sizes": sizing.origin,
        "table pixels": pixels.table,
        "service origin": service_tables.origin,
        "table service": service_tables.latency,
        "table service ratios": service_tables.ratios,
        "table service operation": service_tables.operation,
        "service durability": service_tables.durability,
        "table pixels reference": partial(pixels.reference, results),
        "table database codes": database_codes.table,
        "table collection": collection_tables.speed_table,
        "table durability": collection_tables.durability_table,
        "table confidence of hits": reliability.hits_table,
    }
    made |= search_tables.blocks() | evaluation_tables.blocks() | proxy_tables.blocks() | family.blocks(results)
    for preset in ("PALL", "P50"):
        made[f"distance of labels {preset}"] = partial(_label_distance, results, preset)
        for direction in ("mean", "I2T", "T2I"):
            made[f"table {preset} {direction}"] = partial(_all_lengths, results, preset, direction)
    return made


def fine_blocks(results: list[Result]) -> dict[str, Callable[[], str]]:
    """The blocks of the results under fine labels, which stand apart: few methods were measured so."""
    made: dict[str, Callable[[], str]] = {}
    for preset in ("PALL", "P50"):
        made[f"levels {preset}"] = partial(family.levels_sentence, results, preset)
        made[f"table fine {preset}"] = partial(_all_lengths, results, preset, "mean")
        made[f"table fine ablations {preset}"] = partial(tables.ablation_table, results, preset, 64)
    return made


def by_fine_labels(results: list[Result]) -> tuple[list[Result], list[Result]]:
    """The results under the labels that every method was measured with, and those under fine labels."""
    fine = [result for result in results if result.data.endswith(FINE)]
    return [result for result in results if result not in fine], fine


def _leaderboard(results: list[Result]) -> str:
    return leaderboard.leaderboard(results, labelled())


def labelled() -> frozenset[str]:
    """The methods that learn with labels."""
    return frozenset(name for name in METHODS if load_method(name).supervised)


def _label_distance(results: list[Result], preset: str) -> str:
    return tables.label_distance(results, preset, 64, labelled())


def _all_lengths(results: list[Result], preset: str, direction: str) -> str:
    shown = [tables.score_table(results, preset, n_bits, direction, labelled()) for n_bits in LENGTHS]
    kept = [table for table in shown if table != tables.NOTHING]
    return "\n\n".join(kept) or tables.NOTHING


def _published(path: Path) -> str:
    return tables.published_table(tomllib.loads(path.read_text(encoding="utf-8"))["row"])


def _plot_lines(results: list[Result]) -> str:
    shown = [f"![{name.removesuffix('.svg').replace('-', ' ')}](img/{name})" for name in plots.plots(results)]
    return "\n\n".join(shown) or tables.NOTHING


def _speed_table(path: Path) -> str:
    if not path.is_file():
        return tables.NOTHING
    stored = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        [name, f"{r['fit_cpu_seconds']:.1f}", f"{r['peak_memory_mib']:.0f}", f"{r['cpu_ratio']:.2f}"]
        for name, r in stored["methods"].items()
    ]
    told = f"{stored['machine']['processor']}, one thread, {stored['date']}, commit {stored['versions']['commit']}."
    return tables.markdown(["method", "CPU seconds", "peak MiB", "time, KDCMH = 1"], rows) + f"\n\n{told}"


def _choices(path: Path) -> str:
    """Every step of the rule on settings: what the candidates reached, and which was taken."""
    record = json.loads(path.read_text(encoding="utf-8"))
    rows, settings = [], record["base"]
    for step in record["steps"]:
        outer, _, inner = step["setting"].partition(".")
        before = settings[outer][inner] if inner else settings[outer]
        reached = ", ".join(f"{value}: {mean:.4f}" for value, mean in step["mean"].items())
        settings = settings | {outer: settings[outer] | {inner: step["chosen"]} if inner else step["chosen"]}
        rows.append([f"`{step['setting']}`", str(before), reached, str(step["chosen"])])
    table = tables.markdown(["setting", "before", "candidates and what they reached", "chosen"], rows, figures=False)
    versions = f"commit {record['versions']['commit']}, torch {record['versions']['torch']}"
    told = f"Equal within {record['tolerance']}; {record['machine']['processor']}, {versions}."
    return f"{table}\n\n{told}"


def protocol_table() -> str:
    """Every preset with its rules."""
    header = ["preset", "printed as", "cutoff", "divided by", "ties", "nothing relevant"]
    rows = [
        [f"`{key}`", p.name, str(p.cutoff or "none"), p.divide_by, p.ties, p.without_relevant]
        for key, p in PROTOCOLS.items()
    ]
    return tables.markdown(header, rows, figures=False)


def pair_protocol_table() -> str:
    """Every preset of recall of the own pair."""
    header = ["preset", "printed as", "first", "pictures at a time", "ties"]
    rows = [
        [f"`{key}`", p.name, str(p.k), f"{p.fold:,}, the mean of all full folds" if p.fold else "all", "expected"]
        for key, p in PAIR_PROTOCOLS.items()
    ]
    return tables.markdown(header, rows, figures=False)


def method_pages() -> str:
    """Every method: its paper, its first sentence, whether it needs labels, and its settings with defaults."""
    return "\n\n".join(_method_page(name, load_method(name)) for name in METHODS)


def _method_page(name: str, kind: type[Method]) -> str:
    told = (kind.__doc__ or "").split("\n\n")
    traits = ["Needs labels." if kind.supervised else "Needs no labels."]
    if kind.paper.reconstruction:
        traits.append("**A reconstruction**: the paper's text is not public.")
    lines = [f"## {name}", "", _plain(told[0]), "", f"{family.cited(kind.paper)} {' '.join(traits)}"]
    lines += [line for part in told[1:] if "Departure" in part for line in ("", _plain(part))]
    meanings = _meanings(kind)
    rows = [[f"`{f.name}`", f"`{_default(f)}`", meanings.get(f.name, "")] for f in dataclasses.fields(kind)]
    return "\n".join([*lines, "", tables.markdown(["setting", "default", "meaning"], rows, figures=False)])


def _meanings(kind: type[Method]) -> dict[str, str]:
    """What the comment behind each field says."""
    found = {"n_bits": "the code length", "seed": "the same seed gives the same codes"}
    for owner in reversed(kind.__mro__):
        if issubclass(owner, Method):
            found |= dict(re.findall(r"^    (\w+): [^#\n]*=[^#\n]*# (.+)$", inspect.getsource(owner), re.MULTILINE))
    return {name: told.replace("|", "or") for name, told in found.items()}


def _plain(text: str) -> str:
    return " ".join(text.split())


def _default(field: dataclasses.Field[object]) -> str:
    value = field.default
    if value is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    return f"{value.name}" if isinstance(value, Method) else repr(value)


def stale_files(results: list[Result]) -> Mapping[Path, bytes]:
    """What must be rewritten, with its new content."""
    results, fine = by_fine_labels(results)
    stale, made = {}, blocks(results) | fine_blocks(fine)
    for name in DOCUMENTS:
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = tables.fill_blocks(before, made)
        if after != before:
            stale[path] = after.encode()
    for name, drawn in {
        **plots.plots(results),
        **reliability.plot(),
        **search_tables.plots(),
        **proxy_tables.plot(),
    }.items():
        path = IMAGES / name
        if not path.is_file() or not plots.is_fresh(path.read_bytes(), drawn):
            stale[path] = drawn
    return stale


def main() -> int:
    """Rewrite or check; the exit code of a check is 1 when something is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true")
    what.add_argument("--check", action="store_true")
    options = parser.parse_args()
    stale = stale_files(read_results(RESULTS))
    for path, content in stale.items():
        print(f"{'rewritten' if options.write else 'stale'}: {path.relative_to(ROOT)}")
        if options.write:
            write_whole(path, content)
    if stale and options.check:
        print("Run  make docs  and commit what it rewrites.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
