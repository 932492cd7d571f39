"""Which texts may be used to choose, and which to confirm?

The best of 144 equally good heads looks good on the items that it was chosen on. So the choice (head, offset, direction,
threshold) is made on the selection side, and the frozen choice is tested on the confirmation side. Whole clusters go one way:
two items of one document on both sides would let the choice leak.

The side is decided by a hash of the cluster's name, so that a document stays on its side when others are added, removed or
reordered, and nothing has to be stored. What it does not give: exactly `share` on one side; it is hit in expectation.
"""

from hashlib import blake2b

import numpy as np
from jaxtyping import Bool


def split_clusters(clusters: np.ndarray, *, seed: int, share: float = 0.5) -> tuple[Bool[np.ndarray, " item"], Bool[np.ndarray, " item"]]:
    """Selection mask and confirmation mask; each item is in exactly one.

    A cluster goes to selection where blake2b("seed:name"), read as a number between 0 and 1, is below `share`.

    Args:
        clusters: the cluster of each item, axes (item,); text or integers, names that stay with the document.
        seed: another seed is another split.
        share: expected share of the clusters on the selection side, between 0 and 1.
    Returns: (selection, confirmation), axes (item,) both, each true somewhere.
    Raises: ValueError for other axes, names that are not text or integers, a share outside (0, 1), an empty side.

    Example:
        >>> selection, confirmation = split_clusters(np.array(["a", "a", "b", "c", "d"]), seed=0)
        >>> bool((selection ^ confirmation).all()), bool(selection[0] == selection[1])
        (True, True)
    """
    ids = np.asarray(clusters)
    if ids.ndim != 1:
        raise ValueError(f"clusters {ids.shape} came; expected one axis, item")
    if not 0 < share < 1:
        raise ValueError(f"share {share} came; expected one between 0 and 1, such as 0.5")
    if ids.dtype.kind not in "iuU" and not all(isinstance(name, str) for name in ids):
        raise ValueError(f"clusters of type {ids.dtype} came; expected text or integers: 3 and 3.0 would be two documents")
    names, inverse = np.unique(ids, return_inverse=True)
    selection = np.array([_unit(seed, name) < share for name in names], dtype=bool)[inverse]
    if selection.all() or not selection.any():
        raise ValueError(f"all {len(names)} clusters fall on one side with seed {seed} and share {share}; expected some on both: add texts")
    return selection, ~selection


def _unit(seed: int, name: object) -> float:
    """A number in [0, 1) that depends on seed and name only."""
    return int.from_bytes(blake2b(f"{seed}:{name}".encode(), digest_size=8).digest(), "big") / 2**64
