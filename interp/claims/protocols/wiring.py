"""What depends on what? "In each layer the FFN reads what attention wrote": a point is replaced, and others are looked at. Exact.

Design. A place is a kind of point (see `models.points`) in all layers: "attn_out"; in an encoder-decoder, in each stack, or in the one
that is named: "E.resid_post", "X.memory". "output" is what a stack hands on: its final norm, or the last block where it has none.
On random tokens, once for each layer of the source: what passes there is replaced by noise, each vector keeping its length, and the target
is compared in the layers that the claim names (the same, the next, later, earlier, all). A pair of layers depends when the target changes,
by ||after - before|| / ||before|| over all its numbers. `holding` names a place that is put back to what it was while the source is
replaced: what still changes did not go through it.

    supported      every pair is as said: changes above `changes_at_least` where it depends, at most `tolerance` where it does not
    refuted        some pair is clearly not
    inconclusive   in_between: some change is larger than rounding and too small to count

Controls. Positive: the stream replaced where each stack begins changes every target; the source, nothing being held, changes what the model
puts out (and with `holding` every target), so that "does not depend" is not for want of a disturbance. Null: streams that were read before
the source stay as they were, and so does everything in a second clean run.

Assumption: the same run gives the same numbers, which the null looks at. Noise is one draw: what ignores it entirely on every token does
not depend, up to freak weights. What it does not tell: how much a trained model makes of a connection, nor which positions it joins.
Source: interventions on a computation graph, as in Vig et al. (2020), "Causal Mediation Analysis"; here for what is wired at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from pydantic import Field, field_validator

from interp.claims.plan import Plan, Step
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.exact import at_least, at_most, exact_evidence
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide_exact
from interp.claims.verdict import Badges, Control
from interp.core.errors import CheckFailed, ClaimError, InterventionError
from interp.core.sites import Stack
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Kind, Point, watching
from interp.models.watch import Keep
from interp.texts.controls import random_token_rows

KINDS: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind != "pattern")
# What a block reads is what the one before it left: one tensor under two names, of which an edit shows under one only.
PLACES = (*(kind for kind in KINDS if kind != "resid_pre"), "output")
# In a pre-norm block it is what the second norm reads; the stream that the FFN's write is added to went past it, and so past an edit.
ONLY_TARGET = ("resid_mid",)
STACKS = ("E", "D", "X")
Seen = Mapping[str, torch.Tensor]
Pairs = list[tuple[Point, Point]]


class Wiring(Parameters):
    """Parameters of "wiring"."""

    protocol: Literal["wiring"]
    source: str = Field(description="the place that is replaced, as in attn_out or E.resid_post")
    target: str = Field(description="the place that is looked at")
    layers: Literal["same", "next", "later", "earlier", "all"] = Field(default="same", description="the target's, from the source's")
    expects: Literal["depends", "does not depend"]
    holding: str = Field(default="", description="a place that is kept as it was")
    same_width: bool = Field(default=False, description="source and target must also be equally wide")
    tolerance: float = Field(default=1e-6, gt=0, description="largest change that rounding explains")
    changes_at_least: float = Field(default=1e-4, gt=0, description="smallest change that counts as one")
    n_tokens: int = Field(default=12, ge=2)
    n_texts: int = Field(default=2, ge=1)

    @field_validator("source", "target", "holding")
    @classmethod
    def _is_a_place(cls, written: str) -> str:
        stack, _, kind = written.rpartition(".")
        if written and (kind not in PLACES or stack not in ("", *STACKS)):
            raise ValueError(f"{written!r} is no place; expected one of {', '.join(PLACES)}; with a stack: E.output, D.z, X.memory")
        return written

    @field_validator("source", "holding")
    @classmethod
    def _can_be_replaced(cls, written: str) -> str:
        if written.rpartition(".")[2] in ONLY_TARGET:
            raise ValueError(f"{written!r} cannot be replaced, only looked at: the stream goes past it; expected attn_out or resid_post")
        return written


class _Replace:
    """Puts prepared tensors at points, all else being left alone."""

    def __init__(self, tensors: Seen):
        self.tensors, self.met = tensors, set[str]()
        self.kinds: frozenset[str] = frozenset(KINDS)

    def attend(self, point: Point, call: AttentionCall) -> None:
        return None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        if point.name not in self.tensors:
            return None
        self.met.add(point.name)
        return self.tensors[point.name]


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """A model on one batch: what passes at every point, by name, and what comes out."""

    model: Model
    rows: Mapping[str, torch.Tensor]
    clean: Seen
    noise: Seen

    def after(self, tensors: Seen) -> Seen:
        """All points in a run with these put in. Raises: InterventionError when one of them never passed."""
        edit = _Replace(tensors)
        with watching(edit):
            seen = _seen(self.model, self.rows)
        missed = tensors.keys() - edit.met
        if missed:
            raise InterventionError(f"{', '.join(sorted(missed))} never passed in a run of {self.model.name}: a dead hook")
        return seen

    def change(self, seen: Seen, name: str) -> float:
        """||after - before|| / ||before|| at a point."""
        before, after = self.clean[name].double(), seen[name].double()
        if not (before.isfinite().all() and after.isfinite().all()):
            raise CheckFailed(f"{name} of {self.model.name} is not finite, so nothing can be compared; load the model in float32")
        return float((after - before).norm() / before.norm().clamp_min(torch.finfo(torch.float32).tiny))


OUT = "out"


def _seen(model: Model, rows: Mapping[str, torch.Tensor]) -> Seen:
    keep = Keep(model, KINDS)
    with watching(keep):
        out = model.run(logits=False, **rows)  # type: ignore[arg-type]
    return {**keep.arrays, OUT: out}


def _bench(case: Case[Wiring]) -> _Bench:
    model, test = case.model, case.test
    n_tokens = min(test.n_tokens, model.anatomy.n_ctx)
    ids = torch.from_numpy(random_token_rows(test.n_texts, n_tokens, model.anatomy.d_vocab, seed=case.seed, forbidden=_padding(model)))
    rows = {"ids": ids}
    if model.anatomy.encoder_decoder:
        rows["target"] = torch.cat([torch.full((len(ids), 1), model.start_token()), ids.flip(1)[:, 1:]], dim=1)
    clean = _seen(model, rows)
    generator = torch.Generator().manual_seed(case.seed)
    noise = {name: _noise(tensor, generator) for name, tensor in sorted(clean.items())}
    return _Bench(model=model, rows=rows, clean=clean, noise=noise)


def _padding(model: Model) -> tuple[int, ...]:
    pad = model.hf.config.pad_token_id
    return () if pad is None or not 0 <= pad < model.anatomy.d_vocab else (pad,)


def _noise(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Other vectors of the same length."""
    drawn = torch.randn(tensor.shape, generator=generator).to(tensor)
    return drawn * (tensor.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True))


