"""Changes to the collection: one thread makes them, and those that wait together reach the disk in one flush.

A change is answered once it is on the disk and in the view that searches see, so whoever was answered finds it.
"""

from __future__ import annotations

import errno
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from crossbit.collection import Collection
from crossbit.errors import BusyError, DataError, MismatchError
from crossbit.service.additions import Addition, add_one, add_together
from crossbit.service.encoding import Encoding
from crossbit.service.metrics import Metrics, Stopwatch
from crossbit.service.models import ReloadAnswer
from crossbit.service.problems import ProblemError
from crossbit.service.settings import ServiceSettings
from crossbit.service.view import View

_LOG = logging.getLogger("crossbit.service")
_TOGETHER = 256  # changes made durable together at most
_ITEMS = 1_000  # their items: so many still go to the collection's log


class RebuiltError(Exception):
    """The collection on disk has another hasher now; what was encoded for the old one must be encoded anew."""


@dataclass(frozen=True, eq=False)
class Removal:
    """An item to remove."""

    item_id: str

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids it touches."""
        return (self.item_id,)


@dataclass(frozen=True, eq=False)
class Reload:
    """Open the collection again."""

    ids: tuple[str, ...] = ()


Change = Addition | Removal | Reload


@dataclass(frozen=True, eq=False)
class _Waiting:
    change: Change
    until: float  # begun later than this, nobody waits for it any more
    answer: Future[Any] = field(default_factory=Future)


class WriterThread:
    """Owns the open collection. publish: takes each new view; the first one before the constructor returns."""

    def __init__(
        self, path: Path, settings: ServiceSettings, metrics: Metrics, publish: Callable[[View], None]
    ) -> None:
        self._path, self._settings, self._metrics, self._publish = path, settings, metrics, publish
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._held: _Waiting | None = None  # taken from the queue, and made with the next group
        self._collection, self._view = self._opened()
        self._publish(self._view)
        self._thread = threading.Thread(target=self._run, name="crossbit-write")
        self._thread.start()

    def submit(self, change: Change) -> Future[Any]:
        """Have a change made; its outcome comes once it is on the disk."""
        waiting = _Waiting(change, monotonic() + self._settings.limits.seconds)
        self._queue.put(waiting)
        return waiting.answer

    def close(self) -> None:
        """Make what waits, then end."""
        self._queue.put(None)
        self._thread.join()
        self._collection.close()

    def _opened(self) -> tuple[Collection, View]:
        collection = Collection.open(self._path)
        view = View.of(
            collection, Encoding.of(collection, self._settings.limits, self._settings.encoders), self._settings
        )
        view.warm_up()
        return collection, view

    def _open_again(self) -> None:
        """Take over what stands on disk; requests at work keep the view they began with."""
        before = self._collection
        self._collection, self._view = self._opened()
        before.close()
        self._publish(self._view)

    def _run(self) -> None:
        while True:
            group, ended = self._group()
            if group:
                try:
                    self._make(group)
                except Exception as error:  # nobody may wait for ever, whatever happens
                    for one in group:
                        if not one.answer.done():
                            one.answer.set_exception(error)
            if ended:
                return

    def _group(self) -> tuple[list[_Waiting], bool]:
        """What waits, as far as it can be made together: no id twice, and a reload alone."""
        group: list[_Waiting] = []
        names: set[str] = set()
        one = self._held or self._queue.get()
        self._held = None
        while one is not None:
            apart = isinstance(one.change, Reload) or not names.isdisjoint(one.change.ids)
            if group and (apart or len(names) + len(one.change.ids) > _ITEMS):
                self._held = one
                return group, False
            group.append(one)
            names.update(one.change.ids)
            if isinstance(one.change, Reload) or len(group) >= _TOGETHER:
                return group, False
            try:
                one = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _make(self, group: Sequence[_Waiting]) -> None:
        begun = []
        for one in group:
            if one.answer.set_running_or_notify_cancel():
                if monotonic() < one.until:
                    begun.append(one)
                else:
                    one.answer.set_exception(TimeoutError())
        with Stopwatch(self._metrics).stage("write"):
            outcomes = self._outcomes([one.change for one in begun])
        for one, outcome in zip(begun, outcomes, strict=True):
            if isinstance(outcome, Exception):
                one.answer.set_exception(outcome)
            else:
                one.answer.set_result(outcome)

    def _outcomes(self, changes: Sequence[Change]) -> list[Any]:
        if any(isinstance(change, Reload) for change in changes):
            return [self._tried(self._reload) for _ in changes]
        try:
            self._collection.refresh()  # another process may have changed or rebuilt it
            if self._collection.manifest.hasher != self._view.encoding.fingerprint:
                self._open_again()
        except Exception as error:
            return [_as_problem(error)] * len(changes)
        outcomes: dict[int, Any] = {}
        added = {place: one for place, one in enumerate(changes) if isinstance(one, Addition)}
        current = {place: one for place, one in added.items() if one.encoding is self._view.encoding}
        outcomes |= {place: RebuiltError() for place in added if place not in current}
        outcomes |= self._additions(current)
        outcomes |= self._removals({n: one for n, one in enumerate(changes) if isinstance(one, Removal)})
        self._view = self._view.after(self._collection)
        self._publish(self._view)
        return [outcomes[place] for place in range(len(changes))]

    def _additions(self, additions: dict[int, Addition]) -> dict[int, Any]:
        """The outcomes of additions by their places: together where all is new, else one after another."""
        try:
            together = add_together(self._collection, list(additions.values()))
        except (DataError, MismatchError):
            together = None  # one of them is at fault; the others must not suffer for it
        except Exception as error:
            return dict.fromkeys(additions, _as_problem(error))
        if together is not None:
            return dict(zip(additions, together, strict=True))
        return {place: self._tried(partial(add_one, self._collection, one)) for place, one in additions.items()}

    def _removals(self, removals: dict[int, Removal]) -> dict[int, Any]:
        there = {place: one.item_id in self._collection for place, one in removals.items()}
        names = [one.item_id for place, one in removals.items() if there[place]]
        absent = ProblemError(404, "There is no item of this id.")
        if names:
            failed = self._tried(lambda: self._collection.remove(names, missing="ignore"))
            if isinstance(failed, Exception):
                return dict.fromkeys(removals, failed)
        return {place: None if there[place] else absent for place in removals}

    def _reload(self) -> ReloadAnswer:
        self._open_again()
        _LOG.info("reloaded: %d items", len(self._collection))
        return ReloadAnswer(items=len(self._collection), revision=self._view.revision)

    @staticmethod
    def _tried(call: Callable[[], Any]) -> Any:
        """What a call returns, or as a value what it raises."""
        try:
            return call()
        except Exception as error:
            return _as_problem(error)


def _as_problem(error: Exception) -> Exception:
    """What a failed change is to the client; RebuiltError and what is a problem already stay as they are."""
    if isinstance(error, BusyError):
        return ProblemError(503, "Another process is changing the collection. Try again.", {"Retry-After": "1"})
    if isinstance(error, MismatchError):
        return RebuiltError()
    if isinstance(error, OSError):
        _LOG.error("the collection cannot be written: %s", errno.errorcode.get(error.errno or 0, "unknown"))
        return ProblemError(503, "The collection cannot be written at the moment; nothing of this was added.")
    return error
