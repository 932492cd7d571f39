"""The sample sizes of the statistics guide, and power as the share of simulated tests that reject."""

import numpy as np
import pytest
from scipy.stats import chi2, norm, t, ttest_1samp

from interp.stats.power import n_for, power_at


@pytest.mark.parametrize(("delta", "n"), [(0.10, 265), (0.05, 1053), (0.03, 2921)])
def test_sizes_of_the_statistics_guide(delta, n):
    assert n_for(delta, sd=0.5, power=0.9, alpha=0.05) == n


def test_an_sd_of_seven_tenths_doubles_them():
    assert n_for(0.05, sd=0.7) / n_for(0.05, sd=0.5) == pytest.approx(1.96, abs=0.01)


@pytest.mark.parametrize("alternative", ["two-sided", "larger"])
@pytest.mark.parametrize(("delta", "power"), [(0.1, 0.8), (0.5, 0.06), (5.0, 0.99), (0.001, 0.9)])
def test_n_is_the_fewest_that_reach_the_power(delta, power, alternative):
    n = n_for(delta, sd=0.5, power=power, alternative=alternative)
    assert power_at(delta, sd=0.5, n=n, alternative=alternative) >= power
    assert n == 2 or power_at(delta, sd=0.5, n=n - 1, alternative=alternative) < power


def test_power_grows_with_effect_and_size_from_alpha_to_1():
    by_n = [power_at(0.1, sd=0.5, n=n) for n in (2, 10, 100, 1000, 10000)]
    assert by_n == sorted(by_n)
    assert power_at(1e-6, sd=0.5, n=50, alternative="larger") == pytest.approx(0.05, abs=1e-4)
    assert power_at(1e-6, sd=0.5, n=50) == pytest.approx(0.025, abs=1e-4)  # the other .025 lie on the wrong side
    assert power_at(5.0, sd=0.5, n=1000) == pytest.approx(1)
    assert power_at(0.1, sd=0.5, n=50) < power_at(0.2, sd=0.5, n=50)
    assert power_at(0.1, sd=0.5, n=50) < power_at(0.1, sd=0.5, n=50, alternative="larger")


@pytest.mark.parametrize("alpha", [0.05, 0.001, 1e-5])
@pytest.mark.parametrize("effect", [0.01, 0.1, 0.5, 2.0, 10.0, 1000.0])
def test_no_hole_in_the_noncentral_t(effect, alpha):
    """Power as the average over the sample's standard deviation, which is chi-square: no noncentral t in it."""
    for n in (2, 3, 5, 10, 20, 50, 1000, 3000, 100000):
        spread = np.sqrt(chi2.ppf((np.arange(5000) + 0.5) / 5000, n - 1) / (n - 1))
        expected = norm.cdf(effect * np.sqrt(n) - t.isf(alpha / 2, n - 1) * spread).mean()
        # 5,000 slices: each at most 1 / 5,000 off
        assert power_at(effect, sd=1.0, n=n, alpha=alpha) == pytest.approx(expected, abs=5e-4)


def test_power_is_the_share_of_simulated_tests_that_reject():
    samples = np.random.default_rng(0).normal(0.2, 0.5, size=(4000, 30))
    share = (ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean()
    assert power_at(0.2, sd=0.5, n=30) == pytest.approx(share, abs=0.024)  # three times .5 / sqrt 4000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"delta": 0.0}, r"delta 0.0 came; expected the smallest effect of interest, above 0"),
        ({"sd": 0.0}, r"sd 0.0 came; expected one above 0: differences that never vary"),
        ({"alpha": 5.0}, r"alpha 5.0 came; expected one between 0 and 1"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        n_for(**{"delta": 0.1, "sd": 0.5, **arguments})
    with pytest.raises(ValueError, match=message):
        power_at(**{"delta": 0.1, "sd": 0.5, "n": 10, **arguments})


def test_refuses_one_cluster_and_a_power_that_needs_no_test():
    with pytest.raises(ValueError, match=r"n 1 came; expected at least 2 clusters"):
        power_at(0.1, sd=0.5, n=1)
    with pytest.raises(ValueError, match=r"power 1.0 came; expected one between alpha \(0.05\) and 1"):
        n_for(0.1, sd=0.5, power=1.0)
