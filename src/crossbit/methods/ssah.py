"""SSAH: a network of the labels teaches those of images and texts, whose features learn to pass for its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from crossbit.adversary import as_class
from crossbit.errors import SettingsError
from crossbit.label_network import FeatureDiscriminator, LabelNetwork
from crossbit.label_rows import LabelRows
from crossbit.label_similarity import labels_of
from crossbit.method import Paper
from crossbit.nets import Standardise
from crossbit.pairs import PairedFeatures
from crossbit.tapped_net import TappedNet, taps_of
from crossbit.taught import check_choices
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class SSAH(DeepMethod):
    """Self-supervised adversarial hashing: features and codes of both modalities follow those of a network of labels.

    Three networks give features f, codes h = tanh and labels l; S_ij = 1 where two pairs share a label. (1) The label
    network minimises, over all pairs, alpha sum (softplus(Theta) - S Theta) with Theta_ij = f_i^T f_j / 2, gamma times
    the same of its codes, beta |sgn(h) - h|^2 and eta |l - L|^2. (2) The image and the text network minimise the same
    four, their Theta between own features or codes and those of the label network for all pairs, with one B = sgn of
    the three codes' sum; and (3) delta times the cross-entropy of a discriminator that takes their features for the
    label network's. (4) Two discriminators, one a modality, learn to tell them apart. All sums are divided by the
    number of entries of the likelihood, so that the weights are the paper's.

    Source: Li, Deng, Li, Liu, Gao, Tao, CVPR 2018, from an account of the released code. What that code does otherwise
    is a setting: `pairwise = "released"` squares S Theta - softplus(Theta); with `fooling = "released"` no gradient of
    (3) reaches a network, it moves the discriminator instead; with `binary = "released"` B is each network's own sign.
    Departures: the label network learns first and then stands, where the paper takes turns, and sees each different
    row of labels once, counted; features are ready, so the image network has one hidden layer, and the text network
    has no copies pooled over neighbouring words, since a ready feature has no neighbours; no local response
    normalisation, which a hasher does not hold; inputs are standardised; 15 epochs at rates of our own.
    """

    name: ClassVar[str] = "ssah"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Chao Li, Cheng Deng, Ning Li, Wei Liu, Xinbo Gao, Dacheng Tao",
        title="Self-Supervised Adversarial Hashing Networks for Cross-Modal Retrieval",
        venue="CVPR",
        year=2018,
        link="https://doi.org/10.1109/CVPR.2018.00446",
    )

    pairwise: Literal["likelihood", "released"] = "likelihood"  # "released": half the square of its logarithm's terms
    fooling: Literal["paper", "released"] = "paper"  # "released": no gradient of it reaches the networks
    binary: Literal["shared", "released"] = "shared"  # "released": each network's own signs
    feature_weight: float = 1.0  # alpha, weight of the features' likelihood
    code_weight: float = 1.0  # gamma, weight of the codes' likelihood
    quantization: float = 1.0  # beta, weight of the distance to the binary codes
    label_weight: float = 1.0  # eta, weight of the labels' prediction
    adversary: float = 1.0  # delta, weight of fooling the discriminators
    hidden: int = 4096  # units of the label and the text network
    features: int = 512  # width of the features
    label_steps: int = 400  # steps of the label network, over all pairs at once
    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 1e-3  # of Adam, of image and text network; falls tenfold over the run
    learning_rate_label: float = 1e-3  # of the label network
    learning_rate_discriminator: float = 1e-3  # of the discriminators

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices(self)
        for name in ("features", "label_steps"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[TappedNet, TappedNet]:
        """Image: features at once. Text: one hidden layer, then features."""
        heads = {"features": self.features, "n_bits": self.n_bits, "classes": labels_of(pairs, self.name).shape[1]}
        image = (Standardise(pairs.image), nn.Linear(pairs.image.shape[1], self.features), nn.ReLU())
        text = (Standardise(pairs.text), nn.Linear(pairs.text.shape[1], self.hidden), nn.ReLU())
        further = (nn.Linear(self.hidden, self.features), nn.ReLU())
        return TappedNet(*image, **heads), TappedNet(*text, *further, **heads)

    def rate_factor(self, progress: float) -> float:
        """From 1 to 0.1."""
        return float(0.1**progress)

    def optimiser(self, image: nn.Module, text: nn.Module, objective: Objective) -> torch.optim.Optimizer:
        """Adam over the networks and the discriminators; the label network has one of its own."""
        assert isinstance(objective, SSAHObjective)
        networks = {"params": [*image.parameters(), *text.parameters()], "lr": self.learning_rate}
        against = {"params": list(objective.discriminators.parameters()), "lr": self.learning_rate_discriminator}
        return torch.optim.Adam([networks, against], fused=True)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """Four terms a modality, and the game against its discriminator."""
        return SSAHObjective(self, pairs)


class SSAHObjective(Objective):
    """First the label network, which learns before the first epoch; then the loss on its features and codes."""

    labels: Tensor  # (n, c)
    place: Tensor  # (n,) the label network's row of each pair

    def __init__(self, method: SSAH, pairs: PairedFeatures) -> None:
        super().__init__()
        self.method = method
        labels = labels_of(pairs, method.name)
        kinds = LabelRows.of(labels, each_item=False)
        self.register_buffer("labels", torch.tensor(labels).float(), persistent=False)
        self.register_buffer("place", torch.tensor(kinds.place), persistent=False)
        of_rows = torch.tensor(kinds.rows).float(), torch.tensor(kinds.counts).float()
        self.teacher = LabelNetwork(*of_rows, method.n_bits, method.hidden, method.features)
        self.discriminators = nn.ModuleDict({side: FeatureDiscriminator(method.features) for side in ("image", "text")})

    def start_epoch(self, epoch: int) -> None:
        """Before the first one the label network learns (1)."""
        m = self.method
        if epoch == 0:
            weights = {
                "features": m.feature_weight,
                "codes": m.code_weight,
                "quantization": m.quantization,
                "labels": m.label_weight,
            }
            self.teacher.learn(self.pairwise, weights, m.label_steps, m.learning_rate_label)

    def pairwise(self, theta: Tensor, shared: Tensor) -> Tensor:
        """A pair's term of Theta and S, entry by entry."""
        found = softplus(theta) - shared * theta
        return found if self.method.pairwise == "likelihood" else found.square() / 2

    def likelihood(self, own: Tensor, known: Tensor, labels: Tensor) -> Tensor:
        """The mean of the pair's terms of a batch (b, f) and all pairs, whose values the label network's (k, f) are."""
        counts = self.teacher.counts
        found = self.pairwise(own @ known.T / 2, self.teacher.shared(labels)) * counts
        return found.sum() / (len(own) * counts.sum())

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Equations 2 to 4, the terms by name."""
        m, teacher, labels = self.method, self.teacher, self.labels[batch.rows]
        entries, place = len(batch.rows) * len(self.labels), self.place[batch.rows]
        sides = {
            side: taps_of(real, m.n_bits, labels.shape[1])
            for side, real in (("image", batch.image_real), ("text", batch.text_real))
        }
        codes = {side: torch.tanh(taps.outputs) for side, taps in sides.items()}
        together = codes["image"] + codes["text"] + teacher.codes[place]
        terms = {}  # type: ignore[var-annotated]  # tensors by name, as the return type says
        for side, taps in sides.items():
            signs = torch.where((together if m.binary == "shared" else codes[side]).detach() >= 0, 1.0, -1.0)
            terms |= {
                f"features_{side}": m.feature_weight * self.likelihood(taps.features, teacher.features, labels),
                f"codes_{side}": m.code_weight * self.likelihood(codes[side], teacher.codes, labels),
                f"quantization_{side}": m.quantization * (signs - codes[side]).square().sum() / entries,
                f"labels_{side}": m.label_weight * (torch.sigmoid(taps.scores) - labels).square().sum() / entries,
            }
            terms |= self.game(side, taps.features, teacher.features[place])
        return terms

    def game(self, side: str, own: Tensor, known: Tensor) -> dict[str, Tensor]:
        """What the network minimises to fool its discriminator, and what this one minimises, features as constants."""
        against, m = self.discriminators[side], self.method
        told_apart = as_class(against(known), 1.0) + as_class(against(own.detach()), 0.0)
        fooled = against.taken_for_text(own) if m.fooling == "paper" else as_class(against(own.detach()), 1.0)  # type: ignore[operator]  # a ModuleDict does not tell what it holds
        return {f"fooling_{side}": m.adversary * fooled / len(self.labels), f"discriminator_{side}": told_apart}
