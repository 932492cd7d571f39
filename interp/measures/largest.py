"""The largest activations of each neuron, the earliest first among equals, without sorting them all."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

Values = Float[Tensor, "token neuron"]
BLOCK = 16  # near the root of tokens / k, where the maxima and what is looked at in the best blocks are about as many
_LOW = 2**32 - 1


def block_maxima(values: Values) -> Float[Tensor, "block neuron"]:
    """Each neuron's largest activation in each run of `BLOCK` tokens; the last block may be shorter.

    Example:
        >>> block_maxima(torch.arange(34.0)[:, None])[:, 0].tolist()
        [15.0, 31.0, 33.0]
    """
    n_whole = len(values) // BLOCK
    whole = n_whole * BLOCK
    maxima = values[:whole].unflatten(0, (n_whole, BLOCK)).amax(1)
    return maxima if whole == len(values) else torch.cat([maxima, values[whole:].amax(0, keepdim=True)])


def largest(
    values: Values, k: int, neurons: Int[Tensor, " chosen"], maxima: Float[Tensor, "block neuron"]
) -> tuple[Float[Tensor, "chosen rank"], Int[Tensor, "chosen rank"]]:
    """The k largest activations of some neurons and their tokens, the largest first; among equals the earliest token first.

    They stand in the k blocks with the largest maxima, so no other is looked at.

    Args:
        values: axes (token, neuron).
        k: how many; fewer come where there are fewer tokens.
        neurons: which ones.
        maxima: `block_maxima(values)`.
    Returns: activations and tokens, axes (chosen, rank).

    Example:
        >>> values = torch.tensor([[1.0], [3.0], [3.0], [2.0]])
        >>> [found.tolist() for found in largest(values, 3, torch.tensor([0]), block_maxima(values))]
        [[[3.0, 3.0, 2.0]], [[1, 2, 3]]]
    """
    blocks = _first(_keys(maxima[:, neurons].T, torch.arange(len(maxima), device=values.device)), k)
    tokens = (blocks[..., None] * BLOCK + torch.arange(BLOCK, device=values.device)).flatten(1)
    outside = tokens >= len(values)
    inside = tokens.clamp_max(len(values) - 1)
    keys = _keys(values[inside, neurons[:, None]], inside).masked_fill_(outside, torch.iinfo(torch.int64).min)
    found = _first(keys, min(k, len(values)))
    return values[found, neurons[:, None]], found


def above(
    values: Values, limits: Float[Tensor, " neuron"], k: int, maxima: Float[Tensor, "block neuron"]
) -> tuple[Int[Tensor, " chosen"], Float[Tensor, "chosen rank"], Int[Tensor, "chosen rank"]]:
    """The activations above each neuron's own limit and their tokens, at most k, the largest first, the earliest first among equals.

    Only blocks whose largest is above the limit are looked at: few, where the limits are the k-th best of what was seen before.

    Args:
        values: axes (token, neuron).
        limits: of each neuron.
        k: how many at most.
        maxima: `block_maxima(values)`.
    Returns: the neurons that have any, their activations (-inf where there are fewer than of the one with the most) and tokens (-1 there).

    Example:
        >>> values = torch.tensor([[1.0, 0.0], [3.0, 1.0], [3.0, 0.0], [2.0, 0.0]])
        >>> [found.tolist() for found in above(values, torch.tensor([1.5, 1.0]), 2, block_maxima(values))]
        [[0], [[3.0, 3.0]], [[1, 2]]]
    """
    blocks, neurons = (maxima > limits).nonzero(as_tuple=True)
    tokens = blocks[:, None] * BLOCK + torch.arange(BLOCK, device=values.device)
    found = values[tokens.clamp_max(len(values) - 1), neurons[:, None]]
    block, place = ((found > limits[neurons, None]) & (tokens < len(values))).nonzero(as_tuple=True)
    found, tokens, neurons = found[block, place], tokens[block, place], neurons[block]
    order = found.argsort(descending=True, stable=True)  # tokens of a neuron came in their order
    order = order[neurons[order].argsort(stable=True)]
    chosen, counts = neurons[order].unique_consecutive(return_counts=True)
    row = torch.arange(len(chosen), device=values.device).repeat_interleave(counts)
    rank = torch.arange(len(order), device=values.device) - (counts.cumsum(0) - counts)[row]
    order, row, rank = (one[rank < k] for one in (order, row, rank))
    width = int(rank.max()) + 1 if len(rank) else 0
    activations, places = values.new_full((len(chosen), width), -torch.inf), tokens.new_full((len(chosen), width), -1)
    activations[row, rank], places[row, rank] = found[order], tokens[order]
    return chosen, activations, places


def _keys(values: Tensor, places: Tensor) -> Tensor:
    """Whole numbers in the order of the values, and among equal ones against that of the places (below 2^32)."""
    bits = (values.float() + 0.0).view(torch.int32)  # + 0.0: -0 is 0
    rising = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (rising.long() << 32) + (_LOW - places)


def _first(keys: Tensor, k: int) -> Tensor:
    """The places in the k largest keys."""
    return _LOW - (keys.topk(min(k, keys.shape[-1]), dim=-1).values & _LOW)
