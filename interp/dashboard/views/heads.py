"""Which head does what here? A statistic of every head as a map; the chosen head's pattern beside it, and as lines between the words."""

import textwrap
from collections.abc import Mapping
from functools import partial
from typing import get_args

import streamlit as st

from interp import api
from interp.captures import patterns
from interp.captures.activations import Activations, Form
from interp.core.results import DataArray
from interp.core.sites import Stack, head_site
from interp.dashboard import footer, stacks
from interp.dashboard.views import arrow_keys, word_lines
from interp.dashboard.words import follow_link, in_plain_words, into_address, literal
from interp.figures.description import MOST_WORDS, quantity
from interp.figures.figure import Figure
from interp.figures.from_results import attention_pattern, head_map
from interp.measures.head_statistics import HEAD_STATISTICS

FORMS: Mapping[Form, str] = {"raw": "raw", "moved": "norm-weighted", "without_first": "without first token"}
FORM_HELP = (
    "raw: the weights after softmax. norm-weighted: each weight times the size of what it moves, so that resting on a token whose value is "
    "small counts little. without first token: the weights on all others, made to sum to 1."
)
NONE = "none"
assert set(FORMS) == set(get_args(Form))


def show(seen: Activations, stack: Stack) -> None:
    """The map on the left, the head on the right; what is chosen for both stands above, the lines between the words below."""
    seen.model.require("patterns")
    statistic, head, form, other = _choices(seen, stack)
    left, right = st.columns([5, 6], gap="large")
    with left:
        _map(seen, statistic, head, stack)
    with right:
        result, expression, imports = _pattern(seen, head, form, other)
        python = footer.python_of(seen, expression, *imports)
        versus = "" if other is None else f"-less-{other}"
        footer.draw(Figure(attention_pattern(result)), name=f"{seen.model.name}-{head}{versus}-{form}", python=python)
    _lines(result, f"{head}{'' if other is None else f' less {other}'}", crossed=stack == "X")
    if max(result.shape) > MOST_WORDS:
        st.caption(f"As a figure for print the lines are to be had of texts up to {MOST_WORDS} tokens.")
        return
    python = footer.python_of(seen, f"interp.word_lines({expression})", *imports)
    footer.under(api.word_lines(result), name=f"{seen.model.name}-{head}{versus}-{form}-lines", python=python)


def choose_form() -> Form:
    """What of each weight is shown."""
    follow_link("form", FORMS, "the form")
    return st.segmented_control(
        "Attention pattern",
        list(FORMS),
        format_func=FORMS.__getitem__,
        default="raw",
        required=True,
        key="form",
        bind="query-params",
        help=FORM_HELP,
    )


def _choices(seen: Activations, stack: Stack) -> tuple[str, str, Form, str | None]:
    shape = seen.model.anatomy.stack(stack)
    heads = [head_site(layer, head, stack) for layer in range(shape.n_layers) for head in range(shape.n_heads)]
    # Cross-attention has its queries and its keys in two texts: a statistic that compares their places has no meaning.
    statistics = {name: known.long_name for name, known in HEAD_STATISTICS.items() if stack != "X" or name == "entropy"}
    follow_link("statistic", statistics, "the statistic")
    follow_link("head", heads, "the head")
    into_address("head")
    left, right = st.columns([5, 6], gap="large", vertical_alignment="bottom")
    wide, narrow = left.columns([2, 1])
    statistic = wide.selectbox(
        "Statistic of each head", list(statistics), format_func=statistics.__getitem__, key="statistic", bind="query-params"
    )
    head = narrow.selectbox(
        "Head", heads, key="head", bind="query-params", help="Choose here, click a cell of the map, or walk over it with the arrow keys."
    )
    with right, st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        form = choose_form()
        others = [NONE, *(each for each in heads if each != head)]
        if st.session_state.get("less", NONE) not in others:
            st.session_state["less"] = NONE  # of another stack, or the head itself
        follow_link("less", others, "the head to compare with")
        other = st.selectbox(
            "Difference to",
            others,
            key="less",
            bind="query-params",
            width=130,
            help="Draws where the head looks more than this one, and where less.",
        )
    return statistic, head, form, None if other == NONE else other


