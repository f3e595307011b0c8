"""An export stands for its encoders: the same codes without torch, and nothing altered is ever loaded."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from crossbit import Codes, Hasher, HashFunction
from crossbit.cli import main
from crossbit.collection import Collection, Items
from crossbit.encoders import BagOfWords, EfficientNetLite0, MiniLM, open_picture
from crossbit.encoders.efficientnet import pixels
from crossbit.errors import DataError, FileFormatError, MismatchError, MissingExtraError
from crossbit.hasher import Layer
from crossbit.queries import (
    PicturePreparation,
    Queries,
    QueryManifest,
    export_place,
    export_queries,
    graphs,
    query_encoder,
)
from crossbit.queries import agreement as agreement_module
from crossbit.queries import find as find_module
from crossbit.queries.traceable import Traceable
from crossbit.testing import run_without_torch

N_BITS = 44  # no multiple of 8, so that a code has unused bits
TEXTS = ["a red fruit", "two dogs play in the snow " * 12, "  ,.! ", "", "42", "ein Haus am Meer", "keyboard & mouse"]
OTHER = {"image": MiniLM().fingerprint(), "text": EfficientNetLite0().fingerprint()}


def picture(seed: int, size: tuple[int, int] = (60, 40)) -> bytes:
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(out, format="PNG")
    return out.getvalue()


def hasher_of(seed: int = 0) -> Hasher:
    """Hash functions of two kinds: one with a layer between and rows of length 1, one a plain turn."""
    rng = np.random.default_rng(seed)

    def layer(d_in: int, d_out: int, activation: str) -> Layer:
        weight = rng.normal(size=(d_in, d_out)) / np.sqrt(d_in)
        return Layer(weight.astype(np.float32), rng.normal(size=d_out).astype(np.float32) / 50, activation)  # type: ignore[arg-type]

    image = HashFunction((layer(1280, 32, "relu"), layer(32, N_BITS, "tanh")), normalise=True)
    hasher = Hasher(image, HashFunction((layer(384, N_BITS, "linear"),)), method="made-up")
    return hasher.with_encoders(image=EfficientNetLite0().fingerprint(), text=MiniLM().fingerprint())


@pytest.fixture(scope="module", autouse=True)
def each_encoder_traced_once() -> Iterator[None]:
    """Tracing takes seconds and gives the same graph each time, so all exports here share it."""
    traced = graphs._traced
    known: dict[str, bytes] = {}

    def remembered(source: Traceable) -> onnx.ModelProto:
        name = source.encoder.fingerprint()
        if name not in known:
            known[name] = traced(source).SerializeToString()
        return onnx.ModelProto.FromString(known[name])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "_traced", remembered)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of ten items with its export."""
    place = tmp_path_factory.mktemp("queries") / "collection"
    hasher = hasher_of()
    names = ["cat", "red fruit", "house", "sea", "dog", "car", "keyboard", "snow", "tree", "42"]
    images = hasher.encode_images(EfficientNetLite0().encode([picture(row) for row in range(10)]).features)
    texts = hasher.encode_texts(MiniLM().encode(names).features)
    Collection.create(place, hasher, Items(names, names), image=images, text=texts)
    exported = export_queries(hasher, place / "query")
    assert exported.left_out == {}
    return place


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).resolve().parents[1] / "docs" / "export.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    hasher = hasher_of()
    names: dict[str, object] = {"hasher": hasher}
    exec(code, names)
    assert names["codes"] == hasher.encode_texts(MiniLM().encode(["a red fruit"]).features)


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy of the export, to be damaged."""
    return Path(shutil.copytree(made / "query", tmp_path / "query"))


def test_the_manifest_says_what_the_export_stands_for(made: Path) -> None:
    hasher, manifest = hasher_of(), QueryManifest.read(made / "query")
    assert (manifest.hasher, manifest.n_bits) == (hasher.fingerprint(), N_BITS)
    assert Queries.open(made / "query").encoders == hasher.encoders
    assert set(manifest.files) == {"image.onnx", "text.onnx", "tokenizer.json"}
    assert {"crossbit", "torch", "onnx", "onnxscript"} == set(manifest.versions)
    assert manifest.sides["image"].preparation["side"] == 224
    for side in manifest.sides.values():
        assert side.agreement["bits"] >= 0.999
        assert side.agreement["bits_by_graph"] >= 0.999


def test_texts_get_the_features_and_codes_that_torch_gives(made: Path) -> None:
    exported, own = Queries.open(made / "query").encoder("text"), MiniLM()
    assert (exported.width, exported.fingerprint()) == (own.width, own.fingerprint())
    ours, theirs = exported.encode(TEXTS), own.encode(TEXTS)
    np.testing.assert_allclose(ours.features, theirs.features, atol=1e-5)
    assert not ours.features[2:4].any()
    hasher = hasher_of()
    agreed = hasher.encode_texts(ours.features).bits() == hasher.encode_texts(theirs.features).bits()
    assert agreed.mean() >= 0.999
    (skipped,) = exported.encode(["a", 7, "b"]).skipped  # type: ignore[list-item]
    assert (skipped.row, "str" in skipped.reason) == (1, True)
    assert exported.encode([]).features.shape == (0, 384)


def test_pictures_get_the_features_and_codes_that_torch_gives(made: Path, tmp_path: Path) -> None:
    exported, own = Queries.open(made / "query").encoder("image"), EfficientNetLite0()
    assert (exported.width, exported.fingerprint()) == (own.width, own.fingerprint())
    (tmp_path / "one.png").write_bytes(picture(9, (31, 200)))
    items = [picture(1), b"no picture", tmp_path / "one.png", picture(2)[:80], *(picture(row) for row in range(3, 7))]
    ours, theirs = exported.encode(items), own.encode(items)
    assert ours.kept.tolist() == theirs.kept.tolist() == [0, 2, 4, 5, 6, 7]
    assert ours.skipped == theirs.skipped
    np.testing.assert_allclose(ours.features, theirs.features, atol=1e-3)
    hasher = hasher_of()
    agreed = hasher.encode_images(ours.features).bits() == hasher.encode_images(theirs.features).bits()
    assert agreed.mean() >= 0.999
    assert exported.encode([b"broken"]).features.shape == (0, 1280)
    assert len(exported.encode([picture(1), picture(2), picture(3), b"broken"]).features) == 3


def test_the_graphs_give_packed_codes_by_themselves(made: Path) -> None:
    hasher, queries = hasher_of(), Queries.open(made / "query")
    texts = [text for text in TEXTS if text.strip(" ,.!")]
    for encoder, items, encode in (
        (queries.encoder("text"), texts, hasher.encode_texts),
        (queries.encoder("image"), [picture(row) for row in range(5)], hasher.encode_images),
    ):
        inputs = encoder.inputs(items)  # type: ignore[arg-type]
        code = encoder.graph.run("code", inputs)
        assert code.dtype == np.uint8
        assert Codes(code, N_BITS) == encode(encoder.encode(items).features)  # type: ignore[arg-type]
        assert encoder.graph.run("values", inputs).shape == (len(items), N_BITS)


def test_the_graphs_name_no_folder_of_the_machine_that_made_them(made: Path) -> None:
    for name in ("image.onnx", "text.onnx"):
        content = (made / "query" / name).read_bytes()
        assert not any(part in content for part in (b"site-packages", b"torch/nn", str(Path.cwd()).encode()))


def test_threads_share_an_encoder(made: Path) -> None:
    exported = Queries.open(made / "query").encoder("text")
    texts = [f"{text} {number}" for number, text in enumerate(TEXTS * 4)]
    with ThreadPoolExecutor(8) as pool:
        rows = np.concatenate([part.features for part in pool.map(lambda text: exported.encode([text]), texts)])
    alone = np.concatenate([exported.encode([text]).features for text in texts])
    assert np.array_equal(rows, alone)


def test_pictures_are_prepared_from_the_constants_as_the_encoder_does_it() -> None:
    preparation = PicturePreparation(224, divisor=1.0, mean=(127.0,) * 3, std=(128.0,) * 3)
    for number, size in enumerate([(224, 224), (500, 20), (3, 7), (640, 480)]):
        opened = open_picture(picture(number, size))
        assert np.array_equal(preparation(opened), pixels(opened))


@pytest.mark.parametrize(
    "content",
    [
        {"side": 224, "fit": "turn", "mean": [0, 0, 0], "std": [1, 1, 1]},
        {"side": 224, "mean": [0, 0, 0], "std": [1, 0, 1]},
        {"side": 0, "mean": [0, 0, 0], "std": [1, 1, 1]},
        {"side": 224, "mean": [0, 0], "std": [1, 1, 1]},
        {"side": 224, "mean": None, "std": [1, 1, 1]},
        {"side": 224, "mean": [0, 0, 0], "std": [1, 1, 1], "sharpen": 2},
    ],
)
def test_an_unknown_preparation_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(FileFormatError, match="crossbit export"):
        PicturePreparation.from_json(content)


@pytest.mark.parametrize("name", ["text.onnx", "tokenizer.json"])
@pytest.mark.parametrize("harm", ["truncated", "altered", "missing"])
def test_a_damaged_file_is_refused(copy: Path, name: str, harm: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "missing":
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(bytes(content) if harm == "altered" else content[: len(content) // 3])
    with pytest.raises(FileFormatError, match=f"{name}.*crossbit export"):
        Queries.open(copy).encoder("text").encode(["a house"])


def rewritten(folder: Path, change: Callable[[dict[str, object]], None], *, sealed: bool) -> None:
    """The manifest with a change, and with the checksum that fits it where `sealed`."""
    from crossbit.queries import manifest as module

    content = json.loads((folder / "manifest.json").read_text())
    change(content)
    if sealed:
        content.pop("checksum")
        content["checksum"] = module._checksum(content)
    (folder / "manifest.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "sealed", "told"),
    [
        (lambda content: content.update(n_bits=8), False, "altered"),
        (lambda content: content.update(version=99), False, "version 99"),
        (lambda content: content.update(format="other"), False, "not the manifest"),
        (lambda content: content["sides"]["text"].update(graph="../../graph.onnx"), True, "names files"),
        (lambda content: content["sides"]["text"].update(graph="other.onnx"), True, "names files"),
        (lambda content: content.pop("sides"), True, "lacks"),
        (lambda content: content["sides"].update(text=7), True, "lacks"),
    ],
)
def test_a_damaged_manifest_is_refused(
    copy: Path, change: Callable[[dict[str, object]], None], sealed: bool, told: str
) -> None:
    rewritten(copy, change, sealed=sealed)
    with pytest.raises(FileFormatError, match=told):
        Queries.open(copy)


def test_a_file_that_is_no_graph_is_refused_in_one_sentence(copy: Path) -> None:
    import hashlib

    (copy / "text.onnx").write_bytes(b"not a graph")
    digest = hashlib.sha256(b"not a graph").hexdigest()
    rewritten(copy, lambda content: content["files"].update({"text.onnx": digest}), sealed=True)  # type: ignore[attr-defined]
    with pytest.raises(FileFormatError, match="not a graph that onnxruntime can run"):
        Queries.open(copy).encoder("text").encode(["a house"])


def test_an_export_takes_the_place_of_an_export_and_of_nothing_else(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    with pytest.raises(FileFormatError, match="left alone"):
        export_queries(hasher_of(), tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["one.jpg"]

    before = (made / "query" / "manifest.json").read_bytes()
    monkeypatch.setattr(agreement_module, "LEAST_AGREEMENT", 1.01)  # no graph can agree so well
    monkeypatch.setattr("crossbit.queries.export.reasons_against", lambda hasher, tuned: {"image": "left out here"})
    with pytest.raises(DataError, match="other codes than the encoder itself"):
        export_queries(hasher_of(), made / "query")
    assert (made / "query" / "manifest.json").read_bytes() == before
    assert sorted(path.name for path in made.iterdir() if path.name.startswith(".")) == []


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    elsewhere = Hasher(hasher_of().image, hasher_of().text)
    with pytest.raises(MismatchError, match=r"nothing to export.*features from elsewhere"):
        export_queries(elsewhere, tmp_path / "query")
    with pytest.raises(MismatchError, match="does not know how to export the encoder someone-elses"):
        export_queries(elsewhere.with_encoders(image="someone-elses", text="bag-of-words-1"), tmp_path / "query")
    assert list(tmp_path.iterdir()) == []


def test_the_place_of_an_export(tmp_path: Path) -> None:
    assert export_place(tmp_path) == tmp_path / "query"
    assert export_place(tmp_path / "big.safetensors") == tmp_path / "big.query"


def test_a_query_takes_the_export_where_one_fits(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = hasher_of()
    kind = type(Queries.open(made / "query").encoder("text"))
    assert isinstance(query_encoder(hasher, "text", made), kind)
    assert isinstance(query_encoder(hasher, "text", tmp_path), MiniLM)  # no export there
    assert isinstance(query_encoder(hasher, "text"), MiniLM)
    bag = BagOfWords(("house", "tree"))
    bound = hasher.with_encoders(image="any", text=bag.fingerprint())
    assert query_encoder(bound, "text", made, bag) is bag
    # An export of other encoders is passed over; here the two packaged ones stand in each other's place.
    assert isinstance(query_encoder(hasher.with_encoders(**OTHER), "image", made), MiniLM)
    with pytest.raises(MismatchError, match="features from a file"):
        query_encoder(Hasher(hasher.image, hasher.text), "text", made)

    monkeypatch.setattr(find_module, "_is_installed", lambda name: name != "onnxruntime")
    assert isinstance(query_encoder(hasher, "text", made), MiniLM)
    monkeypatch.setattr(find_module, "_is_installed", lambda name: name == "onnxruntime")
    assert isinstance(query_encoder(hasher, "text", made), kind)
    with pytest.raises(MissingExtraError, match=r"run  crossbit export COLLECTION .*crossbit\[train\]"):
        query_encoder(hasher, "text", tmp_path)
    monkeypatch.setattr(find_module, "_is_installed", lambda name: False)
    with pytest.raises(MissingExtraError, match=r"export that lies with the collection.*crossbit\[query\]"):
        query_encoder(hasher, "text", made)


SEARCH = """
import sys
from crossbit.cli import main
words = sys.argv[1:]
for query in (words[1:2], ["--image", words[2]]):
    sys.argv = ["crossbit", "search", words[0], *query, "--json", "-k", "4"]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code
    print("---")
