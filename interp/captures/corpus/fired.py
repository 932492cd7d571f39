"""The neurons of an FFN at work: of a dense one, of each expert of a mixture, of its shared experts.

A mixture runs its experts in fused products that show no neurons (see `models.experts`), so these are computed once more, for no other
tokens than those that the router sent to each expert, and once however many reducers look.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch

from interp.measures.largest import block_maxima
from interp.models import experts
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.models.points import Point

Sort = Literal["", "expert_", "shared_"]
SORTS: dict[Sort, str] = {"": "of the FFN", "expert_": "of each expert, over the tokens sent to it", "shared_": "of the shared experts"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Fired:
    """Neurons of one layer on one batch.

    Attributes:
        point: whose layer it is.
        sort: of a dense FFN (""), of the experts, or of the shared ones.
        tokens: which tokens each expert saw, as places in the batch counted through; one entry for all where there are no experts.
        values: what its neurons were on these, float32, (token, neuron).
    """

    point: Point
    sort: Sort
    tokens: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]

    def each(self, of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """`of(tokens, values)` of the FFN; for experts that of each, along a first axis (expert, ...)."""
        found = [of(tokens, values) for tokens, values in zip(self.tokens, self.values, strict=True)]
        return torch.stack(found) if self.sort == "expert_" else found[0]

    @cached_property
    def sums(self) -> torch.Tensor:
        """Sum over tokens. Axes: ([expert,] neuron)."""
        return self.each(lambda _, values: values.sum(0))

    @cached_property
    def maxima(self) -> tuple[torch.Tensor, ...]:
        """Each expert's `block_maxima`; none where an expert saw no token. Axes: (block, neuron)."""
        return tuple(block_maxima(values) for values in self.values)

    @cached_property
    def best(self) -> torch.Tensor:
        """The largest over tokens, -inf where there is none. Axes: ([expert,] neuron)."""
        found = [blocks.amax(0) if len(blocks) else blocks.new_full(blocks.shape[1:], -torch.inf) for blocks in self.maxima]
        return torch.stack(found) if self.sort == "expert_" else found[0]

    @cached_property
    def finite(self) -> bool:
        """False where a neuron is infinite or not a number; a sum may run over though no term is."""
        return bool(self.sums.isfinite().all()) or all(bool(values.isfinite().all()) for values in self.values)


def rests_on(anatomy: Anatomy) -> tuple[str, ...]:
    """The features of the self-check that a model's neurons rest on: "neurons" in dense FFNs, "experts" in mixtures."""
    ffns = [sublayer for sublayer in anatomy.sublayers() if sublayer.kind == "mlp"]
    features = {"neurons": any(not ffn.experts for ffn in ffns), "experts": any(ffn.experts for ffn in ffns)}
    return tuple(name for name, there in features.items() if there)


class Firing:
    """Puts the neurons of a layer together from the points of one batch's run."""

    kinds = frozenset({"post", "mlp_in", "expert_weights"})

    def __init__(self, model: Model):
        self.model = model
        self._read: torch.Tensor | None = None

    def at(self, point: Point, tensor: torch.Tensor) -> Iterator[Fired]:
        """What the tensor at a point makes known: nothing, a dense layer's neurons, or those of a mixture."""
        if point.kind == "post":
            yield self._of_all(point, "", tensor)
        elif point.kind == "mlp_in":
            self._read = tensor
        elif point.kind == "expert_weights":
            yield from self._of_mixture(point, tensor)

    def _of_all(self, point: Point, sort: Sort, values: torch.Tensor) -> Fired:
        flat = values.detach().flatten(0, -2).float()
        return Fired(point=point, sort=sort, tokens=(torch.arange(len(flat), device=flat.device),), values=(flat,))

    def _of_mixture(self, point: Point, weights: torch.Tensor) -> Iterator[Fired]:
        ffn = self.model.anatomy.ffn(point.layer, point.stack)
        assert ffn is not None  # it shows its routing
        assert self._read is not None  # an FFN reads before it routes
        module, read = self.model.at(ffn.module), self._read.detach().flatten(0, -2)
        tokens = tuple(chosen.nonzero()[:, 0] for chosen in (weights.detach().flatten(0, -2) != 0).T)
        values = tuple(experts.expert_neurons(module, read[rows], expert).float() for expert, rows in enumerate(tokens))
        yield Fired(point=point, sort="expert_", tokens=tokens, values=values)
        if experts.has_shared(module):
            yield self._of_all(point, "shared_", experts.shared_neurons(module, self._read))
