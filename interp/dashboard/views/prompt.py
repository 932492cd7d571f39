"""The page Prompt: where do heads look on this text?"""

from collections.abc import Mapping
from types import ModuleType

import streamlit as st

from interp.captures.activations import Activations
from interp.core.sites import Stack
from interp.dashboard import stacks
from interp.dashboard.views import every_head, going_on, heads, reading, routing
from interp.dashboard.words import follow_link, in_plain_words
from interp.models.anatomy import Anatomy
from interp.models.model import Model

VIEWS: Mapping[str, ModuleType] = {"Heads": heads, "All heads": every_head, "Routing": routing}


def show(model: Model) -> None:
    """The page, over a model that has been loaded: one text, or in an encoder-decoder two side by side."""
    st.title("Prompt")
    with in_plain_words():
        seen = reading.read(model)
        going_on.offer(seen)
        _view(seen)


@st.fragment
def _view(seen: Activations) -> None:
    """One view at a time: what is not looked at is not computed, and a change inside redraws the view alone."""
    with st.container(horizontal=True, gap="large"):
        view = _chosen_view(seen.model.anatomy)
        stack: Stack = stacks.choose(seen.model, cross="head" in view.lower())
    with in_plain_words():
        VIEWS[view].show(seen, stack)


def _chosen_view(anatomy: Anatomy) -> str:
    views = [name for name in VIEWS if name != "Routing" or anatomy.n_experts]
    follow_link("view", views, "the view")
    return st.segmented_control(
        "View", views, default="Heads", required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
