"""Is there an induction head: does a head look behind an earlier copy, does the model copy, and does copying rest on such heads?

Design. Rows of random tokens that come twice; nothing but the earlier copy tells what comes next in the second half. On half of the rows
the head and shift with the largest mean weight on "earlier copy + shift" are chosen, and the *induction heads*: all heads with at least
`least` at one shift. On the other half, row by row:
  pattern     the chosen head's weight at its shift, against the strongest of uniform attention and of the best head of an untrained twin.
              By shift, since a circuit may rest several tokens behind the copy: the classical prefix-matching score is shift 1
  behaviour   what the second half costs less than the first, in nats per token
  ablation    how much of that is lost when the induction heads are switched off together, by their mean and by what they are on another
              row, over what is lost when as many other heads of the same layers are (the mean of `n_draws` draws). Together, since one
              head's like takes over its work
All four must reach their smallest effect. Where mean and resample do not agree there is no verdict ("methods_disagree"). Unit: the row.

Controls. Null: untrained twins must not pass pattern and behaviour; the loss without the induction heads must be larger than without 95 %
of the draws of others. Positive: a planted pattern that looks exactly behind the copy.
Source: Olsson et al. (2022), "In-context Learning and Induction Heads"; the profile over shifts is ours.
What it does not tell: that these heads copy by themselves (they rest on previous-token heads), nor what they do in text.
"""

from dataclasses import dataclass, replace
from math import log
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, best_upper, sampled_evidence
from interp.claims.protocols.parts.repeats import Repeats, copying_by_row, draw_repeats, weights_by_row
from interp.claims.protocols.protocol import Case, Parameters, Protocol, needs_attention
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence, Outcome, Reason
from interp.core.sites import head_site
from interp.interventions.ablate import ablate, recorded
from interp.lab.measured.copying import other_heads
from interp.measures.attention import weight_at_offset
from interp.measures.induction import SHIFTS, profile_by_row
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.watch import Keep

HOWS: tuple[Literal["mean", "resample"], ...] = ("mean", "resample")
PIECES = 4  # pattern, behaviour, and the loss by each way of switching off
RECORDED = 16  # rows whose mean, or one of which, stands for what is switched off
HeadPlace = tuple[int, int]


class InductionHead(Parameters):
    """Parameters of "induction_head"."""

    protocol: Literal["induction_head"]
    at_least: float = Field(gt=0, lt=1, description="smallest mean weight at one shift behind the earlier copy")
    at_least_source: str
    margin: float = Field(gt=0, lt=1, description="smallest difference from the best untrained head that matters")
    copying_nats: float = Field(gt=0, description="smallest copying effect that matters, nats per token")
    lost_nats: float = Field(gt=0, description="smallest loss of it, over that without other heads, that matters")
    least: float = Field(default=0.2, gt=0, lt=1, description="weight at one shift from which a head is switched off with the chosen one")
    n_rows: int = Field(default=96, ge=80)
    n_draws: int = Field(default=20, ge=20)
    n_untrained: int = Field(default=5, ge=5)


def _why_not(anatomy: Anatomy) -> str:
    if not anatomy.encoder_decoder and not (anatomy.causal and anatomy.lm_head):
        return "does not predict the next token, so that copying and what is lost of it cannot be told in nats"
    return needs_attention(anatomy)


