"""Codes from any tool: reading, recognising, converting, scoring and warning."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from crossbit import Codes
from crossbit.cli import main
from crossbit.errors import DataError, FileFormatError, LabelError, SettingsError, WidthError
from crossbit.evaluation import P50, PALL, mean_average_precision
from crossbit.judging import code_health, find_sides, judge, read_arrays
from crossbit.judging.suspicions import label_order

RNG = np.random.default_rng(0)
Q, N, BITS = 20, 150, 24
QUERY_LABELS, LABELS = RNG.random((Q, 6)) < 0.3, RNG.random((N, 6)) < 0.3
WEIGHTS = RNG.normal(size=(6, BITS))
REAL = {
    role: (labels - 0.3) @ WEIGHTS + RNG.normal(size=(len(labels), BITS))
    for role, labels in (("qi", QUERY_LABELS), ("qt", QUERY_LABELS), ("ri", LABELS), ("rt", LABELS))
}
SIGNS = {role: np.where(values >= 0, 1.0, -1.0) for role, values in REAL.items()}


def named(codes, names=("qB_img", "qB_txt", "rB_img", "rB_txt", "query_L", "retrieval_L")):
    arrays = [codes["qi"], codes["qt"], codes["ri"], codes["rt"], QUERY_LABELS.astype(int), LABELS.astype(int)]
    return dict(zip(names, arrays, strict=True))


def expected_maps(protocol):
    codes = {role: Codes.from_real(values) for role, values in REAL.items()}
    return [
        mean_average_precision(codes["qi"], codes["rt"], QUERY_LABELS, LABELS, protocol),
        mean_average_precision(codes["qt"], codes["ri"], QUERY_LABELS, LABELS, protocol),
    ]


def scores(judged, name="mAP@all"):
    found = [next(c for c in one.conventions if c.name == name) for one in judged.directions]
    return [one.expected for one in found]


@pytest.mark.parametrize(
    "names",
    [
        ("qB_img", "qB_txt", "rB_img", "rB_txt", "query_L", "retrieval_L"),
        ("qu_BI", "qu_BT", "re_BI", "re_BT", "qu_L", "re_L"),
        ("q_img", "q_txt", "r_img", "r_txt", "q_l", "r_l"),
        ("Qi", "Qt", "Di", "Dt", "query_L", "retrieval_L"),
        ("BxTest", "ByTest", "BxTrain", "ByTrain", "testL", "trainL"),
        ("image_query", "text_query", "image_database", "text_database", "query_labels", "database_labels"),
    ],
)
def test_layouts_of_releases_are_recognised(names):
    judged = judge(find_sides(named(SIGNS, names)))
    assert [one.name for one in judged.directions] == ["I2T", "T2I"]
    for protocol in (PALL, P50):
        assert scores(judged, protocol.name) == pytest.approx(expected_maps(protocol), abs=1e-12)


def test_train_arrays_stand_in_only_where_there_is_no_database():
    arrays = {**named(SIGNS), "train_L": np.ones((3, 6)), "tr_img": np.ones((3, BITS))}
    assert find_sides(arrays).names["database_labels"] == "retrieval_L"
    one = {"tst_binary": SIGNS["qi"], "trn_binary": SIGNS["ri"], "tst_label": QUERY_LABELS, "trn_label": LABELS}
    judged = judge(find_sides(one))
    assert [d.name for d in judged.directions] == ["Q2D"]
    assert judged.monitor is None


@pytest.mark.parametrize("kind", ["signs", "bits", "bool", "real", "packed", "words", "integers"])
def test_every_kind_of_values_gives_the_same_scores(kind):
    made = {
        "signs": lambda v: np.where(v >= 0, 1.0, -1.0),
        "bits": lambda v: (v >= 0).astype(np.uint8),
        "bool": lambda v: v >= 0,
        "real": lambda v: v,
        "packed": lambda v: np.packbits(v >= 0, axis=1),
        "words": lambda v: np.packbits(np.pad(v >= 0, ((0, 0), (0, 8))), axis=1).view(np.uint32),
        "integers": lambda v: np.where(v >= 0, 1, -1),
    }[kind]
    judged = judge(find_sides(named({role: made(values) for role, values in REAL.items()})))
    assert scores(judged) == pytest.approx(expected_maps(PALL), abs=1e-12)
    assert judged.n_bits == (32 if kind == "words" else BITS)
    for direction in judged.directions:
        for one in direction.conventions:
            assert one.worst <= one.expected + 1e-12
            assert one.expected <= one.best + 1e-12
            assert 0 < one.random < 1


def write_h5(path, arrays, turned=False):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[f"run/{name}" if not turned else name] = array.T if turned else array


@pytest.mark.parametrize("kind", ["npz", "mat", "h5", "mat73", "npy", "csv"])
def test_every_kind_of_file_gives_the_same_scores(tmp_path, kind):
    arrays = {name: np.asarray(array, dtype=float) for name, array in named(SIGNS).items()}
    paths = [tmp_path / f"codes.{kind.removesuffix('73')}"]
    if kind == "npz":
        np.savez(paths[0], **arrays)
    elif kind == "mat":
        scipy.io.savemat(paths[0], arrays)
    elif kind in ("h5", "mat73"):
        write_h5(paths[0], arrays, turned=kind == "mat73")
    elif kind == "npy":
        paths = [tmp_path / f"{name}.npy" for name in arrays]
        for path, array in zip(paths, arrays.values(), strict=True):
            np.save(path, array)
    else:
        lines = ["part,modality,code,labels"]
        for (side, modality), role in zip(
            (("query", "image"), ("query", "text"), ("database", "image"), ("database", "text")), SIGNS, strict=True
        ):
            labels = QUERY_LABELS if side == "query" else LABELS
            for bits, row in zip(SIGNS[role] > 0, labels, strict=True):
                told = ";".join(f"class {c}" for c in np.flatnonzero(row))
                lines.append(f"{side},{modality},{''.join(map(str, bits.astype(int)))},{told}")
        paths[0].write_text("\r\n".join(lines) + "\r\n")
    judged = judge(find_sides(read_arrays(paths)))
    assert scores(judged) == pytest.approx(expected_maps(PALL), abs=1e-12)


def test_class_numbers_and_names_are_labels():
    numbers = RNG.integers(0, 4, Q), RNG.integers(0, 4, N)
    hot = [n[:, None] == np.arange(4) for n in numbers]
    words = [np.array([f"c{x}" for x in n]) for n in numbers]
    column = [n[:, None].astype(float) for n in numbers]
    codes = {"q_b": SIGNS["qi"], "r_b": SIGNS["ri"]}
    maps = {scores(judge(find_sides({**codes, "q_l": q, "r_l": r})))[0] for q, r in (hot, words, column, numbers)}
    assert len({round(value, 12) for value in maps}) == 1


def warned(arrays, **named_by_hand):
    return {one.what: one for one in judge(find_sides(arrays, named_by_hand)).warnings}


def test_nothing_is_said_of_sound_codes():
    assert not set(warned(named(SIGNS))) - {"nothing relevant", "no label"}


def test_a_third_symbol_is_told_and_counts_as_one():
    odd = dict(named(SIGNS))
    odd["rB_txt"] = odd["rB_txt"].copy()
    odd["rB_txt"][:7, 0] = 0
    told = warned(odd)["third symbol"]
    assert told.where == "text_database"
    assert "7 zeros" in told.told
    assert "third symbol" not in warned(named({role: (s > 0) * 1 for role, s in SIGNS.items()}))


def test_suspicious_codes_are_told():
    order = np.argsort([tuple(row) for row in LABELS.tolist()], axis=0)[:, 0]
    order = np.lexsort(LABELS.T)
    hot = np.eye(6, dtype=bool)[RNG.integers(0, 6, N)]
    hot = hot[np.argsort(hot.argmax(axis=1))]
    assert "label order" in warned({**named(SIGNS), "retrieval_L": hot})
    assert label_order(np.eye(6, dtype=bool)[RNG.integers(0, 6, 500)]) < 0.1
    assert len(order) == N
    assert "one array" in warned({**named(SIGNS), "qB_txt": SIGNS["qi"]})
    collapsed = np.tile(SIGNS["ri"][:2], (75, 1))
    assert {"duplicated rows", "constant bits", "twin bits"} <= set(warned({**named(SIGNS), "rB_img": collapsed}))
    repeated = {**named(REAL), "rB_img": np.concatenate([REAL["ri"][:100], REAL["ri"][:50]])}
    assert "50 of 150 rows" in warned(repeated)["duplicated rows"].told
    wide = np.where(RNG.random((N, 64)) < 0.5, 1, -1)
    inside = {"q_b": wide[:Q], "r_b": wide, "q_l": LABELS[:Q], "r_l": LABELS}
    assert "query in database" in warned(inside)
    mixed = {**named(SIGNS), "qB_img": (SIGNS["qi"] > 0).astype(int)}
    assert "mixed values" in warned(mixed)
    features = {
        "q_b": RNG.normal(size=(Q, 1500)),
        "r_b": RNG.normal(size=(N, 1500)),
        "q_l": QUERY_LABELS,
        "r_l": LABELS,
    }
    assert "features" in warned(features)


def test_arrays_are_named_by_hand():
    arrays = {"a": SIGNS["qi"], "b": SIGNS["rt"], "c": QUERY_LABELS, "d": LABELS, "qB_img": SIGNS["qt"]}
    roles = {"query_codes": "a", "database_codes": "b", "query_labels": "c", "database_labels": "d"}
    judged = judge(find_sides(arrays, roles))
    assert scores(judged) == pytest.approx(expected_maps(PALL)[:1], abs=1e-12)
    with pytest.raises(SettingsError, match=r"no array 'z' for query_codes; there are a \(20, 24\), b"):
        find_sides(arrays, {"query_codes": "z"})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"qB_img": None, "qB_txt": None}, DataError, r"qB_img, rB_txt .* there are rB_img \(150, 24\)"),
        ({"query_L": None}, LabelError, "no query_labels"),
        ({"qB_img": np.full((Q, BITS), np.nan)}, DataError, "NaN or infinity in 20 rows"),
        ({"qB_img": np.full((Q, BITS), 7)}, DataError, "must be of an unsigned type"),
        ({"qB_img": SIGNS["qi"][:, :16]}, WidthError, "image_query 16 bits"),
        ({"qB_img": SIGNS["qi"][:7]}, DataError, "7 rows, its labels 20"),
        ({"query_L": np.full((Q, 6), 0.5)}, LabelError, "query labels are expected"),
        ({"query_L": np.ones((Q, 5))}, LabelError, "same classes"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, message):
    arrays = {name: array for name, array in {**named(SIGNS), **change}.items() if array is not None}
    with pytest.raises(error, match=message):
        judge(find_sides(arrays))


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("codes.npz", b"PK\x03\x04rubbish", FileFormatError, "not a whole .npz"),
        ("codes.mat", b"rubbish", FileFormatError, "not a whole .mat"),
        ("codes.h5", b"rubbish", FileFormatError, "not a whole .h5"),
        ("codes.pkl", b"rubbish", FileFormatError, "known are .npz"),
        ("codes.csv", b"a,b\n1,2\n", DataError, "needs a header with the columns part"),
        ("codes.csv", b"part,code,labels\nquery,01,x\n", DataError, "both must occur"),
        ("codes.csv", b"part,code,labels\nquery,01,x\ndatabase,011,x\n", DataError, "different lengths"),
        ("codes.csv", b"part,code,labels\nquery,01\n", DataError, "line 2"),
        ("codes.csv", b"part,code,labels\nquery,0z,x\ndatabase,01,x\n", DataError, "'0z' is no number"),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, content, error, message):
    if name.endswith("h5"):
        pytest.importorskip("h5py")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        read_arrays([tmp_path / name])


def test_no_pickle_is_loaded(tmp_path):
    np.savez(tmp_path / "codes.npz", qB_img=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileFormatError):
        read_arrays([tmp_path / "codes.npz"])


def test_health_of_codes():
    sound = code_health(Codes.from_bits(RNG.random((4000, 32)) < 0.5))
    assert (sound.constant, sound.twins, sound.balanced) == (0, 0, 1.0)
    assert sound.effective_rank > 0.98
    assert sound.correlation < 0.02
    one = RNG.random((4000, 1)) < 0.5
    dead = code_health(Codes.from_bits(np.hstack([one, ~one, np.ones((4000, 2), bool)])))
    assert (dead.constant, dead.twins, dead.unique) == (2, 1, 2 / 4000)
    assert dead.effective_rank == pytest.approx(1 / 4)


def called(monkeypatch, capfd, *words):
    monkeypatch.setattr(sys, "argv", ["crossbit", *map(str, words)])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_command_judges_files(tmp_path, monkeypatch, capfd):
    np.savez(tmp_path / "codes.npz", **named(SIGNS))
    words = ("evaluate", tmp_path / "codes.npz")
    code, plain, _ = called(monkeypatch, capfd, *words)
    assert code == 0
    assert "mAP@50" in plain
    assert "worst ties" in plain
    told = json.loads(called(monkeypatch, capfd, *words, "--json")[1])
    assert [one["direction"] for one in told["directions"]] == ["I2T", "T2I"]
    assert told["directions"][0]["conventions"][0]["protocol_id"] in plain
    code, _, err = called(monkeypatch, capfd, *words, "--query-codes", "z")
    assert code == 1
    assert "there are qB_img (20, 24)" in err
    code, _, err = called(monkeypatch, capfd, "evaluate", "some.hasher")
    assert code == 1
    assert "evaluated on one DATA" in err


def test_the_example_of_the_document_runs(tmp_path):
    page = Path(__file__).resolve().parents[1] / "docs" / "judging.md"
    made, called = page.read_text().split("```python\n")[1:3]
    for part in (made, called):
        code = part.split("```")[0]
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
    assert "label order" in ran.stdout
