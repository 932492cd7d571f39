"""The page of a neuron: its numbers among all others', its top texts, how its activations are spread, what it promotes."""

import streamlit as st

from interp.captures.atlas import neurons
from interp.captures.atlas.neurons import Neuron
from interp.captures.atlas.opened import Atlas
from interp.captures.atlas.statistics import ranked, statistic, statistics
from interp.core.sites import Stack
from interp.dashboard import links, stacks
from interp.dashboard.atlas import excerpts, overview, run
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.figures.figure import Figure
from interp.figures.from_profile import histogram_bars, label_bars

PROMOTED = (
    "From the weights alone: the neuron's row of W_out through the unembedding, with the final norm's scale held at 1 (Geva et al. 2022). "
    "What later layers make of it is not in it."
)


def show(atlas: Atlas) -> None:
    """The page, over a run that was opened."""
    run.title(atlas, "Neuron")
    sorts = neurons.sorts(atlas)
    if not sorts:
        run.there(atlas, "neuron_mean")
        return
    with in_plain_words():
        one = _choose(atlas, sorts)
        left, right = st.columns([5, 6], gap="large")
        with left:
            _standing(atlas, one)
            _histogram(atlas, one)
            if not one.stack:  # pairs carry no parts of speech
                _labels(atlas, one)
        with right:
            _promoted(atlas, one)
            _top(atlas, one)


def _choose(atlas: Atlas, sorts: list) -> Neuron:
    """By its name; first the one with the largest activation of all."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        sort = sorts[0]
        if len(sorts) > 1:
            follow_link("sort", sorts, "the sort")
            sort = st.segmented_control("Sort", sorts, default=sorts[0], required=True, key="sort", bind="query-params")
        stack = overview.stack_of(atlas, sort)
        example = _first(atlas, sort, stack)
        if neurons.kind_of(st.session_state.get("neuron") or "") not in (None, neurons.kind_of(example)):
            st.session_state.pop("neuron", None)  # of another sort or stack
        written = st.text_input(
            "Neuron", example, key="neuron", bind="query-params", width=180, help=f"Such as {example}; layers and neurons count from 0."
        )
        one = neurons.neuron(atlas, written or example, sort)
        links.link("atlas-layer", f"Layer {one.layer}", layer=str(one.layer), **stacks.link(one.stack))
        links.link("atlas", "All neurons", part=sort, view="List", **stacks.link(one.stack))
    return one


def _first(atlas: Atlas, sort, stack: Stack) -> str:
    names = statistics(atlas, sort)
    largest = next((name for name in names if name.endswith("neuron_max")), next(iter(names)))
    return ranked(statistic(atlas, largest, stack), 1, stack=stack)[0].site


def _call(function: str, one: Neuron) -> str:
    shared = f", {one.sort!r}" if one.sort == "shared neurons" else ""
    return f"neurons.{function}(atlas, neurons.neuron(atlas, {str(one)!r}{shared}))"


def _standing(atlas: Atlas, one: Neuron) -> None:
    st.subheader(f"{one} among all {one.sort}{stacks.of(one.stack)}", anchor=False)
    run.table_of(neurons.standings(atlas, one), "neuron-standings")
    run.show_python(run.python(atlas, _call("standings", one), "neurons"), "standings")


def _histogram(atlas: Atlas, one: Neuron) -> None:
    with in_plain_words():
        if run.there(atlas, one.name("neuron_histogram")):
            figure = Figure(histogram_bars(neurons.histogram(atlas, one), title=f"Tokens by activation, {one}"))
            run.draw(atlas, figure, f"{one}-histogram", f"interp.figure({_call('histogram', one)})", "neurons")


def _labels(atlas: Atlas, one: Neuron) -> None:
    with in_plain_words():
        if run.there(atlas, one.name("neuron_active_by_upos")):
            figure = Figure(label_bars(neurons.by_label(atlas, one), title=f"Share of tokens above 0 by part of speech, {one}"))
            run.draw(atlas, figure, f"{one}-upos", f"interp.figure({_call('by_label', one)})", "neurons")


def _promoted(atlas: Atlas, one: Neuron) -> None:
    st.subheader("What it writes", anchor=False)
    with in_plain_words():
        if run.there(atlas, one.name("neuron_promoted")):
            up, down = neurons.promoted(atlas, one)
            excerpts.lists([("promotes", up), ("suppresses", down)], "logits per activation")
            st.caption(literal(PROMOTED))
            run.show_python(run.python(atlas, _call("promoted", one), "neurons"), "promoted")


def _top(atlas: Atlas, one: Neuron) -> None:
    st.subheader("Its top texts", anchor=False)
    with in_plain_words():
        if run.there(atlas, one.name("neuron_top")):
            found = neurons.top_texts(atlas, one)
            if not found:
                st.caption("No token of the corpus was sent to it.")
                return
            st.caption("Its largest activations: the tail of what it does, which often tells a clearer story than the rest.")
            excerpts.grid(excerpts.told(found))
            run.show_python(run.python(atlas, _call("top_texts", one), "neurons"), "top")
