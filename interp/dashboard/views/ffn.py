"""The page FFN: what do neurons do on this text, and elsewhere?"""

from collections.abc import Mapping
from types import ModuleType

import streamlit as st

from interp.captures.activations import Activations
from interp.dashboard import stacks
from interp.dashboard.views import experts, neurons, one_neuron, reading
from interp.dashboard.words import follow_link, in_plain_words
from interp.models.anatomy import Anatomy
from interp.models.model import Model

VIEWS: Mapping[str, ModuleType] = {"Neurons": neurons, "One neuron": one_neuron, "Experts": experts}


def show(model: Model) -> None:
    """The page, over a model that has been loaded."""
    st.title("FFN")
    with in_plain_words():
        _view(reading.read(model))


@st.fragment
def _view(seen: Activations) -> None:
    """One view at a time: what is not looked at is not computed, and a change inside redraws the view alone."""
    with st.container(horizontal=True, gap="large"):
        view = _chosen_view(seen.model.anatomy)
        stack = stacks.choose(seen.model)
    with in_plain_words():
        VIEWS[view].show(seen, stack)


def _chosen_view(anatomy: Anatomy) -> str:
    views = [name for name in VIEWS if name != "Experts" or anatomy.n_experts]
    follow_link("view", views, "the view")
    mixed = anatomy.n_experts and not neurons.layers_with(anatomy, anatomy.main.stack, experts=False)
    first = "Experts" if mixed else "Neurons"
    return st.segmented_control("View", views, default=first, required=True, key="view", bind="query-params", label_visibility="collapsed")
