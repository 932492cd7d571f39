"""What `measures.per_query` defines on whole patterns, taken from blocks of rows (`sweep`): the same numbers, no pattern.

`Taking` is the general form: whatever can be gathered up block by block. Each definition of `per_query` is one, through `from_rows`; a
reducer that wants something else of the rows, such as the most attended key, brings its own.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch

from interp.captures.corpus.sweep import Rows
from interp.measures.per_query import Beyond, Distance, DistanceVariance, Entropy, OneKey, Share, Within

if TYPE_CHECKING:
    from interp.captures.corpus.pattern_statistics import PatternStatistics


@runtime_checkable
class Taking(Hashable, Protocol):
    """Something of a pattern that a pass over its rows gathers up."""

    def empty(self, statistics: "PatternStatistics") -> torch.Tensor:
        """Where it is gathered."""

    def add(self, gathered: torch.Tensor, rows: Rows, statistics: "PatternStatistics") -> None:
        """Put in what these rows give."""


def per_query(statistics: "PatternStatistics") -> torch.Tensor:
    """Room for one number for each query. Axes: (batch, head, query_pos)."""
    return statistics.call.query.new_empty(statistics.call.shape[:3], dtype=statistics.call.wide)


def at_keys(rows: Rows, targets: torch.Tensor) -> torch.Tensor:
    """The weight of each query on a key of its own, 0 on one that it does not see; nan where there is none (-1).

    Args:
        targets: of all queries of all texts, axes (batch, query_pos).
    """
    targets = targets[rows.texts, rows.queries]
    inside = (targets >= rows.keys.start) & (targets < rows.keys.stop)
    index = (targets - rows.keys.start).masked_fill(~inside, 0)[:, None, :, None].expand(-1, rows.pattern.shape[1], -1, 1)
    weights = rows.pattern.gather(-1, index)[..., 0].masked_fill(~inside[:, None], 0.0)
    return weights.masked_fill((targets < 0)[:, None], torch.nan)


def away(rows: Rows) -> torch.Tensor:
    """|i - j| of a block. Axes: (query, key)."""
    places = (torch.arange(one.start, one.stop, device=rows.pattern.device, dtype=rows.pattern.dtype) for one in (rows.queries, rows.keys))
    queries, keys = places
    return (queries[:, None] - keys).abs()


def _one_key(ask: OneKey, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    return at_keys(rows, statistics.targets(ask.target))


def _share(ask: Share, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    norms = statistics.norms[rows.texts, rows.heads].to(rows.pattern.dtype)
    targets = statistics.targets(ask.target)[rows.texts, rows.queries].clamp_min(0)
    moved = at_keys(rows, statistics.targets(ask.target)) * norms.gather(-1, targets[:, None].expand(*norms.shape[:2], -1))
    total = rows.once("moved", lambda: (rows.pattern @ norms[..., rows.keys, None])[..., 0])
    return moved / total.clamp_min(torch.finfo(torch.float32).tiny)


def _entropy(ask: Entropy, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    assert rows.logs is not None
    return rows.logs.mul_(rows.pattern).sum(-1).neg_()  # nobody reads the logarithms after


def _distance(ask: Distance, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    """With no key after its query it is i - sum_j p_ij j, counted from the block's first query so that near keys keep their digits."""
    if not (statistics.call.causal and statistics.call.plain):
        return (rows.pattern * away(rows)).sum(-1)
    first, dtype, device = rows.queries.start, rows.pattern.dtype, rows.pattern.device
    keys = torch.arange(rows.keys.start - first, rows.keys.stop - first, dtype=dtype, device=device)
    queries = torch.arange(rows.queries.stop - first, dtype=dtype, device=device)
    return queries - (rows.pattern.flatten(0, 2) @ keys).view(rows.pattern.shape[:3])


def _distance_variance(ask: DistanceVariance, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    distances, total = away(rows), _total(rows).clamp_min(torch.finfo(torch.float32).tiny)
    mean = (rows.pattern * distances).sum(-1) / total
    return (rows.pattern * (distances - mean[..., None]).square_()).sum(-1) / total


def _total(rows: Rows) -> torch.Tensor:
    return rows.once("total", lambda: rows.pattern.sum(-1))


def _within(ask: Within, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    first, last = max(rows.keys.start, rows.queries.start - ask.tokens), min(rows.keys.stop, rows.queries.stop + ask.tokens)
    if last <= first:
        return torch.zeros_like(rows.pattern[..., 0])
    band = slice(first - rows.keys.start, last - rows.keys.start)
    return (rows.pattern[..., band] * (away(rows)[:, band] <= ask.tokens)).sum(-1)


def _beyond(ask: Beyond, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    return (_total(rows) - _within(Within(ask.tokens), rows, statistics)).clamp_min_(0.0)


_FROM_ROWS: Mapping[type, Callable[[Any, Rows, "PatternStatistics"], torch.Tensor]] = {
    OneKey: _one_key,
    Share: _share,
    Entropy: _entropy,
    Distance: _distance,
    DistanceVariance: _distance_variance,
    Within: _within,
    Beyond: _beyond,
}


def gather(asked: Hashable, gathered: torch.Tensor, rows: Rows, statistics: "PatternStatistics") -> None:
    """Put what a block gives to a definition of `per_query`, or to a taking of somebody's own, where it belongs."""
    if isinstance(asked, Taking):
        asked.add(gathered, rows, statistics)
    else:
        gathered[rows.where] = _FROM_ROWS[type(asked)](asked, rows, statistics)
