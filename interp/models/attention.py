"""Our attention function, registered with transformers as "interp".

transformers hands it q, k, v after rotary embedding, the mask, the scale and the family's extras, for every family that goes through its
`AttentionInterface`. With nobody watching patterns it is plain SDPA, but for the extras that SDPA does not read. With a watcher it becomes
an `AttentionCall`, which gives the exact pattern, or the output together with the log-sum-exp of the scores, from which pattern
statistics follow without the pattern (see `captures.corpus.pattern_statistics`); and which can be edited before the output is taken.

What a score is, in every family, with the symbols of `AttentionCall`
    s_ij = cap(scale q_i . k_j) + bias_ij       -inf where i does not see j
    cap(x) = softcap tanh(x / softcap)          Gemma2; else cap(x) = x
    lse_i = ln (sum_j exp(s_ij) + exp(sink))    the sink in GPT-OSS only: a logit of each head that takes weight and moves nothing
    p_ij = exp(s_ij - lse_i)
Two ways give the same: the fused kernel where a call is `plain`, an exact pass over blocks of queries everywhere else.
"""

import math
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from interp.core.errors import InterventionError, ModelUnsupported
from interp.models.kernels import cpu_attention, flex_attention
from interp.models.points import Point, watchers

NAME = "interp"
BLOCK = 128
_ALL = slice(None)
_EXTRAS = {"position_bias": "bias", "softcap": "softcap", "s_aux": "sinks"}  # transformers' names for what changes scores, and ours
_SDPA_CANNOT = ("softcap", "s_aux")  # it refuses the first and leaves the second out without a word
_HALF = (torch.float16, torch.bfloat16)
_BITS = 48  # float32 holds 2^-126 to 2^127
_HIDDEN = -1e30  # as a score: its weight is 0, and 0 times it is 0, where 0 times -inf would be nan
_KERNELS = {"cpu": cpu_attention, "cuda": flex_attention}
Where = tuple[slice, slice, slice, slice]
_POINTS: "WeakKeyDictionary[torch.nn.Module, Point]" = WeakKeyDictionary()


