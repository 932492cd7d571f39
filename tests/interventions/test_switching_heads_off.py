"""Ablation of heads, neurons and experts: as a by-hand edit of the plain model, in its model and its block only, and never silent."""

import inspect
import re

import pytest
import torch

from interp.captures.prompt import capture
from interp.core.errors import CheckFailed, DataError, InterventionError, SiteError, TextError
from interp.interventions.ablate import ablate
from interp.interventions.effects import effect, loss_nats
from interp.models import experts
from interp.models.load import load_model
from interp.models.points import watchers, watching
from interp.models.watch import Keep

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
        "L1": "L1 is a whole layer; expected a head, neuron or expert, such as L1H0",
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


# Neurons, experts, and the stacks of encoder-decoders.

_T5 = {"EH": "encoder.block.{}.layer.0.SelfAttention.o", "DH": "decoder.block.{}.layer.0.SelfAttention.o"}
_T5 |= {"XH": "decoder.block.{}.layer.1.EncDecAttention.o", "EN": "encoder.block.{}.layer.1.DenseReluDense.wo"}
_T5 |= {"DN": "decoder.block.{}.layer.2.DenseReluDense.wo"}
_BART = {"EH": "model.encoder.layers.{}.self_attn.out_proj", "DH": "model.decoder.layers.{}.self_attn.out_proj"}
_BART |= {"XH": "model.decoder.layers.{}.encoder_attn.out_proj", "EN": "model.encoder.layers.{}.fc2", "DN": "model.decoder.layers.{}.fc2"}
_LLAMA = {"H": "model.layers.{}.self_attn.o_proj", "N": "model.layers.{}.mlp.down_proj"}
OUT = {  # form -> stack and kind of site -> the projection of the plain model that reads it
    "t5": _T5,
    "t5-gated": _T5,
    "bart": _BART,
    "marian": _BART,
    "gpt2": {"H": "transformer.h.{}.attn.c_proj", "N": "transformer.h.{}.mlp.c_proj"},
    "neox": {"N": "gpt_neox.layers.{}.mlp.dense_4h_to_h"},
    "opt": {"H": "model.decoder.layers.{}.self_attn.out_proj", "N": "model.decoder.layers.{}.fc2"},
    "bert": {"N": "bert.encoder.layer.{}.output.dense"},
    "phi3": _LLAMA,
    "gemma2": _LLAMA,
    "gpt-oss": {"H": _LLAMA["H"]},
    "deepseek-v3": _LLAMA,
}
INDEX = {"H": 2, "N": 3}
D_HEAD = {"deepseek-v3": 6}
PLACES = [(form, place) for form, places in OUT.items() for place in places]
PAIRS = [(LONGER[0], "she said nothing but it was cold"), (LONGER[1], "they went home again with their dog")]


def _layer(form: str, place: str) -> int:
    return 0 if (form, place) == ("deepseek-v3", "N") else 1


def _put(tiny, rows: dict[str, torch.Tensor], place: str, value) -> torch.Tensor:
    """The plain model's answer with what one projection reads edited at one site, by a hook of this test."""
    hf = tiny.eager()
    index, width = INDEX[place[-1]], D_HEAD.get(tiny.name, 4) if place.endswith("H") else 1

    def edit(module, args):
        read = args[0].clone()
        read[..., index * width : (index + 1) * width] = value
        return (read, *args[1:])

    hf.get_submodule(OUT[tiny.name][place].format(_layer(tiny.name, place))).register_forward_pre_hook(edit)
    return _plain(hf, rows)


@torch.no_grad()
def _plain(hf, rows: dict[str, torch.Tensor]) -> torch.Tensor:
    target = {"decoder_input_ids": rows["target"]} if "target" in rows else {}
    return hf(input_ids=rows["ids"], **target).logits


def _site(form: str, place: str) -> str:
    return f"{place[:-1]}L{_layer(form, place)}{place[-1]}{INDEX[place[-1]]}"


@pytest.mark.parametrize(("form", "place"), PLACES)
def test_a_part_of_any_family_and_stack_at_zero_is_the_plain_model_with_it_zeroed_by_hand(tiny_named, form, place):
    tiny = tiny_named(form)
    rows = tiny.rows(texts=2)
    before = tiny.model.run(**rows)
    with ablate(tiny.model, _site(form, place), how="zero"):
        after = tiny.model.run(**rows)
    torch.testing.assert_close(after, _put(tiny, rows, place, 0.0), atol=TOLERANCE * 10, rtol=TOLERANCE)
    assert (after - before).abs().max() > 1e-4
    assert torch.equal(tiny.model.run(**rows), before)


