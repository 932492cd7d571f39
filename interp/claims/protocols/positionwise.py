"""Does the FFN act on each position by itself? An exact identity, with attention as the control that must fail.

Design. In every layer, on texts of random tokens: (1) capture what the FFN reads and writes; (2) feed it the same input with one
position replaced by other vectors, the rest untouched, and look at what it writes at all *other* positions: nothing may change;
(3) feed it its input with the positions in another order: its output must come in that order. Both are done to all layers in one run, since
each FFN is fed what was captured, not what the layers below now give.

Controls. The first intervention on attention's input must show a change, and the FFN's reordered output must differ from the output in
the old order; if they do not, the test could not have seen anything. (Attention is no control for the second: without a causal mask
it does not mind the order either, which is why transformers need position embeddings.)
The FFN may be dense, gated or a mixture of experts: what it reads is then what its router reads. Norms before it and on what it writes are
position-wise by themselves. Models without an FFN, or without attention, in some layer are out of scope.
Assumption: none beyond the instrument's self-check. A mixture of experts with a capacity limit couples positions, and would be refuted.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field

from interp.claims.plan import Plan, Step
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide_exact
from interp.claims.verdict import Badges, Control, Evidence
from interp.core.errors import CheckFailed, ClaimError, InterventionError
from interp.models.anatomy import Anatomy
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Kind, Point, watching
from interp.models.watch import Keep
from interp.texts.controls import random_token_rows

Tensors = Mapping[int, torch.Tensor]


class Positionwise(Parameters):
    """Parameters of "ffn_is_positionwise"."""

    protocol: Literal["ffn_is_positionwise"]
    tolerance: float = Field(gt=0, description="largest relative error that rounding explains")
    control_at_least: float = Field(gt=0, description="the same figure for attention must be at least this")
    n_tokens: int = Field(default=16, ge=2)
    n_texts: int = Field(default=8, ge=1)


class _Feed:
    """Gives each layer's sublayer a prepared input, and keeps what it writes."""

    def __init__(self, reads: Kind, writes: Kind, inputs: Tensors):
        self.reads, self.writes, self.inputs = reads, writes, inputs
        self.kinds: frozenset[str] = frozenset({reads, writes})
        self.outputs: dict[int, torch.Tensor] = {}

    def attend(self, point: Point, call: AttentionCall) -> None:
        return None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        if point.kind == self.reads:
            return self.inputs[point.layer]
        self.outputs[point.layer] = tensor
        return None


def _why_not(anatomy: Anatomy) -> str:
    if anatomy.encoder_decoder:
        return "is an encoder-decoder, which reads one text and writes another; the test runs single texts"
    layers = range(anatomy.n_layers)
    without_ffn = sum(anatomy.ffn(layer) is None for layer in layers)
    if without_ffn:
        return f"has no FFN in {without_ffn} of its {len(layers)} layers"
    without_attention = sum(anatomy.attention(layer) is None for layer in layers)
    if without_attention:
        return f"has no attention in {without_attention} of its {len(layers)} layers, and attention is the control that must fail the test"
    return ""


def _plan(case: Case[Positionwise]) -> Plan:
    anatomy, tokens = case.model.anatomy, case.test.n_texts * min(case.test.n_tokens, case.model.anatomy.n_ctx)
    steps = (
        Step(what="FFN: clean, one position replaced, reordered", tokens=3 * tokens),
        Step(what="attention as control", tokens=2 * tokens),
    )
    return Plan(steps=steps, n_items=tokens * anatomy.n_layers, smallest_effect=case.test.tolerance, unit="of the largest output")


def run(case: Case[Positionwise]) -> Finding:
    """Judge "the FFN acts on each position by itself" on every layer of the model."""
    test, model, seed = case.test, case.model, case.seed
    _refuse_coarse(model, test.tolerance)
    n_tokens = min(test.n_tokens, model.anatomy.n_ctx)
    ids = torch.from_numpy(random_token_rows(test.n_texts, n_tokens, model.anatomy.d_vocab, seed=seed, forbidden=_padding(model)))
    case.tell("FFN")
    ffn = _Sublayer(model, ids, "mlp_in", "mlp_out")
    leak, (order, unordered) = max(ffn.leaks(seed)), ffn.order(seed)
    case.tell("attention, as the control")
    control_leak = min(_Sublayer(model, ids, "attn_in", "attn_out").leaks(seed))
    evidence = (
        _exact("change at other positions", leak, test.tolerance, ids.numel() * model.anatomy.n_layers),
        _exact("change under another order", order, test.tolerance, ids.numel() * model.anatomy.n_layers),
    )
    controls = (
        _must_show("attention, change at other positions", control_leak, test.control_at_least),
        _must_show("FFN, another order left as it is", unordered, test.control_at_least),
    )
    outcome, reason = decide_exact(evidence, controls)
    summary = (
        f"Over {model.anatomy.n_layers} layers the FFN's output at other positions changed by at most {leak:.1e} of its size, "
        f"attention's by at least {control_leak:.1e}."
    )
    badges = Badges(observational=None, causal=outcome == "supported", replicated=None)
    return Finding(outcome=outcome, reason=reason, summary=summary, badges=badges, evidence=evidence, controls=controls)


