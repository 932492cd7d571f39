"""The page Interventions: what follows when a part is switched off, an edge hidden, or something put in from another text?"""

import streamlit as st

from interp.captures.activations import Activations
from interp.dashboard.views import hide_edges, patching, reading, switch_off
from interp.dashboard.words import follow_link, in_plain_words
from interp.models.model import Model

VIEWS = {"Switch off": switch_off.show, "Hide edges": hide_edges.show, "Patch": patching.show}


def show(model: Model) -> None:
    """The page, over a model that has been loaded."""
    st.title("Interventions")
    with in_plain_words():
        _view(reading.read(model))


@st.fragment
def _view(seen: Activations) -> None:
    """One view at a time: what is not looked at is not run, and a change inside redraws the view alone."""
    follow_link("view", list(VIEWS), "the view")
    view = st.segmented_control(
        "View", list(VIEWS), default="Switch off", required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    with in_plain_words():
        VIEWS[view](seen)
