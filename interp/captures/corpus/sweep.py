"""One pass over an attention sublayer's pattern, block by block: everything that is asked of it is taken while a block is there.

A block is some texts, some heads, 128 queries and the keys that one of these queries may see; one or two megabytes for each thread, so
that it stays near the processor. Each block is made once: scores, weights (each row yet to be scaled), and from these the sublayer's own
output z and whatever the visitor takes. In float32 or wider, whatever the model computes in. With five statistics this takes 1.5 times as
long as the CPU's fused kernel alone at 1,024 tokens (d_head 64, one thread), where the kernel run again with V = K, and again with V =
features, takes 2.7 times; it also serves where no kernel does: biases, soft caps, sinks, a pattern that was put in.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from interp.models.attention import AttentionCall

QUERIES = 128
NUMBERS = 1 << 19  # in a block, for each thread: 2 MB in float32. 64 queries, 1 MB: 9 and 19 % slower at 1,024 and 4,096 tokens
ON_DEVICE = 1 << 26  # an accelerator wants large blocks


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Some rows of the pattern p = weights x scale.

    Attributes:
        texts, heads, queries, keys: which; all other keys have weight 0 for these queries.
        weights: the pattern before each row is scaled. Axes: (text, head, query, key).
        scale: each row's factor, (text, head, query, 1).
        scores, total: p = 2^scores / total; where p is 0 the scores are large and negative. The first who reads the scores may overwrite
            them. Axes: (text, head, query, key), (text, head, query, 1).
    """

    texts: slice
    heads: slice
    queries: slice
    keys: slice
    weights: torch.Tensor
    scale: torch.Tensor
    scores: torch.Tensor
    total: torch.Tensor
    _kept: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)

    @property
    def pattern(self) -> torch.Tensor:
        """The rows themselves, made of the weights in place when somebody first wants them. Axes: (text, head, query, key)."""
        return self.once("pattern", self._scaled)

    def _scaled(self) -> torch.Tensor:
        self.weights.mul_(self.scale)
        self.scale.fill_(1.0)
        return self.weights

    def once(self, name: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What several statistics want of these rows, made once."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    @property
    def where(self) -> tuple[slice, slice, slice]:
        """The place of these rows in (batch, head, query_pos)."""
        return self.texts, self.heads, self.queries


def sweep(call: AttentionCall, visit: Callable[[Rows], None]) -> torch.Tensor:
    """Show every row of a call's pattern to `visit` once, and leave the call with its output, so that no kernel runs for it.

    A block's tensors are overwritten by the next: what is to be kept is copied.

    Args:
        call: one attention sublayer at work.
        visit: takes what it wants from a block.
    Returns: `Rows.total` of all rows. Axes: (batch, head, query_pos).
    """
    batch, heads, n, _ = call.shape
    query, key, value = _laid_out(call)
    output = call.value.new_empty(batch, n, heads, value.shape[-1]).transpose(1, 2)
    totals, buffers = query.new_empty(batch, heads, n), _Buffers(call)
    for queries in _slices(n, QUERIES):
        keys = _visible(call, queries)
        for texts, some in _groups(call, queries, keys):
            where = texts, some, queries
            asking = query[where]
            scores, spare = buffers.shaped(*asking.shape[:3], keys.stop - keys.start)
            if not call.replaced:
                torch.bmm(asking.flatten(0, 1), key[texts, some, :, keys].flatten(0, 1), out=scores.flatten(0, 1))
            weights, total = call.weigh(scores, spare, (*where, keys))
            scale = total.reciprocal()
            moved = torch.bmm(weights.flatten(0, 1), value[texts, some, keys].flatten(0, 1)).unflatten(0, weights.shape[:2])
            output[where], totals[where] = moved.mul_(scale), total[..., 0]
            visit(Rows(texts=texts, heads=some, queries=queries, keys=keys, weights=weights, scale=scale, scores=scores, total=total))
    call.take(output)
    return totals


def _laid_out(call: AttentionCall) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries scaled to bits, keys turned, values: each head's rows put together, which in a joint projection lie far apart.

    Keys and values are read once for every block of queries: at 4,096 tokens products with rows that lie apart take a quarter longer.
    """
    query, key, value = (one.to(call.wide) for one in (call.query, call.key, call.value))
    query = query * (call.scale / math.log(2))
    if call.shape[0] > 1:  # a block of several texts has to be one batch of matrices
        query = query.contiguous()
    return query, key.contiguous().transpose(-1, -2), value.contiguous()


class _Buffers:
    """Memory that every block of a pass uses again: fresh memory for each costs as much as a product of matrices."""

    def __init__(self, call: AttentionCall):
        rows = min(call.shape[2], QUERIES) * call.shape[3]
        size = max(rows, min(_allowed(call), call.shape[0] * call.shape[1] * rows))
        self.one, self.other = (torch.empty(size, dtype=call.wide, device=call.query.device) for _ in range(2))

    def shaped(self, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
        size = math.prod(shape)
        return self.one[:size].view(shape), self.other[:size].view(shape)


def _allowed(call: AttentionCall) -> int:
    """Numbers in a block."""
    return NUMBERS * torch.get_num_threads() if call.query.device.type == "cpu" else ON_DEVICE


def _groups(call: AttentionCall, queries: slice, keys: slice) -> Iterator[tuple[slice, slice]]:
    """Texts and heads that are in a block together: whole texts where several fit."""
    batch, heads = call.shape[:2]
    fit = max(1, _allowed(call) // ((queries.stop - queries.start) * (keys.stop - keys.start)))
    for texts in _slices(batch, max(1, fit // heads)):
        yield from ((texts, some) for some in _slices(heads, min(heads, fit)))


def _slices(n: int, size: int) -> list[slice]:
    return [slice(start, min(n, start + size)) for start in range(0, n, size)]


def _visible(call: AttentionCall, queries: slice) -> slice:
    """The range of keys outside of which none of these queries sees any."""
    if call.mask is None:
        return slice(0, queries.stop if call.causal else call.shape[3])
    seen = call.mask[:, :, queries].any(2).flatten(0, 1).any(0).nonzero()
    return slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(0, 1)
