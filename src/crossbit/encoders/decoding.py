"""Opening and preparing pictures in processes of their own, which know no torch and end with the one that began them.

A picture that kills its process (a decoder that crashes, memory that runs out) is skipped like any other bad one.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from crossbit.encoders.pictures import open_picture
from crossbit.encoders.preparation import Preparation
from crossbit.errors import CrossbitError, DataError

_FRAME = struct.Struct("<cQ")  # what follows (one letter), and how many bytes of it
_PIPE = 1 << 20  # bytes on their way: a prepared picture passes at once, not in the system's pieces of 64 KiB
_CONTENT, _PATH, _PIXELS, _REASON = b"c", b"f", b"p", b"r"
Outcome = NDArray[np.uint8] | str
"""A prepared picture (side, side, 3), or the reason why there is none."""


class PictureReaders:
    """Processes that open pictures and prepare them, asked in any order and each answering in its own time.

    They are started when first needed and end when this is closed or when this process ends, however it ends.
    """

    def __init__(self, preparation: Preparation, workers: int) -> None:
        self._preparation = preparation
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="pictures")
        self._of_thread = threading.local()
        self._all: list[_Reader] = []

    def submit(self, source: Any) -> Future[Outcome]:
        """Ask for a picture, given as file content or Path."""
        return self._threads.submit(self._ask, source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of_error: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for reader in list(self._all):
            reader.end()
        self._threads.shutdown()
        for reader in self._all:  # one that a thread began meanwhile
            reader.end()

    def _ask(self, source: Any) -> Outcome:
        if not isinstance(source, bytes | Path):
            return f"a picture is given as bytes or as a pathlib.Path, not as {type(source).__name__}"
        reader: _Reader | None = getattr(self._of_thread, "reader", None)
        if reader is None:
            reader = self._of_thread.reader = _Reader(self._preparation)
            self._all.append(reader)
        try:
            return reader.ask(source)
        except (EOFError, OSError):
            self._of_thread.reader = None
            self._all.remove(reader)
            return f"the process that opened the picture ended on it (exit code {reader.end()})"


class _Reader:
    """One process, and the pipes to it."""

    def __init__(self, preparation: Preparation) -> None:
        self._side = preparation.side
        begin = "from crossbit.encoders.decoding import serve; serve()"
        command = [sys.executable, "-P", "-W", "ignore", "-c", begin, json.dumps(preparation.to_json())]
        # Not `multiprocessing`: that runs the caller's script again in each process, with all that it imports.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            pipesize=_PIPE if sys.platform == "linux" else -1,
        )
        try:
            self._receive()
        except EOFError as error:
            raise CrossbitError(
                f"A process to open pictures could not be started (exit code {self.end()}); what it said stands above."
            ) from error

    def ask(self, source: bytes | Path) -> Outcome:
        """The outcome of one picture; raises EOFError or OSError where the process ended on it."""
        given = (_CONTENT, source) if isinstance(source, bytes) else (_PATH, os.fsencode(source))
        if self._process.stdin is None:
            raise EOFError
        _send(self._process.stdin, *given)
        kind, content = self._receive()
        if kind == _REASON:
            return content.decode("utf-8", "replace")
        return np.frombuffer(content, np.uint8).reshape(self._side, self._side, 3)

    def end(self) -> int:
        """End the process and tell its exit code."""
        if self._process.poll() is None:
            self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was still to be written has no reader any more
                    continue
        return code

    def _receive(self) -> tuple[bytes, bytes]:
        if self._process.stdout is None:
            raise EOFError
        return _received(self._process.stdout)


def serve() -> None:
    """What such a process does: answer pictures with pixels or reasons until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    outward = os.fdopen(os.dup(1), "wb")
    preparation = Preparation.from_json(json.loads(sys.argv[1]))
    _send(outward, _REASON, b"")
    silence = os.open(os.devnull, os.O_WRONLY)  # decoders print warnings, to both
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    while True:
        try:
            kind, content = _received(sys.stdin.buffer)
            _send(outward, *_answer(preparation, kind, content))
        except (EOFError, BrokenPipeError):
            os._exit(0)  # the asking process has ended: nothing is left to be tidied up, nor to be said


def _answer(preparation: Preparation, kind: bytes, content: bytes) -> tuple[bytes, bytes]:
    try:
        picture = open_picture(content if kind == _CONTENT else Path(os.fsdecode(content)))
        return _PIXELS, preparation(picture).tobytes()
    except DataError as error:
        return _REASON, str(error).encode("utf-8", "replace")
    except MemoryError:
        return _REASON, b"the picture does not fit into memory"
    except Exception as error:  # a picture that opens and cannot be scaled: one bad item stops nothing
        return _REASON, f"the picture cannot be prepared ({error})".encode("utf-8", "replace")


def _send(pipe: IO[bytes], kind: bytes, content: bytes) -> None:
    pipe.write(_FRAME.pack(kind, len(content)))
    pipe.write(content)
    pipe.flush()


def _received(pipe: IO[bytes]) -> tuple[bytes, bytes]:
    kind, length = _FRAME.unpack(_exactly(pipe, _FRAME.size))
    return kind, _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError
    return content
