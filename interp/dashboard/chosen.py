"""Can the chosen model's numbers be trusted? What it is, and what became of its self-check, in the sidebar of every page."""

import streamlit as st

from interp.checks.report import Finding
from interp.dashboard import kept
from interp.dashboard.words import in_plain_words, literal
from interp.models.model import Model


def model(source: str) -> Model | None:
    """The model of that name, loaded and checked; None when there is none, and then the page says why."""
    found: Model | None = None
    with in_plain_words():
        found = kept.model_of(source)
    if found is not None:
        with st.sidebar:
            _anatomy(found)
            _self_check(found)
    return found


def _anatomy(model: Model) -> None:
    a = model.anatomy
    st.caption(literal(f"{a.family}, {a}; at most {a.n_ctx} tokens. Weights {model.fingerprint}."))


def _self_check(model: Model) -> None:
    """The status line is known from loading; the figures are measured when the list is opened."""
    failed = [feature for feature, reason in model.disabled.items() if reason.startswith("the self-check failed")]
    label = (
        f":red[:material/cancel:] Self-check failed: no {', '.join(failed)}"
        if failed
        else ":green[:material/check_circle:] Self-check passed"
    )
    details = st.expander(label, key="self_check", on_change="rerun")
    if details.open:
        with details, in_plain_words():
            report = kept.report_on(model)
            st.markdown("\n\n".join(map(_line, report.findings)))
            st.caption(
                f"{sum(finding.passed for finding in report.findings)} of {len(report.findings)} passed, in {report.elapsed_s:.1f} s."
            )
    missing: dict[str, list[str]] = {}
    for feature, reason in model.disabled.items():
        if feature not in failed and feature != "experts":  # nobody looks for those of a model that is no mixture
            missing.setdefault(reason, []).append(feature)
    for reason, features in missing.items():
        st.caption(f":material/block: No {', '.join(features)}: {literal(reason)}.")


def _line(finding: Finding) -> str:
    mark = ":green[:material/check:]" if finding.passed else ":red[:material/close: failed:]"
    name, _, figure = str(finding).partition(": ")
    unbroken = literal(figure).replace("\\-", "\u2011")  # "1e-05" must not be torn at its hyphen
    return f"{mark} :small[{literal(name)}]  \n:small[:gray[{unbroken}]]"
