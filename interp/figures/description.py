"""What does a figure show? Arrays, labels, units, n and caption; nothing about colours, sizes or files.

A description is frozen and refuses what cannot be drawn truthfully: labels that do not fit the values, infinite numbers, bars
without a number. A missing number (NaN) is allowed where it can be seen to be missing: a grey cell, a gap in a line.

Glossary
    row, column   a heat map's cell, from 0; row 0 is drawn at the top, column 0 at the left
    quantity      what is measured with its unit, as beside a scale: "entropy [nats]"
    band          low and high of an interval around each value; made elsewhere, only drawn here
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from interp.core.errors import DataError

LEAST_LINE = 0.01  # of a full line: a weaker one cannot be seen
MOST_WORDS = 88  # in a column of words with lines: what a page of 230 mm holds at 5 pt


def quantity(title: str, units: str) -> str:
    """A quantity with its unit; a bare ratio ("1") has none.

    Example:
        >>> quantity("entropy", "nats"), quantity("sparsity", "1")
        ('entropy [nats]', 'sparsity')
    """
    return title if units in ("", "1") else f"{title} [{units}]"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A value to compare with, drawn as a dashed line: chance, a baseline, a control. `label` says which."""

    value: float | int
    label: str

    def __post_init__(self) -> None:
        if not np.isfinite(self.value):
            raise DataError(f"reference {self.label!r} is {self.value}; expected a finite number")


@dataclass(frozen=True, kw_only=True, eq=False)
class Titled:
    """What every figure says in words. `n` is the number of cases behind the values, where there is one such number."""

    title: str
    caption: str = ""
    n: int | None = None

    @property
    def footer(self) -> str:
        """The caption, with n: what stands under the figure."""
        return " ".join(part for part in (self.caption, "" if self.n is None else f"n = {self.n}.") if part)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatMap(Titled):
    """A matrix of numbers as coloured cells.

    Args:
        values: (row, column), kept as float32; NaN is a cell without a number.
        row_labels, column_labels: one text each; they may repeat (tokens do).
        row_title, column_title: what rows and columns are.
        scale_title, units: what the colour stands for.
        diverging: two colours that meet at 0, with as much of the scale on either side.
        limits: the values at the two ends of the scale; None takes them from the values. For figures to be compared.
        marks: (row, column) of cells to outline.
        texts: what is written in each cell, (row, column), where there is room, and in its tooltip; texts_title: what these are.
    Raises: DataError for labels, limits, marks or texts that do not fit, and for infinite values.

    Example:
        >>> heat = HeatMap(title="Heads", values=np.eye(2), row_labels=["0", "1"], column_labels=["0", "1"], scale_title="weight")
        >>> heat.scale, heat.values.dtype.name
        ((0.0, 1.0), 'float32')
    """

    values: np.ndarray
    row_labels: Sequence[str]
    column_labels: Sequence[str]
    row_title: str = "row"
    column_title: str = "column"
    scale_title: str
    units: str = "1"
    diverging: bool = False
    limits: tuple[float | int, float | int] | None = None
    marks: Sequence[tuple[int, int]] = ()
    texts: Sequence[Sequence[str]] | None = None
    texts_title: str = "text"
    drawn_as: ClassVar[str] = "Heat map of"

    def __post_init__(self) -> None:
        values = _numbers(self.values, np.float32, axes=2, what="heat map")
        if self.texts is not None:
            texts = tuple(tuple(map(str, row)) for row in self.texts)
            if [len(row) for row in texts] != [values.shape[1]] * len(values):
                raise DataError(f"texts of {[len(row) for row in texts]} cells came; expected {len(values)} rows of {values.shape[1]}")
            _set(self, texts=texts)
        _set(self, values=values, row_labels=tuple(self.row_labels), column_labels=tuple(self.column_labels), marks=tuple(self.marks))
        for what, labels, size in zip(("row", "column"), (self.row_labels, self.column_labels), values.shape, strict=True):
            _check_labels(f"{what} labels", labels, size, f"{what}s of values")
        for row, column in self.marks:
            if not (0 <= row < values.shape[0] and 0 <= column < values.shape[1]):
                raise DataError(f"mark ({row}, {column}) is outside a heat map of {values.shape[0]} rows by {values.shape[1]} columns")
        if self.limits is not None:
            _check_limits(self.limits, values, diverging=self.diverging)

    @property
    def quantity(self) -> str:
        """What the colour stands for, with its unit."""
        return quantity(self.scale_title, self.units)

    @property
    def scale(self) -> tuple[float, float]:
        """The values at the ends of the colour scale: -m to m where it diverges, else least to greatest; never of no length."""
        if self.limits is not None:
            return float(self.limits[0]), float(self.limits[1])
        present = self.values[np.isfinite(self.values)]
        if self.diverging:
            most = float(np.abs(present).max(initial=0)) or 1.0
            return -most, most
        low, high = (float(present.min()), float(present.max())) if present.size else (0.0, 1.0)
        return (low, high) if high > low else (low, low + (abs(low) or 1.0))

    @property
    def alt(self) -> str:
        """The figure in words, for those who do not see it: title, size, extremes and where they are, caption."""
        rows, columns = self.values.shape
        start = f"{self.title}. {self.drawn_as} {self.quantity}, {rows} rows ({self.row_title}) by {columns} columns ({self.column_title})"
        if np.isnan(self.values).all():
            return _sentences(f"{start}, without any number", self.footer)
        ends = (np.unravel_index(pick(self.values), self.values.shape) for pick in (np.nanargmin, np.nanargmax))
        low, high = (f"{self.values[r, c]:.3g} ({self.row_labels[int(r)]}, {self.column_labels[int(c)]})" for r, c in ends)
        return _sentences(f"{start}: from {low} to {high}", self.footer)


