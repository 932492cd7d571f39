"""What a capture will take, counted before it runs."""

from collections.abc import Iterable

from interp.core.errors import MemoryLimit
from interp.models.anatomy import Anatomy
from interp.models.points import Kind


def bytes_needed(anatomy: Anatomy, n_tokens: int, kinds: Iterable[Kind], *, itemsize: int = 4) -> dict[str, int]:
    """Bytes that each kind of point takes for one text of `n_tokens` tokens; "logits" where the model has a head."""
    a, n = anatomy, n_tokens
    widths = {"pattern": a.n_heads * n, "z": a.n_heads * a.d_head, "post": a.d_mlp}
    needed: dict[str, int] = {kind: a.n_layers * n * widths.get(kind, a.d_model) * itemsize for kind in kinds}
    return {**needed, "logits": n * a.d_vocab * itemsize} if a.lm_head else needed


def refuse_over(limit_bytes: int, anatomy: Anatomy, n_tokens: int, kinds: Iterable[Kind]) -> None:
    """Refuse a capture that would take more than `limit_bytes`.

    Raises: MemoryLimit with the number, the largest part and what to do.
    """
    needed = bytes_needed(anatomy, n_tokens, kinds)
    total = sum(needed.values())
    if total <= limit_bytes:
        return
    largest = max(needed, key=lambda kind: needed[kind])
    raise MemoryLimit(
        f"this capture of {n_tokens} tokens would take {total / 1e9:.2f} GB, {needed[largest] / 1e9:.2f} GB of it for {largest!r}; "
        f"the limit is {limit_bytes / 1e9:.2f} GB. Keep fewer kinds (keep=...), a shorter text, or raise memory_limit; "
        "statistics of patterns need no patterns kept: interp.profile"
    )
