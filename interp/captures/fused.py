"""The head statistics of `measures.head_statistics` without the n x n pattern.

A fused kernel returns the output and lse_i = log sum_j exp(s_ij). With it,
    one weight        p_ij = exp(s_ij - lse_i)                      a gather, or a slice for a fixed offset: O(n d)
    entropy           H_i = lse_i - sum_j p_ij s_ij = lse_i - scale q_i . (sum_j p_ij k_j)    the kernel with V = K
    sum_j p_ij f_j    for any number f_j of the keys                the kernel with V = f
so the kernel runs once more, with V = (K, position, value norm). Exact in real numbers; in float32 the entropy's error grows with
the scores, about 1e-5 x max|s|. The mean distance of a head that looks both ways is not of that form: |i - j| depends on both. It
takes the exact pass over blocks of queries.
"""

from collections.abc import Callable, Mapping
from functools import cached_property

import torch

from interp.measures.induction import copy_target
from interp.models.attention import AttentionCall
from interp.models.watch import value_norms

BLOCK = 128


class Fused:
    """The statistics of one attention sublayer on one batch of equally long texts without padding.

    Each statistic is (batch, head, query_pos), nan where a query has no value, as its definition on patterns gives it.
    """

    def __init__(self, call: AttentionCall, ids: torch.Tensor, w_o: torch.Tensor):
        self.call, self.ids, self.w_o = call, ids, w_o

    @cached_property
    def lse(self) -> torch.Tensor:
        return self.call.output_and_lse()[1]

    @cached_property
    def norms(self) -> torch.Tensor:
        """||v_j W_O||. Axes: (batch, head, key_pos)."""
        return value_norms(self.call, self.w_o)

    @cached_property
    def centred_positions(self) -> torch.Tensor:
        n = self.ids.shape[-1]
        return torch.arange(n, device=self.ids.device, dtype=torch.float32) - (n - 1) / 2

    @cached_property
    def means(self) -> torch.Tensor:
        """sum_j p_ij f_j for f = (key, position, value norm). Axes: (batch, head, query_pos, d_head + 2)."""
        features = torch.stack([self.centred_positions.expand_as(self.norms), self.norms], dim=-1)
        return self.call.attend_to(torch.cat([self.call.key.float(), features], dim=-1)).float()

    @cached_property
    def previous(self) -> torch.Tensor:
        return self.at_offset(-1)

    @cached_property
    def first(self) -> torch.Tensor:
        return self.on_first()

    def weight(self, targets: torch.Tensor) -> torch.Tensor:
        """p_ij at one key for each query; nan where the target is -1. `targets`: (batch or 1, query_pos)."""
        call = self.call
        index = targets.clamp_min(0)[:, None, :, None].expand(call.key.shape[0], call.key.shape[1], -1, call.key.shape[-1])
        scores = (call.query.float() * call.key.gather(2, index).float()).sum(-1) * call.scale
        seen = self._seen(targets)
        weights = torch.exp(scores - self.lse).masked_fill(~seen, 0.0)
        return weights.masked_fill((targets < 0)[:, None], torch.nan)

    def _seen(self, targets: torch.Tensor) -> torch.Tensor:
        queries = torch.arange(targets.shape[-1], device=targets.device)
        if self.call.mask is None:
            return ((targets <= queries) | (not self.call.causal))[:, None]
        seen = self.call.seen
        index = targets.clamp_min(0)[:, None, :, None]
        texts = max(seen.shape[0], index.shape[0])
        return seen.expand(texts, -1, -1, -1).gather(-1, index.expand(texts, -1, -1, -1))[..., 0]

    def at_offset(self, offset: int) -> torch.Tensor:
        """p at key position query + offset; nan outside of the text."""
        call, n = self.call, self.ids.shape[-1]
        if call.mask is not None:
            return self.weight(self._offset_targets(offset))
        queries, keys = slice(max(0, -offset), n - max(0, offset)), slice(max(0, offset), n - max(0, -offset))
        weights = torch.full_like(self.lse, torch.nan)
        if offset > 0 and call.causal:
            weights[:, :, queries] = 0.0
            return weights
        scores = torch.linalg.vecdot(call.query[:, :, queries].float(), call.key[:, :, keys].float()) * call.scale
        weights[:, :, queries] = torch.exp(scores - self.lse[:, :, queries])
        return weights

    def _offset_targets(self, offset: int) -> torch.Tensor:
        n = self.ids.shape[-1]
        targets = torch.arange(n, device=self.ids.device) + offset
        return torch.where((targets >= 0) & (targets < n), targets, -1)[None]

    def on_first(self) -> torch.Tensor:
        """p at key position 0; nan for the first query, which under a causal mask has no choice."""
        targets = torch.zeros_like(self.ids[:1])
        targets[:, 0] = -1
        return self.weight(targets)

    def on_copy(self) -> torch.Tensor:
        return self.weight(copy_target(self.ids, 1))

    def moved(self, weights: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The norm-weighted share of one key for each query."""
        norms = self.norms.gather(-1, targets.clamp_min(0)[:, None].expand(*self.norms.shape[:2], -1))
        return weights * norms / self.means[..., -1].clamp_min(torch.finfo(torch.float32).tiny)

    def previous_moved(self) -> torch.Tensor:
        return self.moved(self.previous, self._offset_targets(-1))

    def first_moved(self) -> torch.Tensor:
        return self.moved(self.first, torch.zeros_like(self.ids[:1]))

    def entropy(self) -> torch.Tensor:
        call = self.call
        return self.lse - torch.linalg.vecdot(call.query.float(), self.means[..., :-2]) * call.scale

    def distance(self) -> torch.Tensor:
        if self.call.causal:
            return self.centred_positions - self.means[..., -2]
        return torch.cat([self._distance_of(slice(start, start + BLOCK)) for start in range(0, self.ids.shape[-1], BLOCK)], dim=2)

    def _distance_of(self, rows: slice) -> torch.Tensor:
        call, positions = self.call, self.centred_positions
        scores = (call.query[:, :, rows].float() @ call.key.float().transpose(-1, -2)) * call.scale
        pattern = torch.exp(scores - self.lse[:, :, rows, None])
        if call.mask is not None:
            pattern = pattern.masked_fill(~call.seen[:, :, rows], 0.0)
        return (pattern * (positions[rows, None] - positions[None, :]).abs()).sum(-1)


FUSED: Mapping[str, Callable[[Fused], torch.Tensor]] = {
    "entropy": Fused.entropy,
    "previous": lambda fused: fused.previous,
    "next": lambda fused: fused.at_offset(1),
    "first": lambda fused: fused.first,
    "distance": Fused.distance,
    "induction": Fused.on_copy,
    "previous_moved": Fused.previous_moved,
    "first_moved": Fused.first_moved,
}
