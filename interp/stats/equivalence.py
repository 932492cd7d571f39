"""Is there nothing, or less than matters? What allows a claim to be refuted.

A test that finds no effect may only have been too small. To say that an effect is below the smallest one of interest, delta,
its interval must lie below delta. An interval of level 1 - 2 alpha does that at level alpha on each side (90 % for .05).

What it does not tell: that the effect is 0. It rests on `cluster_mean` and its assumptions; where every cluster has the same
mean the interval has width 0 and the answer is only as good as the number of clusters: an edit that never took place looks
like perfect equivalence, so the positive control comes first.
"""

from dataclasses import dataclass

import numpy as np

from interp.stats.intervals import Interval, cluster_mean


@dataclass(frozen=True, kw_only=True)
class MarginTest:
    """Whether an interval stays within a margin.

    Attributes:
        interval: of level 1 - 2 alpha, in the unit of the values.
        delta: the margin, in the same unit.
        holds: whether the interval lies below delta (`non_superiority`), or between -delta and delta (`equivalent`).
    """

    interval: Interval
    delta: float
    holds: bool


def non_superiority(
    values: np.ndarray, clusters: np.ndarray, delta: float, *, alpha: float = 0.05, n_resamples: int = 5000, seed: int
) -> MarginTest:
    """Is the mean below delta? One-sided at level alpha: the upper end of the 1 - 2 alpha interval is below delta.

    Args:
        values: differences from the baseline, axes (item,).
        clusters: the cluster of each item, axes (item,).
        delta: smallest effect of interest, in the unit of the values, above 0.
        alpha: chance of saying so when the mean is delta.
        n_resamples: bootstrap resamples.
        seed: seed of the resampling.
    Raises: ValueError for a delta that is not above 0, alpha outside (0, .5), and what `cluster_mean` refuses.
    Source: Schuirmann (1987), one of the two one-sided tests, on a cluster-bootstrap interval.

    Example:
        >>> nothing, sentences = np.array([1, -1] * 50), np.arange(100)
        >>> non_superiority(nothing, sentences, 0.5, seed=0).holds, non_superiority(nothing + 0.5, sentences, 0.5, seed=0).holds
        (True, False)
    """
    interval = _interval(values, clusters, delta, alpha, n_resamples, seed)
    return MarginTest(interval=interval, delta=delta, holds=interval.high < delta)


def equivalent(
    values: np.ndarray, clusters: np.ndarray, delta: float, *, alpha: float = 0.05, n_resamples: int = 5000, seed: int
) -> MarginTest:
    """Is the mean between -delta and delta? Both one-sided tests at level alpha: the 1 - 2 alpha interval lies inside.

    Args, Raises: as in `non_superiority`.
    Source: Schuirmann (1987), two one-sided tests (TOST), on a cluster-bootstrap interval.

    Example:
        >>> worse, sentences = np.array([1, -1] * 50) - 0.8, np.arange(100)
        >>> equivalent(worse, sentences, 0.5, seed=0).holds, non_superiority(worse, sentences, 0.5, seed=0).holds
        (False, True)
    """
    interval = _interval(values, clusters, delta, alpha, n_resamples, seed)
    return MarginTest(interval=interval, delta=delta, holds=-delta < interval.low and interval.high < delta)


def _interval(values: np.ndarray, clusters: np.ndarray, delta: float, alpha: float, n_resamples: int, seed: int) -> Interval:
    if not 0 < delta < np.inf:
        raise ValueError(f"delta {delta} came; expected the smallest effect of interest, above 0, in the unit of the values")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha {alpha} came; expected one between 0 and 0.5, such as 0.05")
    return cluster_mean(values, clusters, level=1 - 2 * alpha, n_resamples=n_resamples, seed=seed)


def best_upper_bound(differences: np.ndarray, *, alpha: float = 0.05) -> float:
    """Upper bound of the largest mean in a family, at a level that the family shares (Bonferroni).

    max over members of mean + z(1 - alpha / members) sd / sqrt(clusters). Below delta it refutes "some member reaches delta", which the
    bound of one selected member cannot do.

    Args:
        differences: effect minus baseline, axes (member, cluster).
        alpha: chance that any member's mean lies above its bound.
    Raises: ValueError for fewer than 2 clusters.

    Example:
        >>> round(best_upper_bound(np.array([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]])), 6)
        0.2
    """
    members, clusters = differences.shape
    if clusters < 2:
        raise ValueError(f"differences of {clusters} cluster came; expected at least 2 to tell how far they spread")
    error = differences.std(1, ddof=1) / clusters**0.5
    from scipy.stats import norm  # here: half a second of imports that only verdicts need

    return float((differences.mean(1) + norm.ppf(1 - alpha / members) * error).max())
