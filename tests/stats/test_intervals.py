"""`cluster_mean` is a function of the clusters, covers as often as it says, and refuses what has no interval."""

import numpy as np
import pytest
from scipy.stats import binom

from interp.stats.intervals import cluster_mean, cluster_sums


def correlated(rng: np.random.Generator, n_clusters: int, per_cluster: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Values with mean 0: half of their variance is shared within a cluster."""
    clusters = np.repeat(np.arange(n_clusters), per_cluster)
    return rng.normal(size=n_clusters)[clusters] + rng.normal(size=clusters.size), clusters


def test_estimate_is_the_mean_over_items_and_lies_inside():
    values, clusters = np.array([1.0, 1.0, 1.0, 0.0, 2.0]), np.array(["a", "a", "a", "b", "c"])
    found = cluster_mean(values, clusters, seed=0)
    assert found.estimate == values.mean()
    assert values.min() <= found.low < found.estimate < found.high <= values.max()
    assert (found.method, found.n_items, found.n_clusters, found.level) == ("BCa", 5, 3, 0.95)


def test_estimate_weighs_items_not_clusters():
    found = cluster_mean(np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1]), seed=0)
    assert found.estimate == 0.75  # the mean of cluster means would be 0.5


def test_order_of_items_does_not_matter_and_the_seed_does():
    rng = np.random.default_rng(0)
    values, clusters = correlated(rng, 20)
    order = rng.permutation(values.size)
    found = cluster_mean(values, clusters, n_resamples=300, seed=1)
    shuffled = cluster_mean(values[order], clusters[order], n_resamples=300, seed=1)
    # sums are taken in another order: 80 numbers of size 1, each rounded to 2e-16
    assert [found.low, found.high] == pytest.approx([shuffled.low, shuffled.high], abs=1e-12)
    assert found == cluster_mean(values, clusters, n_resamples=300, seed=1)
    assert found.low != cluster_mean(values, clusters, n_resamples=300, seed=2).low


def test_shift_and_scale_move_the_interval_along():
    values, clusters = correlated(np.random.default_rng(1), 20)
    found = cluster_mean(values, clusters, n_resamples=300, seed=0)
    moved = cluster_mean(3 * values + 7, clusters, n_resamples=300, seed=0)
    assert [moved.low, moved.high] == pytest.approx([3 * found.low + 7, 3 * found.high + 7])


def test_higher_level_is_wider():
    values, clusters = correlated(np.random.default_rng(2), 20)
    narrow, wide = (cluster_mean(values, clusters, level=level, n_resamples=500, seed=0) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_coverage_is_nominal_and_without_clusters_it_is_not():
    rng = np.random.default_rng(3)
    runs, covered, covered_naive = 200, 0, 0
    for _ in range(runs):
        values, clusters = correlated(rng, 40)
        found = cluster_mean(values, clusters, level=0.9, n_resamples=300, seed=0)
        naive = cluster_mean(values, np.arange(values.size), level=0.9, n_resamples=300, seed=0)
        covered += found.low <= 0 <= found.high
        covered_naive += naive.low <= 0 <= naive.high
    # 40 clusters and 300 resamples cost about 2 points of the 90; then the 1 in 1,000 tails of the binomial.
    assert binom.ppf(0.001, runs, 0.88) <= covered <= binom.ppf(0.999, runs, 0.9)
    # negative control: items taken for clusters give an interval 1.6 times too short, which covers about 70 %
    assert covered_naive < binom.ppf(0.001, runs, 0.88)


def test_memory_stays_bounded_by_batches_without_changing_the_answer(monkeypatch):
    values, clusters = correlated(np.random.default_rng(4), 30)
    whole = cluster_mean(values, clusters, n_resamples=200, seed=0)
    monkeypatch.setattr("interp.stats.intervals._DRAWS_AT_ONCE", 30 * 7)
    batched = cluster_mean(values, clusters, n_resamples=200, seed=0)
    assert [batched.low, batched.high] == pytest.approx([whole.low, whole.high])


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1])
def test_constant_values_have_width_0_and_say_so(value):
    found = cluster_mean(np.full(7, value), np.array([0, 0, 0, 1, 1, 2, 3]), seed=0)
    assert (found.low, found.high, found.method) == (found.estimate, found.estimate, "constant")
    assert found.estimate == pytest.approx(value)


def test_bca_without_an_answer_falls_back_to_percentile():
    values, clusters = np.array([0.0, 0.0, 0.0, 1.0]), np.arange(4)
    # two resamples that both lie on one side of the estimate: the bias correction is infinite
    few = [cluster_mean(values, clusters, n_resamples=2, seed=seed) for seed in range(20)]
    fallen = [found for found in few if found.method == "percentile"]
    assert fallen
    assert all(0 <= found.low <= found.high <= 1 for found in fallen)
    assert cluster_mean(values, clusters, n_resamples=500, seed=0).method == "BCa"


def test_cluster_sums_add_up():
    values, clusters = correlated(np.random.default_rng(5), 9)
    sums, counts = cluster_sums(values, clusters)
    assert sums.sum() == pytest.approx(values.sum())
    assert counts.tolist() == [4] * 9


@pytest.mark.parametrize(
    ("values", "clusters", "options", "message"),
    [
        ([1.0, 2.0], [0, 0], {}, r"1 cluster came; expected at least 2"),
        ([1.0, 2.0], [0], {}, r"values \(2,\) and clusters \(1,\) came"),
        ([[1.0, 2.0]], [[0, 1]], {}, r"expected one axis, item"),
        ([], [], {}, r"no item came"),
        ([1.0, np.nan], [0, 1], {}, r"1 values are not finite"),
        ([1.0, 2.0], [0, 1], {"level": 95.0}, r"level 95.0 came; expected one between 0 and 1"),
        ([1.0, 2.0], [0, 1], {"n_resamples": 1}, r"n_resamples 1 came; expected at least 2"),
    ],
)
def test_refusals(values, clusters, options, message):
    with pytest.raises(ValueError, match=message):
        cluster_mean(np.array(values), np.array(clusters), seed=0, **options)
