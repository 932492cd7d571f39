"""What must hold for each family, over the whole table of tiny models: the plain model's numbers, the stream's own arithmetic, live edits.

Tolerance 1e-5, relative to the largest number where that is above 1: rounding of a few hundred float32 operations. The README's table of
families is made of what is proven here.
"""

import copy
from typing import get_args

import pytest
import torch
from tiny_families import FORMS

from interp.captures.rebuild import reconstruction_errors, relative
from interp.core.errors import ModelUnsupported, SiteError, TextError
from interp.core.sites import Stack
from interp.interventions.ablate import ablate
from interp.interventions.knock_out import knock_out
from interp.models import experts
from interp.models.families import FAMILIES, REFUSED
from interp.models.load import load_model
from interp.models.model import bias_of
from interp.models.points import Kind, Point, watching
from interp.models.watch import Keep

TOLERANCE = 1e-5
PAIRED = [name for name, form in FORMS.items() if form.paired]
MIXED = ["mixtral", "qwen2-moe", "qwen3-moe", "olmoe", "gpt-oss", "deepseek-v2", "deepseek-v3", "switch"]
GATED = ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "t5-gated"]


def off(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours.double() - theirs.double()).abs().max() / theirs.abs().max().clamp_min(1.0)).item()


@torch.no_grad()
def plain(family, rows: dict[str, torch.Tensor], hf=None, **options):
    """The plain model's answer, with its eager attention by stack."""
    inputs = {"input_ids": rows["ids"]} | ({"decoder_input_ids": rows["target"]} if family.form.paired else {})
    out = (hf or family.eager())(**inputs, output_attentions=bool(family.model.anatomy.attentions()), **options)
    patterns = {"": out.get("attentions"), "E": out.get("encoder_attentions"), "D": out.get("decoder_attentions")}
    return out.last_hidden_state if family.form.headless else out.logits, {**patterns, "X": out.get("cross_attentions")}


def watched(family, rows: dict[str, torch.Tensor], *kinds: str) -> tuple[torch.Tensor, Keep]:
    keep = Keep(family.model, kinds or get_args(Kind))
    with watching(keep):
        out = family.model.run(**rows)
    return out, keep


def kept(keep: Keep, kind: str, layer: int, stack: Stack) -> torch.Tensor:
    return keep.arrays[Point(kind=kind, layer=layer, stack=stack).name]


def test_the_table_has_every_supported_family():
    assert {FORMS[name].build().config.model_type for name in FORMS} == set(FAMILIES)


def test_logits_and_every_pattern_are_the_plain_models(family):
    rows = family.rows(texts=2)
    logits, patterns = plain(family, rows)
    out, keep = watched(family, rows)
    assert off(out, logits) <= TOLERANCE
    assert off(family.model.run(**rows), logits) <= TOLERANCE
    attentions = family.model.anatomy.attentions()
    assert len(attentions) == sum(len(found) for found in patterns.values() if found)
    for sub in attentions:
        ours, others = kept(keep, "pattern", sub.layer, sub.stack), [p for stack in patterns.values() for p in stack or ()]
        assert off(ours, patterns[sub.stack][sub.layer]) <= TOLERANCE
        near = [p for p in others if p.shape == ours.shape and off(ours, p) <= 0.01]
        assert len(near) == 1  # and no other layer's or stack's


def test_the_stream_is_rebuilt_by_head_by_neuron_by_layer_and_over_the_stack(family):
    _, keep = watched(family, family.rows(texts=2))
    errors = reconstruction_errors(family.model, keep.arrays)
    expected = {"layers", "whole stack", "heads", "neurons"} - {"attention-only": {"neurons"}, "ffn-only": {"heads"}}.get(
        family.name, set()
    )
    assert expected <= set(errors)
    assert ("encoder's output" in errors) is family.form.paired
    assert max(errors.values()) <= TOLERANCE, errors
    for name in keep.arrays:  # each kept write is needed
        if name.endswith(("attn.o.hook_out", "mlp.hook_out")):
            lied = {**keep.arrays, name: keep.arrays[name] * 1.01}
            assert max(reconstruction_errors(family.model, lied).values()) > 1e-4, name


