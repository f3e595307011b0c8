"""Searches, adds and deletes at once, each answer held to an exact ranking of the items that were there."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crossbit.client import Client, Search, new_item

WORDS = ("red", "green", "blue", "small", "large", "cat", "dog", "house", "tree", "sea", "sun", "night", "boat")
K = 20
READERS, WRITERS = 4, 3
FOREVER = float("inf")


@dataclass
class Item:
    """An item that came during the load. code: (bytes,). The times bound when it came and when it went."""

    code: NDArray[np.uint8]
    asked: float
    came: float
    leaving: float = FOREVER
    gone: float = FOREVER


@dataclass
class Seen:
    """An answer. began, ended: of the request. hits: (id, distance) as given."""

    began: float
    ended: float
    query: NDArray[np.uint8]
    hits: list[tuple[str, int]]


@dataclass
class Record:
    """What happened under the load."""

    items: dict[str, Item] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    adds: int = 0
    deletes: int = 0


def mixed_load(address: str, token: str, seconds: float, queries: NDArray[np.uint8]) -> Record:
    """Put searches by code among texts, adds of texts and deletes on a service at once."""
    record, until = Record(), time.perf_counter() + seconds

    def read(seed: int) -> None:
        rng = np.random.default_rng([1, seed])
        with Client(address) as client:
            while time.perf_counter() < until:
                query = queries[rng.integers(len(queries))]
                began = time.perf_counter()
                answer = client.search(Search(code=query.tobytes(), among="text", k=K))
                hits = [(hit.id, hit.distance) for hit in answer.hits]
                record.seen.append(Seen(began, time.perf_counter(), query, hits))

    def write(seed: int) -> None:
        rng = np.random.default_rng([2, seed])
        own: list[str] = []
        with Client(address, token=token) as client:
            while time.perf_counter() < until:
                text, name = " ".join(rng.choice(WORDS, 4)), f"new-{seed}-{len(own)}"
                code = np.frombuffer(bytes.fromhex(client.encode(text).code), np.uint8)
                record.items[name] = item = Item(code, time.perf_counter(), FOREVER)
                client.add(new_item(name, text))
                item.came = time.perf_counter()
                own.append(name)
                record.adds += 1
                if len(own) % 2:
                    gone = record.items[own[rng.integers(len(own))]]
                    if gone.leaving == FOREVER:
                        gone.leaving = time.perf_counter()
                        client.remove(next(name for name in own if record.items[name] is gone))
                        gone.gone = time.perf_counter()
                        record.deletes += 1

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(READERS)]
    threads += [threading.Thread(target=write, args=(seed,)) for seed in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return record


def wrong_answers(record: Record, names: list[str], codes: NDArray[np.uint8]) -> int:
    """How many answers are not the exact ranking of the items of any moment between their request and their end.

    names, codes: the items that were there all the time. An item that came or went meanwhile may be in an answer or
    not; with those that are in it taken as there and the others as not, the answer must be the exact one: the same
    distances, and every item nearer than the last hit.
    """
    ones = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)
    new = list(record.items.items())
    all_names = np.array([*names, *(name for name, _ in new)], dtype=object)
    all_codes = np.concatenate([codes, *(item.code[None] for _, item in new)])
    wrong = 0
    for seen in record.seen:
        distances = ones[all_codes ^ seen.query].sum(axis=1).astype(int)
        given = {name for name, _ in seen.hits}
        sure = np.ones(len(all_names), bool)
        may = np.ones(len(all_names), bool)
        for number, (name, item) in enumerate(new, len(names)):
            may[number] = item.asked < seen.ended and item.gone > seen.began
            sure[number] = may[number] and (name in given or (item.came <= seen.began and item.leaving >= seen.ended))
        there = np.flatnonzero(sure)
        expected = np.sort(distances[there], kind="stable")[:K].tolist()
        place = {name: number for number, name in enumerate(all_names)}
        exact = [int(distances[place[name]]) for name, _ in seen.hits]
        right = [distance for _, distance in seen.hits] == exact == expected
        wrong += not (right and all(may[place[name]] for name in given) and len(given) == len(seen.hits))
    return wrong
