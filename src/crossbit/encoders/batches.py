"""Batches of items on their way through an encoder, several at once, with the outcome in the items' order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.encoders.encoder import Encoded, Encoder, PictureEncoder
from crossbit.errors import WidthError

Reasons = list[tuple[int, str]]


class Lanes:
    """Threads that compute batches side by side; with none, each batch is computed where it is sent from.

    The first batch is computed alone, because it loads the weights.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="lanes") if count else None
        self._warm = False

    def submit(self, compute: Callable[[Sequence[Any]], Encoded], batch: Sequence[Any]) -> Future[Encoded]:
        """Compute a batch as soon as a lane is free."""
        if self._threads is None:
            done: Future[Encoded] = Future()
            done.set_result(compute(batch))
            return done
        future = self._threads.submit(compute, batch)
        if not self._warm:
            future.result()
            self._warm = True
        return future

    def close(self) -> None:
        """End the threads; batches that wait are not computed."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)


class Batches:
    """One shard's items of a modality: added one at a time, each with its row, and computed in batches."""

    def __init__(self, encoder: Encoder, lanes: Lanes, *, prepared: bool, size: int) -> None:
        self._encoder, self._lanes, self._size = encoder, lanes, size
        self._compute = self._compute_prepared if prepared else encoder.encode
        self._rows: list[int] = []
        self._waiting: list[Any] = []
        self._under_way: deque[tuple[list[int], Future[Encoded]]] = deque()
        self._features: list[NDArray[np.float32]] = []
        self._kept: list[NDArray[np.int64]] = []
        self._reasons: Reasons = []

    def add(self, row: int, item: Any) -> None:
        """One more item; waits where all lanes are busy."""
        self._rows.append(row)
        self._waiting.append(item)
        if len(self._waiting) == self._size:
            self._send()

    def finish(self) -> tuple[NDArray[np.float32], NDArray[np.int64], Reasons]:
        """Features (k, d), the rows they belong to, and the rows of what could not be encoded with the reasons."""
        if self._waiting:
            self._send()
        while self._under_way:
            self._take()
        nothing = np.zeros((0, self._encoder.width), np.float32)
        return np.concatenate([nothing, *self._features]), np.concatenate([[], *self._kept]).astype(int), self._reasons

    def _send(self) -> None:
        while len(self._under_way) > self._lanes.count:
            self._take()
        self._under_way.append((self._rows, self._lanes.submit(self._compute, self._waiting)))
        self._rows, self._waiting = [], []

    def _take(self) -> None:
        rows, future = self._under_way.popleft()
        encoded = future.result()
        if encoded.features.shape[1] != self._encoder.width:
            raise WidthError(
                f"The encoder {self._encoder.fingerprint()} says its features are {self._encoder.width} wide; "
                f"it gave {encoded.features.shape[1]}. Correct its width."
            )
        self._features.append(encoded.features)
        self._kept.append(np.asarray(rows, np.int64)[encoded.kept])
        self._reasons.extend((rows[skip.row], skip.reason) for skip in encoded.skipped)

    def _compute_prepared(self, batch: Sequence[NDArray[np.uint8]]) -> Encoded:
        if not isinstance(self._encoder, PictureEncoder):
            raise TypeError("only a PictureEncoder takes prepared pictures")
        return Encoded.whole(self._encoder.encode_prepared(np.stack(batch)))
