"""Fused attention that hands out the log-sum-exp of its scores as well: PyTorch's own kernels, one for each kind of device.

    CPU     `aten::_scaled_dot_product_flash_attention_for_cpu`: query, key and value must be equally wide
    CUDA    `torch.nn.attention.flex_attention`, compiled: the public way to the log-sum-exp

Both take float32 scores; in half precision both round the weights before they multiply the values.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

Pair = tuple[torch.Tensor, torch.Tensor]


def cpu_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, seen: torch.Tensor | None, scale: float, *, causal: bool
) -> Pair:
    """The weighted values and the log-sum-exp. Axes: (batch, head, query_pos, d_value), (batch, head, query_pos).

    Args:
        query, key, value: (batch, head, pos, d); as many heads in each.
        seen: True where a query sees a key; None when `causal` says it all.
        scale: factor on q.k.
        causal: a query sees the keys up to its own place.
    """
    mask = None if seen is None else torch.where(seen, 0.0, -torch.inf).to(query.dtype)
    widest = max(key.shape[-1], value.shape[-1])
    width = widest if widest == key.shape[-1] else -(-widest // 8) * 8  # all three equally wide, and vectorised
    wide = (_widened(tensor, width) for tensor in (query, key, value.to(query.dtype)))
    output, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*wide, 0.0, causal, attn_mask=mask, scale=scale)
    return output[..., : value.shape[-1]], lse


def flex_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, seen: torch.Tensor | None, scale: float, *, causal: bool
) -> Pair:
    """As `cpu_attention`, by the public interface that CUDA has; a query that sees no key gets zeros and a log-sum-exp of 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch's own, about what it uses inside
        from torch.nn.attention.flex_attention import AuxRequest, create_block_mask

    rule = _rule(seen, causal)
    shape = (query.shape[2], key.shape[2])
    texts, heads = (1, 1) if seen is None else seen.shape[:2]
    blocks = None if rule is None else create_block_mask(rule, texts, heads, *shape, device=query.device.type)
    output, aux = _flex(query.device.type)(
        query, key, value.to(query.dtype), block_mask=blocks, scale=scale, return_aux=AuxRequest(lse=True)
    )
    return output, aux.lse.masked_fill(aux.lse == -torch.inf, 0.0)


def _rule(seen: torch.Tensor | None, causal: bool) -> Callable[..., torch.Tensor] | None:
    """Whether a query sees a key, as flex_attention wants to be told."""
    if seen is not None:
        texts, heads = (size > 1 for size in seen.shape[:2])
        return lambda text, head, query, key: seen[text if texts else 0, head if heads else 0, query, key]
    return (lambda text, head, query, key: key <= query) if causal else None


@cache
def _flex(device: str) -> Callable[..., Any]:
    """Compiled where it is meant to run; on a CPU as it is, which makes the whole pattern and serves as a test only."""
    from torch.nn.attention.flex_attention import flex_attention

    kernel: Any = flex_attention
    return torch.compile(kernel) if device == "cuda" else kernel


def _widened(tensor: torch.Tensor, width: int) -> torch.Tensor:
    """Zeros appended to the last axis: they add nothing to a dot product."""
    return tensor if tensor.shape[-1] == width else torch.nn.functional.pad(tensor, (0, width - tensor.shape[-1]))
