"""The bound that refutes "some member reaches delta"."""

import numpy as np
import pytest

from interp.stats.equivalence import best_upper_bound


def test_it_covers_the_largest_of_many_equal_members():
    """With 100 members whose true mean is 0, the bound is below 0 in at most 5 % of runs (and not in none: it is a bound, not a wall)."""
    rng = np.random.default_rng(0)
    bounds = np.array([best_upper_bound(rng.normal(size=(100, 50))) for _ in range(300)])
    assert (bounds < 0).mean() <= 0.05
    assert np.median(bounds) < 1.0  # 50 clusters of sd 1: about (largest mean .35) + 3.3 / 7


def test_it_shrinks_with_clusters_and_grows_with_the_family():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(20, 400))
    assert best_upper_bound(draws) < best_upper_bound(draws[:, :40])
    assert best_upper_bound(draws[:1]) <= best_upper_bound(np.repeat(draws[:1], 20, axis=0))


def test_one_cluster_is_refused():
    with pytest.raises(ValueError, match="differences of 1 cluster came"):
        best_upper_bound(np.zeros((3, 1)))
