"""What does a head write about what it attends to? Its OV circuit, from weights alone.

A head that attends with weight 1 to a token writes x W_V W_O, x what attention reads there (a normed stream). W_OV = W_V W_O is a matrix
of d_model x d_model and of rank d_head. Two ways to look at it here:

    directions    W_OV = sum_i sigma_i u_i v_i^T, its singular values and vectors: along u_i it reads, along v_i it writes
    copying       of the full circuit M = E W_OV U from tokens to logits (E what is read of each token alone, U the unembedding): does
                  attending to a token raise that token? By the eigenvalues of M (Elhage et al.) and by its diagonal, in logits

M is d_vocab x d_vocab and is never made: its eigenvalues other than 0 are those of the d_head x d_head kernel W_O U E W_V, and its trace is
the kernel's.

What neither tells: where the head attends (its QK circuit), and what later layers make of what it writes. In all layers but the first
a head reads more than the token that stands there; the circuit of tokens is then a part of what it does, and it may be the smaller one.
"""

import torch
from jaxtyping import Float
from torch import Tensor

SOURCE = "Elhage et al. (2021), A Mathematical Framework for Transformer Circuits, OV circuits and copying"
NOTHING = 1e-9  # of the product of the factors' sizes: what a kernel holds below that is rounding


def directions(
    W_V: Float[Tensor, "head d_model d_head"], W_O: Float[Tensor, "head d_head d_out"], k: int
) -> tuple[Float[Tensor, "head direction"], Float[Tensor, "head direction d_model"], Float[Tensor, "head direction d_out"]]:
    """Singular values of W_V W_O with what is read and what is written along each, the strongest first; k of them.

    A pair of directions may change its sign together: (u, v) is as good as (-u, -v).

    Returns: sigma >= 0; u, unit vectors; v, unit vectors.

    Example:
        >>> sigma, read, written = directions(torch.tensor([[[3.0], [0.0]]]), torch.tensor([[[0.0, 2.0]]]), 1)
        >>> sigma.tolist(), read.abs().tolist(), written.abs().tolist()
        ([[6.0]], [[[1.0, 0.0]]], [[[0.0, 1.0]]])
    """
    (left, small), (right, other) = torch.linalg.qr(W_V), torch.linalg.qr(W_O.transpose(1, 2))
    u, sigma, vh = torch.linalg.svd(small @ other.transpose(1, 2))
    k = min(k, sigma.shape[1])
    return sigma[:, :k], (left @ u[..., :k]).transpose(1, 2), (right @ vh.transpose(1, 2)[..., :k]).transpose(1, 2)


def shares(sigma: Float[Tensor, "head value"], total: Float[Tensor, " head"]) -> Float[Tensor, "head value"]:
    """Each direction's share of all that a head writes: sigma^2 over the sum of all squares; nan for a head that writes nothing.

    Args: total: the sum over all directions, ||W_V W_O||^2.
    """
    return sigma**2 / total[:, None].masked_fill(total[:, None] == 0, torch.nan)


def copying(kernel: Float[Tensor, "head d_head d_head"], size: Float[Tensor, " head"]) -> Float[Tensor, " head"]:
    """sum Re(lambda) / sum |lambda| over the eigenvalues of the full OV circuit: 1 copies, 0 neither, -1 the opposite.

    It says which way, not how much: a head that copies faintly has 1 as well.

    Args:
        kernel: W_O U E W_V.
        size: the product of its factors' sizes; a kernel that is nothing beside it counts as 0.
    Returns: from -1 to 1; nan for a head whose writes do not reach the logits, or that reads nothing of tokens.

    Example:
        >>> copying(torch.eye(2)[None] * 5, torch.ones(1)).item(), copying(torch.tensor([[[0.0, 1.0], [-1.0, 0.0]]]), torch.ones(1)).item()
        (1.0, 0.0)
    """
    eigenvalues = torch.linalg.eigvals(kernel.double())
    total = eigenvalues.abs().sum(-1)
    none = kernel.double().norm(dim=(1, 2)) <= NOTHING * size.double()
    return (eigenvalues.real.sum(-1) / total.masked_fill(none | (total == 0), torch.nan)).float()


def own_logit(
    kernel: Float[Tensor, "head d_head d_head"],
    read: Float[Tensor, "head d_head"],
    said: Float[Tensor, "head d_head"],
    n_tokens: int,
) -> Float[Tensor, " head"]:
    """What attending to a token adds to its own logit, above what it adds to a token on average: mean of M's diagonal less mean of M.

    Args:
        kernel: W_O U E W_V.
        read: the mean of E W_V over tokens.
        said: the mean of W_O U over tokens.
        n_tokens: in the vocabulary.
    """
    return kernel.diagonal(dim1=1, dim2=2).sum(-1) / n_tokens - (read * said).sum(-1)
