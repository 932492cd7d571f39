"""The head statistics of `measures.head_statistics` without the n x n pattern.

A fused kernel returns the output and lse_i = log sum_j exp(s_ij). With it, where a score is scale q.k under a mask and no more,
    one weight        p_ij = exp(s_ij - lse_i)                      a gather, or a slice for a fixed offset: O(n d)
    entropy           H_i = lse_i - sum_j p_ij s_ij = lse_i - scale q_i . (sum_j p_ij k_j)    the kernel with V = K
    sum_j p_ij f_j    for any number f_j of the keys                the kernel with V = f
so the kernel runs once more, with V = (K, position, value norm). Exact in real numbers; in float32 the entropy's error grows with
the scores, about 1e-5 x max|s|. The mean distance of a head that looks both ways is not of that form: |i - j| depends on both.

That, and every statistic of a call that is not plain (position biases, soft caps, sinks, a pattern that was put in), takes the exact pass
over blocks of queries: memory n x block, each statistic by its definition on the rows. With sinks the weights of a row sum to less than 1;
the entropy is - sum_j p_ij ln p_ij over the real keys, as `measures.attention` defines it.
"""

from collections.abc import Callable, Mapping
from functools import cached_property

import torch

from interp.measures.attention import entropy
from interp.measures.induction import copy_target, weight_on_target
from interp.models.attention import AttentionCall
from interp.models.watch import value_norms


class Fused:
    """The statistics of one attention sublayer on one batch of equally long texts without padding.

    Each statistic is (batch, head, query_pos), nan where a query has no value, as its definition on patterns gives it.
    """

    def __init__(self, call: AttentionCall, ids: torch.Tensor, w_o: torch.Tensor):
        self.call, self.ids, self.w_o = call, ids.to(call.query.device), w_o

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
    def by_rows(self) -> Mapping[str, torch.Tensor]:
        """What a call that is not plain gives in one pass over its rows: weights on the targets by name, entropy, distance, moved norm."""
        targets = {name: self.targets(name).expand_as(self.ids) for name in _TARGETS}
        parts = [self._of_rows(rows, pattern.float(), targets) for rows, pattern in self.call.blocks()]
        return {name: torch.cat([part[name] for part in parts], dim=2) for name in parts[0]}

    def _of_rows(self, rows: slice, pattern: torch.Tensor, targets: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        weights = {name: weight_on_target(pattern, keys[:, rows]) for name, keys in targets.items()}
        moved = torch.linalg.vecdot(pattern, self.norms[:, :, None])
        return {**weights, "entropy": entropy(pattern), "distance": self._distance_of(rows, pattern), "moved": moved}

    def _distance_of(self, rows: slice, pattern: torch.Tensor) -> torch.Tensor:
        positions = self.centred_positions
        return (pattern * (positions[rows, None] - positions[None, :]).abs()).sum(-1)

    def targets(self, name: str) -> torch.Tensor:
        """The one key that a statistic asks each query for, -1 where there is none. Axes: (batch or 1, query_pos)."""
        return _TARGETS[name](self.ids)

    def weight(self, name: str) -> torch.Tensor:
        """p_ij at the target of each query."""
        if not self.call.plain:
            return self.by_rows[name]
        return self.at_offset(_OFFSETS[name]) if name in _OFFSETS else self._gathered(self.targets(name))

    def _gathered(self, targets: torch.Tensor) -> torch.Tensor:
        call = self.call
        index = targets.clamp_min(0)[:, None, :, None].expand(call.key.shape[0], call.key.shape[1], -1, call.key.shape[-1])
        scores = (call.query.float() * call.key.gather(2, index).float()).sum(-1) * call.scale
        weights = torch.exp(scores - self.lse).masked_fill(~self._seen(targets), 0.0)
        return weights.masked_fill((targets < 0)[:, None], torch.nan)

    def _seen(self, targets: torch.Tensor) -> torch.Tensor:
        if self.call.mask is None:
            queries = torch.arange(targets.shape[-1], device=targets.device)
            return ((targets <= queries) | (not self.call.causal))[:, None]
        seen = self.call.mask
        texts = max(seen.shape[0], targets.shape[0])
        index = targets.clamp_min(0)[:, None, :, None].expand(texts, seen.shape[1], -1, 1)
        return seen.expand(texts, -1, -1, -1).gather(-1, index)[..., 0]

    def at_offset(self, offset: int) -> torch.Tensor:
        """p at key position query + offset; nan outside of the text."""
        call, n = self.call, self.ids.shape[-1]
        targets = _beside(self.ids, offset)
        if not call.plain:
            return torch.cat([weight_on_target(p.float(), targets[:, rows].expand(len(p), -1)) for rows, p in call.blocks()], dim=2)
        if call.mask is not None:
            return self._gathered(targets)
        width = max(0, n - abs(offset))  # none in a text shorter than that
        queries, keys = (slice(start, start + width) for start in (max(0, -offset), max(0, offset)))
        weights = torch.full_like(self.lse, torch.nan)
        if offset > 0 and call.causal:
            weights[:, :, queries] = 0.0
            return weights
        scores = torch.linalg.vecdot(call.query[:, :, queries].float(), call.key[:, :, keys].float()) * call.scale
        weights[:, :, queries] = torch.exp(scores - self.lse[:, :, queries])
        return weights

    @cached_property
    def previous(self) -> torch.Tensor:
        return self.weight("previous")

    @cached_property
    def first(self) -> torch.Tensor:
        return self.weight("first")

    def moved(self, weights: torch.Tensor, name: str) -> torch.Tensor:
        """The norm-weighted share of one key for each query."""
        norms = self.norms.gather(-1, self.targets(name).clamp_min(0)[:, None].expand(*self.norms.shape[:2], -1))
        total = self.means[..., -1] if self.call.plain else self.by_rows["moved"]
        return weights * norms / total.clamp_min(torch.finfo(torch.float32).tiny)

    def entropy(self) -> torch.Tensor:
        if not self.call.plain:
            return self.by_rows["entropy"]
        return self.lse - torch.linalg.vecdot(self.call.query.float(), self.means[..., :-2]) * self.call.scale

    def distance(self) -> torch.Tensor:
        if not self.call.plain:
            return self.by_rows["distance"]
        if self.call.causal:
            return self.centred_positions - self.means[..., -2]
        return torch.cat([self._distance_of(rows, pattern.float()) for rows, pattern in self.call.blocks()], dim=2)


def _beside(ids: torch.Tensor, offset: int) -> torch.Tensor:
    n = ids.shape[-1]
    targets = torch.arange(n, device=ids.device) + offset
    return torch.where((targets >= 0) & (targets < n), targets, -1)[None]


def _first(ids: torch.Tensor) -> torch.Tensor:
    """Key position 0; none for the first query, which under a causal mask has no choice."""
    targets = torch.zeros_like(ids[:1])
    targets[:, 0] = -1
    return targets


_OFFSETS = {"previous": -1, "next": 1}
_TARGETS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "previous": lambda ids: _beside(ids, -1),
    "next": lambda ids: _beside(ids, 1),
    "first": _first,
    "induction": lambda ids: copy_target(ids, 1),
}

FUSED: Mapping[str, Callable[[Fused], torch.Tensor]] = {
    "entropy": Fused.entropy,
    "previous": lambda fused: fused.previous,
    "next": lambda fused: fused.weight("next"),
    "first": lambda fused: fused.first,
    "distance": Fused.distance,
    "induction": lambda fused: fused.weight("induction"),
    "previous_moved": lambda fused: fused.moved(fused.previous, "previous"),
    "first_moved": lambda fused: fused.moved(fused.first, "first"),
}
