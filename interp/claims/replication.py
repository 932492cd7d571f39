"""Does it hold elsewhere? On another model, another seed, another corpus, another language: a badge of its own.

Indices do not carry over: what must come out again is the role ("some head points ..."), so every verdict selects its own head. All must
agree; a verdict that stands alone is "not yet replicated". The same model on the same data is no replication, and neither is another claim.
"""

from collections.abc import Sequence
from dataclasses import replace

from interp.claims.verdict import Elsewhere, Verdict
from interp.core.errors import ClaimError


def replicated(verdict: Verdict, others: Sequence[Verdict]) -> Verdict:
    """The verdict with what it came to elsewhere, and the badge: True, False, or None while there are too few others.

    Args:
        verdict: supported or refuted.
        others: verdicts of the same claim on other models or data.
    Raises: ClaimError for a verdict that leaves nothing to replicate, another claim, or the same model on the same data twice.

    Example:
        >>> import interp
        >>> first, second = interp.judge("S1-01", interp.load()), interp.judge("S1-01", interp.untrained(interp.load(), seed=1))
        >>> interp.replicated(first, [second]).badges.replicated
        True
    """
    if verdict.outcome not in ("supported", "refuted"):
        raise ClaimError(f"a verdict {verdict.outcome!r} came; expected one that is supported or refuted: the rest cannot be replicated")
    _refuse_others(verdict, others)
    agree = all(other.outcome == verdict.outcome for other in others)
    enough = len(others) >= verdict.claim["replications"]
    badge = False if not agree else True if enough else None
    return replace(verdict, elsewhere=tuple(map(_elsewhere, others)), badges=replace(verdict.badges, replicated=badge))


def _refuse_others(verdict: Verdict, others: Sequence[Verdict]) -> None:
    seen = [_setting(verdict)]
    for other in others:
        if other.claim_hash != verdict.claim_hash:
            raise ClaimError(f"a verdict on {other.claim['id']} ({other.claim_hash}) came; expected the same claim, {verdict.claim_hash}")
        if _setting(other) in seen:
            raise ClaimError(f"{other.model} on the same data came twice; expected another model, seed, corpus or language each time")
        seen.append(_setting(other))


def _setting(verdict: Verdict) -> tuple[str, str]:
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
