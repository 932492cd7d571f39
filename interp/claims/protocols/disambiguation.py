"""At which layer is an ambiguous word's sense there, and which sublayers bring it?

Design. Occurrences of ambiguous words that are marked with a sense. In each state of the stream (before the first layer, after each
attention, after each FFN) the sense is read at the word (the mean of its pieces) in two ways, for each word by itself: by the nearest mean
of the training occurrences, and by logistic regression. Documents are split: depths are chosen on the selection half (fitted on one part of
it, scored on the other) and tested on the confirmation half, fitted on the whole selection half. Unit: the document; comparisons are
paired on the same occurrences. What is asked:
  sublayer_adds   some attention (or FFN) raises the accuracy: after it against before it, and against a step as long in a random direction;
                  chosen on the selection half, p by max-T over layers
  ffn_rather      what all FFNs add, less what all attentions add
  read_at         after a named layer (or the best) the sense is read better than the strongest of: the word's most frequent sense, the
                  stream before the first layer, a bag of the sentence's other words, each untrained twin there
  resolved_by     the best layer, and the first that is within `within` of it and `over_majority` above the most frequent sense, are chosen
                  on the selection half. The effect is the share of the depth that is left after that one (where none is, it counts as one
                  layer too late). The confirmation half must show it less than `within` below every layer (lower bounds; the best that was
                  chosen may not be the best) and over the majority. It refutes by showing each depth up to `by` to be further below that
                  best, or less above the majority
  patched         with the state after a layer (a named one, or the last that ends within `by` of the depth), or with what all attentions,
                  or all FFNs, add, put at the word from a sentence of the other sense, the word is read after the last layer as that other
                  sense: against nothing replaced, and against the same done at another word. Pairs of sentences of a document that are
                  alike in length and place; see `sense_patching`
Both ways of reading must come to the same, or there is no verdict ("methods_disagree").

Controls. Null: untrained twins, held to the same rule (mixing words at random makes a cue readable too); senses exchanged among the
occurrences of a word must not be read above the most frequent of them. Positive: exchanged senses written into the vectors after the
middle layer must be read there, and chosen.
Out of scope: parallel blocks, in which attention and FFN read the same stream and nothing stands between them.
Assumptions: documents are independent; an untrained twin is given no step of noise, which makes it the easier to pass for what must not.
Source: Loureiro et al. (2021), Analysis and Evaluation of Language Models for WSD (CoarseWSD-20, the nearest mean). The states between
sublayers, the noise and the rule for "resolved" are ours.
What it does not tell: that the model uses the sense, nor whether the FFN could add anything without what attention brought before.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.layer_curves import Curve, curve_of
from interp.claims.protocols.parts.probing import parts
from interp.claims.protocols.parts.sense_asks import SENSE_ASKS, SenseAsk, SensesRead, read_evidence
from interp.claims.protocols.parts.sense_curves import Senses, meaningless_curves, sense_curves
from interp.claims.protocols.parts.sense_items import readers, sense_items
from interp.claims.protocols.parts.sense_patching import partners, patched_curves, refuse_few
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide, passes
from interp.claims.stages import Arrays
from interp.claims.verdict import Badges, Control, Evidence, Outcome, Reason
from interp.core.errors import ClaimError
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.models.untrained import untrained

PLANTED_AT_LEAST = 0.9


class Disambiguation(Parameters):
    """Parameters of "disambiguation"."""

    protocol: Literal["disambiguation"]
    asks: SenseAsk
    margin: float = Field(gt=0, lt=1, description="smallest effect that matters: accuracy; resolved_by: none, `by` says it")
    margin_source: str
    sublayer: Literal["attention", "ffn"] | None = Field(default=None, description="sublayer_adds: which; patched: whose writes")
    layer: int | None = Field(
        default=None, ge=0, description="read_at: after this layer, from 0 (None: the best, chosen); patched: the stream after this one"
    )
    by: float | None = Field(
        default=None, gt=0, lt=1, description="share of the depth; resolved_by: by when; patched: the stream after the last layer within it"
    )
    within: float = Field(default=0.02, gt=0, lt=1, description="resolved_by: how far below the best still counts as resolved, accuracy")
    over_majority: float = Field(default=0.1, gt=0, lt=1, description="how far above the most frequent sense it must be, accuracy")
    n_items: int = Field(default=1500, ge=100, description="occurrences drawn")
    strength: float = Field(default=0.1, gt=0, description="inverse of the logistic reader's penalty")
    n_untrained: int = Field(default=5, ge=5)

    @model_validator(mode="after")
    def _fits(self) -> "Disambiguation":
        wanted = {"sublayer_adds": "sublayer", "resolved_by": "by"}
        for asks, name in wanted.items():
            if self.asks != "patched" and (getattr(self, name) is not None) != (self.asks == asks):
                told = f"asks {self.asks!r} came with {name} {getattr(self, name)}"
                raise ValueError(f"{told}; expected {name} for {asks!r} and nothing else")
        if self.layer is not None and self.asks not in ("read_at", "patched"):
            raise ValueError(
                f"asks {self.asks!r} came with layer {self.layer}; expected a layer for 'read_at' or 'patched' and nothing else"
            )
        if self.asks == "patched" and sum(one is not None for one in (self.layer, self.sublayer, self.by)) != 1:
            came = f"layer {self.layer}, sublayer {self.sublayer}, by {self.by}"
            raise ValueError(f"asks 'patched' came with {came}; expected one of them: a layer, a sublayer, or by")
        return self

    def patched_after(self, n_layers: int) -> int:
        """patched: the layer after which the stream is replaced; -1 where none ends within `by`."""
        if self.layer is not None:
            return self.layer
        assert self.by is not None  # the parameters saw to it
        return int(self.by * n_layers + 1e-9) - 1


def _why_not(anatomy: Anatomy) -> str:
    if anatomy.encoder_decoder:
        return "is an encoder-decoder, which reads one text and writes another; the test runs single texts"
    if anatomy.parallel:
        return "has parallel blocks: attention and FFN read the same stream, and no state of it stands between them"
    layers = range(anatomy.n_layers)
    without = sum(anatomy.ffn(layer) is None or anatomy.attention(layer) is None for layer in layers)
    return f"has no attention or no FFN in {without} of its {len(layers)} layers; the test asks what each of them adds" if without else ""


def _senses(case: Case[Disambiguation]) -> Senses:
    words, items = sense_items(case.examples, case.test.n_items, case.seed)
    split = parts(items.document, case.seed)
    return Senses(examples=case.examples, words=words, items=items, parts=split, strength=case.test.strength, seed=case.seed)


def _plan(case: Case[Disambiguation]) -> Plan:
    senses, test = _senses(case), case.test
    tokens = sum(len(case.examples[number]) for number in {number for number, _ in senses.words})
    steps: tuple[Step, ...] = (
        Step(what="the model on the sentences", tokens=tokens),
        Step(what="exchanged senses", tokens=tokens),
        Step(what=f"{test.n_untrained} untrained twins", tokens=test.n_untrained * tokens),
    )
    ask, documents = SENSE_ASKS[test.asks], senses.documents
    if test.asks == "patched":
        _refuse_unpatchable(case, senses)
        steps += (
            Step(what="states of the other sense put in, of the model and its twins", tokens=5 * (1 + test.n_untrained) * tokens // 2),
        )
        documents = _paired(senses)
    return sampled_plan(
        steps=steps, clusters=documents, family=ask.family(test, case.model.anatomy.n_layers), smallest_effect=ask.smallest(test),
        unit=ask.unit, alpha=case.alpha,
    )  # fmt: skip


def _read(case: Case[Disambiguation], senses: Senses, twin: int | None) -> Arrays:
    """What the readers make of every state; with the other sense's states put in, too, where that is asked."""
    name = "model" if twin is None else f"untrained twin {twin}"

    def model() -> Model:
        case.tell(name)
        return case.model if twin is None else untrained(case.model, seed=twin)

    found = _shared(case, name, lambda: sense_curves(model(), senses, noise=twin is None))
    if case.test.asks != "patched":
        return found
    return found | case.stages.get(f"{name} patched", lambda: patched_curves(model(), senses, case.test))


