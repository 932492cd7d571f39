"""The pages by name, so that one can point to another: where each is found, and which one is opened first."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

RUN = "INTERP_RUN"
"""Environment variable with the run's folder that `interp atlas FOLDER` was given: its atlas is opened first."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A page of the navigation: its title, its icon, and whether it is of the atlas, which needs a run and no model."""

    title: str
    icon: str
    atlas: bool = False


ENTRIES: Mapping[str, Entry] = {
    "prompt": Entry(title="Prompt", icon=":material/text_fields:"),
    "ffn": Entry(title="FFN", icon=":material/blur_on:"),
    "residual": Entry(title="Residual", icon=":material/stacked_line_chart:"),
    "interventions": Entry(title="Interventions", icon=":material/healing:"),
    "hierarchy": Entry(title="Hierarchy", icon=":material/stairs:"),
    "claims": Entry(title="Claims", icon=":material/gavel:"),
    "compare": Entry(title="Compare", icon=":material/compare:"),
    "report": Entry(title="Report", icon=":material/assignment:"),
    "atlas": Entry(title="Overview", icon=":material/map:", atlas=True),
    "atlas-head": Entry(title="Head", icon=":material/center_focus_strong:", atlas=True),
    "atlas-neuron": Entry(title="Neuron", icon=":material/bolt:", atlas=True),
    "atlas-layer": Entry(title="Layer", icon=":material/layers:", atlas=True),
}


_CHOSEN = "in the address"
ALWAYS = ("model", "source", "text", "target", "run")


def begin() -> None:
    """At the start of a page: nothing is chosen on it yet."""
    st.session_state[_CHOSEN] = set(ALWAYS)


def stands_in_address(key: str) -> None:
    """A widget's value is part of the address that opens the same view. Args: key: of the widget and of the query parameter."""
    st.session_state.setdefault(_CHOSEN, set(ALWAYS)).add(key)


def here() -> str:
    """The address that opens this very view: what is chosen on the page and in the sidebar stands in it, also where it is the default."""
    keys = st.session_state.get(_CHOSEN, set(ALWAYS))
    chosen = {key: str(st.session_state[key]) for key in sorted(keys) if st.session_state.get(key) not in (None, "")}
    asked = urlencode({**st.query_params.to_dict(), **chosen})
    return f"{st.context.url or ''}{'?' if asked else ''}{asked}"


def home() -> str:
    """The page that is opened first."""
    return "atlas" if os.environ.get(RUN) else "prompt"


def page(name: str, show: Callable[[], None] = lambda: None):
    """A page of the navigation. To point to one, `show` is not needed: Streamlit knows it by its address."""
    entry = ENTRIES[name]
    return st.Page(show, title=entry.title, icon=entry.icon, url_path=name, default=name == home())


def link(name: str, label: str, **query: str) -> None:
    """A link to a page, in the same session; what it is to show stands in the address."""
    run = st.session_state.get("run") or ""
    asked = {**query, **({"run": run} if run and run != os.environ.get(RUN) else {})}
    st.page_link(page(name), label=label, icon=ENTRIES[name].icon, query_params=asked)
