"""How alike is the stream at two depths?"""

from jaxtyping import Float
from torch import Tensor


def depth_similarity(stream: Float[Tensor, "depth pos d_model"]) -> Float[Tensor, "depth depth"]:
    """Mean over positions of the cosine of a token's vectors at two depths, -1 to 1; a vector of zeros has cosine 0 with any.

    Example:
        >>> import torch
        >>> depth_similarity(torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]], [[0.0, 1.0]]])).tolist()
        [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    directions = stream / stream.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    return (directions.transpose(0, 1) @ directions.permute(1, 2, 0)).mean(0)