def _shared(case: Case[Disambiguation], name: str, made: Callable[[], Arrays]) -> Arrays:
    """Made once for all claims that read the same occurrences in the same way, whatever each asks of them."""
    key = ("senses", name, case.model.fingerprint, case.read, case.seed, case.test.n_items, case.test.strength)
    return case.shared.get(key, lambda: case.stages.get(name, made))


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was read off a model, before any question is asked of it.

    Attributes:
        mine, twins: hits by reader and state (see `sense_curves`).
        nothing: the same with senses that mean nothing.
        majority, bag: what needs no model.
        middle: the state in which exchanged senses were written in.
    """

    senses: Senses
    mine: Arrays
    nothing: Arrays
    twins: list[Arrays]
    majority: Curve
    bag: Curve
    middle: int

    def read(self, test: Disambiguation, name: str, *, alpha: float, seed: int, twin: int | None = None) -> SensesRead:
        """One reader's curves, of the model or of a twin, beside those of the (other) twins."""
        arrays = self.mine if twin is None else self.twins[twin]
        others = [other for place, other in enumerate(self.twins) if place != twin]
        return SensesRead(
            test=test, reader=name, curve=curve_of(arrays, name), noise=arrays.get(f"{name} noise"), majority=self.majority, bag=self.bag,
            rivals=[curve_of(other, name) for other in others], documents=self.senses.documents, alpha=alpha, seed=seed,
            exchanged=arrays | {"documents": _paired(self.senses)} if test.asks == "patched" else {},
        )  # fmt: skip