def _points(model: Model, written: str) -> list[Point]:
    """The points of a place, layer by layer; those that the model has not are among them."""
    stack, _, kind = written.rpartition(".")
    if (stack and not model.anatomy.encoder_decoder) or not written:
        return []
    every: list[Stack] = list(model.anatomy.stacks) if not stack else [stack]  # type: ignore[list-item]
    return [point for name in every for point in _in_stack(model, kind, name)]


def _in_stack(model: Model, kind: str, stack: Stack) -> list[Point]:
    anatomy = model.anatomy.stack(stack)
    if kind == "output":
        last: Kind = "ln_final" if anatomy.ln_final else "resid_post"
        return [Point(kind=last, layer=anatomy.n_layers - 1, stack=anatomy.stack)]
    return [Point(kind=kind, layer=layer, stack=stack) for layer in range(anatomy.n_layers)]  # type: ignore[arg-type]


def _pairs(case: Case[Wiring], clean: Seen) -> Pairs:
    """Source and target of every case: in one stack, unless the claim names one for either. What is held is no source."""
    test, held = case.test, _held(case, clean)
    sources = [point for point in _points(case.model, test.source) if point.name in clean and point.name not in held]
    targets = [point for point in _points(case.model, test.target) if point.name in clean]
    named = "." in test.source or "." in test.target
    both = [(source, target) for source in sources for target in targets if named or source.stack == target.stack]
    return [(source, target) for source, target in both if _stands(test.layers, target.layer - source.layer)]


def _stands(layers: str, distance: int) -> bool:
    return {"same": distance == 0, "next": distance == 1, "later": distance > 0, "earlier": distance < 0, "all": True}[layers]


def run(case: Case[Wiring]) -> Finding:
    """Judge what depends on what."""
    bench = _bench(case)
    pairs, held = _pairs(case, bench.clean), _held(case, bench.clean)
    if not pairs or (case.test.holding and not held):
        return _out_of_scope(case)
    sources = list(dict.fromkeys(source for source, _ in pairs))
    free, holding = {}, {}
    for source in sources:
        case.tell(f"{source.name} replaced")
        free[source] = bench.after({source.name: bench.noise[source.name]})
        put_back = {name: bench.clean[name] for name in held}
        holding[source] = bench.after({source.name: bench.noise[source.name], **put_back}) if held else free[source]
    changes = {(source, target): bench.change(holding[source], target.name) for source, target in pairs}
    return _finding(case, bench, changes, _controls(case, bench, pairs, free))


def _held(case: Case[Wiring], clean: Seen) -> list[str]:
    return [point.name for point in _points(case.model, case.test.holding) if point.name in clean]


