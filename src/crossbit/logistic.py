"""Logistic regression of many bits at once, with a ridge."""

from __future__ import annotations

import numpy as np
import scipy.optimize
from scipy.special import expit

from crossbit.correlation import Matrix


def logistic_weights(rows: Matrix, codes: Matrix, ridge: float, iterations: int) -> tuple[Matrix, Matrix]:
    """Weights (k, r) and biases (r,) of r logistic regressions of codes (n, r) on rows (n, k) of mean squared length 1.

    Each has the lowest mean of log(1 + exp(-code * value)) + ridge / (8 k) |weight|^2: the ridge is a share of the
    mean curvature that this loss has at weights of 0. iterations: steps of L-BFGS, at most.
    """
    (n, k), r = rows.shape, codes.shape[1]
    penalty = ridge / (4 * k)

    def loss(flat: Matrix) -> tuple[float, Matrix]:
        weight, bias = flat[: k * r].reshape(k, r), flat[k * r :]
        margin = codes * (rows @ weight + bias)
        slope = -codes * expit(-margin) / n
        value = np.logaddexp(0, -margin).sum() / n + penalty / 2 * np.square(weight).sum()
        return float(value), np.concatenate([(rows.T @ slope + penalty * weight).ravel(), slope.sum(axis=0)])

    limits = {"maxiter": iterations, "ftol": 1e-14, "gtol": 1e-7}
    found = scipy.optimize.minimize(loss, np.zeros((k + 1) * r), jac=True, method="L-BFGS-B", options=limits).x  # type: ignore[call-overload]  # its stubs want one-dimensional shapes
    return found[: k * r].reshape(k, r), found[k * r :]
