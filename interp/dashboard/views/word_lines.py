"""Lines between the words: a word under the mouse shows what a head moves to it from where, without asking the server.

The numbers are those of the matrix beside it. Token text goes to the browser as data and is set there as text, never as markup.
"""

import base64
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import streamlit as st

from interp.core.results import DataArray
from interp.figures.labels import shown

_HTML = """<div class="lines"><svg aria-hidden="true"></svg>
<div class="side"><p class="title queries-title"></p><div class="words queries" role="listbox" aria-label="words that look"></div></div>
<div class="gap"></div>
<div class="side"><div class="words keys" role="listbox" aria-label="words that are looked at"></div><p class="title keys-title"></p></div>
<div class="told side" aria-live="polite"></div></div>"""
HINT = "Point at a word above to see where it looks, at one below to see what looks at it. A click keeps it; arrow keys walk, Esc lets go."


@cache
def _component() -> Any:
    here = files("interp.dashboard.views")
    css, js = ((here / f"word_lines.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return st.components.v2.component("interp-word-lines", html=_HTML, css=css, js=js)


def show(result: DataArray, *, crossed: bool) -> None:
    """Draw the lines of a pattern, or of a difference of two. Args: crossed: queries and keys stand in two texts."""
    _component()(key="word-lines", data=told(result, crossed=crossed))


def told(result: DataArray, *, crossed: bool) -> dict[str, Any]:
    """What the browser is told: words, weights (float32, row by row, in base64), and the weight that is drawn in full colour.

    A pattern's full colour is 1; a difference's is its largest, on either side of 0.
    """
    values = np.ascontiguousarray(result.values, dtype=np.float32)
    signed = str(result.name) == "pattern_difference"
    return {
        "queries": [_word(token) for token in result["query_token"].values],
        "keys": [_word(token) for token in result["key_token"].values],
        "first": [int(result["query_pos"].values[0]), int(result["key_pos"].values[0])],
        "weights": base64.b64encode(values.tobytes()).decode(),
        "most": float(np.abs(values).max()) or 1.0 if signed else 1.0,
        "titles": ["The target's words look …", "… at the text's words"] if crossed else ["These words look …", "… at these words"],
        "verbs": ["looks more (or less, below 0) at", "is looked at more (or less) by"] if signed else ["looks at", "is looked at by"],
        "hint": HINT,
    }


def _word(token: object) -> str:
    text = str(token)
    return shown(text.strip(" ") or text)
