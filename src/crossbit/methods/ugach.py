"""UGACH: unsupervised generative adversarial cross-modal hashing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.neighbours import nearest_rows, squared_distances
from crossbit.nets import HashNet
from crossbit.pairs import PairedFeatures
from crossbit.tanh_net import TanhNet
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class UGACH(DeepMethod):
    """A discriminator ranks neighbours before what a generator picks to confuse it; its codes are the method's.

    An item's positives are its partner and the partners of its neighbours in either modality (the correlation graph).
    Both players are pairs of hash networks. The discriminator wants an item nearer to a positive of the other
    modality than to a negative, by a margin: [margin + |q - p|^2 - |q - n|^2]+ on sigmoid outputs. The generator
    draws the negatives from some candidates with probability softmax(-|q - n|^2), and is rewarded (policy gradient)
    with the sigmoid of the discriminator's loss. Before the game the discriminator learns on negatives drawn evenly, in
    every sweep; then the generator starts from its weights.

    Source: Zhang, Peng, Yuan, AAAI 2018: the graph, the discriminator's and the generator's loss; settings of the
    released code. `within` adds UKD's triplets within each modality (Hu, Xie, Hong, Tian, CVPR 2020: 0.1).
    `itself_twice = True` is the released code's list of positives, which holds the item itself twice because each
    space finds it as its own first neighbour.
    Departures: batches of 64 for 60 epochs, where the code pretrains for thousands of epochs in batches of 20 and then
    goes item by item; the last epoch counts, where the code keeps the one that scores best on the test queries;
    inputs are standardised, since ready features come in any scale.
    """

    name: ClassVar[str] = "ugach"
    paper: ClassVar[Paper] = Paper(
        authors="Zhang, Peng, Yuan",
        title="Unsupervised Generative Adversarial Cross-Modal Hashing",
        venue="AAAI",
        year=2018,
        link="https://arxiv.org/abs/1712.00358",
    )

    neighbours: int = 5  # of an item in each modality, whose pairs are positives
    itself_twice: bool = False  # as released: neighbours - 1 others in each modality, and the item itself twice
    margin_share: float = 0.125  # margin over n_bits
    within: float = 0.0  # weight of the triplets within images and within texts; UKD's teacher has 0.1
    n_negatives: int = 2  # drawn for an item in a step
    candidate_share: float = 0.02  # of all items, from which the generator draws
    pretraining: int = 30  # epochs before the game begins
    epochs: int = 60  # with those
    generator_sweeps: int = 2  # of an epoch, after one of the discriminator
    hidden: int = 8192  # tanh units of each network
    batch_size: int = 64
    learning_rate: float = 0.01  # of SGD: of both players before the game, of the generator in it
    learning_rate_discriminator: float = 0.001  # of the discriminator in the game
    weight_decay: float = 0.01  # of SGD

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("neighbours", "n_negatives", "generator_sweeps"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")
        if self.pretraining < 0:
            raise SettingsError(f"pretraining must be 0 or more epochs; got {self.pretraining!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """One hidden tanh layer each."""
        return TanhNet(pairs.image, self.n_bits, self.hidden), TanhNet(pairs.text, self.n_bits, self.hidden)

    def turns(self) -> tuple[str, ...]:
        """One sweep of the discriminator, then those of the generator."""
        return ("discriminator", *["generator"] * self.generator_sweeps)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """SGD; in the game the discriminator has a rate of its own."""
        assert isinstance(objective, UGACHObjective)
        objective.discriminator = (image, text)
        players = ([*image.parameters(), *text.parameters()], [*objective.parameters()])
        groups: list[dict[str, Any]] = [{"params": player} for player in players]
        sgd = torch.optim.SGD(groups, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

        def slow(*_: Any) -> None:
            if objective.playing:
                sgd.param_groups[0]["lr"] *= self.learning_rate_discriminator / self.learning_rate

        sgd.register_step_pre_hook(slow)
        return sgd

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The game, on the correlation graph of the pairs."""
        return UGACHObjective(self, pairs)


