"""Measured numbers as a card writes them."""

import numpy as np

from interp.stats.intervals import Interval, cluster_mean, with_unseen

Rows = dict[str, str]
NONE = "–"


def share(hits: np.ndarray, clusters: np.ndarray | None = None, *, lowest: float = 0.0) -> Interval:
    """The share of hits with its 95 % interval; items that belong together are one cluster. Axes: hits (item,), clusters (item,).

    Args: lowest: -1 for differences of hits.

    Example:
        >>> share(np.array([True, True, False, True])).estimate
        0.75
    """
    found = cluster_mean(hits.astype(float), np.arange(len(hits)) if clusters is None else clusters, seed=0)
    return with_unseen(found, lowest, 1.0)


def as_share(found: Interval, more: str = "") -> str:
    """A share in per cent, with its interval, n, and what else there is to say.

    Example:
        >>> as_share(share(np.array([True, True, True])))
        '100.0% (95 % interval 29.2 to 100.0, n = 3)'
    """
    ends = f"95 % interval {100 * found.low:.1f} to {100 * found.high:.1f}"
    return f"{found.estimate:.1%} ({ends}, n = {found.n_items}{more})"


def as_points(found: Interval) -> str:
    """A difference of two shares in percentage points, with its interval."""
    return f"{100 * found.estimate:+.1f} points (95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f})"


def after(depth: int) -> str:
    """Where a stream was read, as a person counts.

    Example:
        >>> after(0), after(2)
        ('at the embedding', 'after layer 1')
    """
    return "at the embedding" if depth == 0 else f"after layer {depth - 1}"
