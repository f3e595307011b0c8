"""Measure queries with and without torch: cold start, agreement of bits, sizes, and the time of a query when warm.

    python benchmarks/speed/query.py

A collection of emoji by KDCMH, 64 bits, seed 0, one thread. A cold start is a process of its own, from its start to
the end of `crossbit search`; torch and ONNX take turns, so that a busy machine is busy for both. Agreement is measured
on emoji and, where they are there, on the photos of ../shared/data/coco_mini.npz. Written to query.json.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossbit import Codes, Collection, Hasher, load_dataset, load_method
from crossbit.collection import Items
from crossbit.datasets import Dataset
from crossbit.encoders import EfficientNetLite0, Encoder, MiniLM
from crossbit.experiment.run import machine, versions
from crossbit.files import write_whole
from crossbit.kernels import all_threads
from crossbit.queries import Queries, export_queries

HERE = Path(__file__).resolve().parent
PHOTOS = HERE.parents[2] / "shared" / "data" / "coco_mini.npz"
SEARCH = [sys.executable, "-c", "from crossbit.cli import main; main()", "search"]
STARTS = 9
WORDS = "a red fruit"


def main() -> int:
    """Build, export, measure, store."""
    dataset = load_dataset("emoji")
    hasher = load_method("kdcmh")(n_bits=64, seed=0).fit(dataset.pairs[dataset.split.train])
    hasher = hasher.with_encoders(image=dataset.encoders["image"], text=dataset.encoders["text"])
    with tempfile.TemporaryDirectory() as place:
        with_torch, with_onnx = Path(place) / "torch", Path(place) / "onnx"
        ids = list(dataset.ids) or [str(row) for row in range(len(dataset))]
        codes = {"image": hasher.encode_images(dataset.pairs.image), "text": hasher.encode_texts(dataset.pairs.text)}
        Collection.create(with_torch, hasher, Items(ids, dataset.captions), **codes)
        shutil.copytree(with_torch, with_onnx)
        began = time.process_time()
        exported = export_queries(hasher, with_onnx / "query")
        seconds = time.process_time() - began
        stored: dict[str, Any] = {
            "hasher": {"method": "kdcmh", "n_bits": 64, "data": "emoji", "items": len(ids)},
            "cold_start": cold_starts({"torch": with_torch, "onnx": with_onnx}),
            "export": {"bytes": exported.sizes(), "cpu_seconds": round(seconds, 1)},
        }
        queries = Queries.open(with_onnx / "query")
        stored["agreement"] = {
            "emoji": agreement_on_emoji(hasher, dataset, queries),
            **agreement_on_photos(hasher, queries),
        }
        stored["warm"] = warm_times(queries, dataset)
    names = ("onnx", "onnxscript", "onnxruntime", "tokenizers", "pyarrow", "numba")
    installed = {name: importlib.metadata.version(name) for name in names}
    stored |= {"machine": machine(), "versions": versions() | installed, "date": datetime.date.today().isoformat()}
    write_whole(HERE / "query.json", (json.dumps(stored, indent=1) + "\n").encode())
    return 0


def cold_starts(places: dict[str, Path]) -> dict[str, Any]:
    """Seconds of whole processes: of the clock, and of the processor, which other programs hardly move."""
    asked = {name: [str(place), WORDS] for name, place in places.items()}
    asked["item"] = [str(places["onnx"]), "--item", "100"]  # without an encoder: what all the rest takes
    wall: dict[str, list[float]] = {name: [] for name in asked}
    cpu: dict[str, list[float]] = {name: [] for name in asked}
    load = [os.getloadavg()[0]]
    for number in range(STARTS + 1):
        for name, words in asked.items():
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run([*SEARCH, *words, "--json"], check=True, stdout=subprocess.DEVNULL, env=os.environ)
            seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            if number:  # the first of each fills the caches of files
                wall[name].append(seconds)
                cpu[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    found: dict[str, Any] = {
        name: {
            "wall_seconds": round(statistics.median(wall[name]), 3),
            "wall_range": [round(min(wall[name]), 3), round(max(wall[name]), 3)],
            "cpu_seconds": round(statistics.median(cpu[name]), 3),
        }
        for name in asked
    }
    ratios = {kind: found["torch"][kind] / found["onnx"][kind] for kind in ("wall_seconds", "cpu_seconds")}
    found["torch_over_onnx"] = {kind: round(ratio, 2) for kind, ratio in ratios.items()}
    load.append(
        os.getloadavg()[0]
    )  # what others want of the processors, before and after; above their number, all wait
    return found | {"starts": STARTS, "load_average": [round(value, 2) for value in load], "processors": all_threads()}


def agreement_on_emoji(hasher: Hasher, dataset: Dataset, queries: Queries) -> dict[str, Any]:
    """Of all emoji; what torch gives is the data set's own features."""
    pictures = [dataset.image_bytes(row) or b"" for row in range(len(dataset))]
    rows = np.arange(len(dataset))
    return {
        "image": compared(hasher, "image", dataset.pairs.image[rows], queries, pictures),
        "text": compared(hasher, "text", dataset.pairs.text[rows], queries, dataset.captions),
    }


