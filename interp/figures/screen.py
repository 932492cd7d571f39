"""How does a figure get onto the screen? As a plotly figure, or an HTML file that needs nothing else.

Axes are numeric with the labels written at the numbers: tokens repeat, and a category axis would fold equal ones together.
Backgrounds are transparent and the colour of text is left open, so that a light or dark theme (Streamlit's) decides both.
"""

import html
import textwrap
from typing import Any

import numpy as np
import plotly.graph_objects as go

from interp.core.errors import DataError
from interp.figures.description import Bars, Description, HeatMap, Lines, Mosaic, Points, Reference, Series, WordLines
from interp.figures.labels import escaped, isolated, shortened, shown
from interp.figures.picture import picture
from interp.figures.scales import (
    DASHES,
    LEAST_PX,
    MISSING,
    NEGATIVE,
    POSITIVE,
    RULE,
    SERIES,
    TEXT_PX,
    TITLE_PX,
    stops,
    translucent,
)
from interp.figures.screen_axes import ruled, written
from interp.figures.screen_words import draw_word_lines

MOST_CLICKABLE_CELLS = 10_000
MANY_POINTS = 2_000
_MOST_IN_CELL = 10  # characters written in a cell
_FIT_IN_CELLS = 150  # characters of a row's cells side by side, in a chart some 1,200 px wide
_CLEAR = "rgba(0, 0, 0, 0)"
_BOTH = (("white", 5), ("black", 2))  # black on white: seen on light and dark, and on every bar and cell
_DASH = {"solid": "solid", "dashed": "dash", "dotted": "dot", "dashdot": "dashdot"}
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body {{ margin: 1rem; background: white; color: #222; font-family: sans-serif; }} figure {{ margin: 0; }}
figcaption {{ font-size: 0.85rem; color: #555; }}</style></head>
<body><figure><div role="img" aria-label="{alt}">{chart}</div><figcaption>{caption}</figcaption></figure></body></html>
"""


def to_plotly(description: Description, *, clickable: bool = False) -> go.Figure:
    """The figure for the screen; caption and alt text lie in `layout.meta`.

    Args:
        clickable: lay points that cannot be seen over a heat map's cells, for `st.plotly_chart(on_select="rerun")`, which ignores
            clicks on the cells themselves. A chosen point's `x` and `y` are its column and row (through Streamlit, too).
    Raises: DataError when clickable is asked of anything but a heat map or points, or of a heat map with too many cells.
    """
    if clickable and (isinstance(description, WordLines) or not isinstance(description, HeatMap | Mosaic | Points)):
        raise DataError(f"clickable=True came for {type(description).__name__}; only a HeatMap has cells to click")
    if isinstance(description, WordLines):
        figure = draw_word_lines(description)
    elif isinstance(description, HeatMap):
        figure = _heat_map(description)
        if clickable:
            _add_points(figure, description)
    elif isinstance(description, Mosaic):
        figure = _mosaic(description)  # so can each of its matrices
    elif isinstance(description, Points):
        figure = _points(description)  # they can be clicked as they are
    else:
        figure = _bars(description) if isinstance(description, Bars) else _lines(description)
    return figure.update_layout(
        title={
            "text": _folded(description.title, 80),
            "font": {"size": TITLE_PX, "weight": "bold"},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
        },
        font={"size": TEXT_PX},
        paper_bgcolor=_CLEAR,
        margin={"l": 10, "r": 10, "t": 60, "b": 10},
        meta={"alt": description.alt, "caption": description.footer},
        hovermode="closest",
    )


def nothing_yet(height_px: int) -> go.Figure:
    """An empty figure, which stands where one will come."""
    hidden = {"visible": False}
    return go.Figure(layout={"height": height_px, "xaxis": hidden, "yaxis": hidden, "paper_bgcolor": _CLEAR, "plot_bgcolor": _CLEAR})


def to_html(description: Description) -> str:
    """The figure as a whole HTML page, plotly inside (5 MB): it opens without a network, and says its alt text and caption."""
    figure = to_plotly(description).update_layout(template="plotly_white", font={"color": "#222222"})
    chart = figure.to_html(full_html=False, include_plotlyjs=True, div_id="figure", config={"displaylogo": False, "responsive": True})
    words = {"title": description.title, "alt": description.alt, "caption": description.footer}
    return _PAGE.format(chart=chart, **{name: html.escape(text) for name, text in words.items()})


def _heat_map(heat: HeatMap) -> go.Figure:
    low, high = heat.scale
    rows, columns = heat.values.shape
    height = int(min(max(26 * rows, 240), 720))
    scale_title = {"text": _folded(heat.quantity, height // 8), "side": "right"}
    cells = go.Heatmap(
        z=heat.values,
        zmin=low,
        zmax=high,
        colorscale=stops(diverging=heat.diverging),
        colorbar={"title": scale_title, "thickness": 14, "outlinewidth": 0},
        hovertemplate=_hover(heat, "%{z:.4g}"),
        hoverongaps=False,
        **_texts(heat),
    )
    figure = go.Figure(cells)
    figure.update_xaxes(title=escaped(heat.column_title), range=[-0.5, columns - 0.5], **written(heat.column_labels, across=True))
    figure.update_yaxes(title=escaped(heat.row_title), range=[rows - 0.5, -0.5], **written(heat.row_labels))
    for row, column in heat.marks:
        for colour, width in _BOTH:
            corners = {"x0": column - 0.5, "x1": column + 0.5, "y0": row - 0.5, "y1": row + 0.5}
            figure.add_shape(type="rect", **corners, line={"color": colour, "width": width})
    return figure.update_layout(height=height + 150, plot_bgcolor=MISSING)


def _texts(heat: HeatMap) -> dict[str, Any]:
    """What is written in the cells, where there is room for it; a cell without a number keeps its text for itself."""
    if heat.texts is None:
        return {}
    texts = [[escaped(isolated(shortened(shown(text), _MOST_IN_CELL))) for text in row] for row in heat.texts]
    longest = max(len(shown(text)) for row in heat.texts for text in row)
    room = heat.values.shape[1] * min(longest, _MOST_IN_CELL) <= _FIT_IN_CELLS
    return {"text": texts, **({"texttemplate": "%{text}", "textfont": {"size": LEAST_PX + 1}} if room else {})}


def _add_points(figure: go.Figure, heat: HeatMap) -> None:
    """Clear points over the cells. They show the cell's tooltip themselves, because the nearest trace is the one that is asked."""
    if heat.values.size > MOST_CLICKABLE_CELLS:
        raise DataError(f"clickable=True came for {heat.values.size} cells; expected {MOST_CLICKABLE_CELLS} or fewer: choose from a table")
    rows, columns = (places.ravel() for places in np.indices(heat.values.shape, dtype=np.float32))
    clear = {"marker": {"opacity": 0}}
    figure.add_scatter(
        x=columns,
        y=rows,
        customdata=np.stack([rows, columns, heat.values.ravel()], axis=1),
        mode="markers",
        marker={"size": 18, "opacity": 0, "color": RULE},
        selected=clear,
        unselected=clear,
        hovertemplate=_hover(heat, "%{customdata[2]:.4g}"),
        showlegend=False,
    )
    figure.update_layout(hoverdistance=-1)  # a click between two points goes to the nearest: the cell that it is in


def _mosaic(mosaic: Mosaic) -> go.Figure:
    """All matrices as one picture, with a clear point over each that tells its name and can be clicked."""
    low, high = (float(end) for end in mosaic.limits)
    rows, columns = mosaic.values.shape[:2]
    places_down, places_across = (places.ravel() for places in np.indices((rows, columns), dtype=np.float32))
    largest = np.nanmax(mosaic.values, axis=(2, 3), initial=-np.inf).ravel()
    texts = [f"{escaped(name)}<br>largest {value:.3g}" for name, value in zip(np.ravel(mosaic.names).tolist(), largest, strict=True)]
    clear = {"marker": {"opacity": 0}}
    figure = go.Figure(
        go.Scatter(
            x=places_across,
            y=places_down,
            text=texts,
            mode="markers",
            marker={"size": 24, "opacity": 0, "color": RULE},
            selected=clear,
            unselected=clear,
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )
    scale = {"colorscale": stops(diverging=False), "cmin": low, "cmax": high, "showscale": True}
    bar = {"title": {"text": _folded(mosaic.quantity, 40), "side": "right"}, "thickness": 14, "outlinewidth": 0}
    figure.add_scatter(x=[None], y=[None], mode="markers", marker={**scale, "color": [low], "colorbar": bar}, showlegend=False)
    frame = {"x": -0.5, "y": -0.5, "sizex": columns, "sizey": rows, "xref": "x", "yref": "y", "yanchor": "top"}
    figure.add_layout_image(source=picture(mosaic), sizing="stretch", layer="below", **frame)
    figure.update_xaxes(title=escaped(mosaic.column_title), range=[-0.5, columns - 0.5], **written(mosaic.column_labels, across=True))
    figure.update_yaxes(title=escaped(mosaic.row_title), range=[rows - 0.5, -0.5], **written(mosaic.row_labels))
    for row, column in mosaic.marks:
        for colour, width in _BOTH:
            corners = {"x0": column - 0.49, "x1": column + 0.49, "y0": row - 0.49, "y1": row + 0.49}
            figure.add_shape(type="rect", **corners, line={"color": colour, "width": width})
    height = int(min(max(78 * rows, 240), 900))
    return figure.update_layout(height=height + 150, plot_bgcolor=_CLEAR, hoverdistance=-1)


def _bars(bars: Bars) -> go.Figure:
    places = np.arange(len(bars.values), dtype=np.float32)
    colours = [POSITIVE if value >= 0 else NEGATIVE for value in bars.values]
    hover = f"%{{y}}<br>{_quoted(bars.quantity)}: %{{x:.4g}}<extra></extra>"
    figure = go.Figure(go.Bar(x=bars.values, y=places, orientation="h", width=0.72, marker={"color": colours}, hovertemplate=hover))
    if bars.low is not None and bars.high is not None:
        gap = np.full_like(bars.low, np.nan)
        ends = np.stack([bars.low, bars.high, gap], axis=1).ravel()
        for colour, width in _BOTH:
            line = {"color": colour, "width": width}
            figure.add_scatter(x=ends, y=np.repeat(places, 3), mode="lines", line=line, hoverinfo="skip")
    figure.update_xaxes(title=escaped(bars.quantity), range=bars.limits, **ruled())
    figure.update_yaxes(range=[len(places) - 0.4, -0.6], **written(bars.labels))
    if bars.reference is not None:
        _add_reference(figure, bars.reference, "x")
    return figure.update_layout(height=max(24 * len(places), 120) + 150, plot_bgcolor=_CLEAR, showlegend=False)


def _lines(lines: Lines) -> go.Figure:
    figure = go.Figure()
    for at, (name, line) in enumerate(lines.series.items()):
        _add_band(figure, lines, line, SERIES[at % len(SERIES)])
        figure.add_scatter(
            x=lines.x,
            y=line.values,
            name=escaped(shown(name)),
            mode="lines+markers",
            line={"color": SERIES[at % len(SERIES)], "dash": _DASH[DASHES[at % len(DASHES)]]},
            hovertemplate=f"{_quoted(lines.x_title)} %{{x}}<br>{_quoted(lines.quantity)}: %{{y:.4g}}",
        )
    figure.update_xaxes(title=escaped(lines.x_title), **ruled())
    figure.update_yaxes(title=escaped(lines.quantity), **ruled())
    if (lines.x == lines.x.round()).all() and len(lines.x) <= 20:
        figure.update_xaxes(tickmode="array", tickvals=lines.x)
    if lines.reference is not None:
        _add_reference(figure, lines.reference, "y")
    return figure.update_layout(height=400, plot_bgcolor=_CLEAR, showlegend=len(lines.series) > 1, legend={"traceorder": "normal"})


def _points(points: Points) -> go.Figure:
    """Many points go to the graphics card, where there is one: as vectors they would take seconds."""
    many = len(points.x) > MANY_POINTS
    marker = {"size": 4 if many else 9, "color": POSITIVE, "opacity": 0.45 if many else 0.8, "line": {"width": 0}}
    hover = f"%{{text}}<br>{_quoted(points.x_quantity)}: %{{x:.4g}}<br>{_quoted(points.quantity)}: %{{y:.4g}}<extra></extra>"
    look = {"mode": "markers", "marker": marker, "hovertemplate": hover, "showlegend": False}
    texts = [escaped(shown(label)) for label in points.labels]
    figure = go.Figure((go.Scattergl if many else go.Scatter)(x=points.x, y=points.y, text=texts, **look))
    chosen = list(points.marks)
    figure.add_scatter(
        x=points.x[chosen],
        y=points.y[chosen],
        text=[texts[at] for at in chosen],
        mode="markers+text",
        textposition="top center",
        marker={"size": 11, "color": NEGATIVE, "line": {"width": 1.5, "color": "black"}},
        hovertemplate=hover,
        showlegend=False,
    )
    figure.update_xaxes(title=escaped(points.x_quantity), **ruled())
    figure.update_yaxes(title=escaped(points.quantity), **ruled())
    return figure.update_layout(height=520, plot_bgcolor=_CLEAR)


def _add_band(figure: go.Figure, lines: Lines, line: Series, colour: str) -> None:
    """The band as two clear lines with the space between them filled."""
    if line.low is None or line.high is None:
        return
    clear = {"x": lines.x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(y=line.low, **clear)
    figure.add_scatter(y=line.high, fill="tonexty", fillcolor=translucent(colour, 0.2), **clear)


def _add_reference(figure: go.Figure, reference: Reference, axis: str) -> None:
    """A dashed line across the plot at a value of the axis, its name above the plot's edge or above the line."""
    across = "y" if axis == "x" else "x"
    ends = {f"{axis}0": reference.value, f"{axis}1": reference.value, f"{across}0": 0, f"{across}1": 1, f"{across}ref": "paper"}
    for (colour, width), dash in zip(_BOTH, ("solid", "dash"), strict=True):
        figure.add_shape(type="line", **ends, line={"color": colour, "width": width * 0.7, "dash": dash})
    place = {
        axis: reference.value,
        across: 1,
        f"{across}ref": "paper",
        "yanchor": "bottom",
        "xanchor": "center" if axis == "x" else "right",
    }
    figure.add_annotation(text=escaped(reference.label), showarrow=False, **place)


def _hover(heat: HeatMap, value: str) -> str:
    row, column = _quoted(heat.row_title), _quoted(heat.column_title)
    text = "" if heat.texts is None else f"<br>{_quoted(heat.texts_title)}: %{{text}}"
    return f"{row} %{{y}}<br>{column} %{{x}}<br>{_quoted(heat.quantity)}: {value}{text}<extra></extra>"


def _quoted(text: str) -> str:
    """A text inside a hover template, where %{...} would be filled in."""
    return escaped(text).replace("%", "&#37;")


def _folded(text: str, most: int) -> str:
    """A text broken into lines of at most `most` characters."""
    return "<br>".join(escaped(line) for line in textwrap.wrap(text, most))
