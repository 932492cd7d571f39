"""Reducers: what is kept of a corpus as it streams by.

    update(block)   fold one batch in
    merge(other)    fold in what another reducer has seen
    result(...)     the labelled statistics

`merge` is associative and does not depend on the order (sums in float64), so a corpus can be split and put together again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch

from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, labelled
from interp.measures.head_statistics import HEAD_STATISTICS


@dataclass(frozen=True, kw_only=True)
class NeuronSums:
    """Sums over the tokens of one batch and layer. Axes: (neuron,)."""

    total: torch.Tensor
    squares: torch.Tensor
    active: torch.Tensor
    largest: torch.Tensor


@dataclass(kw_only=True)
class Block:
    """What one batch gave.

    Attributes:
        numbers: the examples' places in the corpus.
        n_tokens: tokens in the batch.
        sums: statistic -> sum over queries, axes (batch, layer, head).
        counts: statistic -> queries that had a value, axes (batch, head) alike in every layer.
        neurons: layer -> sums.
    """

    numbers: list[int]
    n_tokens: int
    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    counts: dict[str, torch.Tensor] = field(default_factory=dict)
    neurons: dict[int, NeuronSums] = field(default_factory=dict)


@runtime_checkable
class Reducer(Protocol):
    """What `stream` feeds. `statistics` and `wants_neurons` say what must be computed for it."""

    statistics: tuple[str, ...]
    wants_neurons: bool

    def update(self, block: Block) -> None: ...

    def result(self, provenance: Provenance) -> Dataset: ...


def _result(name: str, sums: torch.Tensor, counts: torch.Tensor, dims: list[str], provenance: Provenance) -> DataArray:
    about = HEAD_STATISTICS[name]
    result = labelled(
        sums / counts, dims, name=name, long_name=about.long_name, units=about.units, source=about.source, provenance=provenance
    )
    return result.assign_attrs(n=int(counts.sum()))


def _refuse_unknown(statistics: tuple[str, ...]) -> None:
    unknown = [name for name in statistics if name not in HEAD_STATISTICS]
    if unknown:
        raise DataError(f"statistics {unknown} are not known; expected some of: {', '.join(HEAD_STATISTICS)}")


class HeadMeans:
    """Each statistic's mean over all queries of the corpus that have a value. Axes of the results: (layer, head)."""

    wants_neurons = False

    def __init__(self, statistics: tuple[str, ...] = tuple(HEAD_STATISTICS)):
        _refuse_unknown(statistics)
        self.statistics = statistics
        self.sums: dict[str, torch.Tensor] = {}
        self.counts: dict[str, torch.Tensor] = {}

    def update(self, block: Block) -> None:
        for name in self.statistics:
            self._add(name, block.sums[name].sum(0), block.counts[name].sum())

    def merge(self, other: "HeadMeans") -> None:
        _refuse_others(self.statistics, other.statistics)
        for name, sums in other.sums.items():
            self._add(name, sums, other.counts[name])

    def _add(self, name: str, sums: torch.Tensor, count: torch.Tensor) -> None:
        self.sums[name] = self.sums.get(name, torch.zeros_like(sums)) + sums
        self.counts[name] = self.counts.get(name, torch.zeros_like(count)) + count

    def result(self, provenance: Provenance) -> Dataset:
        """One variable for each statistic; attribute n: queries that had a value."""
        results = [_result(name, self.sums[name], self.counts[name], ["layer", "head"], provenance) for name in self.statistics]
        return Dataset({result.name: result for result in results})


def _refuse_others(ours: tuple[str, ...], theirs: tuple[str, ...]) -> None:
    if set(ours) != set(theirs):
        raise DataError(f"parts with the statistics {theirs} came; expected {ours} in every part of a corpus")


