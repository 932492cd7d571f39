"""What is lost without this part? Heads, neurons, experts or whole sublayers switched off; before and after, side by side."""

import re
from typing import get_args

import streamlit as st

from interp import api
from interp.captures.activations import Activations
from interp.core.errors import TextError
from interp.dashboard.views import before_after, reading
from interp.dashboard.words import follow_link, in_plain_words
from interp.interventions.ablate import How
from interp.interventions.usual import usual_texts
from interp.models.model import Model
from interp.models.reading import Text

HELP = (
    "Names, with commas between: a head L0H3, a neuron L2N100, an expert L1E2, a sublayer L1 attention or L1 FFN; counted from 0. In an "
    "encoder-decoder with a letter before: E (encoder), D (decoder), X (cross-attention), as in XL0H1 or DL1 FFN."
)
HOW_HELP = (
    "zero: nothing in its place, which the model never sees. mean: its mean over other texts, position by position. resample: what it is "
    "on one of them. An effect that is real has the same sign in all three."
)
HOWS: tuple[How, ...] = get_args(How)


def show(seen: Activations) -> None:
    """The choices above, the comparison below."""
    seen.model.require("ablation")
    off, how, own = _choices(seen.model)
    with in_plain_words():
        sites = [name.strip() for name in re.split("[,;]", off) if name.strip()]
        if not sites:
            st.info("Name what is to be switched off, in the field above.", icon=":material/edit:")
            return
        over, written, imports = _over(seen, how, own)
        call = f"interp.ablate(model, {sites!r}, how={how!r}{written})"
        before_after.show(
            seen, lambda: api.ablate(seen.model, sites, how=how, over=over), call, *imports, name=f"off-{'-'.join(sites[:4])}-{how}"
        )


def _choices(model: Model) -> tuple[str, How, str]:
    left, middle, right = st.columns([4, 4, 4], vertical_alignment="top")
    with left:
        off = reading.typed("off", "Switch off", first_part(model), placeholder="L0H3, L1 FFN", help=HELP, follows=True)
    follow_link("how", HOWS, "the way")
    how = middle.segmented_control("By", HOWS, default="zero", required=True, key="how", bind="query-params", help=HOW_HELP)
    own = ""
    if how != "zero" and not model.anatomy.encoder_decoder:
        with right:
            own = reading.typed(
                "over",
                "Values from",
                "",
                placeholder="empty: generated sentences; or texts, with | between",
                help="Texts at least as long as the one above. Empty: eight generated ones of its length.",
            )
    return off, how, own


def first_part(model: Model) -> str:
    """What is offered first: the first FFN of the main stack, in a model without the first attention."""
    main = model.anatomy.main
    kind = "FFN" if model.anatomy.ffn(0, main.stack) else "attention"
    return f"{main.stack}L0 {kind}"


def _over(seen: Activations, how: How, own: str) -> tuple[list[Text], str, tuple[str, ...]]:
    """The texts to take values from, how Python writes them, and what that needs."""
    if how == "zero":
        return [], "", ()
    given: list[Text] = [text.strip() for text in own.split("|") if text.strip()]
    if own.strip() and not given:
        raise TextError("no text came to take values from; expected some, with | between, or an empty field for generated ones")
    if given:
        return given, f", over={given!r}", ()
    return _usual(seen), ", over=usual_texts(model, text)", ("from interp.interventions.usual import usual_texts",)


def _usual(seen: Activations) -> list[Text]:
    """Kept in the session: they are the same for every part of this text."""
    place = ("usual texts", seen.model.fingerprint, seen.provenance.data)
    kept = st.session_state.get("usual texts")
    if kept is None or kept[0] != place:
        kept = st.session_state["usual texts"] = (place, usual_texts(seen.model, before_after.text_of(seen)))
    return kept[1]
