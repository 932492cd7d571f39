"""Parts through the frozen norm add up to the norm; neurons: shares, sparsity, the most active."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.measures.contributions import direct_logits, through_frozen_norm
from interp.measures.neurons import fraction_active, hoyer_sparsity, top_neurons


@given(st.integers(0, 1000), st.booleans())
def test_parts_through_the_frozen_norm_add_up_to_the_norm_of_their_sum(seed, centred):
    torch.manual_seed(seed)
    parts, width = torch.randn(7, 16).double(), 16
    norm = torch.nn.LayerNorm(width, eps=1e-3).double() if centred else torch.nn.RMSNorm(width, eps=1e-3).double()
    torch.nn.init.normal_(norm.weight)
    stream = parts.sum(0)
    passed_on = through_frozen_norm(parts, stream, norm.weight.detach(), 1e-3, centred=centred)
    torch.testing.assert_close(passed_on.sum(0), norm(stream).detach())
    wrong = through_frozen_norm(parts, stream, norm.weight.detach(), 1e-3, centred=not centred)
    assert (wrong.sum(0) - norm(stream)).abs().max() > 1e-3
    direction = torch.randn(width).double()
    torch.testing.assert_close(direct_logits(passed_on, direction).sum(), norm(stream).detach() @ direction)


def test_a_part_that_writes_nothing_contributes_nothing():
    parts = torch.stack([torch.randn(8), torch.zeros(8)])
    passed_on = through_frozen_norm(parts, parts.sum(0), torch.ones(8), 1e-5, centred=True)
    assert (passed_on[1] == 0).all()
    assert (passed_on[0] != 0).any()


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
