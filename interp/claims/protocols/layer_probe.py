"""At which layers can a property of a word be read off the stream, and in which order do several arise?

Design. Words of a treebank are drawn evenly over documents; a word is the mean of its pieces in the stream before the first layer and after
each. Documents are split: on the selection half a linear probe is fitted on one part and scored on the other, which chooses depths; fitted
on the whole half it is scored on the confirmation half, which tests them. Unit: the document; every comparison is paired on the same words.
What is asked:
  some_layer   the best layer (chosen on the selection half; p by max-T over layers) is read better than the strongest of: the stream before
               the first layer, the word form's most frequent label, each untrained twin at its best layer; and better than the control
               task (a random label for each word type; of senses, the senses exchanged) by `selectivity`. Both must hold
  each_layer   the same of every layer by itself; one confirmed exception refutes it
  last_layer   the last layer is read better than every other, the rival chosen on the selection half first of all
  order        tasks arise in the order in which they are named. The score of a depth is that of the best layer so far (chosen on the
               selection half); the expected layer is the mean depth of its rises. Four tasks and more: Kendall's tau, with p the larger of
               the bootstrap's and of the share of orders that fit as well. Two or three, for which hardly an order is rare: every
               neighbour's difference, in shares of the depth
  band         the share of the rise inside a band of depths is at least `at_least`; baseline: what that band would hold of an even rise
Statistics of curves are resampled over documents (percentile intervals).

Controls. Null: untrained twins, held to the same rule (each against the others); labels exchanged among words. Positive: for "order" and
"band" each task must be read better somewhere than before the first layer (by `gain`), and rise over the depths chosen on the selection
half, or its expected layer means nothing; exchanged labels written into the vectors at the middle depth must be read there, and chosen.
Assumptions: documents are independent; "gain" is of accuracy; a linear probe of one fixed penalty. Chunks are read off the tree.
Source: Hewitt & Liang (2019), Designing and Interpreting Probes with Control Tasks; Tenney, Das & Pavlick (2019), BERT Rediscovers the
Classical NLP Pipeline, whose probe reads a learned mix of all layers up to a depth, ours the best of them.
What it does not tell: that the model uses what a probe reads. Where a thing can be read first is not where it is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.layer_asks import ASKS, Asked, Ours, gain_evidence
from interp.claims.protocols.parts.layer_curves import Curve, Probed, control_curves, curve_of, curves
from interp.claims.protocols.parts.probe_tasks import TaskName, task_items
from interp.claims.protocols.parts.probing import parts
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide, passes
from interp.claims.stages import Arrays
from interp.claims.verdict import Badges, Control
from interp.models.anatomy import Anatomy
from interp.stats.expected_layer import expected_layer

PLANTED_AT_LEAST = 0.95


class LayerProbe(Parameters):
    """Parameters of "layer_probe"."""

    protocol: Literal["layer_probe"]
    asks: Asked = Field(description="some_layer, each_layer or last_layer of one task; order of two or more; band of one")
    tasks: tuple[TaskName, ...] = Field(min_length=1, max_length=8, description="for order: in the claimed order")
    margin: float = Field(
        gt=0, lt=1, description="smallest effect that matters, in accuracy; order: tau, or share of the depth; band: share"
    )
    margin_source: str
    band: tuple[float, float] | None = Field(default=None, description="shares of the depth: above the first, up to the second")
    at_least: float = Field(default=0.8, gt=0, lt=1, description="band: share of the rise that it must hold")
    selectivity: float = Field(default=0.1, gt=0, lt=1, description="smallest difference from the control task that matters, accuracy")
    gain: float = Field(default=0.02, gt=0, lt=1, description="rise over the stream before the first layer from which a task is read")
    n_items: int = Field(default=3000, ge=200, description="words drawn")
    strength: float = Field(default=0.1, gt=0, description="inverse of the probe's penalty")
    n_untrained: int = Field(default=5, ge=5)

    @model_validator(mode="after")
    def _fits(self) -> "LayerProbe":
        n = len(set(self.tasks))
        if n < len(self.tasks) or (n < 2) == (self.asks == "order"):
            raise ValueError(f"asks {self.asks!r} came with tasks {list(self.tasks)}; expected one, for an order two or more, each once")
        if (self.band is not None) != (self.asks == "band"):
            raise ValueError(f"asks {self.asks!r} came with band {self.band}; expected a band for 'band' and for nothing else")
        if self.band is not None and not 0 <= self.band[0] < self.band[1] <= 1:
            raise ValueError(f"band {self.band} came; expected two shares of the depth, such as [0.0, 0.5]")
        return self


def _why_not(anatomy: Anatomy) -> str:
    if anatomy.encoder_decoder:
        return "is an encoder-decoder, which reads one text and writes another; the test runs single texts"
    return "has one layer, so that there is no order of layers" if anatomy.n_layers < 2 else ""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was read off a model, before any question is asked of it.

    Attributes:
        ours: the curves of the model, beside those of its untrained twins.
        nothing: what probes make of labels that mean nothing.
        planted: the depth at which such labels were written in.
    """

    ours: Ours
    nothing: Arrays
    planted: int


