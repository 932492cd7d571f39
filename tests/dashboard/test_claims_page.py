"""The page Claims: card, run, verdict, what is said where something is missing; and one's own claim in the form."""

import json
import time
from dataclasses import replace
from typing import get_args

import pytest
from streamlit.testing.v1 import AppTest

from interp import api
from interp.claims.claim_files import catalogue, claim_from_yaml, to_yaml
from interp.claims.own import attends
from interp.claims.verdict import Outcome, Reason, Verdict
from interp.core.errors import ClaimError
from interp.dashboard.views.own_claim import EXAMPLE, FILE, YAML
from interp.dashboard.views.verdict_sheet import OUTCOMES, REASONS
from interp.texts.grammar.generate import generate
from interp.texts.grammar.write import write_conllu


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
    """Press the button, and wait for the work to be over."""
    page.button(key="run-claim").click().run()
    until = time.monotonic() + 100
    while "long work" in page.session_state and time.monotonic() < until:
        time.sleep(0.1)
        page.run()
    return page


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return api.judge("S1-01", api.load())


def test_lists_the_catalogue_and_shows_a_card():
    page = opened(claim="S4-42")
    claim = catalogue()["S4-42"]
    assert not page.exception
    assert listed(page) == list(catalogue())
    assert claim.statement in words(page, "subheader")
    body = "\n".join(element.proto.body for element in page.get("html"))
    assert claim.quotation in body
    assert 'lang="zh"' in body
    assert claim.does_not_show in words(page, "caption")


def test_a_link_to_a_claim_that_is_not_there():
    page = opened(claim="S9-99")
    assert not page.exception
    assert "'S9-99', which is not here" in words(page, "warning")


def listed(page: AppTest) -> list[str]:
    return list(page.radio(key="claim").options)


def test_the_list_is_what_the_filters_leave():
    page = opened(kind="arithmetic")
    assert listed(page) == [name for name, claim in catalogue().items() if "arith" in claim.kind]
    assert f"{len(listed(page))} of {len(catalogue())} claims" in page.radio(key="claim").label
    page.selectbox(key="document").set_value("S1: the structure of the FFN").run()
    assert listed(page)
    assert all(name.startswith("S1") and "arith" in catalogue()[name].kind for name in listed(page))
    page.selectbox(key="kind").set_value("any").run()
    page.text_input(key="find").set_value("s1-01").run()
    assert listed(page) == ["S1-01"]
    page.text_input(key="find").set_value("nothing says this").run()
    assert not page.exception
    assert "No claim is left" in words(page, "info")


def test_verdicts_of_a_folder_are_listed_shown_and_filtered_by(tmp_path, verdict):
    folder = tmp_path / "tales"
    folder.mkdir()
    (folder / "S1-01.json").write_text(verdict.to_json())
    (folder / "not_run.json").write_text(json.dumps({"S4-42": "the data hold no <b>text</b>"}))
    page = opened(verdicts=str(tmp_path), claim="S1-01")
    assert not page.exception
    assert "As kept in the folder of verdicts: tales/S1-01.json" in words(page, "caption")
    assert verdict.outcome.capitalize() in words(page, "subheader")
    assert f"1 {verdict.outcome}, 1 not run" in words(page, "caption")
    page.selectbox(key="outcome").set_value(verdict.outcome).run()
    assert listed(page) == ["S1-01"]
    page.selectbox(key="outcome").set_value("no verdict").run()
    assert listed(page) == [name for name in catalogue() if name != "S1-01"]
    other = opened(verdicts=str(tmp_path), claim="S4-42")
    assert "Not run when the folder was made: the data hold no <b>text</b>" in words(other, "info")


def test_a_verdict_of_the_folder_on_other_weights_says_so(tmp_path, verdict):
    (tmp_path / "tales").mkdir()
    (tmp_path / "tales" / "S1-01.json").write_text(replace(verdict, fingerprint="0" * 16).to_json())
    page = opened(verdicts=str(tmp_path), claim="S1-01")
    assert f"on other weights: {'0' * 16}" in words(page, "warning")


def test_a_claim_that_was_just_run_stays_in_the_list(verdict):
    page = opened(claim="S1-01", outcome="no verdict")
    assert listed(page) == list(catalogue())
    run(page)
    assert "S1-01" in listed(page)
    assert verdict.outcome.capitalize() in words(page, "subheader")
    page.radio(key="claim").set_value("S0-01").run()
    assert "S1-01" not in listed(page)


def test_a_folder_that_holds_none_is_told_and_the_list_stays(tmp_path):
    page = opened(verdicts=str(tmp_path))
    assert "holds no verdict" in words(page, "error")
    assert listed(page) == list(catalogue())


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


def test_python_under_a_verdict_gives_its_figure(monkeypatch, verdict, python_shown):
    counted = replace(verdict, evidence=tuple(replace(one, smallest_effect=0.1) for one in verdict.evidence))
    monkeypatch.setattr(api, "judge", lambda claim, model, data=None, **told: counted)
    page = run(opened(claim="S1-01"))
    assert not page.exception
    python_shown.check("S1-01-tales-effects")


def test_without_data_says_where_to_get_them(monkeypatch):
    monkeypatch.delenv("INTERP_DATA", raising=False)
    page = opened(claim="S4-41-obj")
    assert "UniversalDependencies/UD_English-EWT" in words(page, "info")
    assert page.button(key="run-claim").disabled


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
    def refuse(claim, model, data=None, *, seed=0, stages=None, progress=None):
        progress("reading *the* text")
        raise ClaimError("this <b>cannot</b> be judged; expected something else")

    monkeypatch.setattr(api, "judge", refuse)
    page = run(opened(claim="S1-01"))
    assert not page.exception
    assert "This <b>cannot</b> be judged" in words(page, "error")


