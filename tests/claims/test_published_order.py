"""Which row is the best of a table, a formula against its function, and claims that nothing here can answer."""

import pytest

from interp.claims.claim import parse_claim
from interp.claims.judge import judge, plan
from interp.core.errors import ClaimError

NUMBERS = {"protocol": "published_order", "publication": "vaswani-2017", "table": "3A", "row": "h=8", "quantity": "BLEU"}
GELU = {"protocol": "approximation", "tolerance": 1e-3, "tolerance_source": "a test"}


def claim(**test):
    about = {"id": "own", "statement": "It is so.", "kind": ["lit"], "quantifier": "all", "scope": "any"}
    return parse_claim({**about, "does_not_show": "more.", "test": test}, "a test")


@pytest.fixture
def model(tiny_named):
    return tiny_named("gpt2").model


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ({}, "refuted"),  # 16 heads have as much
        ({"alone": False}, "supported"),
        ({"row": "h=16", "alone": False}, "supported"),
        ({"row": "h=1", "alone": False}, "refuted"),
        ({"table": "3C-layers", "row": "N=6"}, "supported"),
        ({"table": "3C-layers", "row": "N=8", "alone": False}, "refuted"),
    ],
)
def test_the_best_row(model, test, outcome):
    verdict = judge(claim(**{**NUMBERS, **test}), model)
    assert (verdict.outcome, verdict.reason, verdict.model) == (outcome, "", "publications")
    assert all(control.passed for control in verdict.controls)
    assert "25.8" in verdict.summary
    assert plan(claim(**{**NUMBERS, **test}), model).n_items == len(verdict.rows) - 1


def test_a_row_or_table_that_was_not_copied_is_told(model):
    with pytest.raises(ClaimError, match="no numbers of table '9' of 'vaswani-2017'; expected one of vaswani-2017 3"):
        judge(claim(**{**NUMBERS, "table": "9"}), model)
    with pytest.raises(ClaimError, match="no 'BLEU' of 'h=3' and another row in table 3A; rows: h=1"):
        judge(claim(**{**NUMBERS, "row": "h=3"}), model)


def test_a_formula_is_held_to_its_tolerance_and_silu_is_not_gelu(model):
    verdict = judge(claim(**GELU), model)
    assert verdict.outcome == "supported"
    assert verdict.evidence[0].estimate == pytest.approx(4.73e-4, abs=1e-6)
    assert [control.passed for control in verdict.controls] == [True, True]
    assert judge(claim(**{**GELU, "tolerance": 1e-4}), model).outcome == "refuted"
    loose = judge(claim(**{**GELU, "tolerance": 0.5}), model)  # SiLU is as near: such a tolerance tells nothing
    assert (loose.outcome, loose.reason) == ("inconclusive", "control_failed")
    with pytest.raises(ClaimError, match="expected two ends, the smaller one first"):
        claim(**GELU, between=(1.0, -1.0))


def test_what_nobody_can_answer_here_says_what_it_takes(model):
    verdict = judge(claim(protocol="unanswered", because="needs_training", takes="five seeds"), model)
    assert (verdict.outcome, verdict.reason, verdict.evidence, verdict.controls) == ("inconclusive", "needs_training", (), ())
    assert "It would take: five seeds" in verdict.summary
    assert plan(claim(protocol="unanswered", because="needs_source", takes="a text"), model).n_items == 0
    with pytest.raises(ClaimError, match="because"):
        claim(protocol="unanswered", because="nobody knows", takes="a text")
