"""Which parts of a model matter to what it predicts: single heads or FFNs, sets of them, and what repairs their loss?

Design. Texts are split by document; whatever is chosen is chosen on one half and tested on the other. A part is switched off by its mean
and by what it is on another text (`without_parts`); its *change* is what that costs, in nats per token of a text. A claim says one of:
  some           a part (named, or the one with the largest mean change on the selection half) changes at least `nats`
  most do not    at least `share` of the parts change less than `nats`. As many as that, those with the smallest change on the selection
                 half, must all lie below it: the *room* of the one that is furthest from showing it is above 0. An intersection of
                 tests needs no correction. It is refuted where so many others, the largest on the selection half, all lie above
  set            a set (named, or the `set_size` largest of the selection half) changes at least `nats` more than its members' changes
                 added up: they stand in for each other. Baseline: the mean of random sets of the same size
  repair         a part's direct effect, with all that stands behind it held, is at least `nats`, and so is what of it is not seen
                 in its change: later parts make up for it
Each way, mean and resample, is decided alone, and both must come to the same, for or against ("methods_disagree"). Unit: the document; each
text counts once. p-values of "some" are adjusted by max-T over every part, and refuting takes the bound of all. Sets, and what repairs, are
measured for one choice only: a claim that names none is never refuted by it. A head that is always the same is known to change nothing.

Controls. Positive: with every sublayer made to write what it writes anyway, nothing may change, exactly; switching off all parts of a layer
must raise the cost by `nats` in some layer for "most do not" (a measure that sees no layer would see no head). For the others more than
rounding must change: it shows that what is switched off reaches the loss, no more; where no layer matters, no head does. Null: untrained
twins, their best part taken on the very texts that confirm, must not pass by their mean; for "set", 95 % of the random sets must come
to less. "Most do not" has no such null: in an untrained model no part matters.
Source: Michel et al. (2019), "Are Sixteen Heads Really Better than One?"; Voita et al. (2019); McGrath et al. (2023), "The Hydra Effect".
Theirs are scores of a task or logits; ours are nats per token. The final norm is not held in a direct effect.
What it does not tell: what a part does, nor that a part without an effect is useless: others may stand in for it ("set", "repair").
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.part_evidence import PartEvidence, by_part, fewer, joint, most_do_not, positives
from interp.claims.protocols.parts.without_parts import HOWS, Bench, How, Parts, Readings, parts_of, readings
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence, Outcome, Reason
from interp.core.errors import ClaimError
from interp.models.anatomy import Anatomy
from interp.texts.example import Example

Claimed = Literal["some", "most do not", "set", "repair"]


class Importance(Parameters):
    """Parameters of "importance"."""

    protocol: Literal["importance"]
    claimed: Claimed
    parts: Literal["heads", "ffns"] = "heads"
    named: tuple[str, ...] = Field(default=(), description='parts that the claim is about, "L2H3" or "L2 FFN"; none: they are selected')
    nats: float = Field(gt=0, description="smallest effect that matters, nats per token")
    nats_source: str
    share: float = Field(default=0.5, gt=0, le=1, description='of the parts, for "most do not"')
    set_size: int = Field(default=2, ge=2, description='parts in the set, for "set"')
    n_tokens: int = Field(default=64, ge=8, description="texts are cut to so many")
    n_texts: int = Field(default=300, ge=100, description="texts drawn, where there are more")
    n_draws: int = Field(default=20, ge=20, description="random sets")
    n_untrained: int = Field(default=5, ge=5)

    @model_validator(mode="after")
    def _as_many_as_are_meant(self) -> "Importance":
        allowed = {"some": (0, 1), "repair": (0, 1), "most do not": (0,)}
        if self.named and self.claimed == "set" and (len(self.named) < 2 or len(set(self.named)) < len(self.named)):
            raise ValueError(f"named {self.named} came; expected two parts or more for a set, each once")
        if self.claimed != "set" and len(self.named) not in allowed[self.claimed]:
            raise ValueError(f"named {self.named} came; expected {' or '.join(map(str, allowed[self.claimed]))} parts for {self.claimed!r}")
        return self


def _why_not(anatomy: Anatomy) -> str:
    if anatomy.encoder_decoder:
        return "is an encoder-decoder, which reads one text and writes another; the test runs single texts"
    if not (anatomy.causal and anatomy.lm_head):
        return "does not predict the next token, so that what a part is worth cannot be told in nats"
    return ""


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """One model on the texts of a claim."""

    case: Case[Importance]
    bench: Bench
    parts: Parts
    name: str = "model"

    @property
    def texts(self) -> Readings:
        return self.bench.texts

    @cached_property
    def chosen(self) -> dict[str, float]:
        """Each part's mean change on the selection half (for "repair" its direct effect), by its mean."""

        def arrays() -> dict[str, np.ndarray]:
            self.case.tell(f"choosing among {len(self.parts)} parts")
            return {"means": np.array([self._effect(part, "mean", self.texts.choose).mean() for part in self.parts])}

        return dict(zip(self.parts, self.case.stages.get("chosen", arrays)["means"].tolist(), strict=True))

    def _effect(self, part: str, how: How, half: np.ndarray) -> np.ndarray:
        repair = self.case.test.claimed == "repair"
        return self.bench.direct(part, how, half) if repair else self.bench.change([part], how, half)

    def largest(self, n: int) -> Parts:
        """The parts with the largest effect on the selection half, the largest first."""
        return tuple(sorted(self.parts, key=lambda part: -self.chosen[part])[:n])

    def changes(self, how: How, parts: Parts) -> np.ndarray:
        """Changes on the confirmation half. Axes: (part, text)."""

        def arrays() -> dict[str, np.ndarray]:
            self.case.tell(f"{self.name}: {len(parts)} parts switched off ({how})")
            return {"changes": np.stack([self.bench.change([part], how, self.texts.confirm) for part in parts])}

        return self.case.stages.get(f"{self.name} {how}", arrays)["changes"]

    @property
    def evidence(self) -> PartEvidence:
        """Pieces are those of one way of switching off: both ways must refute, so that two refute a true claim no more often than one."""
        test = self.case.test
        return PartEvidence(
            documents=self.texts.documents[self.texts.confirm], nats=test.nats, alpha=self.case.alpha, seed=self.case.seed,
            d_vocab=self.bench.model.anatomy.d_vocab, pieces=2 if test.claimed == "repair" else 1,
        )  # fmt: skip

    def known(self, parts: Parts) -> np.ndarray:
        """Which parts are known to change nothing. Axes: (part,)."""
        return np.array([self.bench.always_same(part) for part in parts])


