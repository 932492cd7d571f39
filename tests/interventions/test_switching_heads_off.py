"""Ablation of heads, neurons and experts: as a by-hand edit of the plain model, in its model and its block only, and never silent."""

import inspect

import pytest
import torch

from interp.captures.prompt import capture
from interp.core.errors import CheckFailed, DataError, InterventionError, SiteError, TextError
from interp.interventions.ablate import ablate
from interp.interventions.effects import effect, loss_nats
from interp.models.load import load_model
from interp.models.points import watchers

TEXT = "the old man saw a dog"
LONGER = ["by the sea the old dog saw a man and the man saw", "they saw the sea and they saw the sea and they saw the"]
TOLERANCE = 1e-5
HOWS = {"zero": (), "mean": LONGER, "resample": LONGER}


def _by_hand(tiny, ids, edits):
    """The plain model with z edited by a hook of this test: `edits` is (layer, head, value at each position or 0)."""
    hf = tiny.eager()
    path = {"gpt2": "attn.c_proj", "gpt_neox": "attention.dense", "bert": "attention.output.dense", "roberta": "attention.output.dense"}
    ending = path.get(hf.config.model_type, "self_attn.o_proj")
    modules = [module for name, module in hf.named_modules() if name.endswith(ending)]
    assert len(modules) == 2
    d_head = modules[0].weight.shape[0 if tiny.name.startswith("gpt2") else 1] // 4

    def hook(layer):
        def edit(module, args):
            z = args[0].clone()
            for at, head, value in edits:
                if at == layer:
                    z[..., head * d_head : (head + 1) * d_head] = value
            return (z, *args[1:])

        return edit

    for layer, module in enumerate(modules):
        module.register_forward_pre_hook(hook(layer))
    with torch.no_grad():
        out = hf(input_ids=ids)
    return out.last_hidden_state if tiny.form.headless else out.logits


def _out(tiny, ids):
    return tiny.model.run(ids)


@pytest.fixture
def ids(tiny):
    return torch.tensor([tiny.examples([TEXT])[0].ids])


def test_zero_is_the_plain_model_with_z_zeroed_by_hand(tiny, ids):
    before = _out(tiny, ids)
    for heads in (["L0H2"], ["L1H0", "L0H3"], ["L1H1", "L1H3"]):
        edits = [(int(head[1]), int(head[3]), 0.0) for head in heads]
        with ablate(tiny.model, heads, how="zero"):
            after = _out(tiny, ids)
        torch.testing.assert_close(after, _by_hand(tiny, ids, edits), atol=TOLERANCE * 10, rtol=TOLERANCE)
        assert (after - before).abs().max() > 1e-3
    torch.testing.assert_close(_by_hand(tiny, ids, []), before, atol=TOLERANCE * 10, rtol=TOLERANCE)


def test_mean_and_resample_put_in_what_the_corpus_has_there(tiny, ids):
    rows = [capture(tiny.model, text).tensor("z", 1)[: ids.shape[1], 2] for text in LONGER]
    with ablate(tiny.model, "L1H2", how="mean", over=LONGER):
        mean = _out(tiny, ids)
    torch.testing.assert_close(mean, _by_hand(tiny, ids, [(1, 2, (rows[0] + rows[1]) / 2)]), atol=TOLERANCE * 10, rtol=TOLERANCE)
    drawn = set()
    expected = [_by_hand(tiny, ids, [(1, 2, row)]) for row in rows]
    for seed in range(8):
        with ablate(tiny.model, "L1H2", how="resample", over=LONGER, seed=seed):
            out = _out(tiny, ids)
        fits = [torch.allclose(out, candidate, atol=1e-4) for candidate in expected]
        assert sum(fits) == 1
        drawn.add(fits.index(True))
        with ablate(tiny.model, "L1H2", how="resample", over=LONGER, seed=seed):
            assert torch.equal(_out(tiny, ids), out)
    assert drawn == {0, 1}


@pytest.mark.parametrize("how", HOWS)
def test_each_way_changes_the_output_and_is_undone(tiny, ids, how):
    before = _out(tiny, ids)
    with ablate(tiny.model, ["L0H0", "L1H3"], how=how, over=HOWS[how]):
        during = _out(tiny, ids)
    assert (during - before).abs().max() > 1e-3
    assert torch.equal(_out(tiny, ids), before)
    with pytest.raises(ZeroDivisionError), ablate(tiny.model, "L0H0", how=how, over=HOWS[how]):
        raise ZeroDivisionError
    assert torch.equal(_out(tiny, ids), before)
    assert watchers() == ()


