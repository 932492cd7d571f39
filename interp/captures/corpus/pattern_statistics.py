"""The head statistics of `measures.head_statistics` without the n x n pattern, in one of two ways.

"fused kernel". A fused kernel returns the output and lse_i = log sum_j exp(s_ij). With it, where a score is scale q.k under a mask and
no more,
    one weight        p_ij = exp(s_ij - lse_i)                      a gather, or a slice for a fixed offset: O(n d)
    entropy           H_i = lse_i - sum_j p_ij s_ij = lse_i - scale q_i . (sum_j p_ij k_j)    the kernel with V = K
    sum_j p_ij f_j    for any number f_j of the keys                the kernel with V = f
Exact in real numbers; in float32 the entropy's error grows with the scores, about 1e-5 x max|s|.

"exact blocks". One pass over blocks of rows (`sweep`), each statistic by its definition on them: memory n x block. It serves every call,
also with position biases, soft caps, sinks, in half precision, and for statistics of any form. With sinks the weights of a row sum to
less than 1; the entropy is - sum_j p_ij ln p_ij over the real keys, as `measures.attention` defines it.

The choice: blocks where the kernel cannot, or where something is asked that it cannot give; else the quicker. Weights alone take the
kernel, which runs for the model's own sake. For entropies and means the kernel must run again, which on a CPU costs more than the one
pass over blocks does for all statistics together. Nothing is computed that nobody asked for.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property, partial
from typing import Literal

import torch

from interp.captures.corpus.forms import Taking, finished, gatherer, gatherer_of_keys, per_query, unscaled
from interp.captures.corpus.sweep import Rows, sweep
from interp.measures.head_statistics import HEAD_STATISTICS, head_statistic_named
from interp.measures.per_query import Distance, Entropy, Offset, OneKey, Target
from interp.models.attention import AttentionCall
from interp.models.watch import value_norms

Way = Literal["fused kernel", "exact blocks"]
KERNEL: Way = "fused kernel"
BLOCKS: Way = "exact blocks"
MEANS_BY_KERNEL = frozenset({"cuda"})  # kinds of device on which the kernel's second run is quicker than blocks


class PatternStatistics:
    """The statistics of one attention sublayer on one batch of equally long texts without padding.

    Each statistic is (batch, head, query_pos), nan where a query has no value, as its definition on patterns gives it.

    Args:
        call: the sublayer at work.
        ids: the tokens that attend, axes (batch, query_pos).
        w_o: the heads' output weights, axes (head, d_head, d_model).
        asked: all that will be taken, so that one pass serves for all; what is not named here is taken when it is asked for.
    """

    def __init__(self, call: AttentionCall, ids: torch.Tensor, w_o: torch.Tensor, asked: Iterable[Hashable] = ()):
        self.call, self.ids, self.w_o = call, ids.to(call.query.device), w_o
        self._asked = tuple(asked)
        self._taken: dict[Hashable, tuple[torch.Tensor, Way]] = {}
        self._targets: dict[Target, torch.Tensor] = {}
        self._places: dict[Target, torch.Tensor] = {}

    def values(self, name: str) -> torch.Tensor:
        """A head statistic by its name, computed once however many ask for it. Axes: (batch, head, query_pos)."""
        return self.take(head_statistic_named(name).ask)

    def take(self, asked: Hashable) -> torch.Tensor:
        """A definition of `measures.per_query`, or a `forms.Taking`; computed once."""
        self._make_sure_of((*self._asked, asked))
        return self._taken[asked][0]

    def way(self, asked: Hashable) -> Way:
        """Which pass made it."""
        self._make_sure_of((*self._asked, asked))
        return self._taken[asked][1]

    def at_offset(self, offset: int) -> torch.Tensor:
        """p at key position query + offset; nan outside of the text."""
        return self.take(OneKey(Offset(offset)))

    @property
    def finite(self) -> bool:
        """False where attention is not a number: nan means "no such query" further on, and would drop out of means in silence."""
        self._make_sure_of(self._asked)
        return bool(self.call.output().sum(dtype=torch.float32).isfinite())

    @cached_property
    def lse(self) -> torch.Tensor:
        return self.call.output_and_lse()[1]

    @cached_property
    def numbers(self) -> torch.Tensor:
        """-n to n for n queries."""
        n = self.call.shape[2]
        return torch.arange(-n, n + 1, dtype=self.call.wide, device=self.call.query.device)

    @cached_property
    def norms(self) -> torch.Tensor:
        """||v_j W_O||. Axes: (batch, head, key_pos)."""
        return value_norms(self.call, self.w_o)

    def targets(self, target: Target) -> torch.Tensor:
        """The one key that a statistic asks each query for, -1 where there is none. Axes: (batch, query_pos)."""
        if target not in self._targets:
            self._targets[target] = target.keys(self.ids)
        return self._targets[target]

    def places(self, target: Target) -> torch.Tensor:
        """The same as places in the text that can be read, whatever stands there for "none". Axes: (batch, query_pos)."""
        if target not in self._places:
            found, last = self.targets(target).clamp_min(0), self.call.shape[3] - 1
            queries = torch.arange(found.shape[-1], device=found.device)
            self._places[target] = torch.minimum(found, queries) if self.call.causal else found.clamp_max(last)
        return self._places[target]

    def seen(self, targets: torch.Tensor) -> torch.Tensor:
        """True where a query sees its target. Axes: (batch, head or 1, query_pos)."""
        if self.call.mask is None:
            queries = torch.arange(targets.shape[-1], device=targets.device)
            return ((targets <= queries) | (not self.call.causal))[:, None]
        seen = self.call.mask
        texts = max(seen.shape[0], targets.shape[0])
        index = targets.clamp_min(0)[:, None, :, None].expand(texts, seen.shape[1], -1, 1)
        return seen.expand(texts, -1, -1, -1).gather(-1, index)[..., 0]

    def _make_sure_of(self, asked: Iterable[Hashable]) -> None:
        missing = [each for each in dict.fromkeys(asked) if each not in self._taken]
        if not missing:
            return
        made = {each: self._kernel_for(each) for each in missing}
        if all(by_kernel is not None for by_kernel in made.values()):
            self._taken |= {each: (by_kernel(), KERNEL) for each, by_kernel in made.items() if by_kernel}
        else:
            self._taken |= {each: (values, BLOCKS) for each, values in self._by_blocks(missing).items()}

    def _by_blocks(self, asked: list[Hashable]) -> dict[Hashable, torch.Tensor]:
        keys = [each for each in asked if isinstance(each, OneKey)]
        others = sorted((each for each in asked if not isinstance(each, OneKey)), key=lambda each: not unscaled(each, self))
        gathered = {each: each.empty(self) if isinstance(each, Taking) else per_query(self) for each in others}
        gatherers = [gatherer(each, values, self) for each, values in gathered.items()]
        if keys:
            at_keys = per_query(self, len(keys))
            gatherers.insert(0, gatherer_of_keys(keys, at_keys, self))
            gathered |= zip(keys, at_keys.unbind(-1), strict=True)

        def visit(rows: Rows) -> None:
            for put in gatherers:
                put(rows)

        total = sweep(self.call, visit)
        return {each: finished(each, values, total, self) for each, values in gathered.items()}

    # --- The fused kernel ---

    def _kernel_for(self, asked: Hashable) -> Callable[[], torch.Tensor] | None:
        """How the fused kernel gives it; None where it cannot, or would take longer."""
        if not self.call.fusable:
            return None
        if isinstance(asked, OneKey):
            return partial(self._weight, asked.target)
        if self.call.query.device.type not in MEANS_BY_KERNEL or self.call.query.dtype != self.call.wide:
            return None
        if isinstance(asked, Entropy):
            return self._entropy
        return self._distance if isinstance(asked, Distance) and self.call.causal else None

    def _weight(self, target: Target) -> torch.Tensor:
        """p_ij at the target of each query."""
        if isinstance(target, Offset) and self.call.mask is None:
            return self._diagonal(target.tokens)
        call, targets = self.call, self.targets(target)
        index = targets.clamp_min(0)[:, None, :, None].expand(*call.key.shape[:2], -1, call.key.shape[-1])
        scores = (call.query.to(call.wide) * call.key.gather(2, index).to(call.wide)).sum(-1) * call.scale
        weights = torch.exp(scores - self.lse).masked_fill(~self.seen(targets), 0.0)
        return weights.masked_fill((targets < 0)[:, None], torch.nan)

    def _diagonal(self, offset: int) -> torch.Tensor:
        """p at a fixed offset without a gather: queries and keys are slices."""
        call, n = self.call, self.ids.shape[-1]
        width = max(0, n - abs(offset))  # none in a text shorter than that
        queries, keys = (slice(start, start + width) for start in (max(0, -offset), max(0, offset)))
        weights = torch.full_like(self.lse, torch.nan)
        if offset > 0 and call.causal:
            weights[:, :, queries] = 0.0
            return weights
        scores = torch.linalg.vecdot(call.query[:, :, queries].to(call.wide), call.key[:, :, keys].to(call.wide)) * call.scale
        weights[:, :, queries] = torch.exp(scores - self.lse[:, :, queries])
        return weights

    @cached_property
    def _positions(self) -> torch.Tensor:
        n = self.ids.shape[-1]
        return torch.arange(n, device=self.ids.device, dtype=self.call.wide) - (n - 1) / 2

    @cached_property
    def _means(self) -> torch.Tensor:
        """sum_j p_ij f_j for f = (key, position). Axes: (batch, head, query_pos, d_head + 1)."""
        positions = self._positions[:, None].expand(*self.call.key.shape[:3], 1)
        return self.call.attend_to(torch.cat([self.call.key.to(self.call.wide), positions], dim=-1))

    def _entropy(self) -> torch.Tensor:
        return self.lse - torch.linalg.vecdot(self.call.query, self._means[..., :-1]) * self.call.scale

    def _distance(self) -> torch.Tensor:
        return self._positions - self._means[..., -1]


STATISTICS: Mapping[str, Callable[[PatternStatistics], torch.Tensor]] = {
    name: partial(lambda name, statistics: statistics.values(name), name) for name in HEAD_STATISTICS
}
