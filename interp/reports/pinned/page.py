"""Pins as one HTML page: every figure as vectors, its caption, what is behind its numbers, the Python and the numbers themselves.

It loads nothing from elsewhere and runs no script; a browser is told so by its content policy.
"""

import base64
import html
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from interp.figures.figure import Figure
from interp.reports.pinned.pin import Pin, stem

FRAME = Path(__file__).parent / "page.html"
MOST_SVG_BYTES = 1_500_000
"""A larger vector picture is shown as a bitmap: a browser would be slow to draw it."""


@cache
def frame() -> str:
    """The page's frame: style, and places for the rest."""
    return FRAME.read_text(encoding="utf-8")


def as_html(pins: Sequence[Pin], *, title: str) -> str:
    """The whole page."""
    parts = {
        "TITLE": _escaped(title),
        "CONTENTS": "".join(f'<li><a href="#figure-{at}">{_escaped(_called(pin))}</a></li>' for at, pin in enumerate(pins, 1)),
        "FIGURES": "\n".join(_figure(at, pin) for at, pin in enumerate(pins, 1)),
    }
    text = frame()
    for name in ("CONTENTS", "TITLE", "FIGURES"):  # figures last: what stands in them is not looked at again
        text = text.replace(f"<!--{name}-->", parts[name])
    return text


def picture(figure: Figure) -> tuple[str, bytes]:
    """(media type, bytes) of a figure as a browser shows it: vectors, or a bitmap where these would be too many."""
    drawn = figure.content(".svg", width="two")
    return ("image/svg+xml", drawn) if len(drawn) <= MOST_SVG_BYTES else ("image/png", figure.content(".png", width="two"))


def _called(pin: Pin) -> str:
    return pin.description.title or pin.name


def _figure(place: int, pin: Pin) -> str:
    figure = Figure(pin.description)
    kind, drawn = picture(figure)
    said = f'<span class="said">{_escaped(pin.caption or _called(pin))}</span>'
    view = f' <a href="{_escaped(pin.address)}" rel="noreferrer">Open this view</a>.' if _is_web(pin.address) else ""
    numbers = _data("text/csv;charset=utf-8", figure.csv().encode())
    return "".join(
        [
            f'<figure id="figure-{place}"><img alt="{_escaped(figure.alt)}" src="{_data(kind, drawn)}">',
            f"<figcaption><b>Figure {place}.</b>{said}<p class=about>{_escaped(pin.provenance)}{view}</p></figcaption>",
            f"<details><summary>Python</summary><pre>{_escaped(pin.python)}</pre></details>",
            f'<details><summary>Numbers</summary><a download="{_escaped(stem(place, pin))}.csv" href="{numbers}">CSV of what is drawn</a>',
            "</details></figure>",
        ]
    )


def _is_web(address: str) -> bool:
    """Only such an address is made a link: "javascript:" is none."""
    return address.startswith(("http://", "https://"))


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _escaped(text: str) -> str:
    return html.escape(text)
