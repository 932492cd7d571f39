"""Do models without something do worse than models with it, trained alike? Bundled models, compared by what texts cost them.

Design. Two lists of bundled models that share a tokenizer: those `without` (an FFN, say) and those `with_it`. What a text costs is nats per
token; a list `with_it` counts by its mean, so that two seeds stand for one recipe. Each model without must cost at least `nats` more: what
is said not to be possible without is refuted by one model that comes within it. Unit: the document; all texts are used, since nothing is
selected. The texts are the claim's; the model at hand plays no part.

Controls. Null: the seeds of the models with it, one against the others, must not pass: a difference that comes with another seed tells
nothing of what is left out. With one seed only there is no such null and no verdict ("null_not_run"). Positive: an untrained twin of a
model with it must cost at least `nats` more.
Assumption: both were trained alike, as their cards say; what differs with a seed in the models without is no larger than in those with it.
What it does not tell: what other sizes, more tokens or other data would give; a trend over sizes takes models that are trained for it.
Source: the catalogue, S1-21, S3-01; the null of seeds is ours.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, sampled_evidence
from interp.claims.protocols.parts.without_parts import Bench, Readings, readings
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence
from interp.core.errors import ClaimError
from interp.models.load import load_model
from interp.models.model import Model
from interp.models.untrained import untrained
from interp.texts.tokens import windows

UNIT = "nats per token"


class ModelsCompared(Parameters):
    """Parameters of "models_compared"."""

    protocol: Literal["models_compared"]
    without: tuple[str, ...] = Field(min_length=1, description="bundled models that lack it; each must cost more")
    with_it: tuple[str, ...] = Field(min_length=1, description="bundled models that have it, one recipe from several seeds")
    nats: float = Field(gt=0, description="smallest difference that matters, nats per token")
    nats_source: str
    n_tokens: int = Field(default=64, ge=8, description="texts are cut to so many")

    @property
    def models(self) -> tuple[str, ...]:
        """All that are compared."""
        return (*self.without, *self.with_it)

    @model_validator(mode="after")
    def _each_once(self) -> "ModelsCompared":
        if len(set(self.models)) < len(self.models):
            raise ValueError(f"{', '.join(self.models)} came; expected each model once")
        return self


class _Compared:
    """What the texts of a claim cost each of its models."""

    def __init__(self, case: Case[ModelsCompared]):
        self.case, self.test = case, case.test
        self.models = {name: load_model(name) for name in self.test.models}
        self.texts = _texts(case, list(self.models.values()))
        self.costs = {name: self.cost(model) for name, model in self.models.items()}

    def cost(self, model: Model) -> np.ndarray:
        """Nats per token of each text. Axes: (text,)."""
        self.case.tell(model.name)
        return Bench(model, self.texts, self.case.seed).clean

    @property
    def baseline(self) -> np.ndarray:
        """That of the models with it, their mean. Axes: (text,)."""
        return np.mean([self.costs[name] for name in self.test.with_it], axis=0)

    def evidence(self, name: str, cost: np.ndarray, baseline: np.ndarray, of: str, pieces: int = 1) -> Evidence:
        """What one costs more than others."""
        return sampled_evidence(
            name=name,
            unit=UNIT,
            values=cost[None],
            baseline=baseline[None],
            baseline_name=of,
            clusters=self.texts.documents,
            member=0,
            smallest_effect=self.test.nats,
            alpha=self.case.alpha,
            seed=self.case.seed,
            largest=np.inf,
            pieces=pieces,
        )

    def seeds(self) -> tuple[Control, ...]:
        """Each model with it against the others: must not pass."""
        names = self.test.with_it if len(self.test.with_it) > 1 else ()
        return tuple(self._seed(name) for name in names)

    def _seed(self, name: str) -> Control:
        others = [other for other in self.test.with_it if other != name]
        found = self.evidence(name, self.costs[name], np.mean([self.costs[other] for other in others], axis=0), ", ".join(others))
        told = f"{name} against {', '.join(others)}, one recipe"
        return Control(name=told, kind="null", value=found.effect, unit=UNIT, passed=not passes(found, self.case.alpha))

    def twin(self) -> Control:
        """An untrained model must pass."""
        model = untrained(self.models[self.test.with_it[0]], seed=0)
        found = self.evidence(model.name, self.cost(model), self.baseline, "the models with it")
        return Control(name="an untrained twin", kind="positive", value=found.effect, unit=UNIT, passed=passes(found, self.case.alpha))


def _texts(case: Case[ModelsCompared], models: list[Model]) -> Readings:
    """The claim's texts in the tokens of its models. Raises: ClaimError where those are not the same."""
    vocabularies = [model.hf.config.vocab_size for model in models]
    spelled = [tuple(model.tokenizer.convert_ids_to_tokens(list(range(size)))) for model, size in zip(models, vocabularies, strict=True)]
    if unlike := [model.name for model, tokens in zip(models, spelled, strict=True) if tokens != spelled[0]]:
        raise ClaimError(f"{case.id}: {', '.join(unlike)} have other tokens than {models[0].name}; nats per token cannot be compared")
    texts = {example.text: example.document or example.name for example in case.examples}
    n_ctx = min(model.anatomy.n_ctx for model in models)
    found = [
        replace(window, document=document or str(number))
        for number, (text, document) in enumerate(texts.items())
        for window in windows(text, models[0].tokenizer, n_ctx)
    ]
    return readings(case.id, found, case.test.n_tokens, case.seed)


def run(case: Case[ModelsCompared]) -> Finding:
    """Judge "it is not possible without"."""
    found, without = _Compared(case), case.test.without
    of = " and ".join(case.test.with_it)
    evidence = [found.evidence(name, found.costs[name], found.baseline, of, len(without)) for name in without]
    controls = (*found.seeds(), found.twin())
    outcome, reason = decide(evidence, controls, case.alpha)
    if outcome == "supported" and len(case.test.with_it) < 2:
        outcome, reason = "inconclusive", "null_not_run"
    told = ", ".join(f"{name} {cost.mean():.3f}" for name, cost in found.costs.items())
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=f"Nats per token: {told}.",
        badges=Badges(observational=outcome == "supported"),
        evidence=tuple(evidence),
        controls=controls,
        rows={name: [float(cost.mean())] for name, cost in found.costs.items()},
        data={name: model.fingerprint for name, model in found.models.items()},
    )


def _plan(case: Case[ModelsCompared]) -> Plan:
    test = case.test
    texts = _texts(case, [load_model(name) for name in test.models])
    n = len(test.without) + len(test.with_it) + 1
    return sampled_plan(
        steps=(Step(what=f"{n} models on the texts", tokens=n * sum(map(len, texts.examples))),),
        clusters=texts.documents,
        family=1,
        smallest_effect=test.nats,
        unit=UNIT,
        alpha=case.alpha,
        shares=False,
    )


PROTOCOL = Protocol(
    parameters=ModelsCompared,
    needs="texts",
    requires=(),
    family="each model without; every one must cost more",
    controls=("the seeds of the models with it, one against the others: must not pass", "an untrained twin: must pass"),
    why_not=lambda anatomy: "",
    plan=_plan,
    run=run,
    subject=lambda test: f"{', '.join(test.without)} against {', '.join(test.with_it)}",
)
