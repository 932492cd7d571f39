"""TransformerLens sees what we see, tensor by tensor, in every family that it loads.

Tolerance: 1e-5 of the largest number (of 1, where all are smaller) is float32 rounding through two layers, in two orders of the same sums.
"""

from typing import get_args

import pytest
import torch
from tiny_families import FORMS

from interp.captures.prompt import capture
from interp.core.errors import ModelUnsupported
from interp.lens.bridge import bridge
from interp.lens.cache import hook_names, in_their_axes, to_cache
from interp.models.points import Kind, Point

# Form -> how many tensors are compared: every one that a capture keeps, but those of the kinds in LEFT_OUT and the value norms, which
# TransformerLens has not. Parallel blocks have no resid_mid, post-norm models no final norm, gated FFNs one tensor more in each layer.
COMPARED = {
    "gpt2": 23, "neox": 21, "neox-serial": 23, "llama": 25, "llama-wide-heads": 25, "mistral": 25, "mistral-window": 25, "qwen2": 25,
    "bert": 22, "roberta": 22, "opt": 23, "opt-projected": 22, "qwen3": 25, "gemma2": 25, "gemma2-uncapped": 25, "gemma3": 25, "phi3": 25,
    "t5": 58, "t5-gated": 80, "switch": 48, "bart-even": 56, "marian-even": 56, "m2m100-even": 58,
    "mixtral": 21, "qwen2-moe": 21, "qwen3-moe": 21, "olmoe": 21, "gpt-oss": 21, "deepseek-v2": 20, "deepseek-v3": 20,
}  # fmt: skip
LEFT_OUT: dict[str, set[str]] = {
    **{form: {"router_probs"} for form in ("mixtral", "qwen2-moe", "qwen3-moe", "olmoe", "gpt-oss")},
    **{form: {"router_probs", "expert_weights", "z"} for form in ("deepseek-v2", "deepseek-v3")},
    "switch": {"router_probs", "expert_weights", "pattern"},
}
STREAM: set[str] = {"resid_pre", "attn_in", "attn_out", "mlp_in", "mlp_out", "resid_post"}  # compared in every form
ROUTERS = {"mixtral": "gate", "qwen2-moe": "gate", "qwen3-moe": "gate", "olmoe": "gate", "gpt-oss": "router"}


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1)).item()


def points(model) -> dict[str, Point]:
    stacks = [*model.anatomy.stacks, *(["X"] if model.anatomy.encoder_decoder else [])]
    # The decoder comes after cross-attention: what is not attention's has one name in both.
    every = [
        Point(kind=kind, layer=layer, stack=stack)
        for stack in sorted(stacks, key="XED".find)
        for layer in range(model.anatomy.stack(stack).n_layers)
        for kind in get_args(Kind)
    ]
    return {point.name: point for point in every}


@pytest.fixture(params=COMPARED, scope="module")  # the module's tests go form by form, so each bridge is made once
def form(request) -> str:
    return request.param


def test_every_tensor_is_the_bridges_tensor_of_that_name(form, seen_named, their_run):
    seen = seen_named(form)
    names = hook_names(seen.model, seen.arrays)
    logits, cache = their_run(seen, names.values())
    lacking = sorted(theirs for theirs in names.values() if theirs not in cache)
    assert not lacking, f"the bridge lacks {lacking}"
    for ours, theirs in names.items():
        tensor = in_their_axes(theirs, seen.arrays[ours])
        assert tensor.shape == cache[theirs].shape, (ours, theirs)
        assert difference(tensor, cache[theirs]) <= 1e-5, (ours, theirs)
    assert difference(seen.logits, logits[0]) <= 1e-5


def test_what_is_compared_is_all_but_what_the_bridge_does_not_have(form, seen_named):
    seen = seen_named(form)
    names = hook_names(seen.model, seen.arrays)
    every = points(seen.model)
    assert len(names) == COMPARED[form], sorted(names)
    left_out = {every[name].kind for name in seen.arrays if name not in names and not name.endswith("value_norms")}
    assert left_out == LEFT_OUT.get(form, set())
    assert {every[name].kind for name in names} >= STREAM
    assert {every[name].stack for name in names} == {*seen.model.anatomy.stacks, *("X" if seen.model.anatomy.encoder_decoder else ())}
    assert len(set(names.values())) == len(names), "two of ours are one of theirs"


def test_no_form_is_forgotten(model_named):
    """A form that is not compared is one for which there is no bridge."""
    for name in FORMS.keys() - COMPARED.keys():
        with pytest.raises(ModelUnsupported):
            bridge(model_named(name))


def test_another_layers_tensor_is_not_the_same(form, seen_named, their_run):
    """The comparison can fail: our first layer's tensors are not the bridge's second layer's."""
    seen = seen_named(form)
    names = hook_names(seen.model, seen.arrays)
    every = points(seen.model)
    _, cache = their_run(seen, names.values())
    compared = 0
    for name in names:
        point = every[name]
        other = Point(kind=point.kind, layer=1, stack=point.stack).name
        if point.layer != 0 or other not in names or point.kind == "memory":  # all layers read the same memory
            continue
        compared += 1
        assert difference(in_their_axes(names[name], seen.arrays[name]), cache[names[other]]) > 1e-3, name
    assert compared >= len(STREAM)


