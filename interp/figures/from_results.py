"""How does a labelled result become a figure? Titles from its attributes, labels from its coordinates, caption from its provenance.

Each function takes one kind of result (`interp.core.results.labelled`) and draws all of it. A result with more axes than a
figure has is refused: which layer or head to show is the reader's choice, made with `.sel`.
"""

from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from interp.core.errors import DataError, SiteError
from interp.core.results import DataArray
from interp.core.sites import Site, head_site
from interp.figures.description import Bars, HeatMap, Lines, Mosaic, Reference, Series, WordLines
from interp.figures.said import labels_of, long_name_of, units_of, with_axes, words_of


def head_map(result: DataArray, *, diverging: bool | None = None, marks: Iterable[str] = (), title: str | None = None) -> HeatMap:
    """A number for each head: layers as rows, layer 0 at the TOP, heads as columns.

    Args:
        result: axes (layer, head).
        diverging: None takes the diverging scale when there are negative values.
        marks: heads to outline, such as "L5H1".
        title: None takes the result's long name.
    Raises: DataError for other axes; SiteError for a marked head that is not in the result.

    Example:
        >>> from interp.core.results import labelled
        >>> heat = head_map(labelled([[0.5, 0.7]], ["layer", "head"], name="e", long_name="entropy", units="nats"), marks=["L0H1"])
        >>> heat.quantity, heat.row_labels, heat.marks
        ('entropy [nats]', ('0',), ((0, 1),))
    """
    result = with_axes(result, "layer", "head")
    values = np.asarray(result.values, dtype=np.float32)
    return HeatMap(
        values=values,
        row_labels=labels_of(result, "layer"),
        column_labels=labels_of(result, "head"),
        row_title="layer",
        column_title="head",
        diverging=bool((values < 0).any()) if diverging is None else diverging,
        marks=[_place(result, mark) for mark in marks],
        scale_title=long_name_of(result),
        units=units_of(result),
        **words_of(result, title, stack=_stack_name(result)),
    )


def attention_pattern(result: DataArray, *, title: str | None = None) -> HeatMap:
    """What one head attends to: queries as rows, the first at the top, keys as columns. Those of cross-attention stand in two texts.

    Args:
        result: axes (query_pos, key_pos); tokens in the coordinates `query_token` and `key_token`, else positions are written.
            Probabilities are drawn on a scale from 0 to 1, so that two patterns can be compared; scores on one centred on 0,
            a masked score (-inf) as a cell without a number. A difference of two heads is centred on 0.
    Raises: DataError for other axes.
    """
    result = with_axes(result, "query_pos", "key_pos")
    difference = str(result.name) == "pattern_difference" or (units_of(result) == "probability" and bool((result.values < 0).any()))
    probability = units_of(result) == "probability" and not difference
    of_queries, of_keys = (", target", ", source") if _stack(result) == "X" else ("", "")
    return HeatMap(
        values=np.where(np.isneginf(result.values), np.nan, result.values),
        row_labels=labels_of(result, "query_pos", "query_token"),
        column_labels=labels_of(result, "key_pos", "key_token"),
        row_title=f"query {'token' if 'query_token' in result.coords else 'position'}{of_queries}",
        column_title=f"key {'token' if 'key_token' in result.coords else 'position'}{of_keys}",
        diverging=difference or (not probability and bool((result.values < 0).any())),
        limits=(0.0, 1.0) if probability else None,
        scale_title=long_name_of(result),
        units=units_of(result),
        **words_of(result, title),
    )


def word_lines(result: DataArray, *, title: str | None = None) -> WordLines:
    """The same pattern as lines from the queries' words on the left to the keys' on the right: what people print of one head.

    Args: result: as for `attention_pattern`.
    Raises: DataError for other axes, or more words than a page has room for.
    """
    heat = attention_pattern(result, title=title)
    return WordLines(**{field.name: getattr(heat, field.name) for field in fields(heat)})