def _map(seen: Activations, statistic: str, head: str, stack: Stack) -> None:
    result = _measured(seen.model.name, seen.model.fingerprint, seen.provenance.data, statistic, stack, seen)
    figure = Figure(head_map(result, marks=[head]))
    with st.container(key="head-map"):
        st.plotly_chart(
            _narrow(figure, result.attrs["units"]),
            key="map",
            on_select=partial(_clicked, stack),
            selection_mode="points",
            config=footer.CONFIG,
            alt=figure.alt,
        )
    site = seen.model.anatomy.head(head)
    arrow_keys.listen(
        "head-map",
        (site.layer, int(site.index or 0)),
        (result.sizes["layer"], result.sizes["head"]),
        partial(_choose, stack),
        label="Map of heads; arrow keys choose the next layer or head",
    )
    value = float(result.sel(layer=site.layer, head=site.index))
    st.markdown(f"**{head}** · {literal(quantity(result.attrs['long_name'], result.attrs['units']))}: **{value:.4g}**")
    name = f"{seen.model.name}-{stack}{'-' if stack else ''}{statistic}"
    footer.under(figure, name=name, python=footer.python_of(seen, f"seen.head_map({statistic!r}{stacks.argument(stack)})"))
    if stack == "X":
        st.caption("The queries are the target's tokens and the keys the text's, so that statistics which compare places are left out.")


@st.cache_resource(max_entries=8, scope="session", show_spinner=False)
def _measured(name: str, fingerprint: str, data: str, statistic: str, stack: Stack, _seen: Activations) -> DataArray:
    """The map of a statistic, kept while one walks from head to head: of a long text it takes longer than all else."""
    return _seen.head_map(statistic, stack or None)


def _narrow(figure: Figure, units: str):
    """For half a page: the title in short lines, beside the scale its unit alone, since the title says the rest."""
    title = "<br>".join(textwrap.wrap(figure.description.title, 36, break_on_hyphens=False))
    drawn = footer.on_page(figure, clickable=True).update_layout(title={"text": title}, margin={"t": 28 + 20 * (title.count("<br>") + 1)})
    return drawn.update_traces(colorbar={"title": {"text": "" if units == "1" else units}}, selector={"type": "heatmap"})


def _clicked(stack: Stack) -> None:
    """A click on a cell chooses its head. A second click on the same cell takes the selection away: the head stays chosen."""
    points = st.session_state["map"].selection.points
    if points:
        # its customdata says the same, but a typed array comes back from the browser as {"0": row, "1": column, ...}
        _choose(stack, int(points[0]["y"]), int(points[0]["x"]))
    elif "chosen head" in st.session_state:
        st.session_state["head"] = st.session_state["chosen head"]


def _choose(stack: Stack, layer: int, head: int) -> None:
    st.session_state["head"] = st.session_state["chosen head"] = head_site(layer, head, stack)


def _pattern(seen: Activations, head: str, form: Form, other: str | None) -> tuple[DataArray, str, list[str]]:
    """What is drawn, and in Python; of a long text the queries and keys that are chosen here."""
    asked = "" if form == "raw" else f", {form!r}"
    if other is None:
        result, expression, names = seen.pattern(head, form), f"seen.pattern({head!r}{asked})", []
    else:
        result, names = patterns.difference(seen, head, other, form), ["difference"]
        expression = f"difference(seen, {head!r}, {other!r}{asked})"
    if max(result.shape) > patterns.MOST:
        queries, keys = _windows(result)
        result, names = patterns.block(result, queries, keys), [*names, "block"]
        expression = f"block({expression}, {queries}, {keys})"
    return result, expression, [f"from interp.captures.patterns import {', '.join(sorted(names))}"] if names else []


def _windows(result: DataArray) -> tuple[int, int]:
    """Where the queries and the keys that are drawn begin: all of a long text's would be megabytes for each head."""
    found = []
    for column, axis in zip(st.columns(2), ("query_pos", "key_pos"), strict=True):
        n = result.sizes[axis]
        options = {f"{start}": f"{start} to {min(start + patterns.MOST, n) - 1} of {n}" for start in range(0, n, patterns.MOST)}
        key = axis.replace("_pos", "_from")
        if st.session_state.get(key, "0") not in options:
            st.session_state[key] = "0"
        follow_link(key, options, "the position")
        what = {"query_pos": "Queries", "key_pos": "Keys"}[axis]
        found.append(int(column.selectbox(what, list(options), format_func=options.__getitem__, key=key, bind="query-params")))
    return found[0], found[1]


def _lines(result: DataArray, name: str, *, crossed: bool) -> None:
    st.subheader(literal(f"Between the words, {name}"), anchor=False)
    with in_plain_words():
        word_lines.show(result, crossed=crossed)
