"""Labels in two layers, and folders of .mat files of the literature, from miniatures of both MATLAB versions."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from PIL import Image

from crossbit.datasets import read_mat, read_prepared
from crossbit.datasets.benchmark import Record
from crossbit.datasets.drawing import OrderSplit
from crossbit.datasets.hierarchy import reader
from crossbit.datasets.legacy_items import LEGACY_MAT
from crossbit.datasets.mat_files import find_pixels, read_texts
from crossbit.datasets.prepared import prepare_benchmark
from crossbit.errors import DataError, FileFormatError, LabelError
from source_makers import LetterCounts, MeanColour

h5py = pytest.importorskip("h5py", reason="MATLAB 7.3 files are read with h5py, which is not installed")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))


N, HEIGHT, WIDTH = 12, 5, 4
PIXELS = np.random.default_rng(3).integers(0, 256, (N, HEIGHT, WIDTH, 3), dtype=np.uint8)
LABELS = np.eye(3, dtype=np.uint8)[np.arange(N) % 3]
TAGS = (np.random.default_rng(4).random((N, 7)) < 0.4).astype(np.uint8)


def hdf5(path: Path, **arrays: Any) -> Path:
    """A file of version 7.3 as MATLAB writes it: axes reversed, texts as cells of references to letters."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            if isinstance(array, list):
                cells = file.create_dataset(name, (1, len(array)), dtype=h5py.ref_dtype)
                for place, text in enumerate(array):
                    letters = np.array([[ord(letter)] for letter in text] or [[0], [0]], dtype=np.uint16)
                    held = file.create_dataset(f"#refs#/{name}{place}", data=letters)
                    if not text:
                        held.attrs["MATLAB_empty"] = 1
                    cells[0, place] = held.ref
            else:
                file[name] = np.asarray(array).T
    content = bytearray(path.read_bytes())
    content[:19] = b"MATLAB 7.3 MAT-file"
    path.write_bytes(content)
    return path


def v5(path: Path, **arrays: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, arrays)
    return path


