"""At which depth a score arises: the published worked example, laws, and what has no answer."""

import numpy as np
import pytest

from interp.stats.expected_layer import best_so_far, centre_of_gravity, expected_layer, gain_within

TENNEY = np.array([70.0, 74, 80, 86, 88, 89, 89])


def naive(scores):
    gains = [scores[layer] - scores[layer - 1] for layer in range(1, len(scores))]
    return sum(layer * gain for layer, gain in enumerate(gains, start=1)) / sum(gains)


def test_the_worked_example():
    assert float(expected_layer(TENNEY)) == pytest.approx(2.4737, abs=5e-5)
    assert float(expected_layer(TENNEY)) == pytest.approx(naive(TENNEY))


def test_one_step_has_its_own_depth_and_units_do_not_matter():
    for depth in range(1, 6):
        step = (np.arange(6) >= depth) * 0.3 + 0.4
        assert float(expected_layer(step)) == pytest.approx(depth)
        assert float(gain_within(step, [depth])) == pytest.approx(1.0)
        assert float(gain_within(step, [one for one in range(1, 6) if one != depth])) == pytest.approx(0.0)
    assert float(expected_layer(TENNEY / 100)) == pytest.approx(float(expected_layer(TENNEY)))


def test_curves_are_taken_one_by_one():
    rng = np.random.default_rng(0)
    curves = np.cumsum(rng.random((3, 4, 7)), axis=-1)
    found = expected_layer(curves)
    assert found.shape == (3, 4)
    assert found[2, 1] == pytest.approx(naive(curves[2, 1]))
    assert ((found >= 1) & (found <= 6)).all()


def test_a_curve_that_does_not_rise_has_no_depth():
    falling = np.array([0.9, 0.8, 0.7])
    assert np.isnan(expected_layer(falling))
    assert np.isnan(gain_within(np.ones(4), [1]))
    assert np.isnan(centre_of_gravity(np.zeros(3)))


def test_centre_of_gravity_is_not_where_it_arises():
    """A thing that arises at the first layer and stays can be read everywhere after it."""
    step = np.array([0.0, 1, 1, 1, 1])
    assert float(expected_layer(step)) == 1.0
    assert float(centre_of_gravity(step)) == 2.5


def test_the_best_so_far_never_looks_ahead():
    scores = np.array([0.3, 0.2, 0.5, 0.5, 0.4, 0.6])
    assert best_so_far(scores).tolist() == [0, 0, 2, 2, 2, 5]
    assert (np.diff(scores[best_so_far(scores)]) >= 0).all()


def test_refusals():
    with pytest.raises(ValueError, match="expected an axis depth of at least two"):
        expected_layer(np.array([0.5]))
    with pytest.raises(ValueError, match=r"depths \[0, 7\] came; expected 1 to 6"):
        gain_within(TENNEY, [0, 1, 7])
    with pytest.raises(ValueError, match="expected 0 or more: cut what is below a baseline off at 0"):
        centre_of_gravity(np.array([0.1, -0.1]))
