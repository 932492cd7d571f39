"""The atlas's first page: a statistic of all heads as a map, two statistics against each other, the largest and the smallest."""

from pathlib import Path

import streamlit as st

from interp.captures.atlas import statistics
from interp.captures.atlas.opened import Atlas
from interp.captures.atlas.statistics import Part, Ranked
from interp.core.results import DataArray
from interp.core.sites import Site, Stack
from interp.dashboard import footer, links, stacks
from interp.dashboard.atlas import run
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.figures.description import quantity
from interp.figures.figure import Figure
from interp.figures.from_profile import scatter
from interp.figures.from_results import head_map

VIEWS = ("Map", "Scatter", "List")
K = 50
PAGES = {"heads": "atlas-head", "experts": "atlas-layer"}


def show(atlas: Atlas) -> None:
    """The page, over a run that was opened."""
    run.title(atlas, "Atlas")
    there = statistics.parts(atlas)
    if not there:
        st.info("This run holds no statistic of heads, neurons or experts; the page Layer shows what it has.", icon=":material/block:")
        return
    with st.container(horizontal=True, gap="large"):
        part = _choose("part", there, "what is shown")
        stack = stack_of(atlas, part)
        view = _choose("view", [view for view in VIEWS if view != "Map" or part in ("heads", "experts")], "the view")
    with in_plain_words():
        {"Map": _map, "Scatter": _scatter, "List": _list}[view](atlas, part, stack)


def _choose(key: str, options: list, what: str):
    follow_link(key, options, what)
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)  # chosen for another part, which has more views
    return st.segmented_control(
        what,
        options,
        default=options[0],
        required=True,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )


def stack_of(atlas: Atlas, part: Part = "heads") -> Stack:
    """Whose heads, neurons or experts are shown, over pairs; "" without a question in a model with one stack."""
    if atlas.stacks == ("",):
        return ""
    return stacks.among([stack for stack in atlas.stacks if part == "heads" or stack != "X"])  # cross-attention has heads alone


def choose_statistic(atlas: Atlas, part: Part, label: str, key: str, index: int = 0) -> str:
    """One of a part's statistics, by its name; a link may give either. Args: index: of the one that is offered first."""
    options = statistics.statistics(atlas, part)
    follow_link(key, options, "the statistic")
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    names = list(options)
    names.insert(0, names.pop(min(index, len(names) - 1)))
    return st.selectbox(label, names, format_func=options.__getitem__, key=key, bind="query-params")


def _map(atlas: Atlas, part: Part, stack: Stack) -> None:
    left, right = st.columns([7, 5], gap="large")
    with left:
        name = choose_statistic(atlas, part, f"Statistic of all {part}", f"{part}-statistic")
        result = statistics.statistic(atlas, name, stack)
        drawn = result.rename(expert="head") if part == "experts" else result
        cell = _cell(result)
        figure = Figure(head_map(drawn, marks=[str(drawn.site.values[cell])] if part == "heads" and cell is not None else []))
        st.plotly_chart(
            footer.on_page(figure, clickable=True),
            key="atlas-map",
            on_select=_pick_cell,
            selection_mode="points",
            config=footer.CONFIG,
            alt=figure.alt,
        )
        if run.computed(result):
            st.caption(run.computed(result))
        _under(atlas, figure, name, stack, "interp.figure({})")
    with right:
        _chosen(result, part, stack, cell)
        _largest_and_smallest(result, stack)


def _cell(result: DataArray) -> tuple[int, int] | None:
    """The cell that was clicked, or the one with the largest number; None in a map without any number."""
    kept: tuple[int, int] | None = st.session_state.get("atlas-cell")
    if kept is not None and all(at < size for at, size in zip(kept, result.shape, strict=True)):
        return kept
    best = statistics.ranked(result, 1)
    if not best:
        return None
    names = statistics.names_of(result)
    row, column = (int(at[0]) for at in (names == best[0].site).nonzero())
    return row, column


def _pick_cell() -> None:
    points = st.session_state["atlas-map"].selection.points
    if points:
        st.session_state["atlas-cell"] = int(points[0]["y"]), int(points[0]["x"])


def _chosen(result: DataArray, part: Part, stack: Stack, cell: tuple[int, int] | None) -> None:
    """The chosen cell: its number, and the way to its page."""
    if cell is None:
        st.info("No number: no token of the corpus has one.", icon=":material/block:")
        return
    site, value = str(statistics.names_of(result, stack)[cell]), float(result.values[cell])
    st.markdown(f"**{site}** · {literal(quantity(result.attrs['long_name'], result.attrs['units']))}: **{value:.4g}**")
    point_to(site, part)
    st.caption("Click a cell of the map to choose another.")


