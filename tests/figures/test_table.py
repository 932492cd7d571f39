"""The CSV holds exactly what is drawn: the numbers read back are those in the plotly figure and in the printed one."""

import csv
import io

import numpy as np

from interp.figures.description import Bars, Description, HeatMap, Lines
from interp.figures.paper_bars import draw_bars, draw_lines
from interp.figures.paper_heat import draw_heat_map
from interp.figures.screen import to_plotly
from interp.figures.table import to_csv


def _read(description: Description) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(description), newline="")))


def _column(rows: list[dict[str, str]], name: str, dtype: type = np.float64) -> np.ndarray:
    return np.array([float(row[name] or "nan") for row in rows], dtype=dtype)


def test_cells_are_those_on_screen_and_paper(heat: HeatMap) -> None:
    rows = _read(heat)
    values = _column(rows, "attention score [nats]", np.float32).reshape(10, 10)
    np.testing.assert_array_equal(values, to_plotly(heat).data[0].z)
    mesh = draw_heat_map(heat, 89.0).figure.axes[0].collections[0].get_array()
    np.testing.assert_array_equal(values, np.ma.filled(mesh.reshape(10, 10), np.nan))
    assert [row["key token"] for row in rows[:10]] == list(heat.column_labels)
    assert [(int(r["row_index"]), int(r["column_index"])) for r in rows if r["marked"] == "1"] == [(0, 1), (9, 9)]


def test_bars_are_those_on_screen_and_paper(bars: Bars) -> None:
    rows = _read(bars)
    values = _column(rows, "direct effect [logits]")
    bar, interval = to_plotly(bars).data[:2]
    np.testing.assert_array_equal(values, bar.x)
    np.testing.assert_array_equal(_column(rows, "low"), interval.x[0::3])
    np.testing.assert_array_equal(_column(rows, "high"), interval.x[1::3])
    np.testing.assert_array_equal(values, [patch.get_width() for patch in draw_bars(bars, 89.0).figure.axes[0].patches])
    assert {row["reference: <chance>"] for row in rows} == {"0.3"}
    assert [row["part"] for row in rows] == list(bars.labels)


def test_points_are_those_on_screen_and_paper(lines: Lines) -> None:
    rows = _read(lines)
    values = _column(rows, "score [probability]").reshape(2, 4)
    traces = {trace.name: trace for trace in to_plotly(lines).data if trace.name}
    np.testing.assert_array_equal(values[0], traces["L1H3"].y)
    np.testing.assert_array_equal(values[1], traces["&lt;b&gt;"].y)
    drawn = draw_lines(lines, 89.0).figure.axes[0].lines
    np.testing.assert_array_equal(values[1], drawn[1].get_ydata())
    np.testing.assert_array_equal(_column(rows, "shift")[:4], drawn[0].get_xdata())
    assert {row["low"] for row in rows[4:]} == {""}


def test_a_number_reads_back_as_itself() -> None:
    values = np.array([[0.1, 1e-20, 123456789.0]])
    heat = HeatMap(title="t", values=values, row_labels=["a"], column_labels=["a", "a", "a"], scale_title="w")
    np.testing.assert_array_equal(_column(_read(heat), "w", np.float32), heat.values[0])


def test_columns_that_hold_nothing_are_left_out(bars: Bars) -> None:
    plain = Bars(title="t", labels=["a"], values=np.array([1.0]), value_title="v")
    assert to_csv(plain).splitlines()[0] == "part,v"
    assert to_csv(bars).splitlines()[0] == "part,direct effect [logits],low,high,reference: <chance>"
