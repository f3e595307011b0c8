"""MATLAB feature files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from crossbit.datasets import load_dataset, read_mat
from crossbit.errors import DataError, FileFormatError, LabelError, SettingsError, SplitError

h5py = pytest.importorskip("h5py", reason="MATLAB 7.3 files are read with h5py, which is not installed")


def parted(db: bool = True) -> dict[str, Any]:
    """Twelve train, five query and twenty database pairs, of which the train pairs are the first."""
    rng = np.random.default_rng(5)
    arrays = {}
    for part, n in (("tr", 12), ("te", 5), ("db", 20)):
        arrays |= {f"I_{part}": rng.normal(size=(n, 6)), f"T_{part}": (rng.random((n, 4)) < 0.5).astype(np.uint8)}
        arrays[f"L_{part}"] = np.eye(3)[rng.integers(0, 3, n)]
    return {name: array for name, array in arrays.items() if db or not name.endswith("db")}


def saved(path: Path, arrays: dict[str, Any], version: str) -> Path:
    """The arrays as MATLAB saves them: version 7.3 holds them turned."""
    if version == "5":
        scipy.io.savemat(path, arrays, do_compression=True)
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = np.asarray(array).T
    content = bytearray(path.read_bytes())
    content[:19] = b"MATLAB 7.3 MAT-file"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_parted_arrays_keep_their_parts(tmp_path: Path, version: str) -> None:
    arrays = parted()
    data = load_dataset(saved(tmp_path / "mir_cnn.mat", arrays, version))
    assert (data.name, len(data)) == ("mir_cnn", 37)
    assert data.split.train.tolist() == list(range(12))
    assert data.split.query.tolist() == list(range(12, 17))
    assert data.split.database.tolist() == list(range(17, 37))
    assert np.allclose(data.pairs.image[12:17], arrays["I_te"])
    assert np.array_equal(data.pairs.text[17:], arrays["T_db"])
    assert data.pairs.labels is not None
    assert np.array_equal(data.pairs.labels[:12], arrays["L_tr"].astype(bool))


def test_without_a_database_it_is_the_train_rows(tmp_path: Path) -> None:
    arrays = {name: array for name, array in parted(db=False).items() if not name.startswith("L")}
    data = read_mat(saved(tmp_path / "raw_features.mat", arrays, "5"))
    assert data.pairs.labels is None
    assert data.split.database.tolist() == data.split.train.tolist() == list(range(12))


@pytest.mark.parametrize("version", ["5", "7.3"])
@pytest.mark.parametrize("names", [("IAll", "YAll", "LAll"), ("Image", "Tag", "Label"), ("I", "T", "L")])
def test_whole_arrays_are_split_by_the_seed(tmp_path: Path, version: str, names: tuple[str, ...]) -> None:
    whole = parted()
    arrays = dict(zip(names, (whole["I_db"], whole["T_db"], whole["L_db"]), strict=True))
    path = saved(tmp_path / "x.mat", arrays, version)
    data = load_dataset(path)
    assert np.allclose(data.pairs.image, whole["I_db"])
    assert (len(data.split.query), len(data.split.train)) == (2, 18)
    assert load_dataset(path).revision == data.revision
    assert load_dataset(path, seed=1).split.query.tolist() != data.split.query.tolist()


def test_a_folder_of_files_is_one_data_set(tmp_path: Path) -> None:
    whole = parted()
    folder = tmp_path / "nus"
    folder.mkdir()
    saved(folder / "image.mat", {"IAll": whole["I_db"]}, "5")
    saved(folder / "tag.mat", {"YAll": whole["T_db"]}, "7.3")
    saved(folder / "label.mat", {"LAll": scipy.sparse.csc_matrix(whole["L_db"])}, "5")
    data = load_dataset(folder)
    assert np.array_equal(data.pairs.text, whole["T_db"])
    assert data.pairs.labels is not None
    assert data.pairs.labels.sum() == 20
    saved(folder / "again.mat", {"YAll": whole["T_db"]}, "5")
    with pytest.raises(DataError, match=r"Two files of .* hold an array YAll"):
        load_dataset(folder)


def test_arrays_on_their_side_and_labels_of_other_kinds_are_understood(tmp_path: Path) -> None:
    whole = parted()
    arrays = {"I": whole["I_db"].T, "T": whole["T_db"], "L": whole["L_db"].argmax(axis=1)[:, None] + 1}
    data = read_mat(saved(tmp_path / "x.mat", arrays, "5"))
    assert np.allclose(data.pairs.image, whole["I_db"])
    assert np.array_equal(data.pairs.labels, whole["L_db"].astype(bool))
    arrays["L"] = whole["L_db"] * 2 - 1
    assert np.array_equal(read_mat(saved(tmp_path / "x.mat", arrays, "5")).pairs.labels, whole["L_db"].astype(bool))


def test_a_query_that_stands_in_the_database_is_refused_or_dropped(tmp_path: Path) -> None:
    arrays = parted()
    arrays["I_db"][3], arrays["T_db"][3] = arrays["I_te"][1], arrays["T_te"][1]
    path = saved(tmp_path / "x.mat", arrays, "5")
    with pytest.raises(SplitError, match=r'same content.*duplicates="drop"'):
        read_mat(path)
    assert [skip.row for skip in read_mat(path, duplicates="drop").skipped] == [20]
    with pytest.raises(SettingsError, match="refuse"):
        read_mat(path, duplicates="ignore")


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"X": np.eye(3)}, DataError, r"no image and text features under a known name.*holds X \(3, 3\)"),
        ({"I_tr": np.eye(3), "T_tr": np.eye(3)}, DataError, "lacks I_te, T_te"),
        ({"IAll": np.zeros((4, 3, 8, 8)), "YAll": np.eye(4)}, DataError, "holds pixels"),
        ({"I": np.ones((4, 3)), "T": np.ones((5, 2))}, DataError, r"no number of pairs in common: shapes \(4, 3\)"),
        ({"I": np.full((4, 3), np.nan), "T": np.eye(4)}, DataError, "NaN"),
        ({"I": np.eye(4), "T": np.eye(4), "L": np.full((4, 2), 7.5)}, DataError, "labels are expected as 0 and 1"),
        ({"I": np.zeros((4, 3, 2)), "T": np.eye(4)}, DataError, r"expected as \(pairs, features\)"),
        ({"caption": np.array(["a", "b"], dtype=object)}, DataError, "no arrays of numbers"),
    ],
)
def test_arrays_that_do_not_fit_say_what_is_wrong(
    tmp_path: Path, arrays: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_mat(saved(tmp_path / "x.mat", arrays, "5"))
    assert issubclass(LabelError, DataError)


def test_damaged_and_hostile_files_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.mat", parted(), "5")
    whole = path.read_bytes()
    for content in (whole[:300], whole[: len(whole) // 2], b"no matrices at all" * 20, b""):
        path.write_bytes(content)
        with pytest.raises((FileFormatError, DataError)):
            read_mat(path)
    secret = saved(tmp_path / "secret.mat", parted(), "7.3")
    with h5py.File(path, "w") as file:
        file["I_tr"] = h5py.ExternalLink(str(secret), "I_tr")
        file.create_dataset("T_tr", shape=(1 << 20, 1 << 20), dtype="f8", chunks=(1024, 1024))
    with pytest.raises(DataError, match="T_tr is said to be of shape"):
        read_mat(path)
    with h5py.File(path, "w") as file:
        file["I_tr"] = h5py.ExternalLink(str(secret), "I_tr")
        file["T"] = np.eye(3)
    with pytest.raises(DataError, match=r"no image and text features.*holds T \(3, 3\)"):
        read_mat(path)
    with pytest.raises(FileFormatError, match=r"no \.mat file at"):
        read_mat(tmp_path / "none.mat")
