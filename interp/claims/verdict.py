"""A verdict: what came out, with every number that a reviewer would ask for. Frozen; JSON both ways."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Outcome = Literal["supported", "refuted", "inconclusive", "not applicable"]
Reason = Literal[
    "",
    "underpowered",
    "control_failed",
    "null_also_passes",
    "null_not_run",
    "methods_disagree",
    "in_between",
    "ill_posed",
    "needs_training",
    "needs_source",
    "needs_instrument",
    "out_of_scope",
    "not_published",
    "no_example",
]

# In simulation the 95 % cluster interval covers 90 % with 10 or 20 clusters, 93 % with 40 (see stats.intervals).
FEWEST_CLUSTERS = 40

REASONS: dict[Reason, str] = {
    "": "",
    "underpowered": "too few cases to tell",
    "control_failed": "a control did not come out as it must",
    "null_also_passes": "what should fail the test passes it too",
    "in_between": "an effect, but not one that matters for sure",
    "ill_posed": "the claim cannot be tested as it is written",
    "out_of_scope": "the claim is not about models like this one",
    "null_not_run": "a null control was left out",
    "methods_disagree": "the ways of intervening disagree",
    "needs_training": "models have to be trained for it",
    "needs_source": "a publication has to be read for it",
    "needs_instrument": "a measurement has to be built for it",
    "no_example": "no example against it was found, which says nothing of other models",
    "not_published": "the publication has no such number",
}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One measured effect on the confirmation half (or, for exact claims, on everything).

    Attributes:
        effect: estimate minus baseline, in `unit`; for exact claims the error.
        low, high: its interval at `level`; equal to the effect for exact claims.
        upper: one-sided upper bound of the effect at confidence `upper_level`; where one was selected from a family, of the best of the
            family, since a claim that there is such a member is not refuted by one of them. Below `smallest_effect` means "less than
            matters".
        upper_level: 1 - alpha / k where k pieces of evidence must all hold, since each one alone refutes.
        p_adjusted: adjusted over the `family` of everything looked at; None for exact claims and for a single pre-named site.
        p_ties: how much of `p_adjusted` are resamples that only equal what was found, as hits go in steps; None where not told.
        smallest_effect: the smallest effect of interest, fixed in the claim.
        power: chance to find an effect of that size with this many clusters; None for exact claims.
        n_for_power: clusters that would give power .8; None when there is enough.
        highest: the most that `estimate` can be (1 for an accuracy); None where nothing is known.
        decides: False where it decides the badge "causal" and not the outcome.
    """

    name: str
    unit: str
    estimate: float
    baseline: float
    baseline_name: str
    effect: float
    low: float
    high: float
    level: float
    upper: float
    smallest_effect: float
    n_items: int
    n_clusters: int
    family: int
    p_adjusted: float | None = None
    p_ties: float | None = None
    power: float | None = None
    n_for_power: int | None = None
    highest: float | None = None
    upper_level: float = 0.95
    decides: bool = True


