"""Do numbers stand in the order that was claimed? Kendall's tau against it, and how often another order would do as well.

What the p does not tell: how sure the numbers themselves are (resample what they are of). With few of them hardly any order is rare: three
have six orders, so that no p is below .17; of four one order in 24 fits exactly (.042).
"""

from itertools import permutations

import numpy as np
from jaxtyping import Float

MOST = 8  # 40,320 orders are counted out; more would have to be drawn


def order_agreement(values: Float[np.ndarray, "*sample member"]) -> Float[np.ndarray, "*sample"]:
    """Kendall's tau (a) between the members as they stand and their values: pairs that rise less pairs that fall, of all pairs.

    Args:
        values: in the claimed order, axes (..., member); at least two members, nan where one is not known.
    Returns: -1 to 1; a tie counts as neither; nan where a value is.
    Raises: ValueError for fewer than two members.

    Example:
        >>> order_agreement(np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]])).round(3).tolist()
        [1.0, 0.333]
    """
    n = values.shape[-1]
    if n < 2:
        raise ValueError(f"values {values.shape} came; expected an axis member of at least two")
    first, second = np.triu_indices(n, 1)
    return np.asarray(np.sign(values[..., second] - values[..., first]).mean(-1))


def order_p(values: Float[np.ndarray, " member"]) -> float:
    """Share of all orders of these values that agree with the claimed one at least as well, the observed among them; 0 to 1.

    Raises: ValueError for fewer than two members, more than `MOST`, or a value that is not finite.

    Example:
        >>> round(order_p(np.array([1.0, 2.0, 3.0, 4.0])), 4)
        0.0417
    """
    if len(values) > MOST or not np.isfinite(values).all():
        raise ValueError(f"values {values.tolist()} came; expected 2 to {MOST} finite numbers")
    shuffled = np.array(list(permutations(values)))
    return float((order_agreement(shuffled) >= order_agreement(values) - 1e-12).mean())
