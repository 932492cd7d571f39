"""What FFN neurons do: how many are active, which ones most.

A neuron is one entry of what the FFN's output projection reads. In a gated FFN that is the gated product, so it may be negative.
"""

import torch
from jaxtyping import Float
from torch import Tensor

Neurons = Float[Tensor, "*batch neuron"]


def fraction_active(post: Neurons, threshold: float = 0.0) -> Float[Tensor, "*batch"]:
    """Share of the neurons above `threshold`, 0 to 1.

    Under GELU and SiLU, "off" is a small negative number, so the default threshold 0 counts what is switched on.

    Example:
        >>> fraction_active(torch.tensor([1.0, -0.1, 0.0, 2.0])).item()
        0.5
    """
    return (post > threshold).to(post.dtype).mean(-1)


def hoyer_sparsity(post: Neurons) -> Float[Tensor, "*batch"]:
    """Hoyer's sparsity of the activations: 0 when all are equally large, 1 when a single one is not 0.

    (sqrt(n) - ||x||_1 / ||x||_2) / (sqrt(n) - 1); 0 for an all-zero vector.

    Source: Hoyer (2004), "Non-negative Matrix Factorization with Sparseness Constraints", section 3.1.

    Example:
        >>> hoyer_sparsity(torch.tensor([[0.0, 3.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])).tolist()
        [1.0, 0.0]
    """
    root = post.shape[-1] ** 0.5
    l1, l2 = post.abs().sum(-1), post.pow(2).sum(-1).sqrt()
    return torch.where(l2 > 0, (root - l1 / l2.clamp_min(torch.finfo(post.dtype).tiny)) / (root - 1), torch.zeros_like(l2))


def top_neurons(post: Float[Tensor, "pos neuron"], k: int) -> list[tuple[int, int, float]]:
    """The k largest activations in a text as (pos, neuron, activation), the largest first.

    Example:
        >>> top_neurons(torch.tensor([[0.1, 0.5], [0.9, 0.2]]), 2)
        [(1, 0, 0.8999999761581421), (0, 1, 0.5)]
    """
    values, places = post.flatten().topk(min(k, post.numel()))
    width = post.shape[-1]
    return [(int(place) // width, int(place) % width, float(value)) for value, place in zip(values, places, strict=True)]
