"""The method under test with its quick settings, the planted world, and the one hasher that most checks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from crossbit.codes import Codes
from crossbit.hasher import Hasher
from crossbit.method import Method
from crossbit.pairs import PairedFeatures
from crossbit.progress import Step
from crossbit.testing.planted import PlantedWorld, planted_pairs

N_BITS = 32
SEED = 3


@dataclass(frozen=True)
class Subject:
    """method_class and quick_settings: what is held to the suite."""

    method_class: type[Method]
    quick_settings: Mapping[str, Any] = field(default_factory=dict)

    def method(self, **settings: Any) -> Method:
        """The method with its quick settings, 32 bits and seed 3, and the settings given here on top."""
        return self.method_class(**{**self.quick_settings, "n_bits": N_BITS, "seed": SEED, **settings})

    @cached_property
    def world(self) -> PlantedWorld:
        """The planted world of the suite."""
        return planted_pairs(seed=1)

    @cached_property
    def hasher(self) -> Hasher:
        """Fitted once on the world's train pairs."""
        return self.fitted[0]

    @cached_property
    def fitted(self) -> tuple[Hasher, int]:
        """The shared hasher, and how many steps of progress its fit told."""
        steps: list[Step] = []
        return self.method().fit(self.world.train, progress=steps.append), len(steps)

    @cached_property
    def codes(self) -> tuple[Codes, Codes]:
        """Image and text codes of all pairs of the world."""
        return self.encode(self.hasher)

    def encode(self, hasher: Hasher) -> tuple[Codes, Codes]:
        """Image and text codes of all pairs of the world by a hasher."""
        return hasher.encode_images(self.world.pairs.image), hasher.encode_texts(self.world.pairs.text)

    def few(self, n: int) -> PairedFeatures:
        """The first n train pairs."""
        return self.world.train[np.arange(n)]

    def __str__(self) -> str:
        return self.method_class.__name__
