"""UCCH: unsupervised contrastive cross-modal hashing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from crossbit.errors import SettingsError
from crossbit.memory_bank import MemoryBank, as_keys
from crossbit.method import Paper
from crossbit.nets import HashNet, Standardise
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class UCCH(DeepMethod):
    """Codes that find their own pair's remembered binary key among thousands, and their partner before all others.

    A memory bank keeps a direction for every pair; its signs are keys. Both codes of a pair, brought to length 1, must
    be nearer to their own key than to drawn ones (contrastive hashing), and a pair's two codes nearer to each other
    than to the other codes of the batch; what is a margin away already is pushed less (cross-modal ranking). In the
    first epoch the bank is only filled, and the keys are those of the batch itself.

    Source: Hu, Zhu, Lin, Peng, Zhao, Peng, TPAMI 45(3), 2023: the contrastive loss, the bank's update, the ranking
    loss, which are written out in `UCCHObjective`. Settings of the paper; `contrast_share`, `shift` and `batch_size`
    of the authors' command for MIRFlickr.
    Departures: the paper's training set is the whole database, ours the training rows of the split (a choice of the
    experiment, not of the method); one draw of keys serves the whole batch; inputs are standardised, since ready
    features come in any scale; a sign of zero is +1.
    """

    name: ClassVar[str] = "ucch"
    paper: ClassVar[Paper] = Paper(
        authors="Hu, Zhu, Lin, Peng, Zhao, Peng",
        title="Unsupervised Contrastive Cross-Modal Hashing",
        venue="TPAMI",
        year=2023,
        link="https://doi.org/10.1109/TPAMI.2022.3177356",
    )

    contrast_share: float = 0.7  # beta: weight of the contrastive loss; the ranking loss has 1 - this
    temperature: float = 0.9  # tau of the contrastive loss
    n_keys: int = 4096  # K: keys drawn from the bank in a step
    bank_momentum: float = 0.4  # delta: share of the old direction in the bank's update
    margin: float = 0.2  # of the ranking loss
    shift: float = 0.1  # what is a margin away already counts as further off by this much
    hidden: int = 8192  # units of a hidden layer: two for images, one for texts
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-4  # of Adam
    weight_decay: float = 1e-6  # of Adam
    largest_gradient: float = 1.0  # gradients longer than this are cut to it

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_keys < 1:
            raise SettingsError(f"n_keys must be 1 or more; got {self.n_keys!r}.")
        for name in ("temperature", "largest_gradient"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be above 0; got {getattr(self, name)!r}.")
        if not 0 <= self.bank_momentum < 1:
            raise SettingsError(f"bank_momentum is a share from 0 to below 1; got {self.bank_momentum!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """Two hidden ReLU layers for images, one for texts, after standardising."""
        d_image, d_text, h = pairs.image.shape[1], pairs.text.shape[1], self.hidden
        first = (Standardise(pairs.image), nn.Linear(d_image, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU())
        image = HashNet(*first, nn.Linear(h, self.n_bits))
        return image, HashNet(Standardise(pairs.text), nn.Linear(d_text, h), nn.ReLU(), nn.Linear(h, self.n_bits))

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """Adam on gradients of bounded length."""
        parameters = [*image.parameters(), *text.parameters()]
        adam = torch.optim.Adam(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

        def cut(*_: Any) -> None:
            nn.utils.clip_grad_norm_(parameters, self.largest_gradient)

        adam.register_step_pre_hook(cut)
        return adam

    def objective(self, pairs: PairedFeatures) -> Objective:
        """Contrast with the bank's keys, and ranking in the batch."""
        return UCCHObjective(self, len(pairs))


class UCCHObjective(Objective):
    """The contrastive hashing loss and the cross-modal ranking loss on codes of length 1."""

    def __init__(self, method: UCCH, n: int) -> None:
        super().__init__()
        self.method = method
        self.bank = MemoryBank(n, method.n_bits)

    def contrast(self, codes: Tensor, own: Tensor, others: Tensor) -> Tensor:
        """-log softmax of <h, own key> / tau among the own and the other keys, mean over the batch."""
        logits = torch.cat([(codes * own).sum(dim=1, keepdim=True), codes @ others.T], dim=1)
        first = torch.zeros(len(codes), dtype=torch.long, device=codes.device)
        return cross_entropy(logits / self.method.temperature, first)

    def contrast_in_batch(self, codes: Tensor, keys: Tensor) -> Tensor:
        """The same among the keys of the batch alone: the first epoch's, when the bank knows nothing yet."""
        return cross_entropy(codes @ keys.T / self.method.temperature, torch.arange(len(codes), device=codes.device))

    def ranking(self, first: Tensor, second: Tensor) -> Tensor:
        """margin + log sum_j exp(S_ij) - S_ii with S = M where M_ii - M_ij <= margin, else M - shift; mean over i."""
        m = self.method
        product = first @ second.T
        own = product.diagonal()
        reached = own[:, None] - product > m.margin
        shifted = torch.where(reached, product - m.shift, product)
        return (m.margin + shifted.logsumexp(dim=1) - own).mean()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Both losses, in both directions."""
        m, image, text = self.method, normalize(batch.image_code), normalize(batch.text_code)
        between = ((image + text) / 2).detach()
        if batch.epoch == 0:
            keys = as_keys(between)
            contrast = self.contrast_in_batch(image, keys) + self.contrast_in_batch(text, keys)
        else:
            own, others = self.bank.keys(batch.rows), self.bank.drawn(m.n_keys)
            contrast = self.contrast(image, own, others) + self.contrast(text, own, others)
        self.bank.refresh(batch.rows, between, 0.0 if batch.epoch == 0 else m.bank_momentum)
        ranking = self.ranking(image, text) + self.ranking(text, image)
        return {"contrast": m.contrast_share * contrast, "ranking": (1 - m.contrast_share) * ranking}