class AttentionCall:
    """One attention sublayer at work on one batch. Heads of grouped keys and values are repeated to the number of queries.

    Attributes:
        query, key: (batch, head, pos, d_head).
        value: (batch, head, key_pos, d_value).
        scale: factor on q.k.
        causal: True when position i sees positions up to i only, and no mask says otherwise.
        mask: (batch or 1, head or 1, query_pos, key_pos), True where a key is seen; None when `causal` says it all.
        bias: (batch or 1, head or 1, query_pos, key_pos), added to the scores; None for none. A mask that adds numbers is split into both.
        softcap: bound of |scale q.k|; None for none.
        sinks: (head,), logits that join the softmax and are dropped, so that rows sum to less than 1; None for none.
        shape: (batch, head, query_pos, key_pos).
        wide: the type in which weights are computed: float32, or what the model computes in where that is wider.
    """

    def __init__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        scale: float,
        causal: bool,
        *,
        bias: torch.Tensor | None = None,
        softcap: float | None = None,
        sinks: torch.Tensor | None = None,
    ):
        groups = query.shape[1] // key.shape[1]
        self.query = query
        self.key = key.repeat_interleave(groups, dim=1) if groups > 1 else key
        self.value = value.repeat_interleave(groups, dim=1) if groups > 1 else value
        self.shape = (*query.shape[:3], key.shape[2])
        self.wide = torch.promote_types(query.dtype, torch.float32)
        self.mask, self.bias = self._split(mask, bias)
        self.scale, self.causal, self.softcap, self.sinks = scale, causal and mask is None, softcap, sinks
        self._replaced: torch.Tensor | None = None
        self._square: torch.Tensor | None = None
        self._wild = query.device.type != "cpu"  # to look at the totals would make an accelerator wait
        self._forget()

    def _split(self, mask: torch.Tensor | None, bias: torch.Tensor | None) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Who is seen, and what is added to the scores: an additive mask may say both."""
        if mask is not None and mask.dtype != torch.bool:
            hidden = mask <= torch.finfo(mask.dtype).min / 2
            added = mask.to(self.wide).masked_fill(hidden, 0.0)
            mask, bias = ~hidden, added if bias is None else added + bias
        if bias is not None and not bias.any():
            bias = None  # the cross-attention of T5 comes with zeros
        return tuple(one if one is None else one.expand(-1, -1, *self.shape[2:]) for one in (mask, bias))  # type: ignore[return-value]

    def _forget(self) -> None:
        self._pattern: torch.Tensor | None = None
        self._fused: tuple[torch.Tensor, torch.Tensor] | None = None
        self._taken: torch.Tensor | None = None

    @property
    def replaced(self) -> bool:
        """True when a pattern was put in, so that scores play no part any more."""
        return self._replaced is not None

    @property
    def fusable(self) -> bool:
        """True when a fused kernel gives the log-sum-exp as exactly as float32 does. In half precision the CPU's does not."""
        return self.plain and (self.query.device.type in _KERNELS) and (self.query.dtype not in _HALF or self.query.device.type != "cpu")

    @property
    def plain(self) -> bool:
        """True when the scores are scale q.k under a mask and no more, so that the fused kernel serves."""
        return self.bias is None and self.softcap is None and self.sinks is None and self._replaced is None

    @property
    def seen(self) -> torch.Tensor:
        """True where a query may see a key. Axes: (batch or 1, head or 1, query_pos, key_pos)."""
        if self.mask is not None:
            return self.mask
        everything = torch.ones((1, 1, *self.shape[2:]), dtype=torch.bool, device=self.query.device)
        return everything.tril() if self.causal else everything

    def scores(self, rows: slice = _ALL) -> torch.Tensor:
        """s_ij of the queries `rows`, in float32 or wider; ln p_ij of a pattern that was put in. (batch, head, query_pos, key_pos)."""
        return self._scores(rows, self.seen)

    def _scores(self, rows: slice, seen: torch.Tensor) -> torch.Tensor:
        if self._replaced is not None:
            return self._replaced[:, :, rows].log()
        scores = (self.query[:, :, rows].to(self.wide) @ self.key.to(self.wide).transpose(-1, -2)) * self.scale
        if self.softcap is not None:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        if self.bias is not None:
            scores = scores + self.bias[:, :, rows]
        return scores.masked_fill(~seen[:, :, rows], -torch.inf)

    def pattern(self) -> torch.Tensor:
        """Attention after the softmax, in float32 or wider. Axes: (batch, head, query_pos, key_pos)."""
        if self._pattern is None:
            self._pattern = self._weights(_ALL, self.seen)[0]
        return self._pattern

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[slice, torch.Tensor]]:
        """The pattern, `size` queries at a time: which, and their rows (batch, head, query_pos, key_pos). Memory key_pos x size."""
        seen = self.seen
        return ((rows, self._weights(rows, seen)[0]) for rows in self._rows(size))

    def _rows(self, size: int) -> list[slice]:
        return [slice(start, start + size) for start in range(0, self.shape[2], size)]

    def _weights(self, rows: slice, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """p_ij and lse_i of some queries; lse is 0 for a query that sees nothing, and for one whose weights were put in."""
        if self._replaced is not None:
            replaced = self._replaced[:, :, rows]
            return replaced, torch.zeros_like(replaced[..., 0])
        scores, seen = self._scores(rows, seen), seen[:, :, rows]
        pattern, lse = _softmax(scores, seen), scores.logsumexp(-1)
        if self.sinks is None:
            return pattern, lse.masked_fill(~seen.any(-1), 0.0)
        sinks = self.sinks.to(self.wide)[:, None]
        return pattern * torch.sigmoid(lse - sinks)[..., None], torch.logaddexp(lse, sinks)

    def attend_to(self, values: torch.Tensor) -> torch.Tensor:
        """sum_j p_ij values_j, exactly, without keeping p. Axes: (batch, head, key_pos, d) -> (batch, head, query_pos, d).

        In float32 or wider, also where the model computes in half precision; `d` may be any width.
        """
        return self._kernel(values)[0]

    def output_and_lse(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The sublayer's z and lse_i. Axes: (batch, head, query_pos, d_value), (batch, head, query_pos)."""
        if self._fused is None:
            output, lse = self._kernel(self.value)
            self._fused = output.to(self.value.dtype), lse
        return self._fused

    def _kernel(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # In half precision a kernel rounds positions, norms and scores: distances came out wrong by whole tokens. Its own z may be rounded.
        if not self.fusable or (self.query.dtype in _HALF and values is not self.value):
            return self._blockwise(values)
        kernel = _KERNELS[self.query.device.type]
        return _with_nan(self.query, *kernel(self.query, self.key, values, self.mask, self.scale, causal=self.causal))

    def _blockwise(self, values: torch.Tensor, block: int = BLOCK) -> tuple[torch.Tensor, torch.Tensor]:
        seen, wide = self.seen, values.to(self.wide)
        outputs, sums = [], []
        for rows in self._rows(block):
            pattern, lse = self._weights(rows, seen)
            outputs.append(pattern @ wide)
            sums.append(lse)
        return torch.cat(outputs, 2), torch.cat(sums, 2)

    def output(self) -> torch.Tensor:
        """What the sublayer hands to W_O, from a pass over rows, the pattern or the kernel, whichever was. (batch, pos, head, d_value)."""
        if self._taken is not None:
            return self._taken.transpose(1, 2)
        if self._pattern is not None:
            return (self._pattern.to(self.value.dtype) @ self.value).transpose(1, 2)
        return self.output_and_lse()[0].transpose(1, 2)

    def take(self, output: torch.Tensor) -> None:
        """Hand on a z that somebody made from these very weights, in a pass of its own. Axes: (batch, head, query_pos, d_value)."""
        self._taken = output

    def weigh(self, scores: torch.Tensor, spare: torch.Tensor, where: Where) -> tuple[torch.Tensor, torch.Tensor]:
        """From scale q.k of one block of rows to its weights: one block of a pass that keeps none (`captures.corpus.sweep`).

        All in bits, since exp2 is quick for any number, where the CPU's exp takes a hundred times as long for one whose result is nearly 0.
        With the scores s as this leaves them,
            w_ij = 2^s_ij, p_ij = w_ij / total_i
        Scores are taken as they are while every row's total stays far from overflow and from underflow (2^+-48: what float32 is too
        small for is then less than 2^-77 of its row); from the first block on where one does not, each row is shifted by its largest.

        Args:
            scores: scale q.k / ln 2; overwritten by s. Axes: (text, head, query, key).
            spare: memory of the same shape, for w.
            where: which texts, heads, queries and keys; no other key is seen by these queries.
        Returns: w, and total (text, head, query, 1); for a query that sees nothing w is 0 and total 1.
        """
        if self._replaced is not None:
            weights = spare.copy_(self._replaced[where])
            torch.log2(weights, out=scores).clamp_min_(_HIDDEN)
            return weights, torch.ones_like(scores[..., :1])
        self._add_extras(scores, where)
        empty = self._hide_unseen(scores, where)
        sinks = None if self.sinks is None else self.sinks[where[1]].to(self.wide)[:, None, None] / math.log(2)
        if not self._wild:
            weights, total = _weighed(scores, spare, sinks, empty)
            if _tame(total):
                return weights, total
            self._wild = True
        most = scores.amax(-1, keepdim=True)
        if sinks is not None:
            most = torch.maximum(most, sinks)
            sinks = sinks - most
        return _weighed(scores.sub_(most), spare, sinks, empty)

    def _add_extras(self, scores: torch.Tensor, where: Where) -> None:
        if self.softcap is not None:
            cap = self.softcap / math.log(2)
            scores.div_(cap).tanh_().mul_(cap)
        if self.bias is not None:
            scores.add_(_part(self.bias, where), alpha=1 / math.log(2))

    def _hide_unseen(self, scores: torch.Tensor, where: Where) -> torch.Tensor | None:
        """Unseen keys out of a block. Returns: which queries see none, (text, head, query, 1); None where each sees one."""
        if self.mask is None:
            if self.causal:
                square = scores[..., where[2].start :]
                square.add_(self._behind(square.shape[-1]))  # quicker than to fill in
            return None
        seen = _part(self.mask, where)
        scores.masked_fill_(~seen, _HIDDEN)
        return ~seen.any(-1, keepdim=True)

    def _behind(self, size: int) -> torch.Tensor:
        """What hides the keys after each of `size` queries when it is added to their scores."""
        if self._square is None or len(self._square) < size:
            self._square = torch.full((size, size), _HIDDEN, dtype=self.wide, device=self.query.device).triu(1)
        return self._square[:size, :size]

    def hide(self, edges: torch.Tensor) -> None:
        """Let queries not see keys: their score becomes -inf and the rest of the row, a sink with it, takes over their weight.

        A query that is left without a key attends to nothing. A row that was put in by `replace` keeps its sum.

        Args: edges: True to hide; anything that broadcasts to (batch, head, query_pos, key_pos).
        Raises: InterventionError for edges of another type or shape.
        """
        if edges.dtype != torch.bool or not _fits(edges.shape, self.shape):
            raise InterventionError(f"edges {edges.dtype}{list(edges.shape)} came; expected bool that broadcasts to {list(self.shape)}")
        edges = edges.to(self.query.device)
        if self._replaced is not None:
            self._replaced = _hidden_from(self._replaced, edges)
        self.mask, self.causal = self.seen & ~edges, False
        self._forget()

    def replace(self, pattern: torch.Tensor) -> None:
        """Put another pattern in place, for what is handed on and for all who look after; scores, bias and sinks play no part any more.

        Args: pattern: weights of 0 or more; rows may sum to anything. Axes: (batch, head, query_pos, key_pos).
        Raises: InterventionError for another shape or a negative weight.
        """
        if pattern.shape != self.shape or bool((pattern < 0).any()):
            raise InterventionError(f"a pattern {list(pattern.shape)} came; expected weights of 0 or more, of shape {list(self.shape)}")
        self._replaced = pattern.to(self.query.device, self.wide)
        self.mask, self.causal = self._replaced != 0, False
        self._forget()


def _softmax(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """A query that sees no key attends to nothing: zeros. A score that is nan stays nan, so that it shows."""
    return torch.softmax(scores, dim=-1).masked_fill(~seen.any(-1, keepdim=True), 0.0)


def _weighed(
    scores: torch.Tensor, spare: torch.Tensor, sinks: torch.Tensor | None, empty: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """2^s of a block, and each row's total; `empty`: which queries see nothing."""
    weights = torch.exp2(scores, out=spare)
    total = weights.sum(-1, keepdim=True)
    total = total if sinks is None else total.add_(torch.exp2(sinks))
    if empty is not None:
        weights.masked_fill_(empty, 0.0)
        total.masked_fill_(empty, 1.0)
    return weights, total


def _tame(total: torch.Tensor) -> bool:
    """Whether each row's total is far from overflow and from underflow; False for nan."""
    least, most = torch.aminmax(total)
    return bool(least > 2.0**-_BITS) and bool(most < 2.0**_BITS)


def _with_nan(query: torch.Tensor, output: torch.Tensor, lse: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """In texts shorter than a vector register the CPU kernel makes zeros of a query that is nan: it must show."""
    broken = ~query.isfinite().all(-1)
    if not broken.any():
        return output, lse
    return output.masked_fill(broken[..., None], torch.nan), lse.masked_fill(broken, torch.nan)


def _hidden_from(pattern: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """The pattern without some edges, each row's sum as it was; zeros where nothing is left."""
    kept = pattern.masked_fill(edges, 0.0)
    return kept * (pattern.sum(-1, keepdim=True) / kept.sum(-1, keepdim=True).clamp_min(torch.finfo(pattern.dtype).tiny))


def _fits(shape: torch.Size, whole: tuple[int, ...]) -> bool:
    """Whether a tensor of one shape broadcasts to the other."""
    return len(shape) <= len(whole) and all(a in (1, b) for a, b in zip(shape[::-1], whole[::-1], strict=False))


def _part(tensor: torch.Tensor, where: Where) -> torch.Tensor:
    """A block of what may be one for all texts or heads."""
    return tensor[tuple(one if size > 1 else _ALL for one, size in zip(where, tensor.shape, strict=True))]


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
    """What transformers calls: eager attention to rounding, whether or not somebody watches; SDPA itself wherever SDPA serves."""
    point = _POINTS.get(module)
    watching = [watcher for watcher in watchers() if "pattern" in watcher.kinds]
    if (point is None or not watching) and all(extras.get(name) is None for name in _SDPA_CANNOT):
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **extras)
    if dropout:
        raise ModelUnsupported(f"attention drops weights at random (dropout={dropout}); expected a model in evaluation mode")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    causal = query.shape[2] > 1 and _causal(module, extras.get("is_causal"))
    read = {ours: extras.get(theirs) for theirs, ours in _EXTRAS.items()}
    call = AttentionCall(query, key, value, attention_mask, scale, causal, **read)
    if point is not None:
        for watcher in watching:
            watcher.attend(point, call)
    return call.output().contiguous(), None


def _causal(module: torch.nn.Module, said: bool | None) -> bool:
    return bool(getattr(module, "is_causal", True) if said is None else said)


def register() -> None:
    """Make the function known to transformers under `NAME`. Called when a model is loaded, never at import."""
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def place(module: torch.nn.Module, point: Point) -> None:
    """Say which point of the model the attention module stands for."""
    _POINTS[module] = point