class _Run:
    """The words, the tasks, and the curves of one claim on one model."""

    def __init__(self, case: Case[LayerProbe]):
        test = case.test
        self.case = case
        self.words, items = task_items(test.tasks, case.examples, test.n_items, case.seed)
        self.tasks = {
            name: Probed(items=one, parts=parts(one.document, case.seed), strength=test.strength, seed=case.seed)
            for name, one in items.items()
        }

    @property
    def tokens(self) -> int:
        """Tokens that a model reads once."""
        return sum(len(self.case.examples[number]) for number in {number for number, _ in self.words})

    def curves(self, twin: int | None) -> dict[str, Curve]:
        """Every task's curve on the model, or on an untrained twin."""
        case, name = self.case, "model" if twin is None else f"untrained twin {twin}"

        def arrays() -> dict[str, np.ndarray]:
            case.tell(name)
            model = case.model if twin is None else case.twin(twin)
            return curves(model, case.examples, self.words, self.tasks)

        found = case.stages.get(name, arrays)
        return {task: curve_of(found, task) for task in self.tasks}

    def controls(self, planted: int) -> dict[str, np.ndarray]:
        """What probes make of labels that mean nothing."""
        case = self.case
        case.tell("control tasks")
        return case.stages.get("control tasks", lambda: control_curves(case.model, case.examples, self.words, self.tasks, planted))


def _plan(case: Case[LayerProbe]) -> Plan:
    found, test = _Run(case), case.test
    steps = (
        Step(what="the model on the words' sentences", tokens=found.tokens),
        Step(what="control tasks", tokens=found.tokens),
        Step(what=f"{test.n_untrained} untrained twins", tokens=test.n_untrained * found.tokens),
    )
    clusters = np.concatenate([task.documents for task in found.tasks.values()])
    family, unit = ASKS[test.asks].family(test, case.model.anatomy.n_layers), ASKS[test.asks].unit(test)
    return sampled_plan(steps=steps, clusters=clusters, family=family, smallest_effect=test.margin, unit=unit, alpha=case.alpha)


def run(case: Case[LayerProbe]) -> Finding:
    """Judge a claim on the layers at which a property of words can be read."""
    return found_on(look(case))


def look(case: Case[LayerProbe]) -> Looked:
    """Run the model, its twins and the probes: all of the work."""
    found, test, depths = _Run(case), case.test, case.model.anatomy.n_layers
    planted = max(1, depths // 2)
    mine, nothing = found.curves(None), found.controls(planted)
    twins = [found.curves(number) for number in range(test.n_untrained)]
    control = {name: nothing[f"{name} control"].astype(float) for name in found.tasks}
    ours = Ours(test=test, tasks=found.tasks, curves=mine, rivals=twins, control=control, alpha=case.alpha, seed=case.seed)
    return Looked(ours=ours, nothing=nothing, planted=planted)


def found_on(looked: Looked) -> Finding:
    """What the curves say to the question that `ours.test` asks."""
    ours, twins = looked.ours, looked.ours.rivals
    asked = ASKS[ours.test.asks]
    rises = [readable(ours, name) for name in ours.test.tasks] if asked.rises else []
    evidence = tuple(asked.evidence(ours)) if all(one.passed for one in rises) else ()
    controls = (*rises, *_twins(ours, twins), _shuffled(ours, looked.nothing), _planted(looked.nothing, looked.planted))
    outcome, reason = decide(evidence, controls, ours.alpha)
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=asked.summary(ours, evidence),
        site=asked.site(ours),
        badges=Badges(observational=outcome == "supported"),
        evidence=evidence,
        controls=controls,
        rows=_rows(ours, twins),
    )


