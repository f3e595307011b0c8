"""Pictures, bodies, texts and conditions made to do harm: each gets a problem, and the service goes on."""

from __future__ import annotations

import base64
import struct
import time
import zlib
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service_doubles import know_mean_colours, make_collection, picture, refused, service


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    place = tmp_path_factory.mktemp("service") / "collection"
    make_collection(place)
    with pytest.MonkeyPatch.context() as patch:
        know_mean_colours(patch)
        with service(place, limits={"body_bytes": 50_000, "picture_pixels": 10_000, "text_characters": 200}) as opened:
            yield opened


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels; its data is short."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 4096)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "content",
    [
        *(bomb(30_000, 30_000), bomb(2**31 - 1, 2**31 - 1), bomb(0, 0), bomb(99, 99)),
        *(b"", b"no picture", picture(1)[:100], picture(1, form="JPEG")[:200], b"GIF89a" + b"\xff" * 50),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(x) run\n",
        *(picture(1, form="TIFF"), picture(1, form="PPM"), b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ],
    ids=range(13),
)
def test_pictures_that_are_none_are_refused(client: TestClient, content: bytes) -> None:
    began = time.monotonic()
    detail = refused(client.post("/v1/search", json={"picture": base64.b64encode(content).decode()}), 422)
    assert "/" not in detail.replace("PNG, JPEG", "")
    refused(client.post("/v1/search", files={"picture": ("a", content)}, data={"request": "{}"}), 422)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{" * 20_000, "application/json", 400),
        (b'{"filters":' + b'{"a":' * 9_000, "application/json", 400),
        (b"[" * 20_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"text": "\\ud800"}', "application/json", 400),
        (b"null", "application/json", 422),
        (b'{"text": "sun", "k": "many"}', "application/json", 422),
        (b'{"text": "sun", "picture": "aaaa"}', "application/json", 422),
        (b'{"text": "sun"}', "text/plain", 415),
        (b"", "application/json", 400),
        (b"--b\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{", "multipart/form-data; boundary=b", 422),
        (b"--b\r\nContent-Dispos", "multipart/form-data; boundary=b", 422),
        (b"nothing of a form", "multipart/form-data", 400),
        (b"--b\r\n" * 5_000, "multipart/form-data; boundary=b", 400),
    ],
    ids=range(14),
)  # fmt: skip
def test_bodies_that_are_none_are_refused(client: TestClient, content: bytes, kind: str, status: int) -> None:
    answer = client.post("/v1/search", content=content, headers={"content-type": kind})
    refused(answer, answer.status_code)
    assert answer.status_code in {status, 400, 422}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
@example(content=b"\x89PNG\r\n\x1a\n")
def test_any_bytes_as_a_picture(client: TestClient, content: bytes) -> None:
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"BM"):
        encoded = base64.b64encode(start + content).decode()
        assert client.post("/v1/search", json={"picture": encoded}).status_code in (200, 422)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=120), where=st.none() | st.text(max_size=40))
def test_any_text_and_any_condition(client: TestClient, text: str, where: str | None) -> None:
    answer = client.post("/v1/search", json={"text": f"sun {text}", "where": where})
    assert answer.status_code in (200, 422), answer.text
    assert client.get("/v1/items/" + "".join(f"%{byte:02x}" for byte in (text or "x").encode())).status_code == 404
