"""DSAH: its objective against plain loops over the equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from crossbit.affinity_losses import asymmetry, diagonal_pull, off_diagonal_loss
from crossbit.errors import SettingsError
from crossbit.methods.dsah import DSAH, DSAHObjective
from crossbit.training import Batch
from objective_oracles import cosine, cosines, inner, mean_square, scaled, table, transposed

N_BITS = 6


def doubles(generator: np.random.Generator, *shape: int) -> Any:
    return torch.tensor(generator.standard_normal(shape))


def batch_of(generator: np.random.Generator, b: int = 5, *, learns: bool = False) -> Batch:
    """A batch in float64, whose codes can be differentiated if it learns."""
    image, text = doubles(generator, b, 7), doubles(generator, b, 4).abs()
    image_real, text_real = doubles(generator, b, N_BITS), doubles(generator, b, N_BITS)
    codes = (torch.tanh(real).requires_grad_(learns) for real in (image_real, text_real))
    return Batch(torch.arange(b), image, text, image_real, text_real, *codes, epoch=0)


def numbers(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(term) for name, term in terms.items()}


def test_terms_on_tables_are_what_they_say(generator: np.random.Generator) -> None:
    given, target = doubles(generator, 4, 4), doubles(generator, 4, 4)
    others = [(i, j) for i in range(4) for j in range(4) if i != j]
    off = sum(float(given[i][j] - target[i][j]) ** 2 for i, j in others) / 12
    assert float(off_diagonal_loss(given, target)) == pytest.approx(off)
    assert float(diagonal_pull(given, 1.5)) == pytest.approx(sum((float(given[i][i]) - 1.5) ** 2 for i in range(4)) / 4)
    assert float(asymmetry(given)) == pytest.approx(mean_square(given, transposed(given)))
    assert float(off_diagonal_loss(given[:1, :1], target[:1, :1])) == 0


def decoded(weight: Any, bias: Any, codes: Any) -> list[list[float]]:
    return table(
        len(codes),
        len(bias),
        lambda i, j: float(bias[j]) + inner(codes[i], weight[j]),
    )


def unit_rows(rows: Any) -> list[list[float]]:
    """Entry j of a row over the row's length is its cosine with axis j."""
    axes = np.eye(len(rows[0])).tolist()
    return table(len(rows), len(rows[0]), lambda i, j: cosine(rows[i], axes[j]))


@pytest.mark.parametrize("decoder_input", ["code", "sign"])
def test_dsah_is_its_equations(generator: np.random.Generator, decoder_input: Any) -> None:
    batch, method = batch_of(generator), DSAH(n_bits=N_BITS, weight_image=0.7, decoder_input=decoder_input)
    objective = DSAHObjective(method, 7, 4).double()
    image, text = batch.image_code, batch.text_code
    s_image = scaled(table(5, 5, lambda i, j: 2 * cosine(batch.image[i], batch.image[j]) - 1), 1.5)
    s_text = scaled(table(5, 5, lambda i, j: 2 * cosine(batch.text[i], batch.text[j]) - 1), 1.5)
    fused = table(5, 5, lambda i, j: 0.7 * s_image[i][j] + 0.3 * s_text[i][j])
    crossed = cosines(image, text)
    read_image, read_text = (code.sign() if decoder_input == "sign" else code for code in (image, text))
    to_image, to_text = objective.to_image.requires_grad_(False), objective.to_text.requires_grad_(False)
    assert numbers(objective(batch)) == pytest.approx(
        {
            "between": mean_square(fused, crossed),
            "within_image": mean_square(fused, cosines(image, image)),
            "within_text": mean_square(fused, cosines(text, text)),
            "pair": sum((crossed[i][i] - 1.5) ** 2 for i in range(5)) / 5,
            "decoders": mean_square(decoded(to_image.weight, to_image.bias, read_text), unit_rows(batch.image))
            + mean_square(decoded(to_text.weight, to_text.bias, read_image), unit_rows(batch.text)),
            "symmetry": 2 * mean_square(crossed, transposed(crossed)),
            "own": 0.1 * (mean_square(s_image, cosines(image, image)) + mean_square(s_text, cosines(text, text))),
        }
    )


def test_dsah_decoders_reach_the_networks_unless_they_read_signs_as_released(generator: np.random.Generator) -> None:
    for decoder_input, reached in (("code", True), ("sign", False)):
        batch = batch_of(generator, learns=True)
        objective = DSAHObjective(DSAH(n_bits=N_BITS, decoder_input=decoder_input), 7, 4).double()
        objective(batch)["decoders"].backward()
        for code in (batch.image_code, batch.text_code):
            assert (code.grad is not None and bool((code.grad != 0).any())) is reached
        assert objective.to_image.weight.grad is not None


def test_dsah_has_the_published_settings() -> None:
    method = DSAH()
    assert (method.weight_image, method.mu, method.symmetry, method.own) == (0.9, 1.5, 2.0, 0.1)
    assert (method.learning_rate, method.momentum, method.weight_decay) == (0.005, 0.7, 5e-4)
    assert (method.batch_size, method.epochs, method.alpha(8)) == (32, 200, 3)
    with pytest.raises(SettingsError, match="decoder_input"):
        DSAH(decoder_input="bits")  # type: ignore[arg-type]  # the mistake that must be refused
