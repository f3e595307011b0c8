"""Adding and removing through the service: durable, idempotent, in step with what searches find."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from crossbit.collection import Collection
from service_doubles import WRITER, know_mean_colours, make_collection, picture, service


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make_collection(tmp_path / "collection")
    return tmp_path / "collection"


@pytest.fixture
def client(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    know_mean_colours(monkeypatch)
    with service(place) as opened:
        yield opened


def add(client: TestClient, *items: dict[str, Any], if_exists: str = "replace") -> Any:
    return client.post("/v1/items", json={"items": list(items), "if_exists": if_exists}, headers=WRITER)


def test_what_is_added_is_found_and_on_disk(client: TestClient, place: Path) -> None:
    content = base64.b64encode(picture(500)).decode()
    answer = add(
        client, {"id": "new", "text": "red sea", "picture": content, "metadata": {"year": 1999, "fresh": "ja"}}
    )
    assert (answer.status_code, answer.json()["added"], answer.json()["items"]) == (201, 1, 61)
    found = client.post("/v1/search", json={"picture": content, "among": "image", "k": 1}).json()["hits"][0]
    assert (found["id"], found["distance"], found["metadata"]["fresh"]) == ("new", 0, "ja")
    assert client.get(found["thumbnail"]).content == picture(500)
    assert Collection.open(place).get("new").caption == "red sea"


def test_the_same_again_changes_nothing_and_other_content_does_as_asked(client: TestClient) -> None:
    one = {"id": "one", "text": "green tree"}
    assert add(client, one).json()["added"] == 1
    again = add(client, one)
    assert (again.status_code, again.json()["unchanged"], again.json()["items"]) == (200, 1, 61)
    other = {"id": "one", "text": "blue tree"}
    assert add(client, other, if_exists="refuse").status_code == 409
    assert add(client, other, if_exists="keep").json()["unchanged"] == 1
    assert client.get("/v1/items/one").json()["caption"] == "green tree"
    assert add(client, other).json()["replaced"] == 1
    assert client.get("/v1/items/one").json()["caption"] == "blue tree"


@pytest.mark.parametrize(
    "item_id",
    [
        "a/b/c",
        "../../etc/passwd",
        "50% off?&#",
        "ä ö 😀",
        "..a",
        "x" * 500,
        "a//b",
        "\\n",
        "'; --",
        "\u202e",
    ],
)
def test_any_id_is_a_name_and_never_a_path(client: TestClient, item_id: str) -> None:
    assert add(client, {"id": item_id, "text": "sun"}).status_code == 201
    hits = client.post("/v1/search", json={"text": "sun", "among": "text", "k": 60}).json()["hits"]
    assert item_id in {hit["id"] for hit in hits}
    address = f"/v1/items/{quote(item_id, safe='')}"
    assert client.get(address).json()["id"] == item_id
    assert client.delete(address, headers=WRITER).status_code == 204
    assert client.get(address).status_code == 404
    assert client.delete(address, headers=WRITER).status_code == 404


def test_an_item_comes_as_a_form_with_its_picture(client: TestClient) -> None:
    data = {"item": json.dumps({"id": "form", "metadata": {"year": 5}})}
    answer = client.post("/v1/items", files={"picture": ("../../name", picture(3))}, data=data, headers=WRITER)
    assert answer.status_code == 201, answer.text
    shown = client.get("/v1/items/form").json()
    assert (shown["has_image"], shown["has_text"], shown["metadata"]["year"]) == (True, False, 5)


def test_lines_are_added_in_groups_and_each_fault_is_named(client: TestClient) -> None:
    lines = [json.dumps({"id": f"n{row}", "text": "red cat"}) for row in range(150)]
    lines[10] = '{"id": "n10"}'
    lines[20] = "no json"
    lines[30] = json.dumps({"id": "n0", "text": "blue dog"})
    headers = {**WRITER, "content-type": "application/x-ndjson"}
    answer = client.post("/v1/items", content="\n".join(lines), headers=headers)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert [(one["line"], one["status"]) for one in told if "status" in one] == [(11, 422), (21, 400)]
    groups = [one for one in told if "ids" in one]
    assert [name for one in groups for name in one["ids"]] == [
        f"n{row}" if row != 30 else "n0" for row in range(150) if row not in (10, 20)
    ]
    assert client.get("/v1/items/n0").json()["caption"] == "blue dog"
    assert client.get("/v1/info").json()["items"] == 60 + 147


@pytest.mark.parametrize(
    ("item", "status"),
    [
        ({"id": "x"}, 422),
        ({"id": "", "text": "sun"}, 422),
        ({"id": "..", "text": "sun"}, 422),
        ({"id": "x" * 501, "text": "sun"}, 422),
        ({"id": "x", "text": "wordless nonsense"}, 422),
        ({"id": "x", "text": "sun", "metadata": {"year": "a text"}}, 422),
        ({"id": "x", "text": "sun", "metadata": {"year": 2**70}}, 422),
        ({"id": "x", "text": "sun", "metadata": {"deep": [1]}}, 422),
        ({"id": "x", "text": "sun", "metadata": {"id": "own"}}, 422),
        ({"id": "x", "text": "sun", "metadata": {"n" * 300: 1}}, 422),
        ({"id": "x", "text": "sun", "other": 1}, 422),
        ({"id": "x", "picture": "no base64!"}, 422),
        ({"id": "x", "picture": base64.b64encode(b"no picture").decode()}, 422),
        ({"id": "x", "picture": base64.b64encode(picture(1)[:60]).decode()}, 422),
    ],
)
def test_items_that_cannot_be_are_refused_and_nothing_is_lost(client: TestClient, item: Any, status: int) -> None:
    answer = add(client, {"id": "good", "text": "sun"}, item)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/v1/items/good").status_code == 404
    assert client.get("/v1/info").json()["items"] == 60


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused(client: TestClient, value: str) -> None:
    body = '{"items": [{"id": "x", "text": "sun", "metadata": {"price": VALUE}}]}'.replace("VALUE", value)
    answer = client.post("/v1/items", content=body, headers={**WRITER, "content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text


def test_changes_that_wait_together_are_each_answered_rightly(client: TestClient, place: Path) -> None:
    answers: dict[str, Any] = {}

    def change(name: str, call: Any) -> None:
        answers[name] = call()

    calls = {f"add{n}": (lambda n=n: add(client, {"id": f"t{n}", "text": "red sea"})) for n in range(20)}
    calls |= {"known": lambda: add(client, {"id": "item-5", "text": "sun"})}
    calls |= {"wrong": lambda: add(client, {"id": "w", "text": "sun", "metadata": {"year": "x"}})}
    calls |= {f"gone{n}": (lambda n=n: client.delete(f"/v1/items/item-{n}", headers=WRITER)) for n in range(10, 15)}
    calls |= {"absent": lambda: client.delete("/v1/items/nobody", headers=WRITER)}
    threads = [threading.Thread(target=change, args=pair) for pair in calls.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answers[f"add{n}"].status_code for n in range(20)} == {201}
    assert {answers[f"gone{n}"].status_code for n in range(10, 15)} == {204}
    assert [answers[name].status_code for name in ("known", "wrong", "absent")] == [200, 422, 404]
    assert answers["known"].json()["replaced"] == 1
    expected = {f"item-{n}" for n in range(60) if not 10 <= n < 15} | {f"t{n}" for n in range(20)}
    assert set(Collection.open(place).ids()) == expected


def test_a_collection_rebuilt_by_another_hasher_is_taken_over(client: TestClient, place: Path) -> None:
    before = client.get("/v1/info").json()
    make_collection(place, n=30, seed=1, overwrite=True)
    assert client.post("/v1/search", json={"text": "sun"}).json()["hasher"] == before["hasher"]["fingerprint"]
    answer = add(client, {"id": "after", "text": "red sea"})
    assert (answer.status_code, answer.json()["items"]) == (201, 31)
    info = client.get("/v1/info").json()
    assert info["hasher"]["fingerprint"] != before["hasher"]["fingerprint"]
    found = client.post("/v1/search", json={"text": "red sea", "among": "text", "k": 1}).json()["hits"][0]
    assert (found["id"], found["distance"]) == ("after", 0)


def test_a_reload_takes_over_what_another_process_did(client: TestClient, place: Path) -> None:
    Collection.open(place).remove(["item-6"])
    assert client.get("/v1/items/item-6").status_code == 200
    answer = client.post("/v1/admin/reload", headers=WRITER)
    assert (answer.status_code, answer.json()["items"]) == (200, 59)
    assert client.get("/v1/items/item-6").status_code == 404
