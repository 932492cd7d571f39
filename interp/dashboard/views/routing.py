"""Which experts does each token go through? The router's choices; what the experts' neurons do there is on the page FFN."""

from interp.captures.activations import Activations
from interp.core.sites import Stack
from interp.dashboard import links
from interp.dashboard.views import experts


def show(seen: Activations, stack: Stack) -> None:
    """The routing of one layer, and the way to an expert's neurons."""
    chosen = experts.choose(seen, stack)
    if chosen is not None:
        layer, expert, how = chosen
        experts.draw_routing(seen, layer, stack, expert, weights=how == "weights")
        links.link("ffn", f"The neurons of {expert}", view="Experts", layer=str(layer), expert=str(expert))
