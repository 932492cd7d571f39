"""Arrow keys pick the next cell of a map, for those who use no mouse, and for those who look through many heads."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import streamlit as st


@cache
def _component() -> Any:
    js = (files("interp.dashboard.views") / "arrow_keys.js").read_text(encoding="utf-8")
    return st.components.v2.component("interp-arrow-keys", js=js)


def listen(target: str, at: tuple[int, int], size: tuple[int, int], pick: Callable[[int, int], None], *, label: str) -> None:
    """Let arrow keys move over a map.

    Args:
        target: key of the container that the map is in; it can be focused from then on.
        at, size: the chosen (row, column), and how many there are.
        pick: called with the cell that is chosen next, before the page is run again.
        label: what the map is, for a screen reader.
    """
    key = f"{target}-keys"

    def picked() -> None:
        cell = getattr(st.session_state.get(key), "cell", None)
        if cell and all(0 <= place < n for place, n in zip(cell, size, strict=True)):
            pick(int(cell[0]), int(cell[1]))

    _component()(key=key, data={"target": target, "at": list(at), "size": list(size), "label": label}, height=1, on_cell_change=picked)