def test_an_edge_knocked_out_is_minus_infinity_in_the_plain_model(family):
    """In every attention of every stack: the row renormalises over what is left, everything else stays."""
    rows = family.rows()
    for sub in family.model.anatomy.attentions():
        head = f"{sub.stack}L{sub.layer}H1"
        _, before = watched(family, rows, "pattern")
        with knock_out(family.model, head, edges=[(4, 3)]):
            _, after = watched(family, rows, "pattern")
        old, new = kept(before, "pattern", sub.layer, sub.stack), kept(after, "pattern", sub.layer, sub.stack)
        assert new[0, 1, 4, 3] == 0 < old[0, 1, 4, 3]
        if not hasattr(family.model.at(sub.module), "sinks"):
            rest = old[0, 1, 4].clone()
            rest[3] = 0
            torch.testing.assert_close(new[0, 1, 4], rest / rest.sum(), atol=TOLERANCE, rtol=0)
        new[0, 1, 4] = old[0, 1, 4]
        assert off(new, old) <= TOLERANCE


def test_an_edge_knocked_out_changes_the_answer(family):
    rows = family.rows()
    before = family.model.run(**rows)
    for sub in family.model.anatomy.attentions():
        heads = [f"{sub.stack}L{sub.layer}H{head}" for head in range(4)]
        with knock_out(family.model, heads, edges=[(4, 3)]):
            assert off(family.model.run(**rows), before) > TOLERANCE, heads
    assert torch.equal(family.model.run(**rows), before)


def test_a_head_switched_off_is_its_write_taken_away_in_the_plain_model(family):
    rows = family.rows()
    for sub in family.model.anatomy.attentions():
        d_head = family.model.anatomy.stack(sub.stack).d_head
        twin = family.eager()

        def without_head_2(module, args, d_head=d_head):
            z = args[0].clone()
            z[..., 2 * d_head : 3 * d_head] = 0
            return (z, *args[1:])

        twin.get_submodule(sub.out).register_forward_pre_hook(without_head_2)
        expected, _ = plain(family, rows, twin)
        with ablate(family.model, f"{sub.stack}L{sub.layer}H2", how="zero"):
            edited = family.model.run(**rows)
        assert off(edited, expected) <= TOLERANCE
        assert off(edited, family.model.run(**rows)) > TOLERANCE


def test_a_neuron_switched_off_is_its_write_taken_away_in_the_plain_model(family):
    rows = family.rows()
    _, keep = watched(family, rows, "post")
    for sub in family.model.anatomy.sublayers():
        if sub.kind != "mlp" or not sub.out:
            continue
        neuron = int(kept(keep, "post", sub.layer, sub.stack).abs().amax((0, 1)).argmax())
        twin = family.eager()

        def without(module, args, neuron=neuron):
            post = args[0].clone()
            post[..., neuron] = 0
            return (post, *args[1:])

        twin.get_submodule(sub.out).register_forward_pre_hook(without)
        expected, _ = plain(family, rows, twin)
        with ablate(family.model, f"{sub.stack}L{sub.layer}N{neuron}", how="zero"):
            edited = family.model.run(**rows)
        assert off(edited, expected) <= TOLERANCE
        assert off(edited, family.model.run(**rows)) > TOLERANCE


def test_padding_batching_and_order_change_nothing(family):
    rows = family.rows(texts=3)
    together = family.model.run(**rows)
    for number in range(3):
        alone = family.model.run(**{name: row[number : number + 1] for name, row in rows.items()})
        assert off(together[number : number + 1], alone) <= TOLERANCE
    order = torch.tensor([2, 0, 1])
    assert off(family.model.run(**{name: row[order] for name, row in rows.items()}), together[order]) <= TOLERANCE
    ids, mask = rows["ids"].clone(), torch.ones_like(rows["ids"])
    ids[1, 5:], mask[1, 5:] = 1, 0
    others = {name: row for name, row in rows.items() if name != "ids"}
    padded, keep = family.model.run(ids, mask, **others), Keep(family.model, ["pattern"])
    with watching(keep):
        watched_too = family.model.run(ids, mask, **others)
    alone = family.model.run(ids[1:2, :5], **{name: row[1:2] for name, row in others.items()})
    for out in (padded, watched_too):
        assert off(out[1:2, : alone.shape[1]], alone) <= TOLERANCE
        assert off(out[:1], together[:1]) <= TOLERANCE
    for sub in family.model.anatomy.attentions():
        if sub.stack != "D":  # the decoder's row has no padding here
            assert (kept(keep, "pattern", sub.layer, sub.stack)[1, :, :5, 5:] == 0).all()