def readable(ours: Ours, name: str) -> Control:
    """Without a rise, or with none over the depths that were chosen elsewhere, there is no depth at which it happens."""
    one = gain_evidence(ours, name, ours.curves[name])
    rise = ours.curves[name].so_far.mean(1)
    return Control(
        name=f"{name} is read above the stream before the first layer", kind="positive", value=one.effect, unit="accuracy",
        passed=passes(one, ours.alpha) and bool(np.isfinite(expected_layer(rise))),
        detail=f"at least {ours.test.gain}; over depths chosen on the selection half {rise[-1] - rise[0]:+.3f}, above 0",
    )  # fmt: skip


def _twins(ours: Ours, twins: Sequence[Mapping[str, Curve]]) -> list[Control]:
    """Each untrained twin under the same rule, with the others as its rivals."""
    found = []
    for number, twin in enumerate(twins):
        others = [other for place, other in enumerate(twins) if place != number]
        its = ours.of(twin, others)
        rises = not ASKS[ours.test.asks].rises or all(passes(gain_evidence(its, name, twin[name]), ours.alpha) for name in twin)
        evidence = ASKS[ours.test.asks].evidence(its) if rises else []
        passed = not (evidence and all(passes(one, ours.alpha) for one in evidence))
        name = ours.test.tasks[0]
        value = float(twin[name].test[twin[name].best].mean() - twin[name].test[0].mean())
        unit = f"accuracy of {name} over the stream before the first layer"
        found.append(Control(name=f"untrained twin {number}", kind="null", value=value, unit=unit, passed=passed))
    return found


def _shuffled(ours: Ours, nothing: dict[str, np.ndarray]) -> Control:
    """Labels that nothing tells must not be read better at the last layer than elsewhere, or better anywhere than before the first."""
    name, curve = ours.test.tasks[0], curve_of(nothing, "shuffled")
    gain = gain_evidence(ours, name, curve)
    evidence = ASKS["last_layer"].evidence(ours.of({name: curve}, [])) if ours.test.asks == "last_layer" else [gain]
    passed = not all(passes(one, ours.alpha) for one in evidence)
    return Control(name="exchanged labels", kind="null", value=gain.effect, unit="accuracy", passed=passed)


def _planted(nothing: dict[str, np.ndarray], depth: int) -> Control:
    """Written into the vectors at one depth, they must be read there."""
    curve = curve_of(nothing, "planted")
    value = float(curve.test[depth].mean())
    passed = value >= PLANTED_AT_LEAST and curve.best == depth
    detail = f"the best depth is {curve.best}, written at {depth}; at least {PLANTED_AT_LEAST}"
    return Control(name=f"labels written in at depth {depth}", kind="positive", value=value, unit="accuracy", passed=passed, detail=detail)


def _rows(ours: Ours, twins: Sequence[Mapping[str, Curve]]) -> dict[str, list[float]]:
    """Accuracy by depth on the confirmation half: the tasks, their control tasks, the mean of the untrained twins."""
    found: dict[str, list[float]] = {}
    for name in ours.tasks:
        found[name] = ours.curves[name].test.mean(1).tolist()
        found[f"{name}, control task"] = ours.control[name].mean(1).tolist()
        found[f"{name}, untrained"] = np.mean([twin[name].test.mean(1) for twin in twins], axis=0).tolist()
    return found


PROTOCOL = Protocol(
    parameters=LayerProbe,
    needs="treebank",
    requires=(),
    family="every layer; for an order its tasks; for a band nothing else",
    controls=("untrained twins", "labels exchanged among words", "a random label for each word type", "labels written in at one depth"),
    why_not=_why_not,
    plan=_plan,
    run=run,
)
