"""Which FFN neurons does this text switch on, and how many of them at once?"""

from collections.abc import Callable

import numpy as np
import streamlit as st
from torch import Tensor

from interp.captures.activations import Activations
from interp.core.results import DataArray
from interp.core.sites import Site
from interp.dashboard import footer
from interp.dashboard.words import follow_link
from interp.figures.description import HeatMap, Lines, Series
from interp.figures.figure import Figure
from interp.measures.neurons import fraction_active, hoyer_sparsity, top_neurons

MOST = 12
_SPARSITY: dict[str, Callable[[Tensor], Tensor]] = {"fraction active": fraction_active, "Hoyer sparsity": hoyer_sparsity}


def show(seen: Activations) -> None:
    """A layer's strongest neurons on the left, sparsity by layer on the right."""
    layers = [str(layer) for layer in range(seen.model.anatomy.n_layers)]
    follow_link("layer", layers, "the layer")
    layer = int(st.selectbox("Layer", layers, key="layer", bind="query-params", width=160))
    left, right = st.columns([6, 5], gap="large")
    with left:
        _strongest(seen, layer)
    with right:
        _sparsity(seen)
        _table(seen, layer)


def _strongest(seen: Activations, layer: int) -> None:
    result = seen.neurons(layer)
    top = top_neurons(seen.tensor("post", layer), len(seen.example) * MOST)
    chosen = list(dict.fromkeys(neuron for _, neuron, _ in top))[:MOST]
    figure = Figure(_heat(seen, result, layer, chosen))
    name = f"{seen.model.name}-neurons-L{layer}"
    footer.draw(figure, name=name, python=footer.python_of(seen, f"seen.neurons(layer={layer}).sel(neuron={chosen})"))


def _table(seen: Activations, layer: int) -> None:
    top = top_neurons(seen.tensor("post", layer), MOST)
    st.markdown(f"**Largest activations of layer {layer}**")
    st.dataframe(
        {
            "neuron": [_site(layer, neuron) for _, neuron, _ in top],
            "position": [pos for pos, _, _ in top],
            "token": [seen.example.tokens[pos] for pos, _, _ in top],
            "activation": [value for _, _, value in top],
        },
        hide_index=True,
        column_config={"activation": st.column_config.NumberColumn(format="%.3f")},
    )


def _site(layer: int, neuron: int) -> str:
    return str(Site(layer=layer, kind="neuron", index=neuron))


def _heat(seen: Activations, result: DataArray, layer: int, neurons: list[int]) -> HeatMap:
    """The chosen neurons as rows, the strongest first; centred on 0, for what is below it is switched off."""
    return HeatMap(
        title=f"The {len(neurons)} strongest neurons of layer {layer}",
        values=result.sel(neuron=neurons).values.T,
        row_labels=[_site(layer, neuron) for neuron in neurons],
        column_labels=list(seen.example.tokens),
        row_title="neuron",
        column_title="token",
        scale_title="activation",
        diverging=True,
        caption=footer.origin(seen),
        n=len(seen.example),
    )


def _sparsity(seen: Activations) -> None:
    figure = Figure(_lines(seen, {name: _by_layer(seen, measure) for name, measure in _SPARSITY.items()}))
    python = footer.python_of(
        seen,
        "layers = range(model.anatomy.n_layers)\n"
        '{of.__name__: [float(of(seen.tensor("post", layer)).mean()) for layer in layers] for of in (fraction_active, hoyer_sparsity)}',
        "from interp.measures.neurons import fraction_active, hoyer_sparsity",
    )
    footer.draw(figure, name=f"{seen.model.name}-sparsity", python=python)


def _by_layer(seen: Activations, measure: Callable[[Tensor], Tensor]) -> np.ndarray:
    return np.array([float(measure(seen.tensor("post", layer)).mean()) for layer in range(seen.model.anatomy.n_layers)])


def _lines(seen: Activations, series: dict[str, np.ndarray]) -> Lines:
    return Lines(
        title="How many neurons are on at once",
        x=np.arange(seen.model.anatomy.n_layers),
        series={name: Series(values=values) for name, values in series.items()},
        x_title="layer",
        value_title="mean over the tokens, 0 to 1",
        caption=(
            f"Fraction active: share of the neurons above 0. Hoyer sparsity: 0 when all are equally large, 1 when one alone is not 0. "
            f"{footer.origin(seen)} Measure: Hoyer (2004), section 3.1."
        ),
        n=len(seen.example),
    )
