"""What do all heads look like at once? Their patterns as one picture; a click opens a head."""

from functools import partial

import streamlit as st

from interp.captures import patterns
from interp.captures.activations import Activations
from interp.core.sites import Stack, head_site
from interp.dashboard import footer, stacks
from interp.dashboard.views import heads
from interp.figures.figure import Figure
from interp.figures.from_results import pattern_mosaic


def show(seen: Activations, stack: Stack) -> None:
    """One small pattern for each head, layers from the top."""
    seen.model.require("patterns")
    form = heads.choose_form()
    figure = Figure(pattern_mosaic(patterns.mosaic(seen, form, stack or None)))
    drawn = footer.on_page(figure).update_layout(height=min(1000, 150 + 78 * seen.model.anatomy.stack(stack).n_layers))
    st.plotly_chart(drawn, key="mosaic", on_select=partial(_open, stack), selection_mode="points", config=footer.CONFIG, alt=figure.alt)
    st.caption("A click opens a head. Queries run down, keys run right, on one scale for all.")
    asked = "".join([f", {form!r}" if form != "raw" else "", stacks.argument(stack)])
    lines = footer.python_of(seen, f"mosaic(seen{asked})", "from interp.captures.patterns import mosaic")
    footer.under(figure, name=f"{seen.model.name}-{stack}{'-' if stack else ''}mosaic-{form}", python=lines)


def _open(stack: Stack) -> None:
    """The view of one head, on the head that was clicked."""
    points = st.session_state["mosaic"].selection.points
    if points:
        st.session_state["head"] = head_site(int(points[0]["y"]), int(points[0]["x"]), stack)
        st.session_state["view"] = "Heads"
