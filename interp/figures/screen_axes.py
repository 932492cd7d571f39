"""How is an axis written on the screen? With labels at whole numbers, or with a grid."""

from collections.abc import Sequence
from typing import Any

from interp.figures.labels import MOST_CHARACTERS, MOST_LABELS, escaped, isolated, shortened, shown, ticks
from interp.figures.scales import LEAST_PX, RULE, TEXT_PX, translucent

_MOST_COLUMNS = 32  # labels side by side, which half a page bears
_MOST_ACROSS = 18  # characters of a column's label
_FIT_ACROSS = 24  # characters of all columns' labels side by side, in a chart of half a page on a laptop
_GRID = translucent(RULE, 0.3)


def written(labels: Sequence[str], *, across: bool = False) -> dict[str, Any]:
    """An axis with labels at whole numbers, thinned where there are too many to read, turned where they do not fit side by side."""
    places = ticks(labels, _MOST_COLUMNS if across else MOST_LABELS)
    texts = [shortened(shown(labels[at]), _MOST_ACROSS if across else MOST_CHARACTERS) for at in places]
    font = {"size": TEXT_PX if len(places) <= 32 else LEAST_PX}
    turned = {"tickangle": -90 if max(map(len, texts)) * len(texts) > _FIT_ACROSS else 0} if across else {}
    ticked = {"tickmode": "array", "tickvals": places, "ticktext": [escaped(isolated(text)) for text in texts], "tickfont": font}
    return {**ticked, **turned, "showgrid": False, "zeroline": False}


def ruled() -> dict[str, Any]:
    """An axis of numbers, with grid and zero."""
    return {"gridcolor": _GRID, "zeroline": True, "zerolinecolor": RULE, "zerolinewidth": 1}
