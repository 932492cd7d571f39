"""Does it hold elsewhere? On another model, another seed, another corpus, another language: a badge of its own.

Indices do not carry over: what must come out again is the role ("some head points ..."), so every verdict selects its own head. One
verdict of the opposite denies it; inconclusive ones neither confirm nor deny. The same model on the same data is no replication, and
neither is another claim, nor one that is not about the model.
"""

from collections.abc import Sequence
from dataclasses import replace

from interp.claims.verdict import Elsewhere, Verdict
from interp.core.errors import ClaimError

DECIDED = ("supported", "refuted")


def replicated(verdict: Verdict, others: Sequence[Verdict]) -> Verdict:
    """The verdict with what it came to elsewhere, and the badge: True where enough others agree, False where one came to the
    opposite, None where neither is so.

    Args:
        verdict: supported or refuted.
        others: verdicts of the same claim on other models or data.
    Raises: ClaimError for a verdict that leaves nothing to replicate, another claim, one that is not about the other model, or the same
        model on the same data twice.

    Example:
        >>> import interp
        >>> first, second = interp.judge("S1-01", interp.load()), interp.judge("S1-01", interp.untrained(interp.load(), seed=1))
        >>> interp.replicated(first, [second]).badges.replicated
        True
    """
    if verdict.outcome not in DECIDED:
        raise ClaimError(f"a verdict {verdict.outcome!r} came; expected one that is supported or refuted: the rest cannot be replicated")
    _refuse_others(verdict, others)
    outcomes = [other.outcome for other in others]
    denied = any(outcome in DECIDED and outcome != verdict.outcome for outcome in outcomes)
    enough = outcomes.count(verdict.outcome) >= max(1, verdict.claim["replications"])
    badge = False if denied else True if enough else None
    return replace(verdict, elsewhere=tuple(map(_elsewhere, others)), badges=replace(verdict.badges, replicated=badge))


def _refuse_others(verdict: Verdict, others: Sequence[Verdict]) -> None:
    seen = [setting_of(verdict)]
    for other in others:
        if other.claim_hash != verdict.claim_hash:
            raise ClaimError(f"a verdict on {other.claim['id']} ({other.claim_hash}) came; expected the same claim, {verdict.claim_hash}")
        if other.outcome == "not applicable":
            raise ClaimError(f"{other.model}: the claim is not about it ({other.summary}); expected a model that it is about")
        if setting_of(other) in seen:
            raise ClaimError(f"{other.model} on the same data came twice; expected another model, seed, corpus or language each time")
        seen.append(setting_of(other))


def setting_of(verdict: Verdict) -> tuple[str, str]:
    """Model and data: what two verdicts must not share if one is to replicate the other."""
    return verdict.fingerprint, verdict.data.get("sentences", verdict.data.get("texts", ""))


def _elsewhere(verdict: Verdict) -> Elsewhere:
    first = verdict.evidence[0] if verdict.evidence else None
    effect, low, high = (first.effect, first.low, first.high) if first else (float("nan"),) * 3
    return Elsewhere(
        model=verdict.model,
        fingerprint=verdict.fingerprint,
        data=verdict.data,
        outcome=verdict.outcome,
        site=verdict.site,
        effect=effect,
        low=low,
        high=high,
    )
