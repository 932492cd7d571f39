"""What a head is asked: from this word, is the word that it attends to most one of those?

One question is a column of items, each a word to look from and the words that would be right. A protocol may ask several questions of
the same items (from the dependent, from the head); a member of the family is a question and a head. The best fixed offset answers the
same questions without any model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

OFFSETS = range(-10, 11)
NONE = -9  # a place that no word has: where an item has fewer right words than another


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Items of one question.

    Attributes:
        example: its place in the list of examples, axes (item,).
        document: the cluster, axes (item,).
        start: the word to look from, by its place in the example, axes (item,).
        targets: the words that are right, `NONE` where there are no more, axes (item, target).
    """

    example: np.ndarray
    document: np.ndarray
    start: np.ndarray
    targets: np.ndarray

    def hit(self, places: np.ndarray) -> np.ndarray:
        """Whether each place is a right one. Axes: (..., item), bool."""
        found = np.zeros(places.shape, dtype=bool)
        for column in self.targets.T:
            found |= places == column
        return found

    def at_offset(self, offset: int) -> np.ndarray:
        """1 where the word at this distance is right. Axes: (item,)."""
        return self.hit(self.start + offset).astype(np.float64)


Questions = Mapping[str, Asked]


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """The same questions with other words put in place of the right ones. `of`: the item that each stands beside, axes (stand-in item,)."""

    name: str
    questions: Questions
    of: np.ndarray


def best_offset(asked: Asked, choose: np.ndarray) -> int:
    """The distance that is right most often on the chosen items; of two alike the nearer."""
    return max(OFFSETS, key=lambda offset: (asked.at_offset(offset)[choose].sum(), -abs(offset)))


def as_targets(found: list[tuple[int, ...]]) -> np.ndarray:
    """Lists of right words as an array, axes (item, target)."""
    most = max(map(len, found))
    return np.array([[*places, *(NONE,) * (most - len(places))] for places in found])