assert "torch" not in sys.modules
assert "onnxruntime" in sys.modules
"""


def test_a_search_needs_no_torch(made: Path, tmp_path: Path) -> None:
    (tmp_path / "asked.png").write_bytes(picture(4))
    printed = run_without_torch(SEARCH, [str(made), "a dog in the snow", str(tmp_path / "asked.png")])
    by_words, by_picture = (json.loads(part)["hits"] for part in printed.split("---\n")[:2])
    hasher, opened = hasher_of(), Collection.open(made)
    expected = opened.search(hasher.encode_texts(MiniLM().encode(["a dog in the snow"]).features), 4, among="image")[0]
    assert [(hit["id"], hit["distance"]) for hit in by_words] == [(hit.id, hit.distance) for hit in expected]
    shown = EfficientNetLite0().encode([picture(4)]).features
    expected = opened.search(hasher.encode_images(shown), 4, among="text")[0]
    assert [(hit["id"], hit["distance"]) for hit in by_picture] == [(hit.id, hit.distance) for hit in expected]


MODULES = """
import sys
from crossbit.cli import main
sys.argv = ["crossbit", "search", sys.argv[1], "a dog in the snow", "--json"]
try:
    main()
finally:
    print("---", *sys.modules)
"""
SLOW = {  # what a search by words has no use for, with what each would bring
    *("torch", "torchvision", "numba", "llvmlite", "scipy", "pandas", "pyarrow.parquet", "pyarrow.dataset", "faiss"),
    *("onnx", "transformers", "timm", "huggingface_hub", "fastapi", "matplotlib", "requests", "h5py", "rich.progress"),
    *("crossbit.datasets", "crossbit.sources", "crossbit.encoders.stream", "crossbit.encoders.hub"),
    *("crossbit.queries.export", "crossbit.evaluation", "crossbit.kernels.compilation", "crossbit.cli.app"),
}


def test_a_search_imports_nothing_slow_that_it_does_not_need(made: Path) -> None:
    """All of these are installed here; each import would make a person wait for every search."""
    done = subprocess.run([sys.executable, "-c", MODULES, str(made)], capture_output=True, text=True, check=True)
    printed, _, modules = done.stdout.partition("--- ")
    assert json.loads(printed)["hits"]
    assert "onnxruntime" in modules.split()
    assert sorted(SLOW & set(modules.split())) == []


WITHOUT_EXPORT = """
import sys
from crossbit.cli import main
sys.argv = ["crossbit", "search", sys.argv[1], "a dog"]
try:
    main()
