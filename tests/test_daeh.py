"""DAEH: its thresholds, similarity, information and losses against plain loops; and SAKDH, KDCMH with its teacher."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.confident_similarity import Thresholds, distribution_thresholds
from crossbit.errors import SettingsError
from crossbit.methods.daeh import DAEH, DAEHObjective
from crossbit.methods.dcmh import DCMH
from crossbit.methods.dsah import DSAH
from crossbit.methods.jdsh import JDSH
from crossbit.methods.kdcmh import KDCMH
from crossbit.methods.sakdh import SAKDH
from crossbit.pairs import PairedFeatures
from crossbit.renyi import entropy, mutual_information
from crossbit.training import Batch
from objective_oracles import Matrix, cosine, cosines, mean_square, table

N_BITS = 5


@pytest.fixture
def pairs(generator: np.random.Generator) -> PairedFeatures:
    texts = (generator.random((40, 12)) < 0.25).astype(np.float32)
    texts[:, 0] = 1  # no text is empty
    return PairedFeatures(np.abs(generator.standard_normal((40, 7))), texts)


def batch_of(generator: np.random.Generator, pairs: PairedFeatures, *, learns: bool = False) -> Batch:
    rows = torch.tensor([8, 2, 5, 0])
    reals = [torch.tensor(generator.standard_normal((4, N_BITS))) for _ in range(2)]
    codes = [torch.tanh(real).requires_grad_(learns) for real in reals]
    features = (torch.tensor(side, dtype=torch.float64)[rows] for side in (pairs.image, pairs.text))
    return Batch(rows, *features, *reals, *codes, epoch=0)


def thresholds(values: list[float], alike: float, unlike: float) -> tuple[float, float]:
    """SSDH: the fullest bin's left edge; the root mean square distance from it on either side."""
    counts: dict[int, int] = {}
    for value in values:
        counts[math.floor(value / 0.01)] = counts.get(math.floor(value / 0.01), 0) + 1
    fullest = max(counts.values())
    mode = min(place for place, count in counts.items() if count == fullest) * 0.01

    def spread(side: list[float]) -> float:
        return math.sqrt(sum((v - mode) ** 2 for v in side) / len(side)) if side else 0.0

    left, right = spread([v for v in values if v <= mode]), spread([v for v in values if v > mode])
    return mode - alike * left, mode + unlike * right


def test_thresholds_are_the_mode_and_the_spreads_of_its_mirrored_sides(pairs: PairedFeatures) -> None:
    found = distribution_thresholds(torch.tensor(pairs.image), 2.0, 1.5)
    rows = pairs.image.astype(np.float64).tolist()
    values = [1 - cosine(rows[i], rows[j]) for i in range(40) for j in range(40) if i != j]
    assert (found.alike, found.unlike) == pytest.approx(thresholds(values, 2.0, 1.5), abs=1e-5)


def test_what_lies_on_a_threshold_is_decided() -> None:
    said = Thresholds(1.0, 5.0).decided(torch.tensor([0.0, 1.0, 1.1, 4.9, 5.0, 7.0]))
    assert said.tolist() == [1, 1, 0, 0, -1, -1]


def target_of(objective: DAEHObjective, pairs: PairedFeatures, rows: list[int], far: Callable[..., float]) -> Matrix:
    image = [pairs.image[row].tolist() for row in rows]
    text = [pairs.text[row].tolist() for row in rows]

    def said(distance: float, limits: Thresholds) -> int:
        return 1 if distance <= limits.alike else -1 if distance >= limits.unlike else 0

    def entry(i: int, j: int) -> float:
        images = said(1 - cosine(image[i], image[j]), objective.image_limits)
        texts = said(far(text[i], text[j]), objective.text_limits)
        if images == 1 and texts == 1:
            return 1.0
        if images == -1 or texts == -1:
            return -1.0
        return 2 * (0.3 * cosine(text[i], text[j]) + 0.7 * cosine(image[i], image[j])) - 1

    return table(len(rows), len(rows), entry)


@pytest.mark.parametrize("by", ["distribution", "published"])
def test_the_similarity_is_decided_where_both_are_sure(pairs: PairedFeatures, by: Any) -> None:
    method = DAEH(n_bits=N_BITS, alike=0.4, unlike=0.7, text_decided=by, text_alike=1.0, text_unlike=2.2)
    objective = DAEHObjective(method, pairs)
    rows = list(range(0, 40, 2))
    far = math.dist if by == "published" else lambda a, b: 1 - cosine(a, b)
    expected = np.array(target_of(objective, pairs, rows, far))
    found = objective.similarity(torch.tensor(pairs.image[rows]), torch.tensor(pairs.text[rows]))
    others = ~np.eye(len(rows), dtype=bool)
    np.testing.assert_allclose(found.numpy()[others], expected[others], atol=1e-5)
    assert {-1.0, 1.0} < set(expected[others].tolist())  # all three cases are there


def test_information_is_that_of_the_eigenvalues(generator: np.random.Generator) -> None:
    first, second = (np.corrcoef(generator.standard_normal((6, 9))) for _ in range(2))

    def bits(kernel: Any) -> float:
        return -math.log2(sum(float(v) ** 2 for v in np.linalg.eigvalsh(kernel / np.trace(kernel))))

    assert float(entropy(torch.tensor(first))) == pytest.approx(bits(first))
    expected = bits(first) + bits(second) - bits(first * second)
    assert float(mutual_information(torch.tensor(first), torch.tensor(second))) == pytest.approx(expected)


