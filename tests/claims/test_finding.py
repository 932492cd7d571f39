"""What sampled protocols share: items that are all alike, and those that can differ by more than 1."""

from math import log

import numpy as np
import pytest

from interp.claims.protocols.finding import best_upper, sampled_evidence

CLUSTERS = np.arange(60)


def evidence(values: np.ndarray, largest: float, pieces: int = 1):
    return sampled_evidence(
        name="lost",
        unit="nats",
        values=values[None],
        baseline=np.zeros_like(values)[None],
        baseline_name="nothing",
        clusters=CLUSTERS,
        member=0,
        smallest_effect=0.5,
        alpha=0.05,
        seed=0,
        largest=largest,
        pieces=pieces,
    )


@pytest.mark.parametrize("value", [-9.0, -0.5, 0.0, 0.5, 3.0, 9.0])
def test_items_that_are_all_alike_have_an_interval_around_them_in_any_unit(value):
    found = evidence(np.full(60, value), largest=log(50_000))
    assert found.low < found.effect == value < found.high
    assert found.upper >= value
    assert found.high <= log(50_000)


def test_what_must_all_hold_refutes_at_a_level_of_its_own_and_says_which():
    values = np.random.default_rng(0).normal(0.2, 0.1, 60)
    alone, shared = (evidence(values, largest=1.0, pieces=pieces) for pieces in (1, 4))
    assert (alone.upper_level, shared.upper_level) == (0.95, 0.9875)
    assert alone.upper < shared.upper
    assert (alone.low, alone.high) == (shared.low, shared.high)


def test_the_bound_of_items_that_are_all_alike_is_what_the_rule_of_three_leaves():
    share = 1 - 0.05 ** (1 / 60)
    assert best_upper(np.zeros((1, 60)), CLUSTERS, alpha=0.05, largest=4.0) == pytest.approx(4.0 * share)
    assert best_upper(np.full((1, 60), 3.0), CLUSTERS, alpha=0.05, largest=4.0) == pytest.approx(3.0 + share)
    assert best_upper(np.zeros((1, 60)), CLUSTERS, alpha=0.05) == pytest.approx(share)


def test_where_items_differ_the_largest_changes_nothing():
    values = np.random.default_rng(0).normal(0.2, 0.1, 60)
    assert evidence(values, largest=1.0) == evidence(values, largest=9.0)
