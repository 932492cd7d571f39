"""Agreement with a claimed order: scipy's tau, and counting all orders by hand."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import kendalltau

from interp.stats.order import order_agreement, order_p


def test_it_is_kendalls_tau():
    values = np.random.default_rng(0).normal(size=(40, 6))
    assert order_agreement(values) == pytest.approx([kendalltau(np.arange(6), row).statistic for row in values])
    assert order_agreement(-values) == pytest.approx(-order_agreement(values))


def test_ties_count_as_neither_and_unknown_values_are_told():
    assert float(order_agreement(np.array([1.0, 1.0, 2.0]))) == pytest.approx(2 / 3)
    assert np.isnan(order_agreement(np.array([1.0, np.nan, 2.0])))


def test_p_counts_the_orders_that_agree_as_well():
    values = np.array([1.0, 2.0, 4.0, 3.0, 5.0])
    taus = [kendalltau(np.arange(5), order).statistic for order in permutations(values)]
    assert order_p(values) == pytest.approx(np.mean(np.array(taus) >= 0.8 - 1e-9))
    assert order_p(np.arange(5.0)) == pytest.approx(1 / 120)
    assert order_p(np.arange(3.0)) > 0.05  # three tasks can never show an order by their order alone


def test_refusals():
    with pytest.raises(ValueError, match="an axis member of at least two"):
        order_agreement(np.array([1.0]))
    with pytest.raises(ValueError, match="expected 2 to 8 finite numbers"):
        order_p(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="expected 2 to 8 finite numbers"):
        order_p(np.arange(9.0))
