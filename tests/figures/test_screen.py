"""The plotly figure: literal labels, typed arrays, a layer for clicks, no colour of its own for text."""

import numpy as np
import pytest

from interp.core.errors import DataError
from interp.figures.description import Bars, Description, HeatMap, Lines
from interp.figures.screen import MOST_CLICKABLE_CELLS, to_html, to_plotly


def test_labels_are_literal_and_repeated_tokens_stay_apart(heat: HeatMap) -> None:
    axis = to_plotly(heat).layout.xaxis
    assert len(axis.tickvals) == 10
    assert [axis.ticktext[at] for at in (1, 2, 4, 5, 6)] == ["␣the", "&lt;b&gt;", "&#36;x&#36;", "\\n", "␣the"]
    assert "<i>" not in to_plotly(heat).layout.title.text


def test_nothing_in_a_title_is_filled_in_by_the_hover_template() -> None:
    heat = HeatMap(title="t", values=np.eye(1), row_labels=["a"], column_labels=["a"], scale_title="w", row_title="%{x}")
    assert "&#37;{x} %{y}" in to_plotly(heat).data[0].hovertemplate


def test_cells_travel_as_float32(heat: HeatMap) -> None:
    figure = to_plotly(heat, clickable=True)
    assert figure.data[0].z.dtype == np.float32
    assert figure.to_plotly_json()["data"][0]["z"]["dtype"] == "f4"
    assert figure.data[1].customdata.dtype == np.float32


def test_row_0_is_at_the_top(heat: HeatMap, bars: Bars) -> None:
    for description in (heat, bars):
        low, high = to_plotly(description).layout.yaxis.range
        assert low > high


def test_the_layer_for_clicks_says_the_cell(heat: HeatMap) -> None:
    points = to_plotly(heat, clickable=True).data[1]
    assert len(points.x) == heat.values.size
    row, column, value = points.customdata[37]
    assert (row, column) == (3, 7)
    assert value == heat.values[3, 7]
    assert points.marker.opacity == 0
    assert points.hoverinfo != "skip"
    assert len(to_plotly(heat).data) == 1


def test_clicks_that_cannot_be_had_are_refused(bars: Bars) -> None:
    with pytest.raises(DataError, match="clickable=True came for Bars"):
        to_plotly(bars, clickable=True)
    size = MOST_CLICKABLE_CELLS + 1
    wide = HeatMap(title="t", values=np.zeros((1, size)), row_labels=["a"], column_labels=["b"] * size, scale_title="w")
    with pytest.raises(DataError, match="10000 or fewer"):
        to_plotly(wide, clickable=True)


def test_the_theme_decides_the_text(description: Description) -> None:
    layout = to_plotly(description).layout
    assert layout.font.color is None
    assert layout.paper_bgcolor == "rgba(0, 0, 0, 0)"
    assert layout.meta["alt"] == description.alt


def test_a_band_lies_around_its_line(lines: Lines) -> None:
    low, high, line = to_plotly(lines).data[:3]
    assert high.fill == "tonexty"
    np.testing.assert_array_equal(low.y < line.y, high.y > line.y)


def test_html_needs_nothing_else_and_obeys_no_label(heat: HeatMap) -> None:
    page = to_html(heat)
    assert page == to_html(heat)
    assert "<script src" not in page
    assert '<html lang="en">' in page
    assert "Scores &lt;i&gt;of&lt;/i&gt; $a$ head</title>" in page
    assert "A model. n = 7.</figcaption>" in page
    start = page.index("Plotly.newPlot(")
    assert "</script>" not in page[start : page.index("</figcaption>")].replace("</script>", "", 1)