@pytest.fixture
def own() -> AppTest:
    return opened(whose="Your own")


def test_one_line_is_a_claim(own):
    assert not own.exception
    assert "Some head points from obj to its head." in words(own, "subheader")
    own.text_input(key="own-head").set_value("L2H0").run()
    assert "Head L2H0 points from obj to its head." in words(own, "subheader")
    own.text_input(key="own-to").set_value("upos=VERB").run()
    assert "Head L2H0 attends from deprel=obj to upos=VERB." in words(own, "subheader")


def test_what_is_wrong_is_told_and_the_form_stays(own):
    own.text_input(key="own-from").set_value("pos=NOUN").run()
    assert not own.exception
    assert "'pos=NOUN' is no condition; expected upos=..." in words(own, "error")
    assert "The form on the left makes a claim" in words(own, "info")
    own.text_input(key="own-from").set_value("upos=NOUN").run()
    own.number_input(key="own-margin").set_value(0.2).run()
    assert "expected margin_source= to say why" in words(own, "error")
    own.text_input(key="own-source").set_value("ours").run()
    assert not own.error


def test_a_claim_file_is_written_in_place(own):
    own.radio(key="own-how").set_value(YAML).run()
    assert "Some head attends from verbs to their objects." in words(own, "subheader")
    own.text_area(key="own-yaml").set_value(EXAMPLE.replace("margin:", "margn:")).run()
    assert "test.margn (line 10): no such field" in words(own, "error")
    own.text_area(key="own-yaml").set_value("a: [").run()
    assert "not YAML" in words(own, "error")


def test_it_is_judged_and_its_python_names_its_file(own, tmp_path):
    write_conllu(generate(60, seed=1), tmp_path / "some.conllu")
    own.text_input(key="data-treebank").set_value(str(tmp_path / "some.conllu")).run()
    own.text_input(key="own-from").set_value("upos=VERB").run()
    own.text_input(key="own-to").set_value("upos=NOUN").run()
    own.text_input(key="own-head").set_value("L2H0").run()
    run(own)
    assert not own.exception
    assert "inconclusive" in words(own, "subheader").lower()  # 60 sentences are too few
    assert f"interp.judge('{FILE}', model" in own.code[0].value


def test_the_yaml_of_a_claim_is_the_claim():
    claim = attends(from_="upos=PRON", to="link=Antecedent", head="L1H1")
    assert claim_from_yaml(to_yaml(claim), "again").hash == claim.hash


def test_every_reason_of_a_verdict_has_words():
    assert set(get_args(Reason)) == set(REASONS)
    assert set(get_args(Outcome)) == set(OUTCOMES)


def _sentence():
    from dataclasses import replace

    import streamlit as st

    from interp import api
    from interp.claims.claim_files import catalogue
    from interp.dashboard import kept
    from interp.dashboard.views import own_sentence

    model, asked = kept.model_of("tales"), st.query_params
    verdict = replace(api.judge("S1-01", model), site=asked["site"], rows={"L0H7": [0.54], "L1H2": [0.25]})
    own_sentence.show(catalogue()[asked["claim"]], verdict, model)
    own_sentence.show(catalogue()["S1-01"], verdict, model)  # has no sentence


def sentence(claim, site):
    page = AppTest.from_function(_sentence, default_timeout=120)
    page.query_params["claim"], page.query_params["site"] = claim, site
    page.run()
    assert not page.exception
    return page


@pytest.mark.parametrize("site", ["L0H7", "", "L3"])
def test_the_documents_own_sentence_stands_beside_a_verdict_on_a_head(site):
    page = sentence("S4-42", site)
    shown = words(page, "markdown")
    assert ("The animal didn't cross the street because it was too tired" in shown) == (site == "L0H7")
    assert ("decides nothing: the verdict above is over" in words(page, "caption")) == (site == "L0H7")
    assert len(page.get("plotly_chart")) == (site == "L0H7")
    assert not page.table


def test_heads_between_two_words_stand_beside_what_they_reach_over_the_texts():
    """The weight is the pattern's own number; the twin sentence asks for its own pair; later words are hidden from earlier ones."""
    page, seen = sentence("S4-40", "L0H7"), api.capture(api.load("tales"), "The animal didn't cross the street because it was too tired")
    table, found = page.table[0].value, seen.between("it", "animal")
    by_head = {row["head"].split()[0]: row for _, row in table.iterrows()}
    weights = {head: float(weight) for head, weight in zip(found.site.values.ravel(), found.values.ravel(), strict=True)}
    for head, row in by_head.items():
        assert row["weight from “it” to “animal”"] == f"{weights[head]:.2f}"
    assert by_head["L0H7"]["on the texts of the verdict"] == "54.0%"
    assert max(weights, key=weights.__getitem__) in by_head
    page.radio[0].set_value("The animal didn't cross the street because it was too wide").run()
    assert "weight from “it” to “street”" in page.table[0].value.columns
    bank = sentence("S4-15", "L3")
    assert "weight from “river” to “bank”" in bank.table[0].value.columns
    assert not bank.get("plotly_chart")


def test_a_claim_that_cannot_be_tested_as_worded_says_why_and_one_that_nothing_answers_what_it_takes():
    page = opened(claim="S4-43")
    assert "Not testable as worded" in words(page, "info")
    body = "\n".join(element.proto.body for element in page.get("html"))
    assert "said of the sentence &quot;The fox jumps over the dog&quot;" in body
    page = run(opened(claim="S0-06"))
    assert not page.exception
    assert "models have to be trained for it" in words(page, "subheader")
    page = run(opened(claim="S4-34"))
    assert not page.exception
    assert "Refuted" in words(page, "subheader")