@pytest.mark.parametrize("family", PAIRED, indirect=True)
def test_keys_and_values_of_every_decoder_layer_come_from_the_encoders_final_output(family):
    rows = family.rows()
    _, keep = watched(family, rows)
    anatomy = family.model.anatomy
    encoder = anatomy.stack("E")
    last = kept(keep, "ln_final" if encoder.ln_final else "resid_post", encoder.n_layers - 1, "E")
    for layer in range(anatomy.n_layers):
        assert torch.equal(kept(keep, "memory", layer, "X"), last)
        assert not torch.equal(kept(keep, "attn_in", layer, "X")[:, :6], last[:, :6])
    seen = family.capture()
    assert seen.pattern("XL0H1").shape == (len(seen.target), len(seen.example))
    assert list(seen.pattern("XL0H1").key_token.values) == list(seen.example.tokens)
    assert list(seen.pattern("XL0H1").query_token.values) == list(seen.target.tokens)
    assert seen.pattern("EL0H1").shape == (len(seen.example),) * 2
    assert seen.pattern("DL0H1").shape == (len(seen.target),) * 2
    with pytest.raises(SiteError, match="this model has 'E', 'D', 'X'"):
        seen.pattern("L0H1")
    with pytest.raises(TextError, match="encoder-decoder: expected a second text"):
        family.model.run(rows["ids"])


@pytest.mark.parametrize("family", ["gpt2", "bert"], indirect=True)
def test_a_model_of_one_stack_reads_one_text(family):
    with pytest.raises(TextError, match="has one stack and reads one text"):
        family.model.run(torch.tensor([[4, 5]]), target=torch.tensor([[4, 5]]))
    with pytest.raises(SiteError, match="stack 'X': this model has ''"):
        family.capture().pattern("XL0H0")


@pytest.mark.parametrize("family", MIXED, indirect=True)
def test_mixtures_show_who_was_chosen_and_what_each_expert_did(family):
    seen = family.capture(keep=get_args(Kind))
    mixed = [sub for sub in family.model.anatomy.sublayers() if sub.experts]
    assert mixed
    for sub in mixed:
        ffn = family.model.at(sub.module)
        weights = seen.tensor("expert_weights", sub.layer, sub.stack)
        probabilities = seen.tensor("router_probs", sub.layer, sub.stack)
        assert weights.shape == probabilities.shape == (len(seen.row(sub.stack)), 4)
        active = experts.n_active(ffn)
        assert ((weights != 0).sum(-1) == active).all()
        chosen = weights != 0
        assert torch.isclose(experts.load(weights).sum(), torch.tensor(float(active)))
        x, written = seen.tensor("mlp_in", sub.layer, sub.stack), seen.tensor("mlp_out", sub.layer, sub.stack)
        total = experts.rebuild(ffn, x, torch.zeros_like(weights))  # what shared experts write
        assert bool(total.abs().max() > 0.01) is experts.has_shared(ffn)
        for expert in range(4):
            neurons = seen.expert_neurons(f"{sub.stack}L{sub.layer}E{expert}").values
            assert (~torch.tensor(neurons).isnan().any(-1)).tolist() == chosen[:, expert].tolist()
            wrote = experts.expert_neurons(ffn, x, expert) @ experts.expert_W_out(ffn, expert) + experts.expert_b_out(ffn, expert)
            total = total + weights[:, expert, None] * wrote
        assert relative(total, written) <= TOLERANCE


