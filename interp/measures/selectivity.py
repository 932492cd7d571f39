"""How selective is a unit for one label among several?"""

import torch
from jaxtyping import Float
from torch import Tensor

SOURCE = (
    "Morcos et al. (2018), On the importance of single directions for generalization, section 2.3: there of mean activations after a "
    "ReLU; here of the share of tokens at which the neuron is active, since under GELU a mean may be negative"
)


def selectivity(shares: Float[Tensor, "*unit label"]) -> Float[Tensor, "*unit"]:
    """(a_max - a_rest) / (a_max + a_rest): 0 when active alike under all labels, 1 when under a single one.

    a_max is the largest share, a_rest the mean of the others; 0/0 = 0. A label that never occurred (nan) is left out.

    Args: shares: at which share of each label's tokens a unit is active, 0 to 1, (..., label).
    Returns: 0 to 1; nan where fewer than two labels occurred.
    Source: see `SOURCE`.

    Example:
        >>> selectivity(torch.tensor([[0.75, 0.25, 0.25], [0.5, 0.5, 0.5], [0.0, 0.2, 0.0]])).tolist()
        [0.5, 0.0, 1.0]
    """
    known = (~shares.isnan()).sum(-1)
    best = shares.nan_to_num(nan=-torch.inf).amax(-1)
    rest = (shares.nansum(-1) - best) / (known - 1)
    both = best + rest
    found = torch.where(both > 0, (best - rest) / both, torch.zeros_like(both))
    return found.masked_fill(known < 2, torch.nan)
