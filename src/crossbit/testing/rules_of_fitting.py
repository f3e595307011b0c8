"""Rules of fitting: the right shapes, the same result from the same seed, and nothing else touched."""

from __future__ import annotations

import contextlib
import io
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import LabelError
from crossbit.hasher import Hasher
from crossbit.pairs import PairedFeatures
from crossbit.progress import Step
from crossbit.testing.subject import Subject
from crossbit.testing.verdict import require


def gives_8_bits(subject: Subject) -> None:
    """8-bit codes of both modalities."""
    _check_shape(subject, subject.few(60), 8)


def gives_12_bits(subject: Subject) -> None:
    """12-bit codes, which fill no whole number of bytes."""
    _check_shape(subject, subject.few(60), 12)


def gives_64_bits(subject: Subject) -> None:
    """64-bit codes, more bits than either modality has features."""
    _check_shape(subject, subject.few(60), 64)


def gives_128_bits(subject: Subject) -> None:
    """128-bit codes, more bits than there are pairs."""
    _check_shape(subject, subject.few(60), 128)


def fits_fewer_pairs_than_a_batch(subject: Subject) -> None:
    """Five pairs are enough to fit on, however large a batch is."""
    _check_shape(subject, subject.few(5), 16)


def fits_more_bits_than_features(subject: Subject) -> None:
    """Features of width 5 and 3 give 32-bit codes."""
    pairs = subject.few(60)
    _check_shape(subject, PairedFeatures(pairs.image[:, :5], pairs.text[:, :3], pairs.labels), 32)


def same_seed_gives_same_codes(subject: Subject) -> None:
    """Two fits with one seed agree in every bit."""
    again = subject.method().fit(subject.world.train)
    require(subject.encode(again) == subject.codes, "a second fit with the same seed gives other codes")


def leaves_global_random_state_alone(subject: Subject) -> None:
    """The global generators of random, numpy and torch stand where they stood."""
    subject.method_class()
    before = _random_state()
    subject.method(n_bits=8).fit(subject.few(40))
    after = _random_state()
    moved = [name for name in before if before[name] != after[name]]
    require(not moved, f"fit moves the global random state of {', '.join(moved)}")


def leaves_training_arrays_alone(subject: Subject) -> None:
    """The arrays given to fit hold what they held, although they could be written to."""
    pairs, labels = subject.few(60), subject.world.labels[subject.world.split.train[:60]]
    image, text, labels = pairs.image.copy(), pairs.text.copy(), labels.copy()
    own: dict[str, NDArray[Any]] = {"image": image, "text": text, "labels": labels}
    kept = {name: array.copy() for name, array in own.items()}
    subject.method(n_bits=8).fit(PairedFeatures(image, text, labels))
    changed = [name for name in own if not np.array_equal(own[name], kept[name])]
    require(not changed, f"fit changes the training arrays {', '.join(changed)}")
    locked = [name for name in own if not own[name].flags.writeable]
    require(not locked, f"fit leaves the caller's arrays {', '.join(locked)} read-only")


def uses_labels_only_if_supervised(subject: Subject) -> None:
    """Unsupervised: shuffled or missing labels change no bit. Supervised: missing labels raise LabelError."""
    train = subject.world.train
    if not subject.method_class.supervised:
        shuffled = np.random.default_rng(0).permutation(subject.world.labels[subject.world.split.train])
        for pairs in (train.without_labels(), PairedFeatures(train.image, train.text, shuffled)):
            require(subject.encode(subject.method().fit(pairs)) == subject.codes, "labels change the codes")
        return
    try:
        subject.method().fit(train.without_labels())
    except LabelError:
        return
    raise AssertionError(f"{subject} is supervised and fits without labels")


def tells_progress_and_prints_nothing(subject: Subject) -> None:
    """Progress goes to the callback in whole steps; nothing is printed."""
    steps: list[Step] = []
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        subject.method(n_bits=8).fit(subject.few(40), progress=steps.append)
    require(not printed.getvalue(), f"fit prints: {printed.getvalue()!r}")
    wrong = [step for step in steps if not (step.stage and 0 <= step.done <= step.total)]
    require(not wrong, f"these steps have no stage or pass their total: {wrong[:3]}")


def cleans_up_its_checkpoint(subject: Subject) -> None:
    """A folder for checkpoints changes no bit and is empty (or gone) after a fit that ended."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkpoint"
        hasher = subject.method().fit(subject.world.train, checkpoint=folder)
        left = sorted(path.name for path in folder.rglob("*")) if folder.exists() else []
    require(subject.encode(hasher) == subject.codes, "a checkpoint folder changes the codes")
    require(not left, f"these files are left in the checkpoint folder: {left}")


def interrupted_fit_ends_the_same(subject: Subject) -> None:
    """A fit broken off half way and started again with its checkpoint gives the codes of one that ran through."""
    half = subject.fitted[1] // 2
    seen = 0

    def interrupt(step: Step) -> None:
        nonlocal seen
        seen += 1
        if seen == half:
            raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkpoint"
        with contextlib.suppress(KeyboardInterrupt):
            subject.method().fit(subject.world.train, progress=interrupt, checkpoint=folder)
        require(seen == half, f"the fit was to be broken off at step {half}, but told only {seen}")
        hasher = subject.method().fit(subject.world.train, checkpoint=folder)
    require(subject.encode(hasher) == subject.codes, "a fit that was broken off and started again gives other codes")


def hasher_says_where_it_comes_from(subject: Subject) -> None:
    """The hasher names its method and settings, and how many pairs it has seen."""
    hasher, method = subject.hasher, subject.method()
    require(hasher.method == method.name, f"the hasher names the method {hasher.method!r}")
    require(hasher.settings == method.settings(), "the hasher's settings are not the method's")
    require(hasher.report["pairs"] == len(subject.world.train), "the report does not count the pairs")


def _check_shape(subject: Subject, pairs: PairedFeatures, n_bits: int) -> Hasher:
    hasher = subject.method(n_bits=n_bits).fit(pairs)
    for side, codes in (
        ("image", hasher.encode_images(pairs.image)),
        ("text", hasher.encode_texts(pairs.text)),
    ):
        require(codes.n_bits == n_bits, f"{side} codes have {codes.n_bits} bits where {n_bits} were asked for")
        require(len(codes) == len(pairs), f"{len(pairs)} {side} rows give {len(codes)} codes")
    return hasher


def _random_state() -> dict[str, Any]:
    state: dict[str, Any] = {"random": random.getstate(), "numpy": str(np.random.get_state(legacy=False))}
    torch = sys.modules.get("torch")
    if torch is not None:
        state["torch"] = torch.get_rng_state().numpy().tobytes()
    return state


FIT_RULES = (
    gives_8_bits,
    gives_12_bits,
    gives_64_bits,
    gives_128_bits,
    fits_fewer_pairs_than_a_batch,
    fits_more_bits_than_features,
    same_seed_gives_same_codes,
    leaves_global_random_state_alone,
    leaves_training_arrays_alone,
    uses_labels_only_if_supervised,
    tells_progress_and_prints_nothing,
    cleans_up_its_checkpoint,
    interrupted_fit_ends_the_same,
    hasher_says_where_it_comes_from,
)