def test_a_capture_inside_sees_the_edited_values(tiny):
    before = capture(tiny.model, TEXT)
    with ablate(tiny.model, "L0H1", how="zero"):
        seen = capture(tiny.model, TEXT)
    assert (seen.tensor("z", 0)[:, 1] == 0).all()
    assert torch.equal(seen.tensor("z", 0)[:, 0], before.tensor("z", 0)[:, 0])
    assert torch.equal(seen.tensor("pattern", 0), before.tensor("pattern", 0))
    assert not torch.allclose(seen.tensor("pattern", 1), before.tensor("pattern", 1), atol=1e-4)
    assert seen.reconstruction_error <= TOLERANCE  # what flows is what was edited


def test_ablations_inside_one_another_add_up(tiny, ids):
    with ablate(tiny.model, "L0H0", how="zero"), ablate(tiny.model, "L1H1", how="zero"):
        nested = _out(tiny, ids)
    with ablate(tiny.model, ["L0H0", "L1H1"], how="zero"):
        assert torch.equal(_out(tiny, ids), nested)


def test_another_model_in_the_block_is_not_touched(tiny, ids, fresh, word_tokenizer):
    other = load_model(fresh(tiny.name, seed=1), word_tokenizer(encoder=tiny.form.encoder))
    before = other.run(ids)
    with ablate(tiny.model, "L0H0", how="zero"):
        assert torch.equal(other.run(ids), before)
        _out(tiny, ids)
    with pytest.raises(InterventionError, match="the ablation of L0H0 never fired"), ablate(tiny.model, "L0H0", how="zero"):
        other.run(ids)


def test_each_row_of_a_batch_is_edited(tiny, ids):
    with ablate(tiny.model, "L0H0", how="zero"):
        both = _out(tiny, torch.cat([ids, ids.flip(1)]))
        torch.testing.assert_close(both[:1], _out(tiny, ids), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(both[1:], _out(tiny, ids.flip(1)), atol=1e-4, rtol=1e-4)


def test_a_block_in_which_nothing_ran_raises(tiny):
    never = "the ablation of L0H0, L1H2 never fired: no model ran inside the block"
    with pytest.raises(InterventionError, match=never), ablate(tiny.model, ["L0H0", "L1H2"], how="zero"):
        pass


def test_a_block_that_changed_nothing_raises(tiny, ids):
    nothing = "the ablation of L1H0 changed nothing"
    with pytest.raises(InterventionError, match=nothing), ablate(tiny.model, "L1H0", how="resample", over=[TEXT]):
        _out(tiny, ids)


def test_a_head_that_is_already_dead_raises(fresh, word_tokenizer):
    hf = fresh("gpt2")
    with torch.no_grad():
        hf.transformer.h[0].attn.c_attn.weight[:, 32:36] = 0  # the values of head 0
        hf.transformer.h[0].attn.c_attn.bias[32:36] = 0
    model = load_model(hf, word_tokenizer())
    with pytest.raises(InterventionError, match="the ablation of L0H0 changed nothing"), ablate(model, ["L0H0", "L0H1"], how="zero"):
        model.run(torch.tensor([[4, 5, 6]]))


def test_what_cannot_be_ablated_is_refused_before_the_block(tiny):
    model = tiny.model
    for heads, message in {
        "L2H0": "L2H0: this model has layers 0-1",
        "L0H4": "L0H4: this model has heads 0-3 in each layer",
        "L1": "L1 is a whole layer; expected a head, neuron, expert or sublayer, such as L1H0 or L1 FFN",
        "L0N24": "L0N24: this model has neurons 0-23",
        "L0E0": "L0E0: this model has no experts",
        "EL0H0": "stack 'E': this model has ''",
        "head 3": "'head 3' is not a site",
    }.items():
        with pytest.raises(SiteError, match=message), ablate(model, heads, how="zero"):
            raise AssertionError("the block ran")
    with pytest.raises(InterventionError, match="no site was named"), ablate(model, [], how="zero"):
        raise AssertionError("the block ran")


@pytest.mark.parametrize("how", ["mean", "resample"])
def test_texts_that_are_missing_or_too_short_are_refused(tiny, ids, how):
    with pytest.raises(DataError, match=f"how='{how}' needs texts to take values from"), ablate(tiny.model, "L0H0", how=how):
        raise AssertionError("the block ran")
    n, short = ids.shape[1], len(tiny.examples(["the old man"])[0])
    too_short = f"have {short} tokens, the text that runs has {n}"
    with pytest.raises(DataError, match=too_short), ablate(tiny.model, "L0H0", how=how, over=[*LONGER, "the old man"]):
        _out(tiny, ids)


def test_one_text_may_be_given_by_itself(tiny_named):
    tiny = tiny_named("gpt2")
    ids = torch.tensor([tiny.examples([TEXT])[0].ids])
    outs = []
    for over in (LONGER[0], [LONGER[0]], tiny.examples([LONGER[0]])):
        with ablate(tiny.model, "L0H0", how="mean", over=over):
            outs.append(_out(tiny, ids))
    assert torch.equal(outs[0], outs[1])
    assert torch.equal(outs[0], outs[2])


def test_an_unknown_way_is_refused(tiny_named):
    untyped = inspect.unwrap(ablate)
    with pytest.raises(InterventionError, match="how='median' came; expected 'zero', 'mean' or 'resample'"):
        next(untyped(tiny_named("gpt2").model, "L0H0", how="median", over=LONGER))


def test_a_key_value_cache_is_refused_where_the_place_of_a_token_matters(decoder):
    """With a cache the model reads one token at a time: the value of position 0 would be put in everywhere."""
    ids = torch.tensor([decoder.examples([TEXT])[0].ids])
    options = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 3, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}
    with pytest.raises(InterventionError, match="runs with a key-value cache"), ablate(decoder.model, "L0H0", how="mean", over=LONGER):
        decoder.model.hf.generate(ids, **options)
    with ablate(decoder.model, "L0H0", how="mean", over=LONGER):
        decoder.model.hf.generate(ids, use_cache=False, **options)
    with ablate(decoder.model, ["L0H0", "L1H0"], how="zero"):
        cached, whole = (decoder.model.hf.generate(ids, use_cache=use, **options).tolist() for use in (True, False))
    assert cached == whole


