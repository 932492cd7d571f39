"""Is a sublayer a linear map? Attention with its pattern held, attention as it is, the FFN, the FFN without its activation.

Design. From every text the vectors that a layer's sublayer reads are captured: x from the first half of its positions, y from the second,
so that both are inputs that the model has seen (their sum and -2x need not be: linear is said of all inputs). The sublayer f is then fed
x, y, x + y, -2x and 0, in every layer, in place of what the text gives (see `sublayer_maps`), and two errors are taken by text:
  additivity    ||f(x + y) - f(x) - f(y) + f(0)|| / ||f(x + y)||
  homogeneity   ||f(-2x) - f(0) + 2 (f(x) - f(0))|| / ||f(-2x)||
norms over positions and d_model. f(0) is what a bias gives: an affine map has error 0. The factor is negative and not -1, so that neither
a positively homogeneous function (ReLU) nor an odd one passes. The norm before the sublayer is left out, or kept, as the claim says: kept,
x and y are the stream, and the norm alone makes f nonlinear.

"linear" is exact: in no layer and text an error above the tolerance. "nonlinear" is said of every layer: the one with the smallest mean
error must reach the smallest effect (that it was chosen speaks against the claim, so no half is set aside); refuted where the bound of
that layer, at a level shared by all layers, is below it. Unit: the document; all documents are used.

Controls. The sublayer with a random matrix in place of what it computes before its output matrix (a norm that is kept included) must come
out linear: the model runs with it, fed the same vectors through the same hooks, in its own dtype. The sublayer with what stands before its
output matrix squared must come out nonlinear. What gives the same for x and for 0 is a dead hook and raises: it would look linear.
Untrained twins are none: this is about the architecture, and they must come out as the model does. A gated FFN without its
activation is a product of two linear maps, so it is not linear, and comes out so.
Source: the definition of a linear map; the ratio is that of the catalogue (S1-17).
What it does not tell: how much of the model's behaviour rests on what is not linear; nor, of "linear", anything between layers: the stack
has norms and patterns that are not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from interp.captures.corpus.batches import by_length
from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, best_upper, sampled_evidence
from interp.claims.protocols.parts.sublayer_maps import SublayerMaps, Vectors, What, outside, sublayers_of
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide, decide_exact, passes
from interp.claims.verdict import Badges, Control, Evidence
from interp.core.errors import ClaimError, InterventionError
from interp.models.anatomy import Anatomy
from interp.stats.intervals import cluster_mean
from interp.texts.example import Example

ERRORS = ("additivity", "homogeneity")
FACTOR = -2.0
UNIT = "of the size of what is written"


class Linearity(Parameters):
    """Parameters of "linearity"."""

    protocol: Literal["linearity"]
    what: What
    expects: Literal["linear", "nonlinear"]
    norm: Literal["left out", "kept"] = "left out"
    tolerance: float = Field(default=1e-5, gt=0, description="largest relative error that rounding explains")
    smallest_effect: float = Field(default=0.1, gt=0, description="smallest relative error that makes a sublayer nonlinear")
    smallest_effect_source: str
    n_texts: int = Field(default=200, ge=50, description="texts drawn, where there are more")


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Relative errors, axes (error, layer, text): of the sublayers, with a random matrix in them, with a square in them."""

    ours: np.ndarray
    linear: np.ndarray
    squared: np.ndarray


def _why_not(anatomy: Anatomy) -> str:
    if anatomy.encoder_decoder:
        return "is an encoder-decoder, which reads one text and writes another; the test runs single texts"
    return ""


def _read(case: Case[Linearity]) -> tuple[list[Example], np.ndarray]:
    """Some of the texts that have two halves of two tokens, and each one's document.

    Raises: ClaimError where there are none, or from fewer than two documents.
    """
    long = [example for example in case.examples if len(example) >= 4]
    drawn = np.random.default_rng(case.seed).permutation(len(long))[: case.test.n_texts]
    examples = [long[place] for place in sorted(drawn.tolist())]
    clusters = np.array([example.document or example.name or str(number) for number, example in enumerate(examples)])
    if len(set(clusters.tolist())) < 2:
        n = len(set(clusters.tolist()))
        raise ClaimError(f"{case.id}: texts of four tokens or more came from {n} documents; expected at least two (and 40 for a verdict)")
    return examples, clusters


