"""At which depth does a score arise? Numbers that turn a curve over layers into one depth.

A curve has one score for each depth, from 0 (before the first layer) to L (after the last). What a depth adds is its score less that of the
depth before. A probe that reads all layers up to a depth cannot lose; the best single layer so far stands for it here (`best_so_far`).

What they do not tell: how sharply it arises (two depths that add half each, far apart, have their mean between them), and nothing at all
for a curve that does not rise: such a one is nan, never 0.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

SOURCE = "Tenney, Das & Pavlick (2019), BERT Rediscovers the Classical NLP Pipeline, section 3.2"


def best_so_far(chosen_by: Float[np.ndarray, " depth"]) -> np.ndarray:
    """For each depth, which depth up to it has the highest score; of two alike the earlier. Axes: (depth,), int.

    To be chosen on other items than those on which the scores are then taken: the best of several looks better than it is.

    Example:
        >>> best_so_far(np.array([0.5, 0.7, 0.6, 0.8])).tolist()
        [0, 1, 1, 3]
    """
    return np.array([int(chosen_by[: depth + 1].argmax()) for depth in range(len(chosen_by))])


def expected_layer(scores: Float[np.ndarray, "*curve depth"]) -> Float[np.ndarray, "*curve"]:
    """Mean depth at which the score arises, in layers: E = sum_l l D(l) / sum_l D(l), D(l) = s(l) - s(l - 1), l from 1.

    Args:
        scores: with all layers up to each depth, the embedding first, any unit, axes (..., depth).
    Returns: 1 to L for a curve that never falls; nan for one that ends no higher than it began.
    Raises: ValueError for fewer than two depths.
    Source: see `SOURCE`; there the score is F1 of a probe on a learned mix of the layers.

    Example:
        >>> round(float(expected_layer(np.array([70.0, 74, 80, 86, 88, 89, 89]))), 4)
        2.4737
    """
    gains = _gains(scores)
    return _over(gains @ np.arange(1, gains.shape[-1] + 1), gains.sum(-1))


def gain_within(scores: Float[np.ndarray, "*curve depth"], depths: Sequence[int]) -> Float[np.ndarray, "*curve"]:
    """Share of the rise that these depths add, each counted from 1: sum of D over them / sum of D over all.

    Returns: 0 to 1 for a curve that never falls; nan for one that ends no higher than it began.
    Raises: ValueError for a depth outside 1 to L, or fewer than two depths of scores.

    Example:
        >>> round(float(gain_within(np.array([70.0, 74, 80, 86, 88, 89, 89]), [1, 2, 3])), 3)
        0.842
    """
    gains = _gains(scores)
    outside = [depth for depth in depths if not 1 <= depth <= gains.shape[-1]]
    if outside:
        raise ValueError(f"depths {outside} came; expected 1 to {gains.shape[-1]}")
    return _over(gains[..., [depth - 1 for depth in depths]].sum(-1), gains.sum(-1))


def centre_of_gravity(weights: Float[np.ndarray, "*curve depth"]) -> Float[np.ndarray, "*curve"]:
    """Mean depth of weights, the embedding being depth 0, in layers: sum_l l w(l) / sum_l w(l).

    Args:
        weights: 0 or more, any unit, axes (..., depth): a probe's mixing weights (as in the source), or how far each depth is above a
            baseline, which says where a thing can be read and not where it arises.
    Returns: 0 to L; nan where all weights are 0.
    Raises: ValueError for a weight below 0.
    Source: see `SOURCE`; there of the softmax weights of the learned mix.

    Example:
        >>> float(centre_of_gravity(np.array([0.0, 0.5, 0.5])))
        1.5
    """
    if (weights < 0).any():
        raise ValueError(f"weights down to {weights.min()} came; expected 0 or more: cut what is below a baseline off at 0")
    return _over(weights @ np.arange(weights.shape[-1]), weights.sum(-1))


def _gains(scores: np.ndarray) -> np.ndarray:
    if scores.shape[-1] < 2:
        raise ValueError(f"scores {scores.shape} came; expected an axis depth of at least two, before the first layer and after it")
    return np.diff(scores, axis=-1)


def _over(part: np.ndarray | np.floating, whole: np.ndarray | np.floating) -> np.ndarray:
    """The ratio; nan where there is no whole (or less than rounding leaves of a difference of scores)."""
    there = np.asarray(whole > 1e-12)
    return np.where(there, part / np.where(there, whole, 1.0), np.nan)
