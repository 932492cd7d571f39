"""Numbers at each token as maps: a layer's neurons, what each layer does at each position."""

import numpy as np

from interp.core.errors import DataError
from interp.core.results import DataArray
from interp.figures.description import HeatMap
from interp.figures.said import labels_of, long_name_of, units_of, with_axes, words_of

MOST_NEURONS = 12


def neuron_map(result: DataArray, *, top: int = MOST_NEURONS, title: str | None = None) -> HeatMap:
    """The neurons that were largest in size anywhere, the first at the top; tokens as columns. Centred on 0: below it is switched off.

    Args:
        result: axes (pos, neuron); what was selected out of a layer is drawn whole, up to `top`.
        top: neurons to draw, 1 or more; the caption says of how many.
    Raises: DataError for other axes, or `top` below 1.

    Example:
        >>> from interp.core.results import labelled
        >>> heat = neuron_map(labelled([[0.1, -2.0, 0.5]], ["pos", "neuron"], name="n", long_name="neurons", units="activation"), top=2)
        >>> heat.row_labels, heat.values.tolist()
        (('1', '2'), [[-2.0], [0.5]])
    """
    result = with_axes(result, "pos", "neuron")
    if top < 1:
        raise DataError(f"top={top} came; expected 1 neuron or more")
    values = np.asarray(result.values, dtype=np.float32).T
    order = np.argsort(-np.nanmax(np.abs(np.nan_to_num(values)), axis=1), kind="stable")[:top]
    names = labels_of(result, "neuron")
    words = words_of(result, title)
    chosen = f"The {len(order)} of {len(names)} neurons that are largest somewhere." if len(order) < len(names) else ""
    return HeatMap(
        values=values[order],
        row_labels=[names[at] for at in order],
        column_labels=labels_of(result, "pos", "token"),
        row_title="neuron",
        column_title="token" if "token" in result.coords else "position",
        diverging=True,
        scale_title=long_name_of(result),
        units=units_of(result),
        **{**words, "caption": " ".join(part for part in (chosen, words["caption"]) if part)},
    )


def layer_map(result: DataArray, *, title: str | None = None) -> HeatMap:
    """A number for each layer at each token: layers as rows, layer 0 at the TOP; tokens as columns.

    Args: result: axes (layer, pos); tokens in the coordinate `token`, else positions are written.
    Raises: DataError for other axes.

    Example:
        >>> from interp.core.results import labelled
        >>> layer_map(labelled([[1.0, 2.0]], ["layer", "pos"], name="l", long_name="loss", units="nats")).quantity
        'loss [nats]'
    """
    result = with_axes(result, "layer", "pos")
    return HeatMap(
        values=np.asarray(result.values, dtype=np.float32),
        row_labels=labels_of(result, "layer"),
        column_labels=labels_of(result, "pos", "token"),
        row_title="layer",
        column_title="token" if "token" in result.coords else "position",
        diverging=bool((np.asarray(result.values) < 0).any()),
        scale_title=long_name_of(result),
        units=units_of(result),
        **words_of(result, title),
    )
