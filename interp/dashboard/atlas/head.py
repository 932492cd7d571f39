"""The page of a head: its numbers among all others', its examples by tenths, how far it looks, what its OV circuit writes."""

import streamlit as st

from interp.captures.atlas import heads
from interp.captures.atlas.opened import Atlas
from interp.core.sites import Site
from interp.dashboard import links, stacks
from interp.dashboard.atlas import excerpts, run
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.figures.figure import Figure
from interp.figures.from_profile import distance_bars
from interp.figures.from_results import curve

WRITES = (
    "From the weights alone: the strongest singular directions of W_V W_O (Elhage et al. 2021, the OV circuit). A direction reads tokens "
    "by their embeddings, alone in the stream, and writes toward the logits with the final norm's scale held at 1. Where the head attends "
    "is not in it; after the first layer a head reads more than the embedding; what later layers make of its writes is not in it either."
)


def show(atlas: Atlas) -> None:
    """The page, over a run that was opened."""
    run.title(atlas, "Head")
    names = heads.heads(atlas)
    if not names:
        st.info("This run holds no statistic of heads.", icon=":material/block:")
        return
    follow_link("head", names, "the head")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        head = st.selectbox("Head", names, key="head", bind="query-params", width=180)
        layer = head.partition("H")[0].partition("L")[2]
        links.link("atlas-layer", f"Layer {layer}", layer=layer, **stacks.link(Site.parse(head).stack))
        links.link("atlas", "All heads", part="heads")
    left, right = st.columns([5, 6], gap="large")
    with left:
        _standing(atlas, head)
        _distances(atlas, head)
        _induction(atlas, head)
        _most_attended(atlas, head)
    with right:
        _writes(atlas, head)
        _examples(atlas, head)


def _standing(atlas: Atlas, head: str) -> None:
    st.subheader(f"{head} among all heads", anchor=False)
    with in_plain_words():
        run.table_of(heads.standings(atlas, head), "head-standings")
        run.show_python(run.python(atlas, f"heads.standings(atlas, {head!r})", "heads"), "standings")


def _distances(atlas: Atlas, head: str) -> None:
    with in_plain_words():
        if head.startswith("X"):
            st.caption("Cross-attention has its queries and keys in two texts: they have no distance.")
        elif run.there(atlas, "distance_histogram"):
            figure = Figure(distance_bars(heads.distances(atlas, head), title=f"Weight by distance, {head}"))
            run.draw(atlas, figure, f"{head}-distances", f"interp.figure(heads.distances(atlas, {head!r}))", "heads")


def _induction(atlas: Atlas, head: str) -> None:
    with in_plain_words():
        if head.startswith("X"):
            return
        if run.there(atlas, "induction_profile"):
            figure = Figure(curve(heads.induction_profile(atlas, head), title=f"Weight on the latest earlier copy + shift, {head}"))
            run.draw(atlas, figure, f"{head}-induction", f"interp.figure(heads.induction_profile(atlas, {head!r}))", "heads")


def _most_attended(atlas: Atlas, head: str) -> None:
    st.markdown("**Attended to most, by most queries**")
    with in_plain_words():
        if run.there(atlas, "most_attended_token"):
            found = heads.most_attended(atlas, head)
            excerpts.lists([("tokens", found)], "of the queries")
            run.show_python(run.python(atlas, f"heads.most_attended(atlas, {head!r})", "heads"), "most-attended")


def _writes(atlas: Atlas, head: str) -> None:
    st.subheader("What its OV circuit writes", anchor=False)
    with in_plain_words():
        if not run.there(atlas, "head_promoted"):
            return
        found = heads.writes(atlas, head)
        if not found:
            st.caption("An encoder's head writes for the decoder to read: it has no way of its own to the logits.")
            return
        for number, direction in enumerate(found):
            st.markdown(f"**Direction {number}** :gray[{direction.share:.0%} of what it writes]")
            _direction(direction)
        st.caption(literal(WRITES))
        run.show_python(run.python(atlas, f"heads.writes(atlas, {head!r})", "heads"), "writes")


def _direction(direction: heads.Direction) -> None:
    toward = [("reads", direction.reads), ("promotes", direction.promoted)]
    against = [("reads against", direction.reads_against), ("suppresses", direction.suppressed)]
    excerpts.lists([row for row in (*toward, *against) if row[1]], "")


def _examples(atlas: Atlas, head: str) -> None:
    st.subheader("Examples by tenths", anchor=False)
    with in_plain_words():
        there = [name for name in heads.EXAMPLES if atlas.has(f"{name}_examples")]
        if not there:
            run.there(atlas, "previous_examples")
            return
        follow_link("of", there, "the statistic")
        name = st.segmented_control(
            "Examples of", there, default=there[0], required=True, key="of", bind="query-params", label_visibility="collapsed"
        )
        lacking = [each for each in heads.EXAMPLES if each not in there]
        about = atlas.variable(f"{name}_example_values").attrs
        st.caption(
            literal(
                f"Queries by their {about['long_name']}, from its highest tenth to its lowest; in each a few by lot, so that its usual "
                "work shows beside its best. The query is marked, its number stands before it."
            )
        )
        _tenths(heads.tenths(atlas, head, name))
        for each in lacking:
            run.there(atlas, f"{each}_examples")
        run.show_python(run.python(atlas, f"heads.tenths(atlas, {head!r}, {name!r})", "heads"), "tenths")


def _tenths(found: list[heads.Tenth]) -> None:
    rows = [
        excerpts.heading(f"{tenth.lower:.1f} to {tenth.upper:.1f}", f"{tenth.share:.1%} of the queries") + excerpts.told(tenth.examples)
        for tenth in found
        if tenth.examples
    ]
    excerpts.grid("".join(rows))
    empty = [f"{tenth.lower:.1f} to {tenth.upper:.1f}" for tenth in found if not tenth.examples]
    if empty:
        st.caption(f"No query in {', '.join(empty)}.")
