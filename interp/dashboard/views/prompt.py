"""The page Prompt: what does the model do on this text?"""

import streamlit as st

from interp.captures.activations import Activations
from interp.core.sites import Stack
from interp.dashboard import kept
from interp.dashboard.views import chips, contributions, experts, heads, neurons, stacks
from interp.dashboard.words import follow_link, in_plain_words
from interp.models.anatomy import Anatomy
from interp.models.model import Model

TEXT, TARGET = "The bank by the river is steep", "The river has a steep bank"
VIEWS = {"Heads": heads.show, "Neurons": neurons.show, "Experts": experts.show, "Contributions": contributions.show}


def show(model: Model) -> None:
    """The page, over a model that has been loaded: one text, or in an encoder-decoder two side by side."""
    st.title("Prompt")
    left, right = st.columns(2, gap="large") if model.anatomy.encoder_decoder else (st.container(), None)
    with left:
        text = st.text_input("Text", TEXT, key="text", bind="query-params", placeholder="A sentence for the model to read; Enter runs it")
    target = None
    if right is not None:
        with right:
            target = _target()
    with in_plain_words():
        seen = kept.seen_on(model, text or "", target)
        with left:
            chips.show(seen.example)
        if right is not None and seen.target is not None:
            with right:
                chips.show(seen.target)
        _about(seen)
        _view(seen)


def _target() -> str:
    """The second text of an encoder-decoder."""
    typed = st.text_input(
        "Target",
        TARGET,
        key="target",
        bind="query-params",
        placeholder="What the decoder writes; Enter runs it",
        help="This model reads one text and writes another: its encoder sees the text, its decoder writes the target, token by token.",
    )
    return typed or ""


def _about(seen: Activations) -> None:
    if seen.windowed:
        n = len(seen.example)
        st.warning(
            f"The text is longer than this model's context: what is shown is its first {n} tokens, and nothing after them was read.",
            icon=":material/content_cut:",
        )
    error = seen.reconstruction_error
    rebuilt = "" if error is None else f" The residual stream, rebuilt from everything written into it, is off by {error:.0e} of its size."
    written = "" if seen.target is None else f" read, {len(seen.target)} written (the start token before them)"
    st.caption(f"{len(seen.example)} tokens{written}, positions from 0.{rebuilt}")


@st.fragment
def _view(seen: Activations) -> None:
    """One view at a time: what is not looked at is not computed, and a change inside redraws the view alone."""
    with st.container(horizontal=True, gap="large"):
        view = _chosen_view(seen.model.anatomy)
        # What writes the logits is the decoder.
        stack: Stack = seen.model.anatomy.main.stack if view == "Contributions" else stacks.choose(seen.model, cross=view == "Heads")
    with in_plain_words():
        VIEWS[view](seen, stack)


def _chosen_view(anatomy: Anatomy) -> str:
    views = [name for name in VIEWS if name != "Experts" or anatomy.n_experts]
    follow_link("view", views, "the view")
    return st.segmented_control(
        "View", views, default="Heads", required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
