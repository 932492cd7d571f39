"""Quotations against the published numbers: equal, another, and one that was never published."""

import tomllib
from pathlib import Path

import pytest

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import published_number
from interp.claims.protocols.published_number import equal_as_quoted, published_numbers
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError


def claim(**test) -> Claim:
    fields = {"id": "p", "statement": "x", "kind": ["lit"], "quantifier": "equality", "scope": "any", "does_not_show": "more"}
    about = {"protocol": "published_number", "publication": "vaswani-2017", "quantity": "BLEU"}
    return parse_claim({**fields, "test": {**about, **test}}, "a test")


@pytest.fixture(scope="module")
def model():
    return interp.load()


@pytest.mark.parametrize(
    ("table", "row", "says", "outcome"),
    [
        ("3C-layers", "N=2", "22.1", "refuted"),
        ("3C-layers", "N=4", "24.3", "refuted"),
        ("3C-layers", "N=6", "25.8", "supported"),
        ("3C-layers", "N=8", "26.1", "refuted"),
        ("3A", "h=1", "24.9", "supported"),
        ("3A", "h=4", "25.5", "supported"),
        ("3A", "h=16", "25.4", "refuted"),
        ("3A", "h=32", "25.1", "refuted"),
        ("3A", "h=32", "25", "supported"),
        ("3", "base", "26", "supported"),
    ],
)
def test_a_quotation_is_the_published_number_or_is_not(model, table, row, says, outcome):
    verdict = judge(claim(table=table, row=row, says=says), model)
    assert (verdict.outcome, verdict.reason) == (outcome, "")
    assert all(control.passed for control in verdict.controls)
    assert f"{says} was quoted." in verdict.summary
    assert (verdict.model, verdict.fingerprint) == ("publications", "")


def test_what_was_never_published_is_not_refuted(model):
    verdict = judge(claim(table="3C-layers", row="N=12", says="26.3"), model)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "not_published")
    assert "has no row N=12" in verdict.summary
    assert "N=2, N=4, N=6, N=8" in verdict.summary


def test_a_row_that_is_filed_elsewhere_is_not_said_to_be_missing(model):
    with pytest.raises(ClaimError, match="row 'h=16' of table 3 was not copied; expected one of base, big"):
        judge(claim(table="3", row="h=16", says="25.8"), model)


@pytest.mark.parametrize("row", ["h=1", "h=8", "h=32"])
def test_a_look_up_that_gives_the_wrong_row_decides_nothing(model, monkeypatch, row):
    real = published_number._row
    asked = claim(table="3A", row="h=16", says="25.8")
    assert judge(asked, model).outcome == "supported"
    wrong = published_numbers()["vaswani-2017"]["tables"]["3A"]["rows"][row]
    monkeypatch.setattr(published_number, "_row", lambda case: (real(case)[0], wrong))
    verdict = judge(asked, model)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_failed")


@pytest.mark.parametrize("answer", [True, False])
def test_a_comparison_that_gives_one_answer_decides_nothing(model, monkeypatch, answer):
    monkeypatch.setattr(published_number, "equal_as_quoted", lambda says, published: answer)
    assert judge(claim(table="3A", row="h=16", says="25.8"), model).reason == "control_failed"


def test_every_table_has_numbers_to_control_with(model):
    for publication, about in published_numbers().items():
        for table, part in about["tables"].items():
            row, numbers = next(iter(part["rows"].items()))
            for quantity, number in numbers.items():
                verdict = judge(claim(publication=publication, table=table, row=row, quantity=quantity, says=number), model)
                assert verdict.outcome == "supported", (publication, table, row, quantity)


def test_what_was_not_copied_is_an_error(model):
    with pytest.raises(ClaimError, match="no 'perplexity' of 'h=4' was copied from table 3A; expected one of BLEU"):
        judge(claim(table="3A", row="h=4", quantity="perplexity", says="5"), model)
    with pytest.raises(ClaimError, match="row 'mark' of table 1 was not copied; expected one of det, dobj"):
        judge(claim(publication="clark-2019", table="1", row="mark", quantity="accuracy", says="50.7"), model)
    with pytest.raises(ClaimError, match="no numbers of the publication 'devlin'; expected one of vaswani-2017, clark-2019"):
        judge(claim(publication="devlin", table="1", row="x", says="1"), model)
    with pytest.raises(ClaimError, match="no numbers of table '9' of vaswani-2017; expected one of 3, 3A"):
        plan(claim(table="9", row="x", says="1"), model)


def test_a_quotation_has_to_be_a_number():
    for wrong in ("about 25", "nan", True, None):
        with pytest.raises(ClaimError, match=r"test.says"):
            claim(table="3A", row="h=1", says=wrong)
    assert claim(table=3, row="base", says=25.8).test.says == "25.8"


def test_places_are_those_of_the_quotation():
    assert equal_as_quoted("4.9", "4.92")
    assert equal_as_quoted("4.920", "4.92")
    assert equal_as_quoted("1e2", "100")
    assert equal_as_quoted("26", "25.5")
    assert not equal_as_quoted("4.93", "4.92")
    assert not equal_as_quoted("4.921", "4.92")


def test_every_published_number_is_a_number_and_quotes_itself():
    numbers = [
        number
        for publication in published_numbers().values()
        for table in publication["tables"].values()
        for row in table["rows"].values()
        for number in row.values()
    ]
    assert len(numbers) > 80
    assert all(equal_as_quoted(number, number) for number in numbers)


def test_the_tables_travel_with_the_package():
    project = tomllib.loads((Path(interp.__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert "published/*.yaml" in project["tool"]["setuptools"]["package-data"]["interp.claims"]


def test_plan_bytes_and_json(model):
    quoted = claim(table="3A", row="h=16", says="25.4")
    assert plan(quoted, model).n_items == 1
    first, second = judge(quoted, model), judge(quoted, model)
    assert first.untimed().to_json() == second.untimed().to_json()
    assert Verdict.from_json(first.to_json()) == first
    assert first.rows == {"h=16, BLEU": [25.4, 25.8]}