def _trial(case: Case[Importance]) -> _Trial:
    texts = readings(case.id, _drawn(case), case.test.n_tokens, case.seed)
    parts = parts_of(case.model.anatomy, case.test.parts)
    if not parts:
        raise ClaimError(f"{case.id}: {case.model.name} has no {case.test.parts} to switch off")
    unknown = [part for part in case.test.named if part not in parts]
    if unknown:
        raise ClaimError(f"{case.id}: {', '.join(unknown)} came; {case.model.name} has {parts[0]} to {parts[-1]}")
    if case.test.claimed == "set" and len(case.test.named or range(case.test.set_size)) * 2 > len(parts):
        raise ClaimError(f"{case.id}: a set of more than half of the {len(parts)} parts came; expected room for others of the same size")
    return _Trial(case=case, bench=Bench(case.model, texts, case.seed), parts=parts)


def _drawn(case: Case[Importance]) -> list[Example]:
    """Some of the texts, in their order."""
    places = np.random.default_rng(case.seed).permutation(len(case.examples))[: case.test.n_texts]
    return [case.examples[place] for place in sorted(places.tolist())]


def _plan(case: Case[Importance]) -> Plan:
    trial = _trial(case)
    test, texts, n = case.test, trial.texts, len(trial.parts)
    length = np.array([len(example) for example in texts.examples])
    on, choosing = int(length[texts.confirm].sum()), int(length[texts.choose].sum())
    passes_of = {"some": 1 if test.named else n, "most do not": n, "set": 1 + test.n_draws + n, "repair": 3}[test.claimed]
    selecting = 0 if test.named else n * (2 if test.claimed == "repair" else 1)
    on_twin = {"some": 1 if test.named else n, "most do not": 0, "set": 1 + len(test.named or range(test.set_size)), "repair": 3}[
        test.claimed
    ]
    steps = (
        Step(what="every part switched off, to choose", tokens=selecting * choosing),
        Step(what="parts switched off by mean and resample, to confirm", tokens=len(HOWS) * passes_of * on),
        Step(what=f"{test.n_untrained} untrained twins", tokens=test.n_untrained * on_twin * on),
        Step(what="whole layers switched off, and nothing", tokens=(case.model.anatomy.n_layers + 4) * on),
    )
    clusters, family = texts.documents[texts.confirm], n if test.claimed == "some" and not test.named else 1
    return sampled_plan(
        steps=steps, clusters=clusters, family=family, smallest_effect=test.nats, unit="nats per token", alpha=case.alpha, shares=False
    )


