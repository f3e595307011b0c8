"""Scores of codes, from packed bits to the whole evaluation of a hasher."""

import json
import tracemalloc

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossbit import Codes, Hasher, HashFunction, PairedFeatures, Split
from crossbit.errors import DataError, LabelError, SettingsError, SplitError, WidthError
from crossbit.evaluation import (
    P50,
    PALL,
    PROTOCOLS,
    TEXTBOOK_50,
    EvaluationProtocol,
    evaluate,
    evaluate_codes,
    mean_average_precision,
    report_random,
)
from crossbit.hasher import Layer
from evaluation_oracles import average_precision, hamming

RULES = ["found", "relevant", "reachable", "first_relevant"]


def codes_of(n, n_bits, seed):
    return Codes.from_bits(np.random.default_rng(seed).random((n, n_bits)) < 0.5)


def labels_of(n, seed, classes=5):
    return np.random.default_rng(seed).random((n, classes)) < 0.2


def plain_ranking(query, database, query_labels, database_labels, row):
    """The ranking of one query by the plain definitions: Hamming distance, then database row."""
    bits = database.bits()
    distances = [hamming(query.bits()[row], item) for item in bits]
    order = sorted(range(len(bits)), key=lambda item: (distances[item], item))
    shared = [bool(set(np.flatnonzero(query_labels[row])) & set(np.flatnonzero(one))) for one in database_labels]
    return [shared[item] for item in order]


@pytest.mark.parametrize("n_bits", [8, 12, 16, 64, 128, 200])
@pytest.mark.parametrize("divide_by", RULES)
def test_ties_by_id_are_the_loops_in_database_order(n_bits, divide_by):
    query, database = codes_of(6, n_bits, 0), codes_of(80, n_bits, 1)
    query_labels, database_labels = labels_of(6, 2), labels_of(80, 3)
    rankings = [plain_ranking(query, database, query_labels, database_labels, row) for row in range(6)]
    for cutoff in (None, 1, 7, 80, 500):
        for rule in ("zero", "skip"):
            protocol = EvaluationProtocol("test", cutoff, divide_by, "id", rule)
            scored = [one for one in rankings if any(one)] if rule == "skip" else rankings
            expected = np.mean([average_precision(one, divide_by, cutoff) for one in scored])
            value = mean_average_precision(query, database, query_labels, database_labels, protocol)
            assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_bits", [8, 12, 16, 64, 128, 200])
def test_expected_ties_are_the_mean_over_shuffled_databases(n_bits):
    query, database = codes_of(5, n_bits, 4), codes_of(60, n_bits, 5)
    query_labels, database_labels = labels_of(5, 6), labels_of(60, 7)
    rng = np.random.default_rng(8)
    for cutoff, divide_by in ((None, "relevant"), (10, "found")):
        by_id = EvaluationProtocol("test", cutoff, divide_by, "id")
        shuffled = []
        for _ in range(400):
            order = rng.permutation(60)
            shuffled.append(mean_average_precision(query, database[order], query_labels, database_labels[order], by_id))
        worst, expected, best = (
            mean_average_precision(
                query,
                database,
                query_labels,
                database_labels,
                EvaluationProtocol("test", cutoff, divide_by, ties),
            )
            for ties in ("worst", "expected", "best")
        )
        error = np.std(shuffled) / np.sqrt(len(shuffled))
        assert abs(expected - np.mean(shuffled)) < 4 * error + 1e-12
        assert worst - 1e-12 <= min(shuffled)
        assert max(shuffled) <= best + 1e-12


@settings(max_examples=40, deadline=None)
@given(
    n_bits=st.integers(1, 130), seed=st.integers(0, 10**6), cutoff=st.none() | st.integers(1, 40), n=st.integers(1, 40)
)
def test_the_order_of_the_database_changes_nothing_and_ties_are_ordered(n_bits, seed, cutoff, n):
    query, database = codes_of(4, n_bits, seed), codes_of(n, n_bits, seed + 1)
    query_labels, database_labels = labels_of(4, seed), labels_of(n, seed + 1)
    order = np.random.default_rng(seed).permutation(n)
    for divide_by in RULES:
        values = [
            mean_average_precision(
                query, items, query_labels, labels, EvaluationProtocol("test", cutoff, divide_by, ties)
            )
            for ties in ("worst", "expected", "best")
            for items, labels in ((database, database_labels), (database[order], database_labels[order]))
        ]
        assert values[0::2] == pytest.approx(values[1::2], abs=1e-12)
        assert values[0] - 1e-12 <= values[2] <= values[4] + 1e-12


