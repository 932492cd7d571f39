"""One pass over an attention sublayer's pattern, block by block: everything that is asked of it is taken while a block is there.

A block is some texts, some heads, 64 queries and the keys that one of these queries may see; about a megabyte for each thread, so
that it stays in the processor's cache. Each block is made once: scores, softmax, and from its weights the sublayer's own output z and
whatever the visitor takes. In float32 or wider, whatever the model computes in. On a CPU this costs 1.6 to 1.9 times the fused kernel
alone, where the kernel run again with V = K, and again with V = features, costs 2.7 times (measured at 1,024 and 4,096 tokens, d_head
64); it also serves where no kernel does: biases, soft caps, sinks, a pattern that was put in.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from interp.models.attention import AttentionCall

QUERIES = 64
NUMBERS = 1 << 18  # in a block, for each thread: 1 MB in float32. Half and twice as much were slower.
ON_DEVICE = 1 << 26  # an accelerator wants large blocks


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Some rows of the pattern.

    Attributes:
        texts, heads, queries, keys: which; all other keys have weight 0 for these queries.
        pattern: axes (text, head, query, key).
        logs: ln of it, a large negative number where it is 0; None when nobody needs it.
    """

    texts: slice
    heads: slice
    queries: slice
    keys: slice
    pattern: torch.Tensor
    logs: torch.Tensor | None
    _kept: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)

    def once(self, name: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What several statistics want of these rows, made once."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    @property
    def where(self) -> tuple[slice, slice, slice]:
        """The place of these rows in (batch, head, query_pos)."""
        return self.texts, self.heads, self.queries


class _Buffers:
    """Memory that every block of a pass uses again: fresh memory for each costs as much as a product of matrices."""

    def __init__(self, size: int, like: torch.Tensor, dtype: torch.dtype):
        self.one, self.other = (torch.empty(size, dtype=dtype, device=like.device) for _ in range(2))

    def shaped(self, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
        size = shape[0] * shape[1] * shape[2]
        return self.one[:size].view(shape), self.other[:size].view(shape)


def sweep(call: AttentionCall, visit: Callable[[Rows], None], *, logs: bool = False) -> None:
    """Show every row of a call's pattern to `visit` once, and leave the call with its output, so that no kernel runs for it.

    A block's tensors are overwritten by the next: what is to be kept is copied.

    Args:
        call: one attention sublayer at work.
        visit: takes what it wants from a block.
        logs: whether `Rows.logs` is wanted.
    """
    batch, heads, n, _ = call.shape
    output = call.value.new_empty(batch, n, heads, call.value.shape[-1]).transpose(1, 2)
    texts_at_once, heads_at_once = _group(call)
    buffers = _Buffers(texts_at_once * heads_at_once * min(n, QUERIES) * call.shape[3], call.query, call.wide)
    for texts in _slices(batch, texts_at_once):
        for some in _slices(heads, heads_at_once):
            for rows, values in _of_group(call, texts, some, buffers, logs):
                weights = rows.pattern.flatten(0, 1)
                output[rows.where] = torch.bmm(weights, values).unflatten(0, rows.pattern.shape[:2]).to(output.dtype)
                visit(rows)
    call.take(output)


def _group(call: AttentionCall) -> tuple[int, int]:
    """How many texts, and how many heads of each, are in a block."""
    batch, heads, n, keys = call.shape
    allowed = NUMBERS * torch.get_num_threads() if call.query.device.type == "cpu" else ON_DEVICE
    fit = max(1, allowed // (min(n, QUERIES) * keys))
    return (min(batch, fit // heads), heads) if fit >= heads else (1, fit)


def _slices(n: int, size: int) -> list[slice]:
    return [slice(start, min(n, start + size)) for start in range(0, n, size)]


def _of_group(call: AttentionCall, texts: slice, heads: slice, buffers: _Buffers, logs: bool) -> Iterator[tuple[Rows, torch.Tensor]]:
    """The rows of some heads in some texts, and the values of the keys that they see. Axes of these: (text x head, key, d_value)."""
    query, key, value = (one[texts, heads].to(call.wide).flatten(0, 1) for one in (call.query, call.key, call.value))
    key = (key * call.scale).transpose(1, 2)
    shape = call.query[texts, heads].shape[:2]
    for queries in _slices(call.shape[2], QUERIES):
        keys = _visible(call, queries)
        scores, spare = buffers.shaped(len(query), queries.stop - queries.start, keys.stop - keys.start)
        if not call.replaced:
            torch.bmm(query[:, queries], key[:, :, keys], out=scores)
        scores, spare = scores.unflatten(0, shape), spare.unflatten(0, shape)
        pattern, logarithms = call.weigh(scores, spare, (texts, heads, queries, keys), logs=logs)
        yield Rows(texts=texts, heads=heads, queries=queries, keys=keys, pattern=pattern, logs=logarithms), value[:, keys]


def _visible(call: AttentionCall, queries: slice) -> slice:
    """The range of keys outside of which none of these queries sees any."""
    if call.mask is None:
        return slice(0, queries.stop if call.causal else call.shape[3])
    seen = call.mask[:, :, queries].any(2).flatten(0, 1).any(0).nonzero()
    return slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(0, 1)
