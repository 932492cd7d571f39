"""GELU by one kernel is the same function, stands where it should, and leaves plain copies and other people's models alone."""

import pytest
import torch
from transformers.activations import NewGELUActivation

from interp.models.activations import OneKernel, slow
from interp.models.load import load_model
from interp.models.model import plain_copy


def kinds(hf) -> set[type]:
    return {type(module) for module in hf.modules()}


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-12), (torch.bfloat16, 0.0), (torch.float16, 0.0)]
)
def test_one_kernel_is_the_same_function(dtype, tolerance):
    x = torch.linspace(-30, 30, 10_001, dtype=torch.float64).to(dtype)
    plain = NewGELUActivation()
    torch.testing.assert_close(OneKernel(plain)(x), plain(x), atol=tolerance, rtol=tolerance)
    assert not torch.equal(OneKernel(plain)(x.double()), torch.nn.functional.gelu(x.double()))  # the exact GELU is another function


def test_it_stands_in_our_model_only(fresh, word_tokenizer):
    hf = fresh("gpt2")
    model = load_model(hf, word_tokenizer())
    assert NewGELUActivation in kinds(hf)
    assert OneKernel not in kinds(hf)
    assert OneKernel in kinds(model.hf)
    assert OneKernel not in kinds(plain_copy(model.hf))
    again = load_model(plain_copy(model.hf), word_tokenizer())
    assert again.fingerprint == model.fingerprint
    ids = torch.tensor([[5, 6, 7, 8, 5]])
    ours = model.run(ids)
    slow(again.hf)
    torch.testing.assert_close(ours, again.run(ids), atol=1e-5, rtol=0)


def test_other_activations_and_hooked_ones_stay(fresh, word_tokenizer):
    assert OneKernel not in kinds(load_model(fresh("bert"), word_tokenizer(encoder=True)).hf)
    hf, seen = fresh("gpt2"), []
    hf.transformer.h[0].mlp.act.register_forward_hook(lambda *_: seen.append(1))
    model = load_model(hf, word_tokenizer())
    seen.clear()
    model.run(torch.tensor([[5, 6]]))
    assert seen == [1]