def test_effect_in_nats_is_the_by_hand_computation(decoder):
    ids = torch.tensor([decoder.examples([TEXT])[0].ids])
    answers = (7, 9)
    change = effect(decoder.model, TEXT, lambda: ablate(decoder.model, ["L0H2", "L1H1"], how="zero"), answers=answers)
    before, after = _by_hand(decoder, ids, [])[0], _by_hand(decoder, ids, [(0, 2, 0.0), (1, 1, 0.0)])[0]

    def loss(logits):
        log_p = logits.double().log_softmax(-1)
        return -sum(log_p[place, ids[0, place + 1]].item() for place in range(ids.shape[1] - 1)) / (ids.shape[1] - 1)

    assert change.loss_before_nats == pytest.approx(loss(before), abs=1e-4)
    assert change.loss_after_nats == pytest.approx(loss(after), abs=1e-4)
    assert change.nats == pytest.approx(loss(after) - loss(before), abs=1e-4)
    assert abs(change.nats) > 1e-3
    expected = (after[-1, 7] - after[-1, 9]) - (before[-1, 7] - before[-1, 9])
    assert change.logit_difference == pytest.approx(expected.item(), abs=1e-3)
    assert effect(decoder.model, TEXT, lambda: ablate(decoder.model, "L0H2", how="zero")).logit_difference is None


def test_loss_of_a_uniform_guess_is_the_log_of_the_vocabulary():
    logits = torch.zeros(5, 31)
    assert loss_nats(logits, torch.arange(5)) == pytest.approx(torch.tensor(31.0).log().item())
    logits[torch.arange(4), torch.arange(1, 5)] = 100.0
    assert loss_nats(logits, torch.arange(5)) == pytest.approx(0.0)
    assert loss_nats(logits, torch.arange(5).flip(0)) > 50


def test_an_effect_without_meaning_is_refused(tiny_named):
    for name in ("bert", "bert-bare", "gpt2-bare", "roberta"):
        model = tiny_named(name).model
        with pytest.raises(CheckFailed, match="does not predict the next token"):
            effect(model, TEXT, lambda model=model: ablate(model, "L0H0", how="zero"))
    model = tiny_named("gpt2").model
    with pytest.raises(TextError, match="'dog' is one token, and nothing before it predicts it"):
        effect(model, "dog", lambda: ablate(model, "L0H0", how="zero"))
