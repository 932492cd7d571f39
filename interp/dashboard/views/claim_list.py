"""Which claims are listed? Those of a document, a kind, a verdict, or with some words; each with its verdict on this model."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from interp.claims.claim import Claim
from interp.claims.judge_many import GENERAL
from interp.claims.verdict import Verdict
from interp.dashboard import long_work, served
from interp.dashboard.views.claim_card import KINDS
from interp.dashboard.views.reading import typed
from interp.dashboard.views.verdict_sheet import OUTCOMES
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.models.model import Model
from interp.reports.collected import DOCUMENTS, Row, collect

ANY, NONE, OTHERS = "any", "no verdict", "X: of no document"
_KIND_OF = {words: kind for kind, words in KINDS.items()}


def choose(known: Mapping[str, Claim], model: Model) -> tuple[Claim | None, Row | None]:
    """The chosen claim, None where the filters leave none; and what the folder of verdicts has of it on this model."""
    with st.container(border=True, key="filters"):
        words = typed("find", "Find", "", placeholder="words of a claim, or its number")
        document = _select("Document", [ANY, *DOCUMENTS.values(), OTHERS], "document")
        kind = _select("Kind", [ANY, *_KIND_OF], "kind")
        outcome = _select("Verdict", [ANY, *OUTCOMES, NONE], "outcome")
        kept = _folder(model)
        mine = _judged_here(model)
        outcomes = {name: mine.get(name) or (kept[name].outcome if name in kept else "") for name in known}
        chosen = _passing(known, outcomes, words.lower().split(), document, kind, outcome)
        # one that was just run does not leave the list for having a verdict now
        current = st.session_state.get("claim")
        if current in mine and current in known:
            chosen = {name: outcomes[name] for name in known if name in chosen or name == current}
    if not chosen:
        st.info("No claim is left: loosen what is asked for above.", icon=":material/filter_alt_off:")
        return None, None
    follow_link("claim", list(chosen), "the claim")
    if st.session_state.get("claim") not in chosen:
        st.session_state.pop("claim", None)  # chosen before the filters left it out
    with st.container(border=True, height=620 if len(chosen) > 8 else "content", key="catalogue"):
        name = st.radio(
            f"Catalogue, {len(known)} claims" if len(chosen) == len(known) else f"{len(chosen)} of {len(known)} claims",
            list(chosen),
            captions=[_caption(known[claim], outcome) for claim, outcome in chosen.items()],
            key="claim",
            bind="query-params",
        )
    return known[name], kept.get(name)


def _folder(model: Model) -> dict[str, Row]:
    """What the folder of verdicts holds of this model, by claim."""
    folder = typed(
        "verdicts",
        "Verdicts from a folder",
        "",
        placeholder="what interp judge --all --out FOLDER made",
        help="On the machine where the dashboard runs. Verdicts on the model that is loaded are listed, and those about no model at hand.",
    ).strip()
    if not folder:
        return {}
    found: dict[str, Row] = {}
    with in_plain_words():
        rows = _rows(served.path(folder), _stamp(Path(folder)))
        found = {row.claim: row for row in rows if row.model in (GENERAL, Path(model.name).name)}
        others = sorted({row.model for row in rows} - {GENERAL, Path(model.name).name})
        counts = Counter(row.outcome for row in found.values())
        told = ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common()) or f"nothing of {model.name}"
        elsewhere = f"; also verdicts on {', '.join(others)}" if others else ""
        st.caption(literal(f"{told}{elsewhere}."))
    return found


@st.cache_resource(max_entries=2, scope="session", show_spinner="Reading the verdicts …")
def _rows(folder: str, stamp: tuple[int, int]) -> list[Row]:
    return collect(folder)


def _stamp(folder: Path) -> tuple[int, int]:
    """Changes when a verdict is written into the folder."""
    times = [file.stat().st_mtime_ns for file in folder.rglob("*.json")] if folder.is_dir() else []
    return len(times), max(times, default=0)


def _judged_here(model: Model) -> dict[str, str]:
    """The outcomes of claims that were run on this model in this session."""
    found: dict[str, str] = {}
    for place, verdict in st.session_state.get(long_work.FOUND, {}).items():
        if isinstance(verdict, Verdict) and place[2:4] == (model.name, model.fingerprint):
            found[str(verdict.claim["id"])] = verdict.outcome
    return found


def _passing(
    known: Mapping[str, Claim], outcomes: Mapping[str, str], words: list[str], document: str, kind: str, outcome: str
) -> dict[str, str]:
    """The claims that pass all filters, with their outcomes."""
    return {
        name: outcomes[name]
        for name, claim in known.items()
        if document in (ANY, DOCUMENTS.get(name.split("-")[0], OTHERS))
        and (kind == ANY or _KIND_OF[kind] in claim.kind)
        and (outcome == ANY or outcomes[name] == outcome or (outcome == NONE and outcomes[name] in ("", "not run")))
        and all(word in f"{name} {claim.statement} {claim.quotation} {claim.translation}".lower() for word in words)
    }


def _select(label: str, options: list[str], key: str) -> str:
    follow_link(key, options, f"the {label.lower()}")
    return st.selectbox(label, options, key=key, bind="query-params")


def _caption(claim: Claim, outcome: str) -> str:
    if outcome not in OUTCOMES:
        return literal(claim.statement)
    colour, icon = OUTCOMES[outcome]  # type: ignore[index]
    return f":{colour}[{icon} {outcome}] · {literal(claim.statement)}"
