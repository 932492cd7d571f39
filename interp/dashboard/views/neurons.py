"""Which FFN neurons does this text switch on, and how many of them at once?"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import streamlit as st
from torch import Tensor

from interp.captures.activations import Activations
from interp.core.errors import CheckFailed
from interp.core.results import DataArray
from interp.core.sites import Site, Stack
from interp.dashboard import footer, stacks
from interp.dashboard.words import follow_link, literal
from interp.figures.description import HeatMap, Lines, Series
from interp.figures.figure import Figure
from interp.measures.neurons import fraction_active, hoyer_sparsity, top_neurons
from interp.models.anatomy import Anatomy

MOST = 12
_SPARSITY: dict[str, Callable[[Tensor], Tensor]] = {"fraction active": fraction_active, "Hoyer sparsity": hoyer_sparsity}


def show(seen: Activations, stack: Stack) -> None:
    """A layer's strongest neurons on the left, sparsity by layer on the right."""
    layers = layers_with(seen.model.anatomy, stack, experts=False)
    if not layers and seen.model.anatomy.n_experts:
        raise CheckFailed(f"{seen.model.name}{stacks.of(stack)}: every FFN is a mixture of experts; the view Experts shows their neurons")
    seen.model.require("neurons")
    layer = choose_layer(layers)
    _say_what_they_are(seen, stack, layers)
    left, right = st.columns([6, 5], gap="large")
    with left:
        _strongest(seen, layer, stack)
        table(
            f"Largest activations of layer {layer}{stacks.of(stack)}",
            seen.tensor("post", layer, stack),
            seen.row(stack).tokens,
            lambda neuron: str(Site(stack=stack, layer=layer, kind="neuron", index=neuron)),
        )
    with right:
        _sparsity(seen, layers, stack)


def layers_with(anatomy: Anatomy, stack: Stack, *, experts: bool) -> list[int]:
    """The layers of a stack whose FFN is a mixture of experts, or is not."""
    found = [(layer, anatomy.ffn(layer, stack)) for layer in range(anatomy.stack(stack).n_layers)]
    return [layer for layer, ffn in found if ffn is not None and bool(ffn.experts) == experts]


def choose_layer(layers: list[int]) -> int:
    """The layer that is looked at."""
    options = [str(layer) for layer in layers]
    follow_link("layer", options, "the layer")
    return int(st.selectbox("Layer", options, key="layer", bind="query-params", width=160))


def _say_what_they_are(seen: Activations, stack: Stack, layers: list[int]) -> None:
    """Which layers are left out, and what a neuron is where it is gated."""
    anatomy = seen.model.anatomy
    mixed = layers_with(anatomy, stack, experts=True)
    elsewhere = f"Mixtures of experts are under Experts: layer{'s' if mixed[1:] else ''} {', '.join(map(str, mixed))}." if mixed else ""
    gated = any((ffn := anatomy.ffn(layer, stack)) is not None and ffn.gate for layer in layers)
    gate = f"The FFN is gated: a neuron is {anatomy.activation}(gate) × up, so it may be strongly negative, too." if gated else ""
    if elsewhere or gate:
        st.caption(literal(" ".join(part for part in (gate, elsewhere) if part)))


def _strongest(seen: Activations, layer: int, stack: Stack) -> None:
    result = seen.neurons(layer, stack or None)
    chosen = strongest(seen.tensor("post", layer, stack))
    labels = [str(Site(stack=stack, layer=layer, kind="neuron", index=neuron)) for neuron in chosen]
    title = f"The {len(chosen)} strongest neurons of layer {layer}{stacks.of(stack)}"
    figure = Figure(heat(seen, result.sel(neuron=chosen), labels, title))
    python = footer.python_of(seen, f"seen.neurons(layer={layer}{stacks.argument(stack)}).sel(neuron={chosen})")
    footer.draw(figure, name=f"{seen.model.name}-neurons-{stack}L{layer}", python=python)


def strongest(post: Tensor) -> list[int]:
    """The neurons with the largest activations anywhere, the strongest first. Args: post: (pos, neuron), all of them numbers."""
    top = top_neurons(post, len(post) * MOST)
    return list(dict.fromkeys(neuron for _, neuron, _ in top))[:MOST]


def table(title: str, post: Tensor, tokens: Sequence[str], name: Callable[[int], str]) -> None:
    """The largest activations, with where they are. Args: post: (pos, neuron); tokens: one for each of its rows."""
    top = top_neurons(post, MOST)
    names = [name(neuron) for _, neuron, _ in top]
    st.markdown(f"**{literal(title)}**")
    st.dataframe(
        {
            "neuron": names,
            "position": [pos for pos, _, _ in top],
            "token": [tokens[pos] for pos, _, _ in top],
            "activation": [value for _, _, value in top],
        },
        hide_index=True,
        column_config={"activation": st.column_config.NumberColumn(format="%.3f")},
        key="largest",
        on_select=partial(_open, names),
        selection_mode="single-row",
    )
    st.caption("Choose a row to open its neuron.")


def _open(names: list[str]) -> None:
    rows = st.session_state["largest"].selection.rows
    if rows:
        st.session_state["neuron"] = names[rows[0]]
        st.session_state["view"] = "One neuron"


def heat(seen: Activations, result: DataArray, labels: list[str], title: str) -> HeatMap:
    """Neurons as rows, the strongest first; centred on 0, for what is below it is switched off.

    Args:
        result: (pos, neuron), the neurons to draw.
        labels: their names.
    """
    return HeatMap(
        title=title,
        values=result.values.T,
        row_labels=labels,
        column_labels=[str(token) for token in result.token.values],
        row_title="neuron",
        column_title="token",
        scale_title="activation",
        diverging=True,
        caption=footer.origin(seen),
        n=result.sizes["pos"],
    )


def _sparsity(seen: Activations, layers: list[int], stack: Stack) -> None:
    figure = Figure(_lines(seen, {name: _by_layer(seen, measure, layers, stack) for name, measure in _SPARSITY.items()}, layers, stack))
    python = footer.python_of(
        seen,
        f"layers = {layers}\n"
        f'{{of.__name__: [float(of(seen.tensor("post", layer{stacks.argument(stack)})).mean()) for layer in layers] '
        "for of in (fraction_active, hoyer_sparsity)}",
        "from interp.measures.neurons import fraction_active, hoyer_sparsity",
    )
    footer.draw(figure, name=f"{seen.model.name}-sparsity", python=python)


def _by_layer(seen: Activations, measure: Callable[[Tensor], Tensor], layers: list[int], stack: Stack) -> np.ndarray:
    return np.array([float(measure(seen.tensor("post", layer, stack)).mean()) for layer in layers])


def _lines(seen: Activations, series: dict[str, np.ndarray], layers: list[int], stack: Stack) -> Lines:
    return Lines(
        title=f"Neurons on at once{stacks.of(stack)}",
        x=np.array(layers),
        series={name: Series(values=values) for name, values in series.items()},
        x_title="layer",
        value_title="mean over the tokens, 0 to 1",
        caption=(
            f"Fraction active: share of the neurons above 0. Hoyer sparsity: 0 when all are equally large, 1 when one alone is not 0. "
            f"{footer.origin(seen)} Measure: Hoyer (2004), section 3.1."
        ),
        n=len(seen.row(stack or None)),
    )
