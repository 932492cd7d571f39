"""Do heads differ? Whether the heads of a layer are alike, and how many kinds of heads there are, by their patterns or by their effects.

Design. The distance of two heads on a text is taken by `patterns`, the Jensen-Shannon divergence of what they attend to, in nats, from 0 to
ln 2 (`pattern_distance`); or by `effects`, how little what is lost without the one has to do with what is lost without the other, token
by token, from 0 to 1 (`effect_profiles`). Texts are split by document. A claim says one of:
  layers are alike   heads of one layer are closer than heads of different layers, by at least `nats` (by effects: `unlike`). On the
                     confirmation half the difference stands, text by text, against that of the untrained twin in which it is largest
                     on the selection half
  roles              there are `n_roles` roles (without a number: each head is one): heads are clustered into so many on the selection
                     half, and on the other half each two of them must be at least `nats` further apart than the heads within them.
                     Every pair is held to the rule (an intersection of tests needs no correction), and the evidence is that of one that
                     fails it, or of the one nearest to that. Where each head is a role, it refutes by its bound at a level that all
                     pairs share. With a number, one partition of many was tried: that there is none is never said
Unit: the document; each text counts once, cut to `n_tokens`. The heads are those of this model: nothing is said of heads not seen.

Controls. Positive: patterns planted while the model runs, by layer or role at a key of their own, must be read back as ln 2 apart (by
effects: pushes of the stream, each group's at a position of its own, must be read back as alike within and unlike between groups); with
`n_roles` the clusters of the other half must be those of the selection half (adjusted Rand index at least `stability`). Null: untrained
twins must not pass; for layers, 95 % of the draws of shuffled layers must come to less.
Source: Clark et al. (2019), section 6, for patterns; average linkage and a test on texts that made no cluster are ours.
What it does not tell: what a role is, nor whether the model uses it. Heads that rest on the first token are alike whatever else they do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, sampled_evidence
from interp.claims.protocols.parts.effect_profiles import each_head, effect_distances, shoving
from interp.claims.protocols.parts.part_evidence import furthest
from interp.claims.protocols.parts.pattern_distance import Distances, Fold, apart, between_roles, distances, planting
from interp.claims.protocols.parts.without_parts import Bench, Readings, layer_of, parts_of, readings
from interp.claims.protocols.protocol import Case, Parameters, Protocol, needs_attention
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence
from interp.core.errors import ClaimError
from interp.models.model import Model
from interp.models.untrained import untrained

UNITS = {"patterns": "nats (JSD)", "effects": "of 1 (uncorrelated: 0.5)"}
LARGEST = {"patterns": log(2), "effects": 1.0}


class HeadDiversity(Parameters):
    """Parameters of "head_diversity"."""

    protocol: Literal["head_diversity"]
    claimed: Literal["layers are alike", "roles"]
    by: Literal["patterns", "effects"] = Field(default="patterns", description="what heads are compared by")
    n_roles: int | None = Field(default=None, ge=2, description="None: each head is a role of its own")
    nats: float | None = Field(default=None, gt=0, lt=log(2), description="smallest difference of divergences that matters")
    nats_source: str = ""
    unlike: float | None = Field(default=None, gt=0, lt=1, description="by effects: smallest difference of (1 - r) / 2 that matters")
    unlike_source: str = ""
    stability: float = Field(default=0.7, gt=0, le=1, description="smallest adjusted Rand index of the two halves' roles")
    n_tokens: int = Field(default=64, ge=8, description="texts are cut to so many")
    n_draws: int = Field(default=100, ge=20, description="shuffled layers")
    n_untrained: int = Field(default=5, ge=5)

    @model_validator(mode="after")
    def _roles_of_roles(self) -> "HeadDiversity":
        if self.claimed != "roles" and self.n_roles is not None:
            raise ValueError(f"n_roles {self.n_roles} came; expected it for 'roles' alone")
        said = {"patterns": (self.nats, self.nats_source), "effects": (self.unlike, self.unlike_source)}
        if not all(said.pop(self.by)) or any(one for pair in said.values() for one in pair):
            field = "nats and nats_source" if self.by == "patterns" else "unlike and unlike_source"
            raise ValueError(f"by {self.by!r} came with nats {self.nats}, unlike {self.unlike}; expected {field}, and no other")
        return self

    @property
    def smallest(self) -> float:
        """The smallest difference that matters, in the unit of the distance."""
        return float((self.nats if self.by == "patterns" else self.unlike) or 0.0)


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """A claim's texts, and the layer of each head."""

    case: Case[HeadDiversity]
    texts: Readings
    layers: np.ndarray

    @property
    def n_roles(self) -> int:
        return self.case.test.n_roles or len(self.layers)

    def half(self, model: Model, chosen: np.ndarray, fold: Fold) -> Distances:
        """The distances on the texts of a half."""
        if self.case.test.by == "effects":
            bench = Bench(model, self.texts, self.case.seed)
            return effect_distances(bench, each_head(bench), chosen, fold)
        return distances(model, [self.texts.examples[place] for place in np.flatnonzero(chosen)], fold)

    @property
    def unit(self) -> str:
        return UNITS[self.case.test.by]

    @property
    def largest(self) -> float:
        return LARGEST[self.case.test.by]

    def evidence(self, name: str, values: np.ndarray, baseline: np.ndarray, of: str, pieces: int = 1) -> Evidence:
        """One thing on the confirmation half; values and baseline by axes (text,)."""
        return sampled_evidence(
            name=name,
            unit=self.unit,
            values=values[None],
            baseline=baseline[None],
            baseline_name=of,
            clusters=self.texts.documents[self.texts.confirm],
            member=0,
            smallest_effect=self.case.test.smallest,
            alpha=self.case.alpha,
            seed=self.case.seed,
            highest=self.largest,
            largest=self.largest,
            pieces=pieces,
        )