@pytest.mark.parametrize("family", GATED, indirect=True)
def test_gate_up_and_product_are_told_apart(family):
    from transformers.activations import ACT2FN

    _, keep = watched(family, family.rows())
    anatomy = family.model.anatomy
    assert anatomy.gated
    act = ACT2FN[anatomy.activation]
    for sub in (sub for sub in anatomy.sublayers() if sub.kind == "mlp"):
        gate, up, post = (kept(keep, kind, sub.layer, sub.stack) for kind in ("gate", "up", "post"))
        assert off(act(gate) * up, post) <= TOLERANCE
        assert off(act(up) * gate, post) > 0.01
        assert off(act(up), post) > 0.01


@pytest.mark.parametrize("family", [name for name in FORMS if name not in (*GATED, *MIXED)], indirect=True)
def test_two_matrices_mean_an_activation_and_no_gate(family):
    from transformers.activations import ACT2FN

    if family.model.anatomy.gated:
        assert family.name in ("llama-wide-heads", "mistral-window", "gemma2-uncapped")
        return
    seen = family.capture(keep=get_args(Kind))
    act = ACT2FN[family.model.anatomy.activation]
    for sub in (sub for sub in family.model.anatomy.sublayers() if sub.kind == "mlp"):
        up, post = (seen.tensor(kind, sub.layer, sub.stack) for kind in ("up", "post"))
        assert off(act(up), post) <= TOLERANCE
        with pytest.raises(SiteError, match="this family has none"):
            seen.tensor("gate", sub.layer, sub.stack)


def test_contributions_add_up_to_the_logit_or_are_refused_by_name(family):
    seen = family.capture()
    if not family.form.readout or family.form.headless:
        assert "contributions" in family.model.disabled
        return
    for pos in range(len(seen.row())):
        result = seen.contributions(7, pos=pos)
        assert result.error <= TOLERANCE * max(1.0, float(abs(result).max()))
        assert abs(float(result.sum()) - float(seen.logits[pos, 7])) <= 1e-4


@pytest.mark.parametrize("model_type", ["gpt_neo", "mamba", "qwen3_next"])
def test_what_cannot_be_exact_is_refused_by_name_with_the_reason(model_type, word_tokenizer):
    import transformers

    sizes = {"vocab_size": 31, "hidden_size": 16, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]}
    config = transformers.GPTNeoConfig(**sizes) if model_type == "gpt_neo" else transformers.AutoConfig.for_model(model_type)
    if model_type == "gpt_neo":
        with pytest.raises(ModelUnsupported, match=r"'gpt_neo' is not supported: its attention does not go through"):
            load_model(transformers.GPTNeoForCausalLM(config), word_tokenizer())
    from interp.models.dissect import family_of

    with pytest.raises(ModelUnsupported, match=REFUSED[model_type].split(",")[0]):
        family_of(config)


def test_unverified_options_are_refused_by_name(fresh, word_tokenizer):
    hf = fresh("bert")
    hf.config.is_decoder = True
    with pytest.raises(ModelUnsupported, match="BERT with is_decoder=True: only is_decoder=False has been verified"):
        load_model(hf, word_tokenizer())
    with pytest.raises(ModelUnsupported, match=r"Switch in torch.bfloat16"):
        load_model(fresh("switch").bfloat16(), word_tokenizer())


def test_the_biases_of_attention_are_no_heads_own(family):
    """Heads alone do not add up where the family has biases: the rebuilding is not true of anything."""
    _, keep = watched(family, family.rows())
    for sub in family.model.anatomy.attentions():
        bias = bias_of(family.model.at(sub.out))
        z = kept(keep, "z", sub.layer, sub.stack)
        heads = torch.einsum("bphd,hdm->bpm", z, family.model.W_O(sub.layer, sub.stack))
        written = copy.copy(kept(keep, "attn_out", sub.layer, sub.stack))
        if bias.any() and not sub.norm_out:
            assert relative(heads, written) > 1e-3
        if not sub.norm_out:
            assert relative(heads + bias, written) <= TOLERANCE
