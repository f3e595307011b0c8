"""The desk between requests and the collection: searches run on worker threads, changes on one of their own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from crossbit.service.additions import Addition, IfExists, Ready, encoded
from crossbit.service.answers import asked_of
from crossbit.service.bodies import picture_content
from crossbit.service.gathering import Gathering
from crossbit.service.metrics import Metrics, Stopwatch
from crossbit.service.models import AddAnswer, EncodeAnswer, EncodeRequest, NewItem, ReloadAnswer, SearchRequest
from crossbit.service.problems import ProblemError
from crossbit.service.records import hex_of
from crossbit.service.settings import ServiceSettings
from crossbit.service.view import View
from crossbit.service.writing import Change, RebuiltError, Reload, Removal, WriterThread

Result = TypeVar("Result")


class Desk:
    """Holds the present view of the collection, and lets requests at it. One desk serves one application."""

    def __init__(self, path: Path, settings: ServiceSettings, metrics: Metrics) -> None:
        self.path = path
        self.settings = settings
        self.metrics = metrics
        self._view: View | None = None
        self._writer: WriterThread | None = None
        self._workers: ThreadPoolExecutor | None = None
        self._gathering: Gathering | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the collection for as long as the block runs; at its end, what was begun is finished."""
        loop = asyncio.get_running_loop()
        workers = self.settings.limits.workers
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="crossbit-work")
        # Of their own, so that what is encoded already does not wait for what is not.
        scanners = ThreadPoolExecutor(workers, thread_name_prefix="crossbit-search")
        self._gathering = Gathering(scanners)
        self._writer = await asyncio.to_thread(WriterThread, self.path, self.settings, self.metrics, self._publish)
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):  # only in a main thread
            loop.add_signal_handler(signal.SIGHUP, self._writer.submit, Reload())
        try:
            yield
        finally:
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.remove_signal_handler(signal.SIGHUP)
            await asyncio.to_thread(self._writer.close)
            for pool in (self._workers, scanners):
                pool.shutdown(wait=True, cancel_futures=True)
            self._view = self._writer = self._gathering = None

    def _publish(self, view: View) -> None:
        self._view = view

    @property
    def ready(self) -> bool:
        """Whether searches are answered."""
        return self._view is not None

    @property
    def view(self) -> View:
        """The collection as it is served now; raises ProblemError 503 before it is open."""
        if self._view is None:
            raise ProblemError(503, "The collection is not open.", {"Retry-After": "1"})
        return self._view

    def size(self) -> int:
        """Items in the collection; 0 before it is open."""
        return 0 if self._view is None else len(self._view.snapshot)

    async def work(self, call: Callable[[], Result]) -> Result:
        """Run a call on a worker thread, given up after the seconds of the limits; if it waits still, it never runs."""
        if self._workers is None:
            raise ProblemError(503, "The collection is not open.", {"Retry-After": "1"})
        async with asyncio.timeout(self.settings.limits.seconds):
            return await asyncio.get_running_loop().run_in_executor(self._workers, call)

    async def _change(self, change: Change) -> Any:
        if self._writer is None:
            raise ProblemError(503, "The collection is not open.", {"Retry-After": "1"})
        # Shielded: a client that goes away does not leave a change half done.
        return await asyncio.shield(asyncio.wrap_future(self._writer.submit(change)))

    async def search(self, request: SearchRequest, picture: bytes | None) -> bytes:
        """The answer to a search, as JSON; it is not made any more where its task is cancelled."""
        if self._gathering is None:
            raise ProblemError(503, "The collection is not open.", {"Retry-After": "1"})
        view, watch = self.view, Stopwatch(self.metrics)
        if request.code is not None and picture is None:  # nothing is to be encoded or looked up
            asked = asked_of(view, request, None, watch)
        else:
            asked = await self.work(lambda: asked_of(view, request, picture, watch))
        return await self._gathering.answer(asked)

    def encode(self, request: EncodeRequest) -> EncodeAnswer:
        """The code of a text or a picture."""
        encoding, watch = self.view.encoding, Stopwatch(self.metrics)
        with watch.stage("encode"):
            if request.text is not None:
                codes = encoding.hasher.encode_texts(encoding.text_features(request.text))
            else:
                content = picture_content(request.picture or "")
                codes = encoding.hasher.encode_images(encoding.picture_features(content))
        return EncodeAnswer(code=hex_of(codes.packed[0]), n_bits=codes.n_bits, hasher=encoding.fingerprint)

    async def reload(self) -> ReloadAnswer:
        """Take over what stands on disk now."""
        answer: ReloadAnswer = await self._change(Reload())
        return answer

    async def write(self, items: Sequence[NewItem], pictures: Mapping[str, bytes], if_exists: IfExists) -> AddAnswer:
        """Encode and add items; when it returns they are on disk. pictures: contents by id, beside those in items."""
        for _ in range(3):
            encoding = self.view.encoding

            def ready(item: NewItem, encoding: Any = encoding) -> Ready:
                with Stopwatch(self.metrics).stage("encode"):
                    return encoded(encoding, item, pictures.get(item.id))

            made = [await self.work(lambda item=item: ready(item)) for item in items]  # type: ignore[misc]  # bound here
            try:
                answer: AddAnswer = await self._change(Addition(made, if_exists, encoding))
                return answer
            except RebuiltError:
                continue  # the collection was rebuilt by another hasher: encode anew
        raise ProblemError(503, "The collection is being rebuilt. Try again.", {"Retry-After": "5"})

    async def remove(self, item_id: str) -> None:
        """Remove an item; raises ProblemError 404 where it is not there."""
        await self._change(Removal(item_id))
