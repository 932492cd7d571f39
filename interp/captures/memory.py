"""What a capture will take, counted before it runs: place by place where the hooks stand, so that it is what is kept, to the byte.

In half precision what some families keep in float32 all the same is counted in float32 for all (T5: some weights; Mixtral: the experts'
weights): then it is never too little.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from interp.core.errors import MemoryLimit
from interp.core.sites import Stack
from interp.models.anatomy import Anatomy, StackAnatomy, Sublayer
from interp.models.model import Model
from interp.models.points import Kind

FLOAT32 = 4
_IN_FLOAT32 = ("pattern", "router_probs", "expert_weights")  # or wider; the last in half precision only in some families
Counted = Iterator[tuple[str, int]]
"""Kinds of points, with the numbers that one place of the kind keeps."""


def bytes_needed(anatomy: Anatomy, n_tokens: int, kinds: Iterable[Kind], *, n_target: int = 0, itemsize: int = FLOAT32) -> dict[str, int]:
    """Bytes that each kind of point takes for one text, in all stacks; "logits" where the model has a head.

    A kind that the family does not have takes 0. With patterns the norm of each key's value is kept, and counted with them.

    Args:
        anatomy: of the model.
        n_tokens: of the text.
        kinds: what is kept.
        n_target: tokens of the decoder's row in an encoder-decoder.
        itemsize: bytes of one of the model's numbers.
    """
    rows: dict[Stack, int] = {"": n_tokens, "E": n_tokens, "D": n_target, "X": n_target}
    numbers: Counter[str] = Counter()
    for stack in anatomy.stacks.values():
        for kind, n in _of_stack(_Widths(anatomy, stack, n_tokens), stack, rows):
            numbers[kind] += n
    needed: dict[str, int] = {kind: numbers[kind] * max(itemsize, FLOAT32 if kind in _IN_FLOAT32 else 0) for kind in kinds}
    if "pattern" in needed:
        needed["pattern"] += numbers["value_norms"] * FLOAT32
    logits = (n_target or n_tokens) * anatomy.d_vocab * itemsize
    return {**needed, "logits": logits} if anatomy.lm_head else needed


@dataclass(frozen=True)
class _Widths:
    """What a sublayer of one stack keeps for a row of tokens."""

    anatomy: Anatomy
    stack: StackAnatomy
    n_memory: int

    def of(self, sublayer: Sublayer, n: int) -> Counted:
        return self._of_ffn(sublayer, n) if sublayer.kind == "mlp" else self._of_attention(sublayer, n)

    def _of_attention(self, sublayer: Sublayer, n: int) -> Counted:
        n_keys = self.n_memory if sublayer.kind == "cross" else n
        yield "attn_in", n * self.anatomy.d_model
        yield "memory", n_keys * self.anatomy.d_model if sublayer.memory else 0
        yield "pattern", self.stack.n_heads * n * n_keys
        yield "value_norms", self.stack.n_heads * n_keys
        yield "z", n * self.stack.n_heads * self.stack.d_head
        yield "attn_out", n * self.anatomy.d_model

    def _of_ffn(self, ffn: Sublayer, n: int) -> Counted:
        yield "mlp_in", n * self.anatomy.d_model
        yield "mlp_out", n * self.anatomy.d_model
        for kind in ("router_probs", "expert_weights") if ffn.experts else ("up", "post", *(["gate"] if ffn.gate else [])):
            yield kind, n * (self.anatomy.n_experts if ffn.experts else ffn.n_neurons)


def _of_stack(widths: _Widths, stack: StackAnatomy, rows: Mapping[Stack, int]) -> Counted:
    """The sublayers, and the stream around them."""
    stream = rows[stack.stack] * widths.anatomy.d_model
    for layer, sublayers in enumerate(stack.layers):
        yield "resid_pre", stream
        for sublayer in sublayers:
            yield from widths.of(sublayer, rows[sublayer.stack])
        yield "resid_mid", stream * _seen_between(sublayers, stack)
        yield "resid_post", stream * _seen_after(sublayers, layer, stack)
    yield "ln_final", stream * bool(stack.ln_final)


def _seen_between(sublayers: tuple[Sublayer, ...], stack: StackAnatomy) -> int:
    """How often the stream is seen between the sublayers of a block: where a norm writes it, or the next norm reads it."""
    return sum(bool(one.norm_after or (following.norm_in and not stack.parallel)) for one, following in pairwise(sublayers))


def _seen_after(sublayers: tuple[Sublayer, ...], layer: int, stack: StackAnatomy) -> bool:
    """Whether the stream is seen at a block's end: where a norm writes it, or the next block or the final norm reads it."""
    return bool(sublayers[-1].norm_after or stack.ln_final or layer < stack.n_layers - 1)


def refuse_over(limit_bytes: int, model: Model, n_tokens: int, kinds: Iterable[Kind], *, n_target: int = 0) -> None:
    """Refuse a capture that would take more than `limit_bytes`.

    Raises: MemoryLimit with the number, the largest part and what to do.
    """
    widest = max(parameter.dtype.itemsize for parameter in model.hf.parameters())
    needed = bytes_needed(model.anatomy, n_tokens, kinds, n_target=n_target, itemsize=widest)
    total = sum(needed.values())
    if total <= limit_bytes:
        return
    largest = max(needed, key=lambda kind: needed[kind])
    raise MemoryLimit(
        f"this capture of {n_tokens} tokens would take {total / 1e9:.2f} GB, {needed[largest] / 1e9:.2f} GB of it for {largest!r}; "
        f"the limit is {limit_bytes / 1e9:.2f} GB. Keep fewer kinds (keep=...), a shorter text, or raise memory_limit; "
        "statistics of patterns need no patterns kept: interp.profile"
    )
