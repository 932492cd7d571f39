"""One figure in all its forms: on the screen, in print, as numbers, in a notebook.

matplotlib is loaded when something is printed first, so that a page that shows figures need not wait for it.
"""

import base64
import html
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from interp.figures.description import Description
from interp.figures.scales import Width
from interp.figures.screen import to_plotly
from interp.figures.table import to_csv


@dataclass(frozen=True)
class Figure:
    """A description that can draw itself.

    Example:
        >>> import numpy as np
        >>> from interp.figures.description import Bars
        >>> figure = Figure(Bars(title="Parts", labels=["L0H1"], values=np.array([0.5]), value_title="effect", units="logits"))
        >>> figure.csv()
        'part,effect [logits]\\nL0H1,0.5\\n'
        >>> figure.alt
        'Parts. 1 bar of effect [logits]: from 0.5 (L0H1) to 0.5 (L0H1).'
    """

    description: Description

    @property
    def alt(self) -> str:
        """The figure in words."""
        return self.description.alt

    @property
    def caption(self) -> str:
        """What stands under the figure: caption and n."""
        return self.description.footer

    def plotly(self, *, clickable: bool = False) -> go.Figure:
        """For the screen; `clickable` lets Streamlit tell which cell of a heat map was chosen (`screen.to_plotly`)."""
        return to_plotly(self.description, clickable=clickable)

    def csv(self) -> str:
        """The numbers drawn, in long form."""
        return to_csv(self.description)

    def svg(self, *, width: Width = "two") -> str:
        """The same as the vector file: the text of an SVG."""
        return self.content(".svg", width=width).decode()

    def content(self, suffix: str, *, width: Width = "one") -> bytes:
        """What `save` writes into a file of this suffix."""
        from interp.figures.save import content

        return content(self.description, suffix, width)

    @property
    def panels(self) -> tuple[Description, ...]:
        """What is drawn, from the top: one description but for figures of several panels."""
        return (self.description,)

    def save(self, path: str | Path, *, width: Width = "one") -> Path:
        """Write PDF, SVG, PNG, HTML or CSV, as the suffix says (`save.save`)."""
        from interp.figures.save import save

        return save(self.description, path, width=width)

    def _repr_html_(self) -> str:
        """For notebooks: the printed figure as an SVG image with its alt text, without scripts."""
        from interp.figures.paper import to_bytes

        picture = base64.b64encode(to_bytes(self.description, "svg", width="two")).decode()
        alt = html.escape(self.alt)
        return f'<img alt="{alt}" style="background: white; max-width: 100%" src="data:image/svg+xml;base64,{picture}">'
