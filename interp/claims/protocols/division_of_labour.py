"""Does attention route and the FFN process? The interaction of task and sublayer under ablation, with what a clean division demands.

Design, as it was registered beforehand (the D-test of the catalogue). Two families of tasks (see `labour_tasks`): R needs another position
(induction on random tokens; agreement across a noun of the other number, where the model does it), L is answered by the current token
(bigrams). In every layer all heads together, and the FFN, are resample-ablated one at a time (see `sublayers_resampled`), and what is lost
is normalised: (M_clean - M_ablated) / (M_clean - M_corrupted), the denominator from the other half of the rows. Summed over layers 1 and
up, since layer 0's FFN acts like an extended embedding (it is told by itself); of several tasks of a family the mean is taken:
  interaction   I = [attention(R) - FFN(R)] - [attention(L) - FFN(L)]     must reach its smallest effect
  FFN(R)        must be equivalent to 0: its interval within the margin (two one-sided tests)
  attention(L)  the same
"Clean division" is supported only where all three hold; where I alone does, the summary says "partial". It is refuted where I is below its
smallest effect, or one of the two lies outside the margin.

Unit: a pair of a row of R and a document of L, paired at random (neither has anything to do with the other). Null: the labels R and L
exchanged within a pair, which flips the sign of its difference; intervals resample pairs. An equivalence is written as the room that is
left within the margin: margin - |effect|, its interval from that of the effect at 1 - 2 alpha, so that it is above 0 where the test holds.
Its power is that of both one-sided tests where there is no effect at all, told as the least that it can be: 2 (power of one) - 1.

Controls. Positive: the model does induction and bigrams (what the corruption costs is at least `does`, by the selection half); without
all sublayers of all layers at least a quarter of every task is lost (another row may have the same answer). Null:
  labels dealt anew   in each pair by chance, 9999 times: fewer than alpha of the draws may reach the interaction of the true labels. It
                      fails where a few pairs carry the interaction, or one component does both tasks alike. It cannot show that it is
                      routing in which the tasks differ: whatever else tells them apart goes with the labels; nor has it a say on the
                      equivalences. With draws of its own it asks what the adjusted p of the interaction asks, and fails where that does
  untrained twins     do not do the tasks, or else must not pass. As a rule they do not, and nothing is ablated in them: that shows that
                      the tasks are not done without training, and nothing of the division
Assumptions: one layer at a time: layers that stand in for each other look unneeded, and effects need not add up to 1. A sublayer of another
row writes something wrong, and does not only leave out what is right, so that an effect above 0 is more than "needed".
Source: the catalogue, S3-02, S1-18, S3-16, and its D-test.
What it does not tell: what other tasks would show; recall of facts, its third family, which is optional, is left out.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, halves, sampled_evidence
from interp.claims.protocols.parts.labour_tasks import Task, agreement, bigram, induction
from interp.claims.protocols.parts.sublayers_resampled import Labour, by_unit, clean_and_corrupted, resampled
from interp.claims.protocols.protocol import Case, Parameters, Protocol, needs_attention
from interp.claims.rule import ENOUGH_POWER, decide, passes
from interp.claims.verdict import Badges, Control, Evidence
from interp.core.errors import ClaimError
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.stats.equivalence import equivalent
from interp.stats.intervals import Interval, cluster_mean, with_unseen
from interp.stats.power import n_for, power_at

ATTENTION, FFN = 0, 1
UNIT = "of the task"
PIECES = 3  # the interaction and two equivalences
N_DRAWS = 9999
LOST_AT_LEAST = 0.25  # of a task, without all sublayers: of two possible answers another row has the same one half of the time


class DivisionOfLabour(Parameters):
    """Parameters of "division_of_labour"."""

    protocol: Literal["division_of_labour"]
    interaction: float = Field(gt=0, description="smallest interaction that matters, of the task")
    margin: float = Field(gt=0, description="an effect within it is as good as none, of the task")
    source_of_effects: str
    does: float = Field(default=0.5, gt=0, description="what the corruption must cost at least for a model to do a task, nats or logits")
    n_rows: int = Field(default=96, ge=80)
    n_untrained: int = Field(default=5, ge=5)


def _why_not(anatomy: Anatomy) -> str:
    if anatomy.encoder_decoder or not anatomy.attentions():
        return needs_attention(anatomy)
    layers = range(anatomy.n_layers)
    for name, has in (("attention", anatomy.attention), ("FFN", anatomy.ffn)):
        if without := sum(has(layer) is None for layer in layers):
            return f"has no {name} in {without} of its {len(layers)} layers, and the division is between the two"
    if not (anatomy.causal and anatomy.lm_head):
        return "does not predict the next token, which is what the tasks ask"
    return "" if len(layers) > 1 else "has one layer, and layer 0 is told by itself"


def _tasks(case: Case[DivisionOfLabour]) -> tuple[list[Task], int]:
    """The tasks, and how many units each is cut to. Raises: ClaimError where the texts hold too few tokens that one token follows."""
    examples = [example for example in case.examples if len(example) >= 3]
    documents = np.array([example.document or example.name or str(number) for number, example in enumerate(examples)])
    choose = halves(documents, case.seed)[0] if len(examples) else np.zeros(0, dtype=bool)
    local = bigram(examples, documents, choose, case.test.n_rows - case.test.n_rows // 2)
    if local is None or min(local.choose.n_clusters, local.confirm.n_clusters) < 2:
        raise ClaimError(f"{case.id}: the texts hold too few tokens that one token follows five times or more; expected a larger corpus")
    routing = induction(case.model, case.test.n_rows, case.seed)
    n = min(routing.confirm.n_clusters, local.confirm.n_clusters)
    dependent = agreement(case.model, n, case.seed)
    return [routing, local, *([dependent] if dependent else [])], n


def _plan(case: Case[DivisionOfLabour]) -> Plan:
    tasks, n = _tasks(case)
    tokens = sum(task.confirm.ids.numel() for task in tasks)
    runs = 2 + 2 * case.model.anatomy.n_layers
    steps = (
        Step(what="the tasks, clean and corrupted", tokens=2 * sum(task.choose.ids.numel() + task.confirm.ids.numel() for task in tasks)),
        Step(what="each sublayer resampled", tokens=runs * tokens),
        Step(
            what=f"{case.test.n_untrained} untrained twins",
            tokens=2 * case.test.n_untrained * sum(task.choose.ids.numel() for task in tasks),
        ),
    )
    return sampled_plan(
        steps=steps, clusters=np.arange(n), family=1, smallest_effect=case.test.interaction, unit=UNIT, alpha=case.alpha, shares=False
    )


def run(case: Case[DivisionOfLabour]) -> Finding:
    """Judge "attention routes and the FFN processes"."""
    tasks, n = _tasks(case)
    ours = _done(case, [_labour(case, case.model, task, "the model") for task in tasks])
    evidence = _evidence(case, ours, n)
    controls = (
        *(control for one in ours for control in _does(case, one)),
        *(_twin(case, tasks, n, number) for number in range(case.test.n_untrained)),
        _dealt(case, ours, n),
    )
    outcome, reason = decide(evidence, controls, case.alpha)
    passed = [passes(one, case.alpha) for one in evidence]
    division = "clean" if all(passed) else "partial" if passed[0] else "not shown"
    first = {one.task.name: one.lost[FFN, 0].mean() for one in ours}
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=(
            f"The division is {division}: the interaction of task and sublayer is {evidence[0].effect:+.2f} of a task; without FFNs "
            f"{evidence[1].estimate:+.2f} of routing is lost, without attention {evidence[2].estimate:+.2f} of the local task. "
            f"Without the FFN of layer 0, which is not in these: {', '.join(f'{name} {value:+.2f}' for name, value in first.items())}. "
            f"Routing is {' and '.join(one.task.name for one in ours if one.task.family == 'R')}."
        ),
        badges=Badges(causal=outcome == "supported"),
        evidence=evidence,
        controls=controls,
        rows=_rows(ours, case.model.anatomy.n_layers),
    )


def _labour(case: Case[DivisionOfLabour], model: Model, task: Task, name: str) -> Labour:
    def choosing() -> dict[str, np.ndarray]:
        case.tell(f"{name}: {task.name}")
        return {"scores": clean_and_corrupted(model, task.choose)}

    def ablating() -> dict[str, np.ndarray]:
        case.tell(f"{name}: {task.name}, each sublayer resampled")
        return resampled(model, task.confirm, case.seed) | {"clean": clean_and_corrupted(model, task.confirm)[0]}

    clean, corrupted = case.stages.get(f"{name} {task.name}", choosing)["scores"]
    interval = cluster_mean(clean - corrupted, task.choose.cluster, seed=case.seed)
    does = interval.estimate >= case.test.does and interval.low > 0
    if not does and (name != "the model" or task.name == "agreement"):  # nothing is to be made of it
        return Labour(task=task, cost=interval.estimate, does=False, lost=np.zeros((2, 0, 0)), everything=np.zeros(0))
    found = case.stages.get(f"{name} {task.name} resampled", ablating)
    scale = max(interval.estimate, case.test.does)  # where it is below, a control has failed
    lost, everything = ((found["clean"] - found[one]) / scale for one in ("each", "everything"))
    return Labour(
        task=task,
        cost=interval.estimate,
        does=does,
        lost=by_unit(lost, task.confirm.cluster),
        everything=by_unit(everything, task.confirm.cluster),
    )


def _done(case: Case[DivisionOfLabour], found: list[Labour]) -> list[Labour]:
    """Without agreement where the model does not do it."""
    for one in found:
        if not one.does:
            case.tell(f"{one.task.name}: the corruption costs {one.cost:.2f}, so the model does not do it")
    return [one for one in found if one.does or one.task.name != "agreement"]


def _lost(ours: list[Labour], family: str, n: int) -> np.ndarray:
    """Mean over a family's tasks of what is lost without each kind of sublayer, layers 1 and up together. Axes: (component, unit)."""
    return np.mean([one.lost[:, 1:, :n].sum(1) for one in ours if one.task.family == family], axis=0)


