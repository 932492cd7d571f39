"""The stream of one prompt: parts that add up at every grain, what can be read off at each depth, sizes and likenesses by plain loops."""

import inspect

import numpy as np
import pytest
import torch
from tiny_families import FORMS

from interp.captures.components import contributions_toward
from interp.core.errors import CheckFailed, SiteError
from interp.lens.views import logit_lens
from interp.models.model import bias_of
from interp.models.norms import frozen

TOLERANCE = 1e-4  # float32 logits of some units
READ = [name for name, form in FORMS.items() if form.readout and not form.headless]


@pytest.mark.parametrize("name", READ)
def test_the_parts_add_up_at_every_grain(tiny_named, name):
    tiny = tiny_named(name)
    seen = tiny.capture()
    parts = {by: seen.contributions("home", pos=3, against="sea", by=by) for by in ("sublayer", "head", "neuron")}
    for by, result in parts.items():
        assert result.attrs["error"] <= TOLERANCE, by
    named = {by: dict(zip(result.component.values, result.values, strict=True)) for by, result in parts.items()}
    heads, sublayers, neurons = (named[by] for by in ("head", "sublayer", "neuron"))
    for sublayer in (part for layer in tiny.model.anatomy.main.layers for part in layer):
        place = f"{sublayer.stack}L{sublayer.layer}"
        if sublayer.kind != "mlp":
            own = [value for part, value in heads.items() if part.startswith(f"{place}H") or part == f"{place} bias"]
            assert sum(own) == pytest.approx(sublayers[f"{place} attention"], abs=TOLERANCE)
            continue
        ffn = f"{place} FFN"
        assert sublayers[ffn] == pytest.approx(heads[ffn], rel=1e-5)
        if sublayer.experts:
            assert neurons[ffn] == pytest.approx(heads[ffn], rel=1e-5)
        else:
            own = [value for part, value in neurons.items() if part.startswith(f"{place}N") or part == f"{ffn} bias"]
            assert len(own) == sublayer.n_neurons + 1
            assert sum(own) == pytest.approx(heads[ffn], abs=TOLERANCE)
            assert max(map(abs, own)) > 1e-3


@pytest.mark.parametrize("name", ["gpt2", "gemma2-uncapped", "bart"])
def test_a_neurons_share_is_what_its_write_adds(tiny_named, name):
    """By hand: the neuron's write, sent through each norm behind it with its scale held, then along the token's direction."""
    tiny = tiny_named(name)
    seen, stack = tiny.capture(), tiny.model.anatomy.main
    result = seen.contributions("home", pos=3, by="neuron")
    letter, last = stack.stack, stack.n_layers - 1
    ffn, token = tiny.model.anatomy.ffn(last, letter), tiny.model.tokenizer.vocab["home"]
    post = seen.tensor("post", last)[3].double()
    write = post[5] * tiny.model.W_out(last, letter)[5].double()
    whole = post @ tiny.model.W_out(last, letter).double() + bias_of(tiny.model.at(ffn.out)).double()
    write = frozen(tiny.model.at(ffn.norm_out), whole)(write)
    if ffn.norm_after:
        read = seen.tensor("resid_mid", last, "X" if tiny.form.paired else "")[3] + seen.tensor("mlp_out", last)[3]
        write = frozen(tiny.model.at(ffn.norm_after), read)(write)
    write = frozen(tiny.model.at(stack.ln_final), seen.tensor("resid_post", last)[3])(write)
    expected = write @ tiny.model.W_U()[:, token].double() * tiny.model.anatomy.readout_scale
    assert float(result.sel(component=f"{letter}L{last}N5")) == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)


@torch.no_grad()
def test_a_held_norm_and_its_way_back_are_adjoint(tiny_named):
    norms = {name: tiny_named(name).model.at(tiny_named(name).model.anatomy.main.ln_final) for name in ("gpt2", "llama", "gemma2")}
    generator = torch.Generator().manual_seed(0)
    part, direction, x = torch.randn(3, 16, generator=generator, dtype=torch.float64)
    for norm in norms.values():
        held = frozen(norm, x)
        there, back = (held(part) @ direction).item(), (part @ held.back(direction)).item()
        assert there == pytest.approx(back)
        assert there != pytest.approx(float(part @ direction), rel=1e-3)


def test_by_something_else(tiny_named):
    seen = tiny_named("gpt2").capture()
    with pytest.raises(SiteError, match="by='layer' came; expected one of: sublayer, head, neuron"):
        inspect.unwrap(contributions_toward)(seen, 5, 3, None, by="layer")


# ------------------------------------------------------------------------------------------------------------------------- logit lens


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "mixtral"])
def test_the_lens_is_transformerlenss_own(tiny_named, name):
    tiny = tiny_named(name)
    ours, theirs = tiny.capture().logit_lens(), logit_lens(tiny.model, tiny.capture().example.text)
    np.testing.assert_allclose(ours.values[:, :-1], theirs.values, atol=TOLERANCE)
    assert (ours.best.values[:, :-1] == theirs.best.values).all()
    assert np.isnan(ours.values[:, -1]).all()
    assert np.abs(ours.values[0, :-1] - theirs.values[-1]).max() > 0.1  # a depth is not another


@pytest.mark.parametrize("name", ["bart", "marian", "t5", "m2m100", "opt-post-norm"])
def test_the_last_depth_is_the_models_own_prediction(tiny_named, name):
    seen = tiny_named(name).capture()
    lens, row = seen.logit_lens(), seen.row()
    told = seen.logits.log_softmax(-1)
    np.testing.assert_allclose(lens.values[-1, :-1], [-told[pos, row.ids[pos + 1]] for pos in range(len(row) - 1)], atol=TOLERANCE)
    np.testing.assert_allclose(lens.best_log_prob.values[-1], told.max(-1).values, atol=TOLERANCE)
    assert list(lens.next.values) == [*row.tokens[1:], ""]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gpt2-bare", "no trained token-predicting head"), ("bert", "is an encoder"), ("opt-projected", "more than a norm and a matrix")],
)
def test_no_lens_is_said_by_name(tiny_named, name, reason):
    with pytest.raises(CheckFailed, match=f"no logit lens, since .*{reason}"):
        tiny_named(name).capture().logit_lens()


# ------------------------------------------------------------------------------------------------------------------- norms, likeness


@pytest.mark.parametrize("name", ["gpt2", "bert", "t5"])
def test_norms_and_likeness_by_plain_loops(tiny_named, name):
    seen = tiny_named(name).capture()
    stack = "E" if FORMS[name].paired else ""
    norms, streams = seen.norms("mlp_out", stack), seen.stream("mlp_out", stack).values
    for layer, pos in np.ndindex(norms.shape):
        assert norms.values[layer, pos] == pytest.approx(sum(float(x) ** 2 for x in streams[layer, pos]) ** 0.5, rel=1e-5)
    depths, like = seen.depths(stack), seen.depth_similarity(stack)
    assert like.sizes == {"depth": 3, "other_depth": 3}
    assert like.attrs["n"] == depths.shape[1]
    for a, b in np.ndindex(like.shape):
        cosines = torch.cosine_similarity(depths[a].double(), depths[b].double(), dim=-1)
        assert like.values[a, b] == pytest.approx(float(cosines.mean()), abs=1e-5)
    assert np.allclose(np.diag(like.values), 1, atol=1e-6)
    assert like.values[0, 2] < 0.999
    torch.testing.assert_close(depths[1], seen.tensor("resid_pre", 1, stack or None))
    torch.testing.assert_close(depths[2], seen.tensor("resid_post", 1, stack or None))