class UGACHObjective(Objective):
    """First the graph's positives, then the two players' losses. A batch's rows: b items, positives, negatives."""

    positives: Tensor  # (n, p)

    def __init__(self, method: UGACH, pairs: PairedFeatures) -> None:
        super().__init__()
        self.method, self.playing = method, False
        self.generator = nn.ModuleList(method.networks(pairs))
        self.discriminator: tuple[HashNet, HashNet] | None = None  # the method's networks, which are not ours to train
        self.register_buffer("positives", correlation_graph(method, pairs), persistent=False)
        self.offered: list[tuple[Tensor, Tensor]] = []  # for images, for texts: candidates, and which were drawn

    def start_epoch(self, epoch: int) -> None:
        """The game begins after the pretraining, from the discriminator's weights."""
        self.playing = epoch >= self.method.pretraining
        if epoch == self.method.pretraining and self.discriminator:
            for own, learned in zip(self.generator, self.discriminator, strict=True):
                own.load_state_dict(learned.state_dict())

    @torch.no_grad()
    def inputs(self, rows: Tensor, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """The items, a positive of each, and the negatives that the other modality's items are to tell apart."""
        m, n, device = self.method, len(image), image.device
        column = torch.randint(self.positives.shape[1], (len(rows),), device=device)
        positives = self.positives[rows, column]
        drawn = [torch.randint(n, (len(rows) * m.n_negatives,), device=device) for _ in ("images", "texts")]
        if self.playing:
            offered = torch.randperm(n, device=device)[: max(2, round(n * m.candidate_share))]
            candidates = [text[offered], image[offered]]
            chances = self.log_chances([image[rows], text[rows]], candidates)
            picked = [one.exp().multinomial(m.n_negatives, replacement=True) for one in chances]
            self.offered = list(zip(candidates, picked, strict=True))
            drawn = [offered[one].flatten() for one in picked]
        return image[torch.cat([rows, positives, drawn[1]])], text[torch.cat([rows, positives, drawn[0]])]

    def log_chances(self, items: Sequence[Tensor], candidates: Sequence[Tensor]) -> list[Tensor]:
        """log softmax of -|q - n|^2 over the other modality's candidates, for images and for texts: (b, m) each."""
        asked = [torch.sigmoid(net(rows)) for net, rows in zip(self.generator, items, strict=True)]
        others = [torch.sigmoid(net(rows)) for net, rows in zip(reversed(self.generator), candidates, strict=True)]
        return [(-squared_distances(*both)).log_softmax(dim=1) for both in zip(asked, others, strict=True)]

    def hinges(self, items: Tensor, others: Tensor, b: int) -> Tensor:
        """[margin + |q - p|^2 - |q - n|^2]+ of b items with their negatives: (b, n_negatives)."""
        m = self.method
        negatives = others[2 * b :].view(b, m.n_negatives, -1)
        near = (items[:b] - others[b : 2 * b]).square().sum(dim=1, keepdim=True)
        far = (items[:b, None] - negatives).square().sum(dim=2)
        return (m.margin_share * m.n_bits + near - far).clamp(min=0)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of the player whose turn it is; before the game all turns are the discriminator's."""
        m, b = self.method, len(batch.rows)
        image, text = torch.sigmoid(batch.image_real), torch.sigmoid(batch.text_real)
        between = [self.hinges(image, text, b), self.hinges(text, image, b)]
        if batch.turn == "discriminator" or not self.playing:
            terms = {"between": between[0].mean() + between[1].mean()}
            if m.within:
                within = self.hinges(image, image, b).mean() + self.hinges(text, text, b).mean()
                terms["within"] = m.within * within
            return terms
        chances = self.log_chances([batch.image[:b], batch.text[:b]], [candidates for candidates, _ in self.offered])
        rewarded = [
            torch.sigmoid(hinge).detach() * chance.gather(1, picked)
            for hinge, chance, (_, picked) in zip(between, chances, self.offered, strict=True)
        ]
        return {"generator": -(rewarded[0].mean() + rewarded[1].mean())}


def correlation_graph(method: UGACH, pairs: PairedFeatures) -> Tensor:
    """The positives of each pair: itself and its neighbours by image and by text, (n, p)."""
    itself = torch.arange(len(pairs))[:, None]
    k = method.neighbours - 1 if method.itself_twice else method.neighbours
    near = [nearest_rows(torch.tensor(rows), k) for rows in (pairs.image, pairs.text)] if k else []
    return torch.cat([itself, *[itself] * method.itself_twice, *near], dim=1)
