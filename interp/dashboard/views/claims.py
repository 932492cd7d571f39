"""The page Claims: what is said about transformers, how it is tested, and what this model answers."""

import os
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from interp import api
from interp.claims.claim import Claim
from interp.claims.claim_files import catalogue
from interp.claims.verdict import Verdict
from interp.dashboard.views import claim_card, own_claim, own_sentence, verdict_sheet
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.models.model import Model

TREEBANK = Path("ud_english_ewt") / "en_ewt-ud-test.conllu"
WHERE = {
    "treebank": (
        "This claim is tested on annotated sentences: a treebank in CoNLL-U format. A good one is Universal Dependencies' English "
        "Web Treebank (CC BY-SA 4.0): download `en_ewt-ud-test.conllu` from "
        "[github.com/UniversalDependencies/UD_English-EWT](https://github.com/UniversalDependencies/UD_English-EWT) and give its path "
        "here; or write `grammar` for generated sentences."
    ),
    "texts": "This claim is tested on plain text: give the path of a .txt file with one text a line, or of a .conllu treebank; or write "
    "`grammar` for generated sentences.",
}
OWN = "Your own"
_KEPT = 16


def show(model: Model) -> None:
    """The page, over a model that has been loaded."""
    st.title("Claims")
    with in_plain_words():
        known = catalogue()
        if not known:
            st.info("The catalogue holds no claim yet. Claims are YAML files in interp/claims/catalogue.", icon=":material/inbox:")
            return
        left, right = st.columns([3, 7], gap="large")
        with left:
            own = st.segmented_control("Which claim?", ["Catalogue", OWN], default="Catalogue", key="whose", bind="query-params") == OWN
            claim = own_claim.form() if own else _choice(known)
        with right:
            if claim is None:
                st.info("The form on the left makes a claim; it is tested here.", icon=":material/edit_note:")
                return
            claim_card.show(claim)
            _judge(claim, model)


def _choice(known: Mapping[str, Claim]) -> Claim:
    follow_link("claim", list(known), "the claim")
    with st.container(border=True, height=620 if len(known) > 8 else "content", key="catalogue"):
        chosen = st.radio(
            f"Catalogue, {len(known)} claims",
            list(known),
            captions=[literal(claim.statement) for claim in known.values()],
            key="claim",
            bind="query-params",
        )
    return known[chosen]


def _judge(claim: Claim, model: Model) -> None:
    """What the test is run on, the button, and the verdict of this claim on this model and these data, if there is one."""
    outside = claim.why_not(model)
    if outside:
        st.info(literal(f"{model.name} {outside}. The verdict is: not applicable."), icon=":material/do_not_disturb_on:")
    path = "" if outside else _data(claim)
    verdicts: dict[tuple[str, ...], Verdict] = st.session_state.setdefault("verdicts", {})
    place = (claim.hash, model.name, model.fingerprint, path)
    lacking = bool(claim.needs and not path and not outside)
    if st.button(f"Run on {literal(model.name)}", type="primary", icon=":material/play_arrow:", disabled=lacking):
        with in_plain_words():
            verdicts[place] = _run(claim, model, path)
            for old in list(verdicts)[:-_KEPT]:
                del verdicts[old]
    if place in verdicts:
        verdict_sheet.show(verdicts[place], data=path)
        own_sentence.show(claim, verdicts[place], model)
    else:
        st.caption("No verdict yet on this model. A run takes from seconds to minutes: controls and untrained twins are run with it.")


def _run(claim: Claim, model: Model, path: str) -> Verdict:
    with st.status(f"Testing {literal(claim.id)} on {literal(model.name)} …", expanded=False) as status:
        verdict = api.judge(claim, model, path or None, progress=lambda what: status.update(label=literal(what)))
        status.update(label=f"{literal(claim.id)} tested in {verdict.elapsed_s:.1f} s", state="complete")
    return verdict


def _data(claim: Claim) -> str:
    if claim.needs is None:
        return ""
    folder = os.environ.get("INTERP_DATA")
    default = Path(folder) / TREEBANK if folder else None
    path = st.text_input(
        "Treebank (.conllu)" if claim.needs == "treebank" else "Texts (.txt or .conllu)",
        str(default) if default and default.is_file() else "",
        key=f"data-{claim.needs}",
        placeholder="path to the file, on the machine where the dashboard runs",
    )
    if not path:
        st.info(WHERE[claim.needs], icon=":material/menu_book:")
    return path.strip()
