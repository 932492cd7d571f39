"""The page Residual: what is written into the stream, what can be read off it, how it grows."""

import streamlit as st

from interp.captures.activations import Activations
from interp.dashboard.views import contributions, depths, lens, reading
from interp.dashboard.words import follow_link, in_plain_words
from interp.models.model import Model

VIEWS = {"Contributions": contributions.show, "Logit lens": lens.show, "Layers": depths.show}


def show(model: Model) -> None:
    """The page, over a model that has been loaded."""
    st.title("Residual")
    with in_plain_words():
        _view(reading.read(model))


@st.fragment
def _view(seen: Activations) -> None:
    """One view at a time: what is not looked at is not computed, and a change inside redraws the view alone."""
    follow_link("view", list(VIEWS), "the view")
    view = st.segmented_control(
        "View", list(VIEWS), default="Contributions", required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    with in_plain_words():
        VIEWS[view](seen)
