"""Descriptions refuse what cannot be drawn truthfully, do not change after they are made, and say themselves in words."""

import dataclasses

import numpy as np
import pytest

from interp.core.errors import DataError
from interp.figures.description import Bars, HeatMap, Lines, Reference, Series

HEAT = {"title": "t", "values": np.eye(2), "row_labels": ["a", "b"], "column_labels": ["c", "d"], "scale_title": "w"}
BARS = {"title": "t", "labels": ["a", "b"], "values": np.array([1.0, 2.0]), "value_title": "v"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row_labels": ["a"]}, "1 row labels came; expected 2"),
        ({"column_labels": ["a", "b", "c"]}, "3 column labels came; expected 2"),
        ({"values": np.zeros(2)}, r"shape \(2,\) came; expected 2 axes"),
        ({"values": np.zeros((0, 2)), "row_labels": []}, "at least one value"),
        ({"values": np.array([[np.inf, 0], [0, 0]])}, "1 values are infinite"),
        ({"values": np.array([[1e39, 0], [0, 0]])}, "infinite"),
        ({"marks": [(2, 0)]}, r"mark \(2, 0\) is outside a heat map of 2 rows"),
        ({"marks": [(-1, 0)]}, "outside"),
        ({"limits": (1.0, 0.0)}, "the lower first"),
        ({"limits": (-1.0, 2.0), "diverging": True}, "equally far from 0"),
        ({"limits": (0.0, 0.5)}, "leave the limits"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_heat_map_that_does_not_fit_is_refused(changes: dict, message: str) -> None:
    HeatMap(**HEAT)
    with pytest.raises(DataError, match=message):
        HeatMap(**{**HEAT, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["a"]}, "1 labels came; expected 2"),
        ({"values": np.array([1.0, np.nan])}, "bar 'b' has no number"),
        ({"low": np.zeros(2)}, "only one end"),
        ({"low": np.zeros(3), "high": np.ones(3)}, "expected 2 of each"),
        ({"low": np.ones(2), "high": np.array([2.0, 0.0])}, "interval at 1 has its low end above"),
    ],
)
def test_bars_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    Bars(**BARS)
    with pytest.raises(DataError, match=message):
        Bars(**{**BARS, **changes})


@pytest.mark.parametrize(
    ("x", "series", "message"),
    [
        ([0.0, 1.0], {}, "no series"),
        ([1.0, 0.0], {"a": [1.0, 2.0]}, "does not increase"),
        ([0.0, np.nan], {"a": [1.0, 2.0]}, "does not increase"),
        ([0.0, 1.0], {"a": [1.0]}, "series 'a' has 1 values; expected 2"),
    ],
)
def test_lines_that_do_not_fit_are_refused(x: list, series: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Lines(title="t", value_title="v", x=np.array(x), series={name: Series(values=np.array(v)) for name, v in series.items()})


def test_a_reference_is_a_number() -> None:
    with pytest.raises(DataError, match="reference 'chance' is nan"):
        Reference(value=float("nan"), label="chance")


def test_a_description_keeps_its_own_copy() -> None:
    values = np.eye(2)
    heat = HeatMap(**{**HEAT, "values": values})
    values[0, 0] = 9
    assert heat.values[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        heat.values[0, 0] = 9
    with pytest.raises(dataclasses.FrozenInstanceError):
        heat.title = "other"  # type: ignore[misc]


def test_a_diverging_scale_is_centred_on_zero_and_a_sequential_one_is_not() -> None:
    values = np.array([[-1.0, 3.0], [0.0, 2.0]])
    assert HeatMap(**{**HEAT, "values": values, "diverging": True}).scale == (-3, 3)
    assert HeatMap(**{**HEAT, "values": values}).scale == (-1, 3)


@pytest.mark.parametrize("value", [0.0, 2.0, -2.0, np.nan])
@pytest.mark.parametrize("diverging", [True, False])
def test_a_scale_has_a_length_even_where_all_values_are_equal(value: float, diverging: bool) -> None:
    low, high = HeatMap(**{**HEAT, "values": np.full((2, 2), value), "diverging": diverging}).scale
    assert low < high


def test_alt_text_says_extremes_and_where(heat: HeatMap, lines: Lines) -> None:
    row, column = np.unravel_index(np.nanargmax(heat.values), heat.values.shape)
    assert f"to {np.nanmax(heat.values):.3g} ({heat.row_labels[row]}, {heat.column_labels[column]})" in heat.alt
    assert heat.alt.endswith("A model. n = 7.")
    assert "L1H3 from 0.1 to 0.9" in lines.alt
    assert "reference chance at 0.2" in lines.alt
    assert "without any number" in HeatMap(**{**HEAT, "values": np.full((2, 2), np.nan)}).alt
