"""What the service finds, held to the index itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from crossbit.calibration import Calibration
from crossbit.collection import Collection, Items
from service_doubles import (
    N_BITS,
    VOCABULARY,
    MeanColours,
    hasher_of,
    know_mean_colours,
    make_collection,
    picture,
    service,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service") / "collection"
    make_collection(folder)
    return folder


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        know_mean_colours(patch)
        with service(place) as opened:
            yield opened


def search(client: TestClient, **request: Any) -> dict[str, Any]:
    answer = client.post("/v1/search", json=request)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def pairs(answer: dict[str, Any]) -> list[tuple[str, int]]:
    return [(hit["id"], hit["distance"]) for hit in answer["hits"]]


@pytest.mark.parametrize("among", ["image", "text"])
def test_a_text_finds_what_the_collection_finds(client: TestClient, place: Path, among: Any) -> None:
    collection = Collection.open(place)
    features = VOCABULARY.encode(["small red house"]).features
    expected = collection.search_texts(features, 20, among=among)[0]
    answer = search(client, text="small red house", among=among, k=20)
    assert pairs(answer) == [(hit.id, hit.distance) for hit in expected]
    assert answer["hits"][3]["caption"] == expected[3].caption
    assert answer["hits"][3]["metadata"] == dict(expected[3].metadata)
    assert answer["query"] == {
        "modality": "text",
        "code": hasher_of().encode_texts(features).packed[0].tobytes().hex(),
    }
    assert set(answer["took_ms"]) == {"decode", "encode", "search", "total"}
    assert (answer["n_bits"], answer["hasher"]) == (N_BITS, hasher_of().fingerprint())


def test_a_picture_asks_as_a_file_and_in_base64(client: TestClient, place: Path) -> None:
    expected = Collection.open(place).search_images(MeanColours().encode([picture(9)]).features, 5)[0]
    by_form = client.post(
        "/v1/search", files={"picture": ("any name", picture(9))}, data={"request": json.dumps({"k": 5})}
    )
    in_text = search(client, picture=base64.b64encode(picture(9)).decode(), k=5)
    assert pairs(by_form.json()) == pairs(in_text) == [(hit.id, hit.distance) for hit in expected]
    same = search(client, picture="data:image/png;base64," + base64.b64encode(picture(9)).decode(), among="image", k=1)
    assert pairs(same) == [("item-9", 0)]


def test_an_item_asks_without_finding_itself(client: TestClient, place: Path) -> None:
    expected = Collection.open(place).search_item("item-4", 6, by="image", among="image")
    assert pairs(search(client, item="item-4", by="image", among="image", k=6)) == [
        (hit.id, hit.distance) for hit in expected
    ]
    assert client.post("/v1/search", json={"item": "item-1", "by": "image"}).status_code == 422
    assert client.post("/v1/search", json={"item": "nobody"}).status_code == 404


def test_a_code_asks(client: TestClient, place: Path) -> None:
    code = Collection.open(place).code("item-8", "image").packed[0].tobytes().hex()
    assert pairs(search(client, code=code, k=1))[0] == ("item-8", 0)
    assert client.post("/v1/search", json={"code": code[2:]}).status_code == 422


def test_pages_of_hits_join_to_the_whole(client: TestClient) -> None:
    whole = search(client, text="cat", k=58)
    assert not whole["more"]
    parts = [search(client, text="cat", k=20, offset=offset) for offset in (0, 20, 40)]
    assert [part["more"] for part in parts] == [True, True, False]
    assert [hit for part in parts for hit in part["hits"]] == whole["hits"]
    assert [hit["rank"] for hit in whole["hits"]] == list(range(1, 59))


def test_bars_and_a_state_that_says_nothing_is_close_enough(client: TestClient) -> None:
    whole = search(client, text="night", k=58)
    middle = whole["hits"][20]["distance"]
    near = search(client, text="night", k=58, max_distance=middle)
    assert near["hits"] == [hit for hit in whole["hits"] if hit["distance"] <= middle]
    assert not near["cut"]
    none = search(client, text="night", max_distance=0)
    assert (none["hits"], none["cut"]) == ([], True)
    assert none["nearest"] == {"distance": whole["hits"][0]["distance"], "confidence": None}
    assert client.post("/v1/search", json={"text": "night", "min_confidence": 0.5}).status_code == 422


def test_filters_and_conditions(client: TestClient, place: Path) -> None:
    collection = Collection.open(place)
    features = VOCABULARY.encode(["tree"]).features
    where = "(year > 2002) AND (place IN ('sea', 'it''s \"odd\"'))"
    expected = [hit.id for hit in collection.search_texts(features, 60, where=where)[0]]
    answer = search(client, text="tree", k=60, where="year > 2002", filters={"place": ["sea", 'it\'s "odd"']})
    assert [hit["id"] for hit in answer["hits"]] == expected
    unknown = search(client, text="tree", k=60, filters={"year": [None, 2001]})
    assert {hit["metadata"]["year"] for hit in unknown["hits"]} == {None, 2001}
    assert {hit["metadata"]["liked"] for hit in search(client, text="tree", filters={"liked": [True]})["hits"]} == {
        True
    }
    assert search(client, text="tree", filters={"price": [1.25, 1e300]})["hits"][0]["id"] == "item-5"
    for wrong in (
        {"where": "year >"},
        {"filters": {"nothing": [1]}},
        {"filters": {"year": []}},
        {"where": "year = 'a'"},
    ):
        answer_of_wrong = client.post("/v1/search", json={"text": "tree", **wrong})
        assert answer_of_wrong.status_code == 422
        assert answer_of_wrong.headers["content-type"] == "application/problem+json"


def test_asymmetric_ranking_orders_by_the_query_before_it_is_cut(client: TestClient, place: Path) -> None:
    answer = search(client, text="large blue sea", k=58, ranking="asymmetric")
    snapshot = Collection.open(place).snapshot
    real = hasher_of().text(VOCABULARY.encode(["large blue sea"]).features)[0]
    scores = snapshot.codes("image").signs() @ real / (np.linalg.norm(real) * np.sqrt(N_BITS))
    rows = snapshot.rows_with("image")
    expected = [f"item-{rows[place]}" for place in np.argsort(-scores, kind="stable")]
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx(np.sort(scores)[::-1], abs=1e-5)
    assert {hit["id"] for hit in answer["hits"][:10]} == set(expected[:10])
    assert client.post("/v1/search", json={"item": "item-4", "ranking": "asymmetric"}).status_code == 422


def test_bulk_search_answers_line_by_line_in_order(client: TestClient) -> None:
    lines = [b'{"text": "cat", "k": 2}', b"", b"{not json", b'{"text": "zzz"}', b'{"item": "item-5", "k": 1}']
    answer = client.post(
        "/v1/search/bulk", content=b"\r\n".join(lines), headers={"content-type": "application/x-ndjson"}
    )
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [one.get("line") for one in found] == [None, 3, 4, None]
    assert pairs(found[0]) == pairs(search(client, text="cat", k=2))
    assert [found[1]["status"], found[2]["status"]] == [400, 422]
    assert pairs(found[3]) == pairs(search(client, item="item-5", k=1))


def test_facts_samples_facets_and_codes(client: TestClient) -> None:
    info = client.get("/v1/info").json()
    assert (info["items"], info["items_with"], info["writable"]) == (60, {"image": 58, "text": 59}, True)
    assert info["queries"] == {"image": True, "text": True}
    assert {column["name"]: column["type"] for column in info["columns"]} == {
        **{"year": "integer", "place": "text"},
        **{"price": "number", "liked": "boolean"},
    }
    (places,) = [one for one in client.get("/v1/facets?limit=2").json()["facets"] if one["column"] == "place"]
    assert places["more"]
    assert sum(value["count"] for value in places["values"]) == 40
    sample = client.get("/v1/sample?n=10").json()["items"]
    assert len({item["id"] for item in sample}) == 10
    assert all(item["has_image"] for item in sample)
    code = client.post("/v1/encode", json={"text": "sun"}).json()["code"]
    assert code == search(client, text="sun")["query"]["code"]
    assert client.get("/v1/thumbnails/item-7").content == picture(7)
    assert client.get("/v1/items/item-1").json()["codes"]["image"] is None


def test_confidences_come_from_the_calibration(tmp_path: Path) -> None:
    plain = hasher_of()
    falling = np.geomspace(1e4, 1e-2, N_BITS + 1)
    hasher = plain.with_calibration(Calibration(falling, falling / 2, 100, 1000))
    features = VOCABULARY.encode(["red cat", "blue sea", "sun night"]).features
    Collection.create(
        tmp_path / "c", hasher, Items(["a", "b", "c"], ["x"] * 3), image_features=np.zeros((3, 48), np.float32) + 0.1,
        text_features=features, vocabulary=VOCABULARY,
    )  # fmt: skip
    with service(tmp_path / "c") as client:
        assert client.get("/v1/info").json()["calibrated"]
        answer = search(client, text="red cat", k=3)
        expected = Collection.open(tmp_path / "c").search_texts(features[:1], 3)[0]
        assert [hit["confidence"] for hit in answer["hits"]] == pytest.approx(
            [hit.confidence for hit in expected], abs=1e-6
        )
        assert search(client, text="red cat", min_confidence=0.0, k=3)["hits"] == answer["hits"]
        assert search(client, text="red cat", min_confidence=1.0)["cut"]
        within = search(client, text="red cat", among="text", k=1)
        assert within["hits"][0]["confidence"] is None
