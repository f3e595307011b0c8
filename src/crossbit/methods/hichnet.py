"""HiCHNet: a hierarchical network for cross-modal hashing, with a part of the code for each label level."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from crossbit.errors import SettingsError
from crossbit.hierarchical import HierarchicalMethod, as_tensor, dropping_net
from crossbit.method import Paper
from crossbit.nets import HashNet
from crossbit.objectives import negative_log_likelihood
from crossbit.pairs import Labels, PairedFeatures
from crossbit.training import Batch, Objective


@dataclass(frozen=True, kw_only=True)
class HiCHNet(HierarchicalMethod):
    """One part of the code is learned on the coarse labels, the other on the fine ones; the code is both.

    For each level k, with weight h_k: DCMH's likelihood of sharing a label of that level, NLL(S_k, F_k^T G_k / 2),
    the quantization |B_k - F_k|^2 + |B_k - G_k|^2, the bit balance |F_k 1|^2 + |G_k 1|^2, and the cross entropy of a
    softmax classifier on F_k and on G_k. B_k = sgn(F_k + G_k), refreshed before each epoch; in turns, each network
    compares its batch with the buffered outputs of the other for all pairs. Where pairs have one level of labels, all
    bits are one part, with weight 1.

    Source: Sun, Song, Feng, Zhao, Zhang, Nie, SIGIR 2019, as its released code has it; the paper's text was not open
    to us. The released text heads have tanh not at all (coarse) and twice (fine): `text_tanh`.

    Departures: frozen features under networks with one hidden layer and dropout, where CNN-F is fine-tuned; AdamW at
    1e-3 and 16 epochs for SGD with 500 steps of falling rates; a pair with several labels on a level is classified as
    equal shares of them; the outputs of all pairs start as noise, as DCMH's do; every term is a mean over its own
    entries, where DCMH's, of which the method is made, are sums (`scale`).

    Why means. Nearly all pairs are unrelated, so the likelihood gains by pushing the two modalities to opposite signs.
    The quantization holds against that, as both draw near the same B, but a sum over the batch's b codes is lost
    beside a sum over b x n pairs: the two codes of a pair then differ in nearly half of their bits, and at 16 bits
    little is left to rank by. And a balance of buffered outputs hears of a shift of the network only as the buffer is
    refreshed, so under Adam it swings, the likelihood rises and codes fall together; the batch's own outputs show
    the shift at once. Found, as the number of epochs, on train pairs held out: by the losses, by the bits in which a
    pair's two codes differ, and by the rank of its own text. A first form of this file had been given up with scores
    of queries in view.
    """

    name: ClassVar[str] = "hichnet"
    paper: ClassVar[Paper] = Paper(
        authors="Sun, Song, Feng, Zhao, Zhang, Nie",
        title="Supervised Hierarchical Cross-Modal Hashing",
        venue="SIGIR",
        year=2019,
        link="https://doi.org/10.1145/3331184.3331229",
    )

    weight_coarse: float = 0.2  # weight of the coarse level
    weight_fine: float = 0.8  # weight of the fine level
    coarse_share: float = 0.5  # share of the bits that the coarse level gets; each level has one bit at least
    classify: float = 1.0  # weight of the classifiers
    gamma: float = 1.0  # weight of the quantization
    eta: float = 1.0  # weight of the bit balance
    scale: Literal["means", "sums"] = "means"  # sums: over pairs, buffered ones too, then divided as the likelihood is
    text_tanh: Literal["once", "released"] = "once"  # released: none on the coarse text head, twice on the fine one
    hidden: int = 512  # units of each network
    input_dropout: float = 0.1  # share of the features dropped at random in training
    dropout: float = 0.3  # share of the hidden units dropped
    epochs: int = 16
    batch_size: int = 128
    learning_rate: float = 1e-3  # of AdamW
    weight_decay: float = 1e-4  # of AdamW

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, words in (("scale", ("means", "sums")), ("text_tanh", ("once", "released"))):
            if getattr(self, name) not in words:
                raise SettingsError(f'{name} is "{words[0]}" or "{words[1]}"; got {getattr(self, name)!r}.')
        if not 0 < self.coarse_share < 1:
            raise SettingsError(f"coarse_share must be above 0 and below 1; got {self.coarse_share!r}.")
        for name in ("weight_coarse", "weight_fine", "classify", "gamma", "eta"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must be 0 or more; got {getattr(self, name)!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """Two networks of one hidden layer; the parts of the code are parts of the last one."""
        shape = (self.n_bits, self.hidden, self.input_dropout, self.dropout)
        return dropping_net(pairs.image, *shape), dropping_net(pairs.text, *shape)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """AdamW over both networks and the classifiers; in a turn only one network has gradients."""
        parameters = [*image.parameters(), *text.parameters(), *objective.parameters()]
        return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def turns(self) -> tuple[str, ...]:
        """Image first, then text."""
        return ("image", "text")

    def level_objective(self, levels: tuple[Labels, ...]) -> Objective:
        """The likelihoods and the classifiers of all levels."""
        return HiCHNetObjective(self, levels)


class HiCHNetObjective(Objective):
    """First each level's similarity (a shared label), then its loss on its part of the code."""

    image_outputs: Tensor  # F: (n, n_bits)
    text_outputs: Tensor  # G: (n, n_bits)
    codes: Tensor  # B: (n, n_bits) in {-1, 1}
    labels: Tensor  # (n, c1 + c2): the levels side by side

    def __init__(self, method: HiCHNet, levels: tuple[Labels, ...]) -> None:
        super().__init__()
        if len(levels) > method.n_bits:
            raise SettingsError("hichnet needs 2 bits or more where pairs have two levels of labels; got n_bits = 1.")
        self.method, self.widths = method, [level.shape[1] for level in levels]
        n, r = len(levels[0]), method.n_bits
        coarse = min(max(round(method.coarse_share * r), 1), r - 1)
        self.parts = [r] if len(levels) == 1 else [coarse, r - coarse]
        self.weights = [1.0] if len(levels) == 1 else [method.weight_coarse, method.weight_fine]
        self.register_buffer("labels", torch.cat([as_tensor(level) for level in levels], dim=1))
        self.register_buffer("image_outputs", torch.randn(n, r))
        self.register_buffer("text_outputs", torch.randn(n, r))
        self.register_buffer("codes", torch.zeros(n, r))
        self.image_classifiers = nn.ModuleList(starmap(nn.Linear, zip(self.parts, self.widths, strict=True)))
        self.text_classifiers = nn.ModuleList(starmap(nn.Linear, zip(self.parts, self.widths, strict=True)))

    def start_epoch(self, epoch: int) -> None:
        """B = sgn(F + G), zero counted as +1."""
        self.codes = torch.where(self.image_outputs + self.text_outputs >= 0, 1.0, -1.0)

    def relaxed(self, batch: Batch) -> Tensor:
        """The outputs of the network whose turn it is, under tanh: (b, n_bits)."""
        if batch.turn == "image":
            return batch.image_code
        if self.method.text_tanh == "once" or len(self.parts) == 1:
            return batch.text_code
        first = self.parts[0]
        return torch.cat([batch.text_real[:, :first], torch.tanh(batch.text_code[:, first:])], dim=1)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of every level for the network whose turn it is."""
        turn, rows, own = batch.turn, batch.rows, self.relaxed(batch)
        other = self.text_outputs if turn == "image" else self.image_outputs
        heads = self.image_classifiers if turn == "image" else self.text_classifiers
        refreshed = getattr(self, f"{turn}_outputs").clone()
        refreshed[rows] = own  # of all pairs, with gradients for the batch's
        values = (own, other, self.codes[rows], refreshed)
        levels = zip(self.weights, torch.split(self.labels, self.widths, dim=1), heads, strict=True)
        parts = zip(*(torch.split(value, self.parts, dim=1) for value in values), strict=True)
        terms: dict[str, Tensor] = {}
        for (weight, labels, head), (part, others, codes, whole) in zip(levels, parts, strict=True):
            shared = (labels[rows] @ labels.T > 0).float()
            quantization, balance = self.quantization_and_balance(part, codes, whole)
            for name, factor, term in (
                ("likelihood", 1.0, negative_log_likelihood(shared, part, others)),
                ("quantization", self.method.gamma, quantization),
                ("balance", self.method.eta, balance),
                ("classes", self.method.classify, cross_entropy(labels[rows], head(part))),
            ):
                terms[f"{name}_{turn}"] = weight * factor * term + terms.get(f"{name}_{turn}", 0.0)
        setattr(self, f"{turn}_outputs", refreshed.detach())
        return terms

    def quantization_and_balance(self, part: Tensor, codes: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        """Of the batch's outputs (b, bits), their codes (b, bits) and all outputs (n, bits)."""
        squares = (codes - part).square()
        if self.method.scale == "means":
            return squares.mean(), part.mean(dim=0).square().mean()
        entries = len(part) * len(whole)
        return squares.sum() / entries, whole.sum(dim=0).square().sum() / entries


def shares(labels: Tensor) -> Tensor:
    """Labels (n, c) as shares of a row; a row without labels stays zero."""
    return labels / labels.sum(dim=1, keepdim=True).clamp(min=1)


def cross_entropy(labels: Tensor, scores: Tensor) -> Tensor:
    """Minus the mean log probability of labels (b, c) as equal shares of a row; a row without labels counts nothing."""
    return -(shares(labels) * log_softmax(scores, dim=1)).sum(dim=1).mean()
