"""Measure LSSH with its two rules for the codes of a database: from one modality each, or from both of every pair.

    CROSSBIT_DATA=... python benchmarks/database_codes.py

64 bits, seed 0, mAP@all. Queries are coded from their one modality under both rules, by the same hasher. With codes
from both, a database item is found by what its own caption and picture say together, so the second row knows more than
any hasher of this library does: it is no rival's number. Written to database_codes.json.
"""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Any

from crossbit import tables
from crossbit.datasets import Dataset
from crossbit.evaluation import PALL, evaluate_codes
from crossbit.experiment.run import machine, stored, versions
from crossbit.files import write_whole
from crossbit.methods.lssh import LSSH, fused_codes
from run_all import dataset_of

PLACE = Path(__file__).resolve().parent / "database_codes.json"
DATA = ("emoji", "fashion6k", "openclipart5k", "wiki")
N_BITS, SEED = 64, 0


def main() -> int:
    """Measure both rules on every data set that is there, and store them."""
    rows = {name: measured(dataset) for name in DATA if (dataset := dataset_of(name)) is not None}
    about = {"n_bits": N_BITS, "seed": SEED, "date": datetime.date.today().isoformat()}
    about |= {"machine": dict(machine()), "versions": versions()}
    write_whole(PLACE, (json.dumps({**about, "rows": rows}, indent=1) + "\n").encode())
    return 0


def measured(dataset: Dataset) -> dict[str, Any]:
    """The scores of the two rules on one data set."""
    pairs, split = dataset.pairs, dataset.split
    assert pairs.labels is not None
    hasher = LSSH(n_bits=N_BITS, seed=SEED).fit(pairs[split.train])
    image, text = pairs.image[split.database], pairs.text[split.database]
    both = fused_codes(hasher, image, text)
    sides = {"one": (hasher.encode_images(image), hasher.encode_texts(text)), "both": (both, both)}
    queries = hasher.encode_images(pairs.image[split.query]), hasher.encode_texts(pairs.text[split.query])
    labels = pairs.labels[split.query], pairs.labels[split.database]
    found = {
        rule: evaluate_codes(*queries, *database, *labels, protocols=(PALL,), split_id=split.fingerprint())
        for rule, database in sides.items()
    }
    data = {"data": pairs.fingerprint()}
    return {rule: stored(evaluation.scores[0], data) for rule, evaluation in found.items()}


def table() -> str:
    """The two rules side by side, and where they were measured."""
    if not PLACE.is_file():
        return tables.NOTHING
    content = json.loads(PLACE.read_text(encoding="utf-8"))
    header = [f"lssh, {content['n_bits']} bits, mAP@all, I2T / T2I", *content["rows"]]
    named = {"one": "database coded from one modality each", "both": "database coded from both"}
    rows = [
        [told, *(f"{scores[rule]['I2T']:.3f} / {scores[rule]['T2I']:.3f}" for scores in content["rows"].values())]
        for rule, told in named.items()
    ]
    where = f"{content['machine']['processor']}, {content['date']}, commit {content['versions']['commit']}; "
    return tables.markdown(header, rows) + f"\n\n{where}made by `python benchmarks/database_codes.py`, seed 0."


if __name__ == "__main__":
    sys.exit(main())
