"""Measure what training from pixels brings: the same tiny backbone, frozen and trained, under the same method.

    python benchmarks/pixels.py

Emoji with the published split, 64 bits, one thread, one process at a time. The backbone starts from random weights
drawn by the seed; frozen, its features are what the method learns on, and trained, they are where it starts from.
Written to pixels.json, from which docs/pixels.md is made.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from crossbit import tables
from crossbit.experiment import Result
from crossbit.experiment.run import machine, peak_memory_mib, stored, versions
from crossbit.files import write_whole

PLACE = Path(__file__).resolve().with_suffix(".json")
THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM")}
N_BITS = 64
PLANS = {"kdcmh": ({}, (0, 1, 2)), "djsrh": ({"epochs": 40}, (0,))}
"""By method: its settings, as in the experiments on emoji, and the seeds."""
BACKBONE = {"side": 32, "channels": (32, 64, 128, 256)}
KINDS = ("frozen", "trained")
PRESETS = ("PALL", "P50")


def measure(name: str, kind: str, seed: int) -> dict[str, Any]:
    """One fit in this process: scores, what it took, and how many pictures a second are encoded."""
    from crossbit.datasets.emoji import emoji_labels, load_emoji, published_split
    from crossbit.encoders import MiniLM, encode_cached
    from crossbit.encoders.backbones import TinyBackbone, built
    from crossbit.evaluation import PROTOCOLS, evaluate
    from crossbit.methods import load_method
    from crossbit.pairs import PairedFeatures
    from crossbit.pixels import FromPixels, TunedEncoder

    emoji = load_emoji()
    split, _ = published_split(emoji)
    pictures = [one.picture for one in emoji]
    text = encode_cached(MiniLM(), [one.text for one in emoji]).features
    labels, _ = emoji_labels(one.group for one in emoji)
    method = load_method(name)(n_bits=N_BITS, seed=seed, **PLANS[name][0])
    backbone = TinyBackbone(**BACKBONE, seed=seed)
    encoder = TunedEncoder.of(backbone, built(backbone))
    before, cpu = peak_memory_mib(), time.process_time()
    if kind == "trained":
        learned = FromPixels(method=method, backbone=backbone).fit(
            [pictures[row] for row in split.train], text[split.train]
        )
        encoder, hasher = learned.encoder, learned.hasher
    else:
        frozen = encoder.encode([pictures[row] for row in split.train]).features
        hasher = method.fit(PairedFeatures(frozen, text[split.train]))
    seconds, peak = time.process_time() - cpu, peak_memory_mib()
    cpu = time.process_time()
    pairs = PairedFeatures(encoder.encode(pictures).features, text, labels)
    encoded = len(pictures) / (time.process_time() - cpu)
    evaluation = evaluate(hasher, pairs, split, [PROTOCOLS[preset] for preset in PRESETS])
    data = {"data": pairs.fingerprint()}
    return {
        "method": name,
        "backbone": kind,
        "seed": seed,
        "scores": {preset: stored(score, data) for preset, score in zip(PRESETS, evaluation.scores, strict=True)},
        "random": {preset: stored(score, data) for preset, score in zip(PRESETS, evaluation.random, strict=True)},
        "monitor": evaluation.monitor.to_json() if evaluation.monitor else {},
        "fit_cpu_seconds": round(seconds, 1),
        "peak_memory_mib": round(peak),
        "memory_before_fit_mib": round(before),
        "pictures_encoded_per_cpu_second": round(encoded),
        "settings": dict(hasher.settings),
    }


def table() -> str:
    """The scores and costs of all rows, and below them the same method on EfficientNet-Lite0's features."""
    if not PLACE.is_file():
        return tables.NOTHING
    content = json.loads(PLACE.read_text(encoding="utf-8"))
    rows = [["random ranking", *(f"{content['rows'][0]['random'][preset]['mean']:.3f}" for preset in PRESETS), "", ""]]
    rows += [_line(content["rows"], name, kind) for name in PLANS for kind in KINDS]
    ids = [f"`{content['rows'][0]['scores'][preset]['protocol_id']}`" for preset in PRESETS]
    header = [f"{content['n_bits']} bits, emoji", "mAP@all", "mAP@50", "fit, CPU seconds", "peak MiB"]
    told = (
        f"{content['machine']['processor']}, one thread, PyTorch {content['versions']['torch']}, {content['date']}, "
        f"commit {content['versions']['commit']}; made by `python benchmarks/pixels.py`. Seeds: "
        + "; ".join(f"{name} {', '.join(map(str, seeds))}" for name, (_, seeds) in PLANS.items())
        + "."
    )
    return tables.markdown(header, [*rows, ["protocol id", *ids, "", ""]]) + f"\n\n{told}"


def reference(results: list[Result]) -> str:
    """The stored scores of the same methods on the features of EfficientNet-Lite0, frozen, for comparison."""
    shown = [r for r in results if (r.data, r.n_bits) == ("emoji", N_BITS) and r.row in PLANS]
    if not shown:
        return tables.NOTHING
    rows = [
        [name, *(tables.mean_and_spread([r.scores[p]["mean"] for r in shown if r.row == name]) for p in PRESETS)]
        for name in PLANS
        if any(r.row == name for r in shown)
    ]
    return tables.markdown([f"{N_BITS} bits, emoji, EfficientNet-Lite0 frozen", "mAP@all", "mAP@50"], rows)


def _line(rows: list[dict[str, Any]], name: str, kind: str) -> list[str]:
    own = [row for row in rows if (row["method"], row["backbone"]) == (name, kind)]
    scores = [tables.mean_and_spread([row["scores"][preset]["mean"] for row in own]) for preset in PRESETS]
    seconds = statistics.fmean(row["fit_cpu_seconds"] for row in own)
    return [f"{name}, {kind}", *scores, f"{seconds:.0f}", str(max(row["peak_memory_mib"] for row in own))]


def main() -> int:
    """Run every job in a process of its own and store what they took; with --job, be one of these."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", nargs=3, metavar=("METHOD", "KIND", "SEED"), help="one job, printed as JSON")
    job = parser.parse_args().job
    if job:
        print(json.dumps(measure(job[0], job[1], int(job[2]))))
        return 0
    about = {"data": "emoji", "n_bits": N_BITS, "date": datetime.date.today().isoformat(), "versions": versions()}
    rows = []
    for name, (_, seeds) in PLANS.items():
        for kind in KINDS:
            for seed in seeds:
                command = [sys.executable, __file__, "--job", name, kind, str(seed)]
                done = subprocess.run(command, env=os.environ | THREADS, check=True, capture_output=True, text=True)
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(f"{name} {kind} {seed}: {rows[-1]['scores']['PALL']['mean']} {rows[-1]['fit_cpu_seconds']} CPU s")
    content = {**about, "machine": dict(machine()), "rows": rows}
    write_whole(PLACE, (json.dumps(content, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
