"""What was pinned in this session, in order. Pins are kept with the session: another one does not see them, and they go when it ends."""

import streamlit as st

from interp.dashboard.words import literal
from interp.figures.figure import Figure
from interp.reports.pinned.pin import Pin

MOST = 60
_KEY, _TOLD = "pins", "pin told"


def kept() -> list[Pin]:
    """The pins, the first first."""
    return st.session_state.setdefault(_KEY, [])


def is_pinned(name: str, address: str) -> bool:
    """Whether this view of this figure is in the report."""
    return any((pin.name, pin.address) == (name, address) for pin in kept())


def pin(figure: Figure, *, name: str, python: str, address: str) -> None:
    """Put a figure at the report's end, or take it out again where it is in it; `told` says which. For a button's callback."""
    pins = kept()
    if is_pinned(name, address):
        st.session_state[_KEY] = [one for one in pins if (one.name, one.address) != (name, address)]
        st.session_state[_TOLD] = name, "Taken out of the report."
        return
    if len(pins) + len(figure.panels) > MOST:
        st.session_state[_TOLD] = name, f"A report holds {MOST} figures; take some out on the page Report first."
        return
    pins.extend(Pin(name=name, description=panel, python=python, address=address) for panel in figure.panels)
    st.session_state[_TOLD] = name, f"Pinned: {figure.description.title}. The page Report has {len(pins)}."


def told(name: str) -> None:
    """Say once what became of a click on this figure's pin: a callback may not draw."""
    said = st.session_state.get(_TOLD)
    if said is not None and said[0] == name:
        del st.session_state[_TOLD]
        st.toast(literal(said[1]), icon=":material/keep:")


def move(place: int, by: int) -> None:
    """A pin up (-1) or down (1)."""
    pins = kept()
    if 0 <= place + by < len(pins):
        pins[place], pins[place + by] = pins[place + by], pins[place]


def remove(place: int) -> None:
    """A pin out of the report."""
    del kept()[place]


def say(place: int, caption: str) -> None:
    """What the reader writes about a pin."""
    kept()[place] = kept()[place].saying(caption)
