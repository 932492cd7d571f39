"""One claim over settings: heterogeneity as the textbook has it, roles that come again, and what cannot be put together."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

import interp
from interp.claims.across import across
from interp.claims.judge import judge
from interp.claims.verdict import Evidence
from interp.core.errors import ClaimError, DataError
from interp.figures.forest import forest

ERROR = 0.05


def evidence(effect: float) -> Evidence:
    half = 1.959964 * ERROR
    return Evidence(
        name="a", unit="accuracy", estimate=effect, baseline=0.0, baseline_name="b", effect=effect, low=effect - half, high=effect + half,
        level=0.95, upper=effect + half, smallest_effect=0.1, n_items=100, n_clusters=50, family=8, p_adjusted=0.01, power=0.9,
    )  # fmt: skip


@pytest.fixture(scope="module")
def settings():
    """Verdicts of one claim, their effects written down."""
    first = judge("S1-01", interp.load("small"))

    def make(*effects, outcomes=None, data="a.conllu"):
        outcomes = outcomes or ["supported"] * len(effects)
        return [
            replace(first, model=f"m{number}", outcome=outcome, evidence=(evidence(effect),), site=f"L{number}H0", data={"name": data})
            for number, (effect, outcome) in enumerate(zip(effects, outcomes, strict=True))
        ]

    return make


def test_equal_effects_are_homogeneous_and_unequal_ones_are_not(settings):
    alike, apart = across(settings(0.2, 0.2, 0.2)), across(settings(0.0, 0.2, 0.6))
    assert (alike.mean, alike.i2, alike.replicates) == (pytest.approx(0.2), 0.0, True)
    effects = np.array([0.0, 0.2, 0.6])
    q = ((effects - effects.mean()) ** 2).sum() / ERROR**2  # Cochran's, with equal errors
    spread = ((effects - effects.mean()) ** 2).sum() / (2 * 3)  # Hartung & Knapp, with equal weights
    assert apart.i2 == pytest.approx((q - 2) / q, abs=1e-3)
    assert apart.mean == pytest.approx(effects.mean(), abs=1e-4)
    assert apart.high - apart.low == pytest.approx(2 * t.ppf(0.975, 2) * np.sqrt(spread), rel=1e-3)
    assert alike.high - alike.low == pytest.approx(2 * 1.96 * ERROR / np.sqrt(3), rel=1e-3)  # never narrower than chance alone
    assert apart.p_heterogeneity < 1e-6


def test_a_role_comes_again_or_not_and_an_index_need_not(settings):
    assert across(settings(0.2, 0.3)).replicates is True
    assert {one.site for one in across(settings(0.2, 0.3)).settings} == {"L0H0", "L1H0"}
    assert across(settings(0.2, 0.0, outcomes=["supported", "refuted"])).replicates is False
    assert across(settings(0.2, 0.1, outcomes=["supported", "inconclusive"])).replicates is None
    assert "The role came again." in str(across(settings(0.2, 0.3)))
    left_out = across(settings(0.2, 0.3, 0.1, outcomes=["supported", "supported", "not applicable"]))
    assert [one.model for one in left_out.settings] == ["m0", "m1"]


def caption_of(found) -> str:
    return forest(found).caption


def test_the_forest_has_every_setting_and_their_mean(settings):
    drawn = interp.figure(across([*settings(0.2, 0.3), *settings(0.1, data="b.conllu")]))
    assert len(drawn.csv().splitlines()) >= 5
    assert "together" in drawn.csv()
    assert "m0 b L0H0 ✓" in drawn.csv()
    assert "m1 a L1H0 ✓" in drawn.csv()
    assert "m1 L1H0 ✓" in interp.figure(across(settings(0.2, 0.3))).csv()  # on one corpus its name stands below
    assert "All on a.conllu. ✓ supported." in caption_of(across(settings(0.2, 0.3)))
    assert "p of heterogeneity below 0.001" in caption_of(across(settings(0.0, 0.2, 0.9)))
    exact = across([judge("S1-01", interp.load("small"))])
    assert exact.replicates is None
    assert np.isnan(exact.mean)
    with pytest.raises(DataError, match="no effect with an interval on 1 settings"):
        interp.figure(exact)


def test_what_is_no_estimate_with_an_interval_is_told_and_not_put_together(settings):
    first, *others = settings(0.2, 0.3, 0.9)
    decided_at_0 = replace(others[1], evidence=(replace(others[1].evidence[0], smallest_effect=0.0),))
    found = across([first, others[0], decided_at_0])
    assert found.mean == pytest.approx(0.25)
    assert np.isnan(found.settings[2].effect)
    assert len(found.settings) == 3
    denied = [replace(one, claim={**one.claim, "denies": "exactly"}) for one in (first, others[0])]
    assert "Effects are those of what the claim denies." in str(across(denied))


def test_what_cannot_be_put_together_is_told(settings):
    with pytest.raises(ClaimError, match=r"m0, a\.conllu came twice"):
        across([*settings(0.2), *settings(0.3)])
    other = replace(settings(0.2)[0], claim_hash="another")
    with pytest.raises(ClaimError, match="verdicts of several claims came"):
        across([*settings(0.1), other])
    with pytest.raises(ClaimError, match="0 verdicts came"):
        across([])
