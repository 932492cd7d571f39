"""Induction: a circuit written by hand is found, with its head and its shift; its scrambled twin and untrained models are not."""

from pathlib import Path

import numpy as np
import pytest
import torch

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.claim_files import read_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import induction
from interp.claims.protocols.parts.repeats import copying_by_row, draw_repeats, weights_by_row
from interp.claims.verdict import Verdict
from interp.measures.induction import SHIFTS, induction_profile
from interp.models.constructed import scrambled
from interp.models.load import load_model
from interp.models.untrained import untrained

FILE = Path(__file__).parents[2] / "examples" / "induction.yaml"


def claim(**test) -> Claim:
    fields = read_claim(FILE).model_dump(mode="json")
    return parse_claim({**fields, "test": {**fields["test"], **test}}, "a test")


@pytest.fixture(scope="module")
def made():
    return interp.constructed("induction")


@pytest.fixture(scope="module")
def known(made):
    return load_model(made.hf, made.tokenizer)


@pytest.fixture(scope="module")
def verdict(known) -> Verdict:
    return judge(claim(), known)


def test_the_planted_circuit_is_found_at_its_head_and_shift(verdict, made):
    assert (verdict.outcome, verdict.site) == ("supported", made.truth["induction"][0])
    pattern, behaviour, mean, resample = verdict.evidence
    assert "at shift 1" in pattern.name
    assert 0.7 < pattern.estimate < 1  # where a word comes more than twice it follows all earlier copies
    assert pattern.family == verdict.rows.__len__() * SHIFTS
    assert behaviour.estimate > 2
    for one in (mean, resample):
        assert one.estimate > 0.9 * behaviour.estimate
        assert abs(one.baseline) < 0.1 * behaviour.estimate
    assert (verdict.badges.observational, verdict.badges.causal) == (True, True)
    assert all(control.passed for control in verdict.controls)
    assert {control.kind for control in verdict.controls} == {"null", "positive"}
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_the_same_again_to_the_byte(verdict, known):
    assert judge(claim(), known).untimed().to_json() == verdict.untimed().to_json()


def test_its_scrambled_twin_and_an_untrained_one_are_not(made, known):
    for model in (load_model(scrambled(made, seed=0).hf, made.tokenizer), untrained(known, seed=9)):
        found = judge(claim(), model)
        assert found.outcome == "refuted"
        assert found.badges.causal is False


def test_weights_and_losses_are_those_of_a_plain_pass(known):
    repeats = draw_repeats(known, 10, 3)
    assert torch.equal(repeats.ids[:, repeats.start : repeats.start + repeats.span], repeats.ids[:, repeats.start + repeats.span :])
    assert repeats.ids[:, : repeats.start].unique().tolist() == [known.tokenizer.bos_token_id]
    with torch.no_grad():
        out = known.hf(input_ids=repeats.ids)
    logprobs = out.logits.log_softmax(-1)
    for row, ours in enumerate(copying_by_row(known, repeats)):
        nats = [-logprobs[row, place - 1, repeats.ids[row, place]].item() for place in range(1, repeats.ids.shape[1])]
        first = nats[repeats.start : repeats.start + repeats.span - 1]
        second = nats[repeats.start + repeats.span :]
        assert len(first) == len(second) == repeats.span - 1
        assert ours == pytest.approx(np.mean(first) - np.mean(second), abs=1e-5)
    weights = weights_by_row(known, repeats)
    assert weights.shape == (10, known.anatomy.n_layers, known.anatomy.n_heads, SHIFTS)
    seen = interp.capture(known, repeats.part(slice(0, 1)).examples()[0])
    for site, by_hand in (("L1H0", 1), ("L0H1", 3)):
        pattern = torch.from_numpy(seen.pattern(site).values)[None, None, repeats.start :, repeats.start :]
        layer, head = int(site[1]), int(site[3])
        assert weights[0, layer, head, by_hand] == pytest.approx(
            induction_profile(pattern, repeats.ids[:1, repeats.start :])[0, by_hand].item(), abs=0.05
        )


def test_selection_sees_its_half_alone(known, monkeypatch):
    """A head that is perfect on the confirmation rows alone is not chosen."""
    real = induction.weights_by_row

    def poisoned(model, repeats):
        weights = real(model, repeats) * 0.1
        weights[len(weights) // 2 :, 0, 0, 5] = 1.0
        return weights

    monkeypatch.setattr(induction, "weights_by_row", poisoned)
    found = judge(claim(), known)
    assert found.site == "L1H0"
    assert found.evidence[0].estimate < 0.2
    assert found.outcome != "supported"
    assert found.evidence[0].upper > 0.5  # the family's bound sees that some head may do it


def test_two_ways_of_switching_off_that_disagree_decide_nothing(known, monkeypatch):
    real = induction._lost

    def lost(case, repeats, half, heads, how, clean):
        mine, others = real(case, repeats, half, heads, how, clean)
        return (mine, others) if how == "mean" else (others.mean(0), others)

    monkeypatch.setattr(induction, "_lost", lost)
    found = judge(claim(), known)
    assert (found.outcome, found.reason) == ("inconclusive", "methods_disagree")
    assert found.badges.causal is False


def test_copying_that_others_carry_too_is_not_supported(known, monkeypatch):
    real = induction._lost

    def lost(case, repeats, half, heads, how, clean):
        mine, others = real(case, repeats, half, heads, how, clean)
        return mine, np.concatenate([others[:-3], np.stack([mine + 1] * 3)])

    monkeypatch.setattr(induction, "_lost", lost)
    found = judge(claim(), known)
    assert (found.outcome, found.reason) == ("inconclusive", "null_also_passes")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("bert", "does not predict the next token"), ("t5", "is an encoder-decoder"), ("ffn-only", "has no attention")],
)
def test_not_applicable(tiny_named, name, reason):
    found = judge(claim(), tiny_named(name).model)
    assert (found.outcome, found.reason) == ("not applicable", "out_of_scope")
    assert reason in found.summary


@pytest.mark.parametrize("name", ["llama", "mixtral", "gpt2"])
def test_other_families_come_to_a_verdict(tiny_named, name):
    assert judge(claim(n_rows=80), tiny_named(name).model).outcome in ("refuted", "inconclusive")


def test_the_plan(known):
    told = plan(claim(), known)
    assert told.n_clusters == 48
    assert told.family == known.anatomy.n_layers * known.anatomy.n_heads * SHIFTS
    assert "20 draws of others switched off" in str(told)
