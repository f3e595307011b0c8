"""What two thresholds of a distribution say of pairs: surely alike, surely unlike, or undecided (SSDH's rule)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

AT_MOST = 2000  # rows on which a distribution is measured: their 2 million couples say enough
BIN_WIDTH = 0.01


@dataclass(frozen=True)
class Thresholds:
    """Distances of `alike` or less mean surely alike, of `unlike` or more surely unlike."""

    alike: float
    unlike: float

    def decided(self, distances: Tensor) -> Tensor:
        """1 where surely alike, -1 where surely unlike, else 0."""
        return (distances <= self.alike).to(distances) - (distances >= self.unlike).to(distances)


def cosine_distances(rows: Tensor) -> Tensor:
    """1 - cos between all rows of (b, d): (b, b)."""
    unit = normalize(rows)
    return 1 - unit @ unit.T


@torch.no_grad()
def distribution_thresholds(features: Tensor, alike: float, unlike: float) -> Thresholds:
    """SSDH's thresholds of cosine distances between features (n, d), on up to 2,000 evenly spaced rows.

    The mode is the left edge of the fullest bin. Each side of the distribution is mirrored around it, which makes two
    normal distributions with that mean; the thresholds lie `alike` deviations below and `unlike` above it.
    Source: Yang, Deng, Liu, Liu, Tao, Gao, IJCAI 2018.
    """
    n = len(features)
    rows = torch.linspace(0, n - 1, min(n, AT_MOST)).long()
    distances = cosine_distances(features[rows])
    values = distances[~torch.eye(len(rows), dtype=torch.bool, device=distances.device)].double()
    numbers, counts = torch.floor(values / BIN_WIDTH).unique(return_counts=True)  # type: ignore[no-untyped-call]  # untyped in torch
    mode = float(numbers[counts.argmax()]) * BIN_WIDTH
    left, right = (values[side] - mode for side in (values <= mode, values > mode))
    spreads = [float(side.square().mean().sqrt()) if len(side) else 0.0 for side in (left, right)]
    return Thresholds(mode - alike * spreads[0], mode + unlike * spreads[1])
