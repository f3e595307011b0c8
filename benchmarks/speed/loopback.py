"""A driver of HTTP services on loopback: so many users, each asking as soon as it was answered, on raw connections."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Load:
    """What users met. seconds: of each answer. failed: answers of another status than 200."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    lasted: float = 0.0

    def joined(self, other: Load) -> Load:
        """This and another."""
        return Load(self.seconds + other.seconds, self.failed + other.failed, self.lasted + other.lasted)

    def figures(self) -> dict[str, Any]:
        """Latency in milliseconds and answers a second."""
        p50, p95, p99 = (round(float(value) * 1000, 3) for value in np.percentile(self.seconds, [50, 95, 99]))
        rate = round(len(self.seconds) / self.lasted, 1)
        return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "rate": rate, "answers": len(self.seconds)} | (
            {"failed": self.failed} if self.failed else {}
        )


def request(path: str, body: dict[str, Any], method: str = "POST", token: str = "") -> bytes:
    """A request as bytes."""
    content = json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def put_under_load(port: int, requests: Sequence[bytes], users: int, seconds: float) -> Load:
    """Have so many users ask for so long; each goes through the requests from a place of its own."""
    return asyncio.run(_load(port, requests, users, seconds))


async def _load(port: int, requests: Sequence[bytes], users: int, seconds: float) -> Load:
    load = Load()
    began = time.perf_counter()
    await asyncio.gather(*(_user(port, requests, number, began + seconds, load) for number in range(users)))
    load.lasted = time.perf_counter() - began
    return load


async def _user(port: int, requests: Sequence[bytes], number: int, until: float, load: Load) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    place = 7919 * number
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(requests[place % len(requests)])
        status, _ = await answer(reader)
        load.seconds.append(time.perf_counter() - began)
        load.failed += status != 200
        place += 1
    writer.close()
    await writer.wait_closed()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and body of the next answer on a connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, length = int(head[9:12]), 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, await reader.readexactly(length) if length else b""
