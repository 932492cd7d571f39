"""What each part writes toward a token: the logit as a sum.

In a pre-norm model the final stream is a sum of parts, and the logit of token t is a norm and a dot product away:
logit_t = LN(sum_c x_c) . W_U[:, t] + b_U[t]. With the norm's scale held at the value it had, the norm is linear, so the logit
is a sum with one term for each part and one for the biases of norm and unembedding. The sum is exact; that the scale was held is the
assumption: a part also changes the scale, which is not counted as its own. A direct contribution is not the whole effect: what a
part writes is read by later parts, too.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def through_frozen_norm(
    parts: Float[Tensor, "component d_model"],
    stream: Float[Tensor, " d_model"],
    gain: Float[Tensor, " d_model"],
    eps: float,
    *,
    centred: bool,
) -> Float[Tensor, "component d_model"]:
    """Each part as the final norm passes it on, with the norm's scale held at the whole stream's.

    LayerNorm: (x_c - mean(x_c)) / sqrt(var(stream) + eps) * gain; RMSNorm: x_c / sqrt(mean(stream^2) + eps) * gain.

    Args:
        parts: what each part wrote.
        stream: their sum, as the norm read it.
        gain: the norm's weight.
        eps: the norm's epsilon.
        centred: True for LayerNorm, False for RMSNorm.
    Returns: the passed-on parts; their sum is the norm of the stream, less the norm's bias.
    """
    if centred:
        parts, stream = parts - parts.mean(-1, keepdim=True), stream - stream.mean()
    return parts / torch.sqrt(stream.pow(2).mean() + eps) * gain


def direct_logits(passed_on: Float[Tensor, "component d_model"], direction: Float[Tensor, " d_model"]) -> Float[Tensor, " component"]:
    """Logits that each passed-on part adds along a direction of the unembedding (a token's column, or a difference of two).

    Example:
        >>> direct_logits(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([3.0, 1.0])).tolist()
        [3.0, 2.0]
    """
    return passed_on @ direction
