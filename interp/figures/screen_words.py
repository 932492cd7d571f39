"""Lines between words on the screen: two columns of words, a line for each number, wider and stronger the larger it is."""

from itertools import groupby

import plotly.graph_objects as go

from interp.figures.description import WordLines
from interp.figures.labels import escaped
from interp.figures.scales import NEGATIVE, POSITIVE, translucent
from interp.figures.screen_axes import written

_STEPS = 12  # of strength: a plotly line has one colour and one width
_MOST_PX, _LEAST_ALPHA = 4.0, 0.12


def draw_word_lines(lines: WordLines) -> go.Figure:
    """Words as ticks on both sides; what is about as strong is one trace. Numbers are in the CSV: lines tell none under the mouse."""
    figure, n = go.Figure(), max(lines.values.shape)
    for step, drawn in groupby(lines.lines(), key=lambda line: round(_STEPS * line[2]) or (1 if line[2] > 0 else -1)):
        _add(figure, [(row, column) for row, column, _ in drawn], step / _STEPS)
    figure.add_scatter(x=[None], y=[None], yaxis="y2", showlegend=False)
    side = {"range": [n - 0.5, -0.5], "fixedrange": True}
    return figure.update_layout(
        xaxis={"visible": False, "range": [0, 1], "fixedrange": True},
        yaxis={"title": escaped(lines.row_title), **side, **written(lines.row_labels)},
        yaxis2={"title": escaped(lines.column_title), "side": "right", "overlaying": "y", **side, **written(lines.column_labels)},
        height=22 * n + 150,
        plot_bgcolor="rgba(0, 0, 0, 0)",
    )


def _add(figure: go.Figure, ends: list[tuple[int, int]], share: float) -> None:
    colour = translucent(POSITIVE if share > 0 else NEGATIVE, round(_LEAST_ALPHA + (1 - _LEAST_ALPHA) * abs(share), 3))
    heights = [end for row, column in ends for end in (row, column, None)]
    line = {"color": colour, "width": 0.5 + _MOST_PX * abs(share)}
    figure.add_scatter(x=[0, 1, None] * len(ends), y=heights, mode="lines", line=line, hoverinfo="skip", showlegend=False)
