"""The tables of an encoding of any size: speed, memory and kills, from speed/encode.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossbit import tables


def encode_table(path: Path) -> str:
    """Speed, memory and kills of an encoding of any size; each part says when and where it was measured."""
    if not path.is_file():
        return tables.NOTHING
    stored = json.loads(path.read_text(encoding="utf-8"))
    shown = {"speed": _speed, "memory": _memory, "kills": _kills}
    return "\n\n".join(show(stored[part]) + _measured(stored[part]) for part, show in shown.items() if part in stored)


def _speed(speed: Mapping[str, Any]) -> str:
    rates, used = speed["pictures_per_second"], speed["cpu_seconds_a_picture"]
    rows = [[way, f"{rates[way]:.1f}", f"{used[way]:.3f}" if way in used else ""] for way in rates]
    names = ("stream_to_loop_one_thread", "stream_to_best_loop", "loops_side_by_side_to_one_loop")
    one, best, several = (
        f"{speed[name]['median']:.2f} ({speed[name]['min']:.2f} to {speed[name]['max']:.2f})" for name in names
    )
    told = f"{speed['pictures']}, {speed['encoder']}, {speed['rounds']} rounds in turns. "
    told += f"The stream is {one} times as fast as the loop on one thread, and {best} times as the fastest loop. "
    told += f"A loop on each core, with nothing in common but the machine, gives {several} times one loop: more cores "
    told += "share caches and memory, and that bounds what any way of encoding can gain.\n\nOne picture on one thread: "
    told += ", ".join(
        f"{what} {spent} ms" for what, spent in speed["milliseconds_of_one_picture_on_one_thread"].items()
    )
    return tables.markdown(["pictures", "a second", "CPU seconds each"], rows) + f"\n\n{told}."


def _memory(memory: Mapping[str, Any]) -> str:
    rows = [
        [r["encoder"], f"{r['pictures']:,}", f"{r['peak_mib']}", f"{r['largest_worker_peak_mib']}"]
        for r in memory["runs"]
    ]
    header = ["encoder", "pictures", "peak MiB", "peak MiB of the largest worker"]
    told = "`small` is a random projection of 32 x 32 pixels: what is measured is the stream, not a model."
    return tables.markdown(header, rows) + f"\n\n{told}"


def _kills(kills: Mapping[str, Any]) -> str:
    rows = [
        [
            r["encoder"],
            f"{r['pictures']:,}",
            str(r["kills"]),
            str(r["shard_size"]),
            str(r["encoded_again_most"]),
            f"{r['seconds_in_one_go']:.1f}",
            f"{r['seconds_more_each_kill']:.2f}",
            f"{r['of_these_encoding_again']:.2f}",
        ]
        for r in kills["runs"]
    ]
    header = ["encoder", "pictures", "kills", "shard", "most encoded again", "seconds in one go", "more each kill"]
    told = "`kill -9` at random moments. A kill costs what is encoded again and a new start of the program. "
    told += "The features were those of one go each time."
    return tables.markdown([*header, "of these encoding again"], rows) + f"\n\n{told}"


def _measured(part: Mapping[str, Any]) -> str:
    where, made = part["machine"], part["versions"]
    return (
        f" {where['processor']}, {where['cores']} cores, load {part['load_average'][0]:.0f} at the end, "
        f"{part['date']}, commit {made['commit']}."
    )