def pattern_mosaic(result: DataArray, *, marks: Iterable[str] = (), title: str | None = None) -> Mosaic:
    """The patterns of all heads of a stack, small: layers as rows, layer 0 at the top, heads as columns.

    Args:
        result: axes (layer, head, query_pos, key_pos), from 0 to 1.
        marks: heads to outline, such as "L5H1".
        title: None takes the result's long name.
    Raises: DataError for other axes; SiteError for a marked head that is not in the result.
    """
    result = with_axes(result, "layer", "head", "query_pos", "key_pos")
    of_queries, of_keys = ("target", "source") if _stack(result) == "X" else ("query", "key")
    return Mosaic(
        values=result.values,
        row_labels=labels_of(result, "layer"),
        column_labels=labels_of(result, "head"),
        names=[[str(name) for name in row] for row in result["site"].values],
        row_title="layer",
        column_title="head",
        inner_titles=(of_queries, of_keys),
        limits=(0.0, 1.0),
        marks=[_place(result, mark) for mark in marks],
        scale_title=long_name_of(result),
        units=units_of(result),
        **words_of(result, title if title is not None else f"{long_name_of(result).capitalize()} of all heads{_stack_name(result)}"),
    )


def expert_map(result: DataArray, *, title: str | None = None) -> HeatMap:
    """Where a mixture of experts sends each token: tokens as rows, experts as columns; the scale begins at 0, for "not chosen".

    Args:
        result: axes (pos, expert), nothing below 0; tokens in the coordinate `token`, else positions are written.
        title: None takes the result's long name.
    Raises: DataError for other axes.

    Example:
        >>> from interp.core.results import labelled
        >>> heat = expert_map(labelled([[0.0, 0.7]], ["pos", "expert"], name="w", long_name="weight of each expert", units="share"))
        >>> heat.column_labels, heat.scale[0]
        (('0', '1'), 0.0)
    """
    result = with_axes(result, "pos", "expert")
    values = np.asarray(result.values, dtype=np.float32)
    return HeatMap(
        values=values,
        row_labels=labels_of(result, "pos", "token"),
        column_labels=labels_of(result, "expert"),
        row_title="token" if "token" in result.coords else "position",
        column_title="expert",
        limits=(0.0, float(np.nanmax(values, initial=0.0)) or 1.0),
        scale_title=str(result.name or "share").replace("_", " "),
        units=units_of(result),
        **words_of(result, title),
    )


MOST_TOKENS = 48


