"""A method on features as the training loop needs it to learn from pixels. Nothing of the method is changed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from crossbit.checkpoint import KeptHasher
from crossbit.hasher import Hasher
from crossbit.hierarchical import HierarchicalMethod
from crossbit.methods.kdcmh import KDCMH
from crossbit.nets import HashNet
from crossbit.pairs import PairedFeatures
from crossbit.pixels.nets import PixelNet, PixelObjective
from crossbit.pixels.pictures import PreparedPictures
from crossbit.progress import Progress
from crossbit.training import DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class PixelMethod(DeepMethod):
    """Delegates everything to a method, but puts a backbone before its image network. For one training only.

    backbone: the network that learns; it is changed in place. described: what stands for it in the settings.
    pictures, places: the prepared pictures, and which of them belongs to each pair. rate: the backbone's learning
    rate as a multiple of the image network's.
    """

    name: ClassVar[str] = "from-pixels"

    method: DeepMethod
    backbone: nn.Module
    described: str
    pictures: PreparedPictures
    places: NDArray[np.int64]
    rate: float
    mixed: bool

    def settings(self) -> dict[str, Any]:
        """The method's settings, and those of learning from pixels."""
        own = {"backbone": self.described, "backbone_rate": self.rate, "mixed_precision": self.mixed}
        return {"method": self.method.name, **self.method.settings(), "from_pixels": own}

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """The method's networks, the image network behind the backbone."""
        image, text = self.method.networks(pairs)
        return PixelNet(self.backbone, image, mixed=self.mixed), text

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """The method's optimiser with one more group: the backbone, at a multiple of the image network's rate."""
        if not isinstance(image, PixelNet) or not isinstance(objective, PixelObjective):
            raise TypeError("A method from pixels takes the networks and the objective that it states itself.")
        optimiser = self.method.optimiser(image.head, text, objective.inner)
        rate = optimiser.param_groups[0]["lr"] * self.rate
        optimiser.add_param_group({"params": list(image.backbone.parameters()), "lr": rate})
        return optimiser

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The method's objective on the frozen features."""
        return PixelObjective(self.method.objective(pairs), self.pictures, self.places)

    def alpha(self, epoch: int) -> float:
        """The method's."""
        return self.method.alpha(epoch)

    def rate_factor(self, progress: float) -> float:
        """The method's."""
        return self.method.rate_factor(progress)

    def turns(self) -> tuple[str, ...]:
        """The method's."""
        return self.method.turns()

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        if not isinstance(self.method, KDCMH):
            return self.learn(pairs, self.objective, progress, checkpoint)
        # Its teacher learns on the frozen features; it is kept and told of, as in KDCMH's own fit.
        method = self.method
        kept = KeptHasher(checkpoint, key=f"teacher {self.settings()} {pairs.fingerprint()}")
        teacher = kept.load_or(lambda: method.fit_teacher(pairs, progress=progress, checkpoint=checkpoint))
        inner = method.taught_by(method.distil(pairs, teacher, progress))
        hasher = self.learn(pairs, lambda _: PixelObjective(inner, self.pictures, self.places), progress, checkpoint)
        kept.clear()
        return hasher


@dataclass(frozen=True, kw_only=True)
class LabelledPixelMethod(PixelMethod):
    """The same for a supervised method: the pairs keep their labels."""

    supervised: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class HierarchicalPixelMethod(LabelledPixelMethod):
    """The same for a method on label levels, where the pairs have them."""

    hierarchical: ClassVar[bool] = True

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        assert isinstance(self.method, HierarchicalMethod)
        method, levels = self.method, self.method.levels(pairs)
        # Side by side as the pairs' labels, so that a checkpoint of other levels is another file.
        joined = PairedFeatures(pairs.image, pairs.text, np.hstack(levels))
        inner = method.level_objective(levels)
        hasher = self.learn(joined, lambda _: PixelObjective(inner, self.pictures, self.places), progress, checkpoint)
        return dataclasses.replace(hasher, report={**hasher.report, "label_levels": len(levels)})


def pixel_method(method: DeepMethod) -> type[PixelMethod]:
    """The one that sees as much of the labels as the method may."""
    if isinstance(method, HierarchicalMethod):
        return HierarchicalPixelMethod
    return LabelledPixelMethod if method.supervised else PixelMethod
