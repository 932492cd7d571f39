"""What several claims of one run share: made by the first that asks, used again by the others.

Many claims put the same question (one test, said in two documents), read the same sentences, look at the same untrained twins. A `Shared`
lives as long as the run of them; alone, a claim has one of its own. It changes what a run costs, never what comes out: whatever is kept
follows from its key, so a key names all that it depends on (the fingerprint of the weights, the hash of what was read, the seed).
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")
MOST = 48  # things kept at once; the one that was used longest ago goes first


class Shared:
    """Things by key; what was used longest ago is let go."""

    def __init__(self, most: int = MOST):
        self._made: OrderedDict[Hashable, object] = OrderedDict()
        self._most = most

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The thing of this key, made now unless it is there.

        Example:
            >>> shared = Shared()
            >>> shared.get("twin", lambda: [1]) is shared.get("twin", lambda: [2])
            True
        """
        if key not in self._made:
            self._made[key] = make()
        self._made.move_to_end(key)
        while len(self._made) > self._most:
            self._made.popitem(last=False)
        return cast(T, self._made[key])
