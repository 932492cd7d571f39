"""How is a text of the user's, or an error, written on the page? Literally: markup in it is shown, not obeyed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from interp.core.errors import CheckFailed, InterpError
from interp.dashboard import links

_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|$~:<>&])")


def literal(text: str) -> str:
    """A text as Streamlit's markdown shows it literally.

    Example:
        >>> literal("*a* <b>")
        '\\\\*a\\\\* \\\\<b\\\\>'
    """
    return _MARKS.sub(r"\\\1", text)


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Whatever interp refuses inside becomes a message on the page, never a traceback; the rest of the page goes on."""
    try:
        yield
    except CheckFailed as refused:
        st.info(literal(_sentence(refused)), icon=":material/block:", title="Not shown for this model")
    except InterpError as error:
        st.error(literal(_sentence(error)), icon=":material/error:")


def follow_link(key: str, options: Mapping[Any, str] | Sequence[str], what: str) -> None:
    """What a link asks for, before the widget that it is bound to is made: a name is taken beside a label; what is not there is said.

    A widget puts its labels into the address, which are long; a link written by hand may use the short names as well. For what is neither
    Streamlit falls back to the first option without a word. Only a link that was just opened asks: once the widget has a value, what stands
    in the address is the choice before.

    Args:
        key: of the widget, and so of the query parameter.
        options: the widget's options, with their labels where those differ.
    """
    links.stands_in_address(key)
    asked = None if key in st.session_state else st.query_params.get(key)
    labels = list(options.values()) if isinstance(options, Mapping) else list(options)
    if asked is None or asked in labels:
        return
    if asked in options:
        st.session_state.setdefault(key, asked)
        return
    there = f"{labels[0]} to {labels[-1]}" if len(labels) > 8 else ", ".join(labels)
    st.warning(literal(f"The link asks for {what} {asked!r}, which is not here; expected one of: {there}."), icon=":material/link_off:")


def into_address(key: str) -> None:
    """Put a choice into the address that was made before its widget came onto the page, such as by a click in another view.

    A widget writes there what is chosen in it later; then it is bound, and nobody else may.
    """
    if key in st.session_state and key not in st.query_params:
        with suppress(StreamlitAPIException):
            st.query_params[key] = str(st.session_state[key])


def _sentence(error: InterpError) -> str:
    """The message as a sentence; one that begins with a name ("minilm: ...") keeps it as it is written."""
    text = str(error)
    named = text.partition(" ")[0].endswith(":")
    return f"{text[:1] if named else text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"
