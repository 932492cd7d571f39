"""Do the heads of a layer work in different subspaces of the stream? How much theirs overlap, against heads drawn at random.

Design. In each layer the overlap of two heads is the mean cos^2 of the principal angles between what they read (W_Q, W_K, W_V) or what
their OV circuit writes; each matrix that a claim names gives one evidence, and all must hold. Told as what is *not* shared, the mean sin^2,
so that more is more different. "Different" has more than one meaning, and a claim says which one it has:
  less than random        the subspaces avoid each other: they share less than random Gaussian heads of the same shape, whose expectation is
                          d_head / d_model, by at least the margin. Baseline: the smaller of that and what untrained twins share
  no more than random     the excess over random heads stays below the margin (non-inferiority: the *room* left below it is above 0)
The margin is a share of what random heads overlap. Beside both stands what the layer's own directions overlap when they are dealt to heads
anew: heads may share more than random ones only because their layer uses few directions. It decides nothing, since whatever the division,
the mean over pairs differs little: orthogonal heads dealt anew are all but orthogonal. Unit: the head, by jackknife values: a pair
belongs to two heads, and heads taken for independent with their mean over pairs would halve the interval. Refuting takes each matrix's
bound at a level that the matrices share.

Heads that share keys and values have one key and one value between them, which counts once: what a group shares, it shares by construction.
With a single one in a layer (multi-query attention) there is no pair, and a claim on keys or values is not applicable. Silent heads are
left out; layers with fewer than three heads as well.

Controls. Positive: heads planted as orthogonal as they can be (less), drawn random heads (no more) must show the effect: they are written
into a decoder of the same sizes, and read off it as the model's are. Null: heads planted all alike must not; for "less" neither must drawn
random heads nor untrained twins, and less than 5 % of the draws may reach the model's value.
Untrained twins are no null for "no more than random": that is what they are.
Assumption: a head's subspace is a sample of what such heads use; the weights themselves are known without error.
Source: Björck & Golub (1973) on the angles; for the question Vaswani et al. (2017), section 3.2.2, "different representation subspaces".
What it does not tell: how strongly a head uses a direction, what lies along it, what norms before it make of the stream, nor whether heads
attend alike: subspaces that overlap can hold different maps.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, sampled_evidence
from interp.claims.protocols.parts.planted_subspaces import planted, written_and_read
from interp.claims.protocols.parts.subspaces import (
    FEWEST_HEADS,
    Layers,
    Matrix,
    by_head,
    head_subspaces,
    least_overlap,
    mean_overlaps,
    overlap,
    random_heads,
    random_overlap,
    redealt,
)
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence
from interp.core.errors import ClaimError, ModelUnsupported
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.models.untrained import untrained

UNIT = "mean sin² of the angles"
DEALS = 5  # of a layer's directions: their mean is told, and decides nothing


class HeadSubspaces(Parameters):
    """Parameters of "head_subspaces"."""

    protocol: Literal["head_subspaces"]
    claimed: Literal["less than random", "no more than random"] = Field(description="what overlap is said to be")
    of: tuple[Matrix, ...] = Field(default=("query", "key", "value", "output"), min_length=1, description="each must hold")
    margin: float = Field(gt=0, lt=1, description="smallest difference that matters, as a share of what random heads overlap")
    margin_source: str
    n_draws: int = Field(default=20, ge=20, description="draws of random heads")
    n_untrained: int = Field(default=5, ge=5)


def _why_not(anatomy: Anatomy) -> str:
    if anatomy.encoder_decoder:
        return "is an encoder-decoder; the test compares the heads of a single stack"
    without = sum(anatomy.attention(layer) is None for layer in range(anatomy.n_layers))
    return "has no attention" if without == anatomy.n_layers else ""


@dataclass(frozen=True, kw_only=True)
class _Heads:
    """One matrix of one model's heads, or of heads to compare with. `layers`: bases by layer."""

    case: Case[HeadSubspaces]
    matrix: Matrix
    layers: Layers

    @cached_property
    def unlike(self) -> np.ndarray:
        """What each head does not share with the others of its layer, as stand-in values. Axes: (head,), layer after layer."""
        return np.concatenate([by_head(1 - overlap(bases)) for bases in self.layers.values()])

    @cached_property
    def random(self) -> np.ndarray:
        """The same for random heads, in expectation. Axes: (head,)."""
        return np.concatenate([by_head(1 - random_overlap(bases)) for bases in self.layers.values()])

    @cached_property
    def drawn(self) -> list["_Heads"]:
        """Random heads of the same shape."""
        rngs = [np.random.default_rng([self.case.seed, 1, draw]) for draw in range(self.case.test.n_draws)]
        return [replace(self, layers={layer: random_heads(bases, rng) for layer, bases in self.layers.items()}) for rng in rngs]

    @cached_property
    def dealt(self) -> dict[int, float]:
        """Mean overlap of each layer's directions dealt anew, the mean of the draws."""
        rngs = [np.random.default_rng([self.case.seed, 2, deal]) for deal in range(DEALS)]
        draws = [mean_overlaps({layer: redealt(bases, rng) for layer, bases in self.layers.items()}) for rng in rngs]
        return {layer: float(np.mean([draw[layer] for draw in draws])) for layer in self.layers}

    def like(self, *, identical: bool) -> "_Heads":
        """Planted heads of the same shape."""
        return self.through_a_run({layer: planted(bases, identical=identical) for layer, bases in self.layers.items()})

    def through_a_run(self, layers: Layers) -> "_Heads":
        """Other heads, as they are read off a decoder that was written with them; layers with the same heads once."""
        alike = {bases.tobytes(): bases for bases in layers.values()}
        read = {key: written_and_read(bases, self.matrix, self.case.model) for key, bases in alike.items()}
        return replace(self, layers={layer: read[bases.tobytes()] for layer, bases in layers.items()})

    @property
    def most(self) -> float:
        """The most that can be unlike."""
        return float(np.concatenate([np.full(len(bases), 1 - least_overlap(bases)) for bases in self.layers.values()]).mean())


