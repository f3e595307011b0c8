"""Files are written whole or not at all, also when the writer is killed half way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crossbit.files import whole_file, write_whole


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "file.bin"
    write_whole(path, b"first")
    assert path.read_bytes() == b"first"
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]


def test_an_error_leaves_the_old_file_and_no_remains(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail() -> None:
        with whole_file(path) as part:
            part.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_nothing_written_is_an_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def forget() -> None:
        with whole_file(path):
            pass

    with pytest.raises(FileNotFoundError):
        forget()
    assert path.read_text() == "old"


def test_the_part_stands_beside_the_file(tmp_path: Path) -> None:
    """In another folder the last step could cross file systems, and then it is no longer one step."""
    with whole_file(tmp_path / "file.txt") as part:
        part.write_text("new")
        assert part.parent == tmp_path
        assert not (tmp_path / "file.txt").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from crossbit.hasher import Hasher, HashFunction, Layer
import crossbit.files

path = Path(sys.argv[1])
function = HashFunction((Layer(np.ones((2, 8), dtype=np.float32), np.zeros(8, dtype=np.float32)),))
Hasher(function, function, "first").save(path)

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(crossbit.files, sys.argv[2], kill) if sys.argv[2] == "flush" else setattr(os, sys.argv[2], kill)
Hasher(function, function, "second").save(path)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a signal of POSIX systems")
@pytest.mark.parametrize("at", ["flush", "replace"])
def test_a_save_killed_half_way_leaves_the_old_file(tmp_path: Path, at: str) -> None:
    from crossbit.hasher import Hasher

    path = tmp_path / "hasher.safetensors"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), at], check=False)
    assert done.returncode == -signal.SIGKILL
    assert Hasher.load(path).method == "first"