def between(first: Matrix, second: Matrix, target: Matrix) -> float:
    crossed, b = cosines(first, second), len(first)
    pair = sum((crossed[i][i] - 1.5) ** 2 for i in range(b)) / b
    off = sum((crossed[i][j] - target[i][j]) ** 2 for i in range(b) for j in range(b) if i != j) / (b * b - b)
    return pair + off + mean_square(cosines(first, first), cosines(second, second))


def told(code: torch.Tensor, attributes: torch.Tensor, objective: DAEHObjective) -> float:
    found = code @ objective.tell.weight.T + objective.tell.bias
    back = torch.tanh(found @ objective.recall.weight.T + objective.recall.bias)
    return mean_square(found.tolist(), attributes.tolist()) + mean_square(back.tolist(), code.tolist())


@pytest.mark.parametrize("weak", ["image", "text"])
def test_daeh_is_its_losses_and_moves_the_weaker_student_more(
    generator: np.random.Generator, pairs: PairedFeatures, weak: str
) -> None:
    objective = DAEHObjective(DAEH(n_bits=N_BITS), pairs).double()
    batch = batch_of(generator, pairs, learns=True)
    target = objective.similarity(batch.image, batch.text)
    codes = {"image": batch.image_code, "text": batch.text_code}
    known = {side: float(objective.knows(code, target)) for side, code in codes.items()}
    if min(known, key=known.__getitem__) != weak:
        codes = {"image": batch.text_code, "text": batch.image_code}
        batch = replace(batch, image_code=codes["image"], text_code=codes["text"])
    terms = objective(batch)
    scaled = (batch.image - objective.scaled.shift) * objective.scaled.scale
    teacher = torch.tanh(scaled @ objective.teacher.weight.T + objective.teacher.bias)
    image, text, taught = (code.tolist() for code in (codes["image"], codes["text"], teacher))
    expected = {
        "students": 4 * between(image, text, target.tolist()),
        "teach": between(image, taught, target.tolist()) + between(text, taught, target.tolist()),
        "attributes": 1e-3 * sum(told(code, scaled, objective) for code in (*codes.values(), teacher)),
        "enhance": 0.1 * between(image, text, target.tolist()),
    }
    assert {name: float(term.detach()) for name, term in terms.items()} == pytest.approx(expected)
    terms["enhance"].backward()
    moved = {side: code.grad is not None and bool(code.grad.any()) for side, code in codes.items()}
    assert moved == {side: side == weak for side in codes}


def test_what_a_student_knows_is_greatest_for_codes_that_have_the_similarity(
    generator: np.random.Generator, pairs: PairedFeatures
) -> None:
    objective = DAEHObjective(DAEH(n_bits=N_BITS), pairs)
    codes = torch.tensor(generator.choice([-1.0, 1.0], (8, N_BITS)))
    others = torch.tensor(generator.choice([-1.0, 1.0], (8, N_BITS)))
    target = torch.tensor(cosines(codes.tolist(), codes.tolist()))
    assert float(objective.knows(codes, target)) > float(objective.knows(others, target))
    assert objective.knows(torch.ones(8, N_BITS), target).item() == pytest.approx(0, abs=1e-6)  # all alike: nothing


def test_daeh_has_the_published_settings_and_says_what_it_can_be() -> None:
    method = DAEH()
    assert (method.weight_text, method.alike, method.unlike, method.mu) == (0.3, 2, 2, 1.5)
    assert (method.students, method.teach, method.attributes, method.enhance) == (4, 1, 1e-3, 0.1)
    assert (method.learning_rate, method.momentum, method.weight_decay) == (1e-3, 0.9, 5e-4)
    assert (method.hidden, method.dropout, method.batch_size, method.epochs) == (4096, 0.5, 18, 30)
    with pytest.raises(SettingsError, match="text_decided is one of 'distribution', 'published'"):
        DAEH(text_decided="so")  # type: ignore[arg-type]  # the wrong word is the point


# SAKDH


def quick(pairs: PairedFeatures, **settings: Any) -> SAKDH:
    small = {"teacher": DSAH(n_bits=8, epochs=2, hidden=16), "epochs": 2, "hidden": 16, "n_bits": 8}
    return SAKDH(**{**small, "image_weight": 0.25, **settings})


def test_sakdh_is_kdcmh_with_a_dsah_teacher(pairs: PairedFeatures) -> None:
    method = quick(pairs, guide_teacher=False)
    own = {name: getattr(method, name) for name in ("teacher", "epochs", "hidden", "n_bits", "image_weight")}
    same = KDCMH(**own)
    found, expected = method.fit(pairs), same.fit(pairs)
    np.testing.assert_array_equal(found.image(pairs.image), expected.image(pairs.image))
    np.testing.assert_array_equal(found.text(pairs.text), expected.text(pairs.text))
    assert isinstance(SAKDH().teacher, DSAH)


@pytest.mark.parametrize(("guide", "weight"), [(True, 0.25), (False, 0.9)])
def test_a_dsah_teacher_is_guided_by_the_trust_in_images(pairs: PairedFeatures, guide: bool, weight: float) -> None:
    assert quick(pairs, guide_teacher=guide).fit_teacher(pairs).settings["weight_image"] == weight


def test_sakdh_takes_any_other_teacher_and_refuses_one_with_labels(pairs: PairedFeatures) -> None:
    taught = quick(pairs, teacher=JDSH(n_bits=8, epochs=1, hidden=16)).fit_teacher(pairs)
    assert taught.settings["weight_image"] == pytest.approx(0.6 * 0.25)  # guided as KDCMH guides it
    with pytest.raises(SettingsError, match="sakdh is unsupervised; its teacher dcmh needs labels"):
        quick(pairs, teacher=DCMH()).fit(pairs)
