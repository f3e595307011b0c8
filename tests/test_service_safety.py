"""What the service refuses: strangers, too much, too long, too many, and whatever is not what it seems."""

from __future__ import annotations

import base64
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from crossbit.collection import Collection
from crossbit.errors import SettingsError
from crossbit.service import Limits, ServiceSettings
from service_doubles import TOKEN, WRITER, MeanColours, know_mean_colours, make_collection, picture, refused, service

SMALL = {"body_bytes": 50_000, "bulk_bytes": 100_000, "line_bytes": 500, "picture_pixels": 10_000, "k": 50, "batch": 3}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service") / "collection"
    make_collection(folder)
    return folder


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        know_mean_colours(patch)
        with service(place, limits={**SMALL, "text_characters": 100}) as opened:
            yield opened


def test_changes_need_the_write_token(client: TestClient) -> None:
    body = {"items": [{"id": "x", "text": "sun"}]}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": ""}):
        refused(client.post("/v1/items", json=body, headers=headers), 401)
        refused(client.delete("/v1/items/item-5", headers=headers), 401)
        refused(client.post("/v1/admin/reload", headers=headers), 401)
    assert client.get("/v1/items/item-5").status_code == 200


def test_without_a_write_token_nothing_changes(place: Path) -> None:
    with service(place, write_tokens=()) as client:
        refused(client.delete("/v1/items/item-5", headers=WRITER), 403)
        refused(client.post("/v1/items", json={}, headers=WRITER), 403)
        assert not client.get("/v1/info").json()["writable"]


def test_read_tokens_keep_others_out(place: Path) -> None:
    reader = "a-reader-of-this-test-01234"
    with service(place, read_tokens=(reader,)) as client:
        for path in ("/v1/info", "/v1/items/item-5", "/v1/thumbnails/item-5", "/v1/sample", "/v1/facets", "/metrics"):
            refused(client.get(path), 401)
            for token in (reader, TOKEN):
                assert client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 200
        refused(client.post("/v1/search", json={"text": "sun"}), 401)
        refused(client.delete("/v1/items/item-5", headers={"Authorization": f"Bearer {reader}"}), 401)
        assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/")] == [200, 200, 200]


def test_settings_that_are_not_safe_are_refused() -> None:
    for host in ("0.0.0.0", "192.168.1.2", "::", "example.org"):
        with pytest.raises(SettingsError, match="without a token"):
            ServiceSettings(host=host)
        ServiceSettings(host=host, write_tokens=(TOKEN,))
    for token in ("short", "with spaces in between it", "ä" * 20):
        with pytest.raises(SettingsError, match="16 or more"):
            ServiceSettings(write_tokens=(token,))
    for wrong in (0, -1, float("nan"), True, "5", 2.5):
        with pytest.raises(SettingsError, match="above 0"):
            Limits(k=wrong)
    assert TOKEN not in repr(ServiceSettings(write_tokens=(TOKEN,)))


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""])
def test_a_strangers_name_is_not_answered(client: TestClient, host: str) -> None:
    refused(client.get("/v1/info", headers={"host": host}), 421)


def test_every_limit_answers(client: TestClient) -> None:
    refused(client.post("/v1/search", content=b"x" * 50_001, headers={"content-type": "application/json"}), 413)
    chunks = (b" " * 10_000 for _ in range(6))
    refused(client.post("/v1/search", content=chunks, headers={"content-type": "application/json"}), 413)
    refused(client.post("/v1/search", json={"text": "sun", "k": 51}), 422)
    refused(client.post("/v1/search", json={"text": "sun", "k": 20, "offset": 31}), 422)
    refused(client.post("/v1/search", json={"text": "sun " * 26}), 422)
    items = [{"id": str(row), "text": "sun"} for row in range(4)]
    assert "at most 3" in refused(client.post("/v1/items", json={"items": items}, headers=WRITER), 422)
    large = base64.b64encode(picture(1, side=101)).decode()
    assert "10000 pixels" in refused(client.post("/v1/search", json={"picture": large}), 422)
    lines = b'{"text": "sun"}\n{"text": "' + b"s" * 600 + b'"}\n{"text": "sea"}\n'
    answer = client.post("/v1/search/bulk", content=lines, headers={"content-type": "application/x-ndjson"})
    assert [json.loads(line).get("status") for line in answer.text.splitlines()] == [None, 413, None]
    bulk = client.post("/v1/search/bulk", content=b"\n" * 100_001, headers={"content-type": "application/x-ndjson"})
    refused(bulk, 413)
    pieces = (b'{"text": "sun", "k": 1}\n' * 1_000 for _ in range(5))
    stream = client.post("/v1/search/bulk", content=pieces, headers={"content-type": "application/x-ndjson"})
    assert json.loads(stream.text.splitlines()[-1])["status"] == 413


