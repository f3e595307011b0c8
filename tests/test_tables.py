"""Tables are made from results alone and never mix protocols."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from crossbit.errors import FileFormatError, MismatchError
from crossbit.experiment import Result
from crossbit.tables import (
    NOTHING,
    ablation_table,
    cost_table,
    fill_blocks,
    gain_table,
    label_distance,
    mean_and_spread,
    origin_lines,
    prefix_table,
    score_table,
)


def result(row: str, mean: float, seed: int = 0, n_bits: int = 64, data: str = "emoji", **more: Any) -> Result:
    protocol_id = more.pop("protocol_id", f"id-of-{data}")
    scores = {"PALL": {"protocol_id": protocol_id, "I2T": mean - 0.01, "T2I": mean + 0.01, "mean": mean}}
    details = {
        "note": more.pop("note", ""),
        "cost": {"fit_cpu_seconds": 10.0 * (seed + 1), "peak_memory_mib": 300, "threads": 1},
        "machine": {"processor": "A processor", "cores": 2},
        "versions": {"numpy": "2", "torch": "2", "commit": "abc"},
        "date": "2021-08-21",
    } | more
    return Result(data, row, n_bits, seed, scores, {}, details)


RESULTS = [
    result("kdcmh", 0.50, 0),
    result("kdcmh", 0.52, 1),
    result("kdcmh", 0.54, 2),
    result("jdsh", 0.45, 0),
    result("jdsh", 0.46, 1),
    result("random-ranking", 0.1, 0, n_bits=0),
    result("jdsh", 0.30, 0, n_bits=16),
    result("jdsh", 0.81, 0, data="wiki"),
    result("kdcmh@teacher", 0.47, 0, note="The teacher alone."),
]


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_a_score_table_holds_the_means_and_the_spread_over_seeds() -> None:
    assert lines(score_table(RESULTS, "PALL", 64)) == [
        ["64 bits", "emoji", "wiki"],
        ["---", "---:", "---:"],
        ["random-ranking", "0.100", "n/a"],
        ["jdsh", "0.455 ± 0.007", "0.810"],
        ["kdcmh", "0.520 ± 0.020", "n/a"],
        ["protocol id", "`id-of-emoji`", "`id-of-wiki`"],
    ]


def test_methods_with_labels_stand_apart_below_the_others() -> None:
    found = lines(score_table([*RESULTS, result("dcmh", 0.6)], "PALL", 64, labelled={"dcmh", "jdsh"}))
    assert [row[0] for row in found[2:]] == ["random-ranking", "kdcmh", "*with labels:*", "jdsh", "dcmh", "protocol id"]
    assert found[4] == ["*with labels:*", "", ""]


def test_the_distance_of_labels_is_that_of_the_best_on_each_side() -> None:
    told = label_distance([*RESULTS, result("dcmh", 0.6), result("cvh", 0.2)], "PALL", 64, {"dcmh", "cvh"})
    assert "on emoji 0.080 above (dcmh, kdcmh)" in told
    assert "wiki" not in told  # nothing with labels was measured there
    below = label_distance([*RESULTS, result("cvh", 0.2)], "PALL", 64, {"cvh"})
    assert "on emoji 0.320 below (cvh, kdcmh)" in below
    assert label_distance(RESULTS, "PALL", 64, {"cvh"}) == NOTHING


def test_a_direction_can_be_chosen() -> None:
    assert ["jdsh", "0.290"] in lines(score_table(RESULTS, "PALL", 16, "I2T"))
    assert ["jdsh", "0.310"] in lines(score_table(RESULTS, "PALL", 16, "T2I"))


def test_protocol_ids_are_never_mixed_in_a_column() -> None:
    mixed = [*RESULTS, result("djsrh", 0.4, protocol_id="another")]
    for table in (
        lambda: score_table(mixed, "PALL", 64),
        lambda: gain_table(mixed, "PALL", "kdcmh", ["djsrh"]),
        lambda: ablation_table([*RESULTS, result("kdcmh@x", 0.4, protocol_id="another")], "PALL", 64),
    ):
        with pytest.raises(MismatchError, match="another"):
            table()


def test_the_spread_is_the_sample_standard_deviation() -> None:
    values = [0.1, 0.2, 0.6]
    assert mean_and_spread(values) == f"0.300 ± {statistics.stdev(values):.3f}"
    assert mean_and_spread([0.25]) == "0.250"


def test_gains_compare_the_seeds_that_both_have() -> None:
    table = lines(gain_table(RESULTS, "PALL", "kdcmh", ["jdsh", "djsrh"]))
    assert table[2] == ["64 bits, above jdsh", "+0.055 ± 0.007", "n/a"]
    assert table[3] == ["64 bits, above djsrh", "n/a", "n/a"]
    worse = lines(gain_table([result("kdcmh", 0.4), result("jdsh", 0.5)], "PALL", "kdcmh", ["jdsh"]))
    assert worse[2][1] == "-0.100"


def test_ablations_stand_beside_their_method_with_their_notes() -> None:
    table = ablation_table(RESULTS, "PALL", 64)
    assert ["kdcmh@teacher", "0.470"] in lines(table)
    assert ["kdcmh", "0.500"] in lines(table)  # seed 0 alone, as its variant
    assert "jdsh" not in table
    assert "- `kdcmh@teacher`: The teacher alone." in table


def nested(of_16: float, whole: float, seed: int = 0, protocol_id: str = "id-of-emoji") -> Result:
    first = {"PALL": {"protocol_id": protocol_id, "I2T": of_16, "T2I": of_16, "mean": of_16}}
    return result("kdcmh@prefix", whole, seed, prefixes={"16": first})


def test_prefixes_stand_beside_models_of_their_length_on_the_same_seeds() -> None:
    alone = [result("kdcmh", 0.40, n_bits=16), result("kdcmh", 0.90, seed=1, n_bits=16)]
    assert lines(prefix_table([*RESULTS, *alone, nested(0.38, 0.49)], "PALL"))[2:] == [
        ["16 bits, a model of its own", "0.400"],
        ["16 bits, the first bits of one model", "0.380"],
        ["64 bits, a model of its own", "0.500"],
        ["64 bits, the first bits of one model", "0.490"],
    ]
    with pytest.raises(MismatchError, match="another"):
        prefix_table([*RESULTS, *alone, nested(0.38, 0.49, protocol_id="another")], "PALL")


def test_costs_are_means_over_seeds() -> None:
    assert ["kdcmh", "20.0 s, 300 MiB", "n/a"] in lines(cost_table(RESULTS, 64))


def test_without_results_a_table_says_so() -> None:
    for table in (
        score_table([], "PALL", 64),
        score_table(RESULTS, "P50", 64),
        score_table(RESULTS, "PALL", 32),
        gain_table([], "PALL", "kdcmh", ["jdsh"]),
        ablation_table([], "PALL", 64),
        cost_table([], 64),
        prefix_table(RESULTS, "PALL"),
        origin_lines([]),
    ):
        assert table == NOTHING


def test_origin_names_what_the_results_were_measured_with() -> None:
    told = origin_lines(RESULTS)
    for part in (f"{len(RESULTS)} results", "A processor (2 cores)", "numpy 2", "abc", "2021-08-21"):
        assert part in told


DOCUMENT = "Before.\n\n<!-- generated: one -->\nold\n<!-- end generated -->\n\nAfter.\n"


def test_blocks_are_filled_and_filling_again_changes_nothing() -> None:
    filled = fill_blocks(DOCUMENT, {"one": lambda: "new"})
    assert filled == "Before.\n\n<!-- generated: one -->\n\nnew\n\n<!-- end generated -->\n\nAfter.\n"
    assert fill_blocks(filled, {"one": lambda: "new"}) == filled


def test_a_block_that_nobody_makes_or_that_has_no_end_is_refused() -> None:
    with pytest.raises(FileFormatError, match="one"):
        fill_blocks(DOCUMENT, {"two": lambda: ""})
    with pytest.raises(FileFormatError, match="1 generated blocks are opened and 0 closed"):
        fill_blocks(DOCUMENT.replace("<!-- end generated -->", ""), {"one": lambda: ""})
