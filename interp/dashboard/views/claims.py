"""The page Claims: what is said about transformers, how it is tested, and what this model answers."""

from pathlib import Path

import streamlit as st

from interp import api
from interp.claims.claim import Claim
from interp.claims.claim_files import catalogue
from interp.claims.verdict import Verdict
from interp.dashboard import long_work
from interp.dashboard.views import claim_card, claim_list, data_field, own_claim, own_sentence, verdict_sheet
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.models.model import Model
from interp.reports.collected import Row

OWN, CATALOGUE = "Your own", "Catalogue"


def show(model: Model) -> None:
    """The page, over a model that has been loaded."""
    st.title("Claims")
    with in_plain_words():
        if not catalogue():
            st.info("The catalogue holds no claim yet. Claims are YAML files in interp/claims/catalogue.", icon=":material/inbox:")
            return
        _page(model)


@st.fragment
def _page(model: Model) -> None:
    with in_plain_words():
        left, right = st.columns([3, 7], gap="large")
        with left:
            claim, row = _choice(model)
        with right:
            if claim is None:
                st.info("The form on the left makes a claim; it is tested here.", icon=":material/edit_note:")
                long_work.show()
                return
            claim_card.show(claim)
            _judge(claim, model, row)


def _choice(model: Model) -> tuple[Claim | None, Row | None]:
    follow_link("whose", (CATALOGUE, OWN), "whose claim")
    whose = st.segmented_control("Which claim?", [CATALOGUE, OWN], default=CATALOGUE, required=True, key="whose", bind="query-params")
    return (own_claim.form(), None) if whose == OWN else claim_list.choose(catalogue(), model)


def _judge(claim: Claim, model: Model, row: Row | None) -> None:
    """What the test is run on, the button, and the verdict of this claim on this model and these data, if there is one."""
    outside = claim.why_not(model)
    if outside:
        st.info(literal(f"{model.name} {outside}. The verdict is: not applicable."), icon=":material/do_not_disturb_on:")
    path = "" if outside or claim.needs is None else data_field.ask(claim.needs)
    place = ("verdict", claim.hash, model.name, model.fingerprint, data_field.stamp(path))
    lacking = bool(claim.needs and not path and not outside)
    if st.button(
        f"Run on {literal(model.name)}", type="primary", icon=":material/play_arrow:", disabled=lacking or long_work.busy(), key="run-claim"
    ):
        kept = long_work.parts(place)
        long_work.start(
            place,
            f"Testing {claim.id} on {model.name}",
            lambda tell: api.judge(claim, model, path or None, stages=kept, progress=tell),
        )
    long_work.show()
    verdict: Verdict | None = long_work.found(place)
    if verdict is None and row is not None:
        verdict = _of_the_folder(row, model)
    if verdict is not None:
        verdict_sheet.show(verdict, data=path)
        own_sentence.show(claim, verdict, model)
    elif not long_work.busy():
        st.caption("No verdict yet on this model. A run takes from seconds to minutes: controls and untrained twins are run with it.")


def _of_the_folder(row: Row, model: Model) -> Verdict | None:
    """The verdict that was kept, with what has changed since; or why it was not run."""
    if row.verdict is None:
        st.info(literal(f"Not run when the folder was made: {row.why_not}"), icon=":material/block:")
        return None
    verdict = row.verdict
    where = Path(row.folder) / f"{row.claim}.json"
    st.caption(literal(f"As kept in the folder of verdicts: {where}, {f'on {row.data}, ' if row.data else ''}{verdict.date}."))
    if row.edited:
        st.warning(literal(row.edited), icon=":material/history:")
    if verdict.fingerprint and verdict.fingerprint != model.fingerprint:
        told = f"The verdict is on other weights: {verdict.fingerprint}; the model that is loaded has {model.fingerprint}."
        st.warning(literal(told), icon=":material/history:")
    return verdict
