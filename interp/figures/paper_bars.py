"""Bars and lines on paper: horizontal bars that leave room for names, lines told apart by colour and dash."""

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from interp.figures.description import Bars, Lines, Reference
from interp.figures.glyphs import printable
from interp.figures.labels import shown
from interp.figures.page import GAP_MM, MARGIN_MM, Page, fitted, line_mm, open_page, text_mm, widest_mm, wrapped
from interp.figures.scales import DASHES, MOST_HEIGHT_MM, NEGATIVE, POSITIVE, RULE, SERIES, TEXT_PT

_PLOT_HEIGHT_MM = 45.0
_KEY_MM = 9.0


def draw_bars(bars: Bars, width_mm: float) -> Page:
    """The page for bars, the first at the top."""
    names = [fitted(shown(label), TEXT_PT, 0.35 * width_mm) for label in bars.labels]
    left = MARGIN_MM + widest_mm(names, TEXT_PT) + 2 * GAP_MM
    across, step = width_mm - left - 3 * MARGIN_MM, min(line_mm(TEXT_PT) * 1.3, (MOST_HEIGHT_MM - 40) / len(names))
    top, down = _reference_room(bars.reference), max(step * len(names), 8.0)
    page, axes = _open(bars, width_mm, left, top, across, down)
    colours = [POSITIVE if value >= 0 else NEGATIVE for value in bars.values]
    axes.barh(range(len(names)), bars.values, height=0.72, color=colours)
    if bars.low is not None and bars.high is not None:
        axes.hlines(range(len(names)), bars.low, bars.high, color="black", linewidth=0.8, zorder=3)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_yticks(range(len(names)), [printable(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    if bars.limits is not None:
        axes.set_xlim(*bars.limits)
    axes.grid(axis="x", color=RULE, alpha=0.3, linewidth=0.4)
    axes.tick_params(axis="y", length=0)
    if bars.reference is not None:
        axes.axvline(bars.reference.value, color="black", linewidth=0.8, dashes=(4, 2))
        low, high = axes.get_xlim()
        _write_reference(page, bars.reference, left, across, (bars.reference.value - low) / (high - low))
    return page


def draw_lines(lines: Lines, width_mm: float) -> Page:
    """The page for lines, with a key above them when there is more than one, and the reference named beside its line."""
    left = MARGIN_MM + line_mm(TEXT_PT) + 11.0
    across = width_mm - left - 3 * MARGIN_MM
    keys = _key_rows(lines, across)
    top = len(keys) * line_mm(TEXT_PT) * 1.1
    page, axes = _open(lines, width_mm, left, top, across, _PLOT_HEIGHT_MM)
    for at, line in enumerate(lines.series.values()):
        colour = SERIES[at % len(SERIES)]
        axes.plot(lines.x, line.values, color=colour, linestyle=DASHES[at % len(DASHES)], linewidth=1.1, marker="o", markersize=2)
        if line.low is not None and line.high is not None:
            axes.fill_between(lines.x, line.low, line.high, color=colour, alpha=0.2, linewidth=0)
    axes.grid(color=RULE, alpha=0.3, linewidth=0.4)
    if (lines.x == lines.x.round()).all():
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    if lines.reference is not None:
        axes.axhline(lines.reference.value, color="black", linewidth=0.8, dashes=(4, 2))
    _write_keys(page, keys, left)
    return page


def _open(described: Bars | Lines, width_mm: float, left: float, top: float, across: float, down: float) -> tuple[Page, Axes]:
    """A page with empty axes and the titles of both; bars carry their quantity below, lines beside."""
    below = described.quantity if isinstance(described, Bars) else shown(described.x_title)
    beside = "" if isinstance(described, Bars) else described.quantity
    ticks_mm = GAP_MM + line_mm(TEXT_PT)
    under = wrapped(below, TEXT_PT, across)
    page = open_page(described, width_mm=width_mm, body_mm=top + down + ticks_mm + len(under) * line_mm(TEXT_PT) + GAP_MM)
    axes = page.axes(left, top, across, down)
    axes.tick_params(labelsize=TEXT_PT, length=2, width=0.5, pad=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set(linewidth=0.5)
    for at, line in enumerate(under):
        page.text(left + across / 2, top + down + ticks_mm + GAP_MM / 2 + at * line_mm(TEXT_PT), line, ha="center")
    page.text(MARGIN_MM, top + down / 2, fitted(beside, TEXT_PT, down + 2 * top), rotation=90, va="center")
    return page, axes


def _reference_room(reference: Reference | None) -> float:
    return 0.0 if reference is None else line_mm(TEXT_PT) + GAP_MM / 2


def _write_reference(page: Page, reference: Reference, left: float, across: float, share: float) -> None:
    """The reference's name above its line, kept between the edges of the plot."""
    label = fitted(reference.label, TEXT_PT, across)
    half = text_mm(label, TEXT_PT) / 2
    page.text(left + min(max(share * across, half), across - half), 0.0, label, ha="center")


def _key_rows(lines: Lines, across: float) -> list[list[tuple[str, str, str]]]:
    """(name, colour, dash) of each line, broken into rows that fit; nothing for a single line without a reference."""
    keys = [(fitted(shown(name), TEXT_PT, across - _KEY_MM), *_look(at)) for at, name in enumerate(lines.series)]
    if lines.reference is not None:
        keys.append((fitted(lines.reference.label, TEXT_PT, across - _KEY_MM), "black", "dashed"))
    rows: list[list[tuple[str, str, str]]] = []
    used = across
    for key in keys if len(keys) > 1 else []:
        wide = _KEY_MM + text_mm(key[0], TEXT_PT) + 3 * GAP_MM
        if used + wide > across:
            rows.append([])
            used = 0.0
        rows[-1].append(key)
        used += wide
    return rows


def _look(at: int) -> tuple[str, str]:
    return SERIES[at % len(SERIES)], DASHES[at % len(DASHES)]


def _write_keys(page: Page, rows: list[list[tuple[str, str, str]]], left: float) -> None:
    for down, row in enumerate(rows):
        across = left
        for name, colour, dash in row:
            top = down * line_mm(TEXT_PT) * 1.1
            stroke = page.axes(across, top, _KEY_MM - GAP_MM, line_mm(TEXT_PT))
            stroke.plot([0, 1], [0.5, 0.5], color=colour, linestyle=dash, linewidth=1.1)
            stroke.set(xlim=(0, 1), ylim=(0, 1))
            stroke.axis("off")
            page.text(across + _KEY_MM, top, name)
            across += _KEY_MM + text_mm(name, TEXT_PT) + 3 * GAP_MM
