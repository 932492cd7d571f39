"""A forest plot: one claim's effect on every model and corpus with its interval, and all of them together."""

from pathlib import Path

import numpy as np

from interp.claims.across import Across
from interp.core.errors import DataError
from interp.figures.description import Bars, Reference

SIGNS = {"supported": "✓", "refuted": "✗", "inconclusive": "?"}


def forest(found: Across) -> Bars:
    """The effects of a claim over its settings, those that have one, and their mean.

    Raises: DataError where none has: an exact claim has no interval to draw.
    """
    drawn = [one for one in found.settings if np.isfinite(one.effect)]
    if not drawn:
        raise DataError(f"{found.claim} has no effect with an interval on {len(found.settings)} settings; print it instead")
    values, low, high = ([getattr(one, name) for one in drawn] for name in ("effect", "low", "high"))
    of_data = len({one.data for one in drawn}) > 1
    labels = [" ".join(filter(None, (one.model, Path(one.data).stem if of_data else "", one.site, SIGNS[one.outcome]))) for one in drawn]
    if np.isfinite(found.mean):
        values, low, high = [*values, found.mean], [*low, found.low], [*high, found.high]
        labels = [*labels, "together"]
    spread = f" Together by random effects; {found.spread}." if found.spread else ""
    smallest = [one.smallest_effect for one in drawn]
    of_interest = "smallest effect of interest" + ("" if np.ptp(smallest) < 0.01 * max(smallest) else ", the largest of them")
    signs = ", ".join(f"{sign} {outcome}" for outcome, sign in SIGNS.items() if outcome in {one.outcome for one in drawn})
    on = "" if of_data or not drawn[0].data else f" All on {drawn[0].data}."
    return Bars(
        title=f"{found.claim} on {len(drawn)} settings",
        caption=f"{found.statement}{spread}{on} {signs}. Intervals at 95 %.",
        n=len(drawn),
        labels=labels,
        values=np.array(values),
        low=np.array(low),
        high=np.array(high),
        value_title="effect",
        units=found.unit,
        reference=Reference(value=max(smallest), label=of_interest),
    )
