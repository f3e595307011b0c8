"""The figures of codes without labels, each against its definition in plain loops."""

from __future__ import annotations

import dataclasses
import itertools
import math
from statistics import fmean

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from crossbit.codes import Codes
from crossbit.errors import DataError, WidthError
from crossbit.evaluation import PROXIES, code_proxies
from crossbit.methods.cca_itq import CCAITQ
from crossbit.methods.random_projection import RandomProjection
from crossbit.pairs import PairedFeatures
from crossbit.testing import planted_pairs

RNG = np.random.default_rng(5)
N, BITS = 41, 6  # few bits, so that there are many ties
PAIRS = PairedFeatures(RNG.normal(size=(N, 7)), RNG.normal(size=(N, 5)))
IMAGE, TEXT = (Codes.from_bits(RNG.random((N, BITS)) < share) for share in (0.4, 0.6))
FOUND = code_proxies(IMAGE, TEXT, PAIRS)


def distance(i: int, j: int) -> int:
    return int((IMAGE.bits()[i] != TEXT.bits()[j]).sum())


def centred_cosine(rows: np.ndarray, i: int, j: int) -> float:
    a, b = rows[i] - rows.mean(axis=0), rows[j] - rows.mean(axis=0)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_pair_ranks_count_who_comes_before() -> None:
    for found, far in (
        (FOUND.pair_rank_i2t, lambda i, j: distance(i, j)),
        (FOUND.pair_rank_t2i, lambda i, j: distance(j, i)),
    ):
        ranks = []
        for i in range(N):
            others = [far(i, j) for j in range(N) if j != i]
            ranks.append(sum(d < far(i, i) for d in others) + sum(d == far(i, i) for d in others) / 2)
        assert found == pytest.approx(fmean(ranks) / (N - 1))


def test_balance_correlation_and_effective_rank_follow_their_definitions() -> None:
    balances, correlations, ranks = [], [], []
    for codes in (IMAGE, TEXT):
        signs = 2.0 * codes.bits() - 1
        balances += [1 - abs(signs[:, bit].mean()) for bit in range(BITS)]
        correlations += [
            abs(np.corrcoef(signs[:, a], signs[:, b])[0, 1]) for a, b in itertools.permutations(range(BITS), 2)
        ]
        values = np.linalg.svd(signs - signs.mean(axis=0), compute_uv=False) ** 2
        shares = values / values.sum()
        ranks.append(math.exp(-sum(p * math.log(p) for p in shares)) / BITS)
    assert FOUND.bit_balance == pytest.approx(fmean(balances))
    assert FOUND.bit_correlation == pytest.approx(fmean(correlations))
    assert FOUND.effective_rank == pytest.approx(fmean(ranks))


def test_agreement_is_the_rank_correlation_over_all_couples() -> None:
    couples = list(itertools.permutations(range(N), 2))
    near = [-distance(i, j) for i, j in couples]
    for found, rows in ((FOUND.agreement_image, PAIRS.image), (FOUND.agreement_text, PAIRS.text)):
        expected = spearmanr(near, [centred_cosine(rows, i, j) for i, j in couples]).statistic
        assert found == pytest.approx(expected, abs=1e-4)


def test_neighbourhood_is_the_mean_feature_rank_of_the_nearest_codes_over_all_orders_of_ties() -> None:
    nearest, means = 2, []  # a twentieth of 40
    for far, rows in itertools.product((distance, lambda i, j: distance(j, i)), (PAIRS.image, PAIRS.text)):
        for i in range(N):
            others = [j for j in range(N) if j != i]
            place = dict(zip(others, rankdata([-centred_cosine(rows, i, j) for j in others]), strict=True))
            bar = sorted(far(i, j) for j in others)[nearest - 1]
            sure = [j for j in others if far(i, j) < bar]
            tied = [j for j in others if far(i, j) == bar]
            chosen = [fmean(place[j] for j in (*sure, *some)) for some in itertools.combinations(tied, 2 - len(sure))]
            means.append(1 - 2 * (fmean(chosen) - 1) / (N - 2))
    assert FOUND.neighbourhood == pytest.approx(fmean(means), abs=1e-4)


