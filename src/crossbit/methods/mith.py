"""MITH: multi-granularity interactive transformer hashing, on ready features."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, normalize, softplus

from crossbit.clip_heads import HeadMethod, label_rows
from crossbit.concept_net import ConceptNet, Parts, WholeConcepts, parts_of
from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.nets import HashNet
from crossbit.pairs import Features, PairedFeatures
from crossbit.training import Batch, Objective


@dataclass(frozen=True, kw_only=True)
class MITH(HeadMethod):
    """Each item is coded as a whole and concept by concept; the two teach each other, and their sum is the code.

    g and t are the relaxed codes of the whole and of the concepts, x and z what lies before them, a vector an item and
    a vector a bit. With l(S, a, b) the mean of softplus(Theta) - S Theta, Theta = a b^T / 2, S_ij = 1 where labels are
    shared, a batch minimises `intra` times l of t against the t of all pairs in its own modality, `inter` times l of g
    against the g of all pairs in the other one, both ways; `quantization` times the mean square of (g + t) / 2 - B,
    B = sgn(w (g_I + g_T) + (1 - w) (t_I + t_T)) with w the `whole_share`; `contrast` times the InfoNCE of the x of
    images and texts in the batch, plus `contrast` times `concepts` times that of the z of one pair's bits; and
    `distillation` times |t - sg(g)|^2 + `back` |g - sg(t)|^2 an item, sg stopping the gradient. Codes are the signs of
    g + t.

    Source: Liu, Wu, Zhang, Zhang, Lu, ACM MM 2023; formulas and weights as the authors' code has them.
    Departures: the paper fine-tunes CLIP ViT-B/32; here ready features go through one layer of CLIP's width, whose
    output is the item. An item then has no tokens: in place of those that attend most to a bit, each bit has a learned
    sight of the vector; in place of two transformer layers over the bits, one layer mixes them with weights that are
    learned and do not depend on the item, and one works on each. So what is left behind is plain layers. The shared
    residual layers have ReLU in place of GELU, 512 units in place of 2,048 and no normalisation in front, the trunk
    having one; the trunk's features and outputs are partly dropped. Theta is not cut at 32: softplus needs no cut.
    AdamW in place of BertAdam, at the head's rate; a lower one for CLIP is not needed. The authors keep the best epoch
    on the test queries, here training stops by its loss. Units and sights were set for the time that they take.
    """

    name: ClassVar[str] = "mith"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Liu, Wu, Zhang, Zhang, Lu",
        title="Multi-Granularity Interactive Transformer Hashing for Cross-modal Retrieval",
        venue="ACM MM",
        year=2023,
        link="https://doi.org/10.1145/3581783.3612411",
    )

    intra: float = 1.0  # weight of the concepts' codes, within a modality
    inter: float = 10.0  # weight of the whole's codes, across
    quantization: float = 8.0  # weight of the distance to the signs
    contrast: float = 50.0  # weight of finding the own text of an image in the batch, and the reverse
    concepts: float = 0.01  # the same for the bits of a pair, as a part of that
    temperature: float = 0.07  # of both
    distillation: float = 1.0  # weight of what the whole teaches the concepts
    back: float = 0.1  # what the concepts teach the whole, as a part of that
    whole_share: float = 0.99  # of the whole in the signs that both modalities go to
    concept_units: int = 512  # of each of the two residual layers that the modalities share
    sight: int = 8  # width of the vector that an item has for each bit
    epochs: int = 30
    weight_decay: float = 0.01  # decoupled
    warm_up_share: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("concept_units", "sight"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")
        if not self.temperature > 0:
            raise SettingsError(f"temperature must be above 0; got {self.temperature!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[ConceptNet, ConceptNet]:
        """A trunk and sights a modality; what finds concepts in the whole is one for both."""
        whole = WholeConcepts(self.hidden, self.concept_units, self.n_bits)
        return self.concept_net(pairs.image, whole), self.concept_net(pairs.text, whole)

    def concept_net(self, features: Features, whole: WholeConcepts) -> ConceptNet:
        """The network of one modality."""
        trunk = (*self.trunk(features), nn.Dropout(self.dropout))
        return ConceptNet(trunk, whole, self.hidden, self.n_bits, self.sight)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """As its relatives, with both networks as one module, in which the shared layers count once."""
        return super().optimiser(HashNet(image, text), HashNet(), objective)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The loss on outputs of all pairs, each as it was seen last."""
        return MITHObjective(self, label_rows(pairs, self.name))


