"""Parts through the frozen norm add up to the norm; neurons: shares, sparsity, the most active."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.measures.neurons import fraction_active, hoyer_sparsity, top_neurons


@given(st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=20), st.floats(0.5, 100))
def test_sparsity_lies_between_0_and_1_and_knows_no_scale(values, factor):
    post = torch.tensor(values)
    sparsity = hoyer_sparsity(post)
    assert -1e-4 <= sparsity <= 1 + 1e-4
    torch.testing.assert_close(hoyer_sparsity(post * factor), sparsity, atol=1e-3, rtol=0)


def test_active_counts_what_is_above_the_threshold_only():
    post = torch.tensor([[-1.0, 0.0, 0.2, 3.0], [1.0, 1.0, 1.0, 1.0]])
    assert fraction_active(post).tolist() == [0.5, 1.0]
    assert fraction_active(post, 0.5).tolist() == [0.25, 1.0]


@pytest.mark.parametrize("k", [1, 3, 100])
def test_the_top_neurons_are_the_largest_in_order(k):
    post = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    found = top_neurons(post, k)
    assert [value for _, _, value in found] == sorted(post.flatten().tolist(), reverse=True)[:k]
    assert all(post[pos, neuron].item() == value for pos, neuron, value in found)
