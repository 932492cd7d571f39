"""What a head statistic takes of each query's attention, as a definition on whole patterns.

Each kind is a small frozen object, so that two statistics which want the same thing are seen to want it, and so that a corpus run can
take it without a pattern (`captures.corpus.forms` has one implementation for each, held to these definitions by tests).

    OneKey          the weight on one key: at an offset, the first, after an earlier copy
    Share           the norm-weighted share of one key
    Entropy         nats
    Distance        sum_j p_ij |i - j|
    DistanceVariance    sum_j p_ij |i - j|^2 - (sum_j p_ij |i - j|)^2
    Within, Beyond  the weight on all keys at most, or more than, so many tokens away
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.measures.attention import entropy, mean_distance, norm_weighted
from interp.measures.induction import copy_target, weight_on_target

Pattern = Float[Tensor, "batch head query_pos key_pos"]
PerQuery = Float[Tensor, "batch head query_pos"]
Ids = Int[Tensor, "batch query_pos"]
Norms = Float[Tensor, "batch head key_pos"]


@runtime_checkable
class Target(Protocol):
    """One key for each query."""

    def keys(self, ids: Ids) -> Ids:
        """Its position for each query, -1 where there is none."""


@dataclass(frozen=True)
class Offset:
    """The token so many places from the query: -1 the previous one, 0 itself, +1 the next."""

    tokens: int

    def keys(self, ids: Ids) -> Ids:
        n = ids.shape[-1]
        targets = torch.arange(n, device=ids.device) + self.tokens
        return torch.where((targets >= 0) & (targets < n), targets, -1).expand_as(ids)


@dataclass(frozen=True)
class First:
    """The first token of the text; none for the first query, which under a causal mask has no choice."""

    def keys(self, ids: Ids) -> Ids:
        targets = torch.zeros_like(ids)
        targets[:, 0] = -1
        return targets


@dataclass(frozen=True)
class Copy:
    """The token `shift` after the latest earlier copy of the query's: 0 the copy itself, 1 the induction target."""

    shift: int

    def keys(self, ids: Ids) -> Ids:
        return copy_target(ids, self.shift)


@runtime_checkable
class Ask(Hashable, Protocol):
    """One number for each query, nan where a query has none."""

    def of(self, pattern: Pattern, ids: Ids, norms: Norms) -> PerQuery:
        """The definition. `norms`: ||v_j W_O|| of each key."""


@dataclass(frozen=True)
class OneKey:
    """The weight on one key, probability."""

    target: Target

    def of(self, pattern: Pattern, ids: Ids, norms: Norms) -> PerQuery:
        return weight_on_target(pattern, self.target.keys(ids))


@dataclass(frozen=True)
class Share:
    """The norm-weighted share of one key."""

    target: Target

    def of(self, pattern: Pattern, ids: Ids, norms: Norms) -> PerQuery:
        return weight_on_target(norm_weighted(pattern, norms), self.target.keys(ids))


@dataclass(frozen=True)
class Entropy:
    """- sum_j p_ij ln p_ij, nats."""

    def of(self, pattern: Pattern, ids: Ids, norms: Norms) -> PerQuery:
        return entropy(pattern)


@dataclass(frozen=True)
class Distance:
    """sum_j p_ij |i - j|, tokens."""

    def of(self, pattern: Pattern, ids: Ids, norms: Norms) -> PerQuery:
        return mean_distance(pattern)


@dataclass(frozen=True)
class DistanceVariance:
    """The variance of |i - j| under a query's attention, square tokens; weights are made to sum to 1."""

    def of(self, pattern: Pattern, ids: Ids, norms: Norms) -> PerQuery:
        whole = pattern.double() / pattern.double().sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        away = apart(pattern).double()
        return ((whole * away**2).sum(-1) - (whole * away).sum(-1) ** 2).clamp_min(0.0).to(pattern.dtype)


@dataclass(frozen=True)
class Within:
    """The weight on the keys at most `tokens` away, the query itself among them."""

    tokens: int

    def of(self, pattern: Pattern, ids: Ids, norms: Norms) -> PerQuery:
        return (pattern * (apart(pattern) <= self.tokens)).sum(-1)


@dataclass(frozen=True)
class Beyond:
    """The weight on the keys more than `tokens` away."""

    tokens: int

    def of(self, pattern: Pattern, ids: Ids, norms: Norms) -> PerQuery:
        return (pattern * (apart(pattern) > self.tokens)).sum(-1)


def apart(pattern: Pattern) -> Int[Tensor, "query_pos key_pos"]:
    """|i - j|."""
    queries, keys = (torch.arange(size, device=pattern.device) for size in pattern.shape[-2:])
    return (queries[:, None] - keys[None, :]).abs()