def _plan(case: Case[Linearity]) -> Plan:
    if reason := outside(case.model.anatomy, case.test.what):
        raise ClaimError(f"{case.id}: {case.model.name} {reason}; nothing would be run")
    examples, clusters = _read(case)
    half = sum(len(example) // 2 for example in examples)
    runs = 11 if case.test.what == "attention_frozen" else 10
    steps = (
        Step(what="the model on the texts", tokens=sum(map(len, examples))),
        Step(what="its sublayers fed", tokens=runs * half),
    )
    n_layers = len(sublayers_of(case.model.anatomy, case.test.what))
    if case.test.expects == "linear":
        return Plan(steps=steps, n_items=len(examples) * n_layers, smallest_effect=case.test.tolerance, unit=UNIT)
    return sampled_plan(
        steps=steps, clusters=clusters, family=n_layers, smallest_effect=case.test.smallest_effect, unit=UNIT, alpha=case.alpha
    )


def run(case: Case[Linearity]) -> Finding:
    """Judge "this sublayer is linear", or that it is not, in every layer of the model."""
    test = case.test
    if reason := outside(case.model.anatomy, test.what):
        summary = f"{case.model.name} {reason}."
        return Finding(outcome="not applicable", reason="out_of_scope", summary=summary, badges=Badges(), evidence=(), controls=())
    _refuse_coarse(case)
    examples, clusters = _read(case)
    case.tell(f"{test.what} fed with vectors of {len(examples)} texts")
    found = Errors(**case.stages.get("errors", lambda: vars(errors_of(case, examples))))
    if test.expects == "linear":
        evidence, controls = _exactly(case, found), _controls(case, found, clusters, exact=True)
        outcome, reason = decide_exact(evidence, controls)
    else:
        evidence, controls = _on_average(case, found.ours, clusters), _controls(case, found, clusters, exact=False)
        outcome, reason = decide(evidence, controls, case.alpha)
    layers = [one.layer for one in sublayers_of(case.model.anatomy, test.what)]
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=_summary(test, found.ours, layers),
        badges=Badges(causal=outcome == "supported"),
        evidence=evidence,
        controls=controls,
        rows=_rows(found.ours, layers, clusters, case.seed),
    )


def _refuse_coarse(case: Case[Linearity]) -> None:
    dtype = next(case.model.hf.parameters()).dtype
    if 8 * torch.finfo(dtype).eps > case.test.tolerance:
        raise ClaimError(
            f"{case.model.name} computes in {dtype}, which rounds by more than the tolerance {case.test.tolerance}; load it in float32"
        )


@torch.no_grad()
def errors_of(case: Case[Linearity], examples: list[Example]) -> Errors:
    """Both errors of every layer on every text."""
    maps = SublayerMaps(case.model, case.test.what, keep_norm=case.test.norm == "kept")
    shape = (len(ERRORS), len(maps.sublayers), len(examples))
    found = {name: np.empty(shape) for name in ("ours", "linear", "squared")}
    for numbered in by_length(examples):
        numbers = [number for number, _ in numbered]
        ids = torch.tensor([example.ids for _, example in numbered], device=case.model.device)
        for name, values in _of_batch(maps, ids, case.seed).items():
            found[name][:, :, numbers] = values
    return Errors(**found)


def _of_batch(maps: SublayerMaps, ids: torch.Tensor, seed: int) -> dict[str, np.ndarray]:
    half = ids.shape[1] // 2
    inputs, row = maps.inputs(ids), ids[:, :half]
    x, y = ({layer: vector[:, place : place + half].contiguous() for layer, vector in inputs.items()} for place in (0, half))
    patterns = maps.patterns(row, x)
    fed = list(_fed(x, y))
    hidden = [maps.hidden(row, vectors, patterns) for vectors in fed]
    linear = [maps.hidden(row, vectors, patterns, linear=seed) for vectors in fed]
    for each in (hidden, linear):
        _refuse_dead(each[0], each[-1])
    squared = [{layer: inner**2 for layer, inner in each.items()} for each in hidden]
    return {
        "ours": _errors(maps, *hidden),
        "linear": _errors(maps, *linear),
        "squared": _errors(maps, *squared),
    }


def _fed(x: Vectors, y: Vectors) -> Iterator[Vectors]:
    """x, y, x + y, -2x and 0."""
    yield from (x, y)
    yield {layer: x[layer] + y[layer] for layer in x}
    yield {layer: FACTOR * x[layer] for layer in x}
    yield {layer: torch.zeros_like(x[layer]) for layer in x}


def _refuse_dead(at_x: Vectors, at_zero: Vectors) -> None:
    """What does not mind its input would look linear."""
    for layer, inner in at_x.items():
        if torch.equal(inner, at_zero[layer]):
            raise InterventionError(f"layer {layer}: what the sublayer is fed changed nothing in it: a dead hook, or weights that are 0")


