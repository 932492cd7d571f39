"""The largest activations above a limit are those of a sort, for every size, tie and limit."""

import pytest
import torch

from interp.measures.largest import above, block_maxima


@pytest.mark.parametrize("n_tokens", [1, 15, 16, 33, 100])
@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("coarse", [False, True], ids=["all different", "many equal"])
def test_above_is_what_a_sort_gives(n_tokens, k, coarse):
    drawn = torch.Generator().manual_seed(n_tokens + k)
    values = torch.randn(n_tokens, 40, generator=drawn)
    values = values.round() if coarse else values
    limits = torch.randn(40, generator=drawn)
    limits = limits.round() if coarse else limits  # an equal one is not above
    neurons, found, tokens = above(values, limits, k, block_maxima(values))
    got = {
        neuron: [(value, token) for value, token in zip(*rows, strict=True) if token >= 0]
        for neuron, *rows in zip(neurons.tolist(), found.tolist(), tokens.tolist(), strict=True)
    }
    expected = {}
    for neuron in range(40):
        column = [(value, token) for token, value in enumerate(values[:, neuron].tolist()) if value > limits[neuron]]
        if column:
            expected[neuron] = sorted(column, key=lambda one: (-one[0], one[1]))[:k]
    assert got == expected
    assert ((tokens >= 0) == found.isfinite()).all()
