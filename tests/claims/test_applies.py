"""A model that a claim is not about gets the verdict "not applicable" with the reason, before anything is read or run."""

import pytest

from interp.claims.claim_files import catalogue
from interp.claims.judge import judge
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError


@pytest.mark.parametrize(
    ("name", "claim", "reason"),
    [
        *((name, claim, "is an encoder-decoder") for name in ("t5", "marian", "switch") for claim in ("S1-01", "S4-42", "S4-41-obj")),
        ("ffn-only", "S4-42", "has no attention."),
        ("ffn-only", "S4-41-obj", "has no attention."),
        ("ffn-only", "S1-01", "attention is the control that must fail the test."),
        ("attention-only", "S1-01", "has no FFN in 2 of its 2 layers."),
    ],
)
def test_not_applicable_with_the_reason_and_without_data(tiny_named, name, claim, reason):
    verdict = judge(claim, tiny_named(name).model)
    assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")
    assert reason in verdict.summary
    assert (verdict.evidence, verdict.controls, verdict.badges.causal) == ((), (), None)
    assert str(verdict).startswith(f"{claim} NOT APPLICABLE (out_of_scope) on ")
    assert Verdict.from_json(verdict.to_json()) == verdict


@pytest.mark.parametrize("name", ["gpt2", "bert", "mixtral", "deepseek-v3", "gpt-oss", "gemma2"])
def test_claims_apply_to_models_with_attention_and_ffns(tiny_named, name):
    anatomy = tiny_named(name).model.anatomy
    assert [catalogue()[claim].protocol.why_not(anatomy) for claim in ("S1-01", "S4-42", "S4-41-obj")] == [""] * 3


def test_neurons_are_read_where_nothing_is_predicted_too(tiny_named):
    """What a probe reads of neurons asks no predictions; what is lost without them does."""
    encoder, decoder, mixture = (tiny_named(name).model.anatomy for name in ("bert", "gpt2", "mixtral"))
    reads, predicts = (catalogue()[claim].protocol.why_not for claim in ("S1-12", "S1-13"))
    assert (reads(encoder), reads(decoder), predicts(decoder)) == ("", "", "")
    assert "does not predict the next token" in predicts(encoder)
    assert "experts" in reads(mixture)


def test_a_claim_on_heads_applies_without_an_ffn(tiny_named):
    model = tiny_named("attention-only").model
    assert catalogue()["S4-42"].protocol.why_not(model.anatomy) == ""
    with pytest.raises(ClaimError, match="none was given"):
        judge("S4-42", model)


@pytest.mark.parametrize("name", ["mixtral", "gpt-oss", "gemma2", "distilbert"])
@pytest.mark.parametrize("claim", ["S4-42", "S4-41-obj"])
def test_claims_on_heads_come_to_a_verdict_in_other_families(tiny_named, small_treebank, name, claim):
    verdict = judge(claim, tiny_named(name).model, small_treebank(44))
    assert verdict.outcome != "not applicable"
    assert verdict.evidence
    assert verdict.site.startswith("L")