def _plan(case: Case[InductionHead]) -> Plan:
    test, tokens, anatomy = case.test, draw_repeats(case.model, case.test.n_rows, case.seed).ids.numel(), case.model.anatomy
    steps = (
        Step(what="patterns and losses of the model", tokens=tokens + tokens // 2),
        Step(what=f"{test.n_untrained} untrained twins", tokens=test.n_untrained * (tokens + tokens // 2)),
        Step(what=f"induction heads and {test.n_draws} draws of others switched off", tokens=len(HOWS) * (test.n_draws + 2) * tokens // 2),
    )
    family = anatomy.n_layers * anatomy.n_heads * SHIFTS
    clusters = np.arange(test.n_rows - test.n_rows // 2)
    return sampled_plan(steps=steps, clusters=clusters, family=family, smallest_effect=test.margin, unit="probability", alpha=case.alpha)


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """Weights by row, axes (member, row), members being layer x head x shift; and copying on the confirmation half, axes (row,)."""

    weights: np.ndarray
    copying: np.ndarray

    def chosen(self, half: int) -> int:
        """The member with the largest mean weight on the selection half."""
        return int(self.weights[:, :half].mean(1).argmax())


def run(case: Case[InductionHead]) -> Finding:
    """Judge "there is an induction head, and copying rests on it"."""
    test, half = case.test, case.test.n_rows // 2
    repeats = draw_repeats(case.model, test.n_rows, case.seed)
    ours, twins = _measured(case, repeats, None), [_measured(case, repeats, number) for number in range(test.n_untrained)]
    uniform = np.full(test.n_rows, _uniform(repeats))
    site, shift = _place(ours.chosen(half), case.model.anatomy)
    pattern = _pattern(case, ours, ours.chosen(half), _strongest(uniform, twins, half), half, f"{site} at shift {shift}")
    heads = _induction_heads(ours, half, test.least, case.model.anatomy)
    lost = {how: _lost(case, repeats, half, heads, how, ours.copying) for how in HOWS}
    evidence = (pattern, _behaviour(case, ours), *(_causal(case, how, *lost[how]) for how in HOWS))
    controls = (*_twins(case, twins, uniform, half), *(_draws(how, *lost[how]) for how in HOWS), _planted(repeats.span))
    outcome, reason = _decide(evidence, controls, case.alpha)
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=_summary(evidence, site, shift, heads),
        site=site,
        badges=_badges(evidence, controls, case.alpha),
        evidence=evidence,
        controls=controls,
        rows=_rows(ours, half, case.model.anatomy),
    )


def _place(member: int, anatomy: Anatomy) -> tuple[str, int]:
    layer, head, shift = np.unravel_index(member, (anatomy.n_layers, anatomy.n_heads, SHIFTS))
    return head_site(int(layer), int(head)), int(shift)


def _strongest(uniform: np.ndarray, twins: list[_Measured], half: int) -> np.ndarray:
    """The baseline with the largest mean on the selection half: uniform attention, or an untrained twin's best head. Axes: (row,)."""
    bests = np.stack([uniform, *(twin.weights[twin.chosen(half)] for twin in twins)])
    return bests[bests[:, :half].mean(1).argmax()]


def _summary(evidence: tuple[Evidence, ...], site: str, shift: int, heads: list[HeadPlace]) -> str:
    pattern, behaviour, mean, resample = evidence
    return (
        f"{site} puts {pattern.estimate:.3f} of its weight {shift} tokens behind the earlier copy; the second time costs "
        f"{behaviour.estimate:.2f} nats less per token. Of that {mean.estimate:.2f} (mean), {resample.estimate:.2f} (resample) "
        f"are lost without {', '.join(head_site(*place) for place in heads)}; {mean.baseline:.2f} and {resample.baseline:.2f} "
        "without as many others."
    )


def _badges(evidence: tuple[Evidence, ...], controls: tuple[Control, ...], alpha: float) -> Badges:
    seen = [passes(one, alpha) for one in evidence]
    others = all(one.passed for one in controls if one.name.startswith("other"))
    return Badges(observational=all(seen[:2]), causal=all(seen[2:]) and others)


def _measured(case: Case[InductionHead], repeats: Repeats, twin: int | None) -> _Measured:
    def arrays() -> dict[str, np.ndarray]:
        case.tell("the model" if twin is None else f"untrained twin {twin + 1}")
        model = case.model if twin is None else case.twin(twin)
        return {
            "weights": weights_by_row(model, repeats).reshape(len(repeats.ids), -1).T,
            "copying": copying_by_row(model, repeats.part(slice(case.test.n_rows // 2, None))),
        }

    return _Measured(**case.stages.get("model" if twin is None else f"untrained twin {twin}", arrays))


def _uniform(repeats: Repeats) -> float:
    """What attention spread over all visible keys puts on any one of them, in the second half."""
    queries = repeats.start + np.arange(repeats.span, 2 * repeats.span)
    return float((1 / (queries + 1)).mean())


def _pattern(case: Case[InductionHead], found: _Measured, member: int, strongest: np.ndarray, half: int, what: str) -> Evidence:
    """The member's weight on the confirmation half; "below `at_least`" is said of the weight itself, so its own bound counts too."""
    values, baseline = found.weights[:, half:], strongest[half:]
    evidence = sampled_evidence(
        name=f"weight behind the earlier copy, {what}",
        unit="probability",
        values=values,
        baseline=baseline,
        baseline_name="strongest of uniform and untrained",
        clusters=np.arange(values.shape[1]),
        member=member,
        smallest_effect=max(case.test.margin, case.test.at_least - float(baseline.mean())),
        alpha=case.alpha,
        seed=case.seed,
        highest=1.0,
        pieces=PIECES,
    )
    bound = best_upper(values, np.arange(values.shape[1]), alpha=case.alpha / PIECES) - float(baseline.mean())
    return replace(evidence, upper=max(bound, evidence.upper))


def _behaviour(case: Case[InductionHead], found: _Measured) -> Evidence:
    return _one(case, "copying: the second time costs less", found.copying, np.zeros_like(found.copying), "nothing", case.test.copying_nats)


def _causal(case: Case[InductionHead], how: str, lost: np.ndarray, others: np.ndarray) -> Evidence:
    return _one(case, f"copying lost without the induction heads ({how})", lost, others.mean(0), "other heads", case.test.lost_nats)


def _one(case: Case[InductionHead], name: str, values: np.ndarray, baseline: np.ndarray, baseline_name: str, smallest: float) -> Evidence:
    """Evidence in nats for the one thing that was chosen elsewhere: a family of one."""
    return sampled_evidence(
        name=name,
        unit="nats per token",
        values=values[None],
        baseline=baseline[None],
        baseline_name=baseline_name,
        clusters=np.arange(len(values)),
        member=0,
        smallest_effect=smallest,
        alpha=case.alpha,
        seed=case.seed,
        largest=log(case.model.anatomy.d_vocab),
        pieces=PIECES,
    )


def _induction_heads(found: _Measured, half: int, least: float, anatomy: Anatomy) -> list[HeadPlace]:
    """The chosen head and its like, by the selection half alone."""
    weights = found.weights[:, :half].mean(1).reshape(anatomy.n_layers, anatomy.n_heads, SHIFTS).max(-1)
    among = np.argwhere(weights >= min(least, weights.max()))
    return [(int(layer), int(head)) for layer, head in among]


def _lost(
    case: Case[InductionHead], repeats: Repeats, half: int, heads: list[HeadPlace], how: Literal["mean", "resample"], clean: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Copying lost in each confirming row without the induction heads, axes (row,); and without each draw of others, axes (draw, row)."""
    choose, confirm = repeats.part(slice(0, half)), repeats.part(slice(half, None))

    def arrays() -> dict[str, np.ndarray]:
        case.tell(f"induction heads switched off ({how})")
        sets = [heads, *other_heads(_previous(case.model, choose) >= case.test.least, heads, case.test.n_draws, case.seed)]
        every = [head_site(*place) for places in sets for place in places]
        over, left = recorded(case.model, every, choose.part(slice(0, RECORDED)).examples()), []
        for places in sets:
            with ablate(case.model, [head_site(*place) for place in places], how=how, over=over, seed=case.seed):
                left.append(copying_by_row(case.model, confirm))
        return {"left": np.stack(left)}

    lost = clean - case.stages.get(f"switched off {how}", arrays)["left"]
    return lost[0], lost[1:]


@torch.no_grad()
def _previous(model: Model, repeats: Repeats) -> torch.Tensor:
    """Mean weight on the previous token. Axes: (layer, head)."""
    keep = Keep(model, ["pattern"])
    with watching(keep):
        model.run(next(repeats.batches()), logits=False)
    patterns = [keep.arrays[Point(kind="pattern", layer=layer).name] for layer in range(model.anatomy.n_layers)]
    return torch.stack([weight_at_offset(pattern.float().cpu(), -1).nanmean((0, 2)) for pattern in patterns])


def _decide(evidence: tuple[Evidence, ...], controls: tuple[Control, ...], alpha: float) -> tuple[Outcome, Reason]:
    """As every sampled claim, but that one way of switching off alone decides nothing, neither for nor against."""
    pattern, behaviour, *ways = evidence
    found = [decide((pattern, behaviour, way), controls, alpha) for way in ways]
    if len({outcome for outcome, _ in found}) > 1:
        return "inconclusive", "methods_disagree"
    return decide(evidence, controls, alpha)


def _twins(case: Case[InductionHead], twins: list[_Measured], uniform: np.ndarray, half: int) -> list[Control]:
    """An untrained twin must not both look behind the copy and copy; against uniform attention, which is easier to pass."""
    found = []
    for number, twin in enumerate(twins):
        pattern = _pattern(case, twin, twin.chosen(half), uniform, half, "its best head")
        passed = not all(passes(one, case.alpha) for one in (pattern, _behaviour(case, twin)))
        found.append(Control(name=f"untrained twin {number}", kind="null", value=pattern.estimate, unit="probability", passed=passed))
    return found


def _draws(how: str, lost: np.ndarray, others: np.ndarray) -> Control:
    """The share of the draws that lose less than the induction heads."""
    share = float((others.mean(1) < lost.mean()).mean())
    name = f"other heads switched off ({how}) lose less"
    return Control(name=name, kind="null", value=share, unit="share of the draws", passed=share >= 0.95, detail="at least 0.95 of them")


def _planted(span: int) -> Control:
    """What the profile says of a head that looks at the token behind the earlier copy, and nowhere else."""
    pattern = torch.zeros(1, 1, 2 * span, 2 * span)
    queries = torch.arange(span, 2 * span)
    pattern[0, 0, queries, queries - span + 1] = 1.0
    value = float(profile_by_row(pattern, span)[0, 0, 1])
    return Control(name="planted head", kind="positive", value=value, unit="probability", passed=value > 0.99)


def _rows(found: _Measured, half: int, anatomy: Anatomy) -> dict[str, list[float]]:
    """Each head's profile over shifts on the confirmation half."""
    profile = found.weights[:, half:].mean(1).reshape(anatomy.n_layers, anatomy.n_heads, SHIFTS)
    return {head_site(layer, head): profile[layer, head].tolist() for layer in range(anatomy.n_layers) for head in range(anatomy.n_heads)}


PROTOCOL = Protocol(
    parameters=InductionHead,
    needs=None,
    requires=("patterns", "ablation"),
    family="every head and shift",
    controls=("untrained twins", "as many other heads switched off, 20 times drawn", "a planted head that looks exactly behind the copy"),
    why_not=_why_not,
    plan=_plan,
    run=run,
)
