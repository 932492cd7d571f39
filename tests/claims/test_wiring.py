"""What depends on what: serial and parallel blocks, the encoder's output, a decoder that was wired otherwise, controls that fail."""

import json

import pytest
import torch

from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.verdict import Verdict
from interp.core.errors import CheckFailed, ClaimError
from interp.models.load import load_model


def claim(**test) -> Claim:
    fields = {"id": "w", "statement": "x", "kind": ["ident"], "quantifier": "all", "scope": "any", "does_not_show": "more"}
    return parse_claim({**fields, "test": {"protocol": "wiring", **test}}, "a test")


AFTER = {"source": "attn_out", "target": "mlp_in", "expects": "depends"}
FINAL = {"source": "E.resid_post", "target": "X.memory", "layers": "all", "holding": "E.output", "expects": "does not depend"}


@pytest.mark.parametrize("name", ["gpt2", "neox-serial", "llama", "bert", "gemma2", "mixtral", "t5"])
def test_the_ffn_reads_what_attention_wrote_in_serial_blocks(tiny_named, name):
    verdict = judge(claim(**AFTER, same_width=True), tiny_named(name).model)
    assert (verdict.outcome, verdict.reason, verdict.badges.causal) == ("supported", "", True)
    assert min(value for (value,) in verdict.rows.values()) > 1e-2
    opposite = judge(claim(**{**AFTER, "expects": "does not depend"}), tiny_named(name).model)
    assert opposite.outcome == "refuted"


def test_and_does_not_in_parallel_ones(tiny_named):
    model = tiny_named("neox").model
    verdict = judge(claim(**AFTER), model)
    assert (verdict.outcome, verdict.evidence[0].estimate) == ("refuted", 2.0)
    assert set(map(tuple, verdict.rows.values())) == {(0.0,)}
    assert judge(claim(**{**AFTER, "expects": "does not depend"}), model).outcome == "supported"
    assert judge(claim(**AFTER, layers="later"), model).outcome == "supported"


def test_nothing_runs_backwards(tiny_named):
    model = tiny_named("gpt2").model
    assert judge(claim(source="mlp_out", target="attn_in", expects="does not depend"), model).outcome == "supported"
    assert judge(claim(source="resid_post", target="resid_post", layers="earlier", expects="does not depend"), model).outcome == "supported"
    assert judge(claim(source="resid_post", target="resid_post", layers="next", expects="depends"), model).outcome == "supported"


@pytest.mark.parametrize("name", ["t5", "t5-gated", "bart", "m2m100"])
def test_cross_attention_reads_the_encoders_final_output(tiny_named, name):
    model = tiny_named(name).model
    verdict = judge(claim(**FINAL), model)
    assert (verdict.outcome, verdict.reason) == ("supported", "")
    assert set(map(tuple, verdict.rows.values())) == {(0.0,)}
    assert "E.output being held" in verdict.summary
    assert judge(claim(source="E.output", target="X.memory", layers="all", expects="depends"), model).outcome == "supported"
    free = {name: value for name, value in FINAL.items() if name != "holding"}
    assert judge(claim(**free), model).outcome == "refuted"


def _layer_wise(hf):
    """Each cross-attention reads what the first block of the encoder wrote."""
    kept = {}

    def keep(module, args, kwargs):
        kept["first"] = args[0] if args else kwargs["hidden_states"]

    def read(module, args, kwargs):
        return args, {**kwargs, "key_value_states": kept["first"]}

    hf.encoder.block[1].layer[0].register_forward_pre_hook(keep, with_kwargs=True)
    for block in hf.decoder.block:
        block.layer[1].register_forward_pre_hook(read, with_kwargs=True)
    return hf


def test_a_decoder_that_reads_an_intermediate_layer_is_found_out(fresh, word_tokenizer):
    verdict = judge(claim(**FINAL), load_model(_layer_wise(fresh("t5")), word_tokenizer()))
    assert (verdict.outcome, verdict.reason) in {("refuted", ""), ("inconclusive", "control_failed")}
    assert max(value for (value,) in verdict.rows.values()) > 1e-2
    never = claim(source="E.output", target="X.memory", layers="all", expects="depends")
    assert judge(never, load_model(_layer_wise(fresh("t5")), word_tokenizer())).outcome != "supported"


