"""Scores of real-valued similarities under the protocols of codes."""

import json

import ir_measures
import numpy as np
import pytest

from crossbit import Codes
from crossbit.errors import DataError, LabelError
from crossbit.evaluation import (
    P50,
    PALL,
    PROTOCOLS,
    EvaluationProtocol,
    evaluate_codes,
    evaluate_similarities,
    mean_average_precision,
    mean_average_precision_of,
    similarities,
)
from evaluation_oracles import average_precision


def labels_of(n, seed):
    return np.random.default_rng(seed).random((n, 6)) < 0.2


@pytest.mark.parametrize("divide_by", ["found", "relevant", "reachable", "first_relevant"])
@pytest.mark.parametrize("cutoff", [None, 1, 15, 90, 500])
def test_without_ties_they_are_the_loops(divide_by, cutoff):
    values, q, d = np.random.default_rng(0).normal(size=(12, 90)), labels_of(12, 1), labels_of(90, 2)
    shared = (q[:, None] & d[None]).any(axis=2)
    rankings = [[bool(shared[row, item]) for item in np.argsort(-values[row])] for row in range(12)]
    expected = np.mean([average_precision(one, divide_by, cutoff) for one in rankings])
    for ties in ("expected", "best", "worst", "id"):
        protocol = EvaluationProtocol("test", cutoff, divide_by, ties)
        assert mean_average_precision_of(values, q, d, protocol) == pytest.approx(expected, abs=1e-12)


def test_agrees_with_ir_measures():
    values, q, d = np.random.default_rng(3).normal(size=(8, 150)), labels_of(8, 4), labels_of(150, 5)
    shared = (q[:, None] & d[None]).any(axis=2)
    q, shared, values = q[shared.any(axis=1)], shared[shared.any(axis=1)], values[shared.any(axis=1)]
    judgements = {str(row): {str(item): int(shared[row, item]) for item in range(150)} for row in range(len(q))}
    run = {str(row): {str(item): float(values[row, item]) for item in range(150)} for row in range(len(q))}
    for measure, cutoff in ((ir_measures.AP, None), (ir_measures.AP @ 10, 10), (ir_measures.AP @ 50, 50)):
        theirs = ir_measures.calc_aggregate([measure], judgements, run)[measure]
        ours = mean_average_precision_of(values, q, d, EvaluationProtocol("test", cutoff, "relevant"))
        assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("ties", ["expected", "best", "worst", "id"])
def test_codes_written_as_similarities_score_the_same(ties):
    rng = np.random.default_rng(6)
    query, database = (Codes.from_bits(rng.random((n, 12)) < 0.5) for n in (9, 120))
    q, d = labels_of(9, 7), labels_of(120, 8)
    dot = query.signs() @ database.signs().T
    for preset in PROTOCOLS.values():
        protocol = EvaluationProtocol(preset.name, preset.cutoff, preset.divide_by, ties)
        assert mean_average_precision_of(dot, q, d, protocol) == pytest.approx(
            mean_average_precision(query, database, q, d, protocol), abs=1e-12
        )


def test_blocks_on_demand_give_what_the_whole_gives(monkeypatch):
    values, q, d = np.random.default_rng(9).normal(size=(20, 50)), labels_of(20, 10), labels_of(50, 11)
    whole = evaluate_similarities(values, -values, q, d, split_id="s")
    monkeypatch.setattr(similarities, "_SCORED_AT_ONCE", 150)
    asked = []

    def block(rows):
        asked.append(rows)
        return values[rows]

    by_blocks = evaluate_similarities(block, lambda rows: -values[rows], q, d, split_id="s")
    assert by_blocks == whole
    assert [(rows.start, rows.stop) for rows in asked] == [(n, min(n + 3, 20)) for n in range(0, 20, 3)]


def test_the_record_has_scores_and_no_curves_of_codes():
    values, q, d = np.random.default_rng(12).normal(size=(20, 50)), labels_of(20, 13), labels_of(50, 14)
    result = evaluate_similarities(values, values, q, d, split_id="split")
    assert result.n_bits is None
    assert result.i2t_curves is None
    codes = [Codes.from_bits(np.zeros((n, 8), dtype=bool)) for n in (20, 20, 50, 50)]
    of_codes = evaluate_codes(*codes, q, d, split_id="split")
    assert result[PALL].protocol_id == of_codes[PALL].protocol_id
    assert result.random == of_codes.random
    assert result[P50].i2t == result[P50].t2i == pytest.approx(mean_average_precision_of(values, q, d, P50))
    json.dumps(result.to_json(), allow_nan=False)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float16, np.float32])
def test_any_real_type_ranks_the_same(dtype):
    values, q, d = np.random.default_rng(15).integers(0, 9, (10, 60)), labels_of(10, 16), labels_of(60, 17)
    for ties in ("expected", "id"):
        protocol = EvaluationProtocol("test", 20, "found", ties)
        expected = mean_average_precision_of(values.astype(float), q, d, protocol)
        assert mean_average_precision_of(values.astype(dtype), q, d, protocol) == expected


def test_what_does_not_fit_is_refused():
    values, q, d = np.zeros((4, 6)), labels_of(4, 0), labels_of(6, 1)
    with pytest.raises(DataError, match=r"\(4, 6\)"):
        mean_average_precision_of(values.T, q, d)
    with pytest.raises(DataError, match="NaN"):
        mean_average_precision_of(values * np.nan, q, d)
    with pytest.raises(LabelError):
        mean_average_precision_of(values, q, d[:, :3])
    with pytest.raises(DataError):
        mean_average_precision_of(np.zeros((0, 6)), q[:0], d)
