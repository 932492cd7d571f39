"""Which tokens does a direction that is written into the stream promote, and which does it suppress?"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

SOURCE = "Geva et al. (2022), Transformer feed-forward layers build predictions by promoting concepts in the vocabulary space, section 3"
_ROWS = 256  # directions that are read off together: rows x d_vocab numbers of memory

Ranked = tuple[Float[Tensor, "direction rank"], Int[Tensor, "direction rank"]]


def promoted(directions: Float[Tensor, "direction d_model"], W_U: Float[Tensor, "d_model d_vocab"], k: int) -> tuple[Ranked, Ranked]:
    """The k tokens whose logits a direction raises most, and the k that it lowers most.

    Args:
        directions: already passed through the final norm, its scale held.
        W_U: unembedding.
        k: how many; fewer come from a smaller vocabulary.
    Returns: effects on the logits and token ids of the raised (the largest first), then of the lowered (the smallest first).

    Example:
        >>> (up, raised), (down, lowered) = promoted(torch.tensor([[1.0]]), torch.tensor([[2.0, -1.0, 0.0]]), 1)
        >>> raised.tolist(), up.tolist(), lowered.tolist(), down.tolist()
        ([[0]], [[2.0]], [[1]], [[-1.0]])
    """
    found = [_both(rows @ W_U, min(k, W_U.shape[1])) for rows in directions.split(_ROWS)]
    up, raised, down, lowered = (torch.cat(parts) for parts in zip(*found, strict=True))
    return (up, raised), (down, lowered)


def _both(logits: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    up, down = logits.topk(k, dim=-1), logits.topk(k, dim=-1, largest=False)
    return up.values, up.indices, down.values, down.indices
