"""Places of the corpus and lists of tokens, as HTML: every character escaped, Hebrew and Arabic kept inside their tokens.

Tokens run from left to right in every script, as on the page Prompt; inside a token, letters run as they are read.
"""

import html
from collections.abc import Iterable, Sequence

import streamlit as st

from interp.captures.atlas.excerpts import Excerpt
from interp.figures.labels import isolated, shown

_STYLE = """<style>
.excerpts { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 0.7rem; align-items: baseline; }
.excerpts .number { font-variant-numeric: tabular-nums; opacity: 0.7; font-size: 0.82rem; text-align: right; }
.excerpts .text { line-height: 1.55; overflow-wrap: anywhere; }
.excerpts bdi { white-space: pre-wrap; unicode-bidi: isolate; }
.excerpts mark { color: inherit; background: color-mix(in srgb, #8073ac 42%, transparent); border-radius: 0.2rem;
  padding: 0.05rem 0.1rem; }
.excerpts h4 { grid-column: 1 / -1; margin: 0.5rem 0 0.1rem; font-size: 0.9rem; font-weight: 600; }
.excerpts h4 small { font-weight: 400; opacity: 0.7; }
.tokens { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 0.7rem; align-items: baseline; margin-bottom: 0.5rem; }
.tokens .what { font-size: 0.82rem; opacity: 0.75; }
.tokens .list { display: flex; flex-wrap: wrap; gap: 0.25rem; }
.tokens .one { padding: 0.02rem 0.42rem; border-radius: 0.3rem; background: color-mix(in srgb, currentColor 8%, transparent);
  white-space: pre; unicode-bidi: isolate; }
</style>"""


def told(examples: Iterable[Excerpt], digits: int = 3) -> str:
    """Excerpts as rows of a grid: the value, and the text with its token marked."""
    return "".join(_row(example, digits) for example in examples)


def grid(rows: str) -> None:
    """Draw rows that `told` and `heading` made."""
    st.html(f'{_STYLE}<div class="excerpts" role="list">{rows}</div>')


def heading(text: str, more: str) -> str:
    """A line over the rows that follow."""
    return f"<h4>{html.escape(text)} <small>{html.escape(more)}</small></h4>"


def _row(example: Excerpt, digits: int) -> str:
    window = "" if not example.window else f", window {example.window}"
    title = html.escape(f"text {example.text}{window}, token {example.pos}")
    words = "".join(_token(token, marked=at == example.at) for at, token in enumerate(example.tokens))
    return (
        f'<div class="number" title="{title}">{example.value:.{digits}f}</div>'
        f'<div class="text" role="listitem" title="{title}">{words}</div>'
    )


def _token(token: str, *, marked: bool) -> str:
    written = f"<bdi>{html.escape(_visible(token))}</bdi>"
    return f"<mark>{written}</mark>" if marked else written


def _visible(token: str) -> str:
    """As it stands in a running text: spaces as spaces, line breaks and control characters so that they can be seen."""
    inner = token.strip(" ")
    before, after = len(token) - len(token.lstrip(" ")), len(token) - len(token.rstrip(" "))
    return " " * before + shown(inner) + " " * after if inner else token


def lists(rows: Sequence[tuple[str, Sequence[tuple[str, float]]]], units: str) -> None:
    """Named lists of tokens, each with its number in a tooltip."""
    written = "".join(
        f'<div class="what">{html.escape(what)}</div><div class="list" role="list">{"".join(_one(*each, units) for each in tokens)}</div>'
        for what, tokens in rows
    )
    st.html(f'{_STYLE}<div class="tokens">{written}</div>')


def _one(token: str, value: float, units: str) -> str:
    title = html.escape(f"{isolated(repr(token))}: {value:.3g} {units}".strip())
    return f'<span class="one" role="listitem" title="{title}">{html.escape(shown(token))}</span>'