@dataclass(frozen=True, kw_only=True)
class Control:
    """A control and what it gave.

    Attributes:
        kind: "null" must not pass the claim's rule; "positive" must.
        passed: True when it came out as it must.
    """

    name: str
    kind: Literal["null", "positive"]
    value: float
    unit: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """What the same claim came to on another model or on other data."""

    model: str
    fingerprint: str
    data: dict[str, str]
    outcome: Outcome
    site: str
    effect: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Badges:
    """What kind of evidence there is: seen, done to the model, held elsewhere. None: not tried."""

    observational: bool | None = None
    causal: bool | None = None
    replicated: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of one claim on one model.

    Attributes:
        claim: the claim as it was before the run, with all its parameters.
        claim_hash: hash of that; differs from the catalogue's when the claim was edited since.
        design: what was looked at together (the family) and the controls, as the protocol fixes them.
        site: the head that was selected, or named; "" when the claim is about none.
        summary: what was found, in one sentence, with its numbers.
        data: name and hash of what was read.
        rows: further numbers by site for a figure, e.g. each head's accuracy on the confirmation half.
        elsewhere: what it came to on others (see `replication`).
    """

    claim: dict[str, Any]
    claim_hash: str
    design: dict[str, str]
    outcome: Outcome
    reason: Reason
    summary: str
    site: str
    badges: Badges
    evidence: tuple[Evidence, ...]
    controls: tuple[Control, ...]
    model: str
    fingerprint: str
    data: dict[str, str]
    seed: int
    versions: dict[str, str]
    rows: dict[str, list[float]] = field(default_factory=dict)
    elsewhere: tuple[Elsewhere, ...] = ()
    elapsed_s: float = 0.0
    date: str = ""

    def to_json(self) -> str:
        """Indented JSON with sorted keys. Same seed, same CPU: same bytes, `elapsed_s` and `date` aside."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Verdict":
        """The verdict that `to_json` wrote."""
        fields = json.loads(text)
        fields["badges"] = Badges(**fields["badges"])
        fields["evidence"] = tuple(Evidence(**one) for one in fields["evidence"])
        fields["controls"] = tuple(Control(**one) for one in fields["controls"])
        fields["elsewhere"] = tuple(Elsewhere(**one) for one in fields["elsewhere"])
        return cls(**fields)

    def untimed(self) -> "Verdict":
        """The verdict without the two fields that differ from run to run."""
        return replace(self, elapsed_s=0.0, date="")

    @property
    def would_do(self) -> int | None:
        """Clusters to confirm on that would do where the verdict is "underpowered"; None where it is not, or nobody can say."""
        short = [one for one in self.evidence if one.decides and (one.n_for_power or one.n_clusters < FEWEST_CLUSTERS)]
        if self.reason != "underpowered" or not short:
            return None
        return max(FEWEST_CLUSTERS, *(one.n_for_power or 0 for one in short))

    def __str__(self) -> str:
        """One paragraph: verdict, effect, interval, n, controls, and what it does not show."""
        why = f" ({self.reason})" if self.reason else ""
        head = f"{self.claim['id']} {self.outcome.upper()}{why} on {self.model}: {self.claim['statement']}"
        numbers = " ".join(_told(one) for one in self.evidence)
        controls = "; ".join(
            f"{one.name} {one.value:.3g} {one.unit} ({'as it must' if one.passed else 'NOT as it must'})" for one in self.controls
        )
        read = ", ".join(f"{name} {value}" for name, value in self.data.items())
        elsewhere = "; ".join(
            f"{one.outcome} on {one.model} ({one.effect:+.3f} [{one.low:+.3f}, {one.high:+.3f}])" for one in self.elsewhere
        )
        few = min((one.n_clusters for one in self.evidence if one.decides), default=0)
        told = [
            f"Too few cases: about {self.would_do} clusters to confirm on would do; {few} came." if self.would_do else "",
            f"Controls: {controls}." if controls else "",
            f"Data: {read}." if read else "",
            f"Elsewhere: {elsewhere}." if elsewhere else "",
        ]
        parts = [head, self.summary, numbers, *told, badges_told(self.badges)]
        return " ".join(part for part in [*parts, f"It does not show: {self.claim['does_not_show']}"] if part)


def _told(one: Evidence) -> str:
    if one.power is None:
        return f"{one.name}: {one.estimate:.2e} {one.unit} (at most {one.smallest_effect:.0e}), n = {one.n_items}."
    p = "" if one.p_adjusted is None else f", adjusted p = {one.p_adjusted:.2g} in a family of {one.family}"
    more = "" if one.n_for_power is None else f" ({one.n_for_power} clusters would give .8)"
    return (
        f"{one.name}: {one.estimate:.3f} against {one.baseline:.3f} ({one.baseline_name}); effect {one.effect:+.3f} {one.unit} "
        f"[{one.low:+.3f}, {one.high:+.3f}] at {one.level:.0%}, at most {one.upper:+.3f} (one-sided, {one.upper_level:.3g}){p}; "
        f"smallest effect of interest {one.smallest_effect:.3g}; n = {one.n_items} items in {one.n_clusters} clusters, "
        f"power {one.power:.2f}{more}."
    )


def badges_told(badges: Badges) -> str:
    """What kind of evidence there is, in a sentence.

    Example:
        >>> badges_told(Badges(observational=True))
        'Seen: yes; caused by intervention: not tried; replicated elsewhere: not yet replicated.'
    """
    words = {None: "not tried", True: "yes", False: "no"}
    return (
        f"Seen: {words[badges.observational]}; caused by intervention: {words[badges.causal]}; "
        f"replicated elsewhere: {'not yet replicated' if badges.replicated is None else words[badges.replicated]}."
    )
