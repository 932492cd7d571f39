"""Whose layers are shown? In an encoder-decoder the encoder's, the decoder's, or those of the attention between them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from interp.core.sites import Stack
from interp.dashboard.words import follow_link

if TYPE_CHECKING:  # the atlas asks for stacks as well, and opens without the libraries that run a model
    from interp.models.model import Model

LETTERS: dict[str, Stack] = {"encoder": "E", "decoder": "D", "cross-attention": "X"}
_NAMES = {letter: name for name, letter in LETTERS.items()}


def choose(model: "Model", *, cross: bool = False) -> Stack:
    """The chosen stack; "" without a question in a model that has one.

    Args: cross: cross-attention can be chosen, too.
    """
    if not model.anatomy.encoder_decoder:
        return ""
    return among([letter for letter in LETTERS.values() if cross or letter != "X"])


def among(letters: Sequence[Stack]) -> Stack:
    """The chosen one of some stacks of an encoder-decoder."""
    names = [name for name, letter in LETTERS.items() if letter in letters]
    follow_link("stack", names, "the stack")
    _begin(names)
    name = st.segmented_control(
        "Stack",
        names,
        required=True,
        key="stack",
        bind="query-params",
        on_change=_keep_the_place,
        label_visibility="collapsed",
    )
    return LETTERS[name or "decoder"]


def of(stack: Stack) -> str:
    """What a title says after a comma, such as ", decoder"; nothing where there is one stack."""
    return f", {_NAMES[stack]}" if stack else ""


def link(stack: Stack) -> dict[str, str]:
    """What a link needs to name the stack."""
    return {"stack": _NAMES[stack]} if stack else {}


def argument(stack: Stack) -> str:
    """What a call in Python needs to name the stack, after other arguments."""
    return f", stack={stack!r}" if stack else ""


def _begin(names: list[str]) -> None:
    """Where no link names a stack: that of the head or neuron which it names, by its letter, or the decoder."""
    if st.session_state.get("stack") not in names and st.query_params.get("stack") not in names:
        place = str(st.query_params.get("head") or st.query_params.get("neuron") or "")
        asked = _NAMES.get(place[:1], "decoder")  # type: ignore[call-overload]
        st.session_state["stack"] = asked if asked in names else "decoder"


def _keep_the_place() -> None:
    """The same layer and head in the other stack; where it has fewer, the widget begins anew."""
    if "head" in st.session_state:
        st.session_state["head"] = f"{LETTERS[st.session_state['stack']]}{str(st.session_state['head']).lstrip('EDX')}"
