"""The service as a process: its client, its end, its reload, kill -9 under load, and no torch."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from crossbit.client import Client, Search, ServiceError, new_item
from crossbit.collection import Collection, check_collection
from crossbit.errors import SettingsError
from running_service import running
from service_doubles import TOKEN, VOCABULARY, make_collection, picture

KILLS = 4


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make_collection(tmp_path / "collection")
    return tmp_path / "collection"


def test_the_client_has_the_verbs_of_the_interface(place: Path) -> None:
    with running(place) as service, Client(service.address, token=TOKEN) as client:
        features = VOCABULARY.encode(["red cat"]).features
        expected = Collection.open(place).search_texts(features, 24)[0]
        answer = client.search("red cat")
        assert [(hit.id, hit.distance) for hit in answer.hits] == [(hit.id, hit.distance) for hit in expected]
        assert client.search(Search(code=answer.query.code, among="image")).hits == answer.hits
        assert client.encode("red cat").code == answer.query.code
        odd = "%2e%2e%2f../50% ä/\\?#"
        assert client.add(new_item(odd, "blue sea", metadata={"year": 5})).added == 1
        assert client.item(odd).metadata["year"] == 5
        assert client.info().items == 61
        client.remove(odd)
        with pytest.raises(ServiceError) as gone:
            client.item(odd)
        assert (gone.value.status, gone.value.title) == (404, "Not Found")
        many = [Search(text="sun", k=3), Search(item="nobody"), Search(code="00" * 4)] * 200
        found = list(client.search_many(many))
        assert len(found) == 600
        faults = [one for one in found if isinstance(one, ServiceError)]
        assert [one.line for one in faults] == list(range(2, 601, 3))
        added = list(client.add_many(new_item(f"n{row}", "tree") for row in range(700)))
        assert sum(one.added for one in added if not isinstance(one, ServiceError)) == 700
        assert client.thumbnail("item-5") == client.picture("item-5") == picture(5)
        assert len(client.sample(5).items) == 5
        assert client.facets().facets
        assert client.reload().items == 760
        with pytest.raises(ServiceError) as none_here:  # no picture encoder is at hand in this process
            client.search(Search(picture=picture(1)))
        assert none_here.value.status == 409
    with Client(service.address) as client, pytest.raises(ServiceError, match="does not answer"):
        client.info()
    with pytest.raises(SettingsError, match="http://"):
        Client("localhost:8080")


def test_an_end_finishes_what_was_begun_and_a_reload_drops_nothing(place: Path) -> None:
    with running(place) as service:
        outcomes: list[str] = []
        ending = threading.Event()

        def ask() -> None:
            with Client(service.address) as client:
                while not ending.is_set():
                    try:
                        outcomes.append(str(client.search(Search(text="sun", k=1)).n_bits))
                    except ServiceError as error:
                        outcomes.append(str(error))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in (40, 30):
            make_collection(place, n=n, seed=n, overwrite=True)
            service.process.send_signal(signal.SIGHUP)
            with Client(service.address) as client:
                until = time.monotonic() + 30
                while client.info().items != n and time.monotonic() < until:
                    time.sleep(0.02)
                assert client.info().items == n
        ending.set()
        for thread in threads:
            thread.join()
        assert set(outcomes) == {"32"}
        acknowledged: list[str] = []

        def add() -> None:
            with Client(service.address, token=TOKEN) as client:
                for row in range(10_000):
                    try:
                        client.add(new_item(f"late-{row}", "sea"))
                    except ServiceError:
                        return
                    acknowledged.append(f"late-{row}")

        thread = threading.Thread(target=add)
        thread.start()
        while len(acknowledged) < 20:
            time.sleep(0.01)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == -signal.SIGTERM  # raised anew once all is finished, as is the custom
        thread.join()
    assert set(acknowledged) <= set(Collection.open(place).ids())


def test_what_was_acknowledged_outlives_kill_9(place: Path) -> None:
    acknowledged: set[str] = set()
    removed: set[str] = set()
    absent: set[str] = set()
    for kill in range(KILLS):
        with running(place, "--log", "none") as service:

            def load(worker: int, address: str = service.address, kill: int = kill) -> None:
                with Client(address, token=TOKEN) as client:
                    for row in range(10_000):
                        name = f"{kill}-{worker}-{row}"
                        try:
                            client.add(new_item(name, "red tree", metadata={"year": row}))
                            acknowledged.add(name)
                            if row % 4 == 3:
                                gone = f"{kill}-{worker}-{row - 1}"
                                removed.add(gone)  # whether it went is open until the answer, and then it must be gone
                                client.remove(gone)
                                acknowledged.discard(gone)
                                removed.discard(gone)
                                absent.add(gone)
                        except ServiceError:
                            return

            threads = [threading.Thread(target=load, args=(worker,)) for worker in range(6)]
            for thread in threads:
                thread.start()
            before = len(acknowledged)
            waited = time.monotonic() + 60
            while len(acknowledged) < before + 30 + 25 * kill and time.monotonic() < waited:
                time.sleep(0.005)
            service.kill()
            for thread in threads:
                thread.join()
        held = set(Collection.open(place).ids())
        assert acknowledged - removed <= held
        assert not absent & held
    assert len(acknowledged) > 100
    assert check_collection(place) == []
    snapshot = Collection.open(place).snapshot
    assert snapshot.search(snapshot.codes("text")[np.arange(1)], 1, "text").distances[0, 0] == 0


def test_a_place_that_is_taken_and_a_collection_that_is_none_are_told(place: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from crossbit.cli.app import app

    def told(*arguments: str) -> str:
        return str(CliRunner().invoke(app, ["serve", *arguments]).exception)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "Choose another --port" in told(str(place), "--port", str(taken.getsockname()[1]))
    assert "without a token" in told(str(place), "--host", "0.0.0.0")
    assert "There is no limit 'x'" in told(str(place), "--limit", "x=1")
    assert "takes a number" in told(str(place), "--limit", "k=many")
    (tmp_path / "token").write_text("# none\n")
    assert "holds no token" in told(str(place), "--write-token-file", str(tmp_path / "token"))
    assert "cannot be read" in told(str(place), "--read-token-file", str(tmp_path / "nothing"))
    assert told(str(tmp_path / "nothing")) != ""


def test_headers_without_end_are_refused(place: Path) -> None:
    with running(place) as service:
        port = int(service.address.rsplit(":", 1)[1])
        for endless in (b"X-A: b\r\n" * 1000, b"x" * 9000):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ")
                sent = 0
                try:
                    while sent < 5_000_000:
                        connection.sendall(endless)
                        sent += len(endless)
                except OSError:
                    pass  # the service has closed the connection
                assert sent < 5_000_000
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-A: b\r\n" * 6000 + b"\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
