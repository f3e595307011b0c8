"""What the stored results are said to show is what they show."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from crossbit.datasets import Dataset
from crossbit.experiment import expected_of, read_experiments, read_result, read_results
from crossbit.testing import planted_pairs

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
RESULTS = read_results(BENCHMARKS / "results")
CLAIMED = ("emoji", "fashion6k", "openclipart5k")  # wiki is measured too, but nothing was promised of it


def scores(data: str, row: str, n_bits: int, preset: str = "PALL") -> list[float]:
    return [r.scores[preset]["mean"] for r in RESULTS if (r.data, r.row, r.n_bits) == (data, row, n_bits)]


@pytest.mark.parametrize("n_bits", [16, 32, 64, 128])
@pytest.mark.parametrize("data", CLAIMED)
def test_kdcmh_is_above_its_teacher_djsrh_and_cca_itq_by_more_than_the_spread(data: str, n_bits: int) -> None:
    own = scores(data, "kdcmh", n_bits)
    assert len(own) == (3 if n_bits in (16, 64) else 1)
    for rival in ("jdsh", "djsrh", "cca-itq"):
        other = scores(data, rival, n_bits)
        assert len(other) == len(own)
        spread = max(statistics.stdev(own), statistics.stdev(other)) if len(own) > 1 else 0.0
        assert statistics.fmean(own) - statistics.fmean(other) > spread, rival


@pytest.mark.parametrize("n_bits", [16, 32, 64, 128])
@pytest.mark.parametrize("data", CLAIMED)
def test_its_head_of_the_ranking_is_not_below_cca_itq(data: str, n_bits: int) -> None:
    own, other = scores(data, "kdcmh", n_bits, "P50"), scores(data, "cca-itq", n_bits, "P50")
    assert statistics.fmean(own) >= statistics.fmean(other)


@pytest.mark.parametrize(("data", "least"), [("fashion6k", 0.90), ("openclipart5k", 0.43)])
def test_it_is_above_what_released_codes_reach(data: str, least: float) -> None:
    assert statistics.fmean(scores(data, "kdcmh", 64)) > least


def test_stored_results_were_made_by_the_settings_and_the_code_that_stand_here() -> None:
    pytest.importorskip("torch")
    world = planted_pairs(n=40)
    stand_in = Dataset("planted", world.pairs, world.split, captions=("",) * 40)  # settings and code need no data
    jobs = [job for experiment in read_experiments(BENCHMARKS / "experiments") for job in experiment.jobs()]
    outdated = [
        job.name
        for job in jobs
        for stored in [read_result(job.result_path(BENCHMARKS / "results"))]
        if any(stored.expected[key] != expected_of(job, stand_in)[key] for key in ("settings", "source"))
    ]
    assert outdated == []
