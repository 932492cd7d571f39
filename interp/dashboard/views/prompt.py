"""The page Prompt: what does the model do on this text?"""

import streamlit as st

from interp.captures.activations import Activations
from interp.dashboard import kept
from interp.dashboard.views import chips, contributions, heads, neurons
from interp.dashboard.words import in_plain_words
from interp.models.model import Model

TEXT = "The bank by the river is steep"
VIEWS = {"Heads": heads.show, "Neurons": neurons.show, "Contributions": contributions.show}


def show(model: Model) -> None:
    """The page, over a model that has been loaded."""
    st.title("Prompt")
    text = st.text_input("Text", TEXT, key="text", bind="query-params", placeholder="A sentence for the model to read; Enter runs it")
    with in_plain_words():
        seen = kept.seen_on(model, text or "")
        chips.show(seen.example)
        _about(seen)
        _view(seen)


def _about(seen: Activations) -> None:
    if seen.windowed:
        n = len(seen.example)
        st.warning(
            f"The text is longer than this model's context: what is shown is its first {n} tokens, and nothing after them was read.",
            icon=":material/content_cut:",
        )
    error = seen.reconstruction_error
    rebuilt = "" if error is None else f" The residual stream, rebuilt from everything written into it, is off by {error:.0e} of its size."
    st.caption(f"{len(seen.example)} tokens, positions from 0.{rebuilt}")


@st.fragment
def _view(seen: Activations) -> None:
    """One view at a time: what is not looked at is not computed, and a change inside redraws the view alone."""
    view = st.segmented_control(
        "View", list(VIEWS), default="Heads", required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    with in_plain_words():
        VIEWS[view](seen)
