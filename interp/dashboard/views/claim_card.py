"""A claim before any test: what is said, by whom, and everything that will decide the verdict."""

import html

import streamlit as st

from interp.claims.claim import Claim
from interp.dashboard.words import literal

KINDS = {
    "arith": "arithmetic",
    "ident": "identity",
    "obs": "observation",
    "causal": "causal",
    "train": "training",
    "lit": "literature",
    "ill": "ill-posed",
}
_QUOTED = """<style>
.quoted {{ margin: 0; padding: 0.1rem 0 0.1rem 0.9rem;
  border-left: 3px solid color-mix(in srgb, currentColor 30%, transparent); }}
.quoted footer {{ font-size: 0.8rem; opacity: 0.7; margin-top: 0.35rem; }}</style>
<blockquote class="quoted"><div{lang}>{quotation}</div><div>{translation}</div><footer>{source}</footer></blockquote>"""


def show(claim: Claim) -> None:
    """Statement and quotation side by side, then kind, protocol and parameters."""
    statement, quotation = st.columns([1, 1], gap="medium") if claim.quotation else (st.container(), None)
    with statement:
        st.caption(literal(claim.id))
        st.subheader(literal(claim.statement), anchor=False)
    if quotation is not None:
        with quotation:
            st.caption("As it was said")
            st.html(quoted(claim))
    if claim.not_as_worded:
        st.info(literal(f"Not testable as worded: {claim.not_as_worded}. This is the nearest form that is."), icon=":material/edit_note:")
    with st.container(horizontal=True, gap="xsmall"):
        for kind in claim.kind:
            st.badge(KINDS[kind], color="blue")
        st.badge(f"for {claim.quantifier}" if claim.quantifier in ("all", "some") else claim.quantifier, color="gray")
        st.badge(f"scope: {literal(claim.scope)}", color="gray")
    with st.expander(f"How it is tested: {claim.test.protocol.replace('_', ' ')}"):
        st.table(parameters(claim), hide_header=True, hide_index=True, border="horizontal")
    st.caption(f"**A verdict does not show** {literal(claim.does_not_show)}")


def quoted(claim: Claim) -> str:
    """The quotation as HTML, every character of it escaped; marked as Chinese where it is, for the right glyphs."""
    chinese = any("\u4e00" <= character <= "\u9fff" for character in claim.quotation)
    said = {name: html.escape(getattr(claim, name)) for name in ("quotation", "translation", "source")}
    return _QUOTED.format(lang=' lang="zh"' if chinese else "", **said)


def parameters(claim: Claim) -> dict[str, list[str]]:
    """Everything that decides the verdict, as two columns of text."""
    fields = {**claim.test.model_dump(), "alpha": claim.alpha, "claim hash": claim.hash}
    return {
        "parameter": [name.replace("_", " ") for name in fields],
        "value": ["selected on half of the data" if value is None else literal(str(value)) for value in fields.values()],
    }
