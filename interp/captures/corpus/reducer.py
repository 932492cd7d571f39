"""A reducer: one thing that is kept of a corpus as it streams by.

    begin(batch)               a batch of equally long texts is about to run
    asks(point)                what it will take of an attention sublayer
    attend(point, statistics)  an attention sublayer at work on it, for a reducer whose `kinds` hold "pattern"
    fire(fired)                the neurons of an FFN at work, for a reducer whose `kinds` hold "neurons"
    at(point, tensor)          the tensor at another point of its `kinds`
    end()                      the batch is through
    result(provenance)         the labelled statistics of all batches

What it has seen is in `totals` and nowhere else, so that any reducer can be merged with another of its kind, written to a file
between two shards of a corpus, and read back.
"""

from collections.abc import Hashable, Iterable

import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.fired import Fired
from interp.captures.corpus.pattern_statistics import PatternStatistics
from interp.captures.corpus.totals import Totals
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import Dataset
from interp.models.points import Point


class Reducer:
    """Keeps nothing: a subclass says what it looks at and what it keeps.

    Attributes:
        kinds: the points that it is shown (see `models.points`).
        features: what the model's self-check must have passed for it.
        paired: it can be kept of an encoder-decoder, over pairs.
        names: the variables that it gives; a run refuses two reducers with one name.
        totals: all that it has seen.
    """

    kinds: frozenset[str] = frozenset()
    features: tuple[str, ...] = ()
    paired: bool = False

    def __init__(self, names: tuple[str, ...]):
        self.names = names
        self.totals = Totals()

    def begin(self, batch: Batch) -> None:
        """A batch is about to run."""
        self.batch = batch

    def asks(self, point: Point) -> Iterable[Hashable]:
        """What `attend` will take of an attention sublayer, so that one pass serves all reducers (see `PatternStatistics.take`)."""
        return ()

    def attend(self, point: Point, statistics: PatternStatistics) -> None:
        """An attention sublayer at work."""

    def fire(self, fired: Fired) -> None:
        """The neurons of an FFN at work."""

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        """The tensor at a point."""

    def end(self) -> None:
        """The batch is through."""

    def merge(self, other: "Reducer") -> None:
        """Put together with what another of the same kind has seen of another part of the corpus.

        Raises: DataError for one of another kind, or a text that is in both parts.
        """
        if type(other) is not type(self) or set(self.names) != set(other.names):
            raise DataError(f"parts with the statistics {other.names} came; expected {self.names} in every part of a corpus")
        self.totals.merge(other.totals)

    def result(self, provenance: Provenance) -> Dataset:
        """The labelled statistics of all that was seen."""
        raise NotImplementedError


def part(name: str, point: Point) -> str:
    """What the totals call a statistic of one sublayer: "entropy L2", of an encoder's "entropy EL2"."""
    return f"{name} {point.stack}L{point.layer}"
