"""Lines between words on paper: two columns of words, a line for each number, wider and stronger the larger it is."""

from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba

from interp.figures.description import WordLines
from interp.figures.labels import shown
from interp.figures.page import GAP_MM, GREY, MARGIN_MM, Page, fitted, label_size, line_mm, open_page, widest_mm, wrapped
from interp.figures.scales import CAPTION_PT, MOST_HEIGHT_MM, NEGATIVE, POSITIVE, TEXT_PT

_TALLEST_MM = 0.85 * MOST_HEIGHT_MM
_COLUMN = 0.34  # of the width, at most, for a column of words
_LEAST_PT, _MORE_PT, _LEAST_ALPHA = 0.25, 1.5, 0.12


def draw_word_lines(lines: WordLines, width_mm: float) -> Page:
    """The page for lines between words."""
    n = max(lines.values.shape)
    step = min(line_mm(TEXT_PT), _TALLEST_MM / n)
    size = label_size(step)
    rows, columns = ([fitted(shown(label), size, _COLUMN * width_mm) for label in each] for each in (lines.row_labels, lines.column_labels))
    left, right = MARGIN_MM + widest_mm(rows, size) + GAP_MM, width_mm - MARGIN_MM - widest_mm(columns, size) - GAP_MM
    told = wrapped(_told(lines), CAPTION_PT, width_mm - 2 * MARGIN_MM)
    head, under = line_mm(TEXT_PT) + GAP_MM, line_mm(TEXT_PT) + GAP_MM + n * step + GAP_MM
    page = open_page(lines, width_mm=width_mm, body_mm=under + len(told) * line_mm(CAPTION_PT))
    for title, at, side in ((lines.row_title, MARGIN_MM, "left"), (lines.column_title, width_mm - MARGIN_MM, "right")):
        page.text(at, 0.0, fitted(shown(title), TEXT_PT, width_mm / 2 - 2 * MARGIN_MM), ha=side, color=GREY)
    for words, at, side in ((rows, left - GAP_MM / 2, "right"), (columns, right + GAP_MM / 2, "left")):
        for place, word in enumerate(words):
            page.text(at, head + (place + 0.5) * step, word, size=size, ha=side, va="center")
    _draw(page, lines, (left, head, right - left, n * step), n)
    for at, line in enumerate(told):
        page.text(MARGIN_MM, under + at * line_mm(CAPTION_PT), line, size=CAPTION_PT, color=GREY)
    return page


def _told(lines: WordLines) -> str:
    below = ", orange below 0" if lines.diverging else ""
    return f"Width and strength of a line: {lines.quantity}, full at {lines.full:.3g}{below}."


def _draw(page: Page, lines: WordLines, box: tuple[float, float, float, float], n: int) -> None:
    axes = page.axes(*box)
    axes.set(xlim=(0, 1), ylim=(n - 0.5, -0.5))
    axes.axis("off")
    drawn = lines.lines()
    axes.add_collection(
        LineCollection(
            [[(0, row), (1, column)] for row, column, _ in drawn],
            colors=[to_rgba(POSITIVE if share > 0 else NEGATIVE, _LEAST_ALPHA + (1 - _LEAST_ALPHA) * abs(share)) for *_, share in drawn],
            linewidths=[_LEAST_PT + _MORE_PT * abs(share) for *_, share in drawn],
            capstyle="butt",
        )
    )
