"""SHDCH: supervised hierarchical deep hashing, with codes of the classes of two label levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from crossbit.class_codes import LevelFit, updated
from crossbit.errors import SettingsError
from crossbit.hierarchical import HierarchicalMethod, as_tensor, dropping_net
from crossbit.hierarchy import Hierarchy
from crossbit.method import Paper
from crossbit.nets import HashNet
from crossbit.pairs import Labels, PairedFeatures
from crossbit.training import Batch, Objective


@dataclass(frozen=True, kw_only=True)
class SHDCH(HierarchicalMethod):
    """Every class of two label levels gets a code; pairs learn to match the codes of their classes, and so do levels.

    J = alpha (|r L1 - F^T Y1|^2 + |r L1 - G^T Y1|^2) + beta (the same of L2, Y2) + eta |r S - Y1^T Y2|^2
    + gamma (|B - F|^2 + |B - G|^2), with F and G the networks' outputs in (-1, 1), r their bits, Y1 and Y2 the codes of
    coarse and fine classes, S which fine class lies under which coarse one, and B = sgn(F + G). In turns: the image
    network, the text network, B, then Y1 and Y2 bit by bit, without relaxing them. Where pairs have one level of
    labels, Y2 stands alone with both weights.

    Source: Zhan, Luo, Wang, Xu, ACM MM 2020, as its released code has it; the paper's text was not open to us. Four
    defects of that code are mended, the released behaviour being a setting: `repeat_sweeps`, `fresh_cross`,
    `zero_keeps`, and the metric's fixed columns, see `crossbit.hierarchical.metric_labels`.

    Departures: frozen features under networks with one hidden layer and dropout, where CNN-F is fine-tuned; AdamW at
    1e-3 for Adam at 1e-4; every pair once an epoch, where batches are drawn anew; eta is scaled
    with the number of train pairs (`eta_pairs`), since the terms beside it are sums over pairs and it is not; B starts
    as what the first class codes say of a pair, not as noise.
    """

    name: ClassVar[str] = "shdch"
    paper: ClassVar[Paper] = Paper(
        authors="Zhan, Luo, Wang, Xu",
        title="Supervised Hierarchical Deep Hashing for Cross-Modal Retrieval",
        venue="ACM MM",
        year=2020,
        link="https://doi.org/10.1145/3394171.3413962",
    )

    alpha_coarse: float = 0.3  # weight of the coarse level, alpha
    beta_fine: float = 0.7  # weight of the fine level, beta
    gamma: float = 10.0  # weight of the quantization
    eta: float = 100.0  # weight of the relation across levels, for so many pairs as the next setting says
    eta_pairs: int = 16862  # train pairs of the released setting; eta is scaled by n over this. 0: eta as it is
    sweeps: int = 3  # the most sweeps over the bits of a level's class codes in an epoch
    repeat_sweeps: bool = True  # False: one sweep, as released (it compares an array with itself and stops)
    fresh_cross: bool = True  # fine class codes see the coarse ones just updated; False: those before, as released
    zero_keeps: bool = True  # a bit with a sum of 0 stays; False: it becomes 0, as released
    hidden: int = 512  # units of each network
    input_dropout: float = 0.1  # share of the features dropped at random in training
    dropout: float = 0.3  # share of the hidden units dropped
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3  # of AdamW
    weight_decay: float = 1e-4  # of AdamW

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha_coarse", "beta_fine", "gamma", "eta", "eta_pairs"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must be 0 or more; got {getattr(self, name)!r}.")
        if self.sweeps < 1:
            raise SettingsError(f"sweeps must be 1 or more; got {self.sweeps!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """Two networks of one hidden layer."""
        shape = (self.n_bits, self.hidden, self.input_dropout, self.dropout)
        return dropping_net(pairs.image, *shape), dropping_net(pairs.text, *shape)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """AdamW over both networks; in a turn only one of them has gradients."""
        parameters = [*image.parameters(), *text.parameters()]
        return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def turns(self) -> tuple[str, ...]:
        """Image first, then text, as in the released code."""
        return ("image", "text")

    def level_objective(self, levels: tuple[Labels, ...]) -> Objective:
        """The class codes and what the networks are to match."""
        return SHDCHObjective(self, levels)


class SHDCHObjective(Objective):
    """First the class codes, bit by bit, then the loss of one network on them. One level: no coarse class at all."""

    image_outputs: Tensor  # F: (n, n_bits)
    text_outputs: Tensor  # G: (n, n_bits)
    codes: Tensor  # B: (n, n_bits) in {-1, 1}
    coarse: Tensor  # L1: (n, c1)
    fine: Tensor  # L2: (n, c2)
    under: Tensor  # S: (c1, c2)
    coarse_codes: Tensor  # Y1: (n_bits, c1) in {-1, 1}
    fine_codes: Tensor  # Y2: (n_bits, c2) in {-1, 1}

    def __init__(self, method: SHDCH, levels: tuple[Labels, ...]) -> None:
        super().__init__()
        self.method = method
        fine = levels[-1]
        coarse, under = np.zeros((len(fine), 0), np.bool_), np.zeros((0, fine.shape[1]), np.bool_)
        if len(levels) == 2:
            # Data has fine classes under several coarse ones; each pair still counts with its own.
            coarse, under = levels[0], Hierarchy.of_labels(*levels, several="keep").under
        self.weights = (method.alpha_coarse, method.beta_fine)
        if len(levels) == 1:
            self.weights = (0.0, method.alpha_coarse + method.beta_fine)
        self.eta = method.eta * (len(fine) / method.eta_pairs if method.eta_pairs else 1.0)
        for name, value in (("coarse", coarse), ("fine", fine), ("under", under)):
            self.register_buffer(name, as_tensor(value))
        self.register_buffer("coarse_codes", signs(torch.randn(method.n_bits, coarse.shape[1])))
        self.register_buffer("fine_codes", signs(torch.randn(method.n_bits, fine.shape[1])))
        self.register_buffer("codes", signs(self.expected()))
        for name in ("image_outputs", "text_outputs"):
            self.register_buffer(name, torch.zeros(len(fine), method.n_bits))

    def expected(self) -> Tensor:
        """What the class codes say of every pair: (n, n_bits)."""
        return self.weights[0] * self.coarse @ self.coarse_codes.T + self.weights[1] * self.fine @ self.fine_codes.T

    def start_epoch(self, epoch: int) -> None:
        """B = sgn(F + G), then Y1 and Y2 bit by bit; before the first epoch there are no outputs yet."""
        if epoch == 0:
            return
        m, (alpha, beta) = self.method, self.weights
        image, text = self.image_outputs, self.text_outputs
        both = image + text
        self.codes = signs(both) if m.zero_keeps else both.sign()
        gram, before = image.T @ image + text.T @ text, self.coarse_codes
        sweeps = m.sweeps if m.repeat_sweeps else 1
        first = LevelFit(m.n_bits, alpha, self.eta, gram, both.T @ self.coarse, self.under)
        self.coarse_codes = updated(self.coarse_codes, self.fine_codes, first, sweeps, m.zero_keeps)
        second = LevelFit(m.n_bits, beta, self.eta, gram, both.T @ self.fine, self.under.T)
        other = self.coarse_codes if m.fresh_cross else before
        self.fine_codes = updated(self.fine_codes, other, second, sweeps, m.zero_keeps)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """J of the network whose turn it is, divided by the entries of a batch's codes times the bits."""
        m, (alpha, beta), rows = self.method, self.weights, batch.rows
        own, outputs = (
            (batch.image_code, self.image_outputs) if batch.turn == "image" else (batch.text_code, self.text_outputs)
        )
        entries = len(own) * m.n_bits**2
        coarse = (m.n_bits * self.coarse[rows] - own @ self.coarse_codes).square().sum() / entries
        fine = (m.n_bits * self.fine[rows] - own @ self.fine_codes).square().sum() / entries
        quantization = (self.codes[rows] - own).square().sum() / entries
        # A copy, not a write in place, as buffers are replaced everywhere.
        refreshed = outputs.clone()
        refreshed[rows] = own.detach()
        setattr(self, f"{batch.turn}_outputs", refreshed)
        return {
            f"coarse_{batch.turn}": alpha * coarse,
            f"fine_{batch.turn}": beta * fine,
            f"quantization_{batch.turn}": m.gamma * quantization,
        }


def signs(values: Tensor) -> Tensor:
    """-1 and 1; 0 counts as 1."""
    return torch.where(values >= 0, 1.0, -1.0)
