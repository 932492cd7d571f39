"""Many small matrices on paper: rows and columns of them as one grid of cells, with the colour bar below."""

import numpy as np

from interp.figures.description import HeatMap, Mosaic
from interp.figures.page import Page
from interp.figures.paper_heat import draw_heat_map


def draw_mosaic(mosaic: Mosaic, width_mm: float) -> Page:
    """The page for a mosaic: a heat map whose rows and columns are those of all matrices, parted by cells without a number."""
    return draw_heat_map(as_one(mosaic), width_mm)


def as_one(mosaic: Mosaic) -> HeatMap:
    """All matrices as one, a cell of NaN between them; labels stand at the middle of each."""
    rows, columns, inner_rows, inner_columns = mosaic.values.shape
    framed = np.pad(mosaic.values, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    whole = framed.transpose(0, 2, 1, 3).reshape(rows * (inner_rows + 1), columns * (inner_columns + 1))[:-1, :-1]
    return HeatMap(
        title=mosaic.title,
        caption=mosaic.caption,
        n=mosaic.n,
        values=whole,
        row_labels=_spread(mosaic.row_labels, inner_rows),
        column_labels=_spread(mosaic.column_labels, inner_columns),
        row_title=mosaic.row_title,
        column_title=mosaic.column_title,
        scale_title=mosaic.scale_title,
        units=mosaic.units,
        limits=mosaic.limits,
    )


def _spread(labels, size: int) -> list[str]:
    """Each label at the middle of its matrix, nothing elsewhere."""
    return [label if at == size // 2 else "" for label in labels for at in range(size + 1)][:-1]
