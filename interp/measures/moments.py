"""Sums over tokens of what each neuron does: what its mean, its spread and its share of active tokens are made of."""

import torch
from jaxtyping import Float
from torch import Tensor

Values = Float[Tensor, "token neuron"]
Sums = Float[Tensor, " neuron"]
_TOKENS = 64  # so many rows of a wide layer stay in the processor's cache while they are squared


def squares(values: Values) -> Sums:
    """Sum of squares over tokens.

    Example:
        >>> squares(torch.tensor([[1.0, 2.0], [3.0, 0.0]])).tolist()
        [10.0, 4.0]
    """
    total = values.new_zeros(values.shape[1])
    for rows in values.split(_TOKENS):
        total += (rows * rows).sum(0)
    return total


def n_active(values: Values) -> Sums:
    """At how many tokens each neuron is above 0.

    Example:
        >>> n_active(torch.tensor([[1.0, -2.0], [3.0, 0.0]])).tolist()
        [2.0, 0.0]
    """
    total = values.new_zeros(values.shape[1])
    above = values.new_empty(min(_TOKENS, len(values)), values.shape[1])
    for rows in values.split(_TOKENS):
        total += torch.gt(rows, 0, out=above[: len(rows)]).sum(0)
    return total
