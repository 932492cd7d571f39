"""What stands under every figure: its caption, its files, the Python that gives the same object, its address, and the pin.

Files are made when they are asked for, not at every rerun: the download buttons get functions, which Streamlit calls in a thread of
their own.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from interp.dashboard import links, pins
from interp.dashboard.words import literal
from interp.figures.description import Description
from interp.figures.figure import Figure
from interp.figures.scales import TEXT_PX, WIDTH_MM, Width

if TYPE_CHECKING:
    from interp.captures.activations import Activations

MOST_HEIGHT_PX = 640
CONFIG = {"displayModeBar": False}  # the buttons below do more
COLUMNS: dict[Width, str] = {"one": f"One column, {WIDTH_MM['one']:.0f} mm", "two": f"Two columns, {WIDTH_MM['two']:.0f} mm"}
_MIME = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png", "csv": "text/csv", "html": "text/html"}
_TOOLTIP = {
    "pdf": "For print: vectors, embedded fonts",
    "svg": "For print and the web: vectors",
    "png": "Bitmap of the printed figure, 300 dpi",
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
    """Caption, downloads, Python, address and pin of a figure.

    Args:
        name: of the files, "tales-L2H3-raw"; unique on the page.
        python: lines that give the same object.
    """
    if figure.caption:
        st.caption(literal(figure.caption))
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    address = links.here()
    with st.container(horizontal=True, gap="small", key=f"{stem}-files"):
        with st.popover("Save", type="tertiary", icon=":material/download:", key=f"{stem}-save"):
            _files(figure, stem)
        with st.popover("Python", type="tertiary", icon=":material/code:", key=f"{stem}-python"):
            st.code(python, language="python")
        with st.popover("Link", type="tertiary", icon=":material/link:", key=f"{stem}-link"):
            st.caption("Opens this very view: model, text, layer, head, mode.")
            st.markdown(f"```text\n{address}\n```")  # percent-encoded, so that no fence is in it
        _pin(figure, stem, python, address)


def _files(figure: Figure, stem: str) -> None:
    """For print in two widths; for the screen; as numbers."""
    for width, told in COLUMNS.items():
        st.caption(told)
        with st.container(horizontal=True, gap="xsmall"):
            for suffix in ("pdf", "svg", "png"):
                _button(figure, stem, suffix, width)
    st.caption("On the screen, and as numbers")
    with st.container(horizontal=True, gap="xsmall"):
        for suffix in ("html", "csv"):
            _button(figure, stem, suffix, "one")


def _button(figure: Figure, stem: str, suffix: str, width: Width) -> None:
    wide = "-two" if width == "two" else ""
    st.download_button(
        suffix.upper(),
        made(figure, suffix, width),
        f"{stem}{wide}.{suffix}",
        _MIME[suffix],
        key=f"{stem}-{suffix}{wide}",
        help=_TOOLTIP[suffix],
        on_click="ignore",
    )


def _pin(figure: Figure, stem: str, python: str, address: str) -> None:
    there = pins.is_pinned(stem, address)
    st.button(
        "Pinned" if there else "Pin",
        key=f"{stem}-pin",
        icon=":material/keep_off:" if there else ":material/keep:",
        help="Take it out of the report again" if there else "Keep it for the page Report, in this session",
        on_click=partial(pins.pin, figure, name=stem, python=python, address=address),
        type="tertiary",
    )
    pins.told(stem)


def made(drawn: Figure | Description, suffix: str, width: Width = "one") -> Callable[[], bytes]:
    """A function that makes a figure's file."""
    figure = drawn if isinstance(drawn, Figure) else Figure(drawn)
    return lambda: figure.content(f".{suffix}", width=width)


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
