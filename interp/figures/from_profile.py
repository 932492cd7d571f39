"""How does a statistic of a corpus profile become a figure? Weight by distance, tokens by activation, two statistics against each other.

As in `from_results`: titles from attributes, captions from provenance, and nothing is measured.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from interp.core.errors import DataError
from interp.core.results import DataArray
from interp.figures.description import Bars, Lines, Points, Series
from interp.figures.said import long_name_of, units_of, with_axes, words_of

ABOUT_0 = 2.0**-7


def distance_bars(result: DataArray, *, title: str | None = None) -> Bars:
    """Weight by distance, from the farthest token behind to the farthest ahead.

    Args: result: axis (distance_bin), with the first and the last offset (key - query) of each range as coordinates.
    Raises: DataError for other axes, or no range at all.

    Example:
        >>> from interp.core.results import labelled
        >>> ends = {"first_offset": ("distance_bin", [-4, 0]), "last_offset": ("distance_bin", [-3, 0])}
        >>> of = labelled([0.25, 0.75], ["distance_bin"], name="d", long_name="weight by distance", units="probability", coords=ends)
        >>> distance_bars(of).labels
        ('3 to 4 before', 'itself')
    """
    result = with_axes(result, "distance_bin")
    if not {"first_offset", "last_offset"} <= set(result.coords):
        raise DataError("the result's axis distance_bin has no coordinates first_offset and last_offset; expected those of a profile")
    ends = zip(result.first_offset.values.tolist(), result.last_offset.values.tolist(), strict=True)
    return _bars(result, [_range(int(first), int(last)) for first, last in ends], "distance", title)


def _range(first: int, last: int) -> str:
    if first == last == 0:
        return "itself"
    near, far = sorted((abs(first), abs(last)))
    return f"{near if near == far else f'{near} to {far}'} {'before' if last < 0 else 'after'}"


def histogram_bars(result: DataArray, *, title: str | None = None) -> Bars:
    """Tokens by activation, from the least. All bins within 0.0078 of 0 are one bar: these ranges are too small to tell apart by eye.

    Args: result: axis (bin), counts, with the lower edge of each bin in the coordinate `bin_from`.
    Raises: DataError for other axes, or bins without edges.

    Example:
        >>> from interp.core.results import labelled
        >>> edges = {"bin_from": ("bin", [-0.5, 0.5])}
        >>> histogram_bars(labelled([3, 4], ["bin"], name="h", long_name="tokens", units="tokens", coords=edges)).labels
        ('from -0.5', 'from 0.5')
    """
    result = with_axes(result, "bin")
    if "bin_from" not in result.coords:
        raise DataError("the result's axis bin has no coordinate bin_from; expected the lower edges of a profile's bins")
    edges = result.bin_from.values.astype(float)
    near = np.flatnonzero((edges >= -ABOUT_0) & (edges < ABOUT_0))
    if len(near) < 2:
        return _bars(result, [_from(edge) for edge in edges], "activation", title)
    first, last = int(near[0]), int(near[-1])
    parts = (result.values[:first], [result.values[first : last + 1].sum()], result.values[last + 1 :])
    labels = [*map(_from, edges[:first]), f"{-ABOUT_0:.2g} to {ABOUT_0:.2g}", *map(_from, edges[last + 1 :])]
    summed = result.isel(bin=slice(len(labels))).copy(data=np.concatenate(parts))
    return _bars(summed, labels, "activation", title)


def _from(edge: float) -> str:
    return "the least" if np.isneginf(edge) else f"from {edge:.2g}"


def label_bars(result: DataArray, *, title: str | None = None) -> Bars:
    """A number for each of some named things, such as parts of speech; those without a number are left out.

    Raises: DataError for more than one axis, or no number at all.
    """
    if result.ndim != 1:
        raise DataError(f"a result with axes {result.dims} came; expected one axis: select along the others first, with .sel(...)")
    axis = str(result.dims[0])
    return _bars(result, [str(label) for label in result[axis].values], axis, title)


def _bars(result: DataArray, labels: list[str], what: str, title: str | None) -> Bars:
    values = np.asarray(result.values, dtype=np.float64)
    there = np.flatnonzero(~np.isnan(values))
    words = words_of(result.assign_attrs(n=_one(result)) if "n" in result.attrs else result, title)
    return Bars(
        labels=[labels[at] for at in there],
        values=values[there],
        label_title=what,
        value_title=long_name_of(result),
        units=units_of(result),
        **words,
    )


def _one(result: DataArray) -> int:
    """The largest, where each label has an n of its own."""
    return int(np.max(result.attrs["n"]))


def scatter(x: DataArray, y: DataArray, labels: np.ndarray, *, marks: Iterable[str] = (), title: str | None = None) -> Points:
    """Two statistics of the same heads, neurons or experts; those without a number in either are left out.

    Args:
        labels: what each is called, axes as the statistics'.
        marks: which to show by name; one that has no number is left out.
    Raises: DataError for statistics of different things, or when nothing is left.
    """
    if x.dims != y.dims or x.shape != y.shape:
        raise DataError(f"statistics with axes {x.dims} and {y.dims} came; expected two of the same things")
    there = np.flatnonzero(np.isfinite(x.values.ravel()) & np.isfinite(y.values.ravel()))
    names = [str(name) for name in labels.ravel()[there]]
    if not names:
        raise DataError(f"nothing has both {long_name_of(x)} and {long_name_of(y)}; choose another statistic")
    words = words_of(y, title if title is not None else f"{long_name_of(y)}, against {long_name_of(x)}")
    words["title"] = f"{words['title'][:1].upper()}{words['title'][1:]}"
    wanted = set(marks)
    return Points(
        labels=names,
        x=x.values.ravel()[there],
        y=y.values.ravel()[there],
        x_title=long_name_of(x),
        x_units=units_of(x),
        value_title=long_name_of(y),
        units=units_of(y),
        marks=[at for at, name in enumerate(names) if name in wanted],
        **{**words, "n": len(names)},
    )


def spread_lines(low: DataArray, middle: DataArray, high: DataArray, *, title: str | None = None) -> Lines:
    """How a statistic is spread in each layer: its median as a line, its 5 % and 95 % quantiles as the band.

    Args: low, middle, high: axis (layer,).
    """
    middle = with_axes(middle, "layer")
    return Lines(
        x=middle["layer"].values,
        series={"median": Series(values=middle.values, low=low.values, high=high.values)},
        x_title="layer",
        value_title=long_name_of(middle),
        units=units_of(middle),
        **words_of(middle, title),
    )


def number_lines(results: Sequence[DataArray], *, title: str) -> Lines:
    """Several results over one axis of names, such as sublayers, as lines over their places in it."""
    first = results[0]
    return Lines(
        x=np.arange(first.size),
        series={long_name_of(result): Series(values=result.values) for result in results},
        x_title=str(first.dims[0]),
        value_title=long_name_of(first) if len(results) == 1 else "value",
        units=units_of(first),
        **words_of(first, title),
    )
