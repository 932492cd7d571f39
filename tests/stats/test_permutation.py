"""`sign_flip_max_t` agrees with exact enumeration, keeps the family's error rate, and finds what is planted."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, kstest, permutation_test, ttest_1samp

from interp.stats.permutation import sign_flip_max_t
from interp.stats.split import split_clusters


def test_statistic_is_the_t_statistic():
    differences = np.random.default_rng(0).normal(0.3, 1, size=(5, 12))
    found = sign_flip_max_t(differences, n_resamples=9, seed=0)
    assert found.statistic == pytest.approx(ttest_1samp(differences, 0, axis=1).statistic)


def test_agrees_with_every_flip_enumerated():
    differences = np.random.default_rng(1).normal(0.5, 1, size=(3, 8))
    flips = np.array(list(product([-1, 1], repeat=8)))
    null = ttest_1samp(flips[:, None] * differences, 0, axis=2).statistic  # (flip, member)
    observed = ttest_1samp(differences, 0, axis=1).statistic - 1e-9
    found = sign_flip_max_t(differences, n_resamples=20000, seed=0)
    # a share of 20,000 draws is off by .5 / sqrt(20,000) = .0035 at most; three times that
    assert found.p == pytest.approx((null >= observed).mean(axis=0), abs=0.011)
    assert found.p_adjusted == pytest.approx((null.max(axis=1)[:, None] >= observed).mean(axis=0), abs=0.011)


def test_alone_it_agrees_with_scipy():
    d = np.random.default_rng(2).normal(0.4, 1, size=10)
    exact = permutation_test(
        (d, -d), lambda x, y, axis: x.mean(axis=axis), permutation_type="samples", alternative="greater", vectorized=True
    )
    assert sign_flip_max_t(d[None], n_resamples=20000, seed=0).p[0] == pytest.approx(exact.pvalue, abs=0.011)


def test_laws_of_the_p_values():
    differences = np.random.default_rng(3).normal(size=(30, 25))
    found = sign_flip_max_t(differences, n_resamples=499, seed=0)
    assert ((found.p >= 1 / 500) & (found.p <= found.p_adjusted) & (found.p_adjusted <= 1)).all()
    by_statistic = np.argsort(found.statistic)
    assert (np.diff(found.p_adjusted[by_statistic]) <= 0).all()
    again, other = (sign_flip_max_t(differences, n_resamples=499, seed=seed) for seed in (0, 1))
    assert (again.p == found.p).all()
    assert (other.p != found.p).any()


def test_scale_of_a_member_does_not_matter():
    differences = np.random.default_rng(4).normal(0.3, 1, size=(4, 25))
    scales = np.array([[1e-200], [1.0], [1e3], [1e200]])  # squares of the first and last leave float64
    found, scaled = (sign_flip_max_t(d, n_resamples=499, seed=0) for d in (differences, scales * differences))
    assert scaled.p_adjusted == pytest.approx(found.p_adjusted)


def test_order_of_clusters_does_not_matter_beyond_chance():
    rng = np.random.default_rng(5)
    differences = rng.normal(0.2, 1, size=(6, 40))
    found, moved = (sign_flip_max_t(d, n_resamples=20000, seed=0) for d in (differences, differences[:, rng.permutation(40)]))
    assert moved.statistic == pytest.approx(found.statistic)
    assert moved.p_adjusted == pytest.approx(found.p_adjusted, abs=0.015)  # two shares of 20,000 draws: 3 sqrt(2) x .0035


def test_chunks_do_not_change_the_answer(monkeypatch):
    differences = np.random.default_rng(6).normal(size=(7, 20))
    whole = sign_flip_max_t(differences, n_resamples=199, seed=0)
    monkeypatch.setattr("interp.stats.permutation._CELLS_AT_ONCE", 27 * 64)
    chunked = sign_flip_max_t(differences, n_resamples=199, seed=0)
    assert chunked.p.tolist() == whole.p.tolist()
    assert chunked.p_adjusted.tolist() == whole.p_adjusted.tolist()


def test_company_changes_the_adjusted_p_only():
    differences = np.random.default_rng(6).normal(0.4, 1, size=(40, 20))
    few, many = (sign_flip_max_t(d, n_resamples=499, seed=0) for d in (differences[:5], differences))
    assert many.p[:5].tolist() == few.p.tolist()
    assert (many.p_adjusted[:5] >= few.p_adjusted).all()
    assert (many.p_adjusted[:5] > few.p_adjusted).any()


def test_all_differences_equal_reach_the_smallest_p_but_never_0():
    found = sign_flip_max_t(np.ones((1, 40)), n_resamples=999, seed=0)
    assert found.statistic[0] == np.inf
    assert found.p[0] == found.p_adjusted[0] == 1 / 1000


def test_a_member_of_zeros_has_t_0_and_p_1():
    differences = np.vstack([np.zeros(15), np.random.default_rng(7).normal(2, 1, 15)])
    found = sign_flip_max_t(differences, n_resamples=499, seed=0)
    assert (found.statistic[0], found.p[0], found.p_adjusted[0]) == (0, 1, 1)
    assert found.p_adjusted[1] < 0.05


def test_flips_that_give_the_data_again_count_as_reached():
    # 2 clusters: 1 flip in 4 gives the data again, so p is about 1/4 however large the effect
    found = sign_flip_max_t(np.array([[0.1, 0.3]]), n_resamples=4000, seed=0)
    assert found.p[0] == pytest.approx(0.25, abs=0.021)  # 3 sqrt(.25 x .75 / 4000)


def test_family_wise_error_rate_under_the_null():
    rng = np.random.default_rng(8)
    runs, alpha = 200, 0.05
    false_finds = false_finds_unadjusted = 0
    for run in range(runs):
        shared = rng.normal(size=30)  # heads are correlated: half of their variance is the sentence's
        found = sign_flip_max_t(shared + rng.normal(size=(20, 30)), n_resamples=199, seed=run)
        false_finds += bool((found.p_adjusted <= alpha).any())
        false_finds_unadjusted += bool((found.p <= alpha).any())
    # At a true rate of .05 the count is binomial: 1 run of this test in 1,000 leaves (2, 21) on either side.
    assert binom.ppf(0.001, runs, alpha) <= false_finds <= binom.ppf(0.999, runs, alpha)
    assert false_finds_unadjusted > 2 * binom.ppf(0.999, runs, alpha)  # negative control: looking 20 times unadjusted


def test_a_planted_head_is_found_and_its_neighbours_are_not():
    differences = np.random.default_rng(9).normal(0, 0.5, size=(144, 300))
    differences[57] += 0.15  # t about 5
    found = sign_flip_max_t(differences, n_resamples=999, seed=0)
    assert np.flatnonzero(found.p_adjusted < 0.05).tolist() == [57]
    assert (found.p < 0.05).sum() > 1  # unadjusted, some of the 143 look good too


def test_best_of_144_equal_heads_is_a_winner_by_luck_only():
    rng = np.random.default_rng(10)
    # The table of the statistics guide: 144 heads, all right in 40 % of cases; expected best of them.
    for n, expected in [(50, 0.585), (100, 0.530), (1000, 0.441)]:
        best = rng.binomial(n, 0.4, size=(2000, 144)).max(axis=1) / n
        assert best.mean() == pytest.approx(expected, abs=0.003)  # best varies by .03 at most: .0007 over 2,000 runs
    runs, significant, significant_unadjusted = 60, 0, 0
    for run in range(runs):
        hits = rng.random((145, 200)) < 0.4
        differences = hits[:144].astype(float) - hits[144]  # head minus a baseline that is as good, in one-item clusters
        found = sign_flip_max_t(differences, n_resamples=199, seed=run)
        significant += bool(found.p_adjusted.min() <= 0.05)
        significant_unadjusted += bool(found.p.min() <= 0.05)
    assert significant <= binom.ppf(0.999, runs, 0.05) < 0.5 * runs < significant_unadjusted
    selection, confirmation = split_clusters(np.arange(200), seed=0)
    chosen = hits[:144, selection].mean(axis=1).argmax()
    assert hits[chosen, selection].mean() > 0.5
    assert hits[chosen, confirmation].mean() == pytest.approx(0.4, abs=0.15)  # 3 sqrt(.24 / 100)


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        (np.ones(5), r"differences \(5,\) came; expected axes \(member, cluster\)"),
        (np.ones((0, 5)), r"differences \(0, 5\) came"),
        (np.ones((3, 1)), r"1 cluster came; expected at least 2"),
        (np.array([[1.0, np.nan]]), r"1 differences are not finite"),
    ],
)
def test_refusals(differences, message):
    with pytest.raises(ValueError, match=message):
        sign_flip_max_t(differences, seed=0)


def test_refuses_no_resamples():
    with pytest.raises(ValueError, match="n_resamples 0 came; expected at least 1"):
        sign_flip_max_t(np.ones((1, 5)), n_resamples=0, seed=0)


def test_within_its_step_a_p_of_few_coarse_differences_is_uniform():
    """Hits less hits are -1, 0 or 1, mostly 0: p itself is too large for uniform, p at a random place of its step is not."""
    rng = np.random.default_rng(7)
    differences = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=(400, 1, 40))
    found = [sign_flip_max_t(one, n_resamples=499, seed=number) for number, one in enumerate(differences)]
    p, ties = np.array([[one.p_adjusted[0], one.ties[0]] for one in found]).T
    assert kstest(p, "uniform").pvalue < 1e-3
    assert kstest(p - rng.random(len(p)) * ties, "uniform").pvalue > 0.05


def test_ties_are_those_of_every_flip_enumerated():
    differences = np.array([[1.0, 1.0, -1.0, 0.0, 1.0]])  # 16 flips of four signs; four of them sum to 2, one to 4
    found = sign_flip_max_t(differences, n_resamples=20000, seed=0)
    assert found.p_adjusted[0] == pytest.approx(5 / 16, abs=0.011)
    assert found.ties[0] == pytest.approx(4 / 16, abs=0.011)