def run(case: Case[Disambiguation]) -> Finding:
    """Judge a claim on where in the model an ambiguous word's sense is there."""
    return found_on(case, look(case))


def look(case: Case[Disambiguation]) -> Looked:
    """Run the model, its twins and the readers: all of the work."""
    senses, middle = _senses(case), 2 * max(1, case.model.anatomy.n_layers // 2)
    if case.test.asks == "patched":
        _refuse_unpatchable(case, senses)
    mine = _read(case, senses, None)
    case.tell("exchanged senses")
    nothing = _shared(case, "exchanged senses", lambda: meaningless_curves(case.model, senses, middle))
    twins = [_read(case, senses, number) for number in range(case.test.n_untrained)]
    return Looked(
        senses=senses, mine=mine, nothing=nothing, twins=twins, majority=senses.majority(), bag=senses.bag(), middle=middle
    )  # fmt: skip


def found_on(case: Case[Disambiguation], looked: Looked) -> Finding:
    """What the curves say to the question that the case asks."""
    test, nothing, ask = case.test, looked.nothing, SENSE_ASKS[case.test.asks]

    def read(twin: int | None) -> list[SensesRead]:
        return [looked.read(test, name, alpha=case.alpha, seed=case.seed, twin=twin) for name in readers(test.strength)]

    ours = read(None)
    evidence = [ask.evidence(one) for one in ours]
    nulls = []
    for number in range(len(looked.twins)):
        its = read(number)
        nulls.append(_twin(number, its, [ask.evidence(one) for one in its], case.alpha))
    as_often = curve_of(nothing, "majority")
    exchanged = [_exchanged(replace(one, majority=as_often), curve_of(nothing, f"shuffled {one.reader}")) for one in ours]
    written = [_planted(one.reader, curve_of(nothing, f"planted {one.reader}"), looked.middle) for one in ours]
    controls = (*nulls, *exchanged, *written)
    outcome, reason = _decide(evidence, controls, case.alpha)
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=" ".join(ask.summary(one) for one in ours),
        site=ask.site(ours[-1]),
        badges=Badges(causal=outcome == "supported") if test.asks == "patched" else Badges(observational=outcome == "supported"),
        evidence=tuple(one for each in evidence for one in each),
        controls=controls,
        rows=_rows(ours),
    )


