"""Our attention function, registered with transformers as "interp".

transformers hands it q, k, v after rotary embedding, the mask and the scale, for every family that goes through its
`AttentionInterface`. With nobody watching patterns it is plain SDPA. With a watcher it becomes an `AttentionCall`, which gives the
exact pattern, or the output together with the log-sum-exp of the scores, from which pattern statistics follow
without the pattern (see `measures.streaming`).
"""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from interp.core.errors import ModelUnsupported
from interp.models.points import Point, watchers

NAME = "interp"
_EXTRAS_THAT_CHANGE_SCORES = ("position_bias", "softcap", "s_aux")
_POINTS: "WeakKeyDictionary[torch.nn.Module, Point]" = WeakKeyDictionary()


class AttentionCall:
    """One attention sublayer at work on one batch. Heads of grouped keys and values are repeated to the number of queries.

    Attributes:
        query, key, value: (batch, head, pos, d_head).
        scale: factor on the scores q.k.
        causal: True when position i sees positions up to i only.
        mask: (batch, 1, query_pos, key_pos), True where a key is seen; None when `causal` says it all.
    """

    def __init__(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scale: float, causal: bool):
        groups = query.shape[1] // key.shape[1]
        self.query = query
        self.key = key.repeat_interleave(groups, dim=1) if groups > 1 else key
        self.value = value.repeat_interleave(groups, dim=1) if groups > 1 else value
        self.mask, self.scale, self.causal = mask, scale, causal
        self._pattern: torch.Tensor | None = None
        self._fused: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def seen(self) -> torch.Tensor:
        """True where a query may see a key. Axes: (batch or 1, 1, query_pos, key_pos)."""
        if self.mask is not None:
            return self.mask if self.mask.dtype == torch.bool else self.mask > torch.finfo(self.mask.dtype).min / 2
        shape = (1, 1, self.query.shape[2], self.key.shape[2])
        everything = torch.ones(shape, dtype=torch.bool, device=self.query.device)
        return everything.tril() if self.causal else everything

    def pattern(self) -> torch.Tensor:
        """Attention after the softmax, in float32 or wider. Axes: (batch, head, query_pos, key_pos)."""
        if self._pattern is None:
            wide = torch.promote_types(self.query.dtype, torch.float32)
            scores = (self.query.to(wide) @ self.key.to(wide).transpose(-1, -2)) * self.scale
            scores = scores.masked_fill(~self.seen, -torch.inf)
            self._pattern = _softmax(scores, self.seen)
        return self._pattern

    def attend_to(self, values: torch.Tensor) -> torch.Tensor:
        """sum_j p_ij values_j, exactly, without keeping p. Axes: (batch, head, key_pos, d) -> (batch, head, query_pos, d).

        In float32 or wider, also where the model computes in half precision; `d` may be any width.
        """
        return self._kernel(values)[0][..., : values.shape[-1]]

    def output_and_lse(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The sublayer's z and log sum_j exp(s_ij). Axes: (batch, head, query_pos, d_head), (batch, head, query_pos)."""
        if self._fused is None:
            output, lse = self._kernel(self.value)
            self._fused = output.to(self.value.dtype), lse
        return self._fused

    def _kernel(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # In half precision the kernel rounds positions, norms and scores: distances came out wrong by whole tokens.
        if self.query.device.type != "cpu" or self.query.dtype in (torch.float16, torch.bfloat16):
            return self._blockwise(values)
        mask = None if self.mask is None else torch.zeros_like(self.seen, dtype=self.query.dtype).masked_fill(~self.seen, -torch.inf)
        widest = max(self.key.shape[-1], values.shape[-1])
        width = widest if widest == self.key.shape[-1] else -(-widest // 8) * 8  # all three equally wide, and vectorised
        query, key, values = (_widened(tensor, width) for tensor in (self.query, self.key, values.to(self.query.dtype)))
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, values, 0.0, self.causal, attn_mask=mask, scale=self.scale
        )

    def _blockwise(self, values: torch.Tensor, block: int = 128) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, sums, seen = [], [], self.seen
        for start in range(0, self.query.shape[2], block):
            rows = slice(start, start + block)
            scores = (self.query[:, :, rows].float() @ self.key.float().transpose(-1, -2)) * self.scale
            scores = scores.masked_fill(~seen[:, :, rows], -torch.inf)
            sums.append(scores.logsumexp(-1))
            outputs.append(_softmax(scores, seen[:, :, rows]) @ values.float())
        return torch.cat(outputs, 2), torch.cat(sums, 2)

    def output(self) -> torch.Tensor:
        """What the sublayer hands to W_O, from the pattern or the kernel, whichever was computed. (batch, pos, head, d_head)."""
        if self._pattern is not None:
            return (self._pattern.to(self.value.dtype) @ self.value).transpose(1, 2)
        return self.output_and_lse()[0].transpose(1, 2)


def _softmax(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """A query that sees no key attends to nothing: zeros. A score that is nan stays nan, so that it shows."""
    return torch.softmax(scores, dim=-1).masked_fill(~seen.any(-1, keepdim=True), 0.0)


def _widened(tensor: torch.Tensor, width: int) -> torch.Tensor:
    """Zeros appended to the last axis: they add nothing to a dot product."""
    return tensor if tensor.shape[-1] == width else torch.nn.functional.pad(tensor, (0, width - tensor.shape[-1]))


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **extras: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls. Same output as SDPA to rounding, whether or not somebody watches."""
    watching = [watcher for watcher in watchers() if "pattern" in watcher.kinds]
    point = _POINTS.get(module)
    if not watching or point is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **extras)
    _refuse_extras(extras)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    causal = extras.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    call = AttentionCall(query, key, value, attention_mask, scale, causal and attention_mask is None and query.shape[2] > 1)
    if attention_mask is not None and attention_mask.dtype != torch.bool and (attention_mask.masked_fill(~call.seen, 0.0) != 0).any():
        raise ModelUnsupported("the mask adds numbers to the scores, which interp does not read; expected one that only hides keys")
    for watcher in watching:
        watcher.attend(point, call)
    return call.output().contiguous(), None


def _refuse_extras(extras: dict[str, Any]) -> None:
    for name in _EXTRAS_THAT_CHANGE_SCORES:
        if extras.get(name) is not None:
            raise ModelUnsupported(
                f"this family changes attention scores by {name!r}, which interp does not read yet; nothing was captured"
            )


def register() -> None:
    """Make the function known to transformers under `NAME`. Called when a model is loaded, never at import."""
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def place(module: torch.nn.Module, point: Point) -> None:
    """Say which point of the model the attention module stands for."""
    _POINTS[module] = point