def test_a_disturbance_that_reaches_nothing_decides_nothing(fresh, word_tokenizer):
    """W_O and its bias zero: attention writes nothing, and noise of its length is nothing too."""
    hf = fresh("gpt2")
    for block in hf.transformer.h:
        block.attn.c_proj.weight.data.zero_()
        block.attn.c_proj.bias.data.zero_()
    verdict = judge(claim(**{**AFTER, "expects": "does not depend"}), load_model(hf, word_tokenizer()))
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_failed")
    assert [control.passed for control in verdict.controls] == [True, False, True]


def test_a_change_between_rounding_and_what_counts_decides_nothing(tiny_named):
    verdict = judge(claim(**AFTER), tiny_named("gpt2").model)
    least = min(value for (value,) in verdict.rows.values())
    verdict = judge(claim(**AFTER, changes_at_least=least * 1.0001), tiny_named("gpt2").model)
    assert (verdict.outcome, verdict.reason) in {("inconclusive", "in_between"), ("inconclusive", "control_failed")}


def test_widths_are_compared_where_asked(tiny_named):
    model = tiny_named("gpt2").model
    verdict = judge(claim(source="attn_out", target="post", expects="depends", same_width=True), model)
    assert (verdict.outcome, [one.estimate for one in verdict.evidence]) == ("refuted", [0.0, 2.0])


def test_a_model_without_the_place_is_out_of_scope(tiny_named):
    for name, test in [("attention-only", AFTER), ("gpt2", FINAL)]:
        verdict = judge(claim(**test), tiny_named(name).model)
        assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")
    with pytest.raises(ClaimError, match=r"has no E\.resid_post and X\.memory and E\.output .* Nothing would be run"):
        plan(claim(**FINAL), tiny_named("gpt2").model)


def test_the_plan_counts_the_pairs(tiny_named):
    model = tiny_named("gpt2").model
    assert plan(claim(**AFTER), model).n_items == judge(claim(**AFTER), model).evidence[0].n_items == 2
    bart, said = tiny_named("bart").model, claim(**FINAL)
    assert plan(said, bart).n_items == judge(said, bart).evidence[0].n_items == 3  # the encoder's last layer is what is held


def test_what_is_no_place_is_refused():
    with pytest.raises(ClaimError, match=r"test.source.*'attention' is no place; expected one of attn_in, memory"):
        claim(source="attention", target="mlp_in", expects="depends")
    with pytest.raises(ClaimError, match=r"test.target.*'Q.mlp_in' is no place"):
        claim(source="attn_out", target="Q.mlp_in", expects="depends")
    with pytest.raises(ClaimError, match=r"test.source.*'resid_mid' cannot be replaced, only looked at"):
        claim(source="resid_mid", target="resid_post", expects="depends")
    with pytest.raises(ClaimError, match=r"test.holding.*'E.resid_mid' cannot be replaced"):
        claim(source="attn_out", target="resid_post", expects="depends", holding="E.resid_mid")
    with pytest.raises(ClaimError, match=r"test.expects"):
        claim(source="attn_out", target="mlp_in", expects="maybe")


def test_numbers_that_are_not_finite_are_refused(fresh, word_tokenizer):
    hf = fresh("gpt2")
    hf.transformer.h[1].attn.c_proj.bias.data[0] = torch.nan
    with pytest.raises(CheckFailed, match="is not finite"):
        judge(claim(**AFTER), load_model(hf, word_tokenizer()))


def test_the_same_bytes_and_json_both_ways():
    model = load_model("tales")
    first, second = judge(claim(**AFTER), model, seed=2), judge(claim(**AFTER), model, seed=2)
    assert first.outcome == "supported"
    assert first.untimed().to_json() == second.untimed().to_json()
    assert Verdict.from_json(first.to_json()) == first
    json.loads(first.to_json())
