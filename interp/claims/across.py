"""One claim on many models and corpora: does the role come again, and do the effects differ by more than chance?

An index never carries over (L2H3 of one model is not L2H3 of another), a role may: each verdict selected its own head. Effects are put
together by the inverse of their variance, with a random effect for what differs between settings (see `stats.meta_analysis`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp.claims.replication import DECIDED
from interp.claims.verdict import Evidence, Outcome, Verdict
from interp.core.errors import ClaimError
from interp.stats.meta_analysis import Together, random_effects


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One verdict of the claim. Effects are those of its first piece of evidence; NaN where there is none, or it is no estimate with an
    interval that could be put together with others: exact, decided at 0, or without a p."""

    model: str
    data: str
    outcome: Outcome
    site: str
    effect: float
    low: float
    high: float
    smallest_effect: float

    @property
    def name(self) -> str:
        """Model and data, as a figure says it."""
        return f"{self.model}, {self.data}" if self.data else self.model


@dataclass(frozen=True, kw_only=True)
class Across:
    """A claim over settings.

    Attributes:
        settings: in the order in which they came.
        mean, low, high: of the random-effects model with its 95 % interval; NaN with fewer than two effects.
        i2: share of the spread between settings that chance does not explain, 0 to 1; NaN with fewer than two.
        p_heterogeneity: of Cochran's Q; NaN with fewer than two.
        replicates: True where two settings and more decided and all alike, False where some decided otherwise, None else.
    """

    claim: str
    statement: str
    unit: str
    settings: tuple[Setting, ...]
    mean: float
    low: float
    high: float
    i2: float
    p_heterogeneity: float
    replicates: bool | None
    denies: bool = False

    @property
    def spread(self) -> str:
        """How much of the spread between settings chance does not explain, in words; "" with fewer than two."""
        p = "below 0.001" if self.p_heterogeneity < 1e-3 else f"{self.p_heterogeneity:.2g}"
        return f"I² {self.i2:.0%}, p of heterogeneity {p}" if np.isfinite(self.i2) else ""

    def __str__(self) -> str:
        """A line for each setting, and what they come to together."""
        told = [f"{self.claim}: {self.statement}"]
        told += ["  Effects are those of what the claim denies."] if self.denies else []
        told += [f"  {one.name:32} {one.outcome.upper():14} {one.site:8} {_effect(one.effect, one.low, one.high)}" for one in self.settings]
        if np.isfinite(self.mean):
            told.append(
                f"  {'together (random effects)':32} {'':14} {'':8} {_effect(self.mean, self.low, self.high)} {self.unit}; {self.spread}"
            )
        role = {
            True: "The role came again.",
            False: "It did not come again everywhere.",
            None: "Too few decided to say whether it comes again.",
        }
        return "\n".join([*told, f"  {role[self.replicates]} ({_counted(self.settings)})"])


def across(verdicts: Sequence[Verdict]) -> Across:
    """What one claim comes to over models and corpora. Those that it is not about are left out.

    Raises: ClaimError for no verdict, verdicts of several claims, or one setting twice.

    Example:
        >>> import interp
        >>> found = across([interp.judge("S1-01", interp.load(name)) for name in ("small", "small-2")])
        >>> found.replicates, [one.model for one in found.settings]
        (True, ['small', 'small-2'])
    """
    about = [verdict for verdict in verdicts if verdict.outcome != "not applicable"]
    if not about:
        raise ClaimError(f"{len(verdicts)} verdicts came, and none is about its model; expected one at least that is")
    if len({verdict.claim_hash for verdict in about}) > 1:
        came = ", ".join(sorted({f"{verdict.claim['id']} ({verdict.claim_hash})" for verdict in about}))
        raise ClaimError(f"verdicts of several claims came: {came}; expected one claim")
    settings = tuple(map(_setting, about))
    if twice := [name for name, n in Counter(one.name for one in settings).items() if n > 1]:
        raise ClaimError(f"{twice[0]} came twice; expected each setting once")
    first = about[0].evidence[0] if about[0].evidence else None
    together = _together([one for one in settings if np.isfinite(one.effect)])
    return Across(
        claim=about[0].claim["id"],
        statement=about[0].claim["statement"],
        unit=first.unit if first else "",
        settings=settings,
        mean=together.mean,
        low=together.low,
        high=together.high,
        i2=together.i2,
        p_heterogeneity=together.p,
        replicates=_replicates([one.outcome for one in settings]),
        denies=bool(about[0].claim["denies"]),
    )


def _setting(verdict: Verdict) -> Setting:
    first = verdict.evidence[0] if verdict.evidence else None
    sampled = first if first and first.level < 1 and first.p_adjusted is not None and first.smallest_effect > 0 else None
    return Setting(model=verdict.model, data=verdict.data.get("name", ""), outcome=verdict.outcome, site=verdict.site, **_numbers(sampled))


def _numbers(one: Evidence | None) -> dict[str, float]:
    names = ("effect", "low", "high", "smallest_effect")
    return {name: float(getattr(one, name)) if one else float("nan") for name in names}


def _together(settings: Sequence[Setting]) -> Together:
    if len(settings) < 2:
        return Together(**dict.fromkeys(("mean", "low", "high", "i2", "p"), float("nan")))
    effects, low, high = (np.array([getattr(one, name) for one in settings]) for name in ("effect", "low", "high"))
    return random_effects(effects, low, high)


def _replicates(outcomes: Sequence[Outcome]) -> bool | None:
    decided = [outcome for outcome in outcomes if outcome in DECIDED]
    if len(set(decided)) > 1:
        return False
    return True if len(decided) > 1 else None


def _effect(effect: float, low: float, high: float) -> str:
    return f"{effect:+.3f} [{low:+.3f}, {high:+.3f}]" if np.isfinite(effect) else ""


def _counted(settings: Sequence[Setting]) -> str:
    return ", ".join(f"{n} {outcome}" for outcome, n in Counter(one.outcome for one in settings).most_common())
