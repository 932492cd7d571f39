"""What a capture will take, counted before it runs."""

from collections.abc import Iterable

from interp.core.errors import MemoryLimit
from interp.core.sites import Stack
from interp.models.anatomy import Anatomy
from interp.models.points import Kind


def bytes_needed(anatomy: Anatomy, n_tokens: int, kinds: Iterable[Kind], *, n_target: int = 0, itemsize: int = 4) -> dict[str, int]:
    """Bytes that each kind of point takes for one text, in all stacks; "logits" where the model has a head.

    Args:
        anatomy: of the model.
        n_tokens: of the text.
        kinds: what is kept.
        n_target: tokens of the decoder's row in an encoder-decoder.
        itemsize: bytes of a number.
    """
    rows: dict[Stack, int] = {"E": n_tokens, "D": n_target, "": n_tokens}
    needed: dict[str, int] = {
        kind: itemsize * sum(_numbers(anatomy, stack, rows[stack], n_tokens, kind) for stack in anatomy.stacks) for kind in kinds
    }
    logits = (n_target or n_tokens) * anatomy.d_vocab * itemsize
    return {**needed, "logits": logits} if anatomy.lm_head else needed


def _numbers(anatomy: Anatomy, name: Stack, n: int, n_memory: int, kind: Kind) -> int:
    stack = anatomy.stack(name)
    heads = stack.n_heads * ((n + n_memory if name == "D" else n) if kind == "pattern" else stack.d_head)
    widths = {"pattern": heads, "z": heads, "router_probs": anatomy.n_experts, "expert_weights": anatomy.n_experts}
    neurons = 0 if anatomy.n_experts else stack.d_mlp
    return stack.n_layers * n * {**widths, "post": neurons, "up": neurons, "gate": neurons}.get(kind, anatomy.d_model)


def refuse_over(limit_bytes: int, anatomy: Anatomy, n_tokens: int, kinds: Iterable[Kind], *, n_target: int = 0) -> None:
    """Refuse a capture that would take more than `limit_bytes`.

    Raises: MemoryLimit with the number, the largest part and what to do.
    """
    needed = bytes_needed(anatomy, n_tokens, kinds, n_target=n_target)
    total = sum(needed.values())
    if total <= limit_bytes:
        return
    largest = max(needed, key=lambda kind: needed[kind])
    raise MemoryLimit(
        f"this capture of {n_tokens} tokens would take {total / 1e9:.2f} GB, {needed[largest] / 1e9:.2f} GB of it for {largest!r}; "
        f"the limit is {limit_bytes / 1e9:.2f} GB. Keep fewer kinds (keep=...), a shorter text, or raise memory_limit; "
        "statistics of patterns need no patterns kept: interp.profile"
    )
