"""How is a token written beside an axis? So that every character of it can be seen, and that nothing in it is obeyed.

A leading space, a line break or a control character would be invisible or would break the layout; plotly obeys `<b>` and
`$...$`. The CSV holds the label itself.
"""

import html
import unicodedata
from collections.abc import Sequence

MOST_LABELS = 64
MOST_CHARACTERS = 32
_VISIBLE = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\u00a0": "␣"}


def shown(text: str) -> str:
    """A label with every character visible: spaces at its ends as ␣, line breaks as \\\\n, the middle of a very long one as …

    Example:
        >>> shown(" the"), shown("New York"), shown("a\\tb")
        ('␣the', 'New York', 'a\\\\tb')
    """
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" ")) if inner else len(text)
    after = len(text) - len(inner) - before
    visible = "␣" * before + "".join(map(_visible, inner)) + "␣" * after
    return shortened(visible, MOST_CHARACTERS)


def shortened(text: str, most: int) -> str:
    """At most `most` characters of a text, the middle left out.

    Example:
        >>> shortened("abcdefgh", 5)
        'abc…h'
    """
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def escaped(text: str) -> str:
    """A text as plotly shows it literally; `$` too, which starts a formula wherever MathJax is loaded.

    Example:
        >>> escaped("<b>$x$")
        '&lt;b&gt;&#36;x&#36;'
    """
    return html.escape(text, quote=False).replace("$", "&#36;")


def isolated(text: str) -> str:
    """A text that runs from right to left, kept to itself: a space, stop or number at its end stays there, and what is beside it beside it.

    Told by its letters (Hebrew, Arabic); U+2068 and U+2069 stand around it, which a browser obeys. Any other text is as it was.

    Example:
        >>> isolated("sea"), len(isolated("\u05d9\u05dd")) - len("\u05d9\u05dd")
        ('sea', 2)
    """
    leftward = any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in text)
    return f"\u2068{text}\u2069" if leftward else text


def ticks(labels: Sequence[object], most: int = MOST_LABELS) -> list[int]:
    """Places of the labels to write: all of them, or every k-th where there are more than `most`.

    Example:
        >>> ticks("abcdef", most=3)
        [0, 2, 4]
    """
    step = -(-len(labels) // max(1, most))
    return list(range(0, len(labels), step))


def _visible(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    return character if character.isprintable() or character == "\u200d" else f"\\u{ord(character):04x}"
