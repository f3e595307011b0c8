"""The one training loop. A deep method states its networks and its objective; everything else happens here."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crossbit.checkpoint import Checkpoint
from crossbit.errors import DataError, SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Method
from crossbit.nets import HashNet
from crossbit.pairs import PairedFeatures, array_fingerprint
from crossbit.progress import Progress, Step, silent


@dataclass(frozen=True)
class Batch:
    """What an objective sees of b pairs.

    rows: (b,) their numbers among the training pairs. image, text: (b, d) features. image_real, text_real:
    (b, n_bits) network outputs. image_code, text_code: (b, n_bits) relaxed codes tanh(alpha * real) in (-1, 1).
    epoch: from 0. turn: which network learns now, "image", "text" or "both"; in a turn of one network the outputs of
    the other one have no rows, since its objective compares with buffered outputs.
    """

    rows: Tensor
    image: Tensor
    text: Tensor
    image_real: Tensor
    text_real: Tensor
    image_code: Tensor
    text_code: Tensor
    epoch: int
    turn: str = "both"


class Objective(nn.Module):
    """What a deep method minimises: `forward(batch)` gives the loss terms by name, weights applied.

    Parameters of the objective (decoders, extra networks) are trained with the hash networks; buffers (memory banks)
    are part of the checkpoint.
    """

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss terms of one batch; their sum is minimised."""
        raise TypeError(f"{type(self).__name__} states no loss: define forward(batch).")

    def start_epoch(self, epoch: int) -> None:
        """Called before each epoch; alternating methods refresh their codes here."""

    def inputs(self, rows: Tensor, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """The networks' inputs for a batch, out of all n features; an objective that augments does it here."""
        return image[rows], text[rows]


@dataclass(frozen=True, kw_only=True)
class DeepMethod(Method):
    """A method with one network per modality, trained by mini-batches. Fields are settings that all of them share."""

    epochs: int = 80  # sweeps over the training pairs
    batch_size: int = 32  # pairs a step
    device: str = "cpu"  # or "cuda": it rounds sums otherwise, and where units are dropped at random it drops others
    patience: int = 0  # stop after so many epochs without a lower training loss; 0: never. No labels are involved

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")
        if self.patience < 0:
            raise SettingsError(f"patience must be 0 (off) or more epochs; got {self.patience!r}.")
        if self.device != "cpu" and not (self.device.startswith("cuda") and torch.cuda.is_available()):
            raise SettingsError(f'device must be "cpu", or "cuda" where torch finds a GPU; got {self.device!r}.')

    @abstractmethod
    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """Fresh image and text networks."""

    @abstractmethod
    def objective(self, pairs: PairedFeatures) -> Objective:
        """The only thing a deep method states: its loss on a batch."""

    @abstractmethod
    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """The optimiser with the paper's rates."""

    def alpha(self, epoch: int) -> float:
        """The slope of the tanh continuation; 1 for methods that have none."""
        return 1.0

    def rate_factor(self, progress: float) -> float:
        """What the learning rates are multiplied with when a share of 0 to 1 of all steps is done."""
        return 1.0

    def turns(self) -> tuple[str, ...]:
        """The sweeps of one epoch; alternating methods give ("image", "text")."""
        return ("both",)

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        return self.learn(pairs, self.objective, progress, checkpoint)

    def learn(
        self,
        pairs: PairedFeatures,
        objective: Callable[[PairedFeatures], Objective],
        progress: Progress = silent,
        checkpoint: Path | None = None,
    ) -> Hasher:
        """Train fresh networks on an objective made for the pairs, under this method's seed."""
        with seeded(self.seed, self.device):
            image, text = self.networks(pairs)
            report = train(self, pairs, image, text, objective(pairs), progress, checkpoint)
        return Hasher(image.cpu().hash_function(), text.cpu().hash_function(), report=report)


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed torch inside the block and put its global random state back afterwards."""
    on_gpu = device.startswith("cuda")
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        # Not torch.manual_seed: it seeds every GPU there is, and their states would not be put back.
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def train(
    method: DeepMethod,
    pairs: PairedFeatures,
    image: HashNet,
    text: HashNet,
    objective: Objective,
    progress: Progress,
    folder: Path | None,
) -> dict[str, Any]:
    """Minimise the objective over shuffled mini-batches; returns the report (epochs, loss terms, why it stopped).

    folder: where the last finished epoch is kept while training runs; a run with the same settings and pairs goes on
    from there. Raises DataError when the loss becomes NaN or infinite.
    """
    device = torch.device(method.device)
    for module in (image, text, objective):
        module.to(device)
    features = (torch.tensor(pairs.image, device=device), torch.tensor(pairs.text, device=device))
    optimiser = method.optimiser(image, text, objective)
    labels = "" if pairs.labels is None else f" {array_fingerprint(pairs.labels)}"
    saved = Checkpoint(folder, key=f"{method.name} {method.settings()} {pairs.fingerprint()}{labels}")
    modules = {"image": image, "text": text, "objective": objective}
    history = saved.restore(modules, optimiser)
    for epoch in range(len(history), method.epochs):
        if stalled(history, method.patience):
            break
        objective.start_epoch(epoch)
        sums: dict[str, Tensor] = {}
        batches = [rows for turn in method.turns() for rows in shuffled(len(pairs), method.batch_size, turn)]
        for number, (turn, rows) in enumerate(batches):
            set_rates(optimiser, method.rate_factor((epoch + number / len(batches)) / method.epochs))
            terms = one_step(method, image, text, objective, optimiser, features, rows.to(device), epoch, turn)
            for name, term in terms.items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + term.detach()
        means = {name: float(total) / len(batches) for name, total in sums.items()}
        check_finite(method, epoch, means)
        history = [*history, means]
        saved.save(modules, optimiser, history)
        progress(Step(f"{method.name} epochs", epoch + 1, method.epochs, means))
    saved.clear()
    image.eval(), text.eval()
    stopped = "loss no longer fell" if len(history) < method.epochs else "all epochs done"
    return {"epochs": len(history), "stopped": stopped, "loss": history[-1], "first_loss": history[0]}


def one_step(
    method: DeepMethod,
    image: HashNet,
    text: HashNet,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    features: tuple[Tensor, Tensor],
    rows: Tensor,
    epoch: int,
    turn: str,
) -> dict[str, Tensor]:
    """One batch: forward, loss, backward, update."""
    image.train(), text.train()
    image_rows, text_rows = objective.inputs(rows, *features)
    nothing = image_rows.new_empty(0, method.n_bits)
    image_real = nothing if turn == "text" else image(image_rows)
    text_real = nothing if turn == "image" else text(text_rows)
    alpha = method.alpha(epoch)
    image_code, text_code = torch.tanh(alpha * image_real), torch.tanh(alpha * text_real)
    batch = Batch(rows, image_rows, text_rows, image_real, text_real, image_code, text_code, epoch, turn)
    terms: dict[str, Tensor] = objective(batch)
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return terms


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's rate to its first one times a factor; a function of the step alone, so that it can resume."""
    for group in optimiser.param_groups:
        group["lr"] = group.setdefault("first_lr", group["lr"]) * factor


def shuffled(n: int, batch_size: int, turn: str) -> list[tuple[str, Tensor]]:
    """The batches of one sweep in random order. A last, smaller batch is left out, as in the released codes."""
    size = min(batch_size, n)
    order = torch.randperm(n)
    return [(turn, order[start : start + size]) for start in range(0, n - size + 1, size)]


def stalled(history: list[dict[str, float]], patience: int) -> bool:
    """True when none of the last `patience` epochs had a total loss below all epochs before them."""
    if not patience or len(history) <= patience:
        return False
    losses = [sum(terms.values()) for terms in history]
    return min(losses[-patience:]) >= min(losses[:-patience])


def check_finite(method: DeepMethod, epoch: int, means: Mapping[str, float]) -> None:
    """Raise DataError when a loss term is no longer a number."""
    bad = [name for name, value in means.items() if not math.isfinite(value)]
    if bad:
        raise DataError(
            f"{method.name}: the loss term {', '.join(bad)} became NaN or infinite in epoch {epoch + 1}. "
            "Lower the learning rates, or look for extreme values in the features."
        )
