"""How evenly is a mixture's work spread over its experts?"""

import torch
from jaxtyping import Float
from torch import Tensor


def routing_entropy(probs: Float[Tensor, "*at expert"]) -> Float[Tensor, "*at"]:
    """Entropy of each token's routing over the experts, in nats: 0 when one is certain, ln n when all n are alike.

    H = - sum_e p_e ln p_e, with 0 ln 0 = 0. Probabilities that do not sum to 1 (DeepSeek-V3 takes a sigmoid of each) are divided by
    their sum.

    Example:
        >>> routing_entropy(torch.tensor([[1.0, 0.0], [0.3, 0.3]])).tolist()
        [0.0, 0.6931471824645996]
    """
    return torch.special.entr(probs / probs.sum(-1, keepdim=True)).sum(-1)