def _paired(senses: Senses) -> np.ndarray:
    """The documents of the occurrences of the confirmation half that have a partner. Axes: (item,)."""
    return senses.items.document[senses.parts.test & (partners(senses) >= 0)]


def _refuse_unpatchable(case: Case[Disambiguation], senses: Senses) -> None:
    layers = case.model.anatomy.n_layers
    if case.test.layer is not None and case.test.layer >= layers:
        raise ClaimError(f"{case.id}: layer {case.test.layer} came; {case.model.name} has layers 0-{layers - 1}")
    if case.test.sublayer is None and case.test.patched_after(layers) < 0:
        raise ClaimError(
            f"{case.id}: no layer of {case.model.name} ends within {case.test.by} of its depth of {layers}; expected a later one"
        )
    refuse_few(case.id, senses)


def _decide(evidence: list[list[Evidence]], controls: tuple[Control, ...], alpha: float) -> tuple[Outcome, Reason]:
    """As every sampled claim, but that one way of reading alone decides nothing."""
    outcomes = [decide(each, controls, alpha) for each in evidence]
    decided = {outcome for outcome, _ in outcomes} & {"supported", "refuted"}
    if decided and len(set(outcomes)) > 1:
        return "inconclusive", "methods_disagree"
    return decide([one for each in evidence for one in each], controls, alpha)


def _twin(number: int, its: list[SensesRead], evidence: list[list[Evidence]], alpha: float) -> Control:
    """An untrained twin must not pass in either way of reading."""
    passed = not any(all(passes(one, alpha) for one in each) for each in evidence)
    value = max(float(one.curve.test[one.best].mean()) for one in its) - float(its[0].majority.test.mean())
    unit = "accuracy over the most frequent sense"
    return Control(name=f"untrained twin {number}", kind="null", value=value, unit=unit, passed=passed)


def _exchanged(ours: SensesRead, curve: Curve) -> Control:
    """Exchanged senses beside the most frequent of the exchanged senses, on the same occurrences."""
    one = read_evidence(ours, curve)
    passed = not passes(one, ours.alpha)
    name = f"exchanged senses, {ours.reader}"
    return Control(name=name, kind="null", value=one.effect, unit="accuracy over the most frequent sense", passed=passed)


def _planted(reader: str, curve: Curve, state: int) -> Control:
    """Written into the vectors of one state, they must be read there."""
    value = float(curve.test[state].mean())
    passed = value >= PLANTED_AT_LEAST and curve.best == state
    detail = f"the best state is {curve.best}, written at {state}; at least {PLANTED_AT_LEAST}"
    name = f"senses written in after L{state // 2 - 1}, {reader}"
    return Control(name=name, kind="positive", value=value, unit="accuracy", passed=passed, detail=detail)


def _rows(ours: list[SensesRead]) -> dict[str, list[float]]:
    """Accuracy by state on the confirmation half, for each reader: the model and the mean of its twins; and of what needs no model."""
    found: dict[str, list[float]] = {}
    for one in ours:
        found[one.reader] = one.curve.test.mean(1).tolist()
        found[f"{one.reader}, untrained"] = np.mean([rival.test.mean(1) for rival in one.rivals], axis=0).tolist()
    return {**found, "most frequent sense": ours[0].majority.test.mean(1).tolist(), "bag of words": ours[0].bag.test.mean(1).tolist()}


PROTOCOL = Protocol(
    parameters=Disambiguation,
    needs="treebank",
    requires=(),
    family="every layer, unless the claim names one",
    controls=("untrained twins", "senses exchanged among a word's occurrences", "exchanged senses written in after the middle layer"),
    why_not=_why_not,
    plan=_plan,
    run=run,
)