def test_no_path_of_a_request_reaches_the_file_system(client: TestClient, tmp_path: Path) -> None:
    secret = tmp_path / "mark-of-this-test.png"
    secret.write_bytes(picture(1))
    opened: list[str] = []
    watching = [True]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching[0] and event in ("open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir"):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)  # cannot be taken off again
    try:
        for name in (str(secret), f"../../../..{secret}", f"item-5/../../{secret}", f"file://{secret}"):
            for route in ("items", "pictures", "thumbnails"):
                escaped = "".join(f"%{byte:02x}" for byte in name.encode())
                assert client.get(f"/v1/{route}/{escaped}").status_code == 404
            assert client.get(f"/static/{name}").status_code in (404, 200)
            body = {"items": [{"id": name, "text": "sun", "metadata": {"picture_path": name}}]}
            assert client.post("/v1/items", json=body, headers=WRITER).status_code == 201
            escaped = "".join(f"%{byte:02x}" for byte in name.encode())
            assert client.get(f"/v1/pictures/{escaped}").status_code == 404
            client.post("/v1/search", files={"picture": (name, picture(1))}, data={"request": "{}"})
            assert client.delete(f"/v1/items/{escaped}", headers=WRITER).status_code == 204
    finally:
        watching[0] = False
    assert not [path for path in opened if "mark-of-this-test" in path]


def test_nothing_asked_is_in_the_log(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    for form in ("plain", "json"):
        with service(place, log=form) as client, caplog.at_level(logging.INFO):
            logging.getLogger("crossbit.service").propagate = True
            logging.getLogger("crossbit.service.access").propagate = True
            client.post("/v1/search", json={"text": "sun secretword", "where": "secretword"})
            client.get("/v1/items/secretword?secretword=1", headers={"Authorization": "Bearer secretword"})
            client.get("/secretword")
            client.post("/v1/items", json={"items": [{"id": "secretword"}]}, headers=WRITER)
    told = "\n".join(one.getMessage() for one in caplog.records if one.name.startswith(("crossbit", "uvicorn")))
    assert "GET /v1/items/{item_id:path} 404" in told
    assert '"status": 422' in told
    assert "secretword" not in told


def test_too_many_at_once_are_sent_away(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know_mean_colours(monkeypatch)
    going_on, begun = threading.Event(), threading.Semaphore(0)

    def slow(self: MeanColours, items: Any) -> Any:
        begun.release()
        going_on.wait(30)
        return original(self, items)

    original = MeanColours.encode
    with service(place, limits={"concurrent": 2, "workers": 1, "seconds": 20}) as client:
        monkeypatch.setattr(MeanColours, "encode", slow)
        content = base64.b64encode(picture(1)).decode()
        waiting = [
            threading.Thread(target=client.post, args=("/v1/search",), kwargs={"json": {"picture": content}})
            for _ in range(2)
        ]
        for thread in waiting:
            thread.start()
        begun.acquire()
        while "crossbit_requests_at_work 2.0" not in client.get("/metrics").text:
            time.sleep(0.01)
        answer = client.get("/v1/info")
        refused(answer, 503)
        assert answer.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200
        going_on.set()
        for thread in waiting:
            thread.join()
        assert client.get("/v1/info").status_code == 200


def test_work_that_nobody_waits_for_does_not_pile_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know_mean_colours(monkeypatch)
    going_on, calls = threading.Event(), []

    def slow(self: MeanColours, items: Any) -> Any:
        calls.append(1)
        going_on.wait(30)
        return original(self, items)

    original = MeanColours.encode
    with service(place, limits={"workers": 1, "seconds": 0.5}) as client:
        monkeypatch.setattr(MeanColours, "encode", slow)
        content = base64.b64encode(picture(1)).decode()
        for _ in range(4):
            refused(client.post("/v1/search", json={"picture": content}), 503)
        going_on.set()
        assert client.post("/v1/search", json={"picture": content}).status_code == 200
    assert len(calls) == 2  # the first, which had begun, and the last: the others were never run


def test_thumbnails_are_read_by_many_threads(place: Path) -> None:
    """Of the present format and of the first one; Arrow's readers are for one thread at a time."""
    old = Path(__file__).parent / "data" / "collection-v1"
    for folder in (place, old):
        snapshot = Collection.open(folder).snapshot
        rows = range(int(snapshot.starts[-1]))
        expected = [snapshot.thumbnail(row) for row in rows]
        fresh = Collection.open(folder).snapshot
        found: list[bool] = []

        def read(snapshot: Any = fresh, rows: range = rows, right: Any = expected, found: Any = found) -> None:
            for _ in range(20):
                found.append([snapshot.thumbnail(row) for row in rows] == right)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 160