@dataclass(frozen=True, kw_only=True, eq=False)
class WordLines(HeatMap):
    """The same matrix as lines: the words of the rows on the left, those of the columns on the right, a line for each number.

    A line is wider and stronger the larger its number; what is smaller than `LEAST_LINE` of a full line is left out (the CSV has it).

    Raises: DataError as a heat map, and for more words than a page has room for.

    Example:
        >>> words = ["a", "b"]
        >>> lines = WordLines(title="Head", values=np.eye(2), row_labels=words, column_labels=words, scale_title="weight", limits=(0, 1))
        >>> [(row, column, share) for row, column, share in lines.lines()], lines.full
        ([(0, 0, 1.0), (1, 1, 1.0)], 1.0)
    """

    drawn_as: ClassVar[str] = "Lines between words for"

    def __post_init__(self) -> None:
        super().__post_init__()
        if max(self.values.shape) > MOST_WORDS:
            raise DataError(f"lines between {max(self.values.shape)} words came; expected {MOST_WORDS} or fewer: take a part with .isel")

    @property
    def full(self) -> float:
        """The number of a full line: the larger end of the scale."""
        return max(map(abs, self.scale))

    def lines(self) -> list[tuple[int, int, float]]:
        """(row, column, share of a full line, below 0 for a number below 0), the strongest last."""
        shares = np.clip(np.nan_to_num(self.values) / self.full, -1, 1)
        rows, columns = np.nonzero(np.abs(shares) >= LEAST_LINE)
        found = zip(rows.tolist(), columns.tolist(), shares[rows, columns].tolist(), strict=True)
        return sorted(found, key=lambda line: abs(line[2]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Bars(Titled):
    """Named numbers as bars from 0, the first at the top, each with an interval if there is one.

    Args:
        labels, values: one text and one number for each bar, kept as float64.
        low, high: ends of each bar's interval, both or neither; NaN for a bar without one.
        label_title: what the bars are; value_title, units: what their length stands for.
        reference: a line to compare with, such as chance.
        limits: the ends of the axis; None takes them from the values. For figures to be compared.
    Raises: DataError for sizes or limits that do not fit, a bar without a number (it would look like 0), or low above high.

    Example:
        >>> Bars(title="Parts", labels=["L0H1", "L0 FFN"], values=np.array([0.5, -2.0]), value_title="effect", units="logits").alt
        'Parts. 2 bars of effect [logits]: from -2 (L0 FFN) to 0.5 (L0H1).'
    """

    labels: Sequence[str]
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    label_title: str = "part"
    value_title: str
    units: str = "1"
    reference: Reference | None = None
    limits: tuple[float | int, float | int] | None = None

    def __post_init__(self) -> None:
        values = _numbers(self.values, np.float64, axes=1, what="bars")
        _set(self, values=values, labels=tuple(self.labels))
        _check_labels("labels", self.labels, len(values), "bars")
        for label, value in zip(self.labels, values, strict=True):
            if np.isnan(value):
                raise DataError(f"bar {label!r} has no number (NaN) and would look like 0; leave it out and say so in the caption")
        low, high = _band(self.low, self.high, values.shape, "bars")
        _set(self, low=low, high=high)
        if self.limits is not None:
            _check_limits(self.limits, values, diverging=False)

    @property
    def quantity(self) -> str:
        """What the bars' length stands for, with its unit."""
        return quantity(self.value_title, self.units)

    @property
    def alt(self) -> str:
        """The figure in words: title, number of bars, extremes and which they are, reference, caption."""
        low, high = (f"{self.values[at]:.3g} ({self.labels[at]})" for at in (int(self.values.argmin()), int(self.values.argmax())))
        count = f"{len(self.values)} bar{'s' if len(self.values) > 1 else ''}"
        start = f"{self.title}. {count} of {self.quantity}: from {low} to {high}"
        return _sentences(start + _against(self.reference), self.footer)


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """The values of one line, one for each x, and the band around them (`low`, `high`: both or neither). NaN is a gap."""

    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def __post_init__(self) -> None:
        values = _numbers(self.values, np.float64, axes=1, what="line")
        low, high = _band(self.low, self.high, values.shape, "line")
        _set(self, values=values, low=low, high=high)


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines(Titled):
    """Numbers over an ordered axis, one line for each named series.

    Args:
        x: finite and increasing, kept as float64.
        series: name to values, in the order of the legend.
        x_title: what x is, with its unit if any; value_title, units: what the height stands for.
        reference: a level to compare with, such as chance.
    Raises: DataError for no series, sizes that do not fit or x that does not increase.

    Example:
        >>> Lines(title="Decay", x=np.arange(2), series={"head": Series(values=np.array([1.0, 0.5]))}, value_title="score").alt
        'Decay. 1 line of score over x (0 to 1): head from 0.5 to 1.'
    """

    x: np.ndarray
    series: Mapping[str, Series] = field(default_factory=dict)
    x_title: str = "x"
    value_title: str
    units: str = "1"
    reference: Reference | None = None

    def __post_init__(self) -> None:
        x = _numbers(self.x, np.float64, axes=1, what="lines' x")
        _set(self, x=x, series=dict(self.series))
        if not self.series:
            raise DataError("no series came; expected at least one line to draw")
        if np.isnan(x).any() or (np.diff(x) <= 0).any():
            raise DataError("x does not increase from each value to the next; sort the result by its axis first")
        for name, line in self.series.items():
            if line.values.shape != x.shape:
                raise DataError(f"series {name!r} has {line.values.size} values; expected {x.size}, one for each x")

    @property
    def quantity(self) -> str:
        """What the height stands for, with its unit."""
        return quantity(self.value_title, self.units)

    @property
    def alt(self) -> str:
        """The figure in words: title, each line's extremes, reference, caption."""
        count = f"{len(self.series)} line{'s' if len(self.series) > 1 else ''}"
        start = f"{self.title}. {count} of {self.quantity} over {self.x_title} ({self.x[0]:g} to {self.x[-1]:g}): "
        return _sentences(start + ", ".join(map(_span, self.series, self.series.values())) + _against(self.reference), self.footer)


@dataclass(frozen=True, kw_only=True, eq=False)
class Points(Titled):
    """One point for each of many things, by two numbers.

    Args:
        labels: what each point is; x, y: its numbers, kept as float32.
        x_title, x_units, value_title, units: what they stand for.
        marks: places of points to show by name, in `labels`.
    Raises: DataError for sizes that do not fit, points without a number, and marks that are not there.

    Example:
        >>> x, y = np.array([0.0, 1.0]), np.array([2.0, 3.0])
        >>> Points(title="Heads", labels=["L0H0", "L0H1"], x=x, y=y, x_title="a", value_title="b").alt
        'Heads. 2 points: a from 0 (L0H0) to 1 (L0H1), b from 2 (L0H0) to 3 (L0H1).'
    """

    labels: Sequence[str]
    x: np.ndarray
    y: np.ndarray
    x_title: str
    x_units: str = "1"
    value_title: str
    units: str = "1"
    marks: Sequence[int] = ()

    def __post_init__(self) -> None:
        x, y = (_numbers(values, np.float32, axes=1, what="points") for values in (self.x, self.y))
        _set(self, x=x, y=y, labels=tuple(self.labels), marks=tuple(self.marks))
        _check_labels("labels", self.labels, len(x), "points")
        if x.shape != y.shape or np.isnan(x).any() or np.isnan(y).any():
            raise DataError(
                f"{len(x)} and {len(y)} numbers came, or some that are none (NaN); expected two for each point: leave others out"
            )
        if any(not 0 <= mark < len(x) for mark in self.marks):
            raise DataError(f"marks {self.marks} came; expected places among {len(x)} points")

    @property
    def quantity(self) -> str:
        """What the height stands for, with its unit."""
        return quantity(self.value_title, self.units)

    @property
    def x_quantity(self) -> str:
        """What the width stands for, with its unit."""
        return quantity(self.x_title, self.x_units)

    @property
    def alt(self) -> str:
        """The figure in words: title, number of points, extremes and which they are, caption."""
        told = [f"{title} {self._ends(values)}" for title, values in ((self.x_quantity, self.x), (self.quantity, self.y))]
        return _sentences(f"{self.title}. {len(self.x)} points: {', '.join(told)}", self.footer)

    def _ends(self, values: np.ndarray) -> str:
        low, high = (f"{values[at]:.3g} ({self.labels[at]})" for at in (int(values.argmin()), int(values.argmax())))
        return f"from {low} to {high}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Mosaic(Titled):
    """Many matrices of one size, small, in rows and columns: all heads of a model at a glance.

    Args:
        values: (row, column, inner row, inner column), kept as float32; NaN is a cell without a number.
        row_labels, column_labels: of the matrices; names: of each matrix, (row, column).
        row_title, column_title: what these are; inner_titles: what the rows and columns of a matrix are.
        scale_title, units: what the colour stands for.
        limits: the values at the two ends of the scale.
        marks: (row, column) of matrices to outline.
    Raises: DataError for labels, names or marks that do not fit, values outside of the limits, and infinite values.

    Example:
        >>> Mosaic(title="Heads", values=np.zeros((1, 2, 3, 3)), row_labels=["0"], column_labels=["0", "1"], names=[["L0H0", "L0H1"]],
        ...     scale_title="weight", limits=(0, 1)).alt
        'Heads. 1 by 2 small heat maps of weight, 3 by 3 cells each (row by column): the largest value is 0 (L0H0).'
    """

    values: np.ndarray
    row_labels: Sequence[str]
    column_labels: Sequence[str]
    names: Sequence[Sequence[str]]
    row_title: str = "row"
    column_title: str = "column"
    inner_titles: tuple[str, str] = ("row", "column")
    scale_title: str
    units: str = "1"
    limits: tuple[float | int, float | int]
    marks: Sequence[tuple[int, int]] = ()

    def __post_init__(self) -> None:
        values = _numbers(self.values, np.float32, axes=4, what="mosaic")
        names = tuple(tuple(row) for row in self.names)
        _set(self, values=values, names=names, marks=tuple(self.marks))
        _set(self, row_labels=tuple(self.row_labels), column_labels=tuple(self.column_labels))
        rows, columns = values.shape[:2]
        _check_labels("row labels", self.row_labels, rows, "rows of matrices")
        _check_labels("column labels", self.column_labels, columns, "columns of matrices")
        if [len(row) for row in names] != [columns] * rows:
            raise DataError(f"names of {[len(row) for row in names]} matrices came; expected {rows} rows of {columns}")
        if any(not (0 <= row < rows and 0 <= column < columns) for row, column in self.marks):
            raise DataError(f"marks {self.marks} came; expected places among {rows} rows by {columns} columns of matrices")
        _check_limits(self.limits, values, diverging=False)

    @property
    def quantity(self) -> str:
        """What the colour stands for, with its unit."""
        return quantity(self.scale_title, self.units)

    @property
    def alt(self) -> str:
        """The figure in words: title, sizes, the largest value and where it is, caption."""
        rows, columns, inner_rows, inner_columns = self.values.shape
        start = f"{self.title}. {rows} by {columns} small heat maps of {self.quantity}, {inner_rows} by {inner_columns} cells each"
        told = f"{start} ({' by '.join(self.inner_titles)})"
        if np.isnan(self.values).all():
            return _sentences(f"{told}, without any number", self.footer)
        row, column, *_ = np.unravel_index(np.nanargmax(self.values), self.values.shape)
        return _sentences(f"{told}: the largest value is {np.nanmax(self.values):.3g} ({self.names[int(row)][int(column)]})", self.footer)


Description = HeatMap | WordLines | Mosaic | Bars | Lines | Points


def _set(frozen: object, **fields: object) -> None:
    """Put a frozen instance's fields in their kept form; only for `__post_init__`."""
    for name, value in fields.items():
        object.__setattr__(frozen, name, value)


def _numbers(values: np.ndarray, dtype: type, *, axes: int, what: str) -> np.ndarray:
    """A read-only copy of the values, so that a figure does not change after it was described."""
    kept: np.ndarray = np.array(values, dtype=dtype)
    if kept.ndim != axes or not kept.size:
        raise DataError(f"{what}: values of shape {kept.shape} came; expected {axes} axes with at least one value in each")
    if np.isinf(kept).any():
        raise DataError(f"{what}: {int(np.isinf(kept).sum())} values are infinite (as {np.dtype(dtype)}) and cannot be drawn to scale")
    kept.flags.writeable = False
    return kept


def _check_labels(what: str, labels: Sequence[str], size: int, of_what: str) -> None:
    if len(labels) != size:
        raise DataError(f"{len(labels)} {what} came; expected {size}, one for each of the {of_what}")


def _check_limits(limits: tuple[float | int, float | int], values: np.ndarray, *, diverging: bool) -> None:
    low, high = limits
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise DataError(f"limits {limits} came; expected two finite numbers, the lower first")
    if diverging and low != -high:
        raise DataError(f"limits {limits} came for a diverging scale; expected them equally far from 0, such as (-{high}, {high})")
    # float32 rounding: a probability of 1 + 1e-7 must not count as outside
    slack = 1e-5 * (high - low)
    if (values < low - slack).any() or (values > high + slack).any():
        raise DataError(f"values from {np.nanmin(values):.4g} to {np.nanmax(values):.4g} leave the limits {limits}: they would be cut")


def _band(
    low: np.ndarray | None, high: np.ndarray | None, shape: tuple[int, ...], what: str
) -> tuple[np.ndarray | None, np.ndarray | None]:
    if low is None and high is None:
        return None, None
    if low is None or high is None:
        raise DataError(f"{what}: only one end of the intervals came; expected low and high, or neither")
    ends = _numbers(low, np.float64, axes=1, what=f"{what}, low"), _numbers(high, np.float64, axes=1, what=f"{what}, high")
    if ends[0].shape != shape or ends[1].shape != shape:
        raise DataError(f"{what}: {ends[0].size} low and {ends[1].size} high ends came; expected {shape[0]} of each")
    if (ends[0] > ends[1]).any():
        raise DataError(f"{what}: the interval at {int((ends[0] > ends[1]).argmax())} has its low end above its high end")
    return ends


def _span(name: str, line: Series) -> str:
    if np.isnan(line.values).all():
        return f"{name} without any number"
    return f"{name} from {np.nanmin(line.values):.3g} to {np.nanmax(line.values):.3g}"


def _against(reference: Reference | None) -> str:
    return "" if reference is None else f"; reference {reference.label} at {reference.value:.3g}"


def _sentences(start: str, footer: str) -> str:
    return f"{start}. {footer}".strip()
