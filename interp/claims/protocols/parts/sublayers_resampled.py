"""What each layer's attention and FFN are needed for: in their place stands what they add on another row of the same task.

One sublayer at a time, all positions of it: all heads with the output bias, or the whole FFN (a mixture of experts with its router). The
other row is of the same length and of the same task, so that it is as usual as the row's own, and from another cluster, drawn for each row
(a document's windows overlap: what one of them writes is much like another's). Everything above is recomputed.

A hook that never fired, or that changed nothing, raises: "not needed" would be read from it.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch

from interp.claims.protocols.parts.labour_tasks import AT_ONCE, Rows, Task
from interp.core.errors import InterventionError
from interp.models.model import Model
from interp.models.points import Kind, Point, watching
from interp.models.watch import Keep

COMPONENTS: tuple[Kind, Kind] = ("attn_out", "mlp_out")
Place = tuple[Kind, int]


class _Swap:
    """Puts other rows' writes in the place of a row's own."""

    def __init__(self, places: Collection[Place], writes: dict[Place, torch.Tensor]):
        self.writes = {place: writes[place] for place in places}
        self.kinds: frozenset[str] = frozenset(kind for kind, _ in places)
        self.changed: set[Place] = set()

    def attend(self, point: Point, call: object) -> None:
        return None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        other = self.writes.get((point.kind, point.layer))
        if other is not None and not torch.equal(other, tensor):
            self.changed.add((point.kind, point.layer))
        return other

    def insist(self) -> None:
        """Raises: InterventionError where a sublayer was not reached, or wrote what was put in its place."""
        silent = sorted(set(self.writes) - self.changed)
        if silent:
            raise InterventionError(f"putting another row's {silent[0][0]} in layer {silent[0][1]} changed nothing: a dead hook")


@dataclass(frozen=True, kw_only=True)
class Labour:
    """What one model does with a task.

    Attributes:
        cost: what the corruption costs on the selection half.
        does: whether the model does the task.
        lost: normalised, by sublayer and unit, (component, layer, unit).
        everything: the same without all sublayers, (unit,).
    """

    task: Task
    cost: float
    does: bool
    lost: np.ndarray
    everything: np.ndarray


def by_unit(values: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Mean over each cluster's rows, clusters in order. Axes: (..., row) -> (..., unit)."""
    names, place = np.unique(cluster, return_inverse=True)
    share = np.eye(len(names))[place]
    return values @ (share / share.sum(0))


@torch.no_grad()
def clean_and_corrupted(model: Model, rows: Rows) -> np.ndarray:
    """Each row's score as it is, and corrupted. Axes: (2, row)."""
    scores = [[batch.score(model.run(ids)) for ids in (batch.ids, batch.corrupted)] for batch in rows.batches()]
    return torch.cat([torch.stack(pair) for pair in scores], dim=1).double().numpy()


def partners(cluster: np.ndarray, seed: int) -> np.ndarray:
    """For each row, a row of another cluster. Axes: (row,), of at least two clusters.

    Example:
        >>> partners(np.array(["a", "a", "b"]), seed=0)[:2].tolist()
        [2, 2]
    """
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(np.flatnonzero(cluster != mine)) for mine in cluster])


@torch.no_grad()
def resampled(model: Model, rows: Rows, seed: int) -> dict[str, np.ndarray]:
    """Each row's score without each sublayer, (component, layer, row), and without all of them at once, (row,)."""
    others, each, everything = rows.ids[torch.from_numpy(partners(rows.cluster, seed))], [], []
    layers = range(model.anatomy.n_layers)
    every = [(kind, layer) for kind in COMPONENTS for layer in layers]
    for batch, other in zip(rows.batches(), others.split(AT_ONCE), strict=True):
        writes = _writes(model, other)
        alone = [_score(model, batch, [place], writes) for place in every]
        each.append(torch.stack(alone).unflatten(0, (len(COMPONENTS), len(layers))))
        everything.append(_score(model, batch, every, writes))
    return {"each": torch.cat(each, dim=2).double().numpy(), "everything": torch.cat(everything).double().numpy()}


def _writes(model: Model, ids: torch.Tensor) -> dict[Place, torch.Tensor]:
    keep = Keep(model, COMPONENTS)
    with watching(keep):
        model.run(ids, logits=False)
    layers = range(model.anatomy.n_layers)
    return {(kind, layer): keep.arrays[Point(kind=kind, layer=layer).name] for kind in COMPONENTS for layer in layers}


def _score(model: Model, batch: Rows, places: Collection[Place], writes: dict[Place, torch.Tensor]) -> torch.Tensor:
    swap = _Swap(places, writes)
    with watching(swap):
        score = batch.score(model.run(batch.ids))
    swap.insist()
    return score