def _padding(model: Model) -> tuple[int, ...]:
    pad = model.hf.config.pad_token_id
    return () if pad is None or not 0 <= pad < model.anatomy.d_vocab else (pad,)


def _refuse_coarse(model: Model, tolerance: float) -> None:
    """In half precision rounding alone is larger than the tolerance: the FFN would be refuted by it."""
    dtype = next(model.hf.parameters()).dtype
    if 8 * torch.finfo(dtype).eps > tolerance:
        raise ClaimError(f"{model.name} computes in {dtype}, which rounds by more than the tolerance {tolerance}; load it in float32")


class _Sublayer:
    """One kind of sublayer in every layer: what it read and wrote, and what it writes when fed something else."""

    def __init__(self, model: Model, ids: torch.Tensor, reads: Kind, writes: Kind):
        self.model, self.ids, self.reads, self.writes = model, ids, reads, writes
        keep = Keep(model, [reads, writes])
        with watching(keep):
            model.run(ids, logits=False)
        layers = range(model.anatomy.n_layers)
        self.inputs = {layer: keep.arrays[Point(kind=reads, layer=layer).name] for layer in layers}
        self.outputs = {layer: keep.arrays[Point(kind=writes, layer=layer).name] for layer in layers}

    def fed(self, inputs: Tensors) -> Tensors:
        """What each layer writes when it reads `inputs`."""
        feed = _Feed(self.reads, self.writes, inputs)
        with watching(feed):
            self.model.run(self.ids, logits=False)
        return feed.outputs

    def leaks(self, seed: int) -> list[float]:
        """By layer: largest change at a position that was not touched, over the largest output.

        Raises: InterventionError when an FFN does not mind what it is fed. (Attention that does not fails as the control that it is.)
        """
        place = self.ids.shape[1] // 2
        generator = torch.Generator().manual_seed(seed)
        after = self.fed({layer: _with_noise(tensor, place, generator) for layer, tensor in self.inputs.items()})
        for layer, before in self.outputs.items():
            if self.reads == "mlp_in" and torch.equal(after[layer][:, place], before[:, place]):
                raise InterventionError(
                    f"layer {layer}: replacing what {self.reads!r} is at position {place} changed nothing there: a dead hook"
                )
        others = [pos for pos in range(self.ids.shape[1]) if pos != place]
        return [_relative(after[layer][:, others], before[:, others]) for layer, before in self.outputs.items()]

    def order(self, seed: int) -> tuple[float, float]:
        """Largest difference, over layers, from the reordered output; and the smallest from the output in the old order."""
        order = torch.randperm(self.ids.shape[1], generator=torch.Generator().manual_seed(seed))
        after = self.fed({layer: tensor[:, order] for layer, tensor in self.inputs.items()})
        reordered = [_relative(after[layer], before[:, order]) for layer, before in self.outputs.items()]
        return max(reordered), min(_relative(after[layer], before) for layer, before in self.outputs.items())


def _with_noise(tensor: torch.Tensor, place: int, generator: torch.Generator) -> torch.Tensor:
    """`tensor` with other vectors of the same length at one position."""
    touched = tensor.clone()
    noise = torch.randn(tensor[:, place].shape, generator=generator).to(tensor)
    touched[:, place] = noise * tensor[:, place].norm(dim=-1, keepdim=True) / noise.norm(dim=-1, keepdim=True)
    return touched


def _relative(after: torch.Tensor, before: torch.Tensor) -> float:
    """Largest difference over the largest number. Raises: CheckFailed when one is not finite: nan would get lost in a maximum."""
    if not (after.isfinite().all() and before.isfinite().all()):
        raise CheckFailed("what a sublayer writes is not finite, so nothing can be compared; load the model in float32")
    return ((after - before).abs().max() / before.abs().max().clamp_min(torch.finfo(before.dtype).tiny)).item()


def _exact(name: str, error: float, tolerance: float, n: int) -> Evidence:
    return Evidence(
        name=name,
        unit="of the largest output",
        estimate=error,
        baseline=0.0,
        baseline_name="identity",
        effect=error,
        low=error,
        high=error,
        level=1.0,
        upper=error,
        smallest_effect=tolerance,
        n_items=n,
        n_clusters=1,
        family=1,
    )


def _must_show(name: str, value: float, at_least: float) -> Control:
    return Control(
        name=name,
        kind="positive",
        value=value,
        unit="of the largest output",
        passed=value >= at_least,
        detail=f"must be at least {at_least}",
    )


PROTOCOL = Protocol(
    parameters=Positionwise,
    needs=None,
    requires=(),
    family="every layer; nothing is sampled",
    controls=("attention, whose output at other positions must change", "the FFN's output in the old order, which must differ"),
    why_not=_why_not,
    plan=_plan,
    run=run,
)