def _setting(case: Case[HeadDiversity]) -> _Setting:
    texts = readings(case.id, case.examples, case.test.n_tokens, case.seed)
    layers = np.array([layer_of(head) for head in parts_of(case.model.anatomy, "heads")])
    if case.test.claimed == "layers are alike" and (len(set(layers)) < 2 or len(layers) == len(set(layers))):
        raise ClaimError(f"{case.id}: {case.model.name} has {len(layers)} heads in {len(set(layers))} layers; expected two of each")
    if (case.test.n_roles or 2) > len(layers):
        raise ClaimError(f"{case.id}: {case.test.n_roles} roles came; {case.model.name} has {len(layers)} heads")
    return _Setting(case=case, texts=texts, layers=layers)


def _plan(case: Case[HeadDiversity]) -> Plan:
    setting = _setting(case)
    tokens, alike = sum(map(len, setting.texts.examples)), case.test.claimed == "layers are alike"
    on = sum(len(setting.texts.examples[place]) for place in np.flatnonzero(setting.texts.confirm)) if alike else tokens
    steps: tuple[Step, ...] = (
        Step(what="the model on the texts", tokens=on),
        Step(what=f"{case.test.n_untrained} untrained twins, to choose and to confirm", tokens=case.test.n_untrained * tokens),
        Step(what="planted patterns", tokens=sum(map(len, setting.texts.others))),
    )
    if case.test.by == "effects":  # every text once as it is, and once without each head
        steps = tuple(replace(step, tokens=step.tokens * (1 + len(setting.layers))) for step in steps)
    clusters, test = setting.texts.documents[setting.texts.confirm], case.test
    return sampled_plan(
        steps=steps, clusters=clusters, family=1, smallest_effect=test.smallest, unit=setting.unit, alpha=case.alpha, shares=False
    )


def run(case: Case[HeadDiversity]) -> Finding:
    """Judge what a claim says of how heads differ."""
    if case.test.by == "effects":
        if not (case.model.anatomy.causal and case.model.anatomy.lm_head):
            summary = f"{case.model.name} does not predict the next token, so that what a head is worth cannot be told in nats."
            return Finding(outcome="not applicable", reason="out_of_scope", summary=summary, badges=Badges(), evidence=(), controls=())
        case.model.require("ablation")
    setting = _setting(case)
    judged = _layers_are_alike if case.test.claimed == "layers are alike" else _roles
    evidence, controls, summary, rows = judged(setting)
    outcome, reason = decide([evidence], controls, case.alpha)
    badges = Badges(observational=outcome == "supported")
    return Finding(outcome=outcome, reason=reason, summary=summary, badges=badges, evidence=(evidence,), controls=controls, rows=rows)


Judged = tuple[Evidence, tuple[Control, ...], str, dict[str, list[float]]]


