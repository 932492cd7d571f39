"""Which of many p-values still count, given how many there are?

Holm keeps the chance of one false find in the family below alpha: for claims that something exists. Benjamini-Hochberg (BH)
keeps the expected share of false finds among the finds below alpha, for maps and screening, if the tests are independent or
positively dependent; Benjamini-Yekutieli (BY) under any dependence, as a check on BH.

What it does not tell: whether the family was stated whole. All members looked at belong in it, the dull ones too. Where sign
flips can be drawn for the whole family, max-T (`sign_flip_max_t`) loses less than Holm.
"""

from typing import Literal

import numpy as np

Correction = Literal["holm", "bh", "by"]


def adjust(p: np.ndarray, method: Correction) -> np.ndarray:
    """Adjusted p-values: a member counts at level alpha where its adjusted p-value is at most alpha.

    With m p-values in rising order: Holm max_{j<=i} (m - j + 1) p_j; BH min_{j>=i} (m / j) p_j; BY the same times
    1 + 1/2 + ... + 1/m; all at most 1.

    Args:
        p: p-values of the whole family, 0 to 1, any axes: (layer, head) is one family.
        method: "holm", "bh" or "by".
    Returns: adjusted p-values, axes as they came, each at least as large as it was.
    Raises: ValueError for no p-value, one outside 0 to 1 or not a number, an unknown method.
    Source: Holm (1979); Benjamini & Hochberg (1995); Benjamini & Yekutieli (2001).

    Example:
        >>> p = np.array([0.01, 0.04, 0.03])
        >>> adjust(p, "holm").round(3).tolist(), adjust(p, "bh").round(3).tolist()
        ([0.03, 0.06, 0.06], [0.03, 0.04, 0.04])
    """
    family = np.asarray(p, dtype=float)
    if family.size == 0:
        raise ValueError("no p-value came; expected the p-values of the whole family")
    if not ((family >= 0) & (family <= 1)).all():
        raise ValueError(f"p-values from {family.min()} to {family.max()} came; expected each between 0 and 1, none missing")
    if method == "holm":
        from statsmodels.stats.multitest import multipletests  # here: a second of imports that only verdicts need

        adjusted = multipletests(family.ravel(), method="holm")[1]
    elif method in ("bh", "by"):
        from scipy.stats import false_discovery_control

        adjusted = false_discovery_control(family.ravel(), method=method)
    else:
        raise ValueError(f"method {method!r} came; expected 'holm', 'bh' or 'by'")
    return adjusted.reshape(family.shape)
