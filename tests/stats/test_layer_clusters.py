"""Stretches of layers: found where there is one, and a false one in no more curves than the level says."""

import numpy as np
import pytest

from interp.stats.layer_clusters import layer_clusters


def curve(rng, layers=8, clusters=30):
    """Differences without effect, alike in neighbouring layers as those of a model are."""
    noise = rng.normal(size=(layers + 3, clusters))
    return np.stack([noise[layer : layer + 4].sum(0) for layer in range(layers)])


def test_false_stretches_are_as_rare_as_the_level_says():
    """400 curves of nothing, neighbours correlated: at level .05 at most 31 have a stretch (the 98 % point of that binomial is 29)."""
    rng = np.random.default_rng(0)
    false = sum(any(one.p <= 0.05 for one in layer_clusters(curve(rng), n_resamples=199, seed=seed)) for seed in range(400))
    assert 5 <= false <= 31


def test_an_effect_is_found_where_it_is_and_pooled_over_neighbours():
    rng = np.random.default_rng(1)
    effect = 2.0 * np.array([0, 0, 0, 1, 1, 1, 1, 0])[:, None]
    found = layer_clusters(curve(rng) + effect, seed=0)
    significant = [one for one in found if one.p < 0.05]
    assert len(significant) == 1
    assert significant[0].first <= 3
    assert significant[0].last >= 6
    below = layer_clusters(-effect + 0.1 * curve(rng), seed=0)
    assert not any(one.first <= 6 and one.last >= 3 and one.p < 0.05 for one in below)  # what is below 0 is no effect


def test_p_of_a_naive_loop():
    differences = curve(np.random.default_rng(2), layers=5) + 0.6
    (found,) = layer_clusters(differences, n_resamples=300, seed=5)
    n = differences.shape[1]
    signs = np.where(np.random.default_rng(5).random((300, n)) < 0.5, -1.0, 1.0)

    def largest_mass(rows):
        t = rows.mean(1) / (rows.std(1, ddof=1) / np.sqrt(n))
        best = mass = 0.0
        for value in t:
            mass = mass + value if value > 1.69913 else 0.0  # the .05 point of t with 29 degrees of freedom
            best = max(best, mass)
        return best

    observed = largest_mass(differences)
    assert found.mass == pytest.approx(observed)
    assert found.p == pytest.approx((1 + sum(largest_mass(differences * one) >= observed * (1 - 1e-9) for one in signs)) / 301)


def test_equal_differences_and_none_at_all():
    (found,) = layer_clusters(np.ones((3, 20)), seed=0)
    assert (found.first, found.last) == (0, 2)
    assert found.p < 0.01
    assert layer_clusters(np.zeros((3, 20)), seed=0) == []


def test_refusals():
    with pytest.raises(ValueError, match="at least 2 clusters"):
        layer_clusters(np.ones((3, 1)), seed=0)
    with pytest.raises(ValueError, match="a level between 0 and 1"):
        layer_clusters(np.ones((3, 5)), threshold=0.0, seed=0)
