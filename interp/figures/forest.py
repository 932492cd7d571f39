"""A forest plot: one claim's effect on every model and corpus with its interval, and all of them together."""

import numpy as np

from interp.claims.across import Across
from interp.core.errors import DataError
from interp.figures.description import Bars, Reference


def forest(found: Across) -> Bars:
    """The effects of a claim over its settings, those that have one, and their mean.

    Raises: DataError where none has: an exact claim has no interval to draw.
    """
    drawn = [one for one in found.settings if np.isfinite(one.effect)]
    if not drawn:
        raise DataError(f"{found.claim} has no effect with an interval on {len(found.settings)} settings; print it instead")
    values, low, high = ([getattr(one, name) for one in drawn] for name in ("effect", "low", "high"))
    labels = [f"{one.name}: {one.site} {one.outcome}".replace(":  ", ": ") for one in drawn]
    if np.isfinite(found.mean):
        values, low, high = [*values, found.mean], [*low, found.low], [*high, found.high]
        labels = [*labels, "together (random effects)"]
    spread = f" I² {found.i2:.0%}, p of heterogeneity {found.p_heterogeneity:.2g}." if np.isfinite(found.i2) else ""
    return Bars(
        title=f"{found.claim} on {len(drawn)} settings",
        caption=f"{found.statement}{spread} Intervals at 95 %.",
        n=len(drawn),
        labels=labels,
        values=np.array(values),
        low=np.array(low),
        high=np.array(high),
        value_title="effect",
        units=found.unit,
        reference=Reference(value=drawn[0].smallest_effect, label="smallest effect of interest"),
    )
