"""The dashboard's frame: page settings, navigation, and in the sidebar the model, or the run that the atlas shows.

A page's own module is loaded when the page is opened: the atlas needs no model, and does not wait for the libraries that run one.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import streamlit as st

from interp.dashboard import links, loading, offered

VIEWS = {
    "prompt": "interp.dashboard.views.prompt",
    "ffn": "interp.dashboard.views.ffn",
    "residual": "interp.dashboard.views.residual",
    "interventions": "interp.dashboard.views.interventions",
    "hierarchy": "interp.dashboard.views.hierarchy",
    "claims": "interp.dashboard.views.claims",
    "compare": "interp.dashboard.views.compare",
    "report": "interp.dashboard.views.report",
    "atlas": "interp.dashboard.atlas.overview",
    "atlas-head": "interp.dashboard.atlas.head",
    "atlas-neuron": "interp.dashboard.atlas.neuron",
    "atlas-layer": "interp.dashboard.atlas.layer",
}


def main() -> None:
    """Run the page that the address asks for, on what stands in the sidebar."""
    st.set_page_config(page_title="interp", page_icon=":material/biotech:", layout="wide")
    links.begin()
    chosen: dict[str, Any] = {}
    pages = {name: links.page(name, _showing(name, chosen)) for name in links.ENTRIES}
    of_model, of_run = ([page for name, page in pages.items() if links.ENTRIES[name].atlas == atlas] for atlas in (False, True))
    page = st.navigation({"A model": of_model, "Atlas of a run": of_run})
    chosen["on"] = _run() if page in of_run else _model()
    page.run()


def _showing(name: str, chosen: dict[str, Any]) -> Callable[[], None]:
    """A page over the model or the run; without one there is nothing to show but the message that says why, and what was pinned."""

    def page() -> None:
        if chosen["on"] is not None or name == "report":
            import_module(VIEWS[name]).show(chosen["on"])

    return page


def _model() -> Any:
    source = offered.ask()
    loading.wait()
    from interp.dashboard import chosen

    return chosen.model(source)


def _run() -> Any:
    loading.wait()
    from interp.dashboard.atlas import run

    return run.chosen()


if __name__ == "__main__":
    main()
