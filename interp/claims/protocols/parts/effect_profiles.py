"""How unlike are two heads in what they do? Their effect profiles: what switching each one off costs, token by token of a text.

    profile    of a head on a text: how many nats more the token behind each position costs with the head at its mean over other texts
    distance   (1 - r) / 2, r the correlation of two profiles over the positions: 0 alike, 1/2 nothing in common, 1 opposite

Heads without anything in common are 1/2 apart from each other, and so within a role of several, which brings two such roles down to 0, and
one of several and one of a single head to 1/4: a smallest difference below that tells nothing (untrained twins then pass as well).
A head that changes nothing anywhere in a text has nothing in common with any. What it costs in sum plays no part: a strong and a weak head
that help at the same tokens are alike.
Source: the catalogue, S4-38 (profiles over tasks, their cosine); over the tokens of a text, each text by itself, is ours.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from interp.captures.corpus.batches import Batch
from interp.claims.protocols.parts.part_evidence import ALIVE
from interp.claims.protocols.parts.pattern_distance import Distances, Fold
from interp.claims.protocols.parts.without_parts import Bench, Block, parts_of
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Point, watching

SHOVE = 10.0  # what is planted must be seen in the loss, whatever the stream's size


def effect_distances(bench: Bench, blocks: Sequence[Block], half: np.ndarray, fold: Fold) -> Distances:
    """Distances of the profiles of what each block does, on the texts of a half; see `pattern_distance.distances`."""
    clean = bench.by_token(half, lambda batch, number: nullcontext())
    changed = [bench.by_token(half, block) for block in blocks]
    found = [profile_distances(np.stack([one[text] - before for one in changed])) for text, before in enumerate(clean)]
    return Distances(mean=np.mean(found, axis=0), numbers=np.stack([fold(one) for one in found], 1))


def each_head(bench: Bench) -> list[Block]:
    """Every head switched off by itself, heads layer after layer."""
    return [bench.without(part) for part in parts_of(bench.model.anatomy, "heads")]


def profile_distances(profiles: np.ndarray) -> np.ndarray:
    """Axes: (head, pos) -> (head, head).

    Example:
        >>> profile_distances(np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])).round(6).tolist()[0]
        [0.0, 0.0, 1.0, 0.5]
    """
    centred = profiles - profiles.mean(1, keepdims=True)
    size = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.where(np.abs(centred).max(1, keepdims=True) > ALIVE, centred, 0.0) / np.where(size > 0, size, 1.0)
    found = np.clip((1 - unit @ unit.T) / 2, 0.0, 1.0)
    np.fill_diagonal(found, 0.0)
    return found


def shoving(model: Model, keys: np.ndarray) -> list[Block]:
    """Planted profiles: in place of switching a head off, the stream is pushed at one position. `keys`: of each head, axes (head,)."""

    def block(key: int) -> Block:
        def pushed(batch: Batch, number: int) -> AbstractContextManager[None]:
            return watching(_Shoved(model, key))

        return pushed

    return [block(int(key)) for key in keys]


class _Shoved:
    """The watcher that pushes what the last layer leaves, at one position, in one direction."""

    kinds = frozenset({"resid_post"})

    def __init__(self, model: Model, key: int):
        self.owner, self.layer, self.key = id(model.hf), model.anatomy.n_layers - 1, key
        self.step = SHOVE * torch.randn(model.anatomy.d_model, generator=torch.Generator().manual_seed(0))

    def attend(self, point: Point, call: AttentionCall) -> None:
        return None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        if point.owner != self.owner or point.layer != self.layer:
            return None
        pushed = tensor.clone()
        pushed[:, self.key] += self.step.to(tensor)
        return pushed
