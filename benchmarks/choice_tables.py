"""The table of the settings that choose_single.py chose, from its records alone."""

from __future__ import annotations

import json
from pathlib import Path

from crossbit import tables

CHOICES = Path(__file__).resolve().parent / "choices"
METHODS = ("cmfh", "hcsr", "ukd")
JUDGED = {"without_labels": "three measures without labels", "by_training_labels": "mAP@all by training labels"}


def single_table() -> str:
    """Every method's setting, what the candidates reached, and which was taken."""
    rows, told = [], []
    for name in METHODS:
        record = json.loads((CHOICES / f"{name}.json").read_text(encoding="utf-8"))
        reached = ", ".join(f"{value}: {mean:.4f}" for value, mean in record["mean"].items()).replace('"', "")
        rows.append([f"`{name}`", f"`{record['setting']}`", JUDGED[record["judged"]], reached, str(record["chosen"])])
        told.append(f"{name} commit {record['versions']['commit']}")
    header = ["method", "setting", "judged by", "candidates and what they reached", "chosen"]
    where = f"Equal within {record['tolerance']}; {record['machine']['processor']}, {', '.join(told)}."
    return tables.markdown(header, rows, figures=False) + f"\n\n{where}"