def _read(case: Case[HeadSubspaces], model: Model) -> dict[Matrix, _Heads]:
    """Raises: ModelUnsupported, as the rest of a sentence on the model, where there is nothing to compare."""
    found = head_subspaces(model, case.test.of)
    for matrix, layers in found.items():
        if not layers:
            shared = f" ({model.anatomy.n_key_value_heads} for all heads of a layer)" if matrix in ("key", "value") else ""
            raise ModelUnsupported(f"has no layer with {FEWEST_HEADS} heads that each have a {matrix} projection of their own{shared}")
    return {matrix: _Heads(case=case, matrix=matrix, layers=layers) for matrix, layers in found.items()}


def _plan(case: Case[HeadSubspaces]) -> Plan:
    try:
        found = _read(case, case.model)
    except ModelUnsupported as error:
        raise ClaimError(f"{case.id}: {case.model.name} {error}; nothing would be run") from error
    tokens = 2 * (case.model.anatomy.d_model + 2)
    steps = (
        Step(what="unit vectors through the model's projections", tokens=tokens),
        Step(what=f"{case.test.n_untrained} untrained twins", tokens=case.test.n_untrained * tokens),
    )
    fewest = min(found.values(), key=lambda heads: len(heads.unlike))
    return sampled_plan(
        steps=steps, clusters=np.arange(len(fewest.unlike)), family=len(case.test.of),
        smallest_effect=_margin(case, fewest), unit=UNIT, alpha=case.alpha, shares=False,
    )  # fmt: skip


def run(case: Case[HeadSubspaces]) -> Finding:
    """Judge "the heads of a layer work in different subspaces", in the sense that the claim names."""
    test = case.test
    try:
        ours = _read(case, case.model)
    except ModelUnsupported as error:
        summary = f"{case.model.name} {error}."
        return Finding(outcome="not applicable", reason="out_of_scope", summary=summary, badges=Badges(), evidence=(), controls=())
    case.tell("untrained twins")
    twins = [_read(case, untrained(case.model, seed=number)) for number in range(test.n_untrained)]
    strongest = {matrix: max(twins, key=lambda twin: twin[matrix].unlike.mean())[matrix].unlike.mean() for matrix in ours}
    evidence = tuple(_evidence(case, heads, float(strongest[heads.matrix])) for heads in ours.values())
    controls = _controls(case, ours, twins)
    outcome, reason = decide(evidence, controls, case.alpha)
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=f"{'; '.join(map(_told, ours.values()))}.{_shared(case)}",
        badges=Badges(observational=outcome == "supported"),
        evidence=evidence,
        controls=controls,
        rows=_rows(ours, twins),
    )


def _margin(case: Case[HeadSubspaces], heads: _Heads) -> float:
    return case.test.margin * float(1 - heads.random.mean())


def _evidence(case: Case[HeadSubspaces], heads: _Heads, twin: float = 0.0) -> Evidence:
    """One matrix against the claim's baseline. `twin`: what the best untrained twin does not share; 0 where it plays no part."""
    if case.test.claimed == "less than random":
        by_twin = twin > heads.random.mean()
        baseline, name = (np.full(len(heads.random), twin), "untrained twin") if by_twin else (heads.random, "random heads, expected")
        return _sampled(case, heads, f"unlike each other, {heads.matrix}", baseline, name, heads.most)
    baseline, name = heads.random - _margin(case, heads), f"random heads, expected, less the margin {_margin(case, heads):.3f}"
    room = _sampled(case, heads, f"room below the margin, {heads.matrix}", baseline, name, None)
    return replace(room, smallest_effect=0.0)  # power stays that of seeing the room when heads are as the baseline


