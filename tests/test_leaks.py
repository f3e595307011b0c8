"""Leaks are found where they were planted, and nowhere else."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from crossbit import PairedFeatures, Split
from crossbit.cli import main
from crossbit.evaluation import PublishedSplit
from crossbit.judging.leaks import (
    batch_leaks,
    content_leaks,
    hasher_leaks,
    label_leaks,
    order_leaks,
    row_leaks,
    selection_leaks,
)
from crossbit.methods.cca_itq import CCAITQ
from crossbit.testing import planted_pairs

WORLD = planted_pairs(n=120)
PAIRS, SPLIT = WORLD.pairs, WORLD.split
CAPTIONS = np.array([f"pair {row}" for row in range(len(PAIRS))])


def names(findings):
    return [one.what for one in findings]


def changed(image=None, text=None, labels=None):
    """The pairs with some rows copied: {query row: other row}."""
    parts = {"image": PAIRS.image.copy(), "text": PAIRS.text.copy(), "labels": PAIRS.labels.copy()}
    for name, rows in (("image", image or {}), ("text", text or {}), ("labels", labels or {})):
        for query, other in rows.items():
            parts[name][query] = parts[name][other]
    return PairedFeatures(**parts)


def picture(seed, noise=0, quality=95):
    rng = np.random.default_rng(seed)
    made = Image.new("RGB", (64, 64), "white")
    pen = ImageDraw.Draw(made)
    for _ in range(12):
        x, y, w, h = rng.integers(0, 48, 4)
        pen.rectangle((x, y, x + w // 2, y + h // 2), fill=tuple(int(c) for c in rng.integers(0, 256, 3)))
    shifted = np.clip(np.asarray(made, dtype=int) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(shifted).save(file, "JPEG", quality=quality)
    return file.getvalue()


def test_a_sound_data_set_has_none():
    assert content_leaks(PAIRS, SPLIT) == []
    assert row_leaks(SPLIT.train, SPLIT.query, SPLIT.database) == []
    shuffled = Split(
        train=SPLIT.train, query=np.random.default_rng(0).permutation(SPLIT.query), database=SPLIT.database
    )
    assert names(order_leaks(PAIRS.without_labels(), shuffled)) == []


def test_rows_on_both_sides_are_told():
    found = row_leaks(np.array([1, 2, 3]), np.array([3, 4]), np.array([4, 5]))
    assert names(found) == ["query in database", "query in train"]
    assert found[0].rows == ((4, 4),)


def test_exact_copies_are_told_by_what_is_copied():
    (a, b, c), other = SPLIT.query[:3], SPLIT.database[:3]
    pairs = changed(image={a: other[0], b: other[1]}, text={a: other[0], c: other[2]})
    found = {one.what: one for one in content_leaks(pairs, SPLIT)}
    assert found["same pair"].rows == ((a, other[0]),)
    assert found["same picture"].rows == ((b, other[1]),)
    assert found["same text"].rows == ((c, other[2]),)
    assert [found[what].leak for what in ("same pair", "same picture", "same text")] == [True, True, False]


def test_near_copies_are_told_by_picture_hash_and_words():
    query, other = SPLIT.query, SPLIT.database
    pictures = [picture(row) for row in range(len(PAIRS))]
    pictures[query[0]] = picture(int(other[0]), noise=6, quality=60)
    pictures[query[1]] = b"no picture"
    words = np.array([f"w{number}" for number in range(400)])
    rng = np.random.default_rng(1)
    captions = [" ".join(rng.choice(words, 8)) for _ in range(len(PAIRS))]
    captions[query[2]] = "A " + captions[other[2]].upper() + "!"
    captions[query[3]], captions[other[3]] = "a dog", "a dog"
    found = {one.what: one for one in content_leaks(PAIRS, SPLIT, captions=captions, pictures=pictures)}
    assert found["near picture"].rows == ((query[0], other[0]),)
    assert found["near picture"].leak
    assert found["near text"].rows == ((query[2], other[2]),)
    assert not found["near text"].leak


def test_an_encoder_that_mixes_its_batch_is_told():
    features = PAIRS.image[:40]
    alone = np.random.default_rng(0).normal(size=(features.shape[1], 16))

    def mixing(batch):
        return (batch - batch.mean(axis=0)) @ alone > 0

    def by_place(batch):
        return (batch @ alone > 0) ^ (np.arange(len(batch)) % 2 == 1)[:, None]

    def item_by_item(batch):
        return np.stack([row @ alone for row in batch]) > 0

    assert batch_leaks(item_by_item, features) == []
    told = [one.told for one in batch_leaks(mixing, features)]
    assert len(told) >= 2
    assert "batches of 1;" in told[0]
    assert any("another order" in one.told for one in batch_leaks(by_place, features))
    assert hasher_leaks(CCAITQ(n_bits=16).fit(PAIRS[SPLIT.train]), PAIRS, SPLIT.query) == []


def test_labels_that_reach_a_fit_are_told():
    method = CCAITQ(n_bits=8)

    def cheating(pairs):
        seed = 0 if pairs.labels is None else int(pairs.labels[:20].sum(axis=0) @ np.arange(pairs.labels.shape[1]))
        return CCAITQ(n_bits=8, seed=seed).fit(pairs)

    assert label_leaks(method.fit, PAIRS[SPLIT.train]) == []
    assert "labels reach the fit" in names(label_leaks(cheating, PAIRS[SPLIT.train]))
    assert label_leaks(cheating, PAIRS.without_labels()) == []


def test_a_choice_on_queries_is_told():
    def honest(pairs, split):
        return CCAITQ(n_bits=8).fit(pairs[split.train])

    def by_features(pairs, split):
        return CCAITQ(n_bits=8, seed=int(np.abs(pairs.image[split.query]).argmax())).fit(pairs[split.train])

    def by_labels(pairs, split):
        return CCAITQ(n_bits=8, seed=int(pairs.labels[split.query].sum())).fit(pairs[split.train])

    assert selection_leaks(honest, PAIRS, SPLIT) == []
    assert "features" in selection_leaks(by_features, PAIRS, SPLIT)[0].told
    assert "labels" in selection_leaks(by_labels, PAIRS, SPLIT)[0].told


@pytest.mark.parametrize("planted", [False, True])
def test_the_command_tells_leaks_by_its_exit_code(tmp_path, monkeypatch, capfd, planted):
    query, other = int(SPLIT.query[0]), int(SPLIT.database[0])
    pairs = changed(image={query: other} if planted else {})
    split = {part: getattr(SPLIT, part) for part in ("train", "query", "database")}
    np.savez(tmp_path / "data.npz", image=pairs.image, text=pairs.text, labels=pairs.labels, caption=CAPTIONS, **split)
    PublishedSplit(SPLIT, "data", pairs.fingerprint(), "planted").write(tmp_path / "split.json")
    CCAITQ(n_bits=8).fit(pairs[SPLIT.train]).save(tmp_path / "one.hasher")
    words = ["data", "leaks", str(tmp_path / "data.npz"), "--split", str(tmp_path / "split.json"), "--json"]
    monkeypatch.setattr(sys, "argv", ["crossbit", *words, "--hasher", str(tmp_path / "one.hasher")])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(SystemExit) as ended:
        main()
    told = json.loads(capfd.readouterr()[0])
    assert (ended.value.code or 0) == int(planted)
    assert told["leaks"] == int(planted)
    assert ([one["rows"] for one in told["findings"] if one["leak"]] == [[[query, other]]]) == planted