def test_a_teacher_is_compared_by_the_cosine_of_its_outputs() -> None:
    world = planted_pairs(seed=3, n=120)
    taught = CCAITQ(n_bits=8).fit(world.train)
    codes = taught.encode_images(world.pairs.image), taught.encode_texts(world.pairs.text)
    found = code_proxies(*codes, world.pairs, teacher=taught).teacher_agreement
    n = len(world.pairs)
    outputs = np.tanh(taught.image(world.pairs.image)), np.tanh(taught.text(world.pairs.text))
    image, text = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in outputs)
    couples = list(itertools.permutations(range(n), 2))
    near = codes[0].signs() @ codes[1].signs().T
    expected = spearmanr([near[c] for c in couples], [(image @ text.T)[c] for c in couples]).statistic
    assert found == pytest.approx(expected, abs=1e-4)
    assert code_proxies(*codes, world.pairs).teacher_agreement is None


def test_judged_turns_every_figure_so_that_more_is_better() -> None:
    judged = FOUND.judged()
    assert set(judged) == set(PROXIES) - {"teacher_agreement"}
    assert judged["pair_rank"] == pytest.approx(1 - FOUND.pair_rank_i2t - FOUND.pair_rank_t2i)
    assert judged["bit_correlation"] == 1 - FOUND.bit_correlation
    assert judged["together"] == pytest.approx(
        fmean(judged[name] for name in ("pair_rank", "agreement", "neighbourhood"))
    )
    assert set(FOUND.to_json()) == {field.name for field in dataclasses.fields(FOUND)}


def test_learned_codes_of_new_pairs_are_judged_better_than_chance() -> None:
    world = planted_pairs(seed=1, n=400)
    held, kept = world.pairs[np.arange(100)], world.pairs[np.arange(100, 400)]
    judged = []
    for method in (CCAITQ(n_bits=32), RandomProjection(n_bits=32)):
        hasher = method.fit(kept)
        judged.append(code_proxies(hasher.encode_images(held.image), hasher.encode_texts(held.text), held).judged())
    for name in ("pair_rank", "agreement", "neighbourhood", "together"):
        assert judged[0][name] > judged[1][name] + 0.1


def test_collapsed_codes_get_the_worst_of_everything() -> None:
    dead = Codes.from_bits(np.ones((N, 4), dtype=np.bool_))
    judged = code_proxies(dead, dead, PAIRS).judged()
    assert judged == pytest.approx(dict.fromkeys(judged, 0.0) | {"unique": 1 / N}, abs=1e-6)


def test_perfect_codes_get_the_best() -> None:
    every = np.array(list(itertools.product([False, True], repeat=5)))
    codes = Codes.from_bits(every)
    rows = 2.0 * every - 1
    found = code_proxies(codes, codes, PairedFeatures(rows, rows))
    assert (found.pair_rank_i2t, found.pair_rank_t2i, found.unique) == (0, 0, 1)
    assert (found.bit_balance, found.effective_rank, 1 - found.bit_correlation) == pytest.approx((1, 1, 1))
    # Not 1, because rounding parts cosines that are equal.
    assert (found.agreement_image, found.agreement_text) == pytest.approx((1, 1), abs=0.05)
    one = Codes.from_bits(every[:, :1])
    assert code_proxies(one, one, PairedFeatures(rows, rows)).bit_correlation == 0


def test_of_many_pairs_a_seeded_part_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossbit.evaluation.proxies.AT_MOST", 20)
    monkeypatch.setattr("crossbit.evaluation.proxies._COUPLES", 100)
    some = code_proxies(IMAGE, TEXT, PAIRS)
    assert some.n_pairs == 20
    assert some == code_proxies(IMAGE, TEXT, PAIRS)
    assert some != code_proxies(IMAGE, TEXT, PAIRS, seed=1)


def test_labels_are_not_looked_at() -> None:
    labelled = PairedFeatures(PAIRS.image, PAIRS.text, RNG.random((N, 3)) < 0.5)
    assert code_proxies(IMAGE, TEXT, labelled) == FOUND


def test_codes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(WidthError, match="6 and 5 bits"):
        code_proxies(IMAGE, TEXT.prefix(5), PAIRS)
    with pytest.raises(DataError, match="got 40 image and 41 text codes of 41 pairs"):
        code_proxies(IMAGE[:40], TEXT, PAIRS)
    with pytest.raises(DataError, match="3 or more pairs"):
        code_proxies(IMAGE[:2], TEXT[:2], PAIRS[:2])
