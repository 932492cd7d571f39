"""The k largest activations of each neuron, with the text and the place where each was found and the tokens around.

One order everywhere: the larger activation first; among equals the text that comes first in the corpus, then the place that comes first
in the text. So parts of a corpus can be put together in any order.
"""

from dataclasses import dataclass

import numpy as np
import torch

FIELDS = ("values", "numbers", "positions", "windows")


@dataclass(frozen=True, kw_only=True, eq=False)
class Top:
    """The best so far; all on the CPU.

    Attributes:
        values: activations, the largest first, (neuron, rank); -inf where fewer were seen.
        numbers: the texts' places in the corpus, (neuron, rank); -1 where fewer were seen.
        positions: the tokens' places in these texts.
        windows: token ids around each, (neuron, rank, offset); -1 outside of the text.
    """

    values: torch.Tensor
    numbers: torch.Tensor
    positions: torch.Tensor
    windows: torch.Tensor

    @classmethod
    def nothing(cls, n: int, k: int, width: int) -> "Top":
        """What is known of `n` neurons before the first token."""
        none = torch.full((n, k), -1)
        windows = torch.full((n, k, width), -1, dtype=torch.int32)
        return cls(values=torch.full((n, k), -torch.inf), numbers=none, positions=none.clone(), windows=windows)

    def takes(self, best: torch.Tensor, first: int) -> torch.Tensor:
        """Which neurons may change when activations up to `best` come from texts from number `first` on. Axis: (chosen,)."""
        last, number = self.values[:, -1].to(best.device), self.numbers[:, -1].to(best.device)
        return ((best > last) | ((best == last) & (number > first))).nonzero()[:, 0]

    @property
    def full(self) -> bool:
        """Whether every neuron has as many as are kept."""
        return bool((self.numbers[:, -1] >= 0).all())

    def limits(self, first: int) -> torch.Tensor:
        """Above what an activation in texts from number `first` on may be among the best: an equal one only if it comes earlier."""
        last = self.values[:, -1]
        return torch.where(self.numbers[:, -1] > first, last.nextafter(last.new_tensor(-torch.inf)), last)

    def take(self, neurons: torch.Tensor, other: "Top") -> None:
        """Put together with what was found of some neurons, (chosen, ...), in place."""
        k = self.values.shape[1]
        mine, found = ([getattr(top, name) for name in FIELDS] for top in (self, other))
        both = [torch.cat([kept[neurons], new.to(kept)], dim=1) for kept, new in zip(mine, found, strict=True)]
        order = _order(*both[:3])[:, :k]
        for kept, joined in zip(mine, both, strict=True):
            index = order if joined.ndim == 2 else order[..., None].expand(-1, -1, joined.shape[-1])
            kept[neurons] = joined.gather(1, index)

    def merge(self, other: "Top") -> None:
        """Put together with the best of another part of the corpus, in place."""
        self.take(torch.arange(len(self.values)), other)

    def copy(self) -> "Top":
        """The same once more."""
        return Top(**{name: getattr(self, name).clone() for name in FIELDS})

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For a file: copies, since the best are written into."""
        return {name: getattr(self, name).numpy().copy() for name in FIELDS}


def _order(values: torch.Tensor, numbers: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Indices that put the entries of each neuron in the order that holds everywhere: by the last key first, each sort keeping ties."""
    order = positions.argsort(dim=1, stable=True)
    order = order.gather(1, numbers.gather(1, order).argsort(dim=1, stable=True))
    return order.gather(1, values.gather(1, order).argsort(dim=1, descending=True, stable=True))
