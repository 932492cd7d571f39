"""The catalogue as a whole: every row of the five documents is there, and what needs no model is judged, controls and all."""

from collections import Counter

import pytest

from interp.claims.claim import Claim, parse_claim
from interp.claims.claim_files import catalogue, place_of
from interp.claims.judge import judge
from interp.claims.tested_on import data_stamp, examples_for
from interp.core.errors import ClaimError
from interp.models.load import load_model

ROWS = [f"S{document}-{row:02d}" for document, n in enumerate((11, 21, 12, 16, 50)) for row in range(1, n + 1)]
AT_ONCE = ("configuration_arithmetic", "published_number", "published_order", "approximation", "unanswered")
GENERAL = [claim.id for claim in catalogue().values() if claim.test.protocol in AT_ONCE and claim.protocol.subject(claim.test)]


def changed(claim: Claim, **fields) -> Claim:
    return parse_claim({**claim.model_dump(mode="json"), **fields}, "a test")


def test_all_110_rows_are_there_in_their_order():
    assert len(ROWS) == 110
    assert list(dict.fromkeys("-".join(claim.split("-")[:2]) for claim in catalogue())) == ROWS
    assert list(catalogue()) == sorted(catalogue(), key=place_of)


@pytest.mark.parametrize("claim", catalogue().values(), ids=lambda claim: claim.id)
def test_a_claim_says_all_that_a_reader_needs(claim):
    assert claim.translation
    assert claim.does_not_show
    assert claim.source.startswith(f"{claim.id[:2]} = 00{claim.id[1]}_")
    assert set(claim.contradicts) <= set(catalogue())
    assert ("ill" in claim.kind) == bool(claim.not_as_worded) or claim.not_as_worded
    if claim.test.protocol == "unanswered":
        assert claim.test.because != "needs_training" or {"train", "ill"} & set(claim.kind)


@pytest.mark.parametrize("claim", GENERAL)
def test_what_no_model_is_needed_for_is_judged_with_controls_that_hold(claim, tiny_named):
    verdict = judge(claim, tiny_named("gpt2").model)
    assert verdict.fingerprint == ""
    assert all(control.passed for control in verdict.controls), claim
    assert (verdict.reason != "") == (verdict.outcome == "inconclusive")
    assert bool(verdict.evidence) == (verdict.outcome != "inconclusive")


def test_a_claim_that_denies_has_the_opposite_verdict(tiny_named):
    plain, model = catalogue()["S3-03"], tiny_named("gpt2").model
    denied = judge(changed(plain, denies="exactly"), model)
    assert (judge(plain, model).outcome, denied.outcome) == ("supported", "refuted")
    assert denied.summary.startswith("What the claim says there is not was tested, and is supported.")
    assert judge(changed(plain, not_as_worded="a word is not defined"), model).summary.startswith("Not testable as worded (a word is not")
    assert judge(changed(catalogue()["S0-03"], denies="exactly"), model).outcome == "inconclusive"


def test_an_example_refutes_cannot_and_none_leaves_it_open(tiny_named):
    """What is said of all is not supported by one model that does not do it."""
    model = tiny_named("gpt2").model
    example = judge(changed(catalogue()["S4-36-tie"], denies="by example"), model)
    none = judge(changed(catalogue()["S4-36"], denies="by example"), model)
    assert (example.outcome, example.reason) == ("refuted", "")
    assert (none.outcome, none.reason) == ("inconclusive", "no_example")
    assert "is refuted" in none.summary


def test_a_claim_on_some_models_only_is_not_about_the_others(tiny_named):
    moe, dense = tiny_named("mixtral").model, tiny_named("gpt2").model
    assert judge("S3-15", moe).outcome == "supported"
    verdict = judge("S3-15", dense)
    assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")
    assert "'n_experts > 0'" in verdict.summary
    assert catalogue()["S3-09"].why_not(tiny_named("attention-only").model) == ""
    with pytest.raises(ClaimError, match=r"only: .*there is no quantity 'experts'"):
        changed(catalogue()["S3-15"], only="experts > 0")


def test_generated_sentences_in_place_of_a_file_mark_what_claims_ask_for():
    """Trees, antecedents, senses, and cues in several places; every sentence once, the same each time."""
    claim, model = catalogue()["S4-40"], load_model("small")
    examples, hashes = examples_for(claim, model, "grammar")
    assert hashes["name"] == "grammar"
    assert len({example.name for example in examples}) == len(examples) > 1000
    links = [link for example in examples for link in example.links]
    assert sum(name == "Antecedent" for name, _, _ in links) > 160
    assert len({name for name, _, _ in links if name.startswith("Sense:")}) == 16
    cues = Counter(there - here for name, here, there in links if name == "Cue")
    assert set(cues) == {-8, -6, -4, 4, 6, 8}
    assert examples_for(claim, model, "grammar")[1] == hashes
    assert data_stamp("grammar") == "grammar"
