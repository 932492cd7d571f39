"""Could this test have seen the effect, and how many clusters would?

For the mean of the clusters' differences by a one-sample t-test: the chance to reject 0 when the true mean is delta. The same
number, one-sided, is the chance that the upper end of the 1 - 2 alpha interval is below delta when the true mean is 0
(`non_superiority`): shift everything by delta.

What it does not tell: the power of the bootstrap or of sign flips exactly (both come close to the t-test from about 20
clusters on), or of a family: after correction use the alpha that is left. The standard deviation is between clusters.
"""

import math
from bisect import bisect_left
from typing import Literal

Alternative = Literal["two-sided", "larger"]


def power_at(delta: float, *, sd: float, n: int, alpha: float = 0.05, alternative: Alternative = "two-sided") -> float:
    """Chance to reject a mean of 0, on the right side, when it is delta; 0 to 1.

    P(T > t_crit) with T noncentral t, n - 1 degrees of freedom, noncentrality delta sqrt(n) / sd; t_crit leaves alpha above it,
    two-sided alpha / 2. To reject on the wrong side is not to have seen the effect: it is not counted, as textbooks count it.

    Args:
        delta: true mean of the differences, above 0.
        sd: standard deviation of the differences between clusters, above 0, in the same unit.
        n: clusters, at least 2.
        alpha: level of the test.
        alternative: "two-sided" to support at `alpha`; "larger" for one-sided tests, `non_superiority` among them.
    Raises: ValueError for arguments outside these ranges.
    Source: Cohen (1988), chapter 2; computed by statsmodels' TTestPower.

    Example:
        >>> round(power_at(0.1, sd=0.5, n=265), 3), round(power_at(0.1, sd=0.5, n=50), 3)
        (0.9, 0.283)
    """
    _check(delta, sd, alpha)
    if n < 2:
        raise ValueError(f"n {n} came; expected at least 2 clusters: one has no standard deviation")
    from statsmodels.stats.power import NormalIndPower, TTestPower  # here: a second of imports that only verdicts need

    above = alpha / 2 if alternative == "two-sided" else alpha
    chance = TTestPower().power(delta / sd, n, above, alternative="larger")
    if math.isnan(chance):  # scipy's noncentral t has holes where the power is nearly 1; the normal one is right there
        chance = NormalIndPower().power(delta / sd, n, above, ratio=0, alternative="larger")
    return float(chance)


def n_for(delta: float, *, sd: float, power: float = 0.9, alpha: float = 0.05, alternative: Alternative = "two-sided") -> int:
    """Fewest clusters with at least this power, 2 or more.

    Args:
        delta: true mean of the differences, above 0.
        sd: standard deviation of the differences between clusters, above 0, in the same unit.
        power: chance to reject that is wanted, between alpha and 1.
        alpha: level of the test.
        alternative: as in `power_at`.
    Raises: ValueError for arguments outside these ranges.

    Example:
        >>> n_for(0.1, sd=0.5)
        265
    """
    _check(delta, sd, alpha)
    if not alpha < power < 1:
        raise ValueError(f"power {power} came; expected one between alpha ({alpha}) and 1, such as 0.9")
    enough = 2
    while power_at(delta, sd=sd, n=enough, alpha=alpha, alternative=alternative) < power:
        enough *= 2
    return bisect_left(range(enough), power, lo=2, key=lambda n: power_at(delta, sd=sd, n=n, alpha=alpha, alternative=alternative))


def _check(delta: float, sd: float, alpha: float) -> None:
    if not 0 < delta < float("inf"):
        raise ValueError(f"delta {delta} came; expected the smallest effect of interest, above 0")
    if not 0 < sd < float("inf"):
        raise ValueError(f"sd {sd} came; expected one above 0: differences that never vary have no power to compute")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} came; expected one between 0 and 1, such as 0.05")