def token_bars(result: DataArray, *, title: str | None = None) -> Bars:
    """A number at each token of a text, in its order; of a long text the 48 tokens around the largest number.

    Args: result: axis (pos), tokens in the coordinate `token`; a token without a number (nan) is left out.
    Raises: DataError for other axes, or no number at all.

    Example:
        >>> from interp.core.results import labelled
        >>> about = {"long_name": "activation", "units": "1", "coords": {"token": ("pos", ["a", " b"])}}
        >>> token_bars(labelled([0.5, 2.0], ["pos"], name="a", **about)).labels
        ('0 a', '1 b')
    """
    result = with_axes(result, "pos")
    there = np.flatnonzero(np.isfinite(result.values))
    if not len(there):
        raise DataError("no token has a number; expected one at least")
    most = int(result.values[there].argmax())
    start = min(max(0, most - MOST_TOKENS // 2), max(0, len(there) - MOST_TOKENS))
    drawn = there[start : start + MOST_TOKENS]
    tokens = labels_of(result, "pos", "token")
    note = "" if len(drawn) == len(tokens) else f"{len(drawn)} of {len(tokens)} tokens: "
    note += "" if not note else "around the largest." if len(there) > MOST_TOKENS else "those that have a number."
    return Bars(
        labels=[f"{at} {tokens[at].strip(' ') or tokens[at]}" for at in drawn],
        values=result.values[drawn],
        label_title="token",
        value_title=long_name_of(result),
        units=units_of(result),
        **words_of(result.assign_attrs(note=note), title),
    )


def contribution_bars(result: DataArray, *, top: int = 20, reference: Reference | None = None, title: str | None = None) -> Bars:
    """What each part adds, the largest in size first; the rest in one bar, so that the bars still add up to the whole.

    Args:
        result: axis (component) with the parts' names as its coordinate.
        top: bars for single parts; 1 or more.
    Raises: DataError for other axes, unnamed parts, or `top` below 1.

    Example:
        >>> from interp.core.results import labelled
        >>> parts = labelled([0.1, -2.0, 0.2], ["component"], name="dla", long_name="direct effect", units="logits",
        ...     coords={"component": ["embed", "L0H0", "L0 FFN"]})
        >>> bars = contribution_bars(parts, top=1)
        >>> bars.labels, bars.values.round(6).tolist()
        (('L0H0', 'other (2 parts)'), [-2.0, 0.3])
    """
    result = with_axes(result, "component")
    if top < 1:
        raise DataError(f"top={top} came; expected 1 bar or more")
    if "component" not in result.coords:
        raise DataError("the result's axis component has no coordinate; expected the parts' names in it")
    labels, values = _largest(labels_of(result, "component"), np.asarray(result.values, dtype=np.float64), top)
    return Bars(
        labels=labels,
        values=values,
        label_title="component",
        value_title=long_name_of(result),
        units=units_of(result),
        reference=reference,
        **words_of(result, title),
    )


def curve(
    result: DataArray,
    *,
    low: DataArray | None = None,
    high: DataArray | None = None,
    reference: Reference | None = None,
    title: str | None = None,
) -> Lines:
    """A result over one numbered axis, such as `shift` or `layer`, as one line.

    Args:
        low, high: ends of the interval at each value, with the same axis and coordinate.
    Raises: DataError for more than one axis, an axis without numbers, or an interval over other coordinates.
    """
    if result.ndim != 1:
        raise DataError(f"a result with axes {result.dims} came; expected one axis: select along the others first, with .sel(...)")
    dim = str(result.dims[0])
    x = _places(result)
    if not np.issubdtype(x.dtype, np.number):
        raise DataError(f"axis {dim} holds names, not numbers, and has no order to draw a line along; draw bars instead")
    for end in (low, high):
        if end is not None and not (end.dims == result.dims and np.array_equal(_places(end), x)):
            raise DataError(f"the interval's axes or coordinates are not those of the result; expected {dim} with the same values")
    line = Series(values=result.values, low=None if low is None else low.values, high=None if high is None else high.values)
    return Lines(
        x=x,
        series={str(result.name or long_name_of(result)): line},
        x_title=dim,
        value_title=long_name_of(result),
        units=units_of(result),
        reference=reference,
        **words_of(result, title),
    )


def _places(result: DataArray) -> np.ndarray:
    """The coordinate of a result's first axis; positions where there is none."""
    dim = result.dims[0]
    return result.coords[dim].values if dim in result.coords else np.arange(len(result))


def _place(result: DataArray, site: str) -> tuple[int, int]:
    layers, heads = labels_of(result, "layer"), labels_of(result, "head")
    if "site" in result.coords:
        names = result.coords["site"].transpose("layer", "head").values
    else:
        names = np.array([[head_site(int(layer), int(head)) for head in heads] for layer in layers])
    found = np.argwhere(names == site)
    if not len(found):
        raise SiteError(f"{site} is not in this result: its heads are {names.flat[0]} to {names.flat[-1]}")
    return int(found[0][0]), int(found[0][1])


def _largest(labels: list[str], values: np.ndarray, top: int) -> tuple[list[str], np.ndarray]:
    """The `top` values largest in size, then the sum of the others; a single other part stands for itself."""
    order = np.argsort(-np.abs(values), kind="stable")
    kept, rest = (order, order[:0]) if len(order) <= top + 1 else (order[:top], order[top:])
    if not len(rest):
        return [labels[at] for at in kept], values[kept]
    return [*(labels[at] for at in kept), f"other ({len(rest)} parts)"], np.append(values[kept], values[rest].sum())


_STACKS = {"": "", "E": ", encoder", "D": ", decoder", "X": ", cross-attention"}


def _stack(result: DataArray) -> str:
    """The letter of the stack in the result's `site`; "" where it names none."""
    sites = result.coords["site"].values.reshape(-1) if "site" in result.coords else []
    return Site.parse(str(sites[0]).partition(" ")[0]).stack if len(sites) else ""  # "L2H3 less L0H1": both are of one stack


def _stack_name(result: DataArray) -> str:
    return _STACKS[_stack(result)]
