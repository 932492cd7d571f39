"""What a capture says about a mixture: which share of the tokens each expert took, and what the shared experts' neurons were."""

import re

import numpy as np
import pytest
import torch

import interp
from interp.captures.prompt import capture
from interp.core.errors import CheckFailed, SiteError
from interp.core.provenance import Provenance
from interp.models import experts

TEXT = "by the sea the old dog saw a man and the man saw"
MIXED = ["mixtral", "qwen2-moe", "qwen3-moe", "olmoe", "gpt-oss", "deepseek-v2", "deepseek-v3", "switch"]
SHARED = {"qwen2-moe": 20, "deepseek-v2": 16, "deepseek-v3": 16}  # form -> neurons of its shared experts


def mixtures(tiny):
    return [sub for sub in tiny.model.anatomy.sublayers() if sub.experts]


@pytest.mark.parametrize("name", MIXED)
def test_the_load_is_the_share_of_tokens_sent_to_each_expert(tiny_named, name):
    tiny = tiny_named(name)
    seen = tiny.capture(TEXT)
    for sub in mixtures(tiny):
        load, row = seen.expert_load(sub.layer, sub.stack), seen.row(sub.stack)
        counted = [sum(bool(weight) for weight in token) for token in zip(*seen.experts(sub.layer, sub.stack).values, strict=True)]
        np.testing.assert_allclose(load, np.array(counted) / len(row), rtol=1e-6)
        assert load.dims == ("expert",)
        assert list(load.expert.values) == [0, 1, 2, 3]
        assert load.attrs["units"] == "share of tokens"
        assert load.attrs["n"] == len(row)
        assert Provenance.from_json(load.attrs["provenance"]).fingerprint == tiny.model.fingerprint
        assert float(load.sum()) == pytest.approx(experts.n_active(tiny.model.at(sub.module)))
        assert len(set(load.values.tolist())) > 1  # not all alike: an average over experts would be


def test_a_full_expert_takes_no_more_tokens_and_the_load_says_so(fresh, word_tokenizer):
    seen = capture(full_switch(fresh, word_tokenizer), TEXT, target="they went home")
    load = seen.expert_load(1, "E")
    assert float(load.max()) == pytest.approx(2 / len(seen.example))
    assert float(load.sum()) < 1.0


def full_switch(fresh, word_tokenizer):
    """A Switch whose experts take two tokens of a text."""
    hf = fresh("switch")
    for module in hf.modules():
        if hasattr(module, "expert_capacity"):
            module.expert_capacity = 2
    return interp.load(hf, word_tokenizer())


@pytest.mark.parametrize("name", SHARED)
def test_shared_neurons_are_what_the_shared_output_matrix_reads(tiny_named, name):
    tiny = tiny_named(name)
    seen = tiny.capture(TEXT)
    for sub in mixtures(tiny):
        ffn = tiny.model.at(sub.module)
        read = []
        shared = ffn.shared_expert if hasattr(ffn, "shared_expert") else ffn.shared_experts
        handle = shared.down_proj.register_forward_pre_hook(lambda module, args, read=read: read.append(args[0]))
        tiny.model.run(torch.tensor([seen.example.ids]))
        handle.remove()
        found = seen.shared_neurons(sub.layer)
        np.testing.assert_allclose(found, read[0].reshape(found.shape), atol=1e-5)
        assert found.dims == ("pos", "neuron")
        assert found.sizes["neuron"] == SHARED[name]
        assert found.attrs["units"] == "activation"
        assert list(found.token.values) == list(seen.example.tokens)
        chosen = seen.expert_neurons(f"L{sub.layer}E0").values
        assert not np.isnan(found).any()  # every token goes through them,
        assert np.isnan(chosen).any()  # not so through one of the router's


@pytest.mark.parametrize(
    ("name", "call", "message"),
    [
        ("deepseek-v3", lambda seen: seen.expert_load(0), "layer 0 is no mixture of experts; expected one that is, or neurons(0)"),
        ("deepseek-v3", lambda seen: seen.experts(0), "layer 0 is no mixture of experts"),
        ("deepseek-v3", lambda seen: seen.shared_neurons(0), "layer 0 is no mixture of experts"),
        ("deepseek-v3", lambda seen: seen.neurons(1), "layer 1 is a mixture of experts: ask for one, expert_neurons('L1E0')"),
        ("mixtral", lambda seen: seen.expert_load(2), "layer 2: this model has layers 0-1"),
        ("mixtral", lambda seen: seen.shared_neurons(-1), "layer -1: this model has layers 0-1"),
        ("mixtral", lambda seen: seen.shared_neurons(0), "layer 0 shares no experts: all are chosen by its router"),
        ("switch", lambda seen: seen.expert_load(1, "X"), "'expert_weights' is the decoder's, not its cross-attention's"),
        ("switch", lambda seen: seen.expert_load(1, ""), "stack '': this model has 'E', 'D', 'X'"),
    ],
)
def test_layers_without_are_refused_by_name(tiny_named, name, call, message):
    with pytest.raises(SiteError, match=re.escape(message)):
        call(tiny_named(name).capture(TEXT))


def test_what_was_not_kept_and_what_is_disabled_is_refused(tiny_named):
    seen = tiny_named("deepseek-v3").capture(TEXT, keep=["post"])
    for call, kind in ((seen.expert_load, "expert_weights"), (seen.shared_neurons, "mlp_in")):
        with pytest.raises(SiteError, match=f"'{kind}' of layer 1 was not kept"):
            call(1)
    dense = tiny_named("llama").capture(TEXT)
    for call in (dense.expert_load, dense.shared_neurons, dense.experts):
        with pytest.raises(CheckFailed, match="experts is disabled, since the model is no mixture of experts"):
            call(0)


def test_a_load_is_drawn(tiny_named):
    assert interp.figure(tiny_named("mixtral").capture(TEXT).expert_load(1)).csv().count("\n") >= 4
