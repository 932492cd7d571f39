"""Are classes of words told apart better in the FFN's neurons than in what the FFN reads?

Design. Words of a treebank, their documents split (see `probing`). In each layer one linear probe reads the task off what the FFN reads,
and another off its neurons behind the activation; a word is the mean of its pieces. The layer with the largest gain is chosen on the
selection half and tested on the other, word by word. Two differences must reach the margin:
  over its input     the neurons against what the FFN reads
  over a turned one  the neurons against those of the same FFN reading the same vectors after a random rotation: its weights have the same
                     spectrum and lie anyhow to the data. A wider layer with a nonlinearity separates almost anything (Cover 1965), so that
                     only what a trained direction adds tells that *these* features were spread out
Unit: the document; p by max-T over layers; refuting takes the bound of the best layer.

Controls. Null: untrained twins at the chosen layer must not pass; nor must labels exchanged among the words. Positive: exchanged labels
written into the neurons of the chosen layer must be read there.
Assumption: one penalty for all probes. A wider one may gain by its width alone; that shows in the turned FFN, which is as wide.
Source: Cover (1965) on separability in more dimensions; Hewitt & Liang (2019) on probes; the rotation is ours.
What it does not tell: that the model uses the separation, nor that each feature has a neuron of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from interp.captures.word_vectors import WordPlace, word_vectors
from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, sampled_evidence
from interp.claims.protocols.parts.layer_curves import Probed, features_of
from interp.claims.protocols.parts.neurons_on_words import unread_neurons
from interp.claims.protocols.parts.probe_tasks import TaskName, task_items
from interp.claims.protocols.parts.probing import parts, with_planted
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence
from interp.models.anatomy import Anatomy
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Kind, Point, watching

PLANTED_AT_LEAST = 0.9
BASELINES = ("what the FFN reads", "neurons of the FFN turned at random")


class ExpansionProbe(Parameters):
    """Parameters of "expansion_probe"."""

    protocol: Literal["expansion_probe"]
    task: TaskName
    margin: float = Field(gt=0, lt=1, description="smallest gain that matters, accuracy")
    margin_source: str
    n_items: int = Field(default=1500, ge=200, description="words drawn")
    strength: float = Field(default=0.1, gt=0, description="inverse of the probe's penalty")
    n_untrained: int = Field(default=5, ge=5)


@dataclass(frozen=True, kw_only=True)
class _Hits:
    """Hits on the two parts: of the neurons, of what is read, of the turned FFN; axes (layer, item)."""

    check: np.ndarray
    test: np.ndarray

    @property
    def gains(self) -> np.ndarray:
        """Over the stronger of the two baselines, where the layer is chosen. Axes: (layer,)."""
        neurons, *others = self.check.mean(2)
        gains: np.ndarray = neurons - np.max(others, axis=0)
        return gains


class _Turned:
    """Turns what the FFN of one layer reads."""

    def __init__(self, layer: int, rotation: torch.Tensor):
        self.layer, self.rotation = layer, rotation
        self.kinds: frozenset[str] = frozenset({"mlp_in"})

    def attend(self, point: Point, call: AttentionCall) -> None:
        return None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        return tensor @ self.rotation.to(tensor) if point.layer == self.layer else None


@contextmanager
def turned(model: Model, layer: int, seed: int) -> Iterator[None]:
    """The model with the FFN of a layer reading its input after a random rotation."""
    drawn = np.random.default_rng(seed).standard_normal((model.anatomy.d_model, model.anatomy.d_model))
    rotation, _ = np.linalg.qr(drawn)
    with watching(_Turned(layer, torch.from_numpy(rotation))):
        yield


class _Run:
    """The words and the probe of a claim."""

    def __init__(self, case: Case[ExpansionProbe]):
        self.case, test = case, case.test
        self.words: list[WordPlace]
        self.words, items = task_items((test.task,), case.examples, test.n_items, case.seed)
        found = items[test.task]
        self.probed = Probed(items=found, parts=parts(found.document, case.seed), strength=test.strength, seed=case.seed)

    @property
    def tokens(self) -> int:
        """Tokens that a model reads once."""
        return sum(len(self.case.examples[number]) for number in {number for number, _ in self.words})

    def vectors(self, model: Model, kind: Kind, layer: int) -> np.ndarray:
        """What stands at a point behind the words. Axes: (word, feature)."""
        ((_, found),) = word_vectors(model, self.case.examples, self.words, [Point(kind=kind, layer=layer)])
        return features_of(found, self.probed.items)

    def features(self, model: Model, layer: int) -> list[np.ndarray]:
        """The neurons, what is read, the turned neurons; axes (item, feature) each."""
        with turned(model, layer, self.case.seed + layer):
            other = self.vectors(model, "post", layer)
        return [self.vectors(model, "post", layer), self.vectors(model, "mlp_in", layer), other]

    def hits(self, model: Model, layers: list[int], labels: np.ndarray) -> _Hits:
        """Of probes on the labels, layer by layer."""
        found = []
        for layer in layers:
            self.case.tell(f"{model.name}, layer {layer}")
            found.append([self.probed.fitted(features, labels) for features in self.features(model, layer)])
        check, test = (np.array([[one[part] for one in layer] for layer in found], float).transpose(1, 0, 2) for part in (0, 1))
        return _Hits(check=check, test=test)

    def evidence(self, hits: _Hits, member: int) -> list[Evidence]:
        """Both differences of one layer on the confirmation half."""
        neurons, *others = hits.test
        case, test = self.case, self.case.test
        return [
            sampled_evidence(
                name=f"{test.task} in the neurons",
                unit="accuracy",
                values=neurons,
                baseline=other,
                baseline_name=name,
                clusters=self.probed.documents,
                member=member,
                smallest_effect=test.margin,
                alpha=case.alpha,
                seed=case.seed,
                highest=1.0,
                pieces=len(BASELINES),
            )
            for name, other in zip(BASELINES, others, strict=True)
        ]


def _layers(anatomy: Anatomy) -> list[int]:
    return [layer for layer in range(anatomy.n_layers) if anatomy.ffn(layer)]


def run(case: Case[ExpansionProbe]) -> Finding:
    """Judge "classes are spread out in the neurons"."""
    found, layers = _Run(case), _layers(case.model.anatomy)
    hits = found.hits(case.model, layers, found.probed.items.label)
    member = int(hits.gains.argmax())
    evidence = found.evidence(hits, member)
    controls = (*_twins(found, layers[member]), *_meaningless(found, layers[member]))
    outcome, reason = decide(evidence, controls, case.alpha)
    neurons, read, other = (float(one[member].mean()) for one in hits.test)
    summary = f"{case.test.task} in layer {layers[member]}: {neurons:.3f} in the neurons, {read:.3f} in what they read, {other:.3f} turned."
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=summary,
        site=f"L{layers[member]}",
        badges=Badges(observational=outcome == "supported"),
        evidence=tuple(evidence),
        controls=controls,
        rows={name: one.mean(1).tolist() for name, one in zip(("neurons", *BASELINES), hits.test, strict=True)},
    )


def _twins(found: _Run, layer: int) -> list[Control]:
    """Untrained models at the same layer must not pass."""
    controls = []
    for seed in range(found.case.test.n_untrained):
        model = found.case.twin(seed)
        evidence = found.evidence(found.hits(model, [layer], found.probed.items.label), 0)
        passed = not all(passes(one, found.case.alpha) for one in evidence)
        value = min(one.effect for one in evidence)
        controls.append(Control(name=f"untrained twin {seed}", kind="null", value=value, unit="accuracy", passed=passed))
    return controls


def _meaningless(found: _Run, layer: int) -> tuple[Control, Control]:
    """Labels exchanged among the words: not read better in the neurons; written into them, read there."""
    labels = np.random.default_rng(found.case.seed).permutation(found.probed.items.label)
    evidence = found.evidence(found.hits(found.case.model, [layer], labels), 0)
    nothing = not all(passes(one, found.case.alpha) for one in evidence)
    written = with_planted(found.vectors(found.case.model, "post", layer), labels, found.case.seed)
    read = float(found.probed.fitted(written, labels)[1].mean())
    return (
        Control(name="exchanged labels", kind="null", value=min(one.effect for one in evidence), unit="accuracy", passed=nothing),
        Control(
            name=f"exchanged labels written into the neurons of layer {layer}", kind="positive", value=read, unit="accuracy",
            passed=read >= PLANTED_AT_LEAST, detail=f"at least {PLANTED_AT_LEAST}",
        ),
    )  # fmt: skip


def _plan(case: Case[ExpansionProbe]) -> Plan:
    found, layers, test = _Run(case), _layers(case.model.anatomy), case.test
    steps = (
        Step(what="the model, layer by layer", tokens=3 * len(layers) * found.tokens),
        Step(what=f"{test.n_untrained} untrained twins", tokens=3 * test.n_untrained * found.tokens),
        Step(what="exchanged labels", tokens=4 * found.tokens),
    )
    family = len(layers)
    return sampled_plan(
        steps=steps, clusters=found.probed.documents, family=family, smallest_effect=test.margin, unit="accuracy", alpha=case.alpha
    )


PROTOCOL = Protocol(
    parameters=ExpansionProbe,
    needs="treebank",
    requires=(),
    family="every layer",
    controls=("untrained twins", "labels exchanged among words", "exchanged labels written into the neurons"),
    why_not=unread_neurons,
    plan=_plan,
    run=run,
)
