"""Hash functions against a plain loop; hasher files whole, and refused when they are not."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from crossbit.errors import DataError, FileFormatError, SettingsError, WidthError
from crossbit.hasher import Hasher, HashFunction, Layer


def layer(generator: np.random.Generator, d_in: int, d_out: int, activation: str = "linear") -> Layer:
    weight, bias = generator.standard_normal((d_in, d_out)), generator.standard_normal(d_out)
    return Layer(weight.astype(np.float32), bias.astype(np.float32), activation)  # type: ignore[arg-type]  # one of three


@pytest.fixture
def hasher(generator: np.random.Generator) -> Hasher:
    image = HashFunction((layer(generator, 5, 7, "relu"), layer(generator, 7, 12, "tanh")), normalise=True)
    text = HashFunction((layer(generator, 3, 12),))
    settings = {"n_bits": 12, "seed": 0, "weights": [0.1, 0.2], "teacher": {"method": "jdsh", "epochs": 3}}
    return Hasher(image, text, "made-up", settings, {"image": "abc", "text": "def"}, {"epochs": 3})


@pytest.fixture
def saved(hasher: Hasher, tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "hasher.safetensors"
    hasher.save(path)
    return path


def test_outputs_are_what_a_plain_loop_gives(hasher: Hasher, generator: np.random.Generator) -> None:
    rows = generator.standard_normal((4, 5)).astype(np.float32)
    first, second = hasher.image.layers
    for row, outputs in zip(rows, hasher.image(rows), strict=True):
        length = sum(float(value) ** 2 for value in row) ** 0.5
        hidden = [
            max(0.0, sum(float(row[i]) / length * float(first.weight[i, j]) for i in range(5)) + float(first.bias[j]))
            for j in range(7)
        ]
        expected = [
            np.tanh(sum(hidden[i] * float(second.weight[i, j]) for i in range(7)) + float(second.bias[j]))
            for j in range(12)
        ]
        np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-7)


def test_codes_are_the_signs_of_the_outputs(hasher: Hasher, generator: np.random.Generator) -> None:
    texts = generator.standard_normal((9, 3))
    np.testing.assert_array_equal(hasher.encode_texts(texts).bits(), hasher.text(texts) >= 0)
    assert hasher.n_bits == hasher.encode_images(generator.standard_normal((2, 5))).n_bits == 12


def test_a_zero_row_stays_zero_under_normalisation(hasher: Hasher) -> None:
    outputs = hasher.image(np.zeros((1, 5)))
    assert np.isfinite(outputs).all()


def test_more_rows_than_a_block(hasher: Hasher, generator: np.random.Generator) -> None:
    rows = generator.standard_normal((5000, 5))
    codes = hasher.encode_images(rows)
    assert codes[4090:4100] == hasher.encode_images(rows[4090:4100])


def test_no_rows_give_no_codes(hasher: Hasher) -> None:
    assert len(hasher.encode_texts(np.zeros((0, 3)))) == 0


def test_another_width_names_both(hasher: Hasher) -> None:
    with pytest.raises(WidthError, match="takes image features of width 5; got width 3"):
        hasher.encode_images(np.ones((1, 3)))
    with pytest.raises(WidthError, match="takes text features of width 3; got width 5"):
        hasher.encode_texts(np.ones((1, 5)))


def test_nan_names_the_row(hasher: Hasher) -> None:
    rows = np.ones((4, 3))
    rows[2, 1] = np.nan
    with pytest.raises(DataError, match="rows 2"):
        hasher.encode_texts(rows)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_layer_that_diverged_is_refused(bad: float) -> None:
    with pytest.raises(DataError, match="diverged"):
        Layer(np.full((2, 2), bad, dtype=np.float32), np.zeros(2, dtype=np.float32))


def test_layers_that_do_not_fit(generator: np.random.Generator) -> None:
    with pytest.raises(DataError, match="bias"):
        Layer(np.ones((2, 3), dtype=np.float32), np.ones(2, dtype=np.float32))
    with pytest.raises(DataError, match="activation"):
        layer(generator, 2, 2, "sigmoid")
    with pytest.raises(WidthError, match="gives 3 values where the next one takes 4"):
        HashFunction((layer(generator, 2, 3), layer(generator, 4, 8)))
    with pytest.raises(DataError, match="at least one layer"):
        HashFunction(())
    with pytest.raises(SettingsError, match="n_bits"):
        HashFunction((layer(generator, 2, 5000),))


def test_both_functions_need_one_code_length(generator: np.random.Generator) -> None:
    with pytest.raises(WidthError, match="8 and 16"):
        Hasher(HashFunction((layer(generator, 2, 8),)), HashFunction((layer(generator, 2, 16),)))


def test_weights_are_read_only_and_the_source_is_not(generator: np.random.Generator) -> None:
    weight = np.ones((2, 2), dtype=np.float32)
    made = Layer(weight, np.zeros(2, dtype=np.float32))
    with pytest.raises(ValueError, match="read-only"):
        made.weight[0, 0] = 2
    weight[0, 0] = 2


def test_a_saved_hasher_comes_back_whole(hasher: Hasher, saved: Path, generator: np.random.Generator) -> None:
    again = Hasher.load(saved)
    assert (again.method, again.settings, again.encoders, again.report) == (
        hasher.method,
        hasher.settings,
        hasher.encoders,
        hasher.report,
    )
    assert again.fingerprint() == hasher.fingerprint()
    assert again.image.normalise
    assert not again.text.normalise
    rows = generator.standard_normal((20, 5))
    np.testing.assert_array_equal(again.image(rows), hasher.image(rows))


def test_the_fingerprint_knows_weights_settings_and_encoders(hasher: Hasher, generator: np.random.Generator) -> None:
    others = [
        dataclasses.replace(hasher, settings={"n_bits": 12}),
        hasher.with_encoders(image="abc", text="other"),
        dataclasses.replace(hasher, text=HashFunction((layer(generator, 3, 12),))),
        dataclasses.replace(hasher, image=dataclasses.replace(hasher.image, normalise=False)),
    ]
    assert len({hasher.fingerprint(), *(other.fingerprint() for other in others)}) == 5
    assert dataclasses.replace(hasher, report={"epochs": 9}).fingerprint() == hasher.fingerprint()


def test_saving_over_an_old_file_replaces_it(hasher: Hasher, saved: Path) -> None:
    changed = hasher.with_encoders(image="new", text="new")
    changed.save(saved)
    assert Hasher.load(saved).encoders["image"] == "new"
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_a_truncated_file_is_refused(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(FileFormatError, match="truncated"):
        Hasher.load(saved)


def test_an_altered_weight_is_refused(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-3] ^= 0x40
    saved.write_bytes(content)
    with pytest.raises(FileFormatError, match="altered"):
        Hasher.load(saved)


def rewrite_header(path: Path, change: dict[str, str | None]) -> None:
    """Change entries of the header of a safetensors file; None takes one out."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = {
        key: value for key, value in {**header["__metadata__"], **change}.items() if value is not None
    }
    written = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(written)) + written + content[8 + size :])


