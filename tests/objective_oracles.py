"""The papers' objectives as plain loops over i and j in float64, to hold the library's arithmetic against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Matrix = Sequence[Sequence[float]]


def inner(first: Sequence[float], second: Sequence[float]) -> float:
    total = 0.0
    for a, b in zip(first, second, strict=True):
        total += float(a) * float(b)
    return total


def cosine(first: Sequence[float], second: Sequence[float]) -> float:
    lengths = math.sqrt(inner(first, first)) * math.sqrt(inner(second, second))
    return inner(first, second) / lengths if lengths else 0.0


def table(n: int, m: int, entry: Callable[[int, int], float]) -> list[list[float]]:
    return [[entry(i, j) for j in range(m)] for i in range(n)]


def cosines(first: Matrix, second: Matrix) -> list[list[float]]:
    return table(len(first), len(second), lambda i, j: cosine(first[i], second[j]))


def mean_square(target: Matrix, given: Matrix) -> float:
    """MSE: the mean over all entries of (target - given)^2."""
    total, count = 0.0, 0
    for row, other in zip(target, given, strict=True):
        for a, b in zip(row, other, strict=True):
            total += (float(a) - float(b)) ** 2
            count += 1
    return total / count


def djsrh_similarity(image: Matrix, text: Matrix, beta: float, eta: float) -> list[list[float]]:
    """S~ = beta (2 cos - 1) + (1 - beta)(2 cos - 1);  S = (1 - eta) S~ + eta S~ S~^T / m."""
    m = len(image)

    def fused(i: int, j: int) -> float:
        return beta * (2 * cosine(image[i], image[j]) - 1) + (1 - beta) * (2 * cosine(text[i], text[j]) - 1)

    first = table(m, m, fused)

    def both(i: int, j: int) -> float:
        through = 0.0
        for k in range(m):
            through += first[i][k] * first[j][k]
        return (1 - eta) * first[i][j] + eta * through / m

    return table(m, m, both)


def jdsh_similarity(image: Matrix, text: Matrix, a: float, b: float, cross: float) -> list[list[float]]:
    """S~ = a S_I + b S_T + l (S_h + S_h^T) / 2, S_h the cosines of the profiles (rows) of S_I with those of S_T."""
    m = len(image)
    s_image = table(m, m, lambda i, j: 2 * cosine(image[i], image[j]) - 1)
    s_text = table(m, m, lambda i, j: 2 * cosine(text[i], text[j]) - 1)
    s_cross = table(m, m, lambda i, j: cosine(s_image[i], s_text[j]))
    return table(m, m, lambda i, j: a * s_image[i][j] + b * s_text[i][j] + cross * (s_cross[i][j] + s_cross[j][i]) / 2)


def jdsh_weighted(
    joint: Matrix, left: float, right: float, low: float, high: float, push: float, pull: float, origin: float = 0.0
) -> list[list[float]]:
    """DSDW: S~ (1 + L1 exp(-(S~ - MIN))) below `left`, S~ (1 + L2 exp(S~ - MAX)) above `right`, else S~.

    origin: what S~ is measured from when it is multiplied; 0 as published.
    """

    def entry(i: int, j: int) -> float:
        value = float(joint[i][j])
        if value < left:
            return origin + (value - origin) * (1 + push * math.exp(-(value - low)))
        if value > right:
            return origin + (value - origin) * (1 + pull * math.exp(value - high))
        return value

    return table(len(joint), len(joint), entry)


def likelihood(target: Matrix, first: Matrix, second: Matrix) -> float:
    """The mean of log(1 + e^Theta) - S Theta, Theta_ij = <first_i, second_j> / 2."""
    total, count = 0.0, 0
    for i in range(len(first)):
        for j in range(len(second)):
            theta = inner(first[i], second[j]) / 2
            total += math.log(1 + math.exp(theta)) - float(target[i][j]) * theta
            count += 1
    return total / count


def scaled(matrix: Matrix, factor: float) -> list[list[float]]:
    return [[factor * float(value) for value in row] for row in matrix]


def transposed(matrix: Matrix) -> list[list[float]]:
    return [[float(matrix[i][j]) for i in range(len(matrix))] for j in range(len(matrix[0]))]
