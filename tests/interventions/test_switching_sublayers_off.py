"""Whole sublayers switched off, in every family: as the plain model with a hook of this test's own that puts the value there."""

import pytest
import torch

from interp.core.errors import InterventionError, SiteError, TextError
from interp.interventions.ablate import ablate
from interp.interventions.effects import effect
from interp.models import hooks
from interp.models.load import load_model
from interp.models.points import watchers

TOLERANCE = 1e-4  # float32 rounding through two layers, eager and fused
TEXT = "the old man saw a dog"
LONGER = ["by the sea the old dog saw a man and the man saw", "they saw the sea and they saw the sea and they saw the"]


def plain(tiny, rows, path: str = "", put=None) -> torch.Tensor:
    """The plain model's answer; what the module at `path` returns is replaced by `put` of it."""
    hf = tiny.eager()

    def edit(module, args, output):
        written, *more = output if isinstance(output, tuple) else (output,)
        changed = put(written)
        return (changed, *more) if isinstance(output, tuple) else changed

    if path:
        hf.get_submodule(path).register_forward_hook(edit)
    target = {"decoder_input_ids": rows["target"]} if "target" in rows else {}
    with torch.no_grad():
        out = hf(input_ids=rows["ids"], **target)
    return out.last_hidden_state if tiny.form.headless else out.logits


def name_of(sublayer) -> str:
    return f"{sublayer.stack}L{sublayer.layer} {'FFN' if sublayer.kind == 'mlp' else 'attention'}"


def test_zero_is_the_plain_model_whose_sublayer_returns_zeros(family):
    rows = family.rows()
    before = family.model.run(**rows)
    torch.testing.assert_close(plain(family, rows), before, atol=TOLERANCE, rtol=TOLERANCE)
    for sublayer in family.model.anatomy.sublayers():
        with ablate(family.model, name_of(sublayer), how="zero"):
            after = family.model.run(**rows)
        expected = plain(family, rows, sublayer.writes, torch.zeros_like)
        torch.testing.assert_close(after, expected, atol=TOLERANCE, rtol=TOLERANCE)
        assert (after - before).abs().max() > 1e-3, name_of(sublayer)
    assert torch.equal(family.model.run(**rows), before)


@pytest.mark.parametrize("name", ["gpt2", "bert", "mixtral"])
@pytest.mark.parametrize("kind", ["attention", "FFN"])
def test_mean_and_resample_put_in_what_the_texts_have_there(tiny_named, name, kind):
    tiny = tiny_named(name)
    rows, n = {"ids": torch.tensor([tiny.examples([TEXT])[0].ids])}, len(tiny.examples([TEXT])[0])
    point = "attn_out" if kind == "attention" else "mlp_out"
    values = [tiny.capture(text, keep=[point]).tensor(point, 1)[None, :n] for text in LONGER]
    sublayer = tiny.model.anatomy.attention(1) if kind == "attention" else tiny.model.anatomy.ffn(1)
    with ablate(tiny.model, f"L1 {kind}", how="mean", over=LONGER):
        mean = tiny.model.run(**rows)
    torch.testing.assert_close(mean, _put(tiny, rows, sublayer, (values[0] + values[1]) / 2), atol=TOLERANCE, rtol=TOLERANCE)
    with ablate(tiny.model, f"L1 {kind}", how="resample", over=LONGER):
        drawn = tiny.model.run(**rows)
    each = [_put(tiny, rows, sublayer, value) for value in values]
    assert sum(torch.allclose(drawn, one, atol=TOLERANCE) for one in each) == 1


def _put(tiny, rows, sublayer, value):
    return plain(tiny, rows, sublayer.writes, lambda written: value.view_as(written))


def test_a_sublayer_is_more_than_its_heads(tiny_named):
    """GPT-2's attention has a bias, which stays when all its heads are off."""
    tiny = tiny_named("gpt2")
    with ablate(tiny.model, "L0 attention", how="zero"):
        whole = tiny.model.run(**tiny.rows())
    with ablate(tiny.model, [f"L0H{head}" for head in range(4)], how="zero"):
        heads = tiny.model.run(**tiny.rows())
    assert (whole - heads).abs().max() > 1e-3


def test_undone_after_an_exception_and_nobody_is_left_watching(tiny_named):
    tiny = tiny_named("gpt2")
    before = tiny.model.run(**tiny.rows())
    with pytest.raises(TextError, match="token id 99"), ablate(tiny.model, "L1 FFN", how="zero"):
        tiny.model.run(torch.full((1, 3), 99))
    assert not watchers()
    assert torch.equal(tiny.model.run(**tiny.rows()), before)


def test_a_dead_hook_raises(fresh, word_tokenizer):
    model = load_model(fresh("gpt2"), word_tokenizer())
    hooks.detach(model.hf)
    with pytest.raises(InterventionError, match="the ablation of L1 FFN never fired"), ablate(model, "L1 FFN", how="zero"):
        model.run(torch.tensor([[3, 4, 5]]))


def test_sublayers_that_are_not_there(tiny_named):
    for name, site, message in (
        ("attention-only", "L0 FFN", "this model has no FFN there"),
        ("ffn-only", "L0 attention", "this model has no attention there"),
        ("t5", "XL0 FFN", "this model has no FFN there"),
        ("gpt2", "L7 FFN", "this model has layers 0-1"),
        ("gpt2", "L1", "is a whole layer; expected a head, neuron, expert or sublayer, such as L1H0 or L1 FFN"),
        ("gpt2", "L1 MLP", "is not a site"),
    ):
        with pytest.raises(SiteError, match=message), ablate(tiny_named(name).model, site, how="zero"):
            raise AssertionError("the block ran")


def test_effect_of_a_sublayer_is_in_nats(tiny_named):
    tiny = tiny_named("gpt2")
    assert effect(tiny.model, TEXT, lambda: ablate(tiny.model, "L0 attention", how="zero")).nats != 0
