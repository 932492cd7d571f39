"""How far may any statistic of sums over items be off? The cluster bootstrap where it is no mean: an expected layer, a rank correlation.

Whole clusters are drawn with replacement; every sum is taken over the drawn ones, and the statistic of those sums again. Several tasks on
one corpus share the draws, so that what is common to them cancels in differences.

What it does not tell: the bias of the statistic itself. The ends are percentiles of the resamples (no BCa: a statistic of ranks has no
smooth jackknife), which is too narrow with few clusters, as for means (`intervals`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.stats.intervals import Interval, Method

Statistic = Callable[[Float[np.ndarray, "sample part"]], Float[np.ndarray, " sample"]]


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """A statistic and what it came to on resamples.

    Attributes:
        estimate: on all clusters; nan where it has no value.
        samples: on each resample that gave a value, axes (sample,).
        n_items, n_clusters: behind it.
        lost: share of the resamples on which the statistic had no value.
    """

    estimate: float
    samples: Float[np.ndarray, " sample"]
    n_items: int
    n_clusters: int
    lost: float

    def interval(self, level: float) -> Interval:
        """Percentiles of the resamples; "constant" where all of them are alike.

        Raises: ValueError where the statistic, or every resample of it, had no value.
        """
        if not (np.isfinite(self.estimate) and len(self.samples)):
            raise ValueError(f"the statistic is {self.estimate} and had a value on {len(self.samples)} resamples; expected a number")
        low, high = np.quantile(self.samples, [(1 - level) / 2, (1 + level) / 2])
        alike = self.samples.max() - self.samples.min() < 1e-12
        method: Method = "constant" if alike else "percentile"
        low, high = min(float(low), self.estimate), max(float(high), self.estimate)
        return Interval(
            estimate=self.estimate, low=low, high=high, level=level, method=method, n_items=self.n_items, n_clusters=self.n_clusters
        )

    def p_above(self, value: float = 0.0) -> float:
        """One-sided: share of the resamples that are at `value` or below, one more being counted; those without a value count too."""
        n = round(len(self.samples) / (1 - self.lost)) if self.lost < 1 else 1
        below = int((self.samples <= value).sum()) + n - len(self.samples)
        return (1 + below) / (1 + n)


def resampled(
    sums: Float[np.ndarray, "part cluster"], statistic: Statistic, *, n_items: int, n_resamples: int = 5000, seed: int
) -> Resampled:
    """A statistic of sums, on all clusters and on resamples of them.

    Args:
        sums: each part's sum within each cluster (hits of a layer, a count of items), axes (part, cluster).
        statistic: from sums, axes (sample, part), to values, axes (sample,); nan where it has none.
        n_items: items behind the sums.
        n_resamples: 5,000 or more for numbers that are reported.
        seed: of the resampling.
    Raises: ValueError for other axes, fewer than 2 clusters, sums that are not finite.
    Source: Cameron, Gelbach & Miller (2008), pairs cluster bootstrap; percentile interval of Efron (1979).

    Example:
        >>> hits, counts = np.array([2.0, 1, 0, 2]), np.array([2.0, 2, 2, 2])
        >>> found = resampled(np.stack([hits, counts]), lambda sums: sums[:, 0] / sums[:, 1], n_items=8, n_resamples=200, seed=0)
        >>> found.estimate, found.interval(0.95).low < 0.625 < found.interval(0.95).high
        (0.625, True)
    """
    if sums.ndim != 2 or sums.shape[1] < 2 or not np.isfinite(sums).all():
        raise ValueError(f"sums {sums.shape} came; expected finite numbers with axes (part, cluster), at least 2 clusters")
    n = sums.shape[1]
    estimate = float(statistic(sums.sum(1)[None])[0])
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples).astype(float)
    found = statistic(drawn @ sums.T)
    kept = found[np.isfinite(found)]
    return Resampled(estimate=estimate, samples=kept, n_items=n_items, n_clusters=n, lost=1 - len(kept) / n_resamples)
