"""What `measures.per_query` defines on whole patterns, taken from blocks of rows (`sweep`): the same numbers, no pattern.

`Taking` is the general form: whatever can be gathered up block by block. Each definition of `per_query` is one, through `from_rows`; a
reducer that wants something else of the rows, such as the most attended key, brings its own.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch

from interp.captures.corpus import sweep
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


def per_query(statistics: "PatternStatistics", *more: int) -> torch.Tensor:
    """Room for one number for each query, or several. Axes: (batch, head, query_pos, ...)."""
    return statistics.call.query.new_empty(*statistics.call.shape[:3], *more, dtype=statistics.call.wide)


def at_keys(rows: Rows, places: torch.Tensor, statistics: "PatternStatistics") -> torch.Tensor:
    """Each query's entries of `Rows.weights` at keys of its own; any number where there is none, or none that it sees.

    Args: places: of all queries, axes (batch, query_pos, target).
    Returns: axes (text, head, query, target).
    """
    index = places[rows.texts, rows.queries]
    if statistics.call.mask is not None:
        index = (index - rows.keys.start).clamp_(0, rows.keys.stop - rows.keys.start - 1)
    return rows.weights.gather(-1, index[:, None].expand(-1, rows.weights.shape[1], -1, -1))


def away(rows: Rows) -> torch.Tensor:
    """|i - j| of a block. Axes: (query, key)."""
    places = (torch.arange(one.start, one.stop, device=rows.weights.device, dtype=rows.weights.dtype) for one in (rows.queries, rows.keys))
    queries, keys = places
    return (queries[:, None] - keys).abs()


def _share(ask: Share, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    norms = statistics.norms[rows.texts, rows.heads].to(rows.pattern.dtype)
    places = statistics.places(ask.target)[rows.texts, None, rows.queries]
    total = rows.once("moved", lambda: (rows.pattern @ norms[..., rows.keys, None])[..., 0])
    moved = at_keys(rows, statistics.places(ask.target)[..., None], statistics)[..., 0] * norms.gather(
        -1, places.expand(-1, norms.shape[1], -1)
    )
    return moved / total.clamp_min(torch.finfo(torch.float32).tiny)


def _distance(ask: Distance, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    return (rows.pattern * away(rows)).sum(-1)


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
    Share: _share,
    Distance: _distance,
    DistanceVariance: _distance_variance,
    Within: _within,
    Beyond: _beyond,
}


# --- Three that need no pattern: taken of the weights as they are, and scaled when all blocks are through ---


def _entropy_unscaled(ask: Entropy, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    products = torch.mul(rows.weights, rows.scores, out=rows.scores).sum(-1)  # nobody reads the scores after
    return products if statistics.call.sinks is None else products - rows.total[..., 0].log2() * rows.weights.sum(-1)


def _entropy_scaled(unscaled: torch.Tensor, total: torch.Tensor, statistics: "PatternStatistics") -> torch.Tensor:
    """- sum_j p_ij log2 p_ij, from bits to nats; beside a sink the p_ij sum to less than 1."""
    return unscaled.neg_().add_(total.log2() if statistics.call.sinks is None else 0.0).mul_(math.log(2))


def _distance_unscaled(ask: Distance, rows: Rows, statistics: "PatternStatistics") -> torch.Tensor:
    keys = statistics.numbers[statistics.call.shape[2] - rows.queries.start :][rows.keys]  # from the block's first query on
    return (rows.weights.flatten(0, 2) @ keys).view(rows.weights.shape[:3])


def _distance_scaled(unscaled: torch.Tensor, total: torch.Tensor, statistics: "PatternStatistics") -> torch.Tensor:
    """With no key after its query it is i - sum_j p_ij j, counted from the block's first query so that near keys keep their digits."""
    n = unscaled.shape[-1]
    return unscaled.neg_().add_(statistics.numbers[n : 2 * n].remainder(sweep.QUERIES))


_UNSCALED: Mapping[type, Callable[[Any, Rows, "PatternStatistics"], torch.Tensor]] = {
    Entropy: _entropy_unscaled,
    Distance: _distance_unscaled,
}
_SCALED: Mapping[type, Callable[[torch.Tensor, torch.Tensor, "PatternStatistics"], torch.Tensor]] = {
    OneKey: lambda unscaled, total, statistics: unscaled,
    Entropy: _entropy_scaled,
    Distance: _distance_scaled,
}


def unscaled(asked: Hashable, statistics: "PatternStatistics") -> bool:
    """Whether it is taken before anybody makes a pattern of the weights, and so first."""
    simple = statistics.call.causal and statistics.call.plain
    return isinstance(asked, OneKey | Entropy) or (isinstance(asked, Distance) and simple)


def gatherer(asked: Hashable, gathered: torch.Tensor, statistics: "PatternStatistics") -> Callable[[Rows], None]:
    """What puts that which a block gives to a definition of `per_query`, or to a taking of somebody's own, where it belongs.

    Made once for all blocks: to ask what an object is takes longer than some of them.
    """
    if isinstance(asked, Taking):
        return lambda rows: asked.add(gathered, rows, statistics)
    made = (_UNSCALED if unscaled(asked, statistics) else _FROM_ROWS)[type(asked)]

    def put(rows: Rows) -> None:
        gathered[rows.where] = made(asked, rows, statistics)

    return put


def gatherer_of_keys(asked: Sequence[OneKey], gathered: torch.Tensor, statistics: "PatternStatistics") -> Callable[[Rows], None]:
    """The same for all definitions that ask each query for one key: a block gives them at once.

    Args: gathered: axes (batch, head, query_pos, target).
    """
    places = torch.stack([statistics.places(one.target) for one in asked], dim=-1)

    def put(rows: Rows) -> None:
        gathered[rows.where] = at_keys(rows, places, statistics)

    return put


def finished(asked: Hashable, gathered: torch.Tensor, total: torch.Tensor, statistics: "PatternStatistics") -> torch.Tensor:
    """What all blocks gave: scaled, with 0 for a key that is not seen and nan for a query without one.

    Args: total: what `sweep` returned.
    """
    if unscaled(asked, statistics):
        gathered = _SCALED[type(asked)](gathered.div_(total), total, statistics)
    if isinstance(asked, OneKey | Share):
        targets = statistics.targets(asked.target)
        gathered = gathered.masked_fill_(~statistics.seen(targets), 0.0).masked_fill_((targets < 0)[:, None], torch.nan)
    return gathered
