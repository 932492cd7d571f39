"""Several estimates of one effect put together, and whether they differ by more than chance."""

from dataclasses import dataclass

import numpy as np

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
    Source: Paule & Mandel (1982), by statsmodels; the interval by Hartung & Knapp (2001), with a t-quantile, and never narrower than the
        normal one; I² by Higgins & Thompson (2002).

    Example:
        >>> found = random_effects(np.array([0.1, 0.3]), np.array([0.0, 0.2]), np.array([0.2, 0.4]))
        >>> round(found.mean, 3), round(found.i2, 2)
        (0.2, 0.87)
    """
    if len(effects) < 2:
        raise ValueError(f"{len(effects)} effects came; expected two at least")
    from scipy.stats import chi2, norm, t  # here: a second of imports that only verdicts need
    from statsmodels.stats.meta_analysis import combine_effects

    degrees, normal = len(effects) - 1, float(norm.ppf(0.975))
    errors = np.maximum((high - low) / (2 * normal), SMALLEST_ERROR)
    with np.errstate(divide="ignore"):  # I² of effects that are all the same
        found = combine_effects(effects, errors**2, method_re="iterated")
    half = max(float(t.ppf(0.975, degrees) * np.sqrt(found.var_hksj_re)), normal * float(found.sd_eff_w_re))
    mean, q = float(found.mean_effect_re), max(0.0, float(found.q))
    return Together(mean=mean, low=mean - half, high=mean + half, i2=max(0.0, float(found.i2)), p=float(chi2.sf(q, degrees)))