def _evidence(case: Case[DivisionOfLabour], ours: list[Labour], n: int) -> tuple[Evidence, Evidence, Evidence]:
    routing, local = _lost(ours, "R", n), _lost(ours, "L", n)
    return (
        _interaction(case, routing[ATTENTION] - routing[FFN], local[ATTENTION] - local[FFN]),
        _equivalence(case, "what FFNs do for routing", routing[FFN]),
        _equivalence(case, "what attention does for what the current token answers", local[ATTENTION]),
    )


def _interaction(case: Case[DivisionOfLabour], routing: np.ndarray, local: np.ndarray) -> Evidence:
    return sampled_evidence(
        name="attention over FFN for routing, against the same for what the current token answers",
        unit=UNIT,
        values=routing[None],
        baseline=local[None],
        baseline_name="what the current token answers",
        clusters=np.arange(len(routing)),
        member=0,
        smallest_effect=case.test.interaction,
        alpha=case.alpha,
        seed=case.seed,
        pieces=PIECES,
    )


def _equivalence(case: Case[DivisionOfLabour], name: str, values: np.ndarray) -> Evidence:
    """The room that an effect leaves within the margin: above 0 where both one-sided tests hold, below where it is surely outside."""
    margin, clusters = case.test.margin, np.arange(len(values))
    found, wide = (
        with_unseen(equivalent(values, clusters, margin, alpha=alpha, seed=case.seed).interval, -1.0, 1.0)
        for alpha in (case.alpha, case.alpha / PIECES)
    )
    spread = max(float(values.std(ddof=1)), 1e-9)
    one_side = power_at(margin, sd=spread, n=len(values), alpha=case.alpha, alternative="larger")
    power = max(0.0, 2 * one_side - 1)  # either side fails with 1 - one_side; both together with no more than the sum
    enough = (1 + ENOUGH_POWER) / 2  # of either side, for that of both
    return Evidence(
        name=f"{name} is within {margin} of nothing",
        unit=UNIT,
        estimate=found.estimate,
        baseline=margin,
        baseline_name="the margin; the effect is the room left in it",
        effect=margin - abs(found.estimate),
        low=margin - max(abs(found.low), abs(found.high)),
        high=margin - _nearest(found),
        level=1 - 2 * case.alpha,
        upper=margin - _nearest(wide),
        upper_level=1 - case.alpha / PIECES,
        smallest_effect=0.0,
        n_items=len(values),
        n_clusters=len(values),
        family=1,
        power=power,
        n_for_power=None if power >= ENOUGH_POWER else n_for(margin, sd=spread, power=enough, alpha=case.alpha, alternative="larger"),
    )


