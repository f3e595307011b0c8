"""Precision@N, the precision-recall curve, lookup within a radius, recall of the pair, and the monitors."""

import json

import numpy as np
import pytest

from crossbit import Codes
from crossbit.errors import DataError, WidthError
from crossbit.evaluation import (
    code_monitors,
    evaluate_codes,
    pair_recall,
    precision_at,
    precision_recall,
    precision_within,
)
from evaluation_oracles import all_orders, hamming, precision_of


def codes_of(n, n_bits, seed):
    return Codes.from_bits(np.random.default_rng(seed).random((n, n_bits)) < 0.5)


def labels_of(n, seed):
    return np.random.default_rng(seed).random((n, 4)) < 0.25


def test_precision_at_n_is_the_mean_over_every_order():
    groups = [[True, False], [], [True, True, False, False], [False]]
    found = np.array([[len(group) for group in groups]])
    relevant = np.array([[sum(group) for group in groups]])
    for n in range(1, 10):
        expected = np.mean([precision_of(ranking, n) for ranking in all_orders(groups)])
        assert precision_at(found, relevant, n)[0] == pytest.approx(expected)


def test_precision_within_a_radius_counts_queries_without_hits_as_0():
    found = np.array([[0, 0, 0, 9], [1, 1, 2, 5], [0, 0, 1, 0]])
    relevant = np.array([[0, 0, 0, 9], [1, 0, 2, 5], [0, 0, 0, 0]])
    assert precision_within(found, relevant, 2).tolist() == [0.0, 0.75, 0.0]
    assert precision_within(found, relevant, 99).tolist() == [1.0, 8 / 9, 0.0]


