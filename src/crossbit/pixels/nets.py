"""What turns a method on features into one on pixels: its network behind a backbone, its objective beside pictures."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from crossbit.errors import SettingsError
from crossbit.hasher import HashFunction
from crossbit.nets import HashNet
from crossbit.pixels.pictures import PreparedPictures
from crossbit.training import Batch, Objective


class PixelNet(HashNet):
    """Pixels (b, 3, side, side) to real outputs (b, n_bits): a backbone and a method's own image network on top.

    The backbone stays in evaluation mode while it learns: batch normalisation keeps the statistics it came with and
    nothing is dropped at random, so that what learns is what encodes later, and a picture never depends on a batch.
    mixed: compute the backbone in bfloat16 where that is safe (autocast); weights and gradients stay float32.
    """

    def __init__(self, backbone: nn.Module, head: HashNet, *, mixed: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.mixed = mixed

    def forward(self, rows: Tensor) -> Tensor:
        """(b, 3, side, side) -> (b, n_bits)."""
        with torch.autocast(rows.device.type, dtype=torch.bfloat16, enabled=self.mixed):
            features = self.backbone(rows)
        return self.head(features.float())  # type: ignore[no-any-return]

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the head; the backbone is always in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def hash_function(self) -> HashFunction:
        """The head as plain arrays; it takes the backbone's features."""
        return self.head.hash_function()


class PixelObjective(Objective):
    """A method's objective, unchanged: it sees the frozen features, while the image network gets the pixels.

    places: (n,) the picture of each training pair. Raises SettingsError for an objective that makes its own inputs.
    """

    def __init__(self, inner: Objective, pictures: PreparedPictures, places: NDArray[np.int64]) -> None:
        super().__init__()
        if type(inner).inputs is not Objective.inputs:
            raise SettingsError(
                "The method makes further rows of features for each batch (as duch and ugach do), and there are no "
                "pictures of those. Take another method, or learn on features."
            )
        self.inner = inner
        self.pictures = pictures
        self.places = places
        self._frozen = torch.empty(0)

    def inputs(self, rows: Tensor, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels (b, 3, side, side) and text features of a batch; the frozen features are laid aside."""
        self._frozen, text_rows = self.inner.inputs(rows, image, text)
        pixels = torch.from_numpy(self.pictures.batch(self.places[rows.cpu().numpy()]))
        return pixels.to(rows.device).float(), text_rows

    def start_epoch(self, epoch: int) -> None:
        """The inner objective's."""
        self.inner.start_epoch(epoch)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The inner objective's terms, with the frozen features in the batch."""
        terms: dict[str, Tensor] = self.inner(dataclasses.replace(batch, image=self._frozen))
        return terms
