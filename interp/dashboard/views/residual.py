"""The page Residual: what is written into the stream, what can be read off it, how it grows."""

from interp.dashboard.views import contributions, depths, lens, one_view
from interp.models.model import Model

VIEWS = {"Contributions": contributions.show, "Logit lens": lens.show, "Layers": depths.show}


def show(model: Model) -> None:
    """The page, over a model that has been loaded."""
    one_view.page("Residual", VIEWS, model)
