"""Every example of Python in the documents runs, here or in a test that is named, or the reason why not is listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossbit import ExactIndex, Hasher
from crossbit.evaluation import evaluate
from crossbit.methods import load_method
from crossbit.testing import planted_pairs
from page_examples import PAGES, Place, blocks, examples, is_python, run_example
from source_makers import pictures

ELSEWHERE: dict[Place, str] = {
    ("README.md", 0): "test_docs.py",
    ("data.md", 0): "test_datasets_emoji.py",
    ("encoders.md", 0): "test_docs_encoders.py",
    ("encoders.md", 1): "test_docs_encoders.py",
    ("export.md", 0): "test_queries.py",
    ("features-from-elsewhere.md", 0): "test_docs_own_data.py",
    ("features-from-elsewhere.md", 1): "test_docs_own_data.py",
    ("features-from-elsewhere.md", 2): "test_docs_own_data.py",
    ("judging.md", 0): "test_judging.py",
    ("judging.md", 1): "test_judging.py",
    ("own-data.md", 0): "test_docs_own_data.py",
    ("scale.md", 0): "milvus_checks.py",
    ("scale.md", 1): "test_postgres.py",
    ("sharing.md", 0): "test_sharing_hub.py",
    ("sharing.md", 1): "test_sharing_hub.py",
}
"""Examples that other tests run; those of servers are skipped where no server can be started."""

NOT_RUN: dict[Place, str] = {
    ("scale.md", 3): "needs a Ray cluster whose machines see the same folders; test_distributed.py runs Ray on one",
}
"""Examples that nothing runs, each with its reason."""


@dataclass(frozen=True)
class Scene:
    """What an example finds: names that it takes as given, the folder it runs in, and how settings are changed."""

    names: dict[str, Any]
    folder: Path
    patch: pytest.MonkeyPatch


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Planted pairs, a hasher that was learned on them, codes and features, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    world = planted_pairs(n=240)
    hasher = load_method("cca-itq")(n_bits=16).fit(world.train)
    names = {
        **{"hasher": hasher, "pairs": world.pairs, "split": world.split},
        "codes": hasher.encode_images(world.pairs.image),
        "queries": hasher.encode_texts(world.pairs.text[:3]),
    }
    return Scene(names, tmp_path, monkeypatch)


def search(scene: Scene) -> None:
    names = scene.names | {"ids_to_keep": np.arange(0, 240, 2)}
    run_example(("search.md", 0), names)
    assert names["hits"].ids.shape == (3, 10)
    assert not (names["hits"].ids % 2).any()
    assert "ExactIndex" in type(names["index"]).__name__
    assert names["reason"]


def collection(scene: Scene) -> None:
    """19 items, of which 16 are of a year that is asked for: the facets are those that the page tells."""
    n = 19
    names = scene.names | {
        **{"ids": [f"beach-{row}" for row in range(n)], "captions": [f"caption {row}" for row in range(n)]},
        **{"pictures": [""] * n, "years": [2020 if row < 16 else 2019 for row in range(n)]},
        "tags": ["cat"] * 12 + ["dog"] * 3 + [None] + ["cat"] * 3,
        **{"image": scene.names["pairs"].image[:n], "text": scene.names["pairs"].text[:n]},
        "features": scene.names["pairs"].text[:2],
    }
    shown = run_example(("collection.md", 0), names)
    assert {"cat": 12, "dog": 3, None: 1} in shown
    assert len(names["collection"]) == n - 1
    assert names["hits"]
    assert all(names["tags"][int(hit.id.removeprefix("beach-"))] == "cat" for hit in names["hits"])


def confidence(scene: Scene) -> None:
    pairs, split = scene.names["pairs"], scene.names["split"]
    index = ExactIndex.over(scene.names["codes"])
    hits = index.search(scene.names["queries"], k=10)
    names = scene.names | {"index": index, "hits": hits}
    names |= {"held_out": pairs[split.query], "database_pairs": pairs[split.database]}
    sure, radius = run_example(("confidence.md", 0), names)
    assert sure.shape == hits.distances.shape
    assert ((sure > 0) & (sure < 1)).all()
    assert (np.diff(sure, axis=1) <= 0).all()
    assert -1 <= radius <= 16


def own_encoder(scene: Scene) -> None:
    pictures(scene.folder / "photos", *(f"{row}.jpg" for row in range(4)))
    features, kept, skipped = run_example(("data.md", 1), scene.names)[0]
    assert features.shape == (4, 3)
    assert (kept.tolist(), len(skipped)) == ([0, 1, 2, 3], 0)


def protocols(scene: Scene) -> None:
    names = scene.names
    names["evaluation"] = evaluate(names["hasher"], names["pairs"], names["split"])
    names["evaluation"].full("mAP@all").write(scene.folder / "theirs.json")
    given = names["split"]
    run_example(("protocols.md", 0), names)
    assert names["split"] is not given
    assert np.array_equal(names["split"].query, given.query)


def from_pixels(scene: Scene) -> None:
    pytest.importorskip("torch", reason="learning from pixels needs torch")
    pictures(scene.folder / "given", *(f"{row}.png" for row in range(12)))
    given = sorted((scene.folder / "given").iterdir())
    names = scene.names | {"pictures": given, "text_features": scene.names["pairs"].text[: len(given)]}
    run_example(("pixels.md", 0), names)
    assert (len(names["codes"]), names["codes"].n_bits) == (len(given), 64)
    assert Hasher.load("photos.safetensors").fingerprint() == names["fitted"].hasher.fingerprint()


def workers(scene: Scene) -> None:
    scene.names["hasher"].save("hasher.safetensors")
    np.save("features.npy", scene.names["pairs"].image)
    names: dict[str, Any] = {}
    run_example(("scale.md", 2), names)
    assert names["codes"] == scene.names["codes"]


def service(scene: Scene) -> None:
    """On a service that listens on loopback; a picture of a year that the example asks for is there."""
    from crossbit.collection import Collection, Items
    from crossbit.service import ServiceSettings
    from crossbit.service.app import create_app
    from running_service import in_thread
    from service_doubles import TOKEN, MeanColours, know_mean_colours, make_collection, picture

    make_collection(scene.folder / "collection", n=20)
    items = Items(["boat-1"], ["a red boat"], thumbnail=lambda row: picture(row), metadata={"year": [2021]})
    features = MeanColours().encode([picture(0)]).features
    Collection.open(scene.folder / "collection").add(items, image_features=features)
    know_mean_colours(scene.patch)
    app = create_app(scene.folder / "collection", ServiceSettings(write_tokens=(TOKEN,), log="none"))
    with in_thread(app) as address:
        names: dict[str, Any] = {}
        run_example(("service.md", 0), names, {"http://127.0.0.1:8080": address, 'token="..."': f"token={TOKEN!r}"})
    assert names["hit"].id == "boat-1"
    assert "boat-7" in Collection.open(scene.folder / "collection")


HERE: dict[Place, Callable[[Scene], None]] = {
    ("collection.md", 0): collection,
    ("confidence.md", 0): confidence,
    ("data.md", 1): own_encoder,
    ("pixels.md", 0): from_pixels,
    ("protocols.md", 0): protocols,
    ("scale.md", 2): workers,
    ("search.md", 0): search,
    ("service.md", 0): service,
}
"""Examples that run here."""


@pytest.mark.parametrize("place", HERE, ids=lambda place: f"{place[0]}-{place[1]}")
def test_the_example_of_a_page_runs(place: Place, scene: Scene) -> None:
    HERE[place](scene)


def test_every_example_is_accounted_for_once() -> None:
    standing = [(page.name, number) for page in PAGES for number in range(len(examples(page.name)))]
    listed = [*ELSEWHERE, *HERE, *NOT_RUN]
    assert sorted(standing) == sorted(listed), "run each example, or list it in NOT_RUN with the reason"
    assert all(NOT_RUN.values())


@pytest.mark.parametrize(("place", "test"), ELSEWHERE.items(), ids=lambda part: str(part))
def test_the_test_that_is_named_reads_the_page(place: Place, test: str) -> None:
    assert place[0] in (Path(__file__).parent / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_python_hides_in_a_block_of_another_name(page: Path) -> None:
    found = list(blocks(page.read_text(encoding="utf-8")))
    hidden = [code for language, code in found if language != "python" and is_python(language, code)]
    assert hidden == [], "call the block python, so that it is run"


def test_what_is_python_is_told() -> None:
    text = "```\nimport numpy\n```\n~~~py\nindex.add(codes)\n~~~\n```sh\nmake test\n```\n```\ncrossbit fit x\n```\n"
    assert [is_python(*block) for block in blocks(text)] == [True, True, False, False]
    assert is_python("", "from crossbit import Codes\ncodes = Codes(\n")  # cut short
    assert is_python("text", "k = 5")
    assert not is_python("", "make demo\nmake test")