def _finding(case: Case[Wiring], bench: _Bench, changes: dict[tuple[Point, Point], float], controls: tuple[Control, ...]) -> Finding:
    test = case.test
    depends = test.expects == "depends"
    clear = [value for value in changes.values() if (value <= test.tolerance if depends else value >= test.changes_at_least)]
    failing = [value for value in changes.values() if (value < test.changes_at_least if depends else value > test.tolerance)]
    told = f"{test.target} {test.expects} on {test.source}"
    evidence = [exact_evidence(told, "pairs of layers in which it is not so", error=len(failing), tolerance=0, n=len(changes))]
    if test.same_width:
        unequal = sum(bench.clean[source.name].shape[-1] != bench.clean[target.name].shape[-1] for source, target in changes)
        evidence.append(exact_evidence("equally wide", "pairs of layers in which they are not", error=unequal, tolerance=0, n=len(changes)))
    outcome, reason = decide_exact(evidence, controls)
    if outcome == "refuted" and not clear and all(one.estimate == 0 for one in evidence[1:]):
        outcome, reason = "inconclusive", "in_between"
    least, most = min(changes.values()), max(changes.values())
    summary = f"{test.source} replaced in {len({source for source, _ in changes})} layers changed {test.target} in {len(changes)} pairs by "
    summary += f"{least:.2g} to {most:.2g} of its size{f', {test.holding} being held' if test.holding else ''}."
    rows = {f"{source.name} -> {target.name}": [value] for (source, target), value in changes.items()}
    badges = Badges(causal=outcome == "supported")
    return Finding(outcome=outcome, reason=reason, summary=summary, badges=badges, evidence=tuple(evidence), controls=controls, rows=rows)


def _controls(case: Case[Wiring], bench: _Bench, pairs: Pairs, free: Mapping[Point, Seen]) -> tuple[Control, ...]:
    """That a disturbance can reach the targets, that the source makes one, and that nothing runs backwards."""
    test, unit = case.test, "of its size"
    starts = {point.name: bench.noise[point.name] for point in _points(case.model, "resid_pre") if point.layer == 0}
    flooded = bench.after(starts)
    reached = min(bench.change(flooded, target.name) for _, target in pairs)
    effects = [bench.change(seen, OUT) for seen in free.values()]
    if test.holding:
        effects += [bench.change(free[source], target.name) for source, target in pairs]
    again = bench.after({})
    before = [bench.change(free[source], name) for source in free for name in _read_before(case.model, source) if name in bench.clean]
    backwards = max([*before, *(bench.change(again, name) for name in bench.clean)])
    to_whom = "what the model puts out" + (f", and {test.target} with nothing held" if test.holding else "")
    return (
        at_least("the stream replaced at the beginning, change of each target", reached, test.changes_at_least, unit),
        at_least(f"{test.source} replaced, change of {to_whom}", min(effects), test.changes_at_least, unit),
        at_most("streams read before the source, and a second clean run", backwards, test.tolerance, unit),
    )


def _read_before(model: Model, source: Point) -> list[str]:
    """The streams that the blocks up to the source's read, in its stack."""
    stack: Stack = "D" if source.stack == "X" else source.stack
    return [Point(kind="resid_pre", layer=layer, stack=stack).name for layer in range(source.layer + 1)]


def _out_of_scope(case: Case[Wiring]) -> Finding:
    test = case.test
    places = " and ".join([test.source, test.target, *([test.holding] if test.holding else [])])
    summary = f"{case.model.name} has no {places} in layers that stand as said ({test.layers})."
    return Finding(outcome="not applicable", reason="out_of_scope", summary=summary, badges=Badges(), evidence=(), controls=())


def _plan(case: Case[Wiring]) -> Plan:
    """Which points a model has shows when it runs: here each that its anatomy could have is counted."""
    test, model = case.test, case.model
    pairs = _pairs(
        case, {point.name: torch.empty(0) for place in (test.source, test.target, test.holding) for point in _points(model, place)}
    )
    if not pairs:
        raise ClaimError(f"{case.id}: {_out_of_scope(case).summary} Nothing would be run")
    tokens = test.n_texts * min(test.n_tokens, model.anatomy.n_ctx) * (2 if model.anatomy.encoder_decoder else 1)
    n_runs = len({source for source, _ in pairs}) * (2 if test.holding else 1)
    steps = (Step(what="each layer's source replaced", tokens=n_runs * tokens), Step(what="clean runs and controls", tokens=3 * tokens))
    return Plan(steps=steps, n_items=len(pairs), smallest_effect=test.tolerance, unit="of the target's size")


PROTOCOL = Protocol(
    parameters=Wiring,
    needs=None,
    requires=(),
    family="every pair of layers that stand as said; nothing is sampled",
    controls=(
        "the stream replaced at the beginning, which must reach every target",
        "the source replaced, which must reach the output",
        "streams read before the source, which must not change",
    ),
    why_not=lambda anatomy: "",
    plan=_plan,
    run=run,
)
