"""Which head does what here? A statistic of every head as a map; the chosen head's pattern beside it."""

from collections.abc import Mapping
from functools import partial
from typing import get_args

import streamlit as st

from interp.captures.activations import Activations, Form
from interp.core.sites import Stack, head_site
from interp.dashboard import footer
from interp.dashboard.views import stacks
from interp.dashboard.words import follow_link, literal
from interp.figures.description import quantity
from interp.figures.figure import Figure
from interp.figures.from_results import attention_pattern, head_map
from interp.measures.head_statistics import HEAD_STATISTICS

FORMS: Mapping[Form, str] = {"raw": "raw", "moved": "norm-weighted", "without_first": "without first token"}
FORM_HELP = (
    "raw: the weights after softmax. norm-weighted: each weight times the size of what it moves, so that resting on a token whose value is "
    "small counts little. without first token: the weights on all others, made to sum to 1."
)
assert set(FORMS) == set(get_args(Form))


def show(seen: Activations, stack: Stack) -> None:
    """The map on the left, the head on the right; what is chosen for both stands above."""
    seen.model.require("patterns")
    statistic, head, form = _choices(seen, stack)
    left, right = st.columns([5, 6], gap="large")
    with left:
        _map(seen, statistic, head, stack)
    with right:
        _pattern(seen, head, form)


def _choices(seen: Activations, stack: Stack) -> tuple[str, str, Form]:
    shape = seen.model.anatomy.stack(stack)
    heads = [head_site(layer, head, stack) for layer in range(shape.n_layers) for head in range(shape.n_heads)]
    # Cross-attention has its queries and its keys in two texts: a statistic that compares their places has no meaning.
    statistics = {name: known.long_name for name, known in HEAD_STATISTICS.items() if stack != "X" or name == "entropy"}
    follow_link("statistic", statistics, "the statistic")
    follow_link("head", heads, "the head")
    follow_link("form", FORMS, "the form")
    left, right = st.columns([5, 6], gap="large", vertical_alignment="bottom")
    wide, narrow = left.columns([2, 1])
    statistic = wide.selectbox(
        "Statistic of each head", list(statistics), format_func=statistics.__getitem__, key="statistic", bind="query-params"
    )
    head = narrow.selectbox("Head", heads, key="head", bind="query-params", help="Choose here, or click a cell of the map.")
    form = right.segmented_control(
        "Attention pattern",
        list(FORMS),
        format_func=FORMS.__getitem__,
        default="raw",
        required=True,
        key="form",
        bind="query-params",
        help=FORM_HELP,
    )
    return statistic, head, form


def _map(seen: Activations, statistic: str, head: str, stack: Stack) -> None:
    result = seen.head_map(statistic, stack or None)
    figure = Figure(head_map(result, marks=[head]))
    st.plotly_chart(
        footer.on_page(figure, clickable=True),
        key="map",
        on_select=partial(_pick, stack),
        selection_mode="points",
        config=footer.CONFIG,
        alt=figure.alt,
    )
    site = seen.model.anatomy.head(head)
    value = float(result.sel(layer=site.layer, head=site.index))
    st.markdown(f"**{head}** · {literal(quantity(result.attrs['long_name'], result.attrs['units']))}: **{value:.4g}**")
    name = f"{seen.model.name}-{stack}{'-' if stack else ''}{statistic}"
    footer.under(figure, name=name, python=footer.python_of(seen, f"seen.head_map({statistic!r}{stacks.argument(stack)})"))
    if stack == "X":
        st.caption("The queries are the target's tokens and the keys the text's, so that statistics which compare places are left out.")


def _pick(stack: Stack) -> None:
    """A click on a cell chooses its head. A second click on the same cell takes the selection away: the head stays chosen."""
    points = st.session_state["map"].selection.points
    if points:
        # its customdata says the same, but a typed array comes back from the browser as {"0": row, "1": column, ...}
        st.session_state["clicked"] = head_site(int(points[0]["y"]), int(points[0]["x"]), stack)
    if "clicked" in st.session_state:
        st.session_state["head"] = st.session_state["clicked"]


def _pattern(seen: Activations, head: str, form: Form) -> None:
    result = seen.pattern(head, form)
    figure = Figure(attention_pattern(result))
    asked = f"{head!r}" if form == "raw" else f"{head!r}, {form!r}"
    footer.draw(figure, name=f"{seen.model.name}-{head}-{form}", python=footer.python_of(seen, f"seen.pattern({asked})"))
