"""LSSH and FSH: objectives against plain loops over the equations, and steps that never raise them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from crossbit.anchor_graphs import fused_similarity
from crossbit.errors import DataError, MismatchError, SettingsError
from crossbit.factorisation import scaled, signs
from crossbit.hasher import Hasher
from crossbit.methods.cca_sign import CCASign
from crossbit.methods.fsh import FSH, FSHState
from crossbit.methods.lssh import LSSH, SparseSpace, fused_codes
from crossbit.sparse_coding import bounded_rows, soft
from crossbit.testing import planted_pairs, planted_score


def never_rises(values: list[float]) -> bool:
    return all(after <= before + 1e-9 * abs(before) for before, after in itertools.pairwise(values))


# LSSH.

SMALL = {"dictionary": 20, "iterations": 6}


def lssh_by_loops(method: LSSH, x: np.ndarray, t: np.ndarray, space: SparseSpace) -> float:
    total = 0.0
    for i in range(len(x)):
        s, y = space.sparse[i], space.latent[i]
        for j in range(x.shape[1]):
            total += (x[i, j] - sum(s[a] * space.dictionary[a, j] for a in range(len(s)))) ** 2
        total += space.sparsity * sum(abs(value) for value in s)
        for j in range(t.shape[1]):
            total += method.text_weight * (t[i, j] - sum(y[k] * space.text_basis[k, j] for k in range(len(y)))) ** 2
        for k in range(len(y)):
            total += method.link_weight * (y[k] - sum(s[a] * space.link[a, k] for a in range(len(s)))) ** 2
    return total / len(x)


def test_the_objective_of_lssh_is_the_equation(generator: np.random.Generator) -> None:
    x, t = generator.standard_normal((9, 4)), generator.standard_normal((9, 5))
    shapes = ((7, 4), (9, 7), (9, 3), (3, 5), (7, 3))
    space = SparseSpace(*(generator.standard_normal(shape) for shape in shapes), sparsity=0.4)
    method = LSSH(n_bits=3, text_weight=0.6, link_weight=0.7)
    assert method.objective(x, t, space) == pytest.approx(lssh_by_loops(method, x, t, space), rel=1e-12)


@pytest.mark.parametrize(("text_weight", "link_weight"), [(0.05, 0.2), (2.0, 0.5)])
def test_no_step_of_lssh_raises_the_objective(text_weight: float, link_weight: float) -> None:
    pairs = planted_pairs(n=120).train
    x, t = scaled(pairs.image).rows, scaled(pairs.text).rows
    method = LSSH(n_bits=12, text_weight=text_weight, link_weight=link_weight, **SMALL)
    spaces = list(method.steps(x, t, np.random.default_rng(0)))
    values = [method.objective(x, t, space) for space in spaces]
    assert len(values) == 5 * 6
    assert never_rises(values)
    assert values[-1] < 0.95 * values[0]
    for rows in (spaces[-1].dictionary, spaces[-1].text_basis, spaces[-1].link):
        assert np.linalg.norm(rows, axis=1).max() <= 1 + 1e-12
    assert 0 < np.count_nonzero(spaces[-1].sparse) < 0.9 * spaces[-1].sparse.size


def test_latent_factors_are_where_the_gradient_vanishes() -> None:
    pairs = planted_pairs(n=80).train
    x, t = scaled(pairs.image).rows, scaled(pairs.text).rows
    method = LSSH(n_bits=6, **SMALL)
    *_, space = method.steps(x, t, np.random.default_rng(0))
    gradient = method.text_weight * (space.latent @ space.text_basis - t) @ space.text_basis.T
    gradient += method.link_weight * (space.latent - space.sparse @ space.link)
    np.testing.assert_allclose(gradient, 0, atol=1e-10)


def test_sparse_codes_settle_where_the_lasso_does() -> None:
    """At the least point the gradient is the sparsity where a code is not 0, and no more than it elsewhere."""
    pairs = planted_pairs(n=60).train
    x, t = scaled(pairs.image).rows, scaled(pairs.text).rows
    method = LSSH(n_bits=6, dictionary=12, iterations=2, sparse_steps=5000)
    *_, space = method.steps(x, t, np.random.default_rng(0))
    settled = method._sparse(x, space)
    gradient = 2 * (settled @ space.dictionary - x) @ space.dictionary.T
    gradient += 2 * method.link_weight * (settled @ space.link - space.latent) @ space.link.T
    used = settled != 0
    np.testing.assert_allclose(gradient[used], -space.sparsity * np.sign(settled[used]), atol=1e-6)
    assert np.abs(gradient[~used]).max() <= space.sparsity + 1e-6
    assert used.any()


def test_bounded_rows_lower_the_error_within_their_bound(generator: np.random.Generator) -> None:
    use, data = generator.standard_normal((40, 5)), 3 * generator.standard_normal((40, 4))
    use[:, 2] = 0
    rows, errors = 0.1 * generator.standard_normal((5, 4)), []
    unused = rows[2].copy()
    for _ in range(30):
        rows = bounded_rows(rows, use.T @ data, use.T @ use)
        errors.append(float(np.square(data - use @ rows).sum()))
        assert np.linalg.norm(rows, axis=1).max() <= 1 + 1e-12
    assert never_rises(errors)
    np.testing.assert_array_equal(rows[2], unused)


def test_soft_thresholds() -> None:
    np.testing.assert_allclose(soft(np.array([[-3.0, -0.5, 0.0, 0.5, 3.0]]), 1.0), [[-2.0, 0, 0, 0, 2.0]])


def test_the_image_function_is_thresholded_products_with_the_dictionary() -> None:
    """Two layers say what soft thresholds and a link say, fitted to the latent factors."""
    world = planted_pairs(n=240)
    hasher = LSSH(n_bits=16, **SMALL).fit(world.train)
    assert [layer.activation for layer in hasher.image.layers] == ["relu", "linear"]
    q = SMALL["dictionary"]
    first, second = hasher.image.layers
    np.testing.assert_allclose(first.weight[:, :q], -first.weight[:, q:])
    np.testing.assert_allclose(second.weight[:q], -second.weight[q:])
    assert 0.2 < hasher.report["explained_share"] < 1
    assert 0 < hasher.report["atoms_an_image"] < q


@pytest.fixture(scope="module")
def fitted() -> Hasher:
    return LSSH(n_bits=32, dictionary=64, iterations=8).fit(planted_pairs(seed=1).train)


def test_the_fused_rule_is_where_its_gradient_vanishes(fitted: Hasher, tmp_path: Path) -> None:
    """y = argmin text_weight |t - y A|^2 + link_weight |y - image values|^2, read back from the saved hasher."""
    world = planted_pairs(seed=1)
    fitted.save(tmp_path / "hasher.safetensors")
    hasher, method = Hasher.load(tmp_path / "hasher.safetensors"), LSSH()
    side = scaled(world.train.text)
    basis = hasher.text.layers[0].weight.astype(np.float64).T * side.scale  # A, as the first text layer holds it
    texts = (world.pairs.text - side.mean) / side.scale
    given = hasher.image(world.pairs.image).astype(np.float64)
    left = method.text_weight * basis @ basis.T + method.link_weight * np.eye(32)
    right = method.text_weight * texts @ basis.T + method.link_weight * given
    expected = np.linalg.solve(left, right.T).T
    bits = fused_codes(hasher, world.pairs.image, world.pairs.text).bits()
    clear = np.abs(expected) > 1e-4
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(bits[clear], (expected >= 0)[clear])


def test_codes_from_both_modalities_retrieve_at_least_as_well(fitted: Hasher) -> None:
    world = planted_pairs(seed=1)
    query, database = world.split.query, world.split.database
    both = fused_codes(fitted, world.pairs.image[database], world.pairs.text[database])
    images, texts = fitted.encode_images(world.pairs.image), fitted.encode_texts(world.pairs.text)
    fused = [planted_score(codes[query], both, world.relevant()) for codes in (images, texts)]
    alone = [
        planted_score(images[query], texts[database], world.relevant()),
        planted_score(texts[query], images[database], world.relevant()),
    ]
    assert np.mean(fused) > np.mean(alone)


def test_fused_codes_say_what_they_cannot_use(fitted: Hasher) -> None:
    pairs = planted_pairs(seed=1).pairs
    with pytest.raises(MismatchError, match="cca-sign"):
        fused_codes(CCASign(n_bits=8).fit(pairs), pairs.image, pairs.text)
    with pytest.raises(DataError, match="360 images and 5 texts"):
        fused_codes(fitted, pairs.image, pairs.text[:5])


def test_lssh_trains_on_no_more_than_it_is_told() -> None:
    train = planted_pairs(n=240).train
    hasher = LSSH(n_bits=8, at_most=50, **SMALL).fit(train)
    assert (hasher.report["trained_on"], hasher.report["pairs"]) == (50, len(train))


# FSH.


def dense_similarity(
    image: np.ndarray, text: np.ndarray, anchors: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """S (n, p) and Z by loops over the definition."""
    n, p = len(image), len(anchors)
    links = np.zeros((n, p))
    for rows in (image, text):
        squares = [[float(np.square(rows[i] - rows[a]).sum()) for a in anchors] for i in range(n)]
        near = [sorted(range(p), key=lambda a, i=i: squares[i][a])[:neighbours] for i in range(n)]
        width = np.mean([squares[i][a] for i in range(n) for a in near[i]])
        for i in range(n):
            weights = {a: np.exp(-squares[i][a] / width) for a in near[i]}
            for a, weight in weights.items():
                links[i, a] += weight / sum(weights.values()) / 2
    mean, reach = links.mean(axis=0), links.sum(axis=0)
    similarity = np.zeros((n, p))
    for i in range(n):
        for a in range(p):
            similarity[i, a] = sum(
                (links[i, k] - mean[k]) * (links[anchors[a], k] - mean[k]) / reach[k] for k in range(p)
            )
    return similarity / np.mean([similarity[anchors[a], a] for a in range(p)]), links


def test_the_fused_similarity_is_its_definition(generator: np.random.Generator) -> None:
    pairs = planted_pairs(n=40).train
    image, text = scaled(pairs.image), scaled(pairs.text)
    anchors = np.array([1, 4, 9, 12, 20])
    found = fused_similarity(image, text, anchors, 3)
    expected, links = dense_similarity(image.rows, text.rows, anchors, 3)
    np.testing.assert_allclose(found.links.toarray(), links, atol=1e-9)
    np.testing.assert_allclose(found.times(np.eye(5)), expected, atol=1e-9)
    np.testing.assert_allclose(found.transposed_times(np.eye(len(pairs))), expected.T, atol=1e-9)
    assert found.squared_length() == pytest.approx(np.square(expected).sum())


def test_the_fused_similarity_holds_nothing_as_large_as_items_by_anchors() -> None:
    pairs = planted_pairs(n=600).train
    found = fused_similarity(scaled(pairs.image), scaled(pairs.text), np.arange(100), 5)
    assert found.links.nnz <= 2 * 5 * len(pairs)
    assert found.anchor_side.shape == (100, 100)


def fsh_by_loops(method: FSH, similarity: np.ndarray, sides: tuple[np.ndarray, ...], state: FSHState) -> float:
    n, p = similarity.shape
    c, total = method.n_bits, 0.0
    for i in range(n):
        for a in range(p):
            product = sum(state.codes[i, k] * state.anchor_codes[a, k] for k in range(c))
            total += (similarity[i, a] - product / c) ** 2 / (n * p)
    for rows, weight in zip(sides, state.weights, strict=True):
        error = sum(
            (state.codes[i, k] - sum(rows[i, j] * weight[j, k] for j in range(rows.shape[1]))) ** 2
            for i in range(n)
            for k in range(c)
        )
        variance = sum(float(x) ** 2 for x in rows.ravel()) / rows.size
        total += method.fit_weight / c * (error / n + method.ridge * variance * sum(w**2 for w in weight.ravel()))
    return total


def test_the_objective_of_fsh_is_the_equation(generator: np.random.Generator) -> None:
    pairs = planted_pairs(n=20).train
    image, text = scaled(pairs.image), scaled(pairs.text)
    method = FSH(n_bits=4, anchors=5, neighbours=2, fit_weight=0.3)
    similarity = method.similarity(image, text)
    codes, anchor_codes = (signs(generator.standard_normal((n, 4))) for n in (len(pairs), 5))
    weights = (generator.standard_normal((24, 4)), generator.standard_normal((16, 4)))
    state = FSHState(codes, anchor_codes, weights)
    expected = fsh_by_loops(method, similarity.times(np.eye(5)), (image.rows, text.rows), state)
    assert method.objective(image, text, similarity, state) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("fit_weight", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("n_bits", [6, 40])
def test_no_step_of_fsh_raises_the_objective(fit_weight: float, n_bits: int) -> None:
    pairs = planted_pairs(n=120).train
    image, text = scaled(pairs.image), scaled(pairs.text)
    method = FSH(n_bits=n_bits, anchors=30, neighbours=4, fit_weight=fit_weight, iterations=6)
    similarity = method.similarity(image, text)
    states = list(method.steps(image, text, similarity))
    values = [method.objective(image, text, similarity, state) for state in states]
    assert len(values) == 3 * 6
    assert never_rises(values)
    assert not np.array_equal(states[0].codes, states[-1].codes)


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        (LSSH, {"dictionary": 0}),
        (LSSH, {"sparsity_share": 1.5}),
        (LSSH, {"text_weight": 0.0}),
        (LSSH, {"link_weight": -1.0}),
        (LSSH, {"ridge": 0.0}),
        (LSSH, {"at_most": 1}),
        (FSH, {"anchors": 0}),
        (FSH, {"neighbours": 0}),
        (FSH, {"iterations": 0}),
        (FSH, {"fit_weight": -0.1}),
        (FSH, {"ridge": 0.0}),
    ],
)
def test_settings_out_of_range(method: type[LSSH | FSH], wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        method(**wrong)
