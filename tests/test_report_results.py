"""Reports from stored results alone: three looks of one table, plots, and never two protocol ids in a column."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from crossbit.cli import main
from crossbit.errors import DataError, MismatchError, SettingsError
from crossbit.experiment import Result
from crossbit.report.grid import Grid
from crossbit.report.plots import draw_plots
from crossbit.report.summary import summarise, write_summary


def result(row: str, mean: float, seed: int = 0, n_bits: int = 64, data: str = "emoji", **more: Any) -> Result:
    score = {"protocol_id": more.pop("protocol_id", f"id-{data}"), "I2T": mean - 0.01, "T2I": mean + 0.01, "mean": mean}
    curve = {"precision_at": {"1": mean, "10": mean / 2}, "precision": [None, mean, 0.1], "recall": [0.0, 0.5, 1.0]}
    details = {
        "note": "A <note> & 50 %." if row == "jdsh" else "",
        "cost": {"fit_cpu_seconds": 10.0 * (seed + 1), "peak_memory_mib": 300, "threads": 1},
        "curves": {"I2T": curve, "T2I": curve},
        **{"machine": {"processor": "A processor", "cores": 2}, "versions": {"numpy": "2", "commit": "abc"}},
        "date": "2021-08-21",
    } | more
    return Result(data, row, n_bits, seed, {"PALL": score}, {}, details)


RESULTS = [
    *(result("kdcmh", 0.5 + seed / 50, seed) for seed in range(3)),
    result("jdsh", 0.45),
    result("jdsh", 0.3, n_bits=16),
    result("jdsh", 0.81, data="wiki"),
    result("random-ranking", 0.1, n_bits=0),
]


def test_a_table_has_three_looks_with_the_same_cells() -> None:
    grid = summarise(RESULTS, lengths=[64], plots=False).grids[0]
    assert grid.title == "PALL, 64 bits, learned without labels"
    assert grid.header[:4] == ("64 bits", "emoji mean", "emoji I2T", "emoji T2I")
    rows = {row[0]: row[1:] for row in grid.rows}
    assert rows["kdcmh"][0] == "0.520 ± 0.020"
    assert rows["kdcmh"][3] == "n/a"
    assert rows["jdsh"][3] == "0.810"
    assert grid.ids == ("protocol id", *["id-emoji"] * 3, *["id-wiki"] * 3)
    assert grid.best == {(2, 1), (2, 2), (2, 3)} or {grid.rows[row][0] for row, _ in grid.best} == {"kdcmh"}
    markdown, latex, page = grid.markdown(), grid.latex(), grid.html()
    assert "| kdcmh | **0.520 ± 0.020** |" in markdown
    assert r"\textbf{0.520 $\pm$ 0.020}" in latex
    assert "<td class=best>0.520 ± 0.020</td>" in page
    assert "A &lt;note&gt; &amp; 50 %." in page
    for look in (markdown, latex, page):
        assert look.count("id-emoji") == 3
    ElementTree.fromstring(re.sub(r"class=(\w+)", r'class="\1"', page))


def test_latex_says_special_signs() -> None:
    latex = Grid("50 % & more", ("a_b", "c"), (("x#y", "1~2"),)).latex()
    assert r"\caption{50 \% \& more}" in latex
    assert r"a\_b & c \\" in latex
    assert r"x\#y & 1\textasciitilde{}2 \\" in latex


def test_two_protocol_ids_never_share_a_column_or_a_panel() -> None:
    mixed = [*RESULTS, result("cvh", 0.4, protocol_id="another")]
    with pytest.raises(MismatchError, match="another"):
        summarise(mixed, plots=False)
    with pytest.raises(MismatchError, match="another"):
        draw_plots(mixed, "PALL", 64)
    assert summarise([*RESULTS, result("cvh", 0.4, data="other", protocol_id="another")], plots=False).grids


def test_what_learns_with_labels_stands_apart_in_every_table_and_plot() -> None:
    mixed = [*RESULTS, result("dcmh", 0.9), result("kdcmh@labels", 0.95, method="kdcmh-labels")]
    summary = summarise(mixed, lengths=[64])
    by_title = {grid.title: [row[0] for row in grid.rows] for grid in summary.grids}
    assert by_title["PALL, 64 bits, learned without labels"] == ["random-ranking", "jdsh", "kdcmh"]
    assert by_title["PALL, 64 bits, learned with labels"] == ["dcmh", "kdcmh@labels"]
    assert {row[0] for row in summary.grids[0].rows} == {"random-ranking", "jdsh", "kdcmh"}
    assert sorted(set(by_title["What it takes, learned with labels"])) == ["dcmh", "kdcmh@labels"]
    assert {grid.rows[row][0] for grid in summary.grids[:1] for row, _ in grid.best} == {"kdcmh"}
    for name, drawn in summary.plots.items():
        assert (">dcmh<" in drawn.decode()) == name.endswith("-with-labels.svg")
        assert (">kdcmh<" in drawn.decode()) != name.endswith("-with-labels.svg")
    told = summarise([result("outside", 0.5, supervised=True, method="theirs")], plots=False)
    assert told.grids[0].title.endswith("learned with labels")


def test_results_without_curves_are_said() -> None:
    pytest.importorskip("matplotlib", reason="plots are drawn with matplotlib, which is not installed")
    old = result("cvh", 0.4)
    old = Result(**{**old.__dict__, "details": {k: v for k, v in old.details.items() if k != "curves"}})
    assert "1 of 7 results were stored before curves were kept" in summarise([*RESULTS, old]).origin
    assert "before curves were kept" not in summarise(RESULTS).origin


def test_every_plot_is_drawn_from_results_alone(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots are drawn with matplotlib, which is not installed")
    summary = summarise(RESULTS)
    written = write_summary(summary, tmp_path)
    assert [path.name for path in written[:3]] == ["report.md", "report.tex", "report.html"]
    ways = [f"{kind}-{way}.svg" for way in ("I2T", "T2I") for kind in ("precision-at", "precision-recall")]
    against = [f"score-against-{what}.svg" for what in ("bits", "bytes", "seconds")]
    assert sorted(path.name for path in written[3:]) == sorted([*against, *ways])
    for drawn in summary.plots.values():
        told = drawn.decode()
        ElementTree.fromstring(told)
        assert ">kdcmh<" in told
        assert ">emoji<" in told
    assert draw_plots(RESULTS, "PALL", 64) == summary.plots
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 7
    assert not re.search(r"(src|href)=['\"]https?://", page)
    without = [Result(**{**each.__dict__, "details": {"cost": each.details["cost"]}}) for each in RESULTS]
    assert sorted(draw_plots(without, "PALL", 64)) == against


def test_the_command_reports_and_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in RESULTS:
        each.write(tmp_path / "results" / each.data / each.row / f"{each.n_bits}-{each.seed}.json")
    words = ["crossbit", "report", str(tmp_path / "results"), "--out", str(tmp_path / "out"), "--no-plots", "--json"]
    monkeypatch.setattr("sys.argv", [*words, "--format", "latex", "--bits", "64"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = json.loads(capsys.readouterr().out)
    assert not ended.value.code
    assert [Path(path).name for path in told["files"]] == ["report.tex"]
    assert told["tables"][0]["protocol_ids"][1] == "id-emoji"
    result("cvh", 0.4, protocol_id="another").write(tmp_path / "results" / "mixed.json")
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "another" in capsys.readouterr().err


def test_what_there_is_not_is_said() -> None:
    with pytest.raises(DataError, match="crossbit reproduce NAME"):
        summarise([])
    with pytest.raises(SettingsError, match="No result has the protocol P50; there are PALL"):
        summarise(RESULTS, presets=["P50"])
    with pytest.raises(SettingsError, match="No result has the length 24; there are 16, 64"):
        summarise(RESULTS, lengths=[24])
