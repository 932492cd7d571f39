"""Head statistics over a corpus: the mean over all queries, or each text's by itself.

Over an encoder-decoder's pairs each statistic has one more axis, `stack`: "E" the encoder, "D" the decoder, "X" its cross-attention; nan
where a stack has no such layer or head, and in "X" where a statistic compares places in one text. `profile["entropy"].sel(stack="X")`.
"""

from collections.abc import Hashable, Mapping

import torch

from interp.captures.corpus.pattern_statistics import BLOCKS, KERNEL, PatternStatistics
from interp.captures.corpus.reducer import Reducer, part
from interp.captures.corpus.stacked import most_by_stack, places, stacked
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, counted, labelled
from interp.core.sites import STACKS, head_site
from interp.measures.head_statistics import HEAD_STATISTICS, HeadStatistic, head_statistic_named
from interp.models.points import Point


class _OfHeads(Reducer):
    """What both ways of keeping head statistics have in common."""

    kinds = frozenset({"pattern"})
    features = ("patterns",)
    paired = True

    def __init__(self, statistics: tuple[str, ...]):
        unknown = [name for name in statistics if not _known(name)]
        if unknown:
            raise DataError(f"statistics {unknown} are not known; expected some of: {', '.join(HEAD_STATISTICS)}, or one such as offset_-3")
        super().__init__(statistics)

    def at_point(self, point: Point) -> list[HeadStatistic]:
        """The statistics that mean something there."""
        return [statistic for statistic in map(head_statistic_named, self.names) if statistic.crossed or point.stack != "X"]

    def asks(self, point: Point) -> list[Hashable]:
        return [statistic.ask for statistic in self.at_point(point)]

    def attend(self, point: Point, statistics: PatternStatistics) -> None:
        """Add each statistic over the queries that have a value."""
        for statistic in self.at_point(point):
            values = statistics.values(statistic.name)
            self.totals.add(part(statistic.name, point), values.nansum(-1).double().sum(0))
            self.note(statistic.name, point, statistics, (~values[:, 0].isnan()).sum())

    def note(self, name: str, point: Point, statistics: PatternStatistics, n: torch.Tensor) -> None:
        """Count the queries that had a value, and which pass made them."""
        self.totals.add(part(f"n {name}", point), n)
        self.totals.add(f"{statistics.way(head_statistic_named(name).ask)} {name}", torch.tensor(1))

    def labelled(self, name: str, values: torch.Tensor, dims: list[str], provenance: Provenance) -> DataArray:
        about = head_statistic_named(name)
        return of_heads(
            values, dims, name=name, long_name=about.long_name, units=about.units, source=about.source, provenance=provenance
        ).assign_attrs(computed_by=computed_by(self.totals.sums, name))


class HeadMeans(_OfHeads):
    """Each statistic's mean over all queries of the corpus that have a value. Axes of the results: (layer, head), or with stacks."""

    def __init__(self, statistics: tuple[str, ...] = tuple(HEAD_STATISTICS)):
        super().__init__(statistics)

    def result(self, provenance: Provenance) -> Dataset:
        """One variable for each statistic; attributes n: queries that had a value, and computed_by: which pass made it."""
        return Dataset({name: self._variable(name, provenance) for name in self.names})

    def _variable(self, name: str, provenance: Provenance) -> DataArray:
        sums, counts = (by_layer(self.totals.sums, each) for each in (name, f"n {name}"))
        dims = ["layer", "head"] if counts.ndim == 1 else ["stack", "layer", "head"]
        return counted(self.labelled(name, sums / counts[..., None], dims, provenance), most_by_stack(self.totals.sums, f"n {name}"))


class HeadMeansByText(_OfHeads):
    """Each statistic's mean in every text by itself: what a claim needs whose unit is the text. Axes: (batch, layer, head), or with stacks.

    Takes memory in proportion to the number of texts, not of tokens. Parts of a corpus that will be merged are numbered through: give
    `stream` the `first` number of each.
    """

    def attend(self, point: Point, statistics: PatternStatistics) -> None:
        for statistic in self.at_point(point):
            values = statistics.values(statistic.name)
            self.totals.put(part(statistic.name, point), dict(zip(self.batch.numbers, values.double().nanmean(-1), strict=True)))
            self.note(statistic.name, point, statistics, (~values[:, 0].isnan()).sum())

    def result(self, provenance: Provenance) -> Dataset:
        """One variable for each statistic; `batch` is the text's place in the corpus; nan where a text has no such query."""
        return Dataset({name: self._variable(name, provenance) for name in self.names})

    def _variable(self, name: str, provenance: Provenance) -> DataArray:
        texts = {key: torch.stack([rows[number] for number in self.numbers], dim=-1) for key, rows in self.totals.rows.items()}
        values, counts = by_layer(texts, name).movedim(-1, 0), by_layer(self.totals.sums, f"n {name}")
        dims = ["batch", "layer", "head"] if counts.ndim == 1 else ["batch", "stack", "layer", "head"]
        result = self.labelled(name, values, dims, provenance).assign_coords(batch=self.numbers)
        return counted(result, most_by_stack(self.totals.sums, f"n {name}"))

    @property
    def numbers(self) -> list[int]:
        """The texts that were seen, in their order."""
        return sorted(next(iter(self.totals.rows.values())))


def _known(name: str) -> bool:
    try:
        head_statistic_named(name)
    except DataError:
        return False
    return True


def by_layer(parts: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    """A statistic's parts, layer by layer. Axes: (layer, ...those of a part), or (stack, layer, ...) where the model has several stacks.

    A layer that a stack does not have, and heads that it does not have, are nan.
    """
    return stacked({place: values.double() for place, values in places(parts, name).items()})


def of_heads(values: torch.Tensor, dims: list[str], **about) -> DataArray:
    """A labelled result of heads; with an axis `stack` each site says its stack: "XL0H1"."""
    result = labelled(values, dims, **about)
    if "stack" not in dims:
        return result
    layers, heads = result.sizes["layer"], result.sizes["head"]
    sites = [[[head_site(layer, head, stack) for head in range(heads)] for layer in range(layers)] for stack in STACKS]
    return result.assign_coords(stack=list(STACKS), site=(("stack", "layer", "head"), sites))


def computed_by(sums: Mapping[str, torch.Tensor], name: str) -> str:
    """Which pass made a statistic: "fused kernel", "exact blocks", or both, where families or batches differ."""
    return " and ".join(way for way in (KERNEL, BLOCKS) if f"{way} {name}" in sums)
