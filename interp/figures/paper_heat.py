"""A heat map on paper: cells as vectors, labels that can be read, the colour bar below with its unit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from interp.figures.description import HeatMap
from interp.figures.glyphs import printable
from interp.figures.labels import MOST_LABELS, shortened, shown, ticks
from interp.figures.page import GAP_MM, INCH_MM, MARGIN_MM, Page, fitted, label_size, line_mm, open_page, text_mm, widest_mm, wrapped
from interp.figures.scales import CAPTION_PT, LEAST_PT, MISSING, MOST_HEIGHT_MM, TEXT_PT, stops

MOST_VECTOR_CELLS = 65_536
_BAR_MM = 2.5
_EDGE_PT = 0.6  # at 0.15, browsers still show hairlines
_TALLEST_CELL_MM = 9.0
_MOST_IN_CELL = 10  # characters written in a cell


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels along one side, as printed: which, how large, turned or not, and the room that they take (mm)."""

    places: list[int]
    texts: list[str]
    size: float
    turned: bool
    room_mm: float


def draw_heat_map(heat: HeatMap, width_mm: float) -> Page:
    """The page for a heat map."""
    rows, columns = heat.values.shape
    names = [fitted(shown(label), TEXT_PT, 0.28 * width_mm) for label in heat.row_labels]
    left = MARGIN_MM + line_mm(TEXT_PT) + GAP_MM + widest_mm(names, TEXT_PT) + GAP_MM
    across = width_mm - left - 2 * MARGIN_MM
    down = _height(rows, across / columns, text_mm(shown(heat.row_title), TEXT_PT))
    row_side = _side(names, down, turned=False)
    column_side = _columns([fitted(shown(label), TEXT_PT, 0.2 * width_mm) for label in heat.column_labels], across)
    under = down + GAP_MM + column_side.room_mm + GAP_MM
    scale_title = wrapped(heat.quantity, TEXT_PT, across)
    bar_top = under + line_mm(TEXT_PT) + 2.5 * GAP_MM
    body = bar_top + _BAR_MM + GAP_MM + line_mm(CAPTION_PT) + len(scale_title) * line_mm(TEXT_PT)
    page = open_page(heat, width_mm=width_mm, body_mm=body)
    axes = page.axes(left, 0.0, across, down)
    cell = min(across / columns, down / rows) * 72 / INCH_MM
    _cells(axes, heat, cell)
    _marks(axes, heat, cell)
    _texts(axes, heat, across / columns)
    _write_labels(axes, row_side, column_side)
    page.text(MARGIN_MM, down / 2, shown(heat.row_title), rotation=90, va="center")
    page.text(left + across / 2, under, shown(heat.column_title), ha="center")
    _colour_bar(page, heat, left, bar_top, min(across, 60.0))
    for at, line in enumerate(scale_title):
        page.text(left, bar_top + _BAR_MM + GAP_MM + line_mm(CAPTION_PT) + at * line_mm(TEXT_PT), line)
    return page


def colour_map(*, diverging: bool) -> Colormap:
    """The house's scale for matplotlib; missing values grey."""
    scale = LinearSegmentedColormap.from_list("interp", stops(diverging=diverging), N=1024)
    return scale.with_extremes(bad=MISSING)


def _height(rows: int, cell_mm: float, title_mm: float) -> float:
    """Cells as high as wide, but no lower than a label where all labels are written, and no higher than the page allows."""
    least = line_mm(LEAST_PT) if rows <= MOST_LABELS else 0.0
    return min(max(rows * min(max(cell_mm, least), _TALLEST_CELL_MM), title_mm), MOST_HEIGHT_MM - 60)


def _side(names: Sequence[str], length_mm: float, *, turned: bool) -> Labels:
    named = [at for at, name in enumerate(names) if name] or [0]
    size = label_size(length_mm / len(named))
    places = [named[at] for at in ticks(named, most=min(MOST_LABELS, max(1, math.floor(length_mm / line_mm(size) + 1e-6))))]
    texts = [names[at] for at in places]
    return Labels(places=places, texts=texts, size=size, turned=turned, room_mm=widest_mm(texts, size))


def _columns(names: Sequence[str], across_mm: float) -> Labels:
    """Labels side by side where all fit, else turned by a quarter, read from below."""
    named = [at for at, name in enumerate(names) if name] or [0]
    if len(named) <= MOST_LABELS and widest_mm(names, TEXT_PT) + 2 * GAP_MM / 3 <= across_mm / len(named):
        texts = [names[at] for at in named]
        return Labels(places=named, texts=texts, size=TEXT_PT, turned=False, room_mm=line_mm(TEXT_PT))
    return _side(names, across_mm, turned=True)


def _cells(axes: Axes, heat: HeatMap, cell_pt: float) -> None:
    """Cells with an edge of their own colour, which closes the white hairlines that viewers leave between neighbours."""
    rows, columns = heat.values.shape
    low, high = heat.scale
    axes.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        np.ma.masked_invalid(heat.values),
        cmap=colour_map(diverging=heat.diverging),
        norm=Normalize(low, high),
        edgecolors="face",
        linewidth=min(_EDGE_PT, cell_pt / 8),
        rasterized=heat.values.size > MOST_VECTOR_CELLS,
    )
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.spines[:].set(linewidth=0.5, color="#808080")


def _marks(axes: Axes, heat: HeatMap, cell_pt: float) -> None:
    """A black frame with a white one inside it, seen on every colour."""
    thick = min(1.2, cell_pt / 8)
    for row, column in heat.marks:
        for colour, width in (("white", 2 * thick), ("black", thick)):
            axes.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=colour, linewidth=width, clip_on=False, zorder=3)
            )


def _texts(axes: Axes, heat: HeatMap, across_mm: float) -> None:
    """What is written in the cells, dark on light and light on dark; nothing where the longest does not fit."""
    texts = [[shortened(shown(text), _MOST_IN_CELL) for text in row] for row in heat.texts or ()]
    if not texts or widest_mm([text for row in texts for text in row], LEAST_PT) > across_mm:
        return
    norm, colours = Normalize(*heat.scale), colour_map(diverging=heat.diverging)
    for (row, column), value in np.ndenumerate(heat.values):
        red, green, blue, _ = colours(np.ma.masked_invalid(norm(value)))
        ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
        axes.text(column, row, printable(texts[row][column]), fontsize=LEAST_PT, color=ink, ha="center", va="center", clip_on=True)


def _write_labels(axes: Axes, rows: Labels, columns: Labels) -> None:
    axes.set_yticks(rows.places, [printable(text) for text in rows.texts], fontsize=rows.size)
    axes.set_xticks(columns.places, [printable(text) for text in columns.texts], fontsize=columns.size)
    axes.tick_params(length=0, pad=GAP_MM * 72 / INCH_MM)
    if columns.turned:
        axes.tick_params(axis="x", labelrotation=90)


def _colour_bar(page: Page, heat: HeatMap, left: float, top: float, across: float) -> None:
    """The scale as 128 vector cells with its numbers below."""
    low, high = heat.scale
    edges = np.linspace(low, high, 129)
    axes = page.axes(left, top, across, _BAR_MM)
    shades = (edges[None, :-1] + edges[None, 1:]) / 2
    axes.pcolormesh(
        edges, [0, 1], shades, cmap=colour_map(diverging=heat.diverging), norm=Normalize(low, high), edgecolors="face", linewidth=_EDGE_PT
    )
    axes.set(xlim=(low, high), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, min_n_ticks=4, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(labelsize=CAPTION_PT, length=1.5, width=0.5, pad=1)
    axes.spines[:].set(linewidth=0.5, color="#808080")
