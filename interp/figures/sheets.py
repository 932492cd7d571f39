"""How do several figures become one PDF? A sheet of A4 each: the figure across two columns, its number and caption below, then the Python.

Vectors and embedded fonts as in `paper`, the same bytes on every run. A sheet whose content is higher than A4 is as high as that.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.backends.backend_pdf import PdfPages

from interp.figures.description import Description
from interp.figures.glyphs import families, printable
from interp.figures.page import GREY, INCH_MM, MARGIN_MM, Page, line_mm, wrapped
from interp.figures.paper import _draw, printing
from interp.figures.scales import CAPTION_PT, TEXT_PT, TITLE_PT, WIDTH_MM

A4_MM = (210.0, 297.0)
_SIDE_MM = (A4_MM[0] - WIDTH_MM["two"]) / 2
_TOP_MM = 22.0
_FOOT_MM = 14.0
_GAP_MM = 4.0
_DPI = 600  # of a large map's cells
_CODE = "DejaVu Sans Mono"
_CODE_EM = 0.602  # a letter's width


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A figure with what is said below it: `heading` ("Figure 1"), `caption`, `python`."""

    description: Description
    heading: str
    caption: str
    python: str


def to_pdf(sheets: Sequence[Sheet], *, title: str) -> bytes:
    """One PDF with a page for each sheet.

    Example:
        >>> import numpy as np
        >>> from interp.figures.description import Bars
        >>> bars = Bars(title="Parts", labels=["a"], values=np.array([1.0]), value_title="effect")
        >>> to_pdf([Sheet(description=bars, heading="Figure 1", caption="", python="")], title="Report")[:5]
        b'%PDF-'
    """
    content = io.BytesIO()
    about = {"Title": title, "Subject": " ".join(f"{one.heading}. {one.description.alt}" for one in sheets), "CreationDate": None}
    with printing(), PdfPages(content, metadata=about) as pdf:
        for at, one in enumerate(sheets, start=1):
            pdf.savefig(_laid_out(one, title, f"{at} of {len(sheets)}"), dpi=_DPI)
    return content.getvalue()


def _laid_out(sheet: Sheet, title: str, place: str) -> Any:
    page = _draw(sheet.description, WIDTH_MM["two"])
    left, across = _SIDE_MM + MARGIN_MM, page.width_mm - 2 * MARGIN_MM  # as wide as the figure's own words
    said = wrapped(f"{sheet.heading}. {sheet.caption}".strip(), TEXT_PT + 1, across)
    lines = [line for one in sheet.python.split("\n") for line in _folded(one, across)]
    below = _GAP_MM + len(said) * line_mm(TEXT_PT + 1) + 2 * _GAP_MM + len(lines) * line_mm(CAPTION_PT)
    height = max(A4_MM[1], _TOP_MM + page.height_mm + below + _FOOT_MM)
    _move(page, height)
    write = _Pen(page.figure, height)
    write(left, 9.0, title, size=TITLE_PT, color=GREY)
    write(left + across, 9.0, place, size=TEXT_PT, color=GREY, ha="right")
    top = _TOP_MM + page.height_mm + _GAP_MM
    for line in said:
        write(left, top, line, size=TEXT_PT + 1)
        top += line_mm(TEXT_PT + 1)
    top += _GAP_MM
    for line in lines:
        write(left, top, line, size=CAPTION_PT, color=GREY, family=[_CODE, *families()])
        top += line_mm(CAPTION_PT)
    return page.figure


def _move(page: Page, height_mm: float) -> None:
    """The drawn page onto the sheet: what stands at fractions of the one stands at other fractions of the other, as large as before."""
    wide, high = A4_MM[0], height_mm
    page.figure.set_size_inches(wide / INCH_MM, high / INCH_MM)
    bottom = high - _TOP_MM - page.height_mm
    for axes in page.figure.axes:
        box = axes.get_position()
        left, low = (_SIDE_MM + box.x0 * page.width_mm) / wide, (bottom + box.y0 * page.height_mm) / high
        axes.set_position((left, low, box.width * page.width_mm / wide, box.height * page.height_mm / high))
    for text in page.figure.texts:
        x, y = text.get_position()
        text.set_position(((_SIDE_MM + x * page.width_mm) / wide, (bottom + y * page.height_mm) / high))


@dataclass(frozen=True)
class _Pen:
    """Writes a line at a place in mm from the sheet's top left."""

    figure: Any
    height_mm: float

    def __call__(self, left: float, top: float, text: str, *, size: float, **style: Any) -> None:
        place = left / A4_MM[0], 1 - top / self.height_mm
        self.figure.text(*place, printable(text), fontsize=size, **{"ha": "left", "va": "top", **style})


def _folded(line: str, width_mm: float) -> list[str]:
    """A line of code, cut where it is too long; what follows is set in by four spaces."""
    most = int(width_mm / (CAPTION_PT * _CODE_EM * INCH_MM / 72))
    parts = [line[:most]]
    rest = line[most:]
    while rest:
        parts.append(f"    {rest[: most - 4]}")
        rest = rest[most - 4 :]
    return parts