@pytest.mark.parametrize("version", ["2", "0", "one", None])
def test_an_unknown_version_says_what_to_do(saved: Path, version: str | None) -> None:
    rewrite_header(saved, {"version": version})
    with pytest.raises(FileFormatError, match=r"format version .* reads version 1\. Upgrade crossbit"):
        Hasher.load(saved)


def test_altered_settings_are_refused(saved: Path) -> None:
    content = saved.read_bytes()
    assert b"made-up" in content
    saved.write_bytes(content.replace(b"made-up", b"made-on"))
    with pytest.raises(FileFormatError, match="altered"):
        Hasher.load(saved)


@pytest.mark.parametrize(
    "change",
    [{"description": None}, {"description": "{"}, {"description": "[]"}, {"report": "nothing"}, {"fingerprint": None}],
)
def test_a_damaged_header_is_refused(saved: Path, change: dict[str, str | None]) -> None:
    rewrite_header(saved, change)
    with pytest.raises(FileFormatError, match=r"hasher\.safetensors"):
        Hasher.load(saved)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": np.ones(2)}, foreign)
    with pytest.raises(FileFormatError, match="not a crossbit hasher"):
        Hasher.load(foreign)
    foreign.write_bytes(b"\x80\x04\x95 a pickle by another name")
    with pytest.raises(FileFormatError, match="not a whole hasher file"):
        Hasher.load(foreign)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(FileFormatError, match="crossbit fit"):
            Hasher.load(path)


def test_a_file_that_leaves_out_a_tensor_is_refused(saved: Path) -> None:
    content = saved.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    metadata = json.loads(content[8 : 8 + size])["__metadata__"]
    save_file({"image.0.weight": np.ones((5, 7), dtype=np.float32)}, saved, metadata=metadata)
    with pytest.raises(FileFormatError, match=r"altered|whole"):
        Hasher.load(saved)