def run(case: Case[Importance]) -> Finding:
    """Judge what a claim says of the importance of parts."""
    if not parts_of(case.model.anatomy, case.test.parts):
        summary = f"{case.model.name} has no {case.test.parts} to switch off."
        return Finding(outcome="not applicable", reason="out_of_scope", summary=summary, badges=Badges(), evidence=(), controls=())
    trial = _trial(case)
    judged = {"some": _some, "most do not": _most_do_not, "set": _set, "repair": _repair}[case.test.claimed]
    evidence, nulls, site, summary, rows = judged(trial)
    case.tell("whole layers")
    controls = (*positives(trial.bench, trial.parts, case.test.nats if case.test.claimed == "most do not" else None), *nulls)
    outcome, reason = _decide(evidence, controls, case.alpha)
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=summary,
        site=site,
        badges=Badges(causal=outcome == "supported"),
        evidence=evidence,
        controls=controls,
        rows=rows,
    )


def _decide(evidence: tuple[Evidence, ...], controls: tuple[Control, ...], alpha: float) -> tuple[Outcome, Reason]:
    """As every sampled claim, but that one way of switching off alone decides nothing, neither for nor against."""
    found = [decide([one for one in evidence if f"({how})" in one.name], controls, alpha) for how in HOWS]
    if len({outcome for outcome, _ in found}) > 1:
        return "inconclusive", "methods_disagree"
    return decide(evidence, controls, alpha)


Judged = tuple[tuple[Evidence, ...], tuple[Control, ...], str, str, dict[str, list[float]]]


def _some(trial: _Trial) -> Judged:
    named = trial.case.test.named
    parts, part = (named, named[0]) if named else (trial.parts, trial.largest(1)[0])
    changes = {how: trial.changes(how, parts) for how in HOWS}
    member, known = parts.index(part), trial.known(parts)
    evidence = tuple(trial.evidence.of(f"without {part} ({how})", changes[how], member=member, known=known) for how in HOWS)
    summary = f"Without {part} a token costs {evidence[0].estimate:+.3f} nats (mean), {evidence[1].estimate:+.3f} (resample)."
    return evidence, _twins(trial, parts), part, summary, by_part(trial.evidence, parts, changes, known)


def _most_do_not(trial: _Trial) -> Judged:
    test, parts, known = trial.case.test, trial.parts, trial.known(trial.parts)
    changes = {how: trial.changes(how, parts) for how in HOWS}
    order, n = [parts.index(part) for part in trial.largest(len(parts))][::-1], ceil(test.share * len(parts))
    evidence = tuple(most_do_not(trial.evidence, changes[how], order, n, how, known) for how in HOWS)
    rows = by_part(trial.evidence, parts, changes, known)
    below = [sum(bound < test.nats for bound in bounds) for bounds in zip(*(row[2:] for row in rows.values()), strict=True)]
    summary = (
        f"Of {len(parts)} {test.parts}, {below[0]} (mean) and {below[1]} (resample) change less than {test.nats} nats per token, "
        f"each by its own 95% bound; largest {changes['mean'].mean(1).max():+.3f}, "
        f"median {np.median(changes['mean'].mean(1)):+.4f}."
    )
    return evidence, (), "", summary, rows


