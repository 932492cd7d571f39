"""How did the model's tokenizer cut the text? Tokens as people read them, numbered as the positions of every result.

Positions run from left to right in every script, as on the axes; inside a token, and in the field above, Hebrew and Arabic run as they are
read.
"""

import html

import streamlit as st

from interp.figures.labels import isolated, shown
from interp.texts.example import Example

_STYLE = """<style>
.chips { display: flex; flex-wrap: wrap; gap: 0.3rem 0.25rem; max-height: 8.6rem; overflow-y: auto; padding: 0.1rem 0; }
.chip { display: inline-flex; flex-direction: column; align-items: center; padding: 0.1rem 0.5rem 0.15rem; border-radius: 0.3rem;
  line-height: 1.3; background: color-mix(in srgb, currentColor 7%, transparent); white-space: pre; unicode-bidi: plaintext; }
.chip i { font-style: normal; font-size: 0.68rem; opacity: 0.65; font-variant-numeric: tabular-nums; }
.chip.special { background: none; outline: 1px dashed color-mix(in srgb, currentColor 40%, transparent); outline-offset: -1px; }
[data-testid="stTextInput"] input { unicode-bidi: plaintext; text-align: start; }
</style>"""


def chips(example: Example) -> str:
    """The tokens as HTML, every character of theirs escaped.

    Example:
        >>> example = Example(text="<b>", ids=(7,), tokens=("<b>",), spans=((0, 3),), special=(False,))
        >>> "<b>" in chips(example), "&lt;b&gt;" in chips(example)
        (False, True)
    """
    return f'{_STYLE}<div class="chips" role="list" aria-label="tokens">{"".join(map(_chip, range(len(example)), _rows(example)))}</div>'


def show(example: Example) -> None:
    """Draw the tokens."""
    st.html(chips(example))


def _rows(example: Example) -> list[tuple[str, int, bool]]:
    return list(zip(example.tokens, example.ids, example.special, strict=True))


def _chip(pos: int, row: tuple[str, int, bool]) -> str:
    token, token_id, special = row
    written = shown(token.strip(" ") or token)
    title = html.escape(f"position {pos}, token {isolated(repr(token))}, id {token_id}{', special' if special else ''}")
    kind = "chip special" if special else "chip"
    return f'<span class="{kind}" role="listitem" title="{title}">{html.escape(written)}<i>{pos}</i></span>'
