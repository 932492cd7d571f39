"""An effect of delta is not called absent more often than alpha; no effect is, given enough clusters."""

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.weightstats import DescrStatsW

from interp.stats.equivalence import equivalent, non_superiority
from interp.stats.intervals import cluster_mean

CLUSTERS = np.arange(60)


def sample(mean: float, seed: int = 0) -> np.ndarray:
    """60 differences with exactly this mean and a standard deviation of .5."""
    values = np.random.default_rng(seed).normal(size=60)
    return mean + 0.5 * (values - values.mean()) / values.std()


def test_uses_the_interval_of_level_1_minus_2_alpha():
    found = non_superiority(sample(0.0), CLUSTERS, 0.2, alpha=0.05, n_resamples=500, seed=3)
    assert found.interval == cluster_mean(sample(0.0), CLUSTERS, level=0.9, n_resamples=500, seed=3)
    assert found.holds == (found.interval.high < found.delta)


# half of the 90 % interval is 1.67 x .5 / sqrt 60 = .11: only effects further than that from the margin are decided
@pytest.mark.parametrize(
    ("mean", "below", "inside"),
    [(0.0, True, True), (0.15, False, False), (0.4, False, False), (-0.15, True, False), (-0.6, True, False)],
)
def test_known_truth(mean, below, inside):
    assert non_superiority(sample(mean), CLUSTERS, 0.2, n_resamples=500, seed=0).holds is below
    assert equivalent(sample(mean), CLUSTERS, 0.2, n_resamples=500, seed=0).holds is inside


@pytest.mark.parametrize("mean", [0.0, 0.05, -0.05, 0.15, -0.15, 0.3])
def test_agrees_with_the_t_test_of_statsmodels(mean):
    p = DescrStatsW(sample(mean)).ttost_mean(-0.2, 0.2)[0]
    assert equivalent(sample(mean), CLUSTERS, 0.2, n_resamples=2000, seed=0).holds == (p < 0.05)


def test_equivalence_is_symmetric_and_implies_non_superiority():
    for mean in (0.0, 0.1, 0.3):
        up, down = (equivalent(sign * sample(mean), CLUSTERS, 0.25, n_resamples=500, seed=0).holds for sign in (1, -1))
        assert up == down
        assert not up or non_superiority(sample(mean), CLUSTERS, 0.25, n_resamples=500, seed=0).holds


def test_an_effect_of_delta_is_seldom_called_absent_and_none_mostly_is():
    rng, runs = np.random.default_rng(1), 200
    noise = rng.normal(0, 0.5, size=(runs, 60))
    wrong = sum(non_superiority(0.2 + row, CLUSTERS, 0.2, n_resamples=300, seed=0).holds for row in noise)
    right = sum(non_superiority(row, CLUSTERS, 0.2, n_resamples=300, seed=0).holds for row in noise)
    # 60 clusters and 300 resamples raise the 5 % to about 6 %; then the 1 in 1,000 tail of the binomial
    assert wrong <= binom.ppf(0.999, runs, 0.06)
    assert right >= binom.ppf(0.001, runs, 0.92)  # power for sd .5, n 60, margin .2 one-sided: .92


@pytest.mark.parametrize("test", [non_superiority, equivalent])
def test_refusals(test):
    with pytest.raises(ValueError, match=r"delta 0.0 came; expected the smallest effect of interest, above 0"):
        test(sample(0.0), CLUSTERS, 0.0, seed=0)
    with pytest.raises(ValueError, match=r"alpha 0.9 came; expected one between 0 and 0.5"):
        test(sample(0.0), CLUSTERS, 0.1, alpha=0.9, seed=0)
    with pytest.raises(ValueError, match=r"1 cluster came"):
        test(sample(0.0), np.zeros(60, dtype=int), 0.1, seed=0)