def point_to(site: str, part: Part) -> None:
    """A link to the page of a head, a neuron, or an expert's layer."""
    if part == "heads":
        links.link("atlas-head", f"The page of {site}", head=site)
    elif part == "experts":
        place = Site.parse(site)
        links.link("atlas-layer", f"The page of layer {place.layer}", layer=str(place.layer), **stacks.link(place.stack))
    else:
        also = {"sort": part} if part == "shared neurons" else {}
        links.link("atlas-neuron", f"The page of {site}", neuron=site, **also)


def _largest_and_smallest(result: DataArray, stack: Stack) -> None:
    left, right = st.columns(2)
    for column, largest, name in ((left, True, "Largest"), (right, False, "Smallest")):
        with column:
            st.markdown(f"**{name}**")
            st.dataframe(
                _columns(statistics.ranked(result, 12, largest=largest, stack=stack)),
                hide_index=True,
                column_config={"value": st.column_config.NumberColumn(format="%.4g")},
                key=f"atlas-{name}",
            )


def _columns(found: list[Ranked]) -> dict[str, list]:
    return {"site": [each.site for each in found], "value": [each.value for each in found]}


def _scatter(atlas: Atlas, part: Part, stack: Stack) -> None:
    left, right = st.columns(2)
    with left:
        x = choose_statistic(atlas, part, "Across", f"{part}-x")
    with right:
        y = choose_statistic(atlas, part, "Up", f"{part}-y", 1)
    one, other, names = statistics.pairs(atlas, x, y, stack)
    chosen = st.session_state.get("atlas-point")
    drawn = scatter(one, other, names, marks=[chosen] if chosen else [])
    figure = Figure(drawn)
    st.plotly_chart(
        footer.on_page(figure, clickable=True),
        key="atlas-scatter",
        on_select=_pick_point,
        selection_mode="points",
        config=footer.CONFIG,
        alt=figure.alt,
    )
    if chosen and chosen in drawn.labels:
        point_to(chosen, part)
    else:
        st.caption("Click a point to choose it.")
    lines = f"Figure(scatter(*statistics.pairs(atlas, {x!r}, {y!r}{_also(stack)})))"
    python = run.python(atlas, lines, "statistics").replace(
        "\natlas =", "\nfrom interp.figures.figure import Figure\nfrom interp.figures.from_profile import scatter\natlas =", 1
    )
    footer.under(figure, name=f"{Path(atlas.made.model).name}-{stack}{x}-{y}", python=python)


def _pick_point() -> None:
    points = st.session_state["atlas-scatter"].selection.points
    if points:
        st.session_state["atlas-point"] = str(points[0].get("text", "")) or None


def _list(atlas: Atlas, part: Part, stack: Stack) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        name = choose_statistic(atlas, part, f"Statistic of all {part}", f"{part}-statistic")
        follow_link("order", ("largest", "smallest"), "the order")
        order = st.segmented_control("Order", ("largest", "smallest"), default="largest", required=True, key="order", bind="query-params")
    result = statistics.statistic(atlas, name, stack)
    found = statistics.ranked(result, K, largest=order == "largest", stack=stack)
    if not found:
        st.info("No number: no token of the corpus has one.", icon=":material/block:")
        return
    st.markdown(f"**{literal(quantity(result.attrs['long_name'], result.attrs['units']))}**, the {len(found)} {order} of {result.size:,}")
    told = st.dataframe(
        {"place": list(range(1, len(found) + 1)), **_columns(found)},
        hide_index=True,
        height=min(38 + 35 * len(found), 560),
        on_select="rerun",
        selection_mode="single-row",
        column_config={"value": st.column_config.NumberColumn(format="%.4g")},
        key=f"atlas-list-{name}-{order}-{stack}",
        width=520,
    )
    rows = told["selection"]["rows"]
    point_to(found[rows[0] if rows and rows[0] < len(found) else 0].site, part)
    lines = f"statistics.ranked(statistics.statistic(atlas, {name!r}{_also(stack)}), {K}, largest={order == 'largest'}{_named(stack)})"
    run.show_python(run.python(atlas, lines, "statistics"), "list")
    st.caption(literal(f"{run.origin(atlas)} {run.computed(result)}"))


def _under(atlas: Atlas, figure: Figure, name: str, stack: Stack, drawn: str) -> None:
    lines = drawn.format(f"statistics.statistic(atlas, {name!r}{_also(stack)})")
    footer.under(figure, name=f"{Path(atlas.made.model).name}-{stack}{name}", python=run.python(atlas, lines, "statistics"))


def _also(stack: Stack) -> str:
    return f", {stack!r}" if stack else ""


def _named(stack: Stack) -> str:
    return f", stack={stack!r}" if stack else ""
