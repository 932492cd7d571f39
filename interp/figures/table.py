"""Which numbers are in the figure? The CSV of exactly what is drawn, in long form: one cell, bar or point a line.

Labels stand as they are, not in the form that a figure shows (a leading space stays a space). A missing number is an empty
field. Units stand in the header; rows and columns of a heat map also have their place, because tokens repeat.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from interp.figures.description import Bars, Description, HeatMap, Lines, Mosaic, Points, Reference


def to_csv(description: Description) -> str:
    """The drawn numbers as CSV text, lines ending in a line feed.

    Example:
        >>> heat = HeatMap(title="t", values=np.array([[0.5]]), row_labels=[" a"], column_labels=["b"], scale_title="w", units="nats")
        >>> print(to_csv(heat), end="")
        row_index,column_index,row,column,w [nats]
        0,0, a,b,0.5
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(_lines_of(description))
    return text.getvalue()


def _lines_of(description: Description) -> Iterator[list[Any]]:
    if isinstance(description, HeatMap):
        return _cells(description)
    if isinstance(description, Mosaic):
        return _tiles(description)
    if isinstance(description, Points):
        return _things(description)
    return _bars(description) if isinstance(description, Bars) else _points(description)


def _cells(heat: HeatMap) -> Iterator[list[Any]]:
    marked = set(heat.marks)
    written = [] if heat.texts is None else [heat.texts_title]
    yield ["row_index", "column_index", heat.row_title, heat.column_title, heat.quantity, *(["marked"] if marked else []), *written]
    for (row, column), value in np.ndenumerate(heat.values):
        mark = [int((row, column) in marked)] if marked else []
        text = [] if heat.texts is None else [heat.texts[row][column]]
        yield [row, column, heat.row_labels[row], heat.column_labels[column], _number(value), *mark, *text]


def _tiles(mosaic: Mosaic) -> Iterator[list[Any]]:
    yield ["name", *(f"{title} index" for title in mosaic.inner_titles), mosaic.quantity]
    for (row, column, inner_row, inner_column), value in np.ndenumerate(mosaic.values):
        yield [mosaic.names[row][column], inner_row, inner_column, _number(value)]


def _bars(bars: Bars) -> Iterator[list[Any]]:
    yield [bars.label_title, bars.quantity, *_ends(bars.low), *_head(bars.reference)]
    for at, label in enumerate(bars.labels):
        yield [label, *_numbers_at(at, bars.values, bars.low, bars.high), *_level(bars.reference)]


def _things(points: Points) -> Iterator[list[Any]]:
    marked = set(points.marks)
    yield ["label", points.x_quantity, points.quantity, *(["marked"] if marked else [])]
    for at, label in enumerate(points.labels):
        yield [label, _number(points.x[at]), _number(points.y[at]), *([int(at in marked)] if marked else [])]


def _points(lines: Lines) -> Iterator[list[Any]]:
    banded = any(line.low is not None for line in lines.series.values())
    yield [lines.x_title, "series", lines.quantity, *(["low", "high"] if banded else []), *_head(lines.reference)]
    missing = np.full(lines.x.shape, np.nan) if banded else None
    for name, line in lines.series.items():
        low, high = (missing if end is None else end for end in (line.low, line.high))
        for at, x in enumerate(lines.x):
            yield [_number(x), name, *_numbers_at(at, line.values, low, high), *_level(lines.reference)]


def _numbers_at(at: int, *arrays: np.ndarray | None) -> Iterable[str]:
    return [_number(array[at]) for array in arrays if array is not None]


def _number(value: np.floating[Any]) -> str:
    """The shortest text that reads back as the same number in its own precision."""
    return "" if np.isnan(value) else str(value)


def _ends(low: np.ndarray | None) -> list[str]:
    return [] if low is None else ["low", "high"]


def _head(reference: Reference | None) -> list[str]:
    return [] if reference is None else [f"reference: {reference.label}"]


def _level(reference: Reference | None) -> list[str]:
    return [] if reference is None else [str(reference.value)]
