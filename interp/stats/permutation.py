"""Is any member of the family better than nothing, counting that we looked at all of them?

Under the null hypothesis a cluster's difference (head minus baseline) is as likely to be +d as -d. Flipping the signs of whole
clusters at random shows what the statistics do then. All members share the flips, so that their correlation is kept, and the
largest statistic of each resample is what the best of the family reaches by luck (max-T): comparing with it controls the
chance of one false find in the whole family, without a second split and without Bonferroni's loss.

What it does not tell: how large the effect is. It assumes differences that are symmetric about 0 when there is no effect,
as they are when head and baseline are exchangeable, and clusters that are independent.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_CELLS_AT_ONCE = 4_000_000  # signs and statistics held in memory together, 8 bytes each

# Statistics that are equal on paper (a flip that gives the observed data again) differ by rounding, about 1e-15 on a scale
# of 1. They count as reached: the p-value errs upward.
_TIE = 1e-12


@dataclass(frozen=True, kw_only=True)
class SignFlip:
    """What sign flips say of each member of a family; no units.

    Attributes:
        statistic: t = mean / (sd / sqrt n) of the differences, axes (member,); infinite where all differences are equal.
        p: one-sided (greater) p-value of the member alone, axes (member,), in (0, 1].
        p_adjusted: the same, adjusted for having looked at every member (max-T), axes (member,), in (0, 1]; never below p.
        ties: share of the resamples in which the best of the family only equals the member, axes (member,), in (0, 1]. `p_adjusted` less a
            random part of it is uniform where there is no effect, though the statistic goes in steps (a randomised p-value).
        n_resamples: sign flips drawn; no p-value is below 1 / (1 + n_resamples).
        n_clusters: clusters that were flipped; no p-value is below about 2 ** -n_clusters.
    """

    statistic: Float[np.ndarray, " member"]
    p: Float[np.ndarray, " member"]
    p_adjusted: Float[np.ndarray, " member"]
    ties: Float[np.ndarray, " member"]
    n_resamples: int
    n_clusters: int


def sign_flip_max_t(differences: np.ndarray, *, n_resamples: int = 9999, seed: int) -> SignFlip:
    """One-sided p-values of every member of a family, alone and adjusted for the whole family.

    p = (1 + b) / (1 + B) with b the number of the B resamples whose statistic (for `p_adjusted`: the largest over members)
    reaches the observed one; never 0. A member whose differences are all 0 has t = 0 and p = 1.

    Args:
        differences: effect minus baseline, axes (member, cluster). Clusters of different size: the sum over the
            cluster's items, as from `cluster_sums`, so that larger clusters weigh more.
        n_resamples: sign flips to draw.
        seed: seed of the flips.
    Raises: ValueError for other axes, fewer than 2 clusters, differences that are not finite.
    Source: Westfall & Young (1993), single-step max-T; Nichols & Holmes (2002); Phipson & Smyth (2010) for 1 + b.

    Example:
        >>> differences = np.array([[1.0, 2.0] * 10, [1.0, -1.0] * 10])
        >>> found = sign_flip_max_t(differences, n_resamples=999, seed=0)
        >>> bool(found.p_adjusted[0] < 0.01), bool(found.p_adjusted[1] > 0.3)
        (True, True)
    """
    family = _checked(differences, n_resamples)
    scaled = _scaled(family)
    observed = scaled.sum(axis=1)
    reached, reached_by_max, tied_by_max = _count_reached(scaled, observed, n_resamples, np.random.default_rng(seed))
    return SignFlip(
        statistic=_t(observed, family.shape[1]),
        p=(1 + reached) / (1 + n_resamples),
        p_adjusted=(1 + reached_by_max) / (1 + n_resamples),
        ties=(1 + tied_by_max) / (1 + n_resamples),
        n_resamples=n_resamples,
        n_clusters=family.shape[1],
    )


def _checked(differences: np.ndarray, n_resamples: int) -> np.ndarray:
    family = np.asarray(differences, dtype=float)
    if family.ndim != 2 or family.shape[0] == 0:
        raise ValueError(f"differences {family.shape} came; expected axes (member, cluster): for one member, differences[None]")
    if family.shape[1] < 2:
        raise ValueError(f"{family.shape[1]} cluster came; expected at least 2: one sign has no spread, add texts")
    if not np.isfinite(family).all():
        raise ValueError(
            f"{(~np.isfinite(family)).sum()} differences are not finite; expected numbers: drop those clusters in every member"
        )
    if n_resamples < 1:
        raise ValueError(f"n_resamples {n_resamples} came; expected at least 1, and 9999 for numbers that are reported")
    return family


def _scaled(family: np.ndarray) -> np.ndarray:
    """Differences divided by sqrt(n sum d^2), which no flip changes: their sum is r, and t = r sqrt(n - 1) / sqrt(1 - r^2).

    t grows with r, by one function for all members, so that comparing r (and its maximum) is comparing t; and r is finite
    where t is not. Dividing by the largest first keeps the squares from under- and overflow.
    """
    largest = np.abs(family).max(axis=1, keepdims=True)
    unit = family / np.where(largest == 0, 1, largest)
    length = np.sqrt(family.shape[1] * (unit**2).sum(axis=1, keepdims=True))
    return unit / np.where(length == 0, 1, length)


def _t(r: np.ndarray, n_clusters: int) -> np.ndarray:
    r = np.where(np.abs(r) > 1 - _TIE, np.sign(r), r)
    with np.errstate(divide="ignore"):
        return r * np.sqrt(n_clusters - 1) / np.sqrt(1 - r**2)


def _count_reached(scaled: np.ndarray, observed: np.ndarray, n_resamples: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """How many resamples reach each member's observed statistic: by the member itself, by the largest over members; or just equal it."""
    n_members, n_clusters = scaled.shape
    chunk = max(1, _CELLS_AT_ONCE // (n_members + n_clusters))
    threshold, above = observed - _TIE, observed + _TIE
    reached, largest = np.zeros(n_members), np.empty(n_resamples)
    for start in range(0, n_resamples, chunk):
        size = min(chunk, n_resamples - start)
        signs = np.where(rng.random((size, n_clusters)) < 0.5, -1.0, 1.0)  # one draw a sign: chunks do not change them
        flipped = signs @ scaled.T
        reached += (flipped >= threshold).sum(axis=0)
        largest[start : start + size] = flipped.max(axis=1)
    largest.sort()
    below, up_to = np.searchsorted(largest, threshold, side="left"), np.searchsorted(largest, above, side="right")
    return reached, (n_resamples - below).astype(float), (up_to - below).astype(float)