def test_the_curve_adds_up_all_queries():
    precision, recall = precision_recall(np.array([0, 4, 4, 2]), np.array([0, 3, 1, 1]))
    assert np.isnan(precision[0])
    assert precision[1:].tolist() == [0.75, 0.5, 0.5]
    assert recall.tolist() == [0.0, 0.6, 0.8, 1.0]
    assert precision_recall(np.array([1, 1]), np.array([0, 0]))[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("n_bits", [8, 12, 64, 200])
def test_curves_of_codes_equal_plain_loops(n_bits):
    image_query, text_query = codes_of(7, n_bits, 0), codes_of(7, n_bits, 1)
    images, texts = codes_of(60, n_bits, 2), codes_of(60, n_bits, 3)
    # Some texts lie near the images that search them, so that lookup within radius 2 finds something.
    near = texts.bits()
    near[:14] = np.repeat(image_query.bits(), 2, axis=0)
    near[:14, 0] ^= True
    texts = Codes.from_bits(near)
    query_labels, database_labels = labels_of(7, 4), labels_of(60, 5)
    curves = evaluate_codes(image_query, text_query, images, texts, query_labels, database_labels).i2t_curves
    distances = np.array([[hamming(query, item) for item in texts.bits()] for query in image_query.bits()])
    shared = (query_labels[:, None] & database_labels[None]).any(axis=2)
    for radius in range(n_bits + 1):
        inside = distances <= radius
        if inside.any():
            assert curves.precision[radius] == pytest.approx(shared[inside].mean())
        assert curves.recall[radius] == pytest.approx((shared & inside).sum() / shared.sum())
    within = [shared[q][distances[q] <= 2].mean() if (distances[q] <= 2).any() else 0.0 for q in range(7)]
    assert curves.within_2 == pytest.approx(np.mean(within))
    assert curves.within_2 > 0
    assert curves.empty_within_2 == pytest.approx(np.mean([(distances[q] > 2).all() for q in range(7)]))
    at = dict(curves.precision_at)
    assert list(at) == [1, 5, 10, 20, 50]
    rng = np.random.default_rng(6)
    for n, value in at.items():
        sampled = []
        for _ in range(200):
            order = rng.permutation(60)
            first = [order[np.argsort(distances[q][order], kind="stable")][:n] for q in range(7)]
            sampled.append(np.mean([shared[q][first[q]].mean() for q in range(7)]))
        assert abs(value - np.mean(sampled)) < 4 * np.std(sampled) / np.sqrt(200) + 1e-12


@pytest.mark.parametrize("n_bits", [4, 16, 64])
def test_pair_recall_is_the_mean_over_random_orders(n_bits):
    query, database = codes_of(20, n_bits, 7), codes_of(50, n_bits, 8)
    rows = np.random.default_rng(9).permutation(50)[:20]
    database = Codes.from_bits(np.vstack([database.bits()[:40], query.bits()[:10]]))
    distances = (query.bits()[:, None] != database.bits()[None]).sum(axis=2)
    rng, sampled = np.random.default_rng(10), []
    for _ in range(1000):
        ranks = [np.lexsort((rng.random(50), distances[q])).tolist().index(rows[q]) for q in range(20)]
        sampled.append([np.mean([rank < k for rank in ranks]) for k in (1, 5, 10)])
    errors = np.std(sampled, axis=0) / np.sqrt(len(sampled))
    values = pair_recall(query, database, rows, (1, 5, 10))
    assert (np.abs(np.array(values) - np.mean(sampled, axis=0)) <= 4 * errors + 1e-12).all()
    assert values == sorted(values)


def test_pair_recall_of_equal_and_of_collapsed_codes():
    codes = Codes.from_bits(np.eye(20, dtype=bool))
    assert pair_recall(codes, codes, np.arange(20), (1, 5)) == [1.0, 1.0]
    collapsed = Codes.from_bits(np.zeros((20, 8), dtype=bool))
    assert pair_recall(collapsed, collapsed, np.arange(20), (1, 5, 40)) == pytest.approx([1 / 20, 5 / 20, 1.0])


def test_pair_recall_refuses_what_does_not_fit():
    codes = codes_of(5, 16, 0)
    with pytest.raises(WidthError):
        pair_recall(codes, codes_of(5, 24, 0), np.arange(5), (1,))
    for rows in (np.arange(4), np.arange(1, 6), np.array([-1, 0, 1, 2, 3])):
        with pytest.raises(DataError, match="row of the 5 database codes"):
            pair_recall(codes, codes, rows, (1,))


def test_monitors_of_healthy_and_of_collapsed_codes():
    codes = codes_of(500, 32, 11)
    healthy = code_monitors(codes, codes)
    assert healthy.balanced_bits == 1.0
    assert healthy.unique_image == healthy.unique_text == 1.0
    assert healthy.paired_distance == 0.0
    assert healthy.pair_rank == 0.0
    chance = code_monitors(codes, codes_of(500, 32, 12))
    assert chance.paired_distance == pytest.approx(0.5, abs=0.02)
    assert chance.pair_rank == pytest.approx(0.5, abs=0.05)
    collapsed = code_monitors(codes, Codes.from_bits(np.ones((500, 32), dtype=bool)))
    assert collapsed.balanced_bits == 0.5  # all of the images' bits, none of the texts'
    assert collapsed.unique_text == 1 / 500
    assert collapsed.pair_rank == pytest.approx(0.5, abs=0.05)
    json.dumps(collapsed.to_json(), allow_nan=False)


def test_a_bit_is_balanced_up_to_a_mean_of_nine_tenths():
    bits = np.zeros((40, 2), dtype=bool)
    bits[:2, 0] = True  # mean -.9
    bits[:1, 1] = True  # mean -.95
    assert code_monitors(Codes.from_bits(bits), Codes.from_bits(bits)).balanced_bits == 0.5


def test_the_rank_of_the_pair_counts_both_directions_and_samples_many_pairs():
    image = Codes.from_bits(np.array([[0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0]], dtype=bool))
    text = Codes.from_bits(np.array([[0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]], dtype=bool))
    # Image 0: text 1 is nearer, rank 1. Image 1: texts 0 and 2 are nearer, rank 2. Image 2: rank 0.
    # Text 0: rank 0. Text 1: image 0 and 2 are nearer, rank 2. Text 2: rank 0.
    assert code_monitors(image, text).pair_rank == pytest.approx(((1 + 2 + 0) + (0 + 2 + 0)) / 6 / 2)
    many = codes_of(5000, 64, 13)
    assert code_monitors(many, many).pair_rank == 0.0
    assert code_monitors(many[:1], many[:1]).pair_rank == 0.0


def test_monitors_refuse_what_is_not_paired():
    codes = codes_of(5, 16, 0)
    with pytest.raises(WidthError):
        code_monitors(codes, codes_of(5, 24, 0))
    with pytest.raises(DataError, match="5 image and 4 text"):
        code_monitors(codes, codes[:4])
    with pytest.raises(DataError):
        code_monitors(codes[:0], codes[:0])