def test_another_texts_tensors_are_not_the_same(seen_named):
    seen = seen_named("gpt2")
    other = capture(seen.model, "she said nothing but it was cold then they went home again with", keep=get_args(Kind))
    assert len(other.example) == len(seen.example)
    assert all(difference(seen.arrays[name], other.arrays[name]) > 1e-3 for name in hook_names(seen.model, seen.arrays))


def test_our_cache_holds_nothing_that_the_bridge_calls_by_that_name_but_is_not(form, seen_named, their_run):
    """Second names as well: `hook_attn_out`, `hook_mlp_out`."""
    seen = seen_named(form)
    ours = to_cache(seen.model, seen.arrays)
    _, theirs = their_run(seen, ours.keys())
    assert set(ours.keys()) <= set(theirs.keys())
    for name in ours:
        assert ours[name].shape == theirs[name].shape, name
        assert difference(ours[name], theirs[name]) <= 1e-5, name
    second = {name for name in ours if name.endswith(("hook_attn_out", "hook_mlp_out"))}
    assert bool(second) == (seen.model.anatomy.norms in ("pre", "sandwich"))


@pytest.mark.parametrize("form", ["gpt2", "neox-serial", "llama", "opt", "gemma2", "gemma3", "phi3", "mixtral", "gpt-oss", "deepseek-v3"])
def test_our_cache_serves_their_methods(form, seen_named, their_run):
    seen = seen_named(form)
    _, theirs = their_run(seen)
    ours = to_cache(seen.model, seen.arrays)
    # `accumulated_resid` reads second names too; decompose_resid needs the embeddings' hooks, which we do not keep
    assert difference(ours.accumulated_resid(layer=-1), theirs.accumulated_resid(layer=-1)) <= 1e-5


@pytest.mark.parametrize("form", ROUTERS)
def test_router_probabilities_are_the_softmax_of_their_router_logits(form, seen_named, their_run):
    """The bridge shows the logits only, flattened."""
    seen = seen_named(form)
    hooks = [f"blocks.{layer}.mlp.{ROUTERS[form]}.hook_out" for layer in (0, 1)]
    _, cache = their_run(seen, hooks)
    ours = [seen.tensor("router_probs", layer) for layer in (0, 1)]
    for layer in (0, 1):
        assert difference(ours[layer], cache[hooks[layer]].softmax(-1)) <= 1e-5
        assert difference(ours[layer], cache[hooks[1 - layer]].softmax(-1)) > 1e-3


# Form -> a tensor of ours, and a hook of theirs that one would take for the same. Each is a reason for a line of the table in `lens.cache`.
ELSEWHERE = {
    "bert": ("blocks.0.hook_resid_mid", "blocks.0.hook_resid_mid"),
    "gemma2": ("blocks.0.attn.o.hook_out", "blocks.0.attn.o.hook_out"),
    "gemma3": ("blocks.0.mlp.hook_out", "blocks.0.mlp.hook_out"),
    "bart-even": ("decoder_blocks.0.hook_resid_mid", "decoder_blocks.0.hook_resid_mid"),
    "switch": ("encoder_blocks.0.attn.hook_pattern", "encoder_blocks.0.attn.hook_pattern"),
    "mixtral": ("blocks.0.hook_resid_mid", "blocks.0.mlp.hook_post"),
}


@pytest.mark.parametrize("form", ELSEWHERE)
def test_where_their_hook_of_our_name_sees_something_else(form, seen_named, their_run):
    """Were TransformerLens to change this, the table in `lens.cache` would have a line too many."""
    seen = seen_named(form)
    ours, theirs = ELSEWHERE[form]
    _, cache = their_run(seen, [theirs])
    assert difference(seen.arrays[ours], cache[theirs]) > 1e-2
    named = to_cache(seen.model, seen.arrays)
    assert theirs not in named


@pytest.mark.parametrize("form", ["deepseek-v2", "deepseek-v3"])
def test_latent_attentions_z_is_cut_at_the_wrong_places_there(form, seen_named, their_run):
    """The numbers are the same and the heads are not: 4 heads as wide as the values, 6, are shown as 6 heads of 4."""
    seen = seen_named(form)
    name = "blocks.0.attn.hook_z"
    _, cache = their_run(seen, [name])
    assert seen.arrays[name].shape[2:] == (4, 6)
    assert cache[name].shape[2:] == (6, 4)
    assert difference(seen.arrays[name].flatten(2), cache[name].flatten(2)) <= 1e-5


def test_an_encoder_decoders_bridge_takes_the_decoders_row(seen_named, their_run):
    """Another row for the decoder leaves the encoder as it was, and nothing of the decoder."""
    seen = seen_named("t5")
    hooks = ["encoder_blocks.1.hook_resid_post", "decoder_blocks.1.cross_attn.hook_pattern"]
    _, cache = their_run(seen, hooks)
    row = torch.tensor([seen.target.ids]).flip(1)
    with torch.no_grad():
        _, other = bridge(seen.model).run_with_cache(torch.tensor([seen.example.ids]), decoder_input=row, names_filter=hooks)
    assert difference(cache[hooks[0]], other[hooks[0]]) == 0
    assert difference(cache[hooks[1]], other[hooks[1]]) > 1e-3
