"""Where does everything stand on paper? All lengths in mm from the page's top left, all text measured before it is placed.

A page is exactly as wide as a journal's column and as high as its content: title, body, caption. matplotlib's own layout engines
are not used, because they change the width or squeeze the cells when labels are long.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from interp.figures.description import Titled
from interp.figures.glyphs import BOX, families, printable
from interp.figures.labels import shortened
from interp.figures.scales import CAPTION_PT, LEAST_PT, TEXT_PT, TITLE_PT

INCH_MM = 25.4
MARGIN_MM = 1.5
GAP_MM = 1.2
GREY = "#595959"


def line_mm(size: float) -> float:
    """Height of a line of text of a size in points."""
    return 1.25 * size * INCH_MM / 72


@cache
def text_mm(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line of text of a size in points."""
    font = FontProperties(family=list(families()), size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(printable(text, weight), font, ismath=False)
    return float(width) * INCH_MM / 72


def widest_mm(texts: Iterable[str], size: float) -> float:
    """Width of the widest of the texts; 0 for none."""
    return max((text_mm(text, size) for text in texts), default=0.0)


def fitted(text: str, size: float, most_mm: float) -> str:
    """The text, the middle left out until it is no wider than `most_mm`."""
    kept = len(text)
    while kept > 3 and text_mm(shortened(text, kept), size) > most_mm:
        kept -= 1
    return shortened(text, kept)


def wrapped(text: str, size: float, width_mm: float, weight: str = "normal") -> list[str]:
    """The text as lines no wider than `width_mm`, broken between words; a single word wider than that is cut in the middle."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_mm(longer, size, weight) <= width_mm:
            lines[-1] = longer
        else:
            lines.append(fitted(word, size, width_mm * (0.9 if weight == "bold" else 1)))
    return lines


def label_size(line_space_mm: float) -> float:
    """The size in points at which lines of labels fit into a space each, between the smallest legible and that of text."""
    return max(LEAST_PT, min(TEXT_PT, line_space_mm / line_mm(1.0)))


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page with title and caption in place; `body_mm` is where the body begins, below the title."""

    figure: Figure
    width_mm: float
    height_mm: float
    body_mm: float

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes in the body; `top` counts from where the body begins."""
        bottom = self.height_mm - self.body_mm - top - height
        box = (left / self.width_mm, bottom / self.height_mm, width / self.width_mm, height / self.height_mm)
        return self.figure.add_axes(box)

    def text(self, left: float, top: float, text: str, *, size: float = TEXT_PT, **style: Any) -> None:
        """Text whose anchor is in the body at (left, top); anchored at its top left unless `style` says otherwise."""
        place = left / self.width_mm, 1 - (self.body_mm + top) / self.height_mm
        known = printable(text, style.get("weight", "normal"))
        self.figure.text(*place, known, fontsize=size, **{"ha": "left", "va": "top", **style})


def open_page(titled: Titled, *, width_mm: float, body_mm: float) -> Page:
    """A page with title and caption around a body of a given height."""
    inner = width_mm - 2 * MARGIN_MM
    title = wrapped(titled.title, TITLE_PT, inner, "bold")
    footer = titled.footer + (" □: a character without a font here." if not _all_known(titled) else "")
    caption = wrapped(footer, CAPTION_PT, inner)
    above = MARGIN_MM + len(title) * line_mm(TITLE_PT) + GAP_MM
    below = (2 * GAP_MM if caption else 0) + len(caption) * line_mm(CAPTION_PT) + MARGIN_MM
    height = above + body_mm + below
    page = Page(figure=Figure(figsize=(width_mm / INCH_MM, height / INCH_MM)), width_mm=width_mm, height_mm=height, body_mm=above)
    for at, line in enumerate(title):
        page.text(MARGIN_MM, MARGIN_MM - above + at * line_mm(TITLE_PT), line, size=TITLE_PT, weight="bold")
    for at, line in enumerate(caption):
        page.text(MARGIN_MM, body_mm + 2 * GAP_MM + at * line_mm(CAPTION_PT), line, size=CAPTION_PT, color=GREY)
    return page


def _all_known(titled: Titled) -> bool:
    """Whether every character of the figure's labels can be printed."""
    texts = [titled.title, titled.caption]
    for name in ("row_labels", "column_labels", "labels", "series"):
        texts += list(getattr(titled, name, ()))
    return all(text.count(BOX) == printable(text).count(BOX) for text in texts)