class HeadMeansByText:
    """Each statistic's mean in every text by itself: what a claim needs whose unit is the text. Axes: (batch, layer, head).

    Takes memory in proportion to the number of texts, not of tokens. Parts of a corpus that will be merged are numbered through: give
    `stream` the `first` number of each.
    """

    wants_neurons = False

    def __init__(self, statistics: tuple[str, ...]):
        _refuse_unknown(statistics)
        self.statistics = statistics
        self.rows: dict[str, dict[int, torch.Tensor]] = {name: {} for name in statistics}

    def update(self, block: Block) -> None:
        for name in self.statistics:
            means = block.sums[name] / block.counts[name][:, None, None]
            self.rows[name].update(zip(block.numbers, means, strict=True))

    def merge(self, other: "HeadMeansByText") -> None:
        _refuse_others(self.statistics, other.statistics)
        twice = {number for name in self.statistics for number in self.rows[name].keys() & other.rows[name].keys()}
        if twice:
            raise DataError(
                f"{len(twice)} texts, such as number {min(twice)}, are in both parts; expected parts numbered through: stream(first=...)"
            )
        for name in self.statistics:
            self.rows[name].update(other.rows[name])

    def result(self, provenance: Provenance) -> Dataset:
        """One variable for each statistic; `batch` is the text's place in the corpus; nan where a text has no such query."""
        variables: Mapping[str, DataArray] = {name: self._variable(name, provenance) for name in self.statistics}
        return Dataset(variables)

    def _variable(self, name: str, provenance: Provenance) -> DataArray:
        values = torch.stack([self.rows[name][number] for number in sorted(self.rows[name])])
        return _result(name, values, torch.ones(1, dtype=torch.float64), ["batch", "layer", "head"], provenance).assign_attrs(n=len(values))


class NeuronMoments:
    """Each neuron's mean, standard deviation, share of tokens at which it is above 0, and largest activation."""

    statistics: tuple[str, ...] = ()
    wants_neurons = True

    def __init__(self) -> None:
        self.n_tokens = 0
        self.sums: dict[int, NeuronSums] = {}

    def update(self, block: Block) -> None:
        self.n_tokens += block.n_tokens
        for layer, sums in block.neurons.items():
            self._add(layer, sums)

    def merge(self, other: "NeuronMoments") -> None:
        self.n_tokens += other.n_tokens
        for layer, sums in other.sums.items():
            self._add(layer, sums)

    def _add(self, layer: int, new: NeuronSums) -> None:
        old = self.sums.get(layer)
        self.sums[layer] = (
            new
            if old is None
            else NeuronSums(
                total=old.total + new.total,
                squares=old.squares + new.squares,
                active=old.active + new.active,
                largest=torch.maximum(old.largest, new.largest),
            )
        )

    def result(self, provenance: Provenance) -> Dataset:
        """Variables neuron_mean, neuron_sd, neuron_active, neuron_max; axes (layer, neuron); attribute n: tokens."""
        layers = [self.sums[layer] for layer in sorted(self.sums)]
        n = self.n_tokens
        mean = torch.stack([sums.total for sums in layers]) / n
        spread = (torch.stack([sums.squares for sums in layers]) / n - mean**2).clamp_min(0).sqrt()
        active = torch.stack([sums.active for sums in layers]) / n
        largest = torch.stack([sums.largest for sums in layers])
        return Dataset(
            {
                "neuron_mean": self._variable(mean, "neuron_mean", "mean activation", "activation", provenance),
                "neuron_sd": self._variable(spread, "neuron_sd", "standard deviation of the activation", "activation", provenance),
                "neuron_active": self._variable(active, "neuron_active", "share of tokens above 0", "share", provenance),
                "neuron_max": self._variable(largest, "neuron_max", "largest activation", "activation", provenance),
            }
        )

    def _variable(self, values: torch.Tensor, name: str, long_name: str, units: str, provenance: Provenance) -> DataArray:
        result = labelled(values, ["layer", "neuron"], name=name, long_name=long_name, units=units, provenance=provenance)
        return result.assign_attrs(n=self.n_tokens)
