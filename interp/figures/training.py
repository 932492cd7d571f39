"""How did a model come to copy? Losses, the weights of its heads and agreement over the tokens that it had read, one panel above the other.

All panels share the horizontal axis, so that what falls and what rises at one moment stands at one place. The heads drawn are those that
are strongest in the end: the best previous-token head and up to three at the earlier copy.
"""

import base64
import html
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from matplotlib.ticker import MaxNLocator
from plotly.subplots import make_subplots

from interp.core.errors import DataError
from interp.core.results import DataArray, Dataset
from interp.figures.description import Lines, Reference, Series
from interp.figures.figure import Figure
from interp.figures.glyphs import printable
from interp.figures.page import GAP_MM, INCH_MM, MARGIN_MM, Page, fitted, line_mm, open_page
from interp.figures.paper import Format, _written, printing
from interp.figures.paper_bars import _key_rows, _write_keys
from interp.figures.save import SUFFIXES
from interp.figures.scales import DASHES, RULE, SERIES, TEXT_PT, WIDTH_MM, Width
from interp.figures.screen import _PAGE, to_plotly
from interp.figures.table import to_csv

LOSSES = {
    "text": "held-out text",
    "grammar": "generated sentences",
    "pairs": "translations",
    "first": "random tokens, first time",
    "second": "the same, second time",
}
AGREEMENT = {"agreement_0": "no attractor", "agreement_1": "one attractor"}
SHARES = ("probability", "share")
N_INDUCTION = 3
_PANEL_MM, _LEFT_MM = 32.0, 11.0
_PANEL_PX = 260


def training_figure(training: Dataset) -> "Stacked":
    """The figure of what `interp.training` gives.

    Raises: DataError for a dataset that is no training, or of fewer than two checkpoints.
    """
    if "checkpoint" not in training.dims or "tokens" not in training.coords:
        raise DataError(f"a dataset with the axes {tuple(training.dims)} came; expected what interp.training gives")
    if training.sizes["checkpoint"] < 2:
        raise DataError("a training of one checkpoint came, which is no line; expected two or more")
    panels = [_losses(training), *([_heads(training)] if "induction" in training else []), *_agreement(training)]
    return Stacked(panels[0], below=tuple(panels[1:]))


@dataclass(frozen=True)
class Stacked(Figure):
    """Lines above one another over one axis: `description` is the uppermost panel and has title and caption of the whole."""

    below: tuple[Lines, ...] = ()

    @property
    def panels(self) -> tuple[Lines, ...]:
        """From the top."""
        assert isinstance(self.description, Lines)
        return (self.description, *self.below)

    @property
    def alt(self) -> str:
        """All panels in words."""
        return " ".join(panel.alt for panel in self.panels)

    def plotly(self, *, clickable: bool = False) -> go.Figure:
        """For the screen. Raises: DataError when clickable is asked: there are no cells."""
        first = to_plotly(self.description, clickable=clickable)
        figure = make_subplots(rows=len(self.panels), shared_xaxes=True, vertical_spacing=0.06)
        for row, panel in enumerate(self.panels, 1):
            number = "" if row == 1 else str(row)
            for trace in to_plotly(panel).data:
                figure.add_trace(trace.update(legend=f"legend{number}"), row=row, col=1)
            figure.update_yaxes(
                title=panel.quantity, range=[0, 1.02] if panel.units in SHARES else None, rangemode="tozero", row=row, col=1
            )
            if panel.reference is not None:
                figure.add_hline(panel.reference.value, line={"dash": "dash", "width": 1.4}, row=row, col=1)
            figure.update_layout({f"legend{number}": {"y": figure.layout[f"yaxis{number}"].domain[1], "yanchor": "top", "x": 1.01}})
        figure.update_xaxes(title=self.panels[0].x_title, row=len(self.panels), col=1)
        kept = {name: first.layout[name] for name in ("title", "font", "paper_bgcolor", "plot_bgcolor", "margin", "hovermode")}
        return figure.update_layout(**kept, height=_PANEL_PX * len(self.panels), meta={"alt": self.alt, "caption": self.caption})

    def csv(self) -> str:
        """The numbers of all panels, a table each."""
        return "\n".join(to_csv(panel) for panel in self.panels)

    def save(self, path: str | Path, *, width: Width = "one") -> Path:
        """Write PDF, SVG, PNG, HTML or CSV, as the suffix says. Raises: DataError for another suffix, or a folder that is not there."""
        path = Path(path)
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path.name!r} has the suffix {path.suffix!r}; a figure can be saved as {', '.join(SUFFIXES)}")
        if not path.parent.is_dir():
            raise DataError(f"{path}: there is no folder {path.parent}; make it first, or save elsewhere")
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_bytes(self.content(path.suffix.lower(), width=width))
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    def content(self, suffix: str, *, width: Width = "one") -> bytes:
        """What `save` writes into a file of this suffix."""
        if suffix == ".csv":
            return self.csv().encode()
        return self._page().encode() if suffix == ".html" else _printed(self, suffix[1:], width)  # type: ignore[arg-type]

    def _page(self) -> str:
        shown = self.plotly().update_layout(template="plotly_white", font={"color": "#222222"})
        chart = shown.to_html(full_html=False, include_plotlyjs=True, div_id="figure", config={"displaylogo": False, "responsive": True})
        words = {"title": self.description.title, "alt": self.alt, "caption": self.caption}
        return _PAGE.format(chart=chart, **{name: html.escape(text) for name, text in words.items()})

    def _repr_html_(self) -> str:
        picture = base64.b64encode(_printed(self, "svg", "two")).decode()
        alt = html.escape(self.alt)
        return f'<img alt="{alt}" style="background: white; max-width: 100%" src="data:image/svg+xml;base64,{picture}">'


