"""The page Claims: card, run, verdict, and what is said where something is missing."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from interp import api
from interp.claims.claim_files import catalogue
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.dashboard.views.verdict_sheet import OUTCOMES


def _page():
    from interp.dashboard import kept
    from interp.dashboard.views import claims

    claims.show(kept.model_of("tales"))


def opened(**query) -> AppTest:
    page = AppTest.from_function(_page, default_timeout=120)
    for name, value in query.items():
        page.query_params[name] = value
    return page.run()


def words(page: AppTest, kind: str) -> str:
    return "\n".join(element.value for element in page.get(kind)).replace("\\", "")


def run(page: AppTest) -> AppTest:
    return next(button for button in page.button if button.label.startswith("Run on")).click().run()


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return api.judge("S1-01", api.load())


def test_lists_the_catalogue_and_shows_a_card():
    page = opened(claim="S4-42")
    claim = catalogue()["S4-42"]
    assert not page.exception
    assert list(page.radio(key="claim").options) == list(catalogue())
    assert claim.statement in words(page, "subheader")
    body = "\n".join(element.proto.body for element in page.get("html"))
    assert claim.quotation in body
    assert 'lang="zh"' in body
    assert claim.does_not_show in words(page, "caption")


def test_a_link_to_a_claim_that_is_not_there():
    page = opened(claim="S9-99")
    assert not page.exception
    assert "'S9-99', which is not here" in words(page, "warning")


def test_runs_a_claim_and_shows_its_verdict(verdict):
    page = opened(claim="S1-01")
    assert "No verdict yet" in words(page, "caption")
    run(page)
    assert not page.exception
    assert not page.error
    assert verdict.outcome.capitalize() in words(page, "subheader")
    assert str(verdict) in words(page, "markdown")
    evidence, controls = page.table[-2].value, page.table[-1].value
    assert list(evidence["what"]) == [one.name for one in verdict.evidence]
    assert len(controls) == len(verdict.controls)


def test_without_data_says_where_to_get_them(monkeypatch):
    monkeypatch.delenv("INTERP_DATA", raising=False)
    page = opened(claim="S4-41-obj")
    assert "UniversalDependencies/UD_English-EWT" in words(page, "info")
    assert next(button for button in page.button if button.label.startswith("Run on")).disabled


def test_treebank_of_the_environment_is_offered(monkeypatch, tmp_path):
    path = tmp_path / "ud_english_ewt" / "en_ewt-ud-test.conllu"
    path.parent.mkdir()
    path.write_text("")
    monkeypatch.setenv("INTERP_DATA", str(tmp_path))
    page = opened(claim="S4-41-obj")
    assert page.text_input(key="data-treebank").value == str(path)


def test_a_file_that_is_not_there_is_said_in_plain_words(monkeypatch):
    monkeypatch.delenv("INTERP_DATA", raising=False)
    page = opened(claim="S4-41-obj")
    page.text_input(key="data-treebank").set_value("/no/such.conllu").run()
    run(page)
    assert not page.exception
    assert "/no/such.conllu" in words(page, "error")
    assert "Supported" not in words(page, "subheader")


@pytest.mark.parametrize("outcome", list(OUTCOMES))
def test_every_outcome_has_its_word(monkeypatch, verdict, outcome):
    reason = {"supported": "", "refuted": "", "inconclusive": "underpowered", "not applicable": "out_of_scope"}[outcome]
    given = replace(verdict, outcome=outcome, reason=reason, evidence=() if outcome == "not applicable" else verdict.evidence)
    monkeypatch.setattr(api, "judge", lambda *args, **options: given)
    page = run(opened(claim="S1-01"))
    assert not page.exception
    assert outcome.capitalize() in words(page, "subheader")
    assert not [other for other in OUTCOMES if other != outcome and f" {other.capitalize()}]" in words(page, "subheader")]


def test_a_refusal_is_told_and_progress_is_passed(monkeypatch):
    def refuse(claim, model, data=None, *, seed=0, progress=None):
        progress("reading *the* text")
        raise ClaimError("this <b>cannot</b> be judged; expected something else")

    monkeypatch.setattr(api, "judge", refuse)
    page = run(opened(claim="S1-01"))
    assert not page.exception
    assert "This <b>cannot</b> be judged" in words(page, "error")
