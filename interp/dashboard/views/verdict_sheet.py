"""A verdict as a sheet: the outcome in a word and a colour, the paragraph, the numbers, the controls, three badges, the JSON."""

from pathlib import Path

import streamlit as st

from interp import api
from interp.claims.claim_files import catalogue
from interp.claims.verdict import REASONS, Control, Elsewhere, Evidence, Verdict
from interp.dashboard import footer
from interp.dashboard.views import own_claim
from interp.dashboard.words import literal

OUTCOMES = {
    "supported": ("green", ":material/check_circle:"),
    "refuted": ("red", ":material/cancel:"),
    "inconclusive": ("orange", ":material/help:"),
    "not applicable": ("gray", ":material/do_not_disturb_on:"),
}
BADGES = {
    "observational": ("seen", "What was measured fits the claim."),
    "causal": ("caused by intervention", "Something was done to the model, and what followed fits the claim."),
    "replicated": ("replicated", "It held on other models or data too."),
}
ANSWERS = {None: ("not tried", "gray"), True: ("yes", "green"), False: ("no", "red")}


def show(verdict: Verdict, *, data: str) -> None:
    """Draw the sheet."""
    with st.container(border=True, key="verdict"):
        colour, icon = OUTCOMES[verdict.outcome]
        why = f" :gray[({REASONS[verdict.reason]})]" if verdict.reason else ""
        st.subheader(f":{colour}[{icon} {verdict.outcome.capitalize()}]{why}", anchor=False)
        _badges(verdict)
        st.markdown(literal(str(verdict)))
        _files(verdict, data)
        tables(verdict)
        if verdict.elsewhere:
            st.markdown("**Elsewhere**")
            _table([_elsewhere(one) for one in verdict.elsewhere])
        if any(one.smallest_effect > 0 for one in verdict.evidence):
            footer.draw(api.figure(verdict), name=f"{_name(verdict)}-effects", python=f"{_python(verdict, data)}\ninterp.figure(verdict)")


def tables(verdict: Verdict) -> None:
    """Evidence and controls, a row each."""
    if verdict.evidence:
        st.markdown("**Evidence**")
        _table([_evidence(one) for one in verdict.evidence])
    if verdict.controls:
        st.markdown("**Controls**")
        _table([_control(one) for one in verdict.controls])


def _badges(verdict: Verdict) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        for name, (word, meaning) in BADGES.items():
            answer, colour = ANSWERS[getattr(verdict.badges, name)]
            st.badge(f"{word}: {answer}", color=colour, help=meaning)  # type: ignore[arg-type]


def _table(rows: list[dict[str, str]]) -> None:
    """Rows of text, wrapped; a column without an entry is left out."""
    columns = {name: [literal(row[name]) for row in rows] for name in rows[0]}
    st.table({name: texts for name, texts in columns.items() if any(texts)}, hide_index=True, border="horizontal")


def _evidence(one: Evidence) -> dict[str, str]:
    return {
        "what": one.name,
        "estimate": f"{one.estimate:.4g}",
        "against": f"{one.baseline:.4g} ({one.baseline_name})" if one.baseline_name else "",
        "effect": f"{one.effect:+.4g} {one.unit}",
        "interval": "" if one.power is None else f"{one.low:+.4g} to {one.high:+.4g} ({one.level:.0%})",
        "at most": "" if one.power is None else f"{one.upper:+.4g} (one-sided, {one.upper_level:.3g})",
        "smallest that matters": f"{one.smallest_effect:.4g}",
        "adjusted p": "" if one.p_adjusted is None else f"{one.p_adjusted:.2g} (family of {one.family})",
        "n": str(one.n_items) if one.power is None or one.n_clusters == one.n_items else f"{one.n_items} in {one.n_clusters} clusters",
        "power": "" if one.power is None else f"{one.power:.2f}",
    }


def _control(one: Control) -> dict[str, str]:
    must = {"null": "must fail the test", "positive": "must pass the test"}[one.kind]
    return {
        "control": one.name,
        "what it must do": must,
        "value": f"{one.value:.4g} {one.unit}",
        "came out": "✓ as it must" if one.passed else "✗ NOT as it must",
        "detail": one.detail,
    }


def _elsewhere(one: Elsewhere) -> dict[str, str]:
    return {
        "model": one.model,
        "data": one.data.get("name", ""),
        "outcome": one.outcome,
        "where": one.site,
        "effect": f"{one.effect:+.4g} ({one.low:+.4g} to {one.high:+.4g})",
    }


def _files(verdict: Verdict, data: str) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        st.download_button(
            "Verdict as JSON",
            verdict.to_json(),
            f"{_name(verdict)}.json",
            "application/json",
            key="verdict-json",
            help="Every number of the verdict, and the claim as it was before the run",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )
        with st.popover("Python", type="tertiary", icon=":material/code:"):
            st.code(_python(verdict, data), language="python")
    took = f"{verdict.elapsed_s:.1f} s, " if verdict.elapsed_s else ""
    st.caption(literal(f"{took}seed {verdict.seed}, weights {verdict.fingerprint}, claim {verdict.claim_hash}. {verdict.date}"))


def _name(verdict: Verdict) -> str:
    return f"{verdict.claim['id']}-{Path(verdict.model).name}"


def _python(verdict: Verdict, data: str) -> str:
    where = f", {data!r}" if data else ""
    claim = verdict.claim["id"] if verdict.claim["id"] in catalogue() else own_claim.FILE
    return f"import interp\nmodel = interp.load({verdict.model!r})\nverdict = interp.judge({claim!r}, model{where}, seed={verdict.seed})"
