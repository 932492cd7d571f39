"""What stands under every figure: its caption, its files, and the Python that gives the same object.

Files are made when they are asked for, not at every rerun: the download buttons get functions, which Streamlit calls in a thread of
their own; matplotlib's settings are not made for two of those at once, hence the lock.
"""

import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from interp.dashboard.words import literal
from interp.figures.description import Description
from interp.figures.figure import Figure
from interp.figures.scales import TEXT_PX
from interp.figures.screen import to_html
from interp.figures.table import to_csv

if TYPE_CHECKING:
    from interp.captures.activations import Activations

MOST_HEIGHT_PX = 640
CONFIG = {"displayModeBar": False}  # the buttons below do more
_PRINTING = threading.Lock()
_MIME = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png", "csv": "text/csv", "html": "text/html"}
_TOOLTIP = {
    "pdf": "For print: vectors, embedded fonts, 89 mm wide",
    "svg": "For print and the web: vectors, 89 mm wide",
    "png": "Bitmap of the printed figure",
    "csv": "The numbers drawn",
    "html": "Interactive, opens without a network",
}


def draw(figure: Figure, *, name: str, python: str) -> None:
    """A figure that is only looked at, with what stands under it."""
    st.plotly_chart(on_page(figure), key=f"{name}-chart", config=CONFIG, alt=figure.alt)
    under(figure, name=name, python=python)


def on_page(figure: Figure, *, clickable: bool = False) -> Any:
    """The figure for this page: Streamlit's theme pads the plot, which would frame a heat map in the grey of missing numbers."""
    drawn = figure.plotly(clickable=clickable).update_layout(margin={"pad": 0, "t": 44})
    drawn.layout.height = min(drawn.layout.height, MOST_HEIGHT_PX)
    return drawn.update_traces(colorbar={"title": {"font": {"size": TEXT_PX}}}, selector={"type": "heatmap"})


def under(figure: Figure, *, name: str, python: str) -> None:
    """Caption, downloads and Python of a figure.

    Args:
        name: of the files, "tales-L2H3-raw"; unique on the page.
        python: lines that give the same object.
    """
    if figure.caption:
        st.caption(literal(figure.caption))
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    with st.container(horizontal=True, gap="xsmall", key=f"{stem}-files"):
        for suffix, mime in _MIME.items():
            st.download_button(
                suffix.upper(),
                made(figure.description, suffix),
                f"{stem}.{suffix}",
                mime,
                key=f"{stem}-{suffix}",
                help=_TOOLTIP[suffix],
                on_click="ignore",
                type="tertiary",
            )
        with st.popover("Python", type="tertiary", icon=":material/code:", key=f"{stem}-python"):
            st.code(python, language="python")


def made(description: Description, suffix: str) -> Callable[[], bytes]:
    """A function that makes a figure's file."""

    def make() -> bytes:
        if suffix == "csv":
            return to_csv(description).encode()
        if suffix == "html":
            return to_html(description).encode()
        from interp.figures.paper import to_bytes  # matplotlib, half a second

        with _PRINTING:
            return to_bytes(description, suffix)  # type: ignore[arg-type]

    return make


def python_of(seen: "Activations", expression: str, *imports: str) -> str:
    """The lines that give the same object as the screen shows.

    Args:
        expression: over `model` and `seen`.
        imports: lines that it needs beside `import interp`.
    """
    target = "" if seen.target is None else f", target={seen.target.text!r}"
    window = ", window=True" if seen.windowed else ""
    return "\n".join(
        [
            "import interp",
            *imports,
            f"model = interp.load({seen.model.name!r})",
            f"seen = interp.capture(model, {seen.example.text!r}{target}{window})",
            expression,
        ]
    )


def origin(seen: "Activations") -> str:
    """Model, weights and text behind a figure that a page puts together itself, in the words of every other caption."""
    made = seen.provenance
    return f"Model {made.model} (weights {made.fingerprint}), data {made.data}."
