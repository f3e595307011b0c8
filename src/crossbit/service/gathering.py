"""Searches gathered: those that come while a scan runs are answered together by the next one.

One scan for many queries takes far less than many scans. Nobody waits for others to come: a search that finds no scan
of its kind at work starts one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from crossbit.service.answers import Asked, answers_to

_TOGETHER = 128  # rows that a search looks for, beyond which writing its answer takes longer than its scan
_AT_ONCE = 64  # searches of one scan
_HANDED_OUT = 16  # answers that are handed out together, so that they are on their way while the next are written
_LIGHT = 1 << 19  # comparisons of codes that take less time than handing them to another thread and back
_LIGHT_SEARCHES = 8

_Waiting = deque[tuple[Asked, "asyncio.Future[bytes]"]]


class Gathering:
    """Makes searches on the threads of a pool, those of one kind together; light ones at once on the event loop."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Hashable, _Waiting] = {}  # a kind stands here as long as somebody sees to its searches

    async def answer(self, asked: Asked) -> bytes:
        """The answer to a search as JSON; raises ProblemError with what is wrong. Not made if its task is cancelled."""
        alone = asked.request.ranking == "asymmetric" or asked.wanted > _TOGETHER
        kind: Hashable = object() if alone else asked.kind
        future: asyncio.Future[bytes] = self._loop.create_future()
        waiting = self._waiting.get(kind)
        if waiting is not None:
            waiting.append((asked, future))
        else:
            self._waiting[kind] = deque([(asked, future)])
            # Only then, so that the searches of all requests that came at the same moment are made together.
            self._loop.call_soon(self._begin, kind, alone)
        return await future

    def _begin(self, kind: Hashable, alone: bool) -> None:
        """Make the searches of a kind that wait, here or on a thread; forget the kind where none is left."""
        waiting = self._waiting[kind]
        while waiting and waiting[0][1].done():  # cancelled: nobody waits for it
            waiting.popleft()
        if not waiting:
            del self._waiting[kind]
            return
        asked = waiting[0][0]
        together = min(len(waiting), _LIGHT_SEARCHES)
        if not alone and asked.where is None and together * asked.view.snapshot.count(asked.among) <= _LIGHT:
            self._made(_taken(waiting, together))
            self._loop.call_soon(self._begin, kind, alone)
        else:
            running = self._loop.run_in_executor(self._pool, self._make, waiting)
            running.add_done_callback(lambda done: None if done.cancelled() else self._begin(kind, alone))

    def _made(self, some: list[tuple[Asked, asyncio.Future[bytes]]]) -> None:
        """Make some searches on the event loop."""
        answers = list(answers_to([asked for asked, _ in some]))
        _hand_out([(future, answer) for (_, future), answer in zip(some, answers, strict=True)])

    def _make(self, waiting: _Waiting) -> None:
        """Make the searches that wait by now, on a thread; their answers are handed out on the event loop."""
        some = _taken(waiting, _AT_ONCE)
        if not some:
            return
        futures = iter([future for _, future in some])
        answers = answers_to([asked for asked, _ in some])
        while ready := list(zip(islice(futures, _HANDED_OUT), answers, strict=False)):
            self._loop.call_soon_threadsafe(_hand_out, ready)


def _taken(waiting: _Waiting, most: int) -> list[tuple[Asked, asyncio.Future[bytes]]]:
    """Take up to so many searches that somebody waits for. Others may be put in at the other end meanwhile."""
    some: list[tuple[Asked, asyncio.Future[bytes]]] = []
    while waiting and len(some) < most:
        one = waiting.popleft()
        if not one[1].done():
            some.append(one)
    return some


def _hand_out(ready: list[tuple[asyncio.Future[bytes], bytes | Exception]]) -> None:
    for future, answer in ready:
        if future.done():  # cancelled meanwhile
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
