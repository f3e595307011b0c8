"""Label levels: the record of which class lies under which, and how both levels reach a fit and an evaluation."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from crossbit.datasets import Dataset, load_dataset
from crossbit.errors import FileFormatError, LabelError, SettingsError
from crossbit.experiment import Experiment, Job, expected_of
from crossbit.experiment.data import experiment_data
from crossbit.hasher import Hasher
from crossbit.hierarchy import Hierarchy, label_levels
from crossbit.method import Paper
from crossbit.methods.cca_sign import CCASign
from crossbit.pairs import PairedFeatures, Split

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
COARSE = np.eye(2, dtype=bool)[[0, 0, 0, 1, 1]]
FINE = np.eye(3, dtype=bool)[[0, 1, 1, 2, 2]]


def test_a_hierarchy_is_what_the_labels_say() -> None:
    found = Hierarchy.of_labels(COARSE, FINE, coarse_names=("shoes", "bags"), fine_names=("boot", "sandal", "purse"))
    assert found.under.tolist() == [[True, True, False], [False, False, True]]
    assert np.array_equal(found.coarse_of(FINE), COARSE)
    found.check(COARSE, FINE)
    assert all(np.array_equal(a, b) for a, b in zip(found.levels(FINE), (COARSE, FINE), strict=True))
    with pytest.raises(ValueError, match="read-only"):
        found.under[0, 0] = False


def test_a_fine_class_under_two_coarse_ones_is_refused_with_the_numbers_of_pairs() -> None:
    fine = np.eye(2, dtype=bool)[[0, 1, 1, 1, 1]]
    with pytest.raises(LabelError, match=r"1 fine classes .* 'b': 'x' \(2 pairs\), 'y' \(2 pairs\)") as told:
        Hierarchy.of_labels(COARSE, fine, coarse_names="xy", fine_names="ab")
    assert 'several="keep"' in str(told.value)
    kept = Hierarchy.of_labels(COARSE, fine, several="keep")
    assert kept.under.tolist() == [[True, True], [False, True]]
    kept.check(COARSE, fine)
    assert Hierarchy.of_labels(COARSE, fine, several="most").under.tolist() == [[True, True], [False, False]]
    with pytest.raises(LabelError, match="tree=False"):
        Hierarchy(kept.under)
    with pytest.raises(SettingsError, match="several"):
        Hierarchy.of_labels(COARSE, fine, several="some")  # type: ignore[arg-type]  # what is refused


def test_a_fine_class_without_parent_is_refused() -> None:
    with pytest.raises(LabelError, match="above column 2"):
        Hierarchy(np.array([[1, 1, 0]]))
    with pytest.raises(LabelError, match="above column 2"):
        Hierarchy.of_labels(np.vstack([COARSE[:3], np.zeros((2, 2))]), FINE)
    with pytest.raises(LabelError, match="No pair has the fine class column 3"):
        Hierarchy.of_labels(COARSE, np.pad(FINE, ((0, 0), (0, 1))))


@pytest.mark.parametrize(
    ("under", "names", "words"),
    [
        (np.ones(3), (), "shape"),
        (np.ones((0, 3)), (), "shape"),
        (np.full((2, 2), 0.5), (), "0 and 1"),
        (np.eye(2), ("one",), "2 coarse names"),
    ],
)
def test_what_is_no_hierarchy_is_refused(under: np.ndarray, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        Hierarchy(under, names)


def test_labels_that_contradict_a_given_hierarchy_are_named() -> None:
    given = Hierarchy(np.array([[1, 1, 0], [0, 0, 1]]), ("shoes", "bags"), ("boot", "sandal", "purse"))
    with pytest.raises(LabelError, match=r"1 pairs .* row 4: fine 'purse' with coarse 'shoes'"):
        given.check(COARSE[[0, 0, 0, 3, 0]], FINE)
    with pytest.raises(LabelError, match="3 fine classes; got 2"):
        given.coarse_of(FINE[:, :2])


def test_a_hierarchy_is_saved_and_loaded_as_it_was(tmp_path: Path) -> None:
    saved = Hierarchy(np.array([[1, 1, 0], [0, 1, 1]]), ("x", "y"), tree=False)
    saved.save(tmp_path / "h.json")
    loaded = Hierarchy.load(tmp_path / "h.json")
    assert np.array_equal(loaded.under, saved.under)
    assert (loaded.coarse_names, loaded.fine_names, loaded.tree) == (("x", "y"), (), False)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 2},
        {"classes": [10**6, 10**6]},
        {"classes": [-1, -3]},
        {"classes": "ab"},
        {"parents": [[0], [0]]},
        {"parents": [[0], [7], [1]]},
        {"parents": [[0], ["0"], [1]]},
        {"fine_names": [1, 2, 3]},
        {"tree": "yes"},
    ],
)
def test_an_altered_file_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "h.json"
    Hierarchy.of_labels(COARSE, FINE).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FileFormatError, match=r"h\.json"):
        Hierarchy.load(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FileFormatError, match=r"h\.json"):
        Hierarchy.load(path)


def pairs_in_levels() -> PairedFeatures:
    rows = np.random.default_rng(0).standard_normal((5, 4))
    return PairedFeatures(rows, rows + 1, COARSE, (COARSE, FINE))


def test_levels_go_with_their_pairs_and_are_checked() -> None:
    pairs = pairs_in_levels()
    some = pairs[np.array([4, 0])]
    assert np.array_equal(some.levels[1], FINE[[4, 0]])
    assert pairs.without_labels().levels == ()
    assert pairs.without_levels().levels == ()
    assert pairs.without_levels().labels is not None
    with pytest.raises(LabelError, match="coarse and a fine"):
        dataclasses.replace(pairs, levels=(FINE,))
    with pytest.raises(LabelError, match=r"\(5, classes\)"):
        dataclasses.replace(pairs, levels=(COARSE, FINE[:3]))


def test_one_labelling_given_twice_is_one_level() -> None:
    assert label_levels(FINE, FINE.copy()) == ()
    assert label_levels(None, FINE) == ()
    assert len(label_levels(COARSE, FINE)) == 2


class Seen(CCASign):
    """Keeps what its fit was given."""

    name: ClassVar[str] = "seen"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper("Nobody", "Nothing", "Nowhere", 2021, reconstruction=True)
    given: ClassVar[list[PairedFeatures]] = []

    def _fit(self, pairs: PairedFeatures, *arguments: object) -> Hasher:
        self.given.append(pairs)
        return super()._fit(pairs, *arguments)  # type: ignore[arg-type]  # handed on as they are


class SeenInLevels(Seen):
    """The same, hierarchical."""

    hierarchical: ClassVar[bool] = True


def test_only_hierarchical_methods_see_the_levels() -> None:
    for kind in (Seen, SeenInLevels):
        kind(n_bits=2).fit(pairs_in_levels())
    plain, in_levels = Seen.given
    assert plain.levels == ()
    assert plain.labels is not None
    assert len(in_levels.levels) == 2


def dataset() -> Dataset:
    pairs = pairs_in_levels()
    split = Split(np.array([0, 1]), np.array([2, 3]), np.array([0, 1, 4]))
    return Dataset("shop", pairs, split, ("",) * 5, labels_fine=FINE, label_names_fine=("a", "b", "c"), revision="r")


def test_a_data_set_by_its_fine_labels_is_another_one_on_the_same_pairs() -> None:
    data = dataset()
    fine = data.by_fine_labels()
    assert (fine.name, fine.label_names, fine.revision) == ("shop-fine", ("a", "b", "c"), "r-fine")
    assert np.array_equal(fine.pairs.labels, FINE)
    assert fine.pairs.fingerprint() == data.pairs.fingerprint()
    assert fine.split is data.split
    with pytest.raises(LabelError, match="labels_fine"):
        dataclasses.replace(data, labels_fine=None, label_names_fine=()).by_fine_labels()


def test_results_of_hierarchical_methods_alone_depend_on_the_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    data, job = dataset(), Job(Experiment("cca-sign", "shop", ("PALL",), {8: (0,)}), 8, 0)
    flat = dataclasses.replace(data, pairs=data.pairs.without_levels())
    assert expected_of(job, data) == expected_of(job, flat)
    assert expected_of(job, data)["data"] != expected_of(job, data.by_fine_labels())["data"]
    monkeypatch.setattr(CCASign, "hierarchical", True)
    assert expected_of(job, data)["data"] != expected_of(job, flat)["data"]


def test_a_file_gives_both_levels_and_experiments_find_its_fine_labels(tmp_path: Path) -> None:
    pairs = pairs_in_levels()
    arrays = {"query": np.array([2, 3]), "train": np.array([0, 1]), "database": np.array([0, 1, 4])}
    np.savez(
        tmp_path / "shop.npz",
        image=pairs.image,
        text=pairs.text,
        labels=COARSE,
        labels_fine=FINE,
        caption=np.array(list("abcde")),
        **arrays,
    )
    loaded = load_dataset(tmp_path / "shop.npz")
    assert [level.shape for level in loaded.pairs.levels] == [(5, 2), (5, 3)]
    fine = experiment_data("shop-fine", tmp_path)
    assert fine.name == "shop-fine"
    assert np.array_equal(fine.pairs.labels, FINE)


@pytest.mark.parametrize(("name", "shape", "several"), [("fashion6k", (29, 74), 3), ("openclipart5k", (15, 77), 0)])
def test_the_hierarchies_of_the_shared_data(name: str, shape: tuple[int, int], several: int) -> None:
    path = DATA / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"{name}.npz is not in shared/data beside the repository")
    coarse, fine = load_dataset(path, duplicates="drop").pairs.levels
    kept = Hierarchy.of_labels(coarse, fine, several="keep")
    assert kept.under.shape == shape
    assert int((kept.under.sum(axis=0) > 1).sum()) == several
    kept.check(coarse, fine)
