"""How good a setting of KDCMH is, told without labels and by a measure that its settings cannot move.

Of up to 2,000 random training pairs of a data set a fifth is held out of everything: of the teacher, the similarity
and the student. A method fitted on the others is judged by the codes that the held-out pairs get, as the mean of

- own: how often a held-out picture has its own text among the first ten held-out texts, and the reverse;
- overall: how far the order of the fitted pairs by code agrees with their order by the raw features, by those of the
  pictures and by those of the texts (rank correlation of codes with centred cosines), for image and text queries;
- near: how near, in the raw features of both modalities, the 50 pairs with the nearest codes are (mean rank among all
  fitted pairs, from 1 for the nearest to -1 for the farthest; 0 is chance).

None of them knows the distilled similarity, so that settings which change it can be compared.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from crossbit.codes import Codes
from crossbit.datasets import load_dataset
from crossbit.evaluation.measures import pair_recall
from crossbit.experiment.plan import build_method
from crossbit.hasher import Hasher
from crossbit.methods.kdcmh import KDCMH
from crossbit.pairs import PairedFeatures

HERE = Path(__file__).resolve().parent
AT_MOST = 2000  # pairs of a data set: a fit takes seconds, where all pairs of all data sets would take hours
NEAREST = 50
Settings = dict[str, Any]


def training_pairs(name: str) -> PairedFeatures:
    """The training rows of a data set, without labels."""
    return labelled_training_pairs(name).without_labels()


@functools.cache
def labelled_training_pairs(name: str) -> PairedFeatures:
    """The training rows of a data set."""
    folder = Path(os.environ.get("CROSSBIT_DATA") or HERE.parents[1] / "shared" / "data")
    dataset = load_dataset("emoji") if name == "emoji" else load_dataset(folder / f"{name}.npz", duplicates="drop")
    return dataset.pairs[dataset.split.train]


def judged(name: str, settings: Settings) -> dict[str, float]:
    """The three measures, and their mean, of KDCMH with its settings on one data set."""
    held, kept = parted(name)
    method = build_method("kdcmh", settings)
    assert isinstance(method, KDCMH)
    method = replace(method, image_weight=trust_of(name))
    hasher = method.fit_student(kept, teacher_of(method, kept))
    parts = measures(hasher, held, kept)
    return {**parts, "mean": float(np.mean(list(parts.values())))}


@functools.cache
def parted(name: str) -> tuple[PairedFeatures, PairedFeatures]:
    """The pairs held out and those to fit on."""
    pairs = training_pairs(name)
    order = np.random.default_rng(0).permutation(len(pairs))[:AT_MOST]
    return pairs[order[: len(order) // 5]], pairs[order[len(order) // 5 :]]


@functools.cache
def trust_of(name: str) -> float:
    """The weight of images that a fit would find, the same for all settings."""
    return KDCMH().trust(parted(name)[1])


def teacher_of(method: KDCMH, pairs: PairedFeatures) -> Hasher:
    """The method's teacher, fitted once for all settings that share it."""
    told = [method.teacher.settings(), method.guide_teacher, method.image_weight, method.seed, pairs.fingerprint()]
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / "crossbit-choices" / f"{key}.safetensors"
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        method.fit_teacher(pairs).save(path)
    return Hasher.load(path)


def measures(hasher: Hasher, held: PairedFeatures, kept: PairedFeatures) -> dict[str, float]:
    """own, overall and near of a hasher fitted on `kept`; each at most 1."""
    asked = (hasher.encode_images(held.image), hasher.encode_texts(held.text))
    stored = (hasher.encode_images(kept.image), hasher.encode_texts(kept.text))
    raw = [centred_cosines(getattr(held, side), getattr(kept, side)) for side in ("image", "text")]
    across = ((asked[0], stored[1]), (asked[1], stored[0]))
    rows = np.arange(len(held))
    own = [pair_recall(query, items, rows=rows, k=(10,))[0] for query, items in (asked, asked[::-1])]
    return {
        "own": float(np.mean(own)),
        "overall": float(np.mean([agreement(*codes, cosines) for codes in across for cosines in raw])),
        "near": float(np.mean([nearness(*codes, cosines) for codes in across for cosines in raw])),
    }


def centred_cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines (n, m) of features after the mean of the second ones is taken away."""
    mean = second.mean(axis=0)
    first, second = first - mean, second - mean
    lengths = [np.maximum(np.linalg.norm(rows, axis=1), 1e-12) for rows in (first, second)]
    return np.asarray(first @ second.T / lengths[0][:, None] / lengths[1], dtype=np.float32)


def agreement(query: Codes, items: Codes, cosines: NDArray[np.float32]) -> float:
    """The rank correlation of codes with cosines (q, n)."""
    alike = (query.signs() @ items.signs().T).ravel()
    step = max(1, alike.size // 200_000)
    return float(spearmanr(alike[::step], cosines.ravel()[::step]).statistic)


def nearness(query: Codes, items: Codes, cosines: NDArray[np.float32]) -> float:
    """The mean rank by cosine, from 1 to -1, of the items with the nearest codes; tied ones come in random order."""
    nearest = np.argsort(-(query.signs() @ items.signs().T), axis=1, kind="stable")[:, :NEAREST]
    places = rankdata(cosines, axis=1)
    found = np.take_along_axis(places, nearest, axis=1)
    return float(2 * (found.mean() - 1) / (cosines.shape[1] - 1) - 1)
