"""Encoders named to the service, where the hasher's fingerprints do not tell how to load them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crossbit.cli import main
from crossbit.client import Client, Search, new_item
from running_service import running
from service_doubles import TOKEN, MeanColours, make_collection, picture, service

NAMED = "own:service_doubles:MeanColours"
FOUND = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})"


class OtherColours(MeanColours):
    """Another encoder, by its fingerprint."""

    def fingerprint(self) -> str:
        return "other-colours-of-a-test"


def test_without_a_name_the_service_says_what_it_cannot_read(tmp_path: Path) -> None:
    make_collection(tmp_path / "collection", 10)
    with service(tmp_path / "collection") as client:
        assert client.get("/v1/info").json()["queries"] == {"image": False, "text": True}
    with service(tmp_path / "collection", encoders={"image": MeanColours()}) as client:
        assert client.get("/v1/info").json()["queries"] == {"image": True, "text": True}


def test_pictures_ask_and_are_added_by_the_encoder_that_is_named(tmp_path: Path) -> None:
    make_collection(tmp_path / "collection", 10)
    with (
        running(tmp_path / "collection", "--image-encoder", NAMED, prelude=FOUND) as started,
        Client(started.address, token=TOKEN) as client,
    ):
        asked = client.search(Search(picture=picture(5), among="image", k=1)).hits[0]
        assert (asked.id, asked.distance) == ("item-5", 0)
        assert client.add(new_item("new", "a red cat", picture=picture(99))).added == 1
        assert client.search(Search(picture=picture(99), among="image", k=1)).hits[0].id == "new"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("own:test_service_encoders:OtherColours", "the encoder given is other-colours-of-a-test"),
        ("efficientnet", "There is no image encoder 'efficientnet'"),
        ("own:service_doubles:Nobody", "cannot be made"),
    ],
)
def test_another_encoder_is_refused_before_anything_listens(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_collection(tmp_path / "collection", 10)
    words = ["crossbit", "serve", str(tmp_path / "collection"), "--port", "0", "--image-encoder", name]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert told in err