def _twins(setting: _Setting) -> Iterator[Model]:
    """One at a time."""
    return (untrained(setting.case.model, seed=number) for number in range(setting.case.test.n_untrained))


def _layers_are_alike(setting: _Setting) -> Judged:
    case, confirm = setting.case, setting.texts.confirm

    def found(model: Model, name: str) -> Distances:
        def arrays() -> dict[str, np.ndarray]:
            case.tell(name)
            one = setting.half(model, confirm, lambda distance: np.array([apart(distance, setting.layers)]))
            return {"mean": one.mean, "numbers": one.numbers}

        return Distances(**case.stages.get(name, arrays))

    ours, twins = found(case.model, "model"), [found(twin, f"untrained twin {number}") for number, twin in enumerate(_twins(setting))]
    strongest = twins[_strongest(setting)].numbers[0]
    evidence = setting.evidence("heads of other layers further than of one", ours.numbers[0], strongest, "strongest untrained twin")
    nulls = [
        _null(setting, number, setting.evidence("twin", twin.numbers[0], np.zeros_like(strongest), "nothing"))
        for number, twin in enumerate(twins)
    ]
    rng = np.random.default_rng(case.seed)
    draws = [apart(ours.mean, rng.permutation(setting.layers)) for _ in range(case.test.n_draws)]
    share = float(np.mean(np.array(draws) < ours.numbers[0].mean()))
    shuffled = Control(name="shuffled layers come to less", kind="null", value=share, unit="share of the draws", passed=share >= 0.95)
    rows = _by_layer(ours.mean, setting.layers)
    summary = (
        f"Heads of one layer are {_within(ours.mean, setting.layers):.3f} {setting.unit} apart, heads of different layers "
        f"{_within(ours.mean, setting.layers) + apart(ours.mean, setting.layers):.3f}."
    )
    return evidence, (_planted(setting, setting.layers), *nulls, shuffled), summary, rows


def _strongest(setting: _Setting) -> int:
    """The untrained twin whose layers are most alike on the selection half."""

    def arrays() -> dict[str, np.ndarray]:
        setting.case.tell("untrained twins, to choose")
        return {
            "alike": np.array([apart(setting.half(twin, setting.texts.choose, _nothing).mean, setting.layers) for twin in _twins(setting)])
        }

    return int(setting.case.stages.get("untrained twins to choose", arrays)["alike"].argmax())


def _nothing(distance: np.ndarray) -> np.ndarray:
    return np.zeros(1)


@dataclass(frozen=True, kw_only=True)
class _Roles:
    """Roles of a model's heads. `apart`: how far each two are apart on the confirmation half, axes (pair, text)."""

    roles: np.ndarray
    apart: np.ndarray
    agreement: float
    distance: np.ndarray


def _clustered(distance: np.ndarray, n_roles: int) -> np.ndarray:
    """Each head's role, numbered by its first head. Axes: (head, head) -> (head,)."""
    if n_roles == len(distance):
        return np.arange(n_roles)
    from sklearn.cluster import AgglomerativeClustering  # here: half a second of imports that only verdicts need

    found = AgglomerativeClustering(n_clusters=n_roles, metric="precomputed", linkage="average").fit_predict(distance)
    order = {role: number for number, role in enumerate(dict.fromkeys(found.tolist()))}
    return np.array([order[role] for role in found.tolist()])


def _roles_of(setting: _Setting, model: Model) -> _Roles:
    chosen = setting.half(model, setting.texts.choose, _nothing).mean
    roles = _clustered(chosen, setting.n_roles)
    confirmed = setting.half(model, setting.texts.confirm, lambda distance: between_roles(distance, roles))
    from sklearn.metrics import adjusted_rand_score

    agreement = float(adjusted_rand_score(roles, _clustered(confirmed.mean, setting.n_roles)))
    return _Roles(roles=roles, apart=confirmed.numbers, agreement=agreement, distance=confirmed.mean)


