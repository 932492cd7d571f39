"""How far apart are the patterns of any two heads, text by text? The Jensen-Shannon divergence of what they attend to.

JSD(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2, from 0 (alike) to ln 2 nats (no key in common), the mean over queries of a text, at most
16 of them, evenly spread. The first token, which under a causal mask sees itself alone, is none of them. Rows are taken as shares of what
they sum to (a sink leaves less than 1).

Memory: the patterns of one batch at those queries, and one matrix over heads; a text's matrix is folded into numbers as it comes. Time
grows with the square of the number of heads.
Source: Clark et al. (2019), section 6, distances between heads; the sum over tokens there is a mean here.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch

from interp.captures.corpus.batches import Batch, by_length
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.texts.example import Example

QUERIES, AT_ONCE = 16, 1024  # of a text; tokens that run together
Fold = Callable[[np.ndarray], np.ndarray]
"""From a text's distances, axes (head, head), to the numbers that are kept of it, axes (number,)."""


@dataclass(frozen=True, kw_only=True)
class Distances:
    """Over some texts. `mean`: axes (head, head), heads layer after layer; `numbers`: what was kept of each, axes (number, text)."""

    mean: np.ndarray
    numbers: np.ndarray


class _Rows:
    """The watcher that keeps some queries' rows of all heads."""

    kinds = frozenset({"pattern"})

    def __init__(self, queries: Sequence[int]):
        self.queries, self.rows = torch.as_tensor(queries), dict[int, torch.Tensor]()

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        return None

    def attend(self, point: Point, call: AttentionCall) -> None:
        found = []
        for rows, pattern in call.blocks():
            held = self.queries[(self.queries >= rows.start) & (self.queries < rows.stop)] - rows.start
            found.append(pattern[:, :, held.to(pattern.device)].float().cpu())
        self.rows[point.layer] = torch.cat(found, 2)

    def patterns(self) -> torch.Tensor:
        """Axes: (text, head, query, key)."""
        rows = torch.cat([self.rows[layer] for layer in sorted(self.rows)], 1)
        return rows / rows.sum(-1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)


class _Planted:
    """The watcher that makes each head look at one key. `keys`: by layer, axes (head,)."""

    kinds = frozenset({"pattern"})

    def __init__(self, model: Model, keys: dict[int, torch.Tensor]):
        self.owner, self.keys = id(model.hf), keys

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        return None

    def attend(self, point: Point, call: AttentionCall) -> None:
        if point.owner == self.owner:
            rows = torch.nn.functional.one_hot(self.keys[point.layer], call.shape[3])
            call.replace(rows[None, :, None].float().expand(call.shape).contiguous())


def planting(model: Model, keys: np.ndarray) -> AbstractContextManager[None]:
    """While the model runs, each head looks at one key, whatever the query. `keys`: of heads layer after layer, axes (head,)."""
    layers = [layer for layer in range(model.anatomy.n_layers) if model.anatomy.attention(layer)]
    return watching(_Planted(model, dict(zip(layers, torch.as_tensor(keys).view(len(layers), -1), strict=True))))


def divergences(patterns: torch.Tensor) -> np.ndarray:
    """Mean JSD over queries of each pair of heads, nats. Axes: (head, query, key) -> (head, head).

    Example:
        >>> divergences(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]])).round(3).tolist()
        [[0.0, 0.693, 0.693], [0.693, 0.0, 0.0], [0.693, 0.0, 0.0]]
    """
    own, found = _entropy(patterns), torch.zeros(len(patterns), len(patterns), dtype=torch.float64)
    for head in range(len(patterns)):
        both = _entropy((patterns[head] + patterns[head:]) / 2) - (own[head] + own[head:]) / 2
        found[head, head:] = found[head:, head] = both.double().mean(-1).clamp_min(0)
    return found.numpy()


def _entropy(patterns: torch.Tensor) -> torch.Tensor:
    return torch.special.entr(patterns).sum(-1)


@torch.no_grad()
def distances(model: Model, examples: Sequence[Example], fold: Fold) -> Distances:
    """Run the model over texts of two tokens or more.

    Returns: the mean of the texts' distances, and what `fold` keeps of each.

    Example:
        >>> import interp
        >>> from interp.texts.tokens import tokenize
        >>> model = interp.load()
        >>> distances(model, [tokenize("The old man looked at the sea.", model.tokenizer)], lambda one: one[0]).numbers.shape
        (48, 1)
    """
    numbers: dict[int, np.ndarray] = {}
    total: np.ndarray | float = 0.0
    for numbered in by_length(examples, max_tokens=AT_ONCE):
        batch = Batch.of(numbered, model.device)
        n = batch.ids.shape[1]
        rows = _Rows(np.unique(np.linspace(1, n - 1, min(QUERIES, n - 1)).round().astype(int)).tolist())
        with watching(rows):
            model.run(batch.ids, logits=False)
        for number, patterns in zip(batch.numbers, rows.patterns(), strict=True):
            one = divergences(patterns)
            numbers[number], total = fold(one), total + one
    return Distances(mean=np.asarray(total) / len(examples), numbers=np.stack([numbers[place] for place in range(len(examples))], 1))


def apart(distance: np.ndarray, groups: np.ndarray) -> float:
    """Mean distance of heads of different groups less that of heads of one group. Axes: (head, head), (head,)."""
    same = groups[:, None] == groups
    return float(distance[~same].mean() - distance[same & ~np.eye(len(groups), dtype=bool)].mean())


def between_roles(distance: np.ndarray, roles: np.ndarray) -> np.ndarray:
    """How far each two roles are apart: the mean distance between their heads less that within them. Axes: (pair,), i < j in order.

    A role of one head has no distance within it: 0.
    """
    member = np.eye(int(roles.max()) + 1)[roles]
    sums, n = member.T @ distance @ member, member.sum(0)
    within = np.diagonal(sums) / np.maximum(n * (n - 1), 1)
    first, second = np.triu_indices(len(n), 1)
    return sums[first, second] / (n[first] * n[second]) - (within[first] + within[second]) / 2