except SystemExit as ended:
    print(ended.code)
"""


def test_without_torch_and_export_the_search_says_what_to_run(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made, tmp_path / "collection", ignore=shutil.ignore_patterns("query"))
    script = "import os; os.dup2(1, 2)\n" + WITHOUT_EXPORT  # its words on stderr are what is looked at
    printed = run_without_torch(script, [str(tmp_path / "collection")])
    assert printed.strip().endswith("1")
    assert "crossbit export COLLECTION" in printed
    assert "Traceback" not in printed


def test_the_command_exports_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    Hasher(hasher_of().image, hasher_of().text).save("features.safetensors")
    code, _, err = run("export", "features.safetensors")
    assert (code, "nothing to export" in err) == (1, True)
    (tmp_path / "photos").mkdir()
    code, _, err = run("export", "photos")
    assert (code, "no collection" in err) == (1, True)

    # The text graph alone, for the time that it takes.
    bound = hasher_of().with_encoders(image="bag-of-words-0", text=MiniLM().fingerprint())
    bound.save("texts.safetensors")
    code, out, err = run("export", "texts.safetensors", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (result["export"], set(result["bytes"])) == ("texts.query", {"text.onnx", "tokenizer.json"})
    assert "needs no graph" in result["left_out"]["image"]
    assert result["agreement"]["text"]["bits"] >= 0.999
    with pytest.raises(MismatchError, match="has no image encoder"):
        Queries.open(tmp_path / "texts.query").encoder("image")
