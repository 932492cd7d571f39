"""A page that shows one view of a text at a time, chosen above it."""

from collections.abc import Callable, Mapping

import streamlit as st

from interp.captures.activations import Activations
from interp.dashboard.views import reading
from interp.dashboard.words import follow_link, in_plain_words
from interp.models.model import Model

Views = Mapping[str, Callable[[Activations], None]]


def page(title: str, views: Views, model: Model) -> None:
    """The page, over a model that has been loaded. Args: views: by what they are called, the first chosen at first."""
    st.title(title)
    with in_plain_words():
        _view(reading.read(model), views)


@st.fragment
def _view(seen: Activations, views: Views) -> None:
    """What is not looked at is not computed, and a change inside redraws the view alone."""
    follow_link("view", list(views), "the view")
    first = next(iter(views))
    view = st.segmented_control(
        "View", list(views), default=first, required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    with in_plain_words():
        views[view](seen)