@pytest.mark.parametrize(("form", "place"), [(form, place) for form, place in PLACES if form in ("t5", "marian")])
def test_mean_and_resample_over_pairs_put_in_what_the_pairs_have_there(tiny_named, form, place):
    tiny = tiny_named(form)
    rows, stack, layer = tiny.rows(), place[:-1], _layer(form, place)
    n = rows["ids" if stack == "E" else "target"].shape[1]
    kind, index = {"H": "z", "N": "post"}[place[-1]], INDEX[place[-1]]
    values = [capture(tiny.model, text, target=target).tensor(kind, layer, stack)[:n, index] for text, target in PAIRS]
    values = [value if kind == "z" else value[:, None] for value in values]
    with ablate(tiny.model, _site(form, place), how="mean", over=PAIRS):
        mean = tiny.model.run(**rows)
    torch.testing.assert_close(mean, _put(tiny, rows, place, (values[0] + values[1]) / 2), atol=TOLERANCE * 10, rtol=TOLERANCE)
    with ablate(tiny.model, _site(form, place), how="resample", over=PAIRS):
        drawn = tiny.model.run(**rows)
    expected = [_put(tiny, rows, place, value) for value in values]
    assert sum(torch.allclose(drawn, one, atol=1e-4) for one in expected) == 1


def test_an_encoder_decoder_wants_pairs_and_a_model_of_one_stack_wants_texts(tiny_named):
    paired, single = tiny_named("t5").model, tiny_named("llama").model
    with pytest.raises(TextError, match="expected a second text"), ablate(paired, "EL0H0", how="mean", over=LONGER):
        raise AssertionError("the block ran")
    with pytest.raises(TextError, match="has one stack and reads one text"), ablate(single, "L0H0", how="mean", over=PAIRS):
        raise AssertionError("the block ran")


@pytest.mark.parametrize("form", ["t5", "bart"])
def test_one_stack_switched_off_leaves_the_others_as_they_were(tiny_named, form):
    tiny = tiny_named(form)
    before = tiny.capture()
    for site, same in {"DL0H1": ("E",), "XL0H1": ("E",)}.items():
        with ablate(tiny.model, site, how="zero"):
            seen = tiny.capture()
        for stack in same:
            assert torch.equal(seen.tensor("z", 1, stack), before.tensor("z", 1, stack))
        assert (seen.tensor("z", 0, site[0])[:, 1] == 0).all()
        assert not torch.equal(seen.tensor("z", 1, "D"), before.tensor("z", 1, "D"))
    with ablate(tiny.model, "EL0H1", how="zero"):
        seen = tiny.capture()
    assert torch.equal(seen.tensor("z", 0, "D"), before.tensor("z", 0, "D"))  # it has not looked at the encoder yet
    assert not torch.equal(seen.tensor("z", 0, "X"), before.tensor("z", 0, "X"))


MIXED = {
    "mixtral": "L1E",
    "qwen2-moe": "L1E",
    "gpt-oss": "L1E",
    "olmoe": "L0E",
    "deepseek-v2": "L1E",
    "deepseek-v3": "L1E",
    "switch": "DL1E",
}


def _routing(tiny, rows: dict[str, torch.Tensor], prefix: str) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """The FFN of experts at a site, what it reads, and how it weights its experts."""
    site = tiny.model.anatomy.part(prefix + "0")
    keep = Keep(tiny.model, ["mlp_in", "expert_weights"])
    with watching(keep):
        tiny.model.run(**rows)
    blocks = "decoder_blocks" if site.stack else "blocks"
    names = (f"{blocks}.{site.layer}.mlp.hook_{name}" for name in ("in", "expert_weights"))
    return tiny.model.at(tiny.model.anatomy.ffn(site.layer, site.stack).module), *(keep.arrays[name] for name in names)


