"""The pages by name, so that one can point to another: where each is found, and which one is opened first."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
    "hierarchy": Entry(title="Hierarchy", icon=":material/stairs:"),
    "claims": Entry(title="Claims", icon=":material/gavel:"),
    "compare": Entry(title="Compare", icon=":material/compare:"),
    "atlas": Entry(title="Overview", icon=":material/map:", atlas=True),
    "atlas-head": Entry(title="Head", icon=":material/center_focus_strong:", atlas=True),
    "atlas-neuron": Entry(title="Neuron", icon=":material/bolt:", atlas=True),
    "atlas-layer": Entry(title="Layer", icon=":material/layers:", atlas=True),
}


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
