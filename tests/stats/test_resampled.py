"""The bootstrap of any statistic of sums: it is that of the mean where the statistic is a mean, and says where there is no value."""

import numpy as np
import pytest

from interp.stats.intervals import cluster_mean, cluster_sums
from interp.stats.resampled import resampled


def ratio(sums):
    return sums[:, 0] / sums[:, 1]


def drawn(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(n), rng.integers(1, 6, size=n))
    return rng.normal(size=n)[clusters] + rng.normal(size=len(clusters)) + shift, clusters


def test_of_a_mean_it_is_the_cluster_bootstrap():
    values, clusters = drawn(80, 0)
    found = resampled(np.stack(cluster_sums(values, clusters)), ratio, n_items=len(values), seed=0)
    ours, theirs = found.interval(0.95), cluster_mean(values, clusters, seed=0)
    assert ours.estimate == pytest.approx(theirs.estimate)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)
    assert (ours.n_items, ours.n_clusters) == (len(values), 80)


def test_it_covers():
    """The true mean is in the 95 % interval in at least 90 % of 200 runs of 60 clusters."""
    inside = 0
    for seed in range(200):
        values, clusters = drawn(60, seed)
        found = resampled(np.stack(cluster_sums(values, clusters)), ratio, n_items=len(values), n_resamples=400, seed=seed).interval(0.95)
        inside += found.low <= 0 <= found.high
    assert 180 <= inside < 200


def test_p_is_small_with_an_effect_and_not_without():
    for shift, small in ((1.0, True), (0.0, False)):
        values, clusters = drawn(60, 3, shift)
        found = resampled(np.stack(cluster_sums(values, clusters)), ratio, n_items=len(values), n_resamples=999, seed=0)
        assert (found.p_above() < 0.05) == small
        assert found.p_above() >= 1 / 1000


def test_resamples_without_a_value_are_counted_against():
    sums = np.stack([np.ones(30), np.r_[np.ones(1), np.zeros(29)]])

    def defined_where_drawn(drawn):
        return np.where(drawn[:, 1] > 0, 1.0, np.nan)

    found = resampled(sums, defined_where_drawn, n_items=30, n_resamples=2000, seed=0)
    assert found.lost == pytest.approx((29 / 30) ** 30, abs=0.05)
    assert found.p_above() == pytest.approx(found.lost, abs=1e-3)
    assert found.interval(0.95).method == "constant"


def test_refusals():
    with pytest.raises(ValueError, match=r"at least 2 clusters"):
        resampled(np.ones((2, 1)), ratio, n_items=1, seed=0)
    found = resampled(np.ones((2, 5)), lambda sums: np.full(len(sums), np.nan), n_items=5, n_resamples=10, seed=0)
    with pytest.raises(ValueError, match="had a value on 0 resamples"):
        found.interval(0.95)
    assert found.p_above() == 1.0
