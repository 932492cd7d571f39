"""The page Compare: two texts, a model and its untrained twin, or two models; on one scale, with the difference."""

import streamlit as st

from interp import api
from interp.captures.activations import Activations
from interp.captures.compared import Compared
from interp.dashboard import kept
from interp.dashboard.offered import sources
from interp.dashboard.views import chips, compared, reading
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.models.model import Model

TEXT, TWIN, MODEL = "another text", "its untrained twin", "another model"
OTHER_TEXT, OTHER_TARGET = "The bank in the city is closed", "The city has a closed bank"
SEEDS = ("0", "1", "2", "3", "4")
_WHAT = {TEXT: "first text, second text", TWIN: "trained, untrained", MODEL: "two models"}


def show(model: Model) -> None:
    """The page, over a model that has been loaded: that is the first of the two."""
    st.title("Compare")
    with in_plain_words():
        follow_link("with", list(_WHAT), "what to compare with")
        against = st.segmented_control("With", list(_WHAT), default=TEXT, required=True, key="with", bind="query-params")
        second = model if against == TEXT else _other(model, against)
        if second is not None:
            first, other = _both(model, second, against)
            _view(api.compare(first, other), _lines(first, other, against))


def _other(model: Model, against: str) -> Model | None:
    """The second model; of the last one, the memory is given back."""
    if against == TWIN:
        model.require("capture")
        follow_link("seed", SEEDS, "the seed")
        seed = st.selectbox("Seed of its weights", SEEDS, key="seed", bind="query-params", width=180)
        return kept.twin_of(model, int(seed))
    here = sources()
    left, right, _ = st.columns([3, 4, 5], vertical_alignment="bottom")
    with left:
        follow_link("other", here, "the second model")
        named = st.selectbox("Second model", here, index=min(1, len(here) - 1), key="other", bind="query-params")
    with right:
        typed = reading.typed("other-source", "or a folder or hub name", "", placeholder="path/to/model")
    source = typed.strip() or named
    if source == model.name:
        st.info(literal(f"{model.name} is the first of the two already; choose another."), icon=":material/compare:")
        return None
    return kept.second_model_of(source)


def _both(model: Model, second: Model, against: str) -> tuple[Activations, Activations]:
    """What both do: on the same text, or each on its own."""
    if against != TEXT:
        first = reading.read(model)
        target = first.target.text if first.target is not None else None
        if second.anatomy.encoder_decoder and target is None:
            target = reading.typed("target", "Target", reading.TARGET, placeholder="What the decoder of the second model writes")
        other = kept.second_seen_on(second, first.example.text, target if second.anatomy.encoder_decoder else None)
        if other.example.tokens != first.example.tokens:
            st.caption(literal(f"{second.name} cuts the text into {len(other.example)} tokens:"))
            chips.show(other.example)
        return first, other
    if model.anatomy.encoder_decoder:
        first = reading.read(model)
        left, right = st.columns(2, gap="large")
    else:
        one, left = st.columns(2, gap="large")
        right = None
        with one:
            first = reading.read(model)
    return first, _second_text(model, left, right)


def _second_text(model: Model, left, right) -> Activations:
    with left:
        text = reading.typed("text-2", "Second text", OTHER_TEXT, placeholder="A sentence to compare with; Enter runs it")
    target = None
    if right is not None:
        with right:
            target = reading.typed("target-2", "Second target", OTHER_TARGET, placeholder="What the decoder writes; Enter runs it")
    seen = kept.seen_on(model, text, target)
    with left:
        chips.show(seen.example)
        if seen.windowed:
            n = len(seen.example)
            told = f"The second text is longer than this model's context: what is shown is its first {n} tokens."
            st.warning(told, icon=":material/content_cut:")
    if right is not None and seen.target is not None:
        with right:
            chips.show(seen.target)
    return seen


def _lines(first: Activations, other: Activations, against: str) -> str:
    """The lines that give the comparison."""

    def capture(model: str, seen: Activations) -> str:
        target = "" if seen.target is None else f", target={seen.target.text!r}"
        window = ", window=True" if seen.windowed else ""
        return f"interp.capture({model}, {seen.example.text!r}{target}{window})"

    second = {
        TEXT: "model",
        TWIN: f"interp.untrained(model, seed={other.model.name.rpartition(' ')[2].rstrip(')')})",
        MODEL: f"interp.load({other.model.name!r})",
    }[against]
    load = f"model = interp.load({first.model.name!r})"
    return "\n".join(["import interp", load, f"both = interp.compare({capture('model', first)}, {capture(second, other)})"])


@st.fragment
def _view(both: Compared, lines: str) -> None:
    """One view at a time."""
    follow_link("show", list(compared.VIEWS), "the view")
    view = st.segmented_control(
        "View", list(compared.VIEWS), default="Head map", required=True, key="show", bind="query-params", label_visibility="collapsed"
    )
    with in_plain_words():
        compared.VIEWS[view](both, lines)