@pytest.mark.parametrize("form", MIXED)
def test_an_expert_switched_off_is_the_plain_model_without_its_contribution(tiny_named, form):
    tiny, prefix = tiny_named(form), MIXED[form]
    rows = tiny.rows(texts=2)
    ffn, x, weights = _routing(tiny, rows, prefix)
    expert = int((weights != 0).sum((0, 1)).argmax())
    assert (weights[..., expert] != 0).any()
    taken = (weights[..., expert, None] * experts.expert_of(ffn, expert).writes(x)).detach()

    hf = tiny.eager()
    path = next(sub.module for sub in tiny.model.anatomy.sublayers() if tiny.model.at(sub.module) is ffn)
    hf.get_submodule(path).register_forward_hook(
        lambda module, args, out: (out[0] - taken, *out[1:]) if isinstance(out, tuple) else out - taken
    )
    before = tiny.model.run(**rows)
    with ablate(tiny.model, f"{prefix}{expert}", how="zero"):
        after = tiny.model.run(**rows)
    torch.testing.assert_close(after, _plain(hf, rows), atol=TOLERANCE * 10, rtol=TOLERANCE * 10)
    assert (after - before).abs().max() > 1e-4
    assert torch.equal(tiny.model.run(**rows), before)


@pytest.mark.parametrize("form", MIXED)
def test_an_expert_that_no_token_chose_raises(tiny_named, form):
    tiny, prefix = tiny_named(form), MIXED[form]
    rows = tiny.rows(n=1, m=1)
    weights = _routing(tiny, rows, prefix)[2]
    idle = int((weights == 0).all(0).all(0).nonzero()[0])
    nothing = f"the ablation of {prefix}{idle} changed nothing: .* was the expert chosen"
    with pytest.raises(InterventionError, match=nothing), ablate(tiny.model, f"{prefix}{idle}", how="zero"):
        tiny.model.run(**rows)


@pytest.mark.parametrize("how", ["mean", "resample"])
def test_an_expert_is_switched_off_by_zero_only(tiny_named, how):
    refused = f"an expert is switched off with how='zero'; how='{how}' came"
    with pytest.raises(SiteError, match=refused), ablate(tiny_named("mixtral").model, ["L0H0", "L0E0"], how=how, over=LONGER):
        raise AssertionError("the block ran")


@pytest.mark.parametrize(
    ("form", "site", "message"),
    [
        ("deepseek-v3", "L0E0", "L0E0: this model has no experts"),  # its first layer is dense,
        ("deepseek-v3", "L1N0", "L1N0: this model has no neurons"),  # its second a mixture
        ("deepseek-v3", "L1E4", "L1E4: this model has experts 0-3 in each layer"),
        ("mixtral", "L0N0", "L0N0: this model has no neurons"),
        ("attention-only", "L0N0", "L0N0: this model has no neurons"),
        ("ffn-only", "L0H0", "L0H0: this model has no heads"),
        ("marian", "EL2H0", "EL2H0: this model has layers 0-1"),
        ("marian", "L0H0", "stack '': this model has 'E', 'D', 'X'"),
        ("marian", "XL0N0", "XL0N0: this model has no neurons"),
    ],
)
def test_parts_that_do_not_exist_are_refused_before_the_block(tiny_named, form, site, message):
    with pytest.raises(SiteError, match=re.escape(message)), ablate(tiny_named(form).model, site, how="zero"):
        raise AssertionError("the block ran")


def test_heads_neurons_and_experts_go_together(tiny_named):
    tiny = tiny_named("deepseek-v3")
    rows = tiny.rows()
    chosen = int(_routing(tiny, rows, "L1E")[2][0, 0].argmax())
    sites = ["L1H0", "L0N3", f"L1E{chosen}"]
    with ablate(tiny.model, sites, how="zero"):
        together = tiny.model.run(**rows)
    with ablate(tiny.model, sites[0], how="zero"), ablate(tiny.model, sites[1], how="zero"), ablate(tiny.model, sites[2], how="zero"):
        assert torch.equal(tiny.model.run(**rows), together)
    with ablate(tiny.model, sites[:2], how="zero"):
        assert not torch.equal(tiny.model.run(**rows), together)


def test_a_neuron_that_is_0_anyway_raises(fresh, word_tokenizer):
    hf = fresh("opt")
    with torch.no_grad():
        hf.model.decoder.layers[1].fc1.bias[5] = -1000.0  # ReLU
    model = load_model(hf, word_tokenizer())
    with (
        pytest.raises(InterventionError, match="the ablation of L1N5 changed nothing"),
        ablate(model, ["L1N5", "L1N6", "L0H0"], how="zero"),
    ):
        model.run(torch.tensor([[4, 5, 6, 7, 8, 9]]))
