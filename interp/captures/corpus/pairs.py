"""The weights of any list of pairs (query, key): gathers, by either way."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from interp.captures.corpus.sweep import Rows

if TYPE_CHECKING:
    from interp.captures.corpus.fused import Fused


@dataclass(frozen=True, kw_only=True, eq=False)
class PairWeights:
    """A taking: p_ij for each of a list of pairs. Axes of the result: (head, pair). A key that is not seen has weight 0.

    Attributes:
        texts, queries, keys: place in the batch, position of the query and of the key; axes (pair,).
    """

    texts: torch.Tensor
    queries: torch.Tensor
    keys: torch.Tensor

    def empty(self, fused: "Fused") -> torch.Tensor:
        return fused.call.query.new_zeros(fused.call.shape[1], len(self.texts), dtype=fused.call.wide)

    def add(self, gathered: torch.Tensor, rows: Rows, fused: "Fused") -> None:
        there = torch.ones_like(self.texts, dtype=torch.bool)
        for places, some in ((self.texts, rows.texts), (self.queries, rows.queries), (self.keys, rows.keys)):
            there &= (places >= some.start) & (places < some.stop)
        texts, queries, keys = self.texts[there] - rows.texts.start, self.queries[there] - rows.queries.start, self.keys[there]
        gathered[rows.heads, there] = rows.pattern[texts, :, queries, keys - rows.keys.start].T

    def by_kernel(self, fused: "Fused") -> torch.Tensor:
        """exp(s_ij - lse_i)."""
        call = fused.call
        query, key = call.query[self.texts, :, self.queries].to(call.wide), call.key[self.texts, :, self.keys].to(call.wide)
        weights = torch.exp(torch.linalg.vecdot(query, key) * call.scale - fused.lse[self.texts, :, self.queries])
        return weights.masked_fill(~self._seen(fused), 0.0).T

    def _seen(self, fused: "Fused") -> torch.Tensor:
        """Axes: (pair, head or 1)."""
        if fused.call.mask is None:
            return ((self.keys <= self.queries) | (not fused.call.causal))[:, None]
        mask = fused.call.mask
        return mask[self.texts if len(mask) > 1 else 0, :, self.queries, self.keys]
