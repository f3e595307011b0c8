"""CKDH's teacher: a frozen common space of images and texts, texts enhanced by graph attention, two learned heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, leaky_relu, normalize

from crossbit.clip_heads import HeadMethod, label_rows, share_a_label
from crossbit.correlation import weighted_cca
from crossbit.errors import MismatchError
from crossbit.method import Paper
from crossbit.neighbours import nearest_rows
from crossbit.nets import HashNet, Standardise
from crossbit.objectives import negative_log_likelihood
from crossbit.pairs import Features, PairedFeatures
from crossbit.progress import Progress
from crossbit.similarity import cosine
from crossbit.training import Batch, Objective, seeded, train

PAPER = Paper(
    authors="Li, Wong, Jiang, Fang, Xie, Xu",
    title="CKDH: CLIP-Based Knowledge Distillation Hashing for Cross-Modal Retrieval",
    venue="IEEE TCSVT",
    year=2024,
    reconstruction=True,
)
"""CKDH's, whose teacher this is."""


def canonical_space(pairs: PairedFeatures, n_directions: int) -> PairedFeatures:
    """The pairs in the weighted canonical space of their own features, as wide as n_directions or less; no labels."""
    image, text = weighted_cca(pairs.without_labels(), n_directions=n_directions)
    return PairedFeatures(image(pairs.image), text(pairs.text))


def check_aligned(space: PairedFeatures, n: int) -> None:
    """Raise MismatchError unless the space holds n pairs whose images and texts are of one width."""
    if len(space) != n:
        raise MismatchError(f"The teacher's features are expected for the same {n} pairs; got {len(space)} rows.")
    if space.image.shape[1] != space.text.shape[1]:
        raise MismatchError(
            "A common space has images and texts of one width; the teacher's features have "
            f"{space.image.shape[1]} and {space.text.shape[1]}. Use CLIP's for both, or a canonical space."
        )


@dataclass(frozen=True, kw_only=True)
class AlignedTeacher(HeadMethod):
    """Two linear heads with tanh on a common space, learned with labels; the fields are CKDH's of the same names.

    The pairs that it is fitted on hold the common space's rows and the labels.
    """

    name: ClassVar[str] = "ckdh's teacher"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = PAPER

    neighbours: int
    attention_units: int
    attention_heads: int
    intra: float
    inter: float
    quantization: float

    def network(self, features: Features) -> HashNet:
        """One affine layer, for the space says already what is alike."""
        return HashNet(Standardise(features, whiten=False), nn.Linear(features.shape[1], self.n_bits))

    def objective(self, pairs: PairedFeatures) -> TeacherObjective:
        """The loss, and the graph attention in front of the text network."""
        return TeacherObjective(self, pairs, label_rows(pairs, self.name))

    def outputs(self, pairs: PairedFeatures, progress: Progress) -> tuple[Tensor, Tensor]:
        """Learn, and give the relaxed codes of all pairs, images and texts: both (n, n_bits) in (-1, 1)."""
        with seeded(self.seed, self.device):
            image, text = self.networks(pairs)
            objective = self.objective(pairs)
            train(self, pairs, image, text, objective, progress, None)
        with torch.no_grad():
            images, texts = (torch.tensor(rows, device=self.device) for rows in (pairs.image, pairs.text))
            parts = [
                objective.inputs(rows, images, texts)
                for rows in torch.arange(len(pairs)).split(1024)  # type: ignore[no-untyped-call]  # torch's lack
            ]
            codes = [(torch.tanh(image(a)), torch.tanh(text(b))) for a, b in parts]
        return torch.cat([a for a, _ in codes]).cpu(), torch.cat([b for _, b in codes]).cpu()


class GraphAttention(nn.Module):
    """Rows and what they take from their neighbours: t_i + U [ELU(sum_j a_ij W t_j)], the heads side by side.

    a_ij = softmax over j of LeakyReLU(a . [W t_i ; W t_j]), j among the row itself and its neighbours.
    """

    def __init__(self, d: int, units: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.weight = nn.Linear(d, units, bias=False)
        self.own = nn.Parameter(torch.randn(heads, units // heads) * (heads / units) ** 0.5)
        self.other = nn.Parameter(torch.randn(heads, units // heads) * (heads / units) ** 0.5)
        self.back = nn.Linear(units, d)

    def forward(self, rows: Tensor, around: Tensor) -> Tensor:
        """(b, d), (b, k, d) -> (b, d); around holds the row itself too."""
        own = self.weight(rows).unflatten(1, (self.heads, -1))  # (b, heads, units / heads)
        others = self.weight(around).unflatten(2, (self.heads, -1))  # (b, k, heads, units / heads)
        scores = leaky_relu((own * self.own).sum(dim=2)[:, None] + (others * self.other).sum(dim=3), 0.2)
        shares = scores.softmax(dim=1)  # (b, k, heads)
        taken = elu((shares[..., None] * others).sum(dim=1)).flatten(1)
        return rows + self.back(taken)  # type: ignore[no-any-return]


class TeacherObjective(Objective):
    """The labels' likelihood across the modalities, their cosines within and across, and the distance to the signs."""

    labels: Tensor  # (n, c)
    around: Tensor  # (n, k + 1): each text and its nearest ones in the common space

    def __init__(self, method: AlignedTeacher, pairs: PairedFeatures, labels: Tensor) -> None:
        super().__init__()
        self.method = method
        near = nearest_rows(normalize(torch.tensor(pairs.text)), method.neighbours)
        around = torch.cat([torch.arange(len(near))[:, None], near], dim=1)
        self.register_buffer("labels", labels, persistent=False)
        self.register_buffer("around", around, persistent=False)
        self.attention = GraphAttention(pairs.text.shape[1], method.attention_units, method.attention_heads)

    def inputs(self, rows: Tensor, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Images as they are, texts with what they take from the texts around them."""
        return image[rows], self.attention(text[rows], text[self.around[rows]])

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The four terms."""
        m, image, text, labels = self.method, batch.image_code, batch.text_code, self.labels[batch.rows]
        target = (2 * cosine(labels, labels) - 1).fill_diagonal_(1.0)
        return similarity_terms(share_a_label(labels), target, image, text, m.intra, m.inter, m.quantization)


def similarity_terms(
    alike: Tensor, target: Tensor, image: Tensor, text: Tensor, intra: float, inter: float, quantization: float
) -> dict[str, Tensor]:
    """What teacher and student minimise.

    NLL of `alike` (b, b), from 0 to 1, by half the inner products of image and text codes; `intra` and `inter` times
    the squared differences of `target` (b, b), from -1 to 1, to the cosines within and across the modalities; and
    `quantization` times the squared distances of both codes to the signs of their sum.
    """
    signs = torch.where(image + text >= 0, 1.0, -1.0).to(image.dtype)
    within = (cosine(image, image) - target).square().mean() + (cosine(text, text) - target).square().mean()
    return {
        "likelihood": negative_log_likelihood(alike, image, text),
        "intra": intra * within,
        "inter": inter * (cosine(image, text) - target).square().mean(),
        "quantization": quantization * ((signs - image).square().mean() + (signs - text).square().mean()),
    }