def _errors(maps: SublayerMaps, x: Vectors, y: Vectors, both: Vectors, scaled: Vectors, zero: Vectors) -> np.ndarray:
    """Axes: (error, layer, text). Differences are taken in float64 before the output matrix, in which a bias cancels."""
    additive = {layer: both[layer] - x[layer] - y[layer] + zero[layer] for layer in x}
    homogeneous = {layer: scaled[layer] - zero[layer] - FACTOR * (x[layer] - zero[layer]) for layer in x}
    additive, homogeneous = maps.written(additive, bias=False), maps.written(homogeneous, bias=False)
    both, scaled = maps.written(both), maps.written(scaled)
    ratios = [torch.stack([_ratio(over[layer], whole[layer]) for layer in x]) for over, whole in ((additive, both), (homogeneous, scaled))]
    return torch.stack(ratios).double().cpu().numpy()


def _ratio(difference: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Axes: (text, pos, d_model) -> (text,); 0 / 0 = 0."""
    tiny = torch.finfo(whole.dtype).tiny
    return difference.flatten(1).norm(dim=1) / whole.flatten(1).norm(dim=1).clamp_min(tiny)


def _exactly(case: Case[Linearity], found: Errors) -> tuple[Evidence, ...]:
    """The largest error over layers and texts."""
    return tuple(
        Evidence(
            name=f"largest {name} error", unit=UNIT, estimate=error, baseline=0.0, baseline_name="a linear map", effect=error, low=error,
            high=error, level=1.0, upper=error, smallest_effect=case.test.tolerance, n_items=found.ours[0].size, n_clusters=1, family=1,
        )
        for name, error in zip(ERRORS, found.ours.max((1, 2)).tolist(), strict=True)
    )  # fmt: skip


def _on_average(case: Case[Linearity], errors: np.ndarray, clusters: np.ndarray) -> tuple[Evidence, ...]:
    """The layer with the smallest mean error, by which "every layer" stands or falls."""
    found, n_layers = [], errors.shape[1]
    for name, values in zip(ERRORS, errors, strict=True):
        weakest = int(values.mean(1).argmin())
        mine = values[weakest : weakest + 1]
        evidence = sampled_evidence(
            name=f"{name} error of the least nonlinear of {n_layers} layers",
            unit=UNIT,
            values=mine,
            baseline=np.zeros_like(mine[0]),
            baseline_name="a linear map",
            clusters=clusters,
            member=0,
            smallest_effect=case.test.smallest_effect,
            alpha=case.alpha,
            seed=case.seed,
            families=n_layers,
            pieces=len(ERRORS),
        )
        bound = best_upper(mine, clusters, alpha=case.alpha / (n_layers * len(ERRORS)))
        found.append(replace(evidence, upper=max(evidence.upper, bound)))
    return tuple(found)


def _controls(case: Case[Linearity], found: Errors, clusters: np.ndarray, *, exact: bool) -> tuple[Control, ...]:
    """A linear map in the sublayer's place and one that is not, by the rule to which the sublayer is held."""
    worst, least = float(found.linear.max()), float(found.squared.mean(2).min())
    if exact:
        linear, nonlinear = worst <= case.test.tolerance, bool((found.squared.max((1, 2)) > case.test.tolerance).all())
    else:
        linear = not all(passes(one, case.alpha) for one in _on_average(case, found.linear, clusters))
        nonlinear = all(passes(one, case.alpha) for one in _on_average(case, found.squared, clusters))
    return (
        Control(name="a random matrix in its place", kind="positive" if exact else "null", value=worst, unit=UNIT, passed=linear),
        Control(name="a square put into it", kind="null" if exact else "positive", value=least, unit=UNIT, passed=nonlinear),
    )


def _summary(test: Linearity, errors: np.ndarray, layers: list[int]) -> str:
    told = [
        f"{name} errors are {values.mean(1).min():.2g} (L{layers[int(values.mean(1).argmin())]}) to {values.mean(1).max():.2g} "
        f"(L{layers[int(values.mean(1).argmax())]}) by layer, at most {values.max():.2g} in any text"
        for name, values in zip(ERRORS, errors, strict=True)
    ]
    return f"{test.what}, the norm before it {test.norm}: {'; '.join(told)}."


def _rows(errors: np.ndarray, layers: list[int], clusters: np.ndarray, seed: int) -> dict[str, list[float]]:
    """By layer: mean additivity error, low, high; mean homogeneity error, low, high (95 %, documents resampled)."""
    rows = {}
    for place, layer in enumerate(layers):
        intervals = [cluster_mean(each[place], clusters, seed=seed) for each in errors]
        rows[f"L{layer}"] = [number for one in intervals for number in (one.estimate, one.low, one.high)]
    return rows


PROTOCOL = Protocol(
    parameters=Linearity,
    needs="texts",
    requires=(),
    family="every layer; the least nonlinear one decides",
    controls=("a random matrix inside the sublayer, which must be linear", "a square inside the sublayer, which must not be"),
    why_not=_why_not,
    plan=_plan,
    run=run,
)
