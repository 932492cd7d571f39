"""The page of a layer: its heads, neurons and experts, beside those of other layers; what its sublayers write."""

import streamlit as st

from interp.captures.atlas import layers, statistics
from interp.captures.atlas.opened import Atlas
from interp.captures.atlas.statistics import Part
from interp.core.sites import Stack
from interp.dashboard import stacks
from interp.dashboard.atlas import excerpts, overview, run
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.figures.figure import Figure
from interp.figures.from_profile import label_bars, number_lines, spread_lines
from interp.figures.from_results import curve

MOST = 12


def show(atlas: Atlas) -> None:
    """The page, over a run that was opened."""
    run.title(atlas, "Layer")
    options = [str(layer) for layer in range(atlas.size("layer"))]
    follow_link("layer", options, "the layer")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        layer = int(st.selectbox("Layer", options, key="layer", bind="query-params", width=160))
        stack = overview.stack_of(atlas)
    own: Stack = "D" if stack == "X" else stack  # cross-attention has heads of its own, and the decoder's stream, neurons and experts
    for part in statistics.parts(atlas):
        with in_plain_words():
            _part(atlas, layer, part, stack if part == "heads" else own)
    with in_plain_words():
        _experts(atlas, layer, own)
        _stream(atlas, own)


def _part(atlas: Atlas, layer: int, part: Part, stack: Stack) -> None:
    """A statistic of one part: in this layer on the left, in all layers on the right."""
    st.subheader(part.capitalize(), anchor=False)
    name = overview.choose_statistic(atlas, part, f"Statistic of the {part}", f"layer-{part}")
    every = statistics.statistic(atlas, name, stack)
    if layer not in every.layer.values.tolist():
        st.info(f"Layer {layer} of this stack has none.", icon=":material/block:")
        return
    left, right = st.columns([5, 6], gap="large")
    with left:
        _ranked(atlas, every.sel(layer=[layer]), part, stack, name)
    with right:
        spread, long_name = layers.spread(atlas, name, stack), str(every.attrs["long_name"])
        figure = Figure(spread_lines(*spread, title=f"{long_name[:1].upper()}{long_name[1:]}: median and 5 % to 95 % of each layer"))
        run.draw(atlas, figure, f"{stack}{name}-spread", f"layers.spread(atlas, {name!r}{_also(stack)})", "layers")


def _ranked(atlas: Atlas, of_layer, part: Part, stack: Stack, name: str) -> None:
    found = statistics.ranked(of_layer, MOST, stack=stack)
    if not found:
        st.info("No number here: no token of the corpus has one.", icon=":material/block:")
        return
    told = st.dataframe(
        {"site": [each.site for each in found], "value": [each.value for each in found]},
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config={"value": st.column_config.NumberColumn(format="%.4g")},
        key=f"layer-list-{part}-{name}-{stack}",
    )
    if part != "experts":
        rows = told["selection"]["rows"]
        overview.point_to(found[rows[0] if rows and rows[0] < len(found) else 0].site, part)


def _experts(atlas: Atlas, layer: int, stack: Stack) -> None:
    """Which tokens go to which expert, in a mixture."""
    if not atlas.size("expert"):
        return
    st.subheader("Which tokens go where", anchor=False)
    if run.there(atlas, "expert_token_ids"):
        found = layers.expert_tokens(atlas, layer, stack)
        if not found:
            st.caption("This layer is no mixture of experts.")
            return
        rows = [(f"{stack}L{layer}E{expert}", [(token, excess) for token, _, excess in tokens]) for expert, tokens in found.items()]
        excerpts.lists(rows, "occurrences above its load")
        st.caption("The tokens that each expert gets most above what its load alone would send it.")
        run.show_python(run.python(atlas, f"layers.expert_tokens(atlas, {layer}{_also(stack)})", "layers"), "experts")


def _stream(atlas: Atlas, stack: Stack) -> None:
    """What is kept of a stack's stream, which is of all layers."""
    st.subheader(f"The stream{stacks.of(stack)}, at all depths", anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        if run.there(atlas, "write_norm"):
            norm, *cosines = layers.sublayer_writes(atlas, stack)
            writes = f"layers.sublayer_writes(atlas{_also(stack)})"
            run.draw(atlas, Figure(label_bars(norm)), f"{stack}write-norm", f"interp.figure({writes}[0])", "layers")
            if cosines:
                figure = Figure(number_lines(cosines, title="Direction of what each sublayer writes"))
                run.draw(atlas, figure, f"{stack}write-cosines", f"{writes}[1:]", "layers")
                st.caption(literal(f"Sublayers in the order in which they write: {', '.join(map(str, norm.sublayer.values))}."))
    with right:
        _by_depth(atlas, stack)
        for name in (*(() if stack == "E" else (layers.LOSS,)), "effective_rank"):
            if not atlas.has(name):
                run.there(atlas, name)


def _by_depth(atlas: Atlas, stack: Stack) -> None:
    """One of the numbers that the stream has at each depth."""
    found = layers.by_depth(atlas, stack)
    if not found:
        return
    options = {str(result.name): str(result.attrs["long_name"]) for result in found}
    follow_link("stream-statistic", options, "the statistic")
    if st.session_state.get("stream-statistic") not in options:
        st.session_state.pop("stream-statistic", None)  # chosen for the other stack
    name = st.selectbox(
        "Statistic of the stream", list(options), format_func=options.__getitem__, key="stream-statistic", bind="query-params"
    )
    at = list(options).index(name)
    lines = f"interp.figure(layers.by_depth(atlas{_also(stack)})[{at}])"
    run.draw(atlas, Figure(curve(found[at])), f"{stack}{name}", lines, "layers")


def _also(stack: Stack) -> str:
    return f", {stack!r}" if stack else ""