def _set(trial: _Trial) -> Judged:
    test = trial.case.test
    members = test.named or trial.largest(test.set_size)
    found = {how: joint(trial.bench, members, trial.parts, trial.changes(how, trial.parts), how, test.n_draws) for how in HOWS}
    named = ", ".join(members)
    evidence = tuple(
        trial.evidence.of(f"{named} beyond their sum ({how})", one.beyond[None], one.others.mean(0)[None], "random sets")
        for how, one in found.items()
    )
    evidence = evidence if test.named else tuple(map(trial.evidence.any_other, evidence))
    nulls = tuple(fewer(how, one) for how, one in found.items())
    told = [f"{one.together.mean():+.3f} together, {one.singly.mean():+.3f} added up ({how})" for how, one in found.items()]
    rows = {"set": [float(one.together.mean()) for one in found.values()], "sum": [float(one.singly.mean()) for one in found.values()]}
    return evidence, (*_twins(trial, members), *nulls), "", f"Without {named} a token costs {'; '.join(told)}.", rows


def _repair(trial: _Trial) -> Judged:
    named = trial.case.test.named
    part = (named or trial.largest(1))[0]
    confirm, known, found = trial.texts.confirm, trial.known((part,)), []
    for how in HOWS:
        direct, change = trial.bench.direct(part, how, confirm), trial.bench.change([part], how, confirm)
        found += [trial.evidence.of(f"direct effect of {part} ({how})", direct[None], known=known)]
        found += [trial.evidence.of(f"made up for behind {part} ({how})", (direct - change)[None], known=known)]
    found = found if named else list(map(trial.evidence.any_other, found))
    told = (
        f"of which {found[1].estimate:+.3f} are made up for behind it (mean; resample {found[2].estimate:+.3f}, {found[3].estimate:+.3f})"
    )
    summary = f"{part} writes what is worth {found[0].estimate:+.3f} nats per token, {told}."
    return tuple(found), _twins(trial, (part,)), part, summary, {}


def _twins(trial: _Trial, parts: Parts) -> tuple[Control, ...]:
    """Untrained twins by their mean alone: what they would need to pass is less than what the model does."""
    found = []
    for number in range(trial.case.test.n_untrained):
        model = trial.case.twin(number)
        twin = _Trial(case=trial.case, bench=Bench(model, trial.texts, trial.case.seed), parts=parts, name=f"untrained twin {number}")
        values = _on_twin(twin)
        member = int(values.mean(1).argmax())
        one = twin.evidence.of("twin", values, member=member)
        name, passed = f"untrained twin {number}", not passes(one, trial.case.alpha)
        found.append(Control(name=name, kind="null", value=one.estimate, unit="nats per token", passed=passed))
    return tuple(found)


def _on_twin(twin: _Trial) -> np.ndarray:
    """What the claim is about, of a twin. Axes: (member, text)."""
    confirm, claimed = twin.texts.confirm, twin.case.test.claimed
    if claimed == "repair":
        part = twin.parts[0]
        return (twin.bench.direct(part, "mean", confirm) - twin.bench.change([part], "mean", confirm))[None]
    changes = twin.changes("mean", twin.parts)
    return (twin.bench.change(twin.parts, "mean", confirm) - changes.sum(0))[None] if claimed == "set" else changes


PROTOCOL = Protocol(
    parameters=Importance,
    needs="texts",
    requires=("ablation",),
    family="every head, or every FFN, of which the claim is",
    controls=("untrained twins", "random sets of the same size", "nothing switched off", "all parts of a layer switched off"),
    why_not=_why_not,
    plan=_plan,
    run=run,
)
