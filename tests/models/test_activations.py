"""GELU by one kernel is the same function, where it was asked for and nowhere else; plain copies and other people's models have none."""

import pytest
import torch
from transformers.activations import NewGELUActivation

from interp.captures.corpus.heads import HeadMeans
from interp.captures.corpus.neurons import NeuronMoments
from interp.captures.corpus.stream import stream
from interp.models.activations import Gelu, in_one_kernel
from interp.models.load import load_model
from interp.models.model import plain_copy

X = torch.linspace(-30, 30, 10_001, dtype=torch.float64)


def kinds(hf) -> set[type]:
    return {type(module) for module in hf.modules()}


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-12), (torch.bfloat16, 0.0), (torch.float16, 0.0)]
)
def test_one_kernel_is_the_same_function(dtype, tolerance):
    x, plain = X.to(dtype), NewGELUActivation()
    with in_one_kernel():
        torch.testing.assert_close(Gelu(plain)(x), plain(x), atol=tolerance, rtol=tolerance)
        assert not torch.equal(Gelu(plain)(X), torch.nn.functional.gelu(X))  # the exact GELU is another function
        assert not torch.equal(Gelu(plain)(X), plain(X))
    assert torch.equal(Gelu(plain)(X), plain(X))


def test_it_stands_in_our_model_only_and_changes_no_bit_while_nobody_asks(fresh, word_tokenizer):
    hf = fresh("gpt2")
    model = load_model(hf, word_tokenizer())
    assert NewGELUActivation in kinds(hf)
    assert Gelu not in kinds(hf)
    assert Gelu in kinds(model.hf)
    assert Gelu not in kinds(plain_copy(model.hf))
    assert load_model(plain_copy(model.hf), word_tokenizer()).fingerprint == model.fingerprint
    ids = torch.tensor([[5, 6, 7, 8, 5]])
    with torch.no_grad():
        plain = hf.eval()(ids).logits
    assert torch.equal(model.run(ids), plain)
    with in_one_kernel():
        torch.testing.assert_close(model.run(ids), plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("reducers", "asked"), [([HeadMeans], True), ([HeadMeans, NeuronMoments], False)])
def test_a_corpus_asks_for_it_where_nobody_looks_at_neurons(tiny_named, monkeypatch, reducers, asked):
    calls, one = [], torch.nn.functional.gelu
    monkeypatch.setattr("interp.models.activations.gelu", lambda *given, **options: calls.append(1) or one(*given, **options))
    tiny = tiny_named("gpt2")
    stream(tiny.model, tiny.examples(), [each() for each in reducers])
    assert bool(calls) == asked


def test_other_activations_and_hooked_ones_stay(fresh, word_tokenizer):
    assert Gelu not in kinds(load_model(fresh("bert"), word_tokenizer(encoder=True)).hf)
    hf, seen = fresh("gpt2"), []
    hf.transformer.h[0].mlp.act.register_forward_hook(lambda *_: seen.append(1))
    model = load_model(hf, word_tokenizer())
    seen.clear()
    model.run(torch.tensor([[5, 6]]))
    assert seen == [1]
