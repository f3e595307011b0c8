"""Codes in Milvus: the real server in a network of its own, and what needs no server."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crossbit.errors import EngineError, MissingExtraError, SettingsError
from crossbit.index.beside import Address

HERE = Path(__file__).resolve().parent
# A network and processes of their own: the server cannot be reached from outside, and none of it outlives the test.
ALONE = ("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
SECONDS = 900  # the end of a server that hangs; the checks take one or two minutes where nothing else runs


def what_is_missing() -> str:
    """Why the server cannot run here, or ""."""
    if sys.platform != "linux" or shutil.which("unshare") is None or shutil.which("ip") is None:
        return "a network of its own needs Linux with unshare and ip"
    for package in ("pymilvus", "milvus"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is missing: pip install pymilvus, and  pip install --no-deps milvus==2.3.5"
    tried = subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    return f"no network of its own can be made here: {tried.stderr.strip()}" if tried.returncode else ""


def test_the_real_server_in_a_network_of_its_own(tmp_path: Path) -> None:
    missing = what_is_missing()
    if missing:
        pytest.skip(missing)
    checks = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    # The server's own package leaves sockets open; nothing else may.
    checks += ["-W", "ignore::ResourceWarning", "-W", "ignore::pytest.PytestUnraisableExceptionWarning"]
    checks += [f"--basetemp={tmp_path / 'run'}"]
    script = 'ip link set lo up && exec "$@"'
    done = subprocess.run(
        [*ALONE, "sh", "-c", script, "sh", *checks, str(HERE / "milvus_checks.py")],
        cwd=HERE.parent,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from crossbit.index.milvus import MilvusIndex

    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingExtraError, match=r"crossbit\[milvus\]"):
        MilvusIndex(8, "http://nowhere", "codes")


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymilvus", reason="pymilvus is missing: pip install 'crossbit[milvus]'")
    from crossbit.index import milvus

    monkeypatch.setattr(milvus, "_ATTEMPTS", 1)
    with pytest.raises(EngineError, match=r"Milvus at http://127\.0\.0\.1:1 failed"):
        milvus.MilvusIndex(8, "http://127.0.0.1:1", "codes", timeout=0.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("milvus://host:19530/shop", Address("milvus", "host:19530", "shop")),
        ("postgresql://me:pw@host/data/shop_2", Address("postgresql", "me:pw@host/data", "shop_2")),
    ],
)
def test_addresses(text: str, expected: Address) -> None:
    assert Address.parse(text) == expected


@pytest.mark.parametrize("text", ["milvus://host", "milvus:///shop", "host/shop", "milvus://u:secret@h/a b", ""])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(SettingsError, match="milvus://host:port/name") as caught:
        Address.parse(text)
    assert "secret" not in str(caught.value)
