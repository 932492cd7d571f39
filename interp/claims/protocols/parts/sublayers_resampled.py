"""What each layer's attention and FFN are needed for: in their place stands what they add on another row of the same task.

One sublayer at a time, all positions of it: all heads with the output bias, or the whole FFN (a mixture of experts with its router). The
other row is of the same length and from the same few rows, so that it is as usual as the row's own. Everything above is recomputed.

A hook that never fired, or that changed nothing, raises: "not needed" would be read from it.
"""

from collections.abc import Collection

import numpy as np
import torch

from interp.claims.protocols.parts.labour_tasks import Rows
from interp.core.errors import InterventionError
from interp.models.model import Model
from interp.models.points import Kind, Point, watching
from interp.models.watch import Keep

COMPONENTS: tuple[Kind, Kind] = ("attn_out", "mlp_out")
Place = tuple[Kind, int]


class _Swap:
    """Puts other rows' writes in the place of a row's own."""

    def __init__(self, places: Collection[Place], writes: dict[Place, torch.Tensor], shift: int):
        self.writes = {place: writes[place].roll(shift, 0) for place in places}
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


@torch.no_grad()
def clean_and_corrupted(model: Model, rows: Rows) -> np.ndarray:
    """Each row's score as it is, and corrupted. Axes: (2, row)."""
    scores = [[batch.score(model.run(ids)) for ids in (batch.ids, batch.corrupted)] for batch in rows.batches()]
    return torch.cat([torch.stack(pair) for pair in scores], dim=1).double().numpy()


@torch.no_grad()
def resampled(model: Model, rows: Rows, seed: int) -> dict[str, np.ndarray]:
    """Each row's score without each sublayer, (component, layer, row), and without all of them at once, (row,)."""
    rng, each, everything = np.random.default_rng(seed), [], []
    layers = range(model.anatomy.n_layers)
    every = [(kind, layer) for kind in COMPONENTS for layer in layers]
    for batch in rows.batches():
        shift = int(rng.integers(1, len(batch.ids)))
        writes = _writes(model, batch)
        alone = [_score(model, batch, [place], writes, shift) for place in every]
        each.append(torch.stack(alone).unflatten(0, (len(COMPONENTS), len(layers))))
        everything.append(_score(model, batch, every, writes, shift))
    return {"each": torch.cat(each, dim=2).double().numpy(), "everything": torch.cat(everything).double().numpy()}


def _writes(model: Model, batch: Rows) -> dict[Place, torch.Tensor]:
    keep = Keep(model, COMPONENTS)
    with watching(keep):
        model.run(batch.ids, logits=False)
    layers = range(model.anatomy.n_layers)
    return {(kind, layer): keep.arrays[Point(kind=kind, layer=layer).name] for kind in COMPONENTS for layer in layers}


def _score(model: Model, batch: Rows, places: Collection[Place], writes: dict[Place, torch.Tensor], shift: int) -> torch.Tensor:
    swap = _Swap(places, writes, shift)
    with watching(swap):
        score = batch.score(model.run(batch.ids))
    swap.insist()
    return score