def agreement_on_photos(hasher: Hasher, queries: Queries) -> dict[str, Any]:
    """Of the photos and their captions, where they are there; large pictures of many sizes, whole sentences."""
    if not PHOTOS.is_file():
        return {}
    with np.load(PHOTOS, allow_pickle=False) as data:
        offsets = data["jpeg_offsets"]
        pictures = [data["jpeg_blob"][offsets[i] : offsets[i + 1]].tobytes() for i in range(len(offsets) - 1)]
        captions = [caption for meta in data["meta"] for caption in json.loads(str(meta))["captions"]]
    images = EfficientNetLite0().encode(pictures).features
    return {
        "coco_mini": {
            "image": compared(hasher, "image", images, queries, pictures),
            "text": compared(hasher, "text", MiniLM().encode(captions).features, queries, captions),
        }
    }


def compared(
    hasher: Hasher, modality: str, theirs: np.ndarray, queries: Queries, items: Sequence[Any]
) -> dict[str, Any]:
    """The share of bits that agree, by the hasher on exported features and by the graph alone."""
    encode: Callable[..., Codes] = hasher.encode_images if modality == "image" else hasher.encode_texts
    exported = queries.encoder(modality)
    expected, ours = encode(theirs), encode(exported.encode(items).features)
    shares = (ours.bits() == expected.bits()).mean()
    some = list(items[:200])
    alone = np.concatenate(
        [exported.graph.run("code", exported.inputs(some[at : at + 8])) for at in range(0, len(some), 8)]
    )
    by_graph = (Codes(alone, hasher.n_bits).bits() == expected.bits()[: len(some)]).mean()
    same = (ours.packed == expected.packed).all(axis=1).mean()
    return {
        "items": len(items),
        "bits": round(float(shares), 6),
        "whole_codes": round(float(same), 6),
        "bits_by_graph_first_200": round(float(by_graph), 6),
    }


def warm_times(queries: Queries, dataset: Dataset) -> dict[str, Any]:
    """Milliseconds of processor time for one query in a process that has asked before."""
    texts, pictures = list(dataset.captions[:60]), [dataset.image_bytes(row) or b"" for row in range(30)]
    own: dict[str, tuple[Encoder, Sequence[Any]]] = {
        "text onnx": (queries.encoder("text"), texts),
        "text torch": (MiniLM(), texts),
        "image onnx": (queries.encoder("image"), pictures),
        "image torch": (EfficientNetLite0(), pictures),
    }
    import torch

    torch.set_num_threads(1)
    found = {}
    for name, (encoder, items) in own.items():
        encoder.encode(items[:1])
        spent = []
        for item in items:
            began = time.process_time()
            encoder.encode([item])
            spent.append(time.process_time() - began)
        found[name] = round(1000 * statistics.median(spent), 2)
    return {"cpu_milliseconds": found}


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