def _roles(setting: _Setting) -> Judged:
    case = setting.case
    case.tell("model")
    ours = _roles_of(setting, case.model)
    evidence, nulls = _closest(setting, ours), []
    for number, twin in enumerate(_twins(setting)):
        case.tell(f"untrained twin {number}")
        nulls.append(_null(setting, number, _closest(setting, _roles_of(setting, twin))))
    own = setting.n_roles == len(setting.layers)  # there is one such division, and nothing to find again
    stable = Control(
        name="the same roles on the other half", kind="positive", value=ours.agreement, unit="adjusted Rand index",
        passed=ours.agreement >= case.test.stability, detail=f"at least {case.test.stability}",
    )  # fmt: skip
    heads = parts_of(case.model.anatomy, "heads")
    sizes = sorted(np.bincount(ours.roles).tolist(), reverse=True)
    told = f"{', '.join(map(str, sizes[:8]))}{', ...' if len(sizes) > 8 else ''}"
    summary = f"{setting.n_roles} roles of {told} heads; the closest two are {evidence.estimate:.3f} {setting.unit} apart."
    rows = {head: [float(role)] for head, role in zip(heads, ours.roles, strict=True)}
    return evidence, (_planted(setting, ours.roles), *([] if own else [stable]), *nulls), summary, rows


def _closest(setting: _Setting, found: _Roles) -> Evidence:
    """The pair of roles that is furthest from showing that it is apart, with its own bound; of one division among many, no bound."""
    documents, nothing = setting.texts.documents[setting.texts.confirm], np.zeros(found.apart.shape[1])

    def of(pair: int) -> Evidence:
        return setting.evidence("the closest two roles", found.apart[pair], nothing, "no distance", pieces=len(found.apart))

    told = furthest(found.apart, documents, setting.case.test.smallest, of, setting.case.alpha)
    return told if setting.n_roles == len(setting.layers) else replace(told, upper=setting.largest)


def _null(setting: _Setting, number: int, evidence: Evidence) -> Control:
    passed = not passes(evidence, setting.case.alpha)
    return Control(name=f"untrained twin {number}", kind="null", value=evidence.estimate, unit=setting.unit, passed=passed)


def _planted(setting: _Setting, groups: np.ndarray) -> Control:
    """Put in while the model runs, each group's at a place of its own (counted anew after the last), and read as all are read."""
    return (_planted_effects if setting.case.test.by == "effects" else _planted_patterns)(setting, groups)


def _planted_patterns(setting: _Setting, groups: np.ndarray) -> Control:
    keys = np.unique(groups % min(map(len, setting.texts.others)), return_inverse=True)[1]
    with planting(setting.case.model, keys):
        found = distances(setting.case.model, setting.texts.others, _nothing).mean
    value = float(between_roles(found, keys).min())
    return Control(
        name="planted patterns", kind="positive", value=value, unit=setting.unit, passed=abs(value - setting.largest) < 1e-5, detail="ln 2"
    )


def _planted_effects(setting: _Setting, groups: np.ndarray) -> Control:
    """Profiles that are one peak each: those of one place are alike, those of two correlate by less than nothing."""
    shortest = min(len(setting.texts.examples[place]) for place in np.flatnonzero(setting.texts.choose))
    keys = np.unique(groups % (shortest - 1), return_inverse=True)[1]
    bench = Bench(setting.case.model, setting.texts, setting.case.seed)
    found = effect_distances(bench, shoving(setting.case.model, keys), setting.texts.choose, _nothing).mean
    value = float(between_roles(found, keys).min())
    return Control(name="planted effects", kind="positive", value=value, unit=setting.unit, passed=value >= 0.5, detail="at least 0.5")


def _within(distance: np.ndarray, groups: np.ndarray) -> float:
    same = (groups[:, None] == groups) & ~np.eye(len(groups), dtype=bool)
    return float(distance[same].mean())


def _by_layer(distance: np.ndarray, layers: np.ndarray) -> dict[str, list[float]]:
    """Each layer's mean distance to every layer, its own among them."""
    rows = {}
    for layer in sorted(set(layers.tolist())):
        parts = {other: distance[np.ix_(layers == layer, layers == other)] for other in sorted(set(layers.tolist()))}
        n = {other: part.size - (len(part) if other == layer else 0) for other, part in parts.items()}
        rows[f"L{layer}"] = [float(part.sum() / max(n[other], 1)) for other, part in parts.items()]
    return rows


PROTOCOL = Protocol(
    parameters=HeadDiversity,
    needs="texts",
    requires=("patterns",),
    family="all pairs of heads; of roles every pair must hold",
    controls=("untrained twins", "shuffled layers", "planted patterns or effects", "the roles of the other half"),
    why_not=needs_attention,
    plan=_plan,
    run=run,
)
