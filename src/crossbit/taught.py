"""The student of a distillation: networks, schedule and loss of a method that learns from a target similarity."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

import torch

from crossbit.distillation import Target
from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.nets import HashNet, hidden_net, linear_net, regular_net
from crossbit.pairs import PairedFeatures
from crossbit.student import StudentLoss, StudentObjective
from crossbit.training import DeepMethod, Objective

PAPER = Paper(
    authors="Li, Wang",
    title="Unsupervised Deep Cross-Modal Hashing by Knowledge Distillation for Large-scale Cross-modal Retrieval",
    venue="ICMR",
    year=2021,
    link="https://doi.org/10.1145/3460426.3463626",
    reconstruction=True,
)
"""KDCMH's, whose student this is."""


@dataclass(frozen=True, kw_only=True)
class TaughtMethod(DeepMethod):
    """A deep method whose networks learn from a `Target`; what makes the target is left to the method.

    The networks are regularised by dropout and batch normalisation (in evaluation mode a function of one item) and
    learned with AdamW on a one-cycle schedule. `networks_as = "published"` takes DJSRH's and JDSH's: a linear image
    and a hidden text network, SGD with momentum at a constant rate, the tanh's slope growing as sqrt(epoch + 1).

    With `prefixes` the loss is stated on the first bits too, so that one model gives codes of several lengths
    (`Hasher.prefix`, `Codes.prefix`): every term that compares codes with the target or with each other, each prefix
    weighing `prefix_weight`. The idea of nested representations is Kusupati et al.'s (Matryoshka representation
    learning, NeurIPS 2022); that it is put on hash codes taught by a similarity is ours, not KDCMH's paper's.
    """

    loss: Literal["cosine", "likelihood"] = "cosine"  # squared error of cosines, or DCMH's likelihood
    compare: Literal["batch", "buffer"] = "batch"  # with the batch, or with buffered codes of all pairs
    mu: float = 1.0  # scale of the target
    within: float = 1.0  # weight of the losses within a modality
    emphasis: float = 4.0  # an entry of the loss weighs 1 + this * max(target, 0)^2
    contrast: float = 0.2  # weight of the contrastive term
    temperature: float = 0.2  # of the contrastive term
    quantization: float = 0.0  # weight of the distance to the signs; the likelihood wants 1
    balance: float = 0.0  # weight of the bit balance
    prefixes: tuple[int, ...] = ()  # lengths below n_bits, such as (16, 32), whose first bits are to be good codes too
    prefix_weight: float = 1.0  # weight of each prefix's loss beside the whole code's
    networks_as: Literal["regular", "published"] = "regular"  # networks, optimiser and schedule: see above
    hidden: int = 1024  # units of each network
    input_dropout: float = 0.1  # share of the features dropped at random in training
    dropout: float = 0.3  # share of the hidden units dropped
    alpha_growth: float = 0.1  # slope of the tanh: 1 + this * epoch
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 4e-3  # the peak of the one-cycle schedule
    weight_decay: float = 1e-4  # of AdamW, or of SGD as published

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices(self)
        if self.batch_size < 2:
            raise SettingsError(f"batch_size must be 2 or more, since pairs are told apart; got {self.batch_size!r}.")
        for name in ("input_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"{name} is a share from 0 to below 1; got {getattr(self, name)!r}.")
        if not self.temperature > 0:
            raise SettingsError(f"temperature must be above 0; got {self.temperature!r}.")
        object.__setattr__(self, "prefixes", tuple(self.prefixes))  # a list, when read from a file
        check_prefixes(self.prefixes, self.n_bits)
        if not self.prefix_weight > 0:
            raise SettingsError(f"prefix_weight must be above 0; got {self.prefix_weight!r}.")

    def taught_by(self, target: Target) -> StudentObjective:
        """The loss on a target."""
        names = (field.name for field in dataclasses.fields(StudentLoss))
        return StudentObjective(StudentLoss(**{name: getattr(self, name) for name in names}), target)

    def whole_table(self, n: int) -> tuple[int, str]:
        """A target of all couples with what it is made of; a diffused one is whole up to `whole_up_to` pairs only."""
        made_of = str(getattr(self, "distillation", "labels"))
        if made_of == "diffused" and n > getattr(self, "whole_up_to", 0):
            return 0, ""
        bytes_of_couple = {"labels": 5, "real": 12, "diffused": 28}.get(made_of, 32)  # as measured at 5,000 pairs
        if made_of == "labels":
            return bytes_of_couple * n * n, "DCMH learns from labels too and makes its rows anew for each batch."
        way_out = f'With distillation = "diffused" and whole_up_to below {n}, pairs are compared with landmarks only.'
        return bytes_of_couple * n * n, way_out

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """Two regularised networks of one hidden layer; or a linear image and a hidden text network, as published."""
        if self.networks_as == "published":
            d_image, d_text = pairs.image.shape[1], pairs.text.shape[1]
            return linear_net(d_image, self.n_bits), hidden_net(d_text, self.n_bits, self.hidden)
        shape = (self.n_bits, self.hidden, self.input_dropout, self.dropout)
        return regular_net(pairs.image, *shape), regular_net(pairs.text, *shape)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """AdamW; SGD with momentum, as published."""
        parameters = [*image.parameters(), *text.parameters()]
        rate, decay = self.learning_rate, self.weight_decay
        if self.networks_as == "published":
            return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=decay, fused=True)
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)

    def rate_factor(self, progress: float) -> float:
        """One cycle: up for 30 % of the way, then down to nothing, both as half a cosine; constant as published."""
        if self.networks_as == "published":
            return 1.0
        along = progress / 0.3 if progress < 0.3 else (1 - progress) / 0.7
        return max(0.5 - 0.5 * math.cos(math.pi * along), 1e-3)

    def alpha(self, epoch: int) -> float:
        """1 + growth * epoch; sqrt(epoch + 1) as published."""
        return math.sqrt(epoch + 1) if self.networks_as == "published" else 1 + self.alpha_growth * epoch


def check_prefixes(prefixes: tuple[int, ...], n_bits: int) -> None:
    """Raise SettingsError unless the lengths are whole numbers that rise from 1 to below n_bits."""
    whole = all(isinstance(length, int) and not isinstance(length, bool) for length in prefixes)
    if (
        not whole
        or list(prefixes) != sorted(set(prefixes))
        or (prefixes and not 1 <= prefixes[0] <= prefixes[-1] < n_bits)
    ):
        raise SettingsError(f"prefixes are rising code lengths from 1 to below n_bits = {n_bits}; got {prefixes!r}.")


def check_choices(settings: object) -> None:
    """Raise SettingsError where a field annotated with words (Literal) holds none of them."""
    for name, hint in get_type_hints(type(settings)).items():
        if get_origin(hint) is Literal and getattr(settings, name) not in get_args(hint):
            known = ", ".join(map(repr, get_args(hint)))
            raise SettingsError(f"{name} is one of {known}; got {getattr(settings, name)!r}.")
