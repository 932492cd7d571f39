"""Over which stretch of layers is there an effect? Neighbouring layers tested together, as neighbouring moments are in EEG.

In each layer t = mean / (sd / sqrt n) over clusters of items is taken; layers in a row whose t is above a threshold are one stretch, and
its mass is the sum of its t. Signs of whole clusters are flipped, the same in all layers, and the largest mass of each resample is what
comes of luck somewhere on the curve: the p of a stretch is how often that is reached. One false stretch in the whole curve at level alpha.

What it does not tell: where a stretch begins or ends (the test is of there being one; Sassenhagen & Draschkow 2019), nor that every layer
in it has the effect. It assumes what `sign_flip_max_t` assumes. For single layers that one is the test.
"""

from dataclasses import dataclass

import numpy as np

_TIE = 1e-9  # masses that are equal on paper differ by rounding; they count as reached


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Layers in a row with an effect of one direction.

    Attributes:
        first, last: its ends, by place on the curve, both in it.
        mass: sum of t over it; no unit.
        p: adjusted for the whole curve, in (0, 1].
    """

    first: int
    last: int
    mass: float
    p: float


def layer_clusters(differences: np.ndarray, *, threshold: float = 0.05, n_resamples: int = 4999, seed: int) -> list[Stretch]:
    """Stretches of layers whose differences are above 0, each with its p.

    Args:
        differences: effect minus baseline, axes (layer, cluster), layers in their order; sums over a cluster's items where clusters differ
            in size.
        threshold: one-sided level of the single layer's t from which it belongs to a stretch; changes what is found, not how often
            something false is.
        n_resamples: sign flips to draw.
        seed: of the flips.
    Returns: in the order of the layers; none where no layer is above the threshold.
    Raises: ValueError for other axes, fewer than 2 clusters, differences that are not finite, a threshold outside (0, 1).
    Source: Maris & Oostenveld (2007), Nonparametric statistical testing of EEG- and MEG-data; one-sided, layers as the time.

    Example:
        >>> differences = np.random.default_rng(1).normal(size=(6, 40)) + np.array([0, 0, 1, 1, 0, 0])[:, None]
        >>> [(one.first, one.last, one.p < 0.01) for one in layer_clusters(differences, seed=0)]
        [(2, 3, True)]
    """
    curve = np.asarray(differences, dtype=float)
    if curve.ndim != 2 or curve.shape[1] < 2 or not np.isfinite(curve).all():
        raise ValueError(f"differences {curve.shape} came; expected finite numbers with axes (layer, cluster), at least 2 clusters")
    if not 0 < threshold < 1:
        raise ValueError(f"threshold {threshold} came; expected a level between 0 and 1, such as 0.05")
    n = curve.shape[1]
    from scipy.stats import t as student  # here: half a second of imports that only verdicts need

    least = float(student.ppf(1 - threshold, n - 1))
    scale = np.sqrt((curve**2).sum(1) / n)
    unit = curve / np.where(scale == 0, 1, scale)[:, None]
    found = _stretches(_t(unit.mean(1), n), least)
    signs = np.where(np.random.default_rng(seed).random((n_resamples, n)) < 0.5, -1.0, 1.0)
    luck = _largest_mass(_t(signs @ unit.T / n, n), least)
    reached = {mass: int((luck >= mass * (1 - _TIE)).sum()) for _, _, mass in found}
    return [Stretch(first=a, last=b, mass=mass, p=(1 + reached[mass]) / (1 + n_resamples)) for a, b, mass in found]


def _t(mean: np.ndarray, n: int) -> np.ndarray:
    """t of differences whose mean square is 1, which no flip changes; very large where they are all alike."""
    return mean * np.sqrt(n - 1) / np.sqrt(np.maximum(1 - mean**2, 1e-12))


def _stretches(t: np.ndarray, least: float) -> list[tuple[int, int, float]]:
    """(first, last, mass) of each run above the threshold."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], t > least, [0]])))
    return [(int(a), int(b) - 1, float(t[a:b].sum())) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _largest_mass(t: np.ndarray, least: float) -> np.ndarray:
    """The largest mass on each of many curves, axes (sample, layer); 0 where no layer is above the threshold. Axes: (sample,)."""
    mass, largest = np.zeros(len(t)), np.zeros(len(t))
    for column in t.T:
        mass = np.where(column > least, mass + column, 0.0)
        largest = np.maximum(largest, mass)
    return largest
