"""How many directions does a stream use? Effective rank, and the distance to rank one, from its second moments.

X is the matrix of all token vectors, (token, d_model); its singular values are the roots of the eigenvalues of X^T X, which a corpus adds
up token by token. The mean is not taken off: a stream in which every token has one large direction in common is close to rank one.
"""

import torch
from jaxtyping import Float
from torch import Tensor

EFFECTIVE_RANK = "Roy & Vetterli (2007), The effective rank, section 2: exp(- sum_i p_i ln p_i), p_i = s_i / sum_j s_j, s singular values"
RANK_ONE = "Eckart & Young (1936): min over rank-one Y of ||X - Y||_F / ||X||_F = sqrt(1 - s_1^2 / sum_i s_i^2)"
UNIFORMITY = (
    "Dong, Cordonnier & Loukas (2021), Attention is not all you need, section 2: ||X - 1 x^T|| / ||X|| with the best x; there in the "
    "composite norm of l1 and l-infinity, here in the Frobenius norm, whose best x is the text's mean token"
)

Moments = Float[Tensor, "d_model d_model2"]


def _powers(moments: Moments) -> Tensor:
    """Squared singular values, rising."""
    return torch.linalg.eigvalsh(moments.double()).clamp_min(0)


def effective_rank(moments: Moments) -> float:
    """Effective rank of X, from X^T X: 1 when all tokens lie on one line, d_model when all directions are used alike.

    Source: see `EFFECTIVE_RANK`.

    Example:
        >>> round(effective_rank(torch.eye(3)), 6), round(effective_rank(torch.diag(torch.tensor([1.0, 0.0, 0.0]))), 6)
        (3.0, 1.0)
    """
    values = _powers(moments).sqrt()
    return float(torch.special.entr(values / values.sum()).sum().exp())


def rank_one_distance(moments: Moments) -> float:
    """Relative distance of X to the nearest matrix of rank one, from X^T X: 0 to 1. Source: see `RANK_ONE`.

    Example:
        >>> round(rank_one_distance(torch.diag(torch.tensor([3.0, 1.0]))), 6)
        0.5
    """
    powers = _powers(moments)
    return float((powers[:-1].sum() / powers.sum()).sqrt())


def distance_to_one_token(stream: Float[Tensor, "*batch pos d_model"]) -> Float[Tensor, "*batch"]:
    """Relative distance of a text's tokens from all being one token: 0 when all are the same, 1 when their mean is 0.

    ||X - 1 x^T||_F / ||X||_F with x the mean token. Source: see `UNIFORMITY`.

    Example:
        >>> distance_to_one_token(torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]]])).tolist()
        [0.0, 1.0]
    """
    rest = stream - stream.mean(-2, keepdim=True)
    return rest.flatten(-2).norm(dim=-1) / stream.flatten(-2).norm(dim=-1)
