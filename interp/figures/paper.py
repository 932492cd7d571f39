"""How does a figure get into print? As PDF, SVG or PNG through matplotlib, the same bytes on every run.

Width is a journal's: 89 mm (one column) or 183 mm (two). PDFs embed their fonts (type 42), SVGs hold letters as outlines so that
they look the same everywhere, unless text is asked for. Cells are vectors up to `paper_heat.MOST_VECTOR_CELLS`; a larger map's cells
(not its text) are a 600 dpi bitmap, which keeps the file readable. No date is written; the bytes depend on matplotlib's version and,
for characters that DejaVu Sans has not, on the fonts installed (`glyphs`).

pyplot is never touched. matplotlib's settings are changed only while one figure is drawn, one at a time: they are global, and a
dashboard draws from several threads.
"""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG

from interp.figures.description import Bars, Description, HeatMap, Mosaic, Points, WordLines
from interp.figures.glyphs import families
from interp.figures.page import Page
from interp.figures.paper_bars import draw_bars, draw_lines
from interp.figures.paper_heat import draw_heat_map
from interp.figures.paper_mosaic import draw_mosaic
from interp.figures.paper_points import draw_points
from interp.figures.paper_words import draw_word_lines
from interp.figures.scales import WIDTH_MM, Width

Format = Literal["pdf", "svg", "png"]
Letters = Literal["outlines", "text"]
PNG_DPI = 300
_BITMAP_DPI = 600
_DRAWING = threading.Lock()
_FONT_TYPES = {"outlines": "path", "text": "none"}
_SETTINGS: Any = {
    "font.size": 7.0,
    "text.parse_math": False,  # a token "$x$" is text, not a formula
    "text.usetex": False,
    "text.hinting": "none",  # hinted letters are wider than measured
    "axes.unicode_minus": True,
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "svg.hashsalt": "interp",
    "path.simplify": False,
}


def to_bytes(description: Description, form: Format, *, width: Width = "one", letters: Letters = "outlines") -> bytes:
    """The figure as the content of a PDF, SVG or PNG file.

    Args:
        width: "one" column (89 mm) or "two" (183 mm); the height follows from the content.
        letters: of an SVG: "outlines" look the same everywhere; "text", in the reader's fonts, is a fifth of the size and can be searched:
            for a page of many figures.

    Example:
        >>> import numpy as np
        >>> to_bytes(Bars(title="Parts", labels=["a"], values=np.array([1.0]), value_title="effect"), "pdf")[:5]
        b'%PDF-'
    """
    with printing(letters):
        page = _draw(description, WIDTH_MM[width])
        return _written(page, form, title=description.title, alt=description.alt)


@contextmanager
def printing(letters: Letters = "outlines") -> Iterator[None]:
    """matplotlib with this house's settings and no others, for one thread at a time; put back afterwards."""
    with _DRAWING, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS | {"font.family": list(families()), "svg.fonttype": _FONT_TYPES[letters]})
        yield


def _draw(description: Description, width_mm: float) -> Page:
    if isinstance(description, WordLines):
        return draw_word_lines(description, width_mm)
    if isinstance(description, HeatMap):
        return draw_heat_map(description, width_mm)
    if isinstance(description, Mosaic):
        return draw_mosaic(description, width_mm)
    if isinstance(description, Points):
        return draw_points(description, width_mm)
    return draw_bars(description, width_mm) if isinstance(description, Bars) else draw_lines(description, width_mm)


def _written(page: Page, form: Format, *, title: str, alt: str) -> bytes:
    """The page's bytes. Dates are left out: they are what differs from run to run."""
    content = io.BytesIO()
    if form == "pdf":
        about = {"Title": title, "Subject": alt, "CreationDate": None}
        FigureCanvasPdf(page.figure).print_figure(content, format="pdf", dpi=_BITMAP_DPI, metadata=about)
    elif form == "svg":
        FigureCanvasSVG(page.figure).print_figure(
            content, format="svg", dpi=_BITMAP_DPI, metadata={"Title": title, "Description": alt, "Date": None}
        )
    else:
        FigureCanvasAgg(page.figure).print_figure(content, format="png", dpi=PNG_DPI, metadata={"Description": alt})
    return content.getvalue()
