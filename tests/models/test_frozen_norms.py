"""A norm with its scale held is linear: parts of its input add up to its output, for LayerNorm, RMSNorm and Gemma's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.t5.modeling_t5 import T5LayerNorm

from interp.measures.contributions import direct_logits
from interp.models.norms import frozen

NORMS = {
    "layer": lambda: torch.nn.LayerNorm(16, eps=1e-3),
    "rms": lambda: LlamaRMSNorm(16, eps=1e-3),
    "t5": lambda: T5LayerNorm(16, eps=1e-3),
    "gemma": lambda: Gemma2RMSNorm(16, eps=1e-3),
    "none": torch.nn.Identity,
}


def drawn(name: str, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    norm = NORMS[name]().double()
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    return norm


@pytest.mark.parametrize("name", NORMS)
@given(seed=st.integers(0, 1000))
@torch.no_grad()
def test_parts_add_up_to_the_norm_of_their_sum(name, seed):
    norm = drawn(name, seed)
    parts = torch.randn(7, 3, 16).double()
    held = frozen(norm, parts.sum(0))
    # transformers' RMS norms work in float32 whatever they are given
    torch.testing.assert_close(held(parts).sum(0) + held.offset, norm(parts.sum(0)).double(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(held(parts[:1] * 3), held(parts[:1]) * 3)
    direction = torch.randn(16).double()
    torch.testing.assert_close(direct_logits(held(parts)[:, 0], direction).sum(), held(parts).sum(0)[0] @ direction)


@torch.no_grad()
@pytest.mark.parametrize("name", ["layer", "gemma"])
def test_the_wrong_formula_does_not_add_up(name):
    norm, x = drawn(name, 0), torch.randn(3, 16).double()
    wrong = frozen(torch.nn.RMSNorm(16, eps=1e-3).double(), x)
    right = frozen(norm, x)
    assert (wrong(x) + right.offset - norm(x)).abs().max() > 0.01
    assert (right(x) + right.offset - norm(x)).abs().max() < 1e-5


@torch.no_grad()
def test_a_part_that_is_nothing_passes_nothing_on():
    parts = torch.stack([torch.randn(16), torch.zeros(16)]).double()
    passed_on = frozen(drawn("layer", 0), parts.sum(0))(parts)
    assert (passed_on[1] == 0).all()
    assert (passed_on[0] != 0).any()
