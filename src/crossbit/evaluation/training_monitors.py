"""What a fit notes of its codes without labels: signs of collapse, and whether they keep the order of the features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.evaluation.monitors import code_monitors
from crossbit.hasher import Hasher
from crossbit.pairs import PairedFeatures

AT_MOST = 1000  # training pairs looked at: a fit is not to take longer for it


def training_monitors(hasher: Hasher, pairs: PairedFeatures, *, at_most: int = AT_MOST) -> dict[str, float]:
    """The monitors of up to `at_most` evenly spaced training pairs, as plain JSON values.

    Those of `CodeMonitor`, and three more. code_size: mean of |tanh(output)|; near 0 the signs are hardly decided,
    near 1 the tanh no longer learns. cosine_spread: standard deviation of the cosines between the image code of one
    pair and the text code of another; near 0 all codes are as good as one. feature_agreement: correlation of those
    cosines with the features' own (centred, the mean of both modalities), from -1 to 1; 0 where either never varies.
    """
    rows = np.unique(np.linspace(0, len(pairs) - 1, at_most).astype(np.int64))
    some = pairs[rows]
    outputs = [hasher.image(some.image), hasher.text(some.text)]
    image_codes, text_codes = hasher.encode_images(some.image), hasher.encode_texts(some.text)
    others = ~np.eye(len(rows), dtype=np.bool_)
    cosines = (image_codes.signs() @ text_codes.signs().T / hasher.n_bits)[others]
    features = ((_cosines(some.image) + _cosines(some.text)) / 2)[others]
    found = {
        **code_monitors(image_codes, text_codes).to_json(),
        "code_size": float(np.mean([np.abs(np.tanh(values)).mean() for values in outputs])),
        "cosine_spread": float(cosines.std()) if cosines.size else 0.0,
        "feature_agreement": _correlation(cosines, features),
    }
    return {name: round(value, 6) for name, value in found.items()}


def _cosines(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return np.asarray(unit @ unit.T, dtype=np.float64)


def _correlation(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> float:
    if first.size < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