def _nearest(interval: Interval) -> float:
    """The smallest size in an interval."""
    return 0.0 if interval.low <= 0 <= interval.high else min(abs(interval.low), abs(interval.high))


def _does(case: Case[DivisionOfLabour], one: Labour) -> tuple[Control, Control]:
    unit = "logits" if one.task.choose.wrong is not None else "nats"
    lost = float(one.everything.mean())
    return (
        Control(name=f"it does {one.task.name}: the corruption costs", kind="positive", value=one.cost, unit=unit, passed=one.does),
        Control(name=f"{one.task.name} lost without all sublayers", kind="positive", value=lost, unit=UNIT, passed=lost >= LOST_AT_LEAST),
    )


def _twin(case: Case[DivisionOfLabour], tasks: list[Task], n: int, number: int) -> Control:
    """It must not do the tasks; or, if it does, must not pass."""
    name, model = f"untrained twin {number}", case.twin(number)
    needed = [task for task in tasks if task.name != "agreement"]
    found = [_labour(case, model, task, name) for task in needed]
    told = ", ".join(f"{one.task.name} {one.cost:+.2f} nats" for one in found)
    passed = not all(one.does for one in found) or not all(passes(one, case.alpha) for one in _evidence(case, found, n))
    return Control(name=name, kind="null", value=min(one.cost for one in found), unit="nats, its worse task", passed=passed, detail=told)


