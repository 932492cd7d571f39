"""What each part writes toward a token: the logit as a sum.

In a pre-norm model the final stream is a sum of parts, and the logit of token t is a norm and a dot product away:
logit_t = LN(sum_c x_c) . W_U[:, t] + b_U[t]. With the norm's scale held at the value it had, the norm is linear, so the logit
is a sum with one term for each part and one for the biases of norm and unembedding. The sum is exact; that the scale was held is the
assumption: a part also changes the scale, which is not counted as its own. A direct contribution is not the whole effect: what a
part writes is read by later parts, too.
"""

from jaxtyping import Float
from torch import Tensor


def direct_logits(passed_on: Float[Tensor, "component d_model"], direction: Float[Tensor, " d_model"]) -> Float[Tensor, " component"]:
    """Logits that each passed-on part adds along a direction of the unembedding (a token's column, or a difference of two).

    Example:
        >>> import torch
        >>> direct_logits(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([3.0, 1.0])).tolist()
        [3.0, 2.0]
    """
    return passed_on @ direction
