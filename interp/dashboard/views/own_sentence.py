"""The document's own sentence: what the head of a verdict does on it. A picture of one sentence; the verdict above is over many."""

import re

import streamlit as st

from interp import api
from interp.claims.claim import Claim
from interp.claims.verdict import Verdict
from interp.dashboard import footer
from interp.dashboard.words import in_plain_words, literal
from interp.models.model import Model

HEAD = re.compile(r"L\d+H\d+")


def show(claim: Claim, verdict: Verdict, model: Model) -> None:
    """The pattern of the verdict's head on the claim's sentence; nothing where the claim has none, or the verdict is about no head."""
    if not claim.example or not HEAD.fullmatch(verdict.site) or model.anatomy.encoder_decoder:
        return
    with st.container(border=True, key="own-sentence"):
        st.markdown(f"**On the document's own sentence**: {literal(claim.example)}")
        with in_plain_words():
            pattern = api.capture(model, claim.example).pattern(verdict.site)
            lines = f"import interp\nseen = interp.capture(interp.load({model.name!r}), {claim.example!r})\n"
            python = f"{lines}interp.figure(seen.pattern({verdict.site!r}))"
            footer.draw(api.figure(pattern), name=f"{model.name}-{claim.id}-{verdict.site}", python=python)
        n = verdict.evidence[0].n_items if verdict.evidence else 0
        st.caption(f"One sentence shows what to look for, and decides nothing: the verdict above is over {n} items of other texts.")
