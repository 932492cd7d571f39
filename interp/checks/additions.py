"""Checks that what is shown adds up: heads and neurons to what is written, writes to the stream, the stream to what is read from it, and
contributions to the logit."""

import math
from collections.abc import Callable, Iterator

import torch

from interp.captures.components import contributions_toward
from interp.captures.corpus.pattern_statistics import STATISTICS, PatternStatistics
from interp.captures.rebuild import relative, worst
from interp.checks.bench import Bench
from interp.measures.head_statistics import HEAD_STATISTICS
from interp.models import experts
from interp.models.anatomy import StackAnatomy, Sublayer
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Kind, Point, watching


def rebuilt(*sorts: str) -> Callable[[Bench], float]:
    """The worst error of these sorts of rebuilding; nan where nothing of the sort was rebuilt."""

    def measure(bench: Bench) -> float:
        return worst(bench.errors[sort] for sort in sorts if sort in bench.errors) if any(s in bench.errors for s in sorts) else math.nan

    return measure


@torch.no_grad()
def reads(bench: Bench) -> float:
    """What each sublayer reads, and what leaves the norm after the last block, against the stream before it, normed as the anatomy says."""
    model, errors = bench.model, []
    for stack in model.anatomy.stacks.values():
        for sub, stream in _before(bench, stack):
            read = bench.at("mlp_in" if sub.kind == "mlp" else "attn_in", sub.layer, sub.stack)
            errors.append(relative(model.at(sub.norm_in)(stream), read))
        if stack.ln_final:
            end, normed = (bench.at(kind, stack.n_layers - 1, stack.stack) for kind in ("resid_post", "ln_final"))
            errors.append(relative(model.at(stack.ln_final)(end), normed))
    return worst(errors)


def _before(bench: Bench, stack: StackAnatomy) -> Iterator[tuple[Sublayer, torch.Tensor]]:
    """Each sublayer with the stream before it; in a parallel block all have what the block reads."""
    for layer, sublayers in enumerate(stack.layers):
        stream = bench.at("resid_pre", layer, stack.stack)
        for sub, previous in zip(sublayers, [None, *sublayers], strict=False):
            if previous is not None and not stack.parallel:
                stream = bench.at("resid_mid", layer, previous.stack)
            yield sub, stream


@torch.no_grad()
def projections(bench: Bench) -> float:
    """`up` and `gate` of every dense FFN, against their projections of what it reads."""
    dense = [sub for sub in bench.model.anatomy.sublayers() if sub.kind == "mlp" and sub.out]
    return worst(relative(tensor, bench.at(kind, sub.layer, sub.stack)) for sub in dense for kind, tensor in _projected(bench, sub).items())


def _projected(bench: Bench, sub: Sublayer) -> dict[Kind, torch.Tensor]:
    x = bench.at("mlp_in", sub.layer, sub.stack)
    up = bench.model.at(sub.reads[0])(x)
    if sub.gate == sub.reads[0]:
        gate, up = up.chunk(2, dim=-1)
        return {"gate": gate, "up": up}
    return {"up": up, "gate": bench.model.at(sub.gate)(x)} if sub.gate else {"up": up}


@torch.no_grad()
def routers(bench: Bench) -> float:
    """Every router's probabilities once more, from what its FFN reads; and the weights of a token's experts in proportion to them."""
    return worst(error for sub in bench.model.anatomy.sublayers() if sub.experts for error in _routed(bench, sub))


def _routed(bench: Bench, sub: Sublayer) -> Iterator[float]:
    x, probs, weights = (bench.at(kind, sub.layer, sub.stack) for kind in ("mlp_in", "router_probs", "expert_weights"))
    ffn = bench.model.at(sub.module)
    routing = experts.routing_of(ffn)
    logits = getattr(ffn, routing.router)(x)[routing.logits]
    yield relative(routing.probs(logits.float()).reshape(probs.shape), probs)
    chosen = probs.masked_fill(weights == 0, 0.0)
    share = weights.float().sum(-1, keepdim=True) / chosen.sum(-1, keepdim=True).clamp_min(torch.finfo(probs.dtype).tiny)
    yield relative(chosen * share, weights)


def contributions(bench: Bench) -> float:
    """The parts' sum against the model's own logit, the largest at the last position: there a bend would show most."""
    assert bench.seen.logits is not None  # the check is for models that have them
    end = len(bench.seen.logits) - 1
    values, _, logit = contributions_toward(bench.seen, int(bench.seen.logits[end].abs().argmax()), end, None)
    return abs(float(values.sum()) - logit) / max(1.0, abs(logit), float(values.abs().max()))


def fused(bench: Bench) -> float:
    """What the kernel gives without a pattern, against the same from the pattern: z everywhere, statistics in every self-attention."""
    ids, target = bench.both_ways()
    compare = _Compare(bench.model, ids, target)
    with watching(compare):
        bench.model.run(ids, target=target)
    return compare.worst


class _Compare:
    """A watcher that takes each number both ways and keeps the largest difference."""

    kinds = frozenset({"pattern"})

    def __init__(self, model: Model, ids: torch.Tensor, target: torch.Tensor | None):
        self.model, self.rows, self.worst = model, {"": ids, "E": ids, "D": target}, 0.0

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        return None

    def attend(self, point: Point, call: AttentionCall) -> None:
        pattern = call.pattern()
        self.worst = worst([self.worst, relative(pattern @ call.value.to(pattern.dtype), call.output_and_lse()[0])])
        ids = self.rows.get(point.stack)
        if ids is None:  # cross-attention: its queries and keys are places in two texts
            return
        statistics = PatternStatistics(call, ids, self.model.W_O(point.layer, point.stack))
        for name, statistic in HEAD_STATISTICS.items():
            naive, ours = statistic.of(pattern, statistics.ids, statistics.norms), STATISTICS[name](statistics)
            if not torch.equal(naive.isnan(), ours.isnan()):
                self.worst = math.inf  # nan says "no such query": both must say it of the same ones
                continue
            scale = max(1.0, naive.nan_to_num(0.0).abs().max().item(), statistics.lse.abs().max().item())
            self.worst = worst([self.worst, (ours - naive).nan_to_num(0.0).abs().max().item() / scale])
