"""Several estimates of one effect put together, and whether they differ by more than chance."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, norm, t

NORMAL = float(norm.ppf(0.975))
SMALLEST_ERROR = 1e-6


@dataclass(frozen=True, kw_only=True)
class Together:
    """Several effects as one.

    Attributes:
        mean, low, high: of the random-effects model with its 95 % interval.
        i2: share of the spread that chance does not explain, 0 to 1.
        p: of Cochran's Q, that all are one effect.
    """

    mean: float
    low: float
    high: float
    i2: float
    p: float


def random_effects(effects: np.ndarray, low: np.ndarray, high: np.ndarray) -> Together:
    """Effects with their 95 % intervals, off which standard errors are read, put together by the inverse of their variance.

    Args:
        effects, low, high: axes (setting,), two and more.
    Raises: ValueError for fewer than two.
    Assumption: the effects are independent of each other: one model on two corpora is not quite two settings.
    Source: DerSimonian & Laird (1986), truncated at 0 where chance alone spreads them more; the interval by Hartung & Knapp (2001), with a
        t-quantile, and never narrower than the normal one; I² by Higgins & Thompson (2002).

    Example:
        >>> found = random_effects(np.array([0.1, 0.3]), np.array([0.0, 0.2]), np.array([0.2, 0.4]))
        >>> round(found.mean, 3), round(found.i2, 2)
        (0.2, 0.87)
    """
    if len(effects) < 2:
        raise ValueError(f"{len(effects)} effects came; expected two at least")
    degrees = len(effects) - 1
    variances = np.maximum((high - low) / (2 * NORMAL), SMALLEST_ERROR) ** 2
    fixed = 1 / variances
    q = float((fixed * (effects - np.average(effects, weights=fixed)) ** 2).sum())
    between = max(0.0, (q - degrees) / (fixed.sum() - (fixed**2).sum() / fixed.sum()))
    weights = 1 / (variances + between)
    mean, plain = float(np.average(effects, weights=weights)), 1 / weights.sum()
    spread = float((weights * (effects - mean) ** 2).sum() / (degrees * weights.sum()))
    half = max(float(t.ppf(0.975, degrees)) * float(np.sqrt(spread)), NORMAL * float(np.sqrt(plain)))
    return Together(
        mean=mean, low=mean - half, high=mean + half, i2=max(0.0, 1 - degrees / q) if q > 0 else 0.0, p=float(chi2.sf(q, degrees))
    )
