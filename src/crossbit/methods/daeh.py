"""DAEH: deep adaptively-enhanced hashing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from crossbit.affinity_losses import diagonal_pull, off_diagonal_loss
from crossbit.confident_similarity import Thresholds, distribution_thresholds
from crossbit.method import Paper
from crossbit.nets import HashNet, Standardise
from crossbit.pairs import Features, PairedFeatures
from crossbit.renyi import mutual_information
from crossbit.similarity import cosine
from crossbit.taught import check_choices
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class DAEH(DeepMethod):
    """Two students and an image teacher keep a similarity sharpened where both modalities are sure; the weaker
    student gets more.

    Pairs that both modalities call alike have similarity 1, pairs that either calls unlike -1; between the two it is
    the fused cosine. Each two of the networks (image student, text student, image teacher) reconstruct it between
    them, pull the two codes of a pair together and are to have the same cosines within each. Codes are also to tell
    attributes of the picture. In every batch the student whose codes know less of the similarity (matrix-based Renyi
    information) gets its loss against the other one once more.

    Source: Shi, Zhao, Liu, Zheng, Ou, You, Peng, IEEE TCSVT 2022, from the released code and its settings; the paper's
    text was not open to us, so no equation can be given by its number. The thresholds are SSDH's (IJCAI 2018).
    Departures: texts are decided as images are, by the distribution of their cosine distances, since the code's
    Euclidean distances of 1 and 5 mean something for raw bags of words alone (`text_decided = "published"`); the
    teacher is one linear layer on the frozen image features, where the code fine-tunes a ViT, so it knows no more of
    pictures than the image student does; the image features stand in for the ImageNet logits of a frozen network as
    the attributes; features are brought to one scale; the extra loss moves the weaker student alone. The released
    code leaves dropout on in the text student while it makes the codes that are scored, and keeps the epoch that is
    best on the test queries: neither can be had here, where a code is a function of one item and no query is seen.
    """

    name: ClassVar[str] = "daeh"
    paper: ClassVar[Paper] = Paper(
        authors="Shi, Zhao, Liu, Zheng, Ou, You, Peng",
        title="Deep Adaptively-Enhanced Hashing With Discriminative Similarity Guidance for Unsupervised Cross-Modal "
        "Retrieval",
        venue="IEEE TCSVT",
        year=2022,
        link="https://doi.org/10.1109/TCSVT.2022.3172716",
    )

    weight_text: float = 0.3  # a1: weight of the text cosines where pairs are undecided; the image has the rest
    alike: float = 2.0  # alpha: surely alike are distances so many deviations below the mode
    unlike: float = 2.0  # beta: surely unlike are distances so many deviations above the mode
    text_decided: Literal["distribution", "published"] = "distribution"  # "published": by the next two settings
    text_alike: float = 1.0  # "published": texts at most so far apart (Euclidean) are surely alike
    text_unlike: float = 5.0  # "published": texts so far apart or farther are surely unlike
    mu: float = 1.5  # target of a pair's own two codes; above 1 it acts as a margin
    students: float = 4.0  # weight of the loss between the two students
    teach: float = 1.0  # weight of the loss between each student and the teacher
    attributes: float = 1e-3  # weight of the attributes
    enhance: float = 0.1  # weight of the weaker student's extra loss
    hidden: int = 4096  # units of each student
    dropout: float = 0.5  # of the hidden units
    epochs: int = 30
    batch_size: int = 18
    learning_rate: float = 1e-3  # of SGD on everything
    momentum: float = 0.9  # of SGD
    weight_decay: float = 5e-4  # of SGD

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices(self)

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """The students: one hidden layer each."""
        return self.student(pairs.image), self.student(pairs.text)

    def student(self, features: Features) -> HashNet:
        """Linear, ReLU, dropout, linear, on features brought to one scale."""
        first, last = nn.Linear(features.shape[1], self.hidden), nn.Linear(self.hidden, self.n_bits)
        return HashNet(Standardise(features, whiten=False), first, nn.ReLU(), nn.Dropout(self.dropout), last)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """SGD with momentum, one rate for the students, the teacher and the attributes' layers."""
        parameters = [*image.parameters(), *text.parameters(), *objective.parameters()]
        rates = {"lr": self.learning_rate, "momentum": self.momentum, "weight_decay": self.weight_decay}
        return torch.optim.SGD(parameters, **rates, fused=True)  # type: ignore[arg-type]  # three rates, all floats

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The thresholds of the training pairs, a fresh teacher and fresh layers for attributes."""
        return DAEHObjective(self, pairs)


class DAEHObjective(Objective):
    """First the similarity, then the loss between each two networks, the attributes, and the weaker student's."""

    def __init__(self, method: DAEH, pairs: PairedFeatures) -> None:
        super().__init__()
        self.method, d, c = method, pairs.image.shape[1], method.n_bits
        self.scaled = Standardise(pairs.image, whiten=False)
        self.teacher = nn.Linear(d, c)
        self.tell, self.recall = nn.Linear(c, d), nn.Linear(d, c)  # attributes out of codes, and codes out of these
        limits = (method.alike, method.unlike)
        self.image_limits = distribution_thresholds(torch.tensor(pairs.image), *limits)
        self.text_limits = Thresholds(method.text_alike, method.text_unlike)
        if method.text_decided == "distribution":
            self.text_limits = distribution_thresholds(torch.tensor(pairs.text), *limits)

    @torch.no_grad()
    def similarity(self, image: Tensor, text: Tensor) -> Tensor:
        """(b, d_image), (b, d_text) -> (b, b): 1 where both are surely alike, -1 where either is surely unlike."""
        m, cosines = self.method, (cosine(image, image), cosine(text, text))
        apart = 1 - cosines[1] if m.text_decided == "distribution" else exact_distances(text)
        said = self.image_limits.decided(1 - cosines[0]), self.text_limits.decided(apart)
        fused = 2 * (m.weight_text * cosines[1] + (1 - m.weight_text) * cosines[0]) - 1
        alike, unlike = torch.minimum(*said) > 0, torch.minimum(*said) < 0
        return torch.where(alike, 1.0, torch.where(unlike, -1.0, fused))

    def between(self, first: Tensor, second: Tensor, target: Tensor) -> Tensor:
        """The loss between two networks' codes of a batch."""
        crossed = cosine(first, second)
        differences = mse_loss(cosine(first, first), cosine(second, second))
        return diagonal_pull(crossed, self.method.mu) + off_diagonal_loss(crossed, target) + differences

    def told(self, code: Tensor, attributes: Tensor) -> Tensor:
        """How far the attributes told by codes are from the true ones, and the codes told by those from the codes."""
        found = self.tell(code)
        return mse_loss(found, attributes) + mse_loss(torch.tanh(self.recall(found)), code)

    @torch.no_grad()
    def knows(self, code: Tensor, target: Tensor) -> Tensor:
        """What a student's codes and the similarity tell of each other, in bits."""
        wanted = ((target + 1) / 2).fill_diagonal_(1.0)
        return mutual_information(wanted, (1 + cosine(code, code)) / 2)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Between the students, between each and the teacher, attributes, and the weaker student's extra loss."""
        m, image, text = self.method, batch.image_code, batch.text_code
        target, scaled = self.similarity(batch.image, batch.text), self.scaled(batch.image)
        teacher = torch.tanh(self.teacher(scaled))
        weak = self.knows(image, target) < self.knows(text, target)
        weaker = (image, text.detach()) if weak else (image.detach(), text)
        return {
            "students": m.students * self.between(image, text, target),
            "teach": m.teach * (self.between(image, teacher, target) + self.between(text, teacher, target)),
            "attributes": m.attributes * sum(self.told(code, scaled) for code in (image, text, teacher)),  # type: ignore[dict-item]  # a tensor
            "enhance": m.enhance * self.between(*weaker, target),
        }


def exact_distances(rows: Tensor) -> Tensor:
    """Euclidean distances between rows (b, d): bags of words lie just on the thresholds, so nothing is rounded."""
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
