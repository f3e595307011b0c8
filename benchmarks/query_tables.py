"""The tables of queries without torch, from speed/query.json and speed/query_hub.json."""

from __future__ import annotations

import json
from pathlib import Path

from crossbit import tables

SPEED = Path(__file__).resolve().parent / "speed"


def query_table() -> str:
    """Cold starts, agreement, one more query and sizes of the packaged encoders, with torch and without."""
    path = SPEED / "query.json"
    if not path.is_file():
        return tables.NOTHING
    stored = json.loads(path.read_text(encoding="utf-8"))
    starts, sizes = stored["cold_start"], stored["export"]["bytes"]
    rows = []
    for name, what in (("torch", "torch"), ("onnx", "ONNX"), ("item", "no encoder (`--item`)")):
        found, (low, high) = starts[name], starts[name]["wall_range"]
        told = f"{found['cpu_seconds']:.2f} s; by the clock {found['wall_seconds']:.2f} s ({low:.2f} to {high:.2f})"
        rows.append([f"cold start, {what}, processor time", told])
    rows.append(["cold start, torch / ONNX, processor time", f"{starts['torch_over_onnx']['cpu_seconds']:.2f}"])
    for data, sides in stored["agreement"].items():
        rows += [[f"bits as by torch, {data}, {side}", f"{found['bits']:.4%}"] for side, found in sides.items()]
    for name, spent in stored["warm"]["cpu_milliseconds"].items():
        rows.append([f"encode one more, {name}, processor time", f"{spent:.1f} ms"])
    rows.append(["size", f"{sum(sizes.values()) / 1e6:.0f} MB"])
    before, after = starts["load_average"]
    told = (
        f"{stored['machine']['processor']}, one thread, {stored['date']}; medians of {starts['starts']} starts. The "
        f"load was {before} before them and {after} after them, on {starts['processors']} processors. Where it is "
        "above their number, the clock also counts waiting for other programs; the processor time does not."
    )
    return tables.markdown(["what", "measured"], rows) + f"\n\n{told}"


def hub_table() -> str:
    """How far exports of the hub's encoders agree with the encoders."""
    path = SPEED / "query_hub.json"
    if not path.is_file():
        return tables.NOTHING
    stored = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        [kind, side, *(f"{found[name]:,}" for name in ("items", "distinct_codes")), f"{found['bits']:.4%}"]
        for kind, sides in stored["models"].items()
        for side, found in sides.items()
    ]
    names = ("torch", "onnxruntime", "transformers", "sentence-transformers", "timm", "open_clip_torch", "torchvision")
    used = ", ".join(f"{name} {stored['versions'][name]}" for name in names if name in stored["versions"])
    told = f"{stored['n_bits']} bits. {stored['machine']['processor']}, one thread, {stored['date']}; {used}."
    header = ["model", "", "items", "codes that differ", "bits as by the model"]
    return tables.markdown(header, rows) + f"\n\n{told}"
