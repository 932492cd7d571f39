"""The rule: every branch, and that worse numbers never make a better verdict."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.claims.rule import decide, decide_exact, passes
from interp.claims.verdict import FEWEST_CLUSTERS, Control, Evidence

ALPHA = 0.05
GOOD = Evidence(
    name="a head", unit="accuracy", estimate=0.5, baseline=0.2, baseline_name="offset", effect=0.3, low=0.2, high=0.4, level=0.95,
    upper=0.38, smallest_effect=0.1, n_items=500, n_clusters=100, family=8, p_adjusted=0.001, power=0.95,
)  # fmt: skip
NOTHING = replace(GOOD, effect=0.01, low=-0.02, high=0.04, upper=0.03, p_adjusted=0.6)
MIDDLING = replace(GOOD, effect=0.09, low=0.04, high=0.14, upper=0.13, p_adjusted=0.001)


def control(kind="null", passed=True):
    return Control(name="c", kind=kind, value=0.0, unit="accuracy", passed=passed)


CLEAN = [control(), control("positive")]


def test_supported_needs_all_of_it():
    assert decide([GOOD], CLEAN, ALPHA) == ("supported", "")
    for worse in ({"effect": 0.09}, {"low": 0.0}, {"p_adjusted": 0.05}):
        assert not passes(replace(GOOD, **worse), ALPHA)
        assert decide([replace(GOOD, **worse)], CLEAN, ALPHA)[0] != "supported"
    assert decide([GOOD, MIDDLING], CLEAN, ALPHA) == ("inconclusive", "in_between")


def test_an_effect_at_the_smallest_one_is_enough_and_nan_never_is():
    assert passes(replace(GOOD, effect=0.1), ALPHA)
    for field in ("effect", "low", "p_adjusted"):
        assert decide([replace(GOOD, **{field: float("nan")})], CLEAN, ALPHA)[0] == "inconclusive"
    assert decide([replace(NOTHING, upper=float("nan"))], CLEAN, ALPHA)[0] == "inconclusive"


def test_refuted_only_by_the_upper_bound():
    assert decide([NOTHING], CLEAN, ALPHA) == ("refuted", "")
    assert decide([replace(NOTHING, upper=0.1)], CLEAN, ALPHA) == ("inconclusive", "in_between")
    assert decide([GOOD, NOTHING], CLEAN, ALPHA) == ("refuted", "")
    insignificant = replace(MIDDLING, p_adjusted=0.99, low=-0.2)
    assert decide([insignificant], CLEAN, ALPHA) == ("inconclusive", "in_between")
    assert decide([replace(GOOD, p_adjusted=1.0)], CLEAN, ALPHA)[0] == "inconclusive"


def test_a_null_that_passes_too_and_a_positive_control_that_fails():
    assert decide([GOOD], [control(passed=False), control("positive")], ALPHA) == ("inconclusive", "null_also_passes")
    broken = [control(), control("positive", passed=False)]
    assert decide([GOOD], broken, ALPHA) == ("inconclusive", "control_failed")
    assert decide([NOTHING], broken, ALPHA) == ("inconclusive", "control_failed")
    assert decide([NOTHING], [control(passed=False)], ALPHA) == ("refuted", "")


def test_too_few_clusters_or_too_little_power():
    few = {"n_clusters": FEWEST_CLUSTERS - 1}
    assert decide([replace(GOOD, **few)], CLEAN, ALPHA) == ("inconclusive", "underpowered")
    assert decide([replace(NOTHING, **few)], CLEAN, ALPHA) == ("inconclusive", "underpowered")
    assert decide([GOOD, replace(GOOD, **few)], CLEAN, ALPHA) == ("inconclusive", "underpowered")
    assert decide([replace(MIDDLING, power=0.79)], CLEAN, ALPHA) == ("inconclusive", "underpowered")
    assert decide([replace(GOOD, n_clusters=FEWEST_CLUSTERS)], CLEAN, ALPHA) == ("supported", "")


def test_a_baseline_without_room_above_it_is_ill_posed_not_refuted():
    full = replace(NOTHING, estimate=0.96, baseline=0.95, highest=1.0)
    assert decide([full], CLEAN, ALPHA) == ("inconclusive", "ill_posed")
    assert decide([replace(full, highest=None)], CLEAN, ALPHA) == ("refuted", "")
    assert decide([replace(full, baseline=0.5)], CLEAN, ALPHA) == ("refuted", "")


def test_exact_claims():
    def exact(error):
        return replace(GOOD, estimate=error, effect=error, smallest_effect=1e-5, power=None, p_adjusted=None)

    shown = [control("positive")]
    assert decide_exact([exact(0.0), exact(1e-5)], shown) == ("supported", "")
    assert decide_exact([exact(0.0), exact(2e-5)], shown) == ("refuted", "")
    for error in (0.0, 1.0):
        assert decide_exact([exact(error)], [control("positive", passed=False)]) == ("inconclusive", "control_failed")


SHARES = st.floats(-1, 1)
EVIDENCE = st.builds(
    lambda effect, low, upper, p, n, power: replace(
        GOOD, effect=effect, low=low, upper=upper, p_adjusted=p, n_clusters=n, power=power
    ),
    SHARES, SHARES, SHARES, st.floats(0, 1), st.integers(2, 80), st.floats(0, 1),
)  # fmt: skip
CONTROLS = st.lists(st.builds(control, st.sampled_from(["null", "positive"]), st.booleans()), max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVIDENCE, min_size=1, max_size=3), CONTROLS, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_worse_numbers_never_support(evidence, controls, more_p, less_effect, less_low):
    """Raising p, lowering the effect or its lower end, or failing one more control, never turns another outcome into supported."""
    before = decide(evidence, controls, ALPHA)[0]
    for index, one in enumerate(evidence):
        worse = replace(one, p_adjusted=min(1.0, one.p_adjusted + more_p), effect=one.effect - less_effect, low=one.low - less_low)
        changed = [*evidence[:index], worse, *evidence[index + 1 :]]
        assert decide(changed, controls, ALPHA)[0] != "supported" or before == "supported"
        raised = [*evidence[:index], replace(one, upper=one.upper + less_low), *evidence[index + 1 :]]
        assert decide(raised, controls, ALPHA)[0] != "refuted" or before == "refuted"
        assert decide([*evidence[:index], replace(one, p_adjusted=1.0), *evidence[index + 1 :]], controls, ALPHA)[0] != "supported"
    for number in range(len(controls)):
        failed = [*controls[:number], replace(controls[number], passed=False), *controls[number + 1 :]]
        assert decide(evidence, failed, ALPHA)[0] != "supported"


@pytest.mark.parametrize("p", [0.051, 0.5, 1.0])
def test_not_significant_is_never_refuted_by_itself(p):
    assert decide([replace(MIDDLING, p_adjusted=p)], CLEAN, ALPHA)[0] == "inconclusive"
