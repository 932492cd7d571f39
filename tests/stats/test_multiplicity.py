"""Adjusted p-values against the definitions written out, and their order of strictness."""

import numpy as np
import pytest

from interp.stats.multiplicity import adjust


def by_hand(p: np.ndarray, method: str) -> np.ndarray:
    """The definitions of the docstring, one p-value after the other."""
    m, order = len(p), np.argsort(p)
    ordered, adjusted = p[order], np.empty(len(p))
    harmonic = sum(1 / j for j in range(1, m + 1)) if method == "by" else 1
    for i in range(m):
        if method == "holm":
            value = max((m - j) * ordered[j] for j in range(i + 1))
        else:
            value = min(harmonic * m / (j + 1) * ordered[j] for j in range(i, m))
        adjusted[order[i]] = min(value, 1)
    return adjusted


@pytest.mark.parametrize("method", ["holm", "bh", "by"])
def test_agrees_with_the_definition(method):
    p = np.random.default_rng(0).random(25) ** 3
    assert adjust(p, method) == pytest.approx(by_hand(p, method))


@pytest.mark.parametrize("method", ["holm", "bh", "by"])
def test_laws(method):
    p = np.random.default_rng(1).random((4, 6)) ** 2
    adjusted = adjust(p, method)
    assert adjusted.shape == p.shape
    assert ((p <= adjusted) & (adjusted <= 1)).all()
    assert (np.diff(adjusted.ravel()[p.ravel().argsort()]) >= 0).all()
    assert adjust(p[::-1], method) == pytest.approx(adjusted[::-1])
    assert adjust(p[:1, :1], method) == pytest.approx(p[:1, :1])  # a family of one needs no adjustment
    assert adjust(np.ones(5), method).tolist() == [1] * 5


def test_bh_is_the_mildest():
    p = np.random.default_rng(2).random(40) ** 2
    bh = adjust(p, "bh")
    assert (bh <= adjust(p, "holm") + 1e-12).all()
    assert (bh <= adjust(p, "by") + 1e-12).all()
    assert (bh < adjust(p, "holm")).any()


def test_resamples_that_the_first_step_of_bh_needs():
    # The guide: 144 tests need B >= 2,879 sign flips before the smallest p, 1 / (1 + B), can count alone at .05.
    for n_resamples, counts in [(2879, True), (2878, False)]:
        p = np.ones(144)
        p[0] = 1 / (1 + n_resamples)
        assert bool(adjust(p, "bh")[0] <= 0.05 + 1e-12) is counts  # 144 / 2,880 is .05 up to rounding


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([], "no p-value came"),
        ([0.5, 1.5], "p-values from 0.5 to 1.5 came; expected each between 0 and 1"),
        ([0.5, np.nan], "none missing"),
    ],
)
def test_refusals(p, message):
    with pytest.raises(ValueError, match=message):
        adjust(np.array(p), "holm")
