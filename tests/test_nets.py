"""Networks, and the plain hash functions they leave behind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from crossbit.nets import HashNet, Standardise, hidden_net, linear_net, regular_net


def learned(net: HashNet, features: torch.Tensor, steps: int = 5) -> HashNet:
    """The net after some steps, so that weights, running means and variances are no longer what they began with."""
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05)
    net.train()
    for _ in range(steps):
        loss = (net(features) - 1).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """The same weights and dropout in every run, and torch's random state as it was afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield


@pytest.fixture
def features(generator: np.random.Generator) -> np.ndarray:
    """Features of unlike scales, shifts and with one that never varies."""
    rows = 3 * generator.standard_normal((40, 6)) * np.array([1, 0.01, 5, 1, 0.3, 1]) + np.array([0, 1, -4, 2, 0, 1])
    rows[:, 3] = 2.0
    return rows.astype(np.float32)


def nets(features: np.ndarray) -> dict[str, HashNet]:
    return {
        "linear": linear_net(6, 5),
        "hidden": hidden_net(6, 5, 7),
        "regular": regular_net(features, 5, 7, 0.3, 0.5),
        "normalised": HashNet(nn.Linear(6, 5), normalise=True),
        "relu at the end": HashNet(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU()),
        "deep": HashNet(
            nn.BatchNorm1d(6), nn.Linear(6, 4), nn.Linear(4, 7), nn.ReLU(), nn.BatchNorm1d(7), nn.Linear(7, 5)
        ),
        "whitened by one scale": HashNet(Standardise(features, whiten=False), nn.Linear(6, 5), nn.ReLU()),
        "scaled twice": HashNet(Standardise(features), nn.BatchNorm1d(6), nn.Linear(6, 5)),
    }


KINDS = (
    "linear",
    "hidden",
    "regular",
    "normalised",
    "relu at the end",
    "deep",
    "whitened by one scale",
    "scaled twice",
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_hash_function_is_the_net_in_evaluation_mode(features: np.ndarray, kind: str) -> None:
    net = learned(nets(features)[kind], torch.tensor(features))
    new = features[::-1] * 1.3 + 0.1
    expected = net(torch.tensor(new)).detach().numpy()
    np.testing.assert_allclose(net.hash_function()(new), expected, rtol=1e-4, atol=2e-4)
    # Each row alone gives what it gives among others, as batch normalisation is in evaluation mode.
    np.testing.assert_allclose(net.hash_function()(new[:1]), expected[:1], rtol=1e-4, atol=2e-4)


def test_steps_between_two_activations_become_one_layer(features: np.ndarray) -> None:
    layers = regular_net(features, 5, 7, 0.3, 0.5).hash_function().layers
    assert [(layer.weight.shape, layer.activation) for layer in layers] == [((6, 7), "relu"), ((7, 5), "linear")]


def test_standardised_rows_have_mean_0_and_deviation_1_where_they_vary(features: np.ndarray) -> None:
    rows = Standardise(features)(torch.tensor(features)).numpy()
    varies = np.array([True, True, True, False, True, True])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(rows.std(axis=0)[varies], 1, rtol=1e-4)
    assert not rows[:, 3].any()


def test_a_feature_that_never_varied_stays_silent_when_it_does(features: np.ndarray) -> None:
    """Blown up by 1 / 0 it would drown all others, or be infinite."""
    net = learned(regular_net(features, 5, 7, 0.3, 0.5), torch.tensor(features))
    new = features.copy()
    new[:, 3] = 1e6
    np.testing.assert_array_equal(net.hash_function()(new), net.hash_function()(features))


def test_one_scale_for_all_keeps_the_features_proportions(features: np.ndarray) -> None:
    rows = Standardise(features, whiten=False)(torch.tensor(features)).numpy()
    centred = features - features.mean(axis=0)
    np.testing.assert_allclose(rows * np.sqrt(features.astype(np.float64).var(axis=0).mean()), centred, atol=1e-4)


def test_standardise_is_no_parameter(features: np.ndarray) -> None:
    assert not list(Standardise(features).parameters())


@pytest.mark.parametrize("module", [nn.Sigmoid(), nn.LayerNorm(5), nn.Tanh()])
def test_a_module_without_a_plain_form_is_refused(module: nn.Module) -> None:
    with pytest.raises(TypeError, match=f"A {type(module).__name__} has no plain form"):
        HashNet(nn.Linear(6, 5), module).hash_function()


def test_an_activation_with_nothing_before_it_is_refused() -> None:
    with pytest.raises(TypeError, match="ReLU"):
        HashNet(nn.ReLU(), nn.Linear(6, 5)).hash_function()


def test_the_hash_function_does_not_change_when_the_net_learns_on(features: np.ndarray) -> None:
    net = linear_net(6, 5)
    function = net.hash_function()
    before = function(features)
    learned(net, torch.tensor(features))
    np.testing.assert_array_equal(function(features), before)