def _sampled(case: Case[HeadSubspaces], heads: _Heads, name: str, baseline: np.ndarray, of: str, highest: float | None) -> Evidence:
    return sampled_evidence(
        name=name,
        unit=UNIT,
        values=heads.unlike[None],
        baseline=baseline[None],
        baseline_name=of,
        clusters=np.arange(len(heads.unlike)),
        member=0,
        smallest_effect=_margin(case, heads),
        alpha=case.alpha,
        seed=case.seed,
        highest=highest,
        families=len(case.test.of),
        pieces=len(case.test.of),
    )


def _controls(case: Case[HeadSubspaces], ours: dict[Matrix, _Heads], twins: list[dict[Matrix, _Heads]]) -> tuple[Control, ...]:
    alike = _control(case, "heads planted all alike", "null", [heads.like(identical=True) for heads in ours.values()])
    random = [heads.through_a_run(heads.drawn[0].layers) for heads in ours.values()]
    if case.test.claimed == "no more than random":
        return (_control(case, "drawn random heads", "positive", random), alike)
    orthogonal = [heads.like(identical=False) for heads in ours.values()]
    nulls = [_control(case, f"untrained twin {number}", "null", list(twin.values())) for number, twin in enumerate(twins)]
    positive = _control(case, "heads planted orthogonal", "positive", orthogonal)
    return (positive, alike, _control(case, "drawn random heads", "null", random), *nulls, *map(_draws, ours.values()))


def _control(case: Case[HeadSubspaces], name: str, kind: Literal["null", "positive"], heads: list[_Heads]) -> Control:
    """Other heads, all their matrices held to the claim's rule; of positives, which are planted, to its effect."""
    value = float(np.mean([one.unlike.mean() for one in heads]))
    if kind == "positive":
        return Control(name=name, kind=kind, value=value, unit=UNIT, passed=all(_reaches(case, one) for one in heads))
    supported = all(_reaches(case, one) and passes(_evidence(case, one), case.alpha) for one in heads)
    return Control(name=name, kind=kind, value=value, unit=UNIT, passed=not supported)


def _reaches(case: Case[HeadSubspaces], heads: _Heads) -> bool:
    """Whether the effect itself is large enough, wherever its interval ends."""
    effect = float((heads.unlike - heads.random).mean())
    return effect >= (_margin(case, heads) if case.test.claimed == "less than random" else -_margin(case, heads))


def _draws(heads: _Heads) -> Control:
    """The share of the draws of random heads that share more than the model's."""
    share = float(np.mean([drawn.unlike.mean() < heads.unlike.mean() for drawn in heads.drawn]))
    name = f"random heads that share more, {heads.matrix}"
    return Control(name=name, kind="null", value=share, unit="share of the draws", passed=share > 0.95, detail="more than 0.95 of them")


def _told(heads: _Heads) -> str:
    dealt = np.average([heads.dealt[layer] for layer in heads.layers], weights=[len(bases) for bases in heads.layers.values()])
    return (
        f"{heads.matrix}: heads of a layer overlap by {1 - heads.unlike.mean():.3f} (mean cos²), random ones by "
        f"{1 - heads.random.mean():.3f}, the layer's directions dealt anew by {dealt:.3f}"
    )


def _shared(case: Case[HeadSubspaces]) -> str:
    anatomy = case.model.anatomy
    if anatomy.n_key_value_heads == anatomy.n_heads or not {"key", "value"} & set(case.test.of):
        return ""
    each = anatomy.n_heads // anatomy.n_key_value_heads
    return f" Keys and values are those of {anatomy.n_key_value_heads} groups: the {each} heads of a group share theirs by construction."


def _rows(ours: dict[Matrix, _Heads], twins: list[dict[Matrix, _Heads]]) -> dict[str, list[float]]:
    """By layer and matrix the mean overlap: the model's, expected of random heads, dealt anew, the mean of the untrained twins."""
    rows = {}
    for matrix, heads in ours.items():
        model, untrained_ones = mean_overlaps(heads.layers), [mean_overlaps(twin[matrix].layers) for twin in twins]
        for layer, bases in heads.layers.items():
            expected = float(by_head(random_overlap(bases)).mean())
            known = [twin[layer] for twin in untrained_ones if layer in twin]
            rows[f"L{layer} {matrix}"] = [model[layer], expected, heads.dealt[layer], float(np.mean(known)) if known else expected]
    return rows


PROTOCOL = Protocol(
    parameters=HeadSubspaces,
    needs=None,
    requires=("patterns",),
    family="the matrices that the claim names, over all pairs of heads of each layer",
    controls=("heads planted orthogonal or all alike", "random heads of the same shape, 20 times drawn", "untrained twins"),
    why_not=_why_not,
    plan=_plan,
    run=run,
)
