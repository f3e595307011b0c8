"""Searches that are made together: each gets its own answer, and nobody's fault or end touches another's."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossbit.collection import Collection
from crossbit.service import ServiceSettings, gathering
from crossbit.service.app import create_app
from crossbit.service.models import SearchAnswer, SearchRequest
from crossbit.service.problems import ProblemError
from service_doubles import N_BITS, TOKEN, make_collection, service

SETTINGS = ServiceSettings(write_tokens=(TOKEN,), log="none")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service") / "collection"
    make_collection(folder)
    return folder


def asked(n: int, **fields: Any) -> list[SearchRequest]:
    codes = np.random.default_rng(5).integers(0, 256, (n, N_BITS // 8), dtype=np.uint8)
    return [SearchRequest(code=code.tobytes().hex(), **fields) for code in codes]


def comparable(answer: bytes | BaseException) -> Any:
    assert isinstance(answer, bytes), answer
    content = json.loads(answer)
    return {name: value for name, value in content.items() if name not in ("took_ms", "revision")}


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many searches each scan made."""
    sizes: list[int] = []
    real = gathering.answers_to

    def counted(asked: Sequence[Any]) -> Iterator[bytes | Exception]:
        sizes.append(len(asked))
        return real(asked)

    monkeypatch.setattr(gathering, "answers_to", counted)
    return sizes


@pytest.mark.parametrize("light", [0, 1 << 19])
def test_searches_made_together_are_answered_as_alone(
    place: Path, scans: list[int], monkeypatch: pytest.MonkeyPatch, light: int
) -> None:
    monkeypatch.setattr(gathering, "_LIGHT", light)  # 0: on threads; else on the event loop
    requests = [
        *asked(40, k=5),
        *asked(7, k=5, among="text"),
        *asked(3, k=200),
        *asked(6, k=5, where="year > 2003"),
        *asked(2, k=5, where="nonsense >"),
        *asked(2, k=3, offset=2, max_distance=9),
        *asked(1, min_confidence=0.5),
        SearchRequest(item="item-7", k=4),
        SearchRequest(text="red cat", k=5),
        SearchRequest(text="red cat", k=5, ranking="asymmetric"),
    ]

    async def both() -> tuple[list[Any], list[Any]]:
        desk = create_app(place, SETTINGS).state.desk
        async with desk.opened():
            alone = [await asyncio.gather(desk.search(one, None), return_exceptions=True) for one in requests]
            scans.clear()
            return [one[0] for one in alone], await asyncio.gather(
                *(desk.search(one, None) for one in requests), return_exceptions=True
            )

    alone, together = asyncio.run(both())
    for one, other in zip(alone, together, strict=True):
        if isinstance(one, ProblemError):
            assert (other.status, other.detail) == (one.status, one.detail)
        elif isinstance(one, Exception):
            assert (type(other), str(other)) == (type(one), str(one))
        else:
            assert comparable(one) == comparable(other)
            SearchAnswer.model_validate_json(one, strict=True)
    # What is looked up first may join: k = 5, 2 passed over of 3 and an item's 4 all look for six rows.
    assert max(scans) == 8 if light else max(scans) >= 42
    assert sum(isinstance(one, Exception) for one in together) == 3


def test_a_search_that_nobody_waits_for_is_not_made(
    place: Path, scans: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "_LIGHT", 0)
    going_on, begun = threading.Event(), threading.Event()
    counted = gathering.answers_to

    def slow(asked: Sequence[Any]) -> Iterator[bytes | Exception]:
        begun.set()
        going_on.wait(30)
        return counted(asked)

    async def act() -> list[Any]:
        desk = create_app(place, SETTINGS).state.desk
        async with desk.opened():
            monkeypatch.setattr(gathering, "answers_to", slow)
            first, *others = [asyncio.ensure_future(desk.search(one, None)) for one in asked(1)]
            await asyncio.to_thread(begun.wait, 30)
            others = [asyncio.ensure_future(desk.search(one, None)) for one in asked(6)]
            await asyncio.sleep(0)
            for one in others[:4]:
                one.cancel()
            going_on.set()
            return await asyncio.gather(first, *others, return_exceptions=True)

    answers = asyncio.run(act())
    assert [isinstance(answer, bytes) for answer in answers] == [True] + [False] * 4 + [True] * 2
    assert scans == [1, 2]


def test_json_and_a_form_are_answered_alike(place: Path) -> None:
    body = {"text": "red cat", "k": 7, "filters": {"year": [2001, None]}}
    with service(place) as client:
        direct = client.post("/v1/search", json=body)
        form = client.post("/v1/search", files={"request": (None, json.dumps(body))})
        assert direct.status_code == form.status_code == 200
        assert comparable(direct.content) == comparable(form.content)
        unlike = {"content-length", "date"}
        assert {k: v for k, v in direct.headers.items() if k not in unlike} == {
            k: v for k, v in form.headers.items() if k not in unlike
        }
        counted = client.get("/metrics").text
        assert 'crossbit_requests_total{method="POST",route="/v1/search",status="200"} 2.0' in counted
        assert 'crossbit_stage_seconds_count{stage="search"} 2.0' in counted
    assert len(Collection.open(place)) == 60
