"""Points on paper: as vectors while the file stays readable, above that as a bitmap inside vector axes; the marked ones by name."""

from interp.figures.description import Points
from interp.figures.glyphs import printable
from interp.figures.labels import shown
from interp.figures.page import GAP_MM, MARGIN_MM, Page, fitted, line_mm, open_page, wrapped
from interp.figures.scales import NEGATIVE, POSITIVE, RULE, TEXT_PT

MOST_VECTOR_POINTS = 2_000
_HEIGHT_MM, _LEFT_MM = 62.0, 11.0


def draw_points(points: Points, width_mm: float) -> Page:
    """The page for points."""
    left = MARGIN_MM + line_mm(TEXT_PT) + _LEFT_MM
    across, ticks_mm = width_mm - left - 3 * MARGIN_MM, GAP_MM + line_mm(TEXT_PT)
    under = wrapped(points.x_quantity, TEXT_PT, across)
    page = open_page(points, width_mm=width_mm, body_mm=_HEIGHT_MM + ticks_mm + len(under) * line_mm(TEXT_PT) + GAP_MM)
    axes = page.axes(left, 0.0, across, _HEIGHT_MM)
    many = len(points.x) > MOST_VECTOR_POINTS
    axes.scatter(points.x, points.y, s=1 if many else 9, color=POSITIVE, alpha=0.45, linewidths=0, rasterized=many)
    for at in points.marks:
        axes.scatter([points.x[at]], [points.y[at]], s=14, color=NEGATIVE, edgecolors="black", linewidths=0.6)
        name = printable(shown(points.labels[at]))
        axes.annotate(name, (points.x[at], points.y[at]), (0, 3), textcoords="offset points", ha="center", fontsize=TEXT_PT)
    axes.grid(color=RULE, alpha=0.3, linewidth=0.4)
    axes.tick_params(labelsize=TEXT_PT, length=2, width=0.5, pad=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set(linewidth=0.5)
    for at, line in enumerate(under):
        page.text(left + across / 2, _HEIGHT_MM + ticks_mm + GAP_MM / 2 + at * line_mm(TEXT_PT), line, ha="center")
    page.text(MARGIN_MM, _HEIGHT_MM / 2, fitted(points.quantity, TEXT_PT, _HEIGHT_MM), rotation=90, va="center")
    return page
