"""The page Interventions: what follows when a part is switched off, an edge hidden, or something put in from another text?"""

from interp.dashboard.views import hide_edges, one_view, patching, switch_off
from interp.models.model import Model

VIEWS = {"Switch off": switch_off.show, "Hide edges": hide_edges.show, "Patch": patching.show}


def show(model: Model) -> None:
    """The page, over a model that has been loaded."""
    one_view.page("Interventions", VIEWS, model)
