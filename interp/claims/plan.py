"""Before a run: what will be done, on how many items, with what chance to find what matters, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp.claims.rule import ENOUGH_POWER
from interp.claims.verdict import FEWEST_CLUSTERS
from interp.stats.power import n_for, power_at

# Where nothing has been measured yet: that of paired hits which differ on a quarter of the items.
EXPECTED_SD = 0.5


@dataclass(frozen=True, kw_only=True)
class Step:
    """A part of a run: what it is, and how many tokens a model reads in it."""

    what: str
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would do.

    Attributes:
        steps: its parts, in order.
        n_items, n_clusters: on the confirmation half; for exact protocols all items, and no clusters.
        family: how many hypotheses are looked at together.
        smallest_effect: the smallest effect of interest, in `unit`.
        power: chance to find an effect of that size, at a standard deviation of `EXPECTED_SD`; None for exact protocols, and where
            nobody can say before a run how far differences will spread.
        n_for_power: clusters in both halves together that would give power .8; None when there are enough.
        elapsed_s: seconds that the steps' forward passes will take on this machine; None until they were timed.
    """

    steps: tuple[Step, ...]
    n_items: int
    n_clusters: int = 0
    family: int = 1
    smallest_effect: float
    unit: str
    power: float | None = None
    n_for_power: int | None = None
    elapsed_s: float | None = None

    @property
    def tokens(self) -> int:
        """Tokens that models read in all steps."""
        return sum(step.tokens for step in self.steps)

    def __str__(self) -> str:
        """One paragraph."""
        steps = "; ".join(f"{step.what} ({step.tokens:,} tokens)" for step in self.steps)
        told = [f"Will be run: {steps}.", self._items()]
        if self.power is not None:
            more = "" if self.n_for_power is None else f"; about {self.n_for_power} documents in all would give {ENOUGH_POWER:.1f}"
            least = f"an effect of {self.smallest_effect:.3g} {self.unit}"
            told.append(f"Power for {least}: {self.power:.2f} (if differences spread by {EXPECTED_SD}){more}.")
        elif self.n_clusters:
            told.append(f"Power: known when it is known how far differences spread in {self.unit}; the verdict says it.")
        if self.elapsed_s is not None:
            told.append(f"The passes will take about {max(self.elapsed_s, 1):.0f} s.")
        return " ".join(told)

    def _items(self) -> str:
        if not self.n_clusters:
            return f"{self.n_items} items, each exact."
        few = "" if self.n_clusters >= FEWEST_CLUSTERS else f" (fewer than {FEWEST_CLUSTERS}: the verdict will be inconclusive)"
        return f"{self.n_items} items in {self.n_clusters} documents{few} to confirm on; a family of {self.family}."


def sampled_plan(
    *, steps: Sequence[Step], clusters: np.ndarray, family: int, smallest_effect: float, unit: str, alpha: float, shares: bool = True
) -> Plan:
    """The plan of a sampled protocol.

    Args:
        clusters: each confirming item's cluster, axes (item,).
        shares: whether items are hits or shares, whose spread can be guessed; without it no power is told.

    Example:
        >>> steps = [Step(what="the model", tokens=4000)]
        >>> plan = sampled_plan(steps=steps, clusters=np.arange(50), family=32, smallest_effect=0.1, unit="accuracy", alpha=0.05)
        >>> plan.n_clusters, round(plan.power, 2), plan.n_for_power
        (50, 0.03, 812)
    """
    n = len(set(clusters.tolist()))
    power = power_at(smallest_effect, sd=EXPECTED_SD, n=n, alpha=alpha / family) if shares else None
    enough = power is None or power >= ENOUGH_POWER
    return Plan(
        steps=tuple(steps),
        n_items=len(clusters),
        n_clusters=n,
        family=family,
        smallest_effect=smallest_effect,
        unit=unit,
        power=power,
        n_for_power=None if enough else 2 * n_for(smallest_effect, sd=EXPECTED_SD, power=ENOUGH_POWER, alpha=alpha / family),
    )
