"""The service as a process of its own on loopback, for tests of what only a process can show."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from service_doubles import TOKEN


@dataclass
class Running:
    """A started service. address: where it listens."""

    process: subprocess.Popen[str]
    address: str

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


@contextmanager
def running(place: Path, *options: str, prelude: str = "") -> Iterator[Running]:
    """The service of a collection; what still runs at the end of the block is killed. prelude: Python run before."""
    source = f"{prelude}\nfrom crossbit.cli import main\nmain()"
    command = [sys.executable, "-c", source, "serve", str(place), "--port", "0", "--json", *options]
    environment = os.environ | {"CROSSBIT_WRITE_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
    with (place.parent / "service.log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (place.parent / "service.log").read_text()
        # The document is printed over several lines; the address stands on a line of its own.
        text = line
        while not text.rstrip().endswith("}"):
            text += process.stdout.readline()
        yield Running(process, json.loads(text)["address"])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def in_thread(app: FastAPI) -> Iterator[str]:
    """The address of an application that a thread of this process serves on loopback."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
