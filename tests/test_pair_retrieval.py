"""Recall of the own pair: against every order of the ties in plain loops, and from Karpathy's files to a result."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import benchmark_captions as makers
from crossbit.cli import main
from crossbit.codes import Codes
from crossbit.datasets.karpathy import FLICKR30K
from crossbit.datasets.prepared import prepare_benchmark
from crossbit.datasets.sentences import Sentences
from crossbit.errors import DataError, SettingsError, WidthError
from crossbit.evaluation import PAIR_PROTOCOLS, PairProtocol, evaluate_pairs
from crossbit.evaluation.pair_retrieval import recall_of_own
from crossbit.experiment import expected_of, read_experiment, read_result, run_job
from crossbit.experiment.data import experiment_data
from crossbit.methods import load_method
from crossbit.testing import planted_pairs


def by_all_orders(queries: np.ndarray, items: np.ndarray, own: list[set[int]], k: int) -> float:
    """The mean recall over every order of the items that keeps nearer ones first; bits as booleans."""
    found = []
    for query, mine in zip(queries, own, strict=True):
        distances = (query != items).sum(axis=1)
        orders = [o for o in itertools.permutations(range(len(items))) if (np.diff(distances[list(o)]) >= 0).all()]
        found.append(np.mean([bool(mine & set(order[:k])) for order in orders]))
    return float(np.mean(found))


@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_recalls_are_the_mean_over_every_order_of_the_ties(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    images, texts = rng.random((3, 3)) < 0.5, rng.random((7, 3)) < 0.5
    owner = np.array([0, 0, 2, 1, 1, 1, 2])
    i2t, t2i = recall_of_own(Codes.from_bits(images), Codes.from_bits(texts), owner, k)
    own = [set(np.flatnonzero(owner == row).tolist()) for row in range(3)]
    assert i2t == pytest.approx(by_all_orders(images, texts, own, k), abs=1e-12)
    assert t2i == pytest.approx(by_all_orders(texts, images, [{row} for row in owner.tolist()], k), abs=1e-12)


def test_a_good_hasher_finds_its_pairs_and_chance_is_what_chance_gives() -> None:
    world = planted_pairs(n=400)
    hasher = load_method("cca-itq")(n_bits=32).fit(world.train)
    rows = world.split.query
    text = np.repeat(world.pairs.text[rows], 2, axis=0)  # two captions a picture, alike: the second changes nothing
    owner = np.repeat(np.arange(len(rows)), 2)
    found = evaluate_pairs(hasher, world.pairs.image[rows], text, owner, split_id="s")
    assert [own.protocol.name for own in found.scores] == ["R@1", "R@5", "R@10"]
    assert (found.n_images, found.n_texts) == (len(rows), 2 * len(rows))
    for own, chance in zip(found.scores, found.random, strict=True):
        assert chance.t2i == pytest.approx(own.protocol.k / len(rows))
        assert own.i2t > 2 * chance.i2t
        assert own.t2i > 2 * chance.t2i
        assert own.protocol_id == chance.protocol_id
    assert found.scores[0].i2t <= found.scores[1].i2t <= found.scores[2].i2t
    json.dumps(found.to_json(), allow_nan=False)


def test_folds_are_averaged_and_have_an_id_of_their_own() -> None:
    world = planted_pairs(n=400)
    hasher = load_method("random-projection")(n_bits=16).fit(world.train)
    image, text = world.pairs.image[:30], world.pairs.text[:30]
    owner = np.arange(30)
    ten, whole = PairProtocol("R@1", 1, fold=10), PairProtocol("R@1", 1)
    found = evaluate_pairs(hasher, image, text, owner, [ten, whole], split_id="s")
    parts = [evaluate_pairs(hasher, image[a : a + 10], text[a : a + 10], np.arange(10), [whole]) for a in (0, 10, 20)]
    assert found.scores[0].i2t == pytest.approx(np.mean([part.scores[0].i2t for part in parts]))
    assert found.random[0].t2i == pytest.approx(0.1)
    ids = [own.protocol_id for own in found.scores]
    ids += [own.protocol_id for own in evaluate_pairs(hasher, image, text, owner[::-1], [whole], split_id="s").scores]
    ids += [own.protocol_id for own in evaluate_pairs(hasher, image, text, owner, [whole], split_id="t").scores]
    assert len(set(ids)) == 4
    renamed = PairProtocol("recall", 1)
    assert renamed.id("s", "r") == whole.id("s", "r")


def test_what_does_not_fit_is_refused() -> None:
    world = planted_pairs(n=100)
    hasher = load_method("random-projection")(n_bits=16).fit(world.train)
    image, text = world.pairs.image[:4], world.pairs.text[:4]
    for owner, told in (
        (np.array([0, 1, 2, 2]), "1 pictures have no caption, the first is picture 3"),
        (np.array([0, 1, 2, 4]), "Each of 4 captions needs a row"),
        (np.array([0, 1, 2]), "Each of 4 captions needs a row"),
    ):
        with pytest.raises(DataError, match=told):
            evaluate_pairs(hasher, image, text, owner)
    with pytest.raises(WidthError):
        evaluate_pairs(hasher, image[:, 1:], text, np.arange(4))
    with pytest.raises(WidthError, match="one code length"):
        recall_of_own(
            Codes.from_bits(np.ones((1, 3), bool)), Codes.from_bits(np.ones((1, 4), bool)), np.zeros(1, int), 1
        )
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(SettingsError, match="k must be a whole number"):
            PairProtocol("R", wrong)  # type: ignore[arg-type]  # on purpose
    held = Sentences(np.array([3, 3, 5]), np.zeros((3, 2), np.float32))
    assert held.of(np.array([5, 3]))[1].tolist() == [1, 1, 0]
    with pytest.raises(DataError, match="1 of 2 query pairs have no captions of their own here, the first is row 4"):
        held.of(np.array([4, 5]))


@pytest.fixture
def flickr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature of Flickr30k, prepared, with image features of its own, below a folder of data."""
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    record = makers.karpathy(tmp_path / "raw")
    out = tmp_path / "data" / "flickr30k-karpathy"
    n = prepare_benchmark(FLICKR30K, tmp_path / "raw", out, record=record).n
    np.save(out / "image.npy", np.random.default_rng(0).normal(size=(n, 6)).astype(np.float32))
    return tmp_path


