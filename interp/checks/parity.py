"""Checks against the plain model: same answer, same patterns; and that padding, batching and order change nothing."""

from typing import get_args

import torch

from interp.captures.rebuild import worst
from interp.checks.bench import Bench, difference
from interp.models.model import Model
from interp.models.points import Kind, watching
from interp.models.watch import Keep


def output(bench: Bench) -> float:
    """The instrument's answer, watched at every point and at none, against the plain model's."""
    with watching(Keep(bench.model, get_args(Kind))):
        watched = bench.run()
    return worst([difference(bench.quiet, bench.plain), difference(watched, bench.plain)])


def patterns(bench: Bench) -> float:
    """Every pattern of every stack, against the plain model's eager ones."""
    pairs = [(_pattern(bench, sub.layer, sub.stack), bench.eager[sub.stack][sub.layer]) for sub in bench.model.anatomy.attentions()]
    return worst(difference(ours[None], theirs) for ours, theirs in pairs)


def _pattern(bench: Bench, layer: int, stack) -> torch.Tensor:
    return bench.seen.tensor("pattern", layer, stack)


def rows(bench: Bench) -> float:
    """How far a row's sum is from 1; with a sink, which takes a share of its own, how far it is above 1."""
    sums = [(_pattern(bench, sub.layer, sub.stack).sum(-1) - 1, bench.model.at(sub.module)) for sub in bench.model.anatomy.attentions()]
    return worst((excess if hasattr(module, "sinks") else excess.abs()).max().item() for excess, module in sums)


def masked(bench: Bench) -> float:
    """The largest weight on what comes later, in the stacks where nothing later is seen."""
    found = [0.0]
    for stack in bench.model.anatomy.stacks.values():
        for layer in range(stack.n_layers if stack.causal and stack.n_heads else 0):
            pattern = _pattern(bench, layer, stack.stack)
            found.append(pattern.triu(1).abs().max().item())
    return worst(found)


def padding(bench: Bench) -> float:
    """Texts of different lengths in one batch, right-padded (so are decoders' rows), against each alone; attention watched and not."""
    model, (batch, target) = bench.model, bench.both_ways()
    mask, short = _padded(model, batch, 3)
    target_mask, short_target = (None, None) if target is None else _padded(model, target, 2)
    alone = model.run(short, target=short_target)
    quiet = model.run(batch, mask, target=target, target_mask=target_mask)
    with watching(Keep(model, ["pattern"])):
        watched = model.run(batch, mask, target=target, target_mask=target_mask)
    return worst(
        error
        for together in (quiet, watched)
        for error in (difference(together[:1], bench.quiet), difference(together[1:, : alone.shape[1]], alone))
    )


def _padded(model: Model, rows: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Put padding in the place of the second row's last `n` tokens. Returns: the mask, and what is left of that row. (2, pos), (1, pos)."""
    left, pad = max(1, rows.shape[1] - n), model.hf.config.pad_token_id
    rows[1, left:] = pad if pad is not None and 0 <= pad < model.anatomy.d_vocab else 0
    mask = torch.ones_like(rows)
    mask[1, left:] = 0
    return mask, rows[1:, :left]


def batching(bench: Bench) -> float:
    """Three texts in one batch, in two orders, against each other and one of them alone."""
    ids, target = bench.both_ways()
    ids = torch.cat([ids, bench.ids.roll(1, -1)])
    target = None if target is None else torch.cat([target, target[:1].roll(1, -1)])
    order = torch.tensor([2, 0, 1], device=ids.device)
    one_way = bench.model.run(ids, target=target)
    other_way = bench.model.run(ids[order], target=None if target is None else target[order])
    return worst([difference(one_way[order], other_way), difference(one_way[:1], bench.quiet)])