def test_agrees_with_ir_measures_where_nothing_ties():
    # Item j lies at distance j of every query: a ranking without ties, which trec_eval sees as scores -j.
    n = 120
    database = Codes.from_bits(np.arange(128)[None] < np.arange(1, n + 1)[:, None])
    queries = Codes.from_bits(np.zeros((9, 128), dtype=bool))
    query_labels, database_labels = labels_of(9, 9, 12), labels_of(n, 10, 12)
    query_labels[:, 0] |= ~query_labels.any(axis=1)  # trec_eval leaves queries without anything relevant out
    shared = (query_labels[:, None] & database_labels[None]).any(axis=2)
    assert shared.any(axis=1).all()
    judgements = {f"q{q}": {f"d{d}": int(shared[q, d]) for d in range(n)} for q in range(9)}
    run = {f"q{q}": {f"d{d}": float(-d) for d in range(n)} for q in range(9)}
    theirs = ir_measures.calc_aggregate([ir_measures.AP, ir_measures.AP @ 20], judgements, run)
    at_20 = EvaluationProtocol("test", 20, "relevant")
    assert mean_average_precision(queries, database, query_labels, database_labels, PALL) == pytest.approx(
        theirs[ir_measures.AP]
    )
    assert mean_average_precision(queries, database, query_labels, database_labels, at_20) == pytest.approx(
        theirs[ir_measures.AP @ 20]
    )


@pytest.mark.parametrize("ties", ["expected", "best", "worst", "id"])
def test_any_number_of_threads_gives_the_same_scores(ties):
    queries, database = codes_of(150, 64, 20), codes_of(60_000 if ties != "id" else 800, 64, 21)
    labels = labels_of(150, 22), labels_of(len(database), 23)
    protocol = EvaluationProtocol("test", None, "relevant", ties)
    one, three = (mean_average_precision(queries, database, *labels, protocol, threads=n) for n in (1, 3))
    assert one == three


def test_perfect_and_hopeless_codes():
    labels = np.eye(4, dtype=bool)[np.arange(40) % 4]
    bits = np.repeat(labels, 4, axis=1)
    right, wrong = Codes.from_bits(bits), Codes.from_bits(np.roll(bits, 4, axis=1))
    for protocol in PROTOCOLS.values():
        assert mean_average_precision(right, right, labels, labels, protocol) == pytest.approx(1.0)
        assert mean_average_precision(right, wrong, labels, labels, protocol) < 0.5


def plain_hasher(n_bits=16, seed=0):
    rng = np.random.default_rng(seed)
    sides = [
        HashFunction((Layer(rng.normal(size=(d, n_bits)).astype(np.float32), np.zeros(n_bits, np.float32)),))
        for d in (6, 9)
    ]
    return Hasher(*sides)


def pairs_and_split(n=300, labels=True):
    rng = np.random.default_rng(1)
    pairs = PairedFeatures(rng.normal(size=(n, 6)), rng.normal(size=(n, 9)), labels_of(n, 2) if labels else None)
    rows = rng.permutation(n)
    return pairs, Split(train=rows[50:150], query=rows[:50], database=rows[50:])


def test_evaluate_searches_texts_with_images_and_the_reverse():
    hasher, (pairs, split) = plain_hasher(), pairs_and_split()
    result = evaluate(hasher, pairs, split, (PALL, P50, TEXTBOOK_50))
    images, texts = hasher.encode_images(pairs.image), hasher.encode_texts(pairs.text)
    sides = (pairs.labels[split.query], pairs.labels[split.database])
    for protocol in (PALL, P50, TEXTBOOK_50):
        scores = result[protocol]
        i2t = mean_average_precision(images[split.query], texts[split.database], *sides, protocol)
        t2i = mean_average_precision(texts[split.query], images[split.database], *sides, protocol)
        assert (scores.i2t, scores.t2i) == pytest.approx((i2t, t2i))
        assert scores.mean == pytest.approx((i2t + t2i) / 2)
        assert scores.protocol_id == protocol.id(split.fingerprint(), result.relevance, pairs.fingerprint())
        assert result[protocol.name] == scores
    assert (result.n_queries, result.n_database, result.n_bits) == (50, 250, 16)
    assert result.split_id == split.fingerprint()
    with pytest.raises(SettingsError, match=r"mAP@7 was not measured, only mAP@all"):
        result["mAP@7"]


def test_protocols_by_id_are_measured_beside_the_others():
    hasher, (pairs, split) = plain_hasher(8), pairs_and_split()
    by_id = EvaluationProtocol("by id", 50, "found", "id")
    result = evaluate(hasher, pairs, split, (by_id, P50))
    images, texts = hasher.encode_images(pairs.image), hasher.encode_texts(pairs.text)
    expected = mean_average_precision(
        images[split.query], texts[split.database], pairs.labels[split.query], pairs.labels[split.database], by_id
    )
    assert result[by_id].i2t == pytest.approx(expected)
    assert result[by_id].i2t != pytest.approx(result[P50].i2t, abs=1e-9)


