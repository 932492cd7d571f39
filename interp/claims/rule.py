"""The one rule by which numbers become a verdict. It knows no claim and no model.

Sampled claims
    supported      the effect is at least the smallest that matters, its 95 % interval is above 0, the adjusted p is below alpha, every null
                   control fails the same rule, every positive control passes
    refuted        the upper bound of some piece, one-sided at alpha / pieces, is below the smallest effect that matters (there is nothing,
                   or less than matters), and every positive control passes. Never because something was "not significant".
    inconclusive   otherwise, with the reason. Also where the baseline leaves no room for the smallest effect (ill_posed): that answer
                   would be known before the model is looked at.
Exact claims
    supported when every error is within its tolerance and the control that must fail did; refuted when one is not.

Source: STATISTICS of the house: Lakens (2017) on equivalence tests; Westfall & Young (1993) on max-T.
"""

from collections.abc import Sequence

from interp.claims.verdict import FEWEST_CLUSTERS, Control, Evidence, Outcome, Reason

ENOUGH_POWER = 0.8


def passes(evidence: Evidence, alpha: float) -> bool:
    """Would this evidence, taken alone, support a claim? Null controls are held to the same question."""
    significant = evidence.p_adjusted is None or evidence.p_adjusted < alpha
    return evidence.effect >= evidence.smallest_effect and evidence.low > 0 and significant


def decide(evidence: Sequence[Evidence], controls: Sequence[Control], alpha: float) -> tuple[Outcome, Reason]:
    """The outcome of a sampled claim whose evidence must all pass.

    Args:
        evidence: what was measured on data that selected nothing.
        controls: nulls (passed: they failed the rule) and positives (passed: they passed it).
        alpha: level of the adjusted p.

    Example:
        >>> decide([], [Control(name="planted", kind="positive", value=0.1, unit="probability", passed=False)], 0.05)
        ('inconclusive', 'control_failed')
    """
    if any(control.kind == "positive" and not control.passed for control in controls):
        return "inconclusive", "control_failed"
    if min(one.n_clusters for one in evidence) < FEWEST_CLUSTERS:
        return "inconclusive", "underpowered"
    if any(one.highest is not None and one.baseline + one.smallest_effect > one.highest for one in evidence):
        return "inconclusive", "ill_posed"
    if all(passes(one, alpha) for one in evidence):
        clean = all(control.passed for control in controls if control.kind == "null")
        return ("supported", "") if clean else ("inconclusive", "null_also_passes")
    if any(one.upper < one.smallest_effect for one in evidence):
        return "refuted", ""
    short = any(one.power is not None and one.power < ENOUGH_POWER for one in evidence)
    return "inconclusive", "underpowered" if short else "in_between"


def decide_exact(evidence: Sequence[Evidence], controls: Sequence[Control]) -> tuple[Outcome, Reason]:
    """The outcome of an exact claim: errors within tolerance, and the control that must show an effect shows it."""
    if not all(control.passed for control in controls):
        return "inconclusive", "control_failed"
    return ("supported", "") if all(one.estimate <= one.smallest_effect for one in evidence) else ("refuted", "")
