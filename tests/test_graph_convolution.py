"""Graph convolution against plain loops."""

from __future__ import annotations

import math

import numpy as np
import torch

from crossbit.graph_convolution import GraphConvolution, crossed_graph, normalised_adjacency
from objective_oracles import inner, table


def test_graph_convolution_averages_neighbours(generator: np.random.Generator) -> None:
    similarity, rows = generator.standard_normal((4, 4)), torch.tensor(generator.standard_normal((4, 3)))
    edges = np.maximum(similarity, 0)
    degrees = edges.sum(axis=1)
    adjacency = normalised_adjacency(torch.tensor(similarity))
    expected = table(4, 4, lambda i, j: edges[i][j] / math.sqrt(degrees[i] * degrees[j]))
    np.testing.assert_allclose(adjacency, expected)
    layer = GraphConvolution(3, 2).double().requires_grad_(False)
    weight, bias, columns = layer.affine.weight, layer.affine.bias, rows.T.tolist()
    mixed = table(4, 3, lambda i, k: inner(adjacency[i].tolist(), columns[k]))
    np.testing.assert_allclose(
        layer(adjacency, rows), table(4, 2, lambda i, j: float(bias[j]) + inner(mixed[i], weight[j]))
    )
    crossed = crossed_graph(torch.tensor(similarity))
    for i in range(8):
        for j in range(8):
            tied = 1.0 if i % 4 == j % 4 else 0.0
            assert float(crossed[i][j]) == (similarity[i % 4][j % 4] if i // 4 == j // 4 else tied)
