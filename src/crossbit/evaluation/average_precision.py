"""Average precision from groups of tied items, exact over all orders of the ties, without a sort.

A ranking arrives as groups, best first: `found[q, g]` items are tied in group g, `relevant[q, g]` of them relevant.
For codes the groups are the Hamming distances. Notation of the loops: before a group stand N items and R relevant
ones; the group has n items and r relevant ones; the cutoff lets m of its n items in.

**Expected precision.** Over all orders of a group, its j-th place holds a relevant item with probability r / n, and
given that, (j - 1)(r - 1)/(n - 1) of the j - 1 places before it do in the mean. So place j adds
    r / n * (R + 1 + (j - 1)(r - 1)/(n - 1)) / (N + j).
This is all that is needed where the divisor is fixed. (The same closed form: McSherry and Najork, "Computing
information retrieval performance measures efficiently in the presence of tied scores", ECIR 2008.)

**A divisor that depends on the order.** With divide_by="found" and a cutoff inside a group, the divisor is R + X,
where X, the relevant items among the m let in, is random: hypergeometric, P(X = x) = C(r, x) C(n - r, m - x) / C(n, m).
The order within earlier groups is independent of X, and their number of hits R is fixed. Given X = x, the x hits lie
uniformly over the m places, so the formula above holds with (m, x) for (n, r). With S the expected sum of the earlier
groups, A = sum of 1 / (N + j) and B = sum of (j - 1)/(N + j) over j = 1..m,
    E[AP] = sum over x of P(X = x) * (S + x / m * (R + 1) A + x (x - 1)/(m (m - 1)) B) / (R + x),
where a term without any hit (R + x = 0) is 0. The probabilities are built from their mode outward by the ratio of
neighbours, which neither overflows nor loses digits.

**The first k relevant.** With divide_by="first_relevant" a group may hold more relevant items than are still wanted.
The place J of its t-th relevant item has P(J = j) = C(j - 1, t - 1) C(n - j, r - t) / C(n, r), and adds
(R + t) E[1 / (N + J)].

**Sums over a group.** A = sum of 1 / (N + j) over j = 1..m is a difference of harmonic numbers, and with it
    sum of (j - 1)/(N + j) = m - (N + 1) A,        sum of (R + i)/(N + i) = m + (R - N) A.
A long group therefore costs as much as a short one: A comes from the series of the harmonic numbers around x + 1/2,
    H(x) = ln(x + 1/2) + Euler's constant + 1/(24 (x + 1/2)^2) - 7/(960 (x + 1/2)^4) + 31/(8064 (x + 1/2)^6) - ...,
whose next term is below 2e-17 from x = 64 on; what stands before place 64 is added up.

**Best and worst.** Within a group every hit's precision is highest when the hits come first and lowest when they come
last. In the group that is cut the number of hits is chosen too: under "found" one more hit late in the ranking can
lower the mean, so all numbers are tried.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import DataError
from crossbit.evaluation.protocol import EvaluationProtocol
from crossbit.kernels import Counts, compiled

_DIVISORS = {"found": 0, "relevant": 1, "reachable": 2}
_FOUND, _RELEVANT = 0, 1
_SERIES_FROM = 64  # places before which the series of the harmonic numbers is not exact enough
_ADDED_UP = 32  # terms below which a sum is added up: as fast, and no digit is lost


def average_precisions(found: Counts, relevant: Counts, protocol: EvaluationProtocol) -> NDArray[np.float64]:
    """The average precision of each query, (q,), from its groups of tied items (see the module's text).

    found, relevant: (q, groups) int64, best group first; empty groups are fine. A query without anything relevant
    has 0, or NaN where the protocol skips it. With ties="id" each group must hold one item at most, in the order of
    the ids; DataError is raised otherwise.
    """
    if protocol.ties == "id" and found.max(initial=0) > 1:
        raise DataError("Under ties='id' every group holds one item, in the order of the ids; got groups of several.")
    n_items = int(found.sum(axis=1).max(initial=0))
    cutoff = n_items if protocol.cutoff is None else min(int(protocol.cutoff), n_items)
    if protocol.divide_by == "first_relevant":
        if protocol.ties in ("best", "worst"):
            scores = _extreme_first(found, relevant, cutoff, protocol.ties == "best")
        else:
            scores = _expected_first(found, relevant, cutoff)
    elif protocol.ties in ("best", "worst"):
        scores = _extreme(found, relevant, cutoff, _DIVISORS[protocol.divide_by], protocol.ties == "best")
    else:
        scores = _expected(found, relevant, cutoff, _DIVISORS[protocol.divide_by])
    if protocol.without_relevant == "skip":
        scores[relevant.sum(axis=1) == 0] = np.nan
    return scores


def mean_of(scores: NDArray[np.float64]) -> float:
    """The mean over queries, those that are skipped (NaN) left out; 0 if all are."""
    kept = scores[~np.isnan(scores)]
    return float(kept.mean()) if kept.size else 0.0


@compiled
def _harmonic(N: int, m: int) -> float:
    """The sum of 1 / (N + j) over j = 1..m."""
    total, last = 0.0, N + m
    while last > N and (N < _SERIES_FROM or last - N < _ADDED_UP):
        N += 1
        total += 1.0 / N
    if last == N:
        return total
    low, high = 1.0 / (N + 0.5) ** 2, 1.0 / (last + 0.5) ** 2
    total += math.log1p((last - N) / (N + 0.5)) + (high - low) / 24
    return total - 7 * (high**2 - low**2) / 960 + 31 * (high**3 - low**3) / 8064


@compiled
def _growing(N: int, m: int) -> float:
    """The sum of (j - 1) / (N + j) over j = 1..m."""
    if m >= _ADDED_UP:
        return m - (N + 1) * _harmonic(N, m)
    total = 0.0
    for j in range(2, m + 1):
        total += (j - 1.0) / (N + j)
    return total


@compiled
def _run(N: int, R: int, m: int) -> float:
    """The sum of (R + i) / (N + i) over i = 1..m: hits at all m places."""
    if m >= _ADDED_UP:
        return m + (R - N) * _harmonic(N, m)
    total = 0.0
    for i in range(1, m + 1):
        total += (R + i) / (N + i)
    return total


@compiled
def _divisor(rule: int, hits: int, n_relevant: int, cutoff: int) -> int:
    if rule == _FOUND:
        return hits
    return n_relevant if rule == _RELEVANT else min(n_relevant, cutoff)


@compiled
def _expected(found: Counts, relevant: Counts, cutoff: int, rule: int) -> NDArray[np.float64]:
    scores = np.zeros(len(found))
    for query in range(len(found)):
        N, R, total, n_relevant, done = 0, 0, 0.0, relevant[query].sum(), False
        for group in range(found.shape[1]):
            n, r = found[query, group], relevant[query, group]
            left = cutoff - N
            if left == 0:
                break
            m = min(n, left)
            if m < n and rule == _FOUND:
                scores[query] = _expected_cut(total, N, R, n, r, m)
                done = True
                break
            if r > 0:
                growth = (r - 1) / (n - 1) if n > 1 else 0.0
                total += ((R + 1) * _harmonic(N, m) + growth * _growing(N, m)) * r / n
            N += m
            R += r
        if not done:
            divisor = _divisor(rule, R, n_relevant, cutoff)
            scores[query] = total / divisor if divisor > 0 else 0.0
    return scores


@compiled
def _expected_cut(total: float, N: int, R: int, n: int, r: int, m: int) -> float:
    """E[AP] under "found" when m of the n items of a group are let in; see the module's text."""
    A, B = _harmonic(N, m), _growing(N, m)
    low, high = max(0, m - (n - r)), min(m, r)
    mode = min(max(((m + 1) * (r + 1)) // (n + 2), low), high)
    weights, score = 0.0, 0.0
    for upward in (True, False):
        x, weight = mode, 1.0
        while True:
            if upward or x != mode:
                weights += weight
                if R + x > 0:
                    pairs = x * (x - 1.0) / (m * (m - 1.0)) if m > 1 else 0.0
                    score += weight * (total + x / m * (R + 1) * A + pairs * B) / (R + x)
            if upward:
                if x == high:
                    break
                weight *= (r - x) / (x + 1.0) * (m - x) / (n - r - m + x + 1.0)
                x += 1
            else:
                if x == low:
                    break
                weight *= x / (r - x + 1.0) * (n - r - m + x) / (m - x + 1.0)
                x -= 1
    return score / weights


@compiled
def _extreme(found: Counts, relevant: Counts, cutoff: int, rule: int, best: bool) -> NDArray[np.float64]:
    scores = np.zeros(len(found))
    for query in range(len(found)):
        N, R, total, n_relevant = 0, 0, 0.0, relevant[query].sum()
        for group in range(found.shape[1]):
            n, r = found[query, group], relevant[query, group]
            if N + n > cutoff:
                break
            total += _run(N if best else N + n - r, R, r)
            N += n
            R += r
        else:
            n = r = 0
        scores[query] = _extreme_cut(total, N, R, n, r, cutoff - N, rule, best, n_relevant, cutoff)
    return scores


@compiled
def _extreme_cut(
    total: float, N: int, R: int, n: int, r: int, m: int, rule: int, best: bool, n_relevant: int, cutoff: int
) -> float:
    """The best or worst AP over the numbers of hits among the m items let in of a group of n (0 of 0: no cut)."""
    low, high = max(0, min(m, n) - (n - r)), min(m, r)
    chosen, added, inverse = -1.0, 0.0, 0.0
    for x in range(high + 1):
        if x > 0 and best:
            added += (R + x) / (N + x)  # the hits stand first: places N + 1 to N + x
        elif x > 0:
            # The hits stand last, places p = N + m - x + 1 to N + m, and the precision at p is 1 - (N + m - x - R) / p.
            inverse += 1.0 / (N + m - x + 1)
            added = x - (N + m - x - R) * inverse
        if x < low:
            continue
        divisor = _divisor(rule, R + x, n_relevant, cutoff)
        score = (total + added) / divisor if divisor > 0 else 0.0
        if chosen < 0 or (best and score > chosen) or (not best and score < chosen):
            chosen = score
    return chosen


@compiled
def _expected_first(found: Counts, relevant: Counts, wanted: int) -> NDArray[np.float64]:
    scores = np.zeros(len(found))
    for query in range(len(found)):
        N, R, total = 0, 0, 0.0
        for group in range(found.shape[1]):
            n, r, left = found[query, group], relevant[query, group], wanted - R
            if left == 0:
                break
            if r <= left:
                growth = (r - 1) / (n - 1) if n > 1 else 0.0
                total += ((R + 1) * _harmonic(N, n) + growth * _growing(N, n)) * r / max(n, 1)
            else:
                for t in range(1, left + 1):
                    total += (R + t) * _expected_inverse_place(N, n, r, t)
            N += n
            R += min(r, left)
        scores[query] = total / R if R > 0 else 0.0
    return scores


@compiled
def _expected_inverse_place(N: int, n: int, r: int, t: int) -> float:
    """E[1 / (N + J)], J the place of the t-th of r relevant items among n in random order; r is 2 or more.

    The tails fall ever faster, so what lies beyond a weight of 1e-30 cannot move a float64.
    """
    low, high = t, n - r + t
    mode = min(max(((t - 1) * n) // (r - 1) + 1, low), high)
    weights = 1.0
    mean = 1.0 / (N + mode)
    weight = 1.0
    for j in range(mode, high):
        weight *= j / (j - t + 1.0) * (n - j - r + t) / (n - j)
        weights += weight
        mean += weight / (N + j + 1)
        if weight < 1e-30 * weights:
            break
    weight = 1.0
    for j in range(mode - 1, low - 1, -1):
        weight *= (j - t + 1.0) / j * (n - j) / (n - j - r + t)
        weights += weight
        mean += weight / (N + j)
        if weight < 1e-30 * weights:
            break
    return mean / weights


@compiled
def _extreme_first(found: Counts, relevant: Counts, wanted: int, best: bool) -> NDArray[np.float64]:
    scores = np.zeros(len(found))
    for query in range(len(found)):
        N, R, total = 0, 0, 0.0
        for group in range(found.shape[1]):
            n, r = found[query, group], relevant[query, group]
            total += _run(N if best else N + n - r, R, min(r, wanted - R))
            N += n
            R = min(R + r, wanted)
        scores[query] = total / R if R > 0 else 0.0
    return scores