def test_karpathys_pairs_are_evaluated_by_the_command(
    flickr: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = experiment_data("flickr30k-karpathy", flickr / "data")
    assert data.sentences is not None
    assert len(data.sentences.rows) == 5 * len(data.split.query)  # five captions a picture, each by itself
    hasher = load_method("cca-itq")(n_bits=8).fit(data.pairs[data.split.train])
    hasher.save(flickr / "h.safetensors")

    def run(*words: str) -> tuple[int, str, str]:
        own = ["evaluate", str(flickr / "h.safetensors"), str(flickr / "data" / "flickr30k-karpathy")]
        monkeypatch.setattr("sys.argv", ["crossbit", *own, "--text-encoder", "bag-of-words", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    code, out, err = run("--json")
    assert code == 0, err
    told = json.loads(out)
    text, owner = data.sentences.of(data.split.query)
    found = evaluate_pairs(hasher, data.pairs.image[data.split.query], text, owner, split_id=data.split.fingerprint())
    assert told["scores"] == [own.to_json() for own in found.scores]
    assert (told["n_images"], told["n_texts"]) == (4, 20)
    code, out, _ = run()
    assert (code, out.count("R@"), "4 query pictures and 20 captions" in out) == (0, 3, True)
    assert found.scores[0].protocol_id in out
    for words, said in (
        (("--protocol", "PALL"), "needs labels"),
        (("--protocol", "R1,PALL"), "evaluate once for each kind"),
        (("--protocol", "R1", "--ties", "best"), "is for mAP"),
        (("--protocol", "R2"), "There is no protocol 'R2'"),
    ):
        code, _, err = run(*words)
        assert (code, said in err) == (1, True), err


def test_an_experiment_on_pairs_stores_its_recalls(flickr: Path) -> None:
    path = flickr / "tiny.toml"
    plan = "[plan]\n8 = [0]\n"
    path.write_text(f'method = "cca-itq"\ndata = "flickr30k-karpathy"\nprotocols = ["R1", "R5_1K"]\n{plan}')
    (job,) = read_experiment(path).jobs()
    data = experiment_data("flickr30k-karpathy", flickr / "data")
    stored = run_job(job, data)
    stored.write(flickr / "result.json")
    again = read_result(flickr / "result.json")
    assert list(again.scores) == ["R1", "R5_1K"]
    assert again.scores["R1"]["I2T"] <= again.scores["R5_1K"]["I2T"]
    assert again.scores["R1"]["protocol_id"] != again.scores["R5_1K"]["protocol_id"]
    assert again.expected == expected_of(job, data)
    path.write_text(f'method = "random-ranking"\ndata = "x"\nprotocols = ["R1"]\n{plan}')
    with pytest.raises(SettingsError, match="random-ranking is scored by labels"):
        read_experiment(path)


def test_presets_are_those_of_the_literature() -> None:
    assert [protocol.k for protocol in PAIR_PROTOCOLS.values()] == [1, 5, 10, 1, 5, 10]
    assert {protocol.fold for protocol in PAIR_PROTOCOLS.values()} == {None, 1000}
