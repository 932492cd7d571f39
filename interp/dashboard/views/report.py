"""The page Report: what was pinned along the way, in order, with captions; taken away as a page, a PDF, or a zip with every file."""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from interp.dashboard import pins
from interp.dashboard.words import literal
from interp.figures.description import Description
from interp.figures.figure import Figure
from interp.reports.pinned.bundle import as_pdf, as_zip
from interp.reports.pinned.page import as_html
from interp.reports.pinned.pin import Pin

TITLE = "What the model does"
_EMPTY = (
    "Nothing is pinned yet. Under every figure, on every page, stands **Pin**: it puts the figure here with its numbers, its caption, its "
    "Python and the address of its view."
)


def show(model: object) -> None:
    """The page; what it shows was made on other pages, so it needs no model."""
    st.title("Report")
    _view()


@st.fragment
def _view() -> None:
    kept = pins.kept()
    if not kept:
        st.info(_EMPTY, icon=":material/keep:")
        return
    title = _take_away(kept)
    st.caption(
        f"{len(kept)} figure{'s' if kept[1:] else ''} in **{literal(title)}**. They last as long as this browser tab; the zip keeps them."
    )
    for place, pin in enumerate(kept):
        _card(place, pin, last=place == len(kept) - 1)


def _take_away(kept: list[Pin]) -> str:
    """The report's title, and its files; these are made when they are asked for, of what the pins are then."""
    field, page, pdf, packed = st.columns([6, 1, 1, 1], vertical_alignment="bottom")
    st.session_state.setdefault("report-title", st.session_state.get("kept report-title", TITLE))
    title = (field.text_input("Title", key="report-title", max_chars=200) or "").strip() or TITLE
    st.session_state["kept report-title"] = title
    files: dict[str, tuple[Any, Callable[[], bytes], str, str]] = {
        "HTML": (page, lambda: as_html(kept, title=title).encode(), "text/html", "One page that needs nothing else, to send or to print"),
        "PDF": (pdf, partial(as_pdf, kept, title=title), "application/pdf", "A sheet of A4 for each figure: vectors, embedded fonts"),
        "Zip": (packed, partial(as_zip, kept, title=title), "application/zip", "Page, PDF, every figure as PDF, SVG, PNG, CSV, its Python"),
    }
    for label, (column, make, mime, told) in files.items():
        column.download_button(
            label,
            make,
            f"report.{label.lower()}",
            mime,
            key=f"report-{label.lower()}",
            help=told,
            icon=":material/download:",
            on_click="ignore",
            width="stretch",
        )
    return title


def _card(place: int, pin: Pin, *, last: bool) -> None:
    with st.container(border=True, key=f"pin-{place}"):
        picture, words = st.columns([3, 2], gap="medium")
        with picture:
            drawn = Figure(pin.description)
            st.image(_preview(pin), width="stretch", alt=drawn.alt)
        with words:
            _words(place, pin, last=last)


def _words(place: int, pin: Pin, *, last: bool) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**Figure {place + 1}** · {literal(pin.name)}")
        with st.container(horizontal=True, gap="xsmall", width="content"):
            _act("up", ":material/arrow_upward:", "Move up", partial(pins.move, place, -1), place, disabled=place == 0)
            _act("down", ":material/arrow_downward:", "Move down", partial(pins.move, place, 1), place, disabled=last)
            _act("out", ":material/delete:", "Take out of the report", partial(pins.remove, place), place)
    key = f"caption-{pin.name}-{pin.address}"
    st.session_state.setdefault(key, pin.caption)
    said = st.text_area("Caption", key=key, placeholder=pin.description.title, max_chars=2000, height=110)
    if (said or "") != pin.caption:
        pins.say(place, said or "")
    st.caption(literal(pin.provenance))
    with st.container(horizontal=True, gap="xsmall"):
        if pin.address:
            st.link_button("Open the view", pin.address, icon=":material/open_in_new:", type="tertiary")
        with st.popover("Python", type="tertiary", icon=":material/code:", key=f"pin-{place}-python"):
            st.code(pin.python, language="python")


def _act(name: str, icon: str, told: str, act, place: int, *, disabled: bool = False) -> None:
    st.button("", key=f"pin-{place}-{name}", icon=icon, help=told, on_click=act, disabled=disabled, type="tertiary")


def _preview(pin: Pin) -> bytes:
    """The figure as it will be printed, drawn once; what it was drawn from is kept with it, so that no other takes its place."""
    pictures: dict[int, tuple[Description, bytes]] = st.session_state.setdefault("pin pictures", {})
    at = id(pin.description)
    if at not in pictures:
        pictures[at] = pin.description, Figure(pin.description).content(".png", width="one")
        for old in set(pictures) - {id(one.description) for one in pins.kept()}:
            del pictures[old]
    return pictures[at][1]
