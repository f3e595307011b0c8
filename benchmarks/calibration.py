"""Measure how true calibrated confidences are: claimed on held-out train pairs, compared on query pairs.

    python benchmarks/calibration.py

KDCMH and CCA-ITQ, 64 bits, seed 0, on emoji and fashion6k. The train rows are parted as `crossbit fit` parts them, the
hasher is fitted on one part and calibrated on the other, and what it claims is compared with the query rows, which
neither of them saw. Written to calibration.json.
"""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from crossbit.calibration import Calibration, Direction
from crossbit.cli.calibrate import hold_out, with_calibration
from crossbit.codes import Codes
from crossbit.datasets import Dataset, load_dataset
from crossbit.experiment.run import machine, versions
from crossbit.files import write_whole
from crossbit.hasher import Hasher
from crossbit.methods import load_method

HERE = Path(__file__).resolve().parent
OUT = HERE / "calibration.json"
DATA = {"emoji": "emoji", "fashion6k": str(HERE.parents[1] / "shared" / "data" / "fashion6k.npz")}
METHODS = ("kdcmh", "cca-itq")
N_BITS, SEED = 64, 0
BESIDE = (1, 9, 99)  # random items beside each true match
BINS = np.linspace(0, 1, 11)
HITS = 10


def main() -> int:
    """Measure every method on every data set and store what came out."""
    rows = []
    for name, source in DATA.items():
        if source.endswith(".npz") and not Path(source).is_file():
            print(f"{name}: left out, its file stands beside the repository, in ../shared/data, and is not there")
            continue
        dataset = load_dataset(source, duplicates="drop")
        for method in METHODS:
            rows += measured(name, dataset, method)
    about = {"n_bits": N_BITS, "seed": SEED, "bins": len(BINS) - 1, "hits": HITS}
    about |= {"date": datetime.date.today().isoformat(), "machine": dict(machine()), "versions": versions()}
    write_whole(OUT, (json.dumps({**about, "rows": rows}, indent=1) + "\n").encode())
    return 0


def measured(name: str, dataset: Dataset, method: str) -> list[dict[str, Any]]:
    """One row a direction."""
    rest, held_out = hold_out(dataset, None, SEED)
    learner = load_method(method)(n_bits=N_BITS, seed=SEED)
    hasher = with_calibration(learner.fit(rest.pairs[rest.split.train]), rest, held_out, SEED)
    found = hasher.calibration
    assert found is not None
    rows = []
    for direction in get_args(Direction):
        queries, partners, database = parts(hasher, dataset, direction)
        true, random = distances(queries, partners).diagonal(), distances(queries, database)
        row = {"data": name, "method": method, "direction": direction, "held_out_pairs": found.pairs}
        row |= {"held_out_random_pairs": found.random_pairs, "query_pairs": len(true), "random_pairs": random.size}
        row["beside"] = {str(r): reliability(found, direction, true, random, r) for r in BESIDE}
        row["search"] = among_hits(found, direction, distances(queries, partners))
        rows.append(row)
        told = ", ".join(f"r={r}: {value['error']:.3f}" for r, value in row["beside"].items())
        print(f"{name} {method} {direction}: calibration error {told}; {row['search']}")
    return rows


def parts(hasher: Hasher, dataset: Dataset, direction: str) -> tuple[Codes, Codes, Codes]:
    """Codes of the queries, of their own partners, and of the database they search."""
    query, database = dataset.pairs[dataset.split.query], dataset.pairs[dataset.split.database]
    images, texts = hasher.encode_images(query.image), hasher.encode_texts(query.text)
    if direction == "I2T":
        return images, texts, hasher.encode_texts(database.text)
    return texts, images, hasher.encode_images(database.image)


def distances(queries: Codes, items: Codes) -> NDArray[np.int64]:
    """All Hamming distances, (q, n)."""
    left, right = queries.signs(), items.signs()
    return np.rint((queries.n_bits - left @ right.T) / 2).astype(np.int64)


def reliability(
    found: Calibration, direction: Direction, true: NDArray[np.int64], random: NDArray[np.int64], beside: int
) -> dict[str, Any]:
    """What was claimed and what came true, in ten bins of equal width, for one true pair to `beside` random ones.

    The expected calibration error is the mean difference of the two, weighted by the pairs in a bin. Beside it stands
    the error of what is not calibrated: the share of equal bits taken for a probability.
    """
    share_true = np.bincount(true, minlength=N_BITS + 1) / true.size
    share_random = np.bincount(random.ravel(), minlength=N_BITS + 1) * beside / random.size
    steps = np.arange(N_BITS + 1)
    claimed = found.confidence(steps, direction, random_per_match=beside)
    bins, error = binned(claimed, share_true, share_random)
    return {
        "error": error,
        "error_of_equal_bits": binned(1 - steps / N_BITS, share_true, share_random)[1],
        "bins": bins,
    }


def binned(
    claimed: NDArray[np.float64], true: NDArray[np.float64], random: NDArray[np.float64]
) -> tuple[list[dict[str, float]], float]:
    """Bins with pairs in them, and the expected calibration error. All three arrays are by distance."""
    weights = true + random
    places = np.minimum((claimed * (len(BINS) - 1)).astype(int), len(BINS) - 2)
    bins = []
    for place in range(len(BINS) - 1):
        inside = places == place
        weight = float(weights[inside].sum())
        if weight > 0:
            mean = float((claimed * weights)[inside].sum() / weight)
            came = float(true[inside].sum() / weight)
            share = weight / float(weights.sum())
            bins.append({"claimed": round(mean, 4), "true": round(came, 4), "share": round(share, 5)})
    return bins, round(sum(one["share"] * abs(one["claimed"] - one["true"]) for one in bins), 4)


def among_hits(found: Calibration, direction: Direction, all_pairs: NDArray[np.int64]) -> dict[str, float]:
    """A search of the queries' own partners: of the ten nearest hits, the matches claimed and the matches found."""
    n = len(all_pairs)
    nearest = np.argsort(all_pairs, axis=1, kind="stable")[:, :HITS]
    claimed = found.confidence(np.take_along_axis(all_pairs, nearest, axis=1), direction, random_per_match=n - 1)
    is_match = nearest == np.arange(n)[:, None]
    return {
        "items": n,
        "matches_claimed_per_query": round(float(claimed.sum() / n), 4),
        "matches_found_per_query": round(float(is_match.sum() / n), 4),
    }


if __name__ == "__main__":
    sys.exit(main())