class MITHObjective(Objective):
    """First the similarity (a shared label), then the loss; the outputs of all pairs are remembered."""

    labels: Tensor  # (n, c)
    image_whole: Tensor  # (n, n_bits), as are the other three: codes in (-1, 1), random until a pair was seen
    text_whole: Tensor
    image_local: Tensor
    text_local: Tensor

    def __init__(self, method: MITH, labels: Tensor) -> None:
        super().__init__()
        self.method = method
        self.register_buffer("labels", labels, persistent=False)
        for name in ("image_whole", "text_whole", "image_local", "text_local"):
            self.register_buffer(name, torch.randn(len(labels), method.n_bits))
        self.image_sights = nn.Linear(method.sight, method.sight)  # into the space in which bits are compared
        self.text_sights = nn.Linear(method.sight, method.sight)

    def similarity(self, rows: Tensor) -> Tensor:
        """(b,) -> (b, n): 1 where two pairs share a label, else 0."""
        return (self.labels[rows] @ self.labels.T > 0).to(self.labels.dtype)

    def remember(self, rows: Tensor, image: Parts, text: Parts) -> None:
        """The newest codes of these pairs."""
        for side, parts in (("image", image), ("text", text)):
            for kind, codes in (("whole", parts.whole), ("local", parts.local)):
                # A copy, not a write in place: the gradient of this step needs what it has seen.
                bank = getattr(self, f"{side}_{kind}").clone()
                bank[rows] = codes.detach().to(bank.dtype)
                setattr(self, f"{side}_{kind}", bank)

    def contrast(self, image: Tensor, text: Tensor) -> Tensor:
        """InfoNCE, both ways: rows (..., k, d) of images and texts, of which those at the same place belong together.

        The mean over all rows of -log softmax(cos / temperature) at the own place.
        """
        scores = normalize(image, dim=-1) @ normalize(text, dim=-1).mT / self.method.temperature
        own = torch.arange(scores.shape[-1], device=scores.device).expand(scores.shape[:-1]).flatten()
        return (cross_entropy(scores.flatten(0, -2), own) + cross_entropy(scores.mT.flatten(0, -2), own)) / 2

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms by name; the batch's own codes are among the remembered ones."""
        m, alike = self.method, self.similarity(batch.rows)
        image, text = (parts_of(real, m.n_bits, m.hidden) for real in (batch.image_real, batch.text_real))
        self.remember(batch.rows, image, text)
        within = ((image.local, self.image_local), (text.local, self.text_local))
        across = ((image.whole, self.text_whole), (text.whole, self.image_whole))
        sights = self.contrast(self.image_sights(image.sights), self.text_sights(text.sights))
        return {
            "intra": m.intra * _sum(likelihood(alike, *couple) for couple in within),
            "inter": m.inter * _sum(likelihood(alike, *couple) for couple in across),
            "quantization": m.quantization * self.to_signs(image, text),
            "contrast": m.contrast * self.contrast(image.features, text.features),
            "concepts": m.contrast * m.concepts * sights,
            "distillation": m.distillation * _sum(self.taught(parts) for parts in (image, text)),
        }

    def to_signs(self, image: Parts, text: Parts) -> Tensor:
        """The mean square of (g + t) / 2 - B, of both modalities together."""
        share = self.method.whole_share
        mixed = share * (image.whole + text.whole) + (1 - share) * (image.local + text.local)
        signs = torch.where(mixed.detach() >= 0, 1.0, -1.0).to(mixed.dtype)
        return _sum(mse_loss((parts.whole + parts.local) / 2, signs) for parts in (image, text))

    def taught(self, parts: Parts) -> Tensor:
        """|t - sg(g)|^2 + back |g - sg(t)|^2, the mean over items."""
        forth = (parts.local - parts.whole.detach()).square().sum(dim=1).mean()
        return forth + self.method.back * (parts.whole - parts.local.detach()).square().sum(dim=1).mean()


def likelihood(alike: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """l(S, own, others): the negative log-likelihood of S (b, n), the mean over entries; codes (b, r) and (n, r).

    The sum of S Theta is taken as one product of matrices, which spares most of the time: tables of b x n are slow.
    """
    agreed = (own * (alike @ others)).sum() / 2
    return (softplus(own @ (others.T / 2)).sum() - agreed) / alike.numel()


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