def test_the_record_is_plain_json():
    hasher, (pairs, split) = plain_hasher(64), pairs_and_split()
    values = json.loads(json.dumps(evaluate(hasher, pairs, split).to_json(), allow_nan=False))
    assert [scores["protocol"] for scores in values["scores"]] == ["mAP@all", "mAP@50"]
    assert values["scores"][1]["divide_by"] == "found"
    named = PALL.id(split.fingerprint(), values["relevance"], pairs.fingerprint())
    assert values["scores"][0]["protocol_id"] == named
    assert values["random"][0]["protocol_id"] == values["scores"][0]["protocol_id"]
    assert set(values["random"][0]) == set(values["scores"][0])
    assert values["i2t_curves"]["precision"][0] is None  # no text lies at distance 0 of an image
    assert len(values["t2i_curves"]["recall"]) == 65
    assert values["t2i_curves"]["recall"][-1] == 1.0
    assert set(values["monitor"]) >= {"balanced_bits", "pair_rank"}


def test_other_labels_or_another_split_are_another_protocol_id():
    hasher, (pairs, split) = plain_hasher(), pairs_and_split()
    other_labels = PairedFeatures(pairs.image, pairs.text, labels_of(300, 99))
    other_split = Split(train=split.train, query=split.query, database=split.database[::-1])
    results = [evaluate(hasher, *given) for given in ((pairs, split), (other_labels, split), (pairs, other_split))]
    assert len({result[PALL].protocol_id for result in results}) == 3
    assert evaluate(plain_hasher(64), pairs, split)[PALL].protocol_id == results[0][PALL].protocol_id


def test_the_evaluation_needs_labels_and_rows_that_exist():
    pairs, split = pairs_and_split(labels=False)
    with pytest.raises(LabelError, match="needs labels"):
        evaluate(plain_hasher(), pairs, split)
    pairs, split = pairs_and_split()
    with pytest.raises(SplitError, match="only 100 pairs"):
        evaluate(plain_hasher(), pairs[:100], split)


def test_parts_that_do_not_fit_are_refused():
    query, database, q, d = codes_of(3, 16, 0), codes_of(9, 16, 1), labels_of(3, 2), labels_of(9, 3)
    with pytest.raises(WidthError, match="16 and 24 bits"):
        mean_average_precision(query, codes_of(9, 24, 1), q, d)
    with pytest.raises(LabelError, match="one row a pair"):
        mean_average_precision(query, database, q, d[:5])
    with pytest.raises(LabelError, match="same classes"):
        mean_average_precision(query, database, q, labels_of(9, 3, classes=6))
    with pytest.raises(DataError, match="3 and 0 codes"):
        mean_average_precision(query, database[:0], q, d[:0])
    with pytest.raises(WidthError):
        evaluate_codes(query, codes_of(3, 24, 1), database, codes_of(9, 16, 5), q, d)
    with pytest.raises(LabelError):
        evaluate_codes(query, query[:2], database, database, q, d)


def test_labels_of_0_and_1_are_labels():
    query, database, q, d = codes_of(3, 16, 0), codes_of(9, 16, 1), labels_of(3, 2), labels_of(9, 3)
    expected = mean_average_precision(query, database, q, d)
    assert 0 < expected == mean_average_precision(query, database, q.astype(int), d.astype(float))
    assert evaluate_codes(query, query, database, database, q.astype(int), d.tolist())[PALL].i2t == expected


@pytest.mark.parametrize("divide_by", RULES)
def test_the_random_ranking_is_the_mean_over_random_codes(divide_by):
    q, d = labels_of(40, 5), labels_of(200, 6)
    for cutoff in (None, 20):
        protocol = EvaluationProtocol("test", cutoff, divide_by)
        (random,) = report_random(q, d, [protocol])
        values = [
            mean_average_precision(codes_of(40, 200, seed), codes_of(200, 200, seed + 999), q, d, protocol)
            for seed in range(40)
        ]
        assert abs(random.mean - np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_the_random_ranking_has_the_label_prior_as_precision():
    labels = np.zeros((1000, 1), dtype=bool)
    labels[:300] = True
    (random,) = report_random(labels[:1], labels, [EvaluationProtocol("test", None, "relevant")])
    assert random.mean == pytest.approx(0.3, abs=0.01)  # slightly above the prior, for a finite database
    assert random.mean > 0.3


@pytest.mark.parametrize("ties", ["expected", "id"])
def test_memory_stays_bounded_however_many_queries(ties):
    # Full (queries, items) tables of distances and relevance would take 36 MB a byte.
    n_queries, n_items = 6000, 6000
    query, database = codes_of(n_queries, 64, 0), codes_of(n_items, 64, 1)
    q, d = labels_of(n_queries, 2), labels_of(n_items, 3)
    protocol = EvaluationProtocol("test", 50, "found", ties)
    mean_average_precision(query[:2], database[:50], q[:2], d[:50], protocol)  # compiles
    tracemalloc.start()
    mean_average_precision(query, database, q, d, protocol)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6