def _losses(training: Dataset) -> Lines:
    name = training.attrs.get("name", "the model")
    read = {title: training[key] for key, title in LOSSES.items() if key in training}
    return _lines(training, read, "loss", "nats per token", title=f"Training of {name}", caption=_caption(training))


def _heads(training: Dataset) -> Lines:
    previous, induction = training["previous"], training["induction"]
    best = {f"previous token, {site}": previous.isel(layer=layer, head=head) for site, layer, head in _strongest(previous, 1)}
    best |= {f"earlier copy, {site}": induction.isel(layer=layer, head=head) for site, layer, head in _strongest(induction, N_INDUCTION)}
    return _lines(training, best, "mean weight", "probability", title="Heads")


def _agreement(training: Dataset) -> list[Lines]:
    told = {title: training[key] for key, title in AGREEMENT.items() if key in training}
    lines = [_lines(training, told, "agreement right", "share", title="Agreement")] if told else []
    return [replace(one, reference=Reference(value=0.5, label="chance")) for one in lines]


def _strongest(weights: DataArray, n: int) -> list[tuple[str, int, int]]:
    """(name, layer, head) of the largest in the end."""
    last = weights.isel(checkpoint=-1)
    places = np.argsort(-last.values, axis=None, kind="stable")[:n]
    found = [divmod(int(place), last.sizes["head"]) for place in places]
    return [(str(last.site.values[layer, head]), layer, head) for layer, head in found]


def _lines(training: Dataset, told: dict[str, DataArray], what: str, units: str, *, title: str, caption: str = "") -> Lines:
    series = {name: Series(values=values.values) for name, values in told.items()}
    x = training.tokens.values / 1e6
    return Lines(title=title, caption=caption, x=x, series=series, x_title="tokens read [millions]", value_title=what, units=units)


def _caption(training: Dataset) -> str:
    """What was read until when, and on what the numbers were measured."""
    phases = json.loads(training.attrs.get("phases", "[]"))
    ends = [f"{phase['until_tokens'] / 1e6:.1f}" for phase in phases[:-1]]
    changes = f"What it reads changes at {' and '.join(ends)} million tokens. " if ends else ""
    return changes + "Measured on rows never trained on, heads on random tokens that come twice."


def _printed(stacked: Stacked, form: Format, width: Width) -> bytes:
    with printing():
        page = _draw(stacked, WIDTH_MM[width])
        return _written(page, form, title=stacked.description.title, alt=stacked.alt)


def _draw(stacked: Stacked, width_mm: float) -> Page:
    """The panels one under the other, the names of the lines above each, the axis's title under the last."""
    left = MARGIN_MM + line_mm(TEXT_PT) + _LEFT_MM
    across = width_mm - left - 3 * MARGIN_MM
    rooms = [len(_key_rows(panel, across)) * line_mm(TEXT_PT) * 1.1 for panel in stacked.panels]
    tops = np.cumsum([0.0, *(room + _PANEL_MM + line_mm(TEXT_PT) + 2 * GAP_MM for room in rooms)])
    page = open_page(stacked.description, width_mm=width_mm, body_mm=float(tops[-1]) + line_mm(TEXT_PT))
    for panel, top, room in zip(stacked.panels, tops, rooms, strict=False):
        _draw_panel(replace(page, body_mm=page.body_mm + float(top)), panel, left, room, across)
    page.text(left + across / 2, float(tops[-1]) - GAP_MM, stacked.panels[0].x_title, ha="center")
    return page


def _draw_panel(page: Page, lines: Lines, left: float, top: float, across: float) -> None:
    axes = page.axes(left, top, across, _PANEL_MM)
    for at, line in enumerate(lines.series.values()):
        colour, dash = SERIES[at % len(SERIES)], DASHES[at % len(DASHES)]
        axes.plot(lines.x, line.values, color=colour, linestyle=dash, linewidth=1.1, marker="o", markersize=1.6)
    if lines.reference is not None:
        axes.axhline(lines.reference.value, color="black", linewidth=0.8, dashes=(4, 2))
    axes.set_ylim(0, 1.02 if lines.units in SHARES else None)
    axes.set_xlim(left=0)
    axes.tick_params(labelsize=TEXT_PT, length=2, width=0.5, pad=GAP_MM * 72 / INCH_MM / 2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set(linewidth=0.5)
    axes.grid(color=RULE, alpha=0.3, linewidth=0.4)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    page.text(MARGIN_MM, top + _PANEL_MM / 2, printable(fitted(lines.quantity, TEXT_PT, _PANEL_MM + top)), rotation=90, va="center")
    _write_keys(page, _key_rows(lines, across), left)
