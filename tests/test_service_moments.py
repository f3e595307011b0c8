"""Searches while others add and remove: each answer is that of an exact index over one moment's items."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from crossbit.codes import Codes
from crossbit.index import ExactIndex
from crossbit.service import ServiceSettings
from crossbit.service.app import create_app
from crossbit.service.view import View
from service_doubles import N_BITS, TOKEN, VOCABULARY, WORDS, WRITER, hasher_of, make_collection

K, READERS, WRITERS, EACH = 15, 4, 3, 25


def exact(codes: Codes, names: list[str], query: str) -> list[tuple[str, int]]:
    """The hits of an index of its own over some items, in their order."""
    index = ExactIndex(N_BITS)
    index.add(codes, np.arange(len(names)))
    asked = hasher_of().encode_texts(VOCABULARY.encode([query]).features)
    hits = index.search(asked, min(K, len(names)))
    return [(names[row], int(d)) for row, d in zip(hits.ids[0], hits.distances[0], strict=True)]


def test_every_answer_is_exact_over_the_items_of_one_moment(tmp_path: Path) -> None:
    make_collection(tmp_path / "c", n=40)
    app = create_app(tmp_path / "c", ServiceSettings(write_tokens=(TOKEN,), log="none"))
    moments: dict[str, View] = {}
    desk = app.state.desk
    publish = desk._publish

    def recorded(view: View) -> None:
        moments[view.revision] = view
        publish(view)

    desk._publish = recorded
    answers: list[tuple[str, dict[str, Any]]] = []
    with TestClient(app, base_url="http://127.0.0.1") as client:

        def read(seed: int) -> None:
            rng = np.random.default_rng([1, seed])
            for _ in range(EACH):
                query = " ".join(rng.choice(WORDS, 3, replace=False))
                found = client.post("/v1/search", json={"text": query, "among": "text", "k": K})
                answers.append((query, found.json()))

        def write(seed: int) -> None:
            rng = np.random.default_rng([2, seed])
            for row in range(EACH):
                text = " ".join(rng.choice(WORDS, 4, replace=False))
                body = {"items": [{"id": f"{seed}-{row}", "text": text}]}
                assert client.post("/v1/items", json=body, headers=WRITER).status_code == 201
                if row % 2:
                    gone = f"{seed}-{rng.integers(0, row)}"
                    assert client.delete(f"/v1/items/{gone}", headers=WRITER).status_code in (204, 404)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(READERS)]
        threads += [threading.Thread(target=write, args=(seed,)) for seed in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == READERS * EACH
    assert len(moments) > 10
    for query, answer in answers:
        snapshot = moments[answer["revision"]].snapshot
        rows = snapshot.rows_with("text")
        names = [snapshot.item(int(row)).id for row in rows]
        expected = exact(snapshot.codes("text"), names, query)
        assert [(hit["id"], hit["distance"]) for hit in answer["hits"]] == expected
    assert len({answer["revision"] for _, answer in answers}) > 3


@pytest.mark.parametrize("n", [0, 1])
def test_a_collection_of_no_items_is_served(tmp_path: Path, n: int) -> None:
    collection = make_collection(tmp_path / "c", n=4)
    collection.remove(list(collection.ids())[n:])
    app = create_app(tmp_path / "c", ServiceSettings(write_tokens=(TOKEN,), log="none"))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = client.post("/v1/search", json={"text": "sun"}).json()
        assert (len(answer["hits"]), answer["cut"], answer["more"]) == (n, False, False)
        assert len(client.get("/v1/sample").json()["items"]) == n
        assert client.get("/v1/facets").status_code == 200
        asymmetric = client.post("/v1/search", json={"text": "sun", "ranking": "asymmetric"})
        assert len(asymmetric.json()["hits"]) == n
