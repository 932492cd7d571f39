"""How sure is a share of runs, and are p-values what they say?"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A share of independent runs with its exact interval (Clopper & Pearson 1934).

    Attributes:
        hits, runs: how many of how many.
        low, high: the 95 % interval of the share.
    """

    hits: int
    runs: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Hits over runs."""
        return self.hits / self.runs


def rate(hits: int, runs: int) -> Rate:
    """The share of hits, with its interval.

    Raises: ValueError when there are no runs, or more hits than runs.

    Example:
        >>> found = rate(0, 200)
        >>> found.share, round(found.high, 4)
        (0.0, 0.0183)
    """
    from scipy.stats import binomtest  # here: half a second of imports that only verdicts need

    interval = binomtest(hits, runs).proportion_ci(0.95)
    return Rate(hits=hits, runs=runs, low=float(interval.low), high=float(interval.high))


@dataclass(frozen=True, kw_only=True)
class Uniformity:
    """Kolmogorov-Smirnov: the largest distance of the values' distribution from the uniform one on [0, 1], and its p."""

    distance: float
    p: float


def uniformity(p_values: np.ndarray) -> Uniformity:
    """Are these p-values uniform, as they must be where there is nothing? Axes: (run,).

    Example:
        >>> uniformity((np.arange(200) + 0.5) / 200).p > 0.99, uniformity(np.full(200, 0.9)).p < 1e-6
        (True, True)
    """
    from scipy.stats import kstest

    test = kstest(p_values, "uniform")
    return Uniformity(distance=float(test.statistic), p=float(test.pvalue))
