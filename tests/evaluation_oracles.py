"""The definitions of the literature as plain loops over one ranking in explicit order, to test the fast code against.

A ranking is a list of booleans, best first: is the item at this place relevant?
"""

from itertools import permutations


def average_precision_found(ranking, k):
    """V1, mAP@k of DJSRH, JDSH and most others: the first k places, divided by the hits among them."""
    hits, total = 0, 0.0
    for place, relevant in enumerate(ranking[:k], start=1):
        if relevant:
            hits += 1
            total += hits / place
    return total / hits if hits else 0.0


def average_precision_first_relevant(ranking, k):
    """V2, `calc_map_k` of DCMH's ports: the first k relevant items wherever they rank."""
    hits, total = 0, 0.0
    for place, relevant in enumerate(ranking, start=1):
        if relevant:
            hits += 1
            total += hits / place
            if hits == k:
                break
    return total / hits if hits else 0.0


def average_precision_reachable(ranking, k):
    """V3, the textbook's AP@k: the first k places, divided by min(relevant, k)."""
    hits, total = 0, 0.0
    for place, relevant in enumerate(ranking[:k], start=1):
        if relevant:
            hits += 1
            total += hits / place
    divisor = min(sum(ranking), k)
    return total / divisor if divisor else 0.0


def average_precision_relevant(ranking, k):
    """AP@k as trec_eval has it: the first k places, divided by all relevant items."""
    hits, total = 0, 0.0
    for place, relevant in enumerate(ranking[:k], start=1):
        if relevant:
            hits += 1
            total += hits / place
    return total / sum(ranking) if any(ranking) else 0.0


def average_precision_all(ranking):
    """mAP@all of DCMH and SHDCH: the mean, over all relevant items, of relevant rank / rank."""
    places = [place for place, relevant in enumerate(ranking, start=1) if relevant]
    return sum(number / place for number, place in enumerate(places, start=1)) / len(places) if places else 0.0


ORACLES = {
    "found": average_precision_found,
    "first_relevant": average_precision_first_relevant,
    "reachable": average_precision_reachable,
    "relevant": average_precision_relevant,
}


def average_precision(ranking, divide_by, cutoff):
    """One ranking under one rule; without a cutoff all rules are the mean over all relevant items."""
    return average_precision_all(ranking) if cutoff is None else ORACLES[divide_by](ranking, cutoff)


def all_orders(groups):
    """Every ranking that the groups of ties allow; groups: lists of booleans, best group first."""
    if not groups:
        yield []
        return
    for first in permutations(groups[0]):
        for rest in all_orders(groups[1:]):
            yield [*first, *rest]


def precision_of(ranking, n):
    """The share of relevant items among the first n places."""
    return sum(ranking[:n]) / n


def hamming(left, right):
    """The number of places at which two rows of bits differ."""
    return sum(int(a != b) for a, b in zip(left, right, strict=True))