def _dealt(case: Case[DivisionOfLabour], ours: list[Labour], n: int) -> Control:
    """The share of the draws, each pair's labels R and L exchanged or not by chance, whose interaction reaches that of the true labels."""
    routing, local = (each[ATTENTION] - each[FFN] for each in (_lost(ours, family, n) for family in ("R", "L")))
    pairs = routing - local
    signs = np.random.default_rng(case.seed).choice([-1.0, 1.0], size=(N_DRAWS, n))
    share = (1 + int(((signs * pairs).mean(1) >= pairs.mean() - 1e-12).sum())) / (1 + N_DRAWS)  # a tie, but for rounding, is reached
    detail = f"less than {case.alpha:g} of {N_DRAWS}"
    name = "labels of the tasks dealt anew give as much"
    return Control(name=name, kind="null", value=share, unit="share of the draws", passed=share < case.alpha, detail=detail)


def _rows(ours: list[Labour], n_layers: int) -> dict[str, list[float]]:
    """What is lost without each sublayer, of each task in turn."""
    names = {"attention": ATTENTION, "FFN": FFN}
    return {
        f"L{layer} {name}": [float(one.lost[place, layer].mean()) for one in ours]
        for layer in range(n_layers)
        for name, place in names.items()
    }


PROTOCOL = Protocol(
    parameters=DivisionOfLabour,
    needs="texts",
    requires=("capture",),
    family="one interaction and two equivalences, which must all hold",
    controls=("the model does the tasks, and not without its sublayers", "untrained twins", "labels of the tasks dealt anew"),
    why_not=_why_not,
    plan=_plan,
    run=run,
)
