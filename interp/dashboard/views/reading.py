"""The text that the model reads: typed once, and there again on every page that shows what the model does on it.

Streamlit forgets a widget's value as soon as a page is opened that does not have the widget, hence the copy beside it.
"""

import streamlit as st

from interp.captures.activations import Activations
from interp.dashboard import kept
from interp.dashboard.views import chips
from interp.models.model import Model

TEXT, TARGET = "The bank by the river is steep", "The river has a steep bank"


def read(model: Model) -> Activations:
    """The fields, the tokens under them, and what the model does on the text; in an encoder-decoder two texts side by side.

    Raises: TextError, MemoryLimit, CheckFailed: call it `in_plain_words`.
    """
    left, right = st.columns(2, gap="large") if model.anatomy.encoder_decoder else (st.container(), None)
    with left:
        text = typed("text", "Text", TEXT, placeholder="A sentence for the model to read; Enter runs it")
    target = None
    if right is not None:
        with right:
            target = _target()
    seen = kept.seen_on(model, text, target)
    with left:
        chips.show(seen.example)
    if right is not None and seen.target is not None:
        with right:
            chips.show(seen.target)
    _about(seen)
    return seen


def typed(key: str, label: str, default: str, *, placeholder: str, help: str | None = None, follows: bool = False) -> str:
    """A text field whose text stands in the address and is kept while other pages are open.

    Args:
        key: of the widget, and so of the query parameter.
        default: what stands there first.
        follows: a field in which nobody has typed gets the default anew when it is another, with another model or text.
    """
    if follows:
        there = st.session_state.get(key, st.session_state.get(f"kept {key}"))
        if there is not None and there == st.session_state.get(f"default {key}"):
            st.session_state[key] = st.session_state[f"kept {key}"] = default
        st.session_state[f"default {key}"] = default
    if f"next {key}" in st.session_state:
        st.session_state[key] = st.session_state.pop(f"next {key}")
    elif key not in st.query_params:
        st.session_state.setdefault(key, st.session_state.get(f"kept {key}", default))
    text = st.text_input(label, key=key, bind="query-params", placeholder=placeholder, help=help) or ""
    st.session_state[f"kept {key}"] = text
    return text


def replace(key: str, text: str) -> None:
    """Put another text into a field, when the page is run next: a widget that stands on the page cannot be changed any more."""
    st.session_state[f"next {key}"] = text


def _target() -> str:
    """The second text of an encoder-decoder."""
    return typed(
        "target",
        "Target",
        TARGET,
        placeholder="What the decoder writes; Enter runs it",
        help="This model reads one text and writes another: its encoder sees the text, its decoder writes the target, token by token.",
    )


def _about(seen: Activations) -> None:
    if seen.windowed:
        n = len(seen.example)
        st.warning(
            f"The text is longer than this model's context, or a session's memory, holds: what is shown is its first {n} tokens, and "
            "nothing after them was read.",
            icon=":material/content_cut:",
        )
    error = seen.reconstruction_error
    rebuilt = "" if error is None else f" The residual stream, rebuilt from everything written into it, is off by {error:.0e} of its size."
    written = "" if seen.target is None else f" read, {len(seen.target)} written (the start token before them)"
    st.caption(f"{len(seen.example)} tokens{written}, positions from 0.{rebuilt}")