def layers(root: Path, save: Any) -> Record:
    fine = np.eye(4, dtype=np.uint8)[np.arange(N) % 4]
    coarse = np.eye(2, dtype=np.uint8)[np.arange(N) % 4 // 2]
    save(root / "image.mat", Image=PIXELS)
    save(root / "tag.mat", Tag=TAGS)
    save(root / "label.mat", Label=np.hstack([coarse, fine]))
    return Record({"pairs": N, "coarse labels": 2, "fine labels": 4, "tags": 7}, {"order": OrderSplit(3, 9)})


@pytest.mark.parametrize("save", [hdf5, v5])
def test_labels_in_two_layers(tmp_path: Path, save: Any) -> None:
    record = layers(tmp_path / "raw", save)
    fashion = reader({"fashionvc": record})
    written = prepare_benchmark(fashion, tmp_path / "raw", tmp_path / "out", variant="fashionvc")
    assert written.splits["order"] == {"train": 9, "query": 3, "database": 9}
    data = read_prepared(tmp_path / "out", image_encoder=MeanColour())
    assert data.pairs.labels is not None
    assert data.pairs.labels.shape == (N, 4)
    assert np.array_equal(data.pairs.text, TAGS)
    assert data.split.query.tolist() == [0, 1, 2]
    with Image.open(io.BytesIO(data.image_bytes(5) or b"")) as picture:
        assert np.array_equal(np.asarray(picture), PIXELS[5])
    with np.load(tmp_path / "out" / "coarse.npz") as coarse:
        assert np.unpackbits(coarse["labels"], axis=1, count=2).sum() == N
    (tmp_path / "raw" / "label.mat").unlink()
    save(tmp_path / "raw" / "label.mat", Label=np.ones((N, 6), np.uint8))
    with pytest.raises(LabelError, match=r"label\.mat, row 0: one coarse label is expected, there are 2"):
        prepare_benchmark(fashion, tmp_path / "raw", tmp_path / "x", variant="fashionvc")


def prepared(tmp_path: Path) -> Any:
    out = tmp_path / "out"
    prepare_benchmark(LEGACY_MAT, tmp_path / "raw", out)
    return out


def test_dcmhs_one_file_and_djsrhs_three_hold_pixels(tmp_path: Path) -> None:
    # MATLAB holds DCMH's pictures as height x width x 3 x n.
    hdf5(tmp_path / "raw" / "FLICKR-25K.mat", images=PIXELS.transpose(1, 2, 3, 0), YAll=TAGS, LAll=LABELS)
    one = read_prepared(prepared(tmp_path), image_encoder=MeanColour())
    assert np.array_equal(one.pairs.text, TAGS)
    assert np.array_equal(one.pairs.labels, LABELS.astype(bool))
    with Image.open(io.BytesIO(one.image_bytes(7) or b"")) as picture:
        assert np.array_equal(np.asarray(picture), PIXELS[7])
    three = tmp_path / "three"
    hdf5(three / "raw" / "mirflickr25k-iall.mat", IAll=PIXELS.transpose(1, 2, 3, 0))
    v5(three / "raw" / "mirflickr25k-yall.mat", YAll=TAGS)
    v5(three / "raw" / "mirflickr25k-lall.mat", LAll=LABELS)
    again = read_prepared(prepared(three), image_encoder=MeanColour())
    assert np.array_equal(again.pairs.image, one.pairs.image)


@pytest.mark.parametrize("save", [hdf5, v5])
def test_dchmts_files_hold_captions_and_names(tmp_path: Path, save: Any) -> None:
    captions = ["a dog", "", *(f"a tree {row}" for row in range(N - 2))]
    names = [f"/somewhere/else/im{row}.jpg  " for row in range(N)]
    cells = (lambda texts: texts) if save is hdf5 else (lambda texts: np.array(texts, dtype=object)[:, None])
    save(tmp_path / "raw" / "caption.mat", caption=cells(captions))
    save(tmp_path / "raw" / "index.mat", index=cells(names) if save is hdf5 else np.array(names))
    save(tmp_path / "raw" / "label.mat", category=LABELS)
    for row in range(N - 1):
        (tmp_path / "raw" / "photos").mkdir(exist_ok=True)
        Image.fromarray(PIXELS[row]).save(tmp_path / "raw" / "photos" / f"im{row}.jpg")
    assert read_texts(tmp_path / "raw" / "caption.mat")["caption"][:3] == ("a dog", "", "a tree 0")
    data = read_prepared(prepared(tmp_path), text_encoder=LetterCounts(), image_encoder=MeanColour())
    assert len(data) == N - 1  # the last picture is missing
    assert data.captions[:2] == ("a dog", "")
    assert np.array_equal(data.pairs.labels, LABELS[:-1].astype(bool))


def test_torchcmhs_lists_and_uccs_features(tmp_path: Path) -> None:
    v5(tmp_path / "raw" / "imgList.mat", imgs=np.array([f"im{row}.jpg" for row in range(N)]))
    v5(tmp_path / "raw" / "tagList.mat", tags=TAGS)
    v5(tmp_path / "raw" / "labelList.mat", labels=LABELS)
    for row in range(N):
        Image.fromarray(PIXELS[row]).save(tmp_path / "raw" / f"im{row}.jpg")
    assert np.array_equal(read_prepared(prepared(tmp_path), image_encoder=MeanColour()).pairs.text, TAGS)
    rng = np.random.default_rng(5)
    arrays = {"VDatabase": rng.random((10, 6)), "YDatabase": rng.random((10, 5)), "databaseL": LABELS[:10]}
    arrays |= {"VTest": rng.random((2, 6)), "YTest": rng.random((2, 5)), "testL": LABELS[10:]}
    path = v5(tmp_path / "ucch" / "raw" / "iapr-tc12-rand.mat", **arrays)
    features = read_prepared(prepared(tmp_path / "ucch"))
    assert features.split.query.tolist() == [10, 11]
    assert np.allclose(features.pairs.image[:10], arrays["VDatabase"])
    assert read_mat(path).split.query.tolist() == [10, 11]
    xall = {"XAll": rng.random((N, 6)), "YAll": rng.random((N, 5)), "LAll": LABELS}
    (tmp_path / "coco" / "raw").mkdir(parents=True)
    with h5py.File(tmp_path / "coco" / "raw" / "MSCOCO_deep_doc2vec_data_rand.h5py", "w") as file:
        for name, array in xall.items():
            file[name] = array
    out = prepared(tmp_path / "coco")
    last = read_prepared(out / "splits" / "last.json")
    assert last.split.query.tolist() == [N - 1]
    assert np.allclose(last.pairs.text, xall["YAll"])
    assert json.loads((out / "prepared.json").read_text())["counts"] == {"pairs": {"expected": None, "found": N}}


def test_files_that_do_not_fit_or_are_damaged_are_refused(tmp_path: Path) -> None:
    v5(tmp_path / "raw" / "a.mat", YAll=TAGS, LAll=LABELS)
    with pytest.raises(DataError, match=r"needs pictures .* it holds YAll \(12, 7\), LAll \(12, 3\)"):
        prepared(tmp_path)
    path = hdf5(tmp_path / "b" / "raw" / "x.mat", images=PIXELS.transpose(1, 2, 3, 0), YAll=TAGS)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(FileFormatError, match="not a whole"):
        prepared(tmp_path / "b")
    path = hdf5(tmp_path / "c" / "raw" / "x.mat", images=PIXELS.transpose(1, 2, 3, 0) / 255, YAll=TAGS)
    assert find_pixels(path) is not None
    with pytest.raises(DataError, match="expected from 0 to 255"):
        prepared(tmp_path / "c")
