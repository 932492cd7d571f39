"""Which experts does each token go through, and what do an expert's neurons do there?"""

import streamlit as st
import torch

from interp.captures.activations import Activations
from interp.core.sites import Site, Stack
from interp.dashboard import footer, stacks
from interp.dashboard.views import neurons
from interp.dashboard.words import follow_link, literal
from interp.figures.figure import Figure
from interp.figures.from_results import expert_map
from interp.models.experts import has_shared

ROUTINGS = ("weights", "probabilities")
HELP = "weights: what multiplies each expert's output, 0 where the token was not sent to it. probabilities: the router's, of all experts."


def show(seen: Activations, stack: Stack) -> None:
    """The routing on the left, the chosen expert's neurons on the right."""
    chosen = choose(seen, stack)
    if chosen is None:
        return
    layer, expert, routing = chosen
    left, right = st.columns([5, 6], gap="large")
    with left:
        draw_routing(seen, layer, stack, expert, weights=routing == "weights")
    with right:
        _neurons(seen, expert, stack)


def choose(seen: Activations, stack: Stack) -> tuple[int, Site, str] | None:
    """The layer, the expert and what of its routing is looked at; None where the stack has no experts, which is said."""
    seen.model.require("experts")
    layers = neurons.layers_with(seen.model.anatomy, stack, experts=True)
    if not layers:
        st.info("No layer of this stack is a mixture of experts; its neurons are under Neurons, on the page FFN.", icon=":material/block:")
        return None
    return _choices(seen, stack, layers)


def _choices(seen: Activations, stack: Stack, layers: list[int]) -> tuple[int, Site, str]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        layer = neurons.choose_layer(layers)
        experts = [str(Site(stack=stack, layer=layer, kind="expert", index=index)) for index in range(seen.model.anatomy.n_experts)]
        _open_on(experts, seen.tensor("expert_weights", layer, stack))
        follow_link("expert", experts, "the expert")
        written = st.selectbox(
            "Expert", experts, key="expert", bind="query-params", width=160, help="Choose here, or click a cell of the map."
        )
        follow_link("routing", ROUTINGS, "the routing")
        routing = st.segmented_control(
            "Routing",
            ROUTINGS,
            default="weights",
            required=True,
            key="routing",
            bind="query-params",
            help=HELP,
        )
    return layer, seen.model.anatomy.part(written), routing


def _open_on(experts: list[str], weights: torch.Tensor) -> None:
    """First the expert that takes most tokens, unless a link asks for another; in another layer or stack the one of the same number."""
    kept = st.session_state.get("expert")
    if kept is None and "expert" not in st.query_params:
        st.session_state["expert"] = experts[int((weights != 0).sum(0).argmax())]
    elif kept is not None and kept not in experts:
        number = str(kept).rpartition("E")[2]
        st.session_state["expert"] = next((name for name in experts if name.endswith(f"E{number}")), experts[0])


def draw_routing(seen: Activations, layer: int, stack: Stack, expert: Site, *, weights: bool) -> None:
    """Tokens as rows, experts as columns. Args: weights: what multiplies each expert's output, or the router's probabilities."""
    result = seen.experts(layer, stack or None, weights=weights)
    long_name = str(result.attrs["long_name"])
    figure = Figure(expert_map(result, title=f"{long_name[:1].upper()}{long_name[1:]}{stacks.of(stack)}"))
    st.plotly_chart(
        footer.on_page(figure, clickable=True), key="routes", on_select=_pick, selection_mode="points", config=footer.CONFIG, alt=figure.alt
    )
    st.caption(literal(_about(seen, layer, stack, expert)))
    asked = f"layer={layer}{stacks.argument(stack)}{'' if weights else ', weights=False'}"
    name = f"{seen.model.name}-{'weights' if weights else 'probabilities'}-{stack}L{layer}"
    footer.under(figure, name=name, python=footer.python_of(seen, f"seen.experts({asked})"))


def _about(seen: Activations, layer: int, stack: Stack, expert: Site) -> str:
    chosen = seen.tensor("expert_weights", layer, stack) != 0
    n = len(chosen)
    lost = int((~chosen.any(-1)).sum())
    ffn = seen.model.anatomy.ffn(layer, stack)
    shared = ffn is not None and has_shared(seen.model.at(ffn.module))
    return " ".join(
        part
        for part in (
            f"{expert} takes {int(chosen[:, expert.index].sum())} of {n} tokens.",
            f"{lost} go through no expert, since theirs was full." if lost else "",
            "Every token goes through the shared experts as well, which are not drawn." if shared else "",
        )
        if part
    )


def _pick() -> None:
    """A click on a cell chooses its expert. A second click on the same cell takes the selection away: the expert stays chosen."""
    points = st.session_state["routes"].selection.points
    if points:
        st.session_state["clicked-expert"] = int(points[0]["x"])
    if "clicked-expert" in st.session_state:
        place = str(st.session_state["expert"]).rpartition("E")[0]
        st.session_state["expert"] = f"{place}E{st.session_state['clicked-expert']}"


def _neurons(seen: Activations, expert: Site, stack: Stack) -> None:
    result = seen.expert_neurons(str(expert))
    sent = seen.tensor("expert_weights", expert.layer, stack)[:, expert.index] != 0  # type: ignore[index]
    if not sent.any():
        st.info(f"No token of this text is sent to {expert}, so its neurons do nothing here.", icon=":material/call_split:")
        return
    places = [int(pos) for pos in sent.nonzero()[:, 0]]
    chosen = neurons.strongest(torch.from_numpy(result.values[places]))
    title = f"The {len(chosen)} strongest neurons of {expert}"
    figure = Figure(neurons.heat(seen, result.sel(neuron=chosen), [str(neuron) for neuron in chosen], title))
    python = footer.python_of(seen, f"seen.expert_neurons({str(expert)!r}).sel(neuron={chosen})")
    footer.draw(figure, name=f"{seen.model.name}-neurons-{expert}", python=python)
    st.caption("Grey: tokens that are not sent to this expert.")
