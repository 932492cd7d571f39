"""Tables of single layers, put one on another: by layer, and over an encoder-decoder's pairs by stack before.

Stacks stand in the order E (encoder), D (decoder), X (its cross-attention). What a stack does not have (a layer, a head, cross-attention a
neuron) holds nan, or another number that stands for nothing.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import cast

import torch

from interp.core.sites import STACKS, Stack

Place = tuple[Stack, int]
"""A stack and a layer of it."""


def places(parts: Mapping[str, torch.Tensor], name: str) -> dict[Place, torch.Tensor]:
    """A statistic's parts by where they are; they are called as by `reducer.part`: "entropy L2", of an encoder's "entropy EL2".

    Example:
        >>> list(places({"entropy EL2": torch.zeros(4), "n entropy EL2": torch.ones(())}, "entropy"))
        [('E', 2)]
    """
    found: dict[Place, torch.Tensor] = {}
    for key, values in parts.items():
        kept, _, place = key.rpartition(" ")
        stack, _, layer = place.partition("L")
        if kept == name and layer.isdigit():
            found[cast(Stack, stack), int(layer)] = values
    return found


def stacked(found: Mapping[Place, torch.Tensor], sizes: Sequence[int] = (), fill: float = torch.nan) -> torch.Tensor:
    """All layers in one table, each filled up to the largest.

    Args:
        found: by stack and layer.
        sizes: at least so many along (layer, *axes of a layer's).
        fill: what stands for nothing.
    Returns: axes (layer, ...), or (stack, layer, ...) where the layers are of several stacks.
    """
    shapes = [sizes, *((layer + 1, *values.shape) for (_, layer), values in found.items())]
    largest = [max(along) for along in zip_longest(*shapes, fillvalue=0)]
    stacks = ("",) if all(stack == "" for stack, _ in found) else STACKS
    table = torch.full((len(stacks), *largest), fill, dtype=next(iter(found.values())).dtype)
    for (stack, layer), values in found.items():
        table[stacks.index(stack), layer][tuple(slice(size) for size in values.shape)] = values
    return table if len(stacks) > 1 else table[0]


def axes(table: torch.Tensor, dims: Sequence[str]) -> list[str]:
    """The axes of a stacked table: `dims`, and "stack" before them where there is one more."""
    return [*(["stack"] if table.ndim > len(dims) else []), *dims]


def most_by_stack(sums: Mapping[str, torch.Tensor], name: str) -> dict[Stack, int]:
    """A count, in the layer of each stack that has most."""
    found: dict[Stack, int] = {}
    for (stack, _), n in places(sums, name).items():
        found[stack] = max(found.get(stack, 0), int(n))
    return found
