"""Neurons over a corpus: moments of every neuron, and how its activations are spread.

Results stand by where the neurons are: `neuron_mean` (layer, neuron) of dense FFNs, `expert_neuron_mean` (layer, expert, neuron) of a
mixture's experts, each over the tokens that the router sent to it, `shared_neuron_mean` (layer, neuron) of its shared experts. A model
may have all three; layers that have none of a sort, and places past the width of a narrower layer, hold nan.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from interp.captures.corpus.fired import SORTS, Fired, Sort
from interp.captures.corpus.reducer import Reducer, part
from interp.core.errors import CheckFailed
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, labelled
from interp.measures.histograms import bin_edges, log_histogram
from interp.measures.moments import n_active, squares

MOMENTS = {
    "neuron_mean": ("mean activation", "activation"),
    "neuron_sd": ("standard deviation of the activation", "activation"),
    "neuron_active": ("share of tokens above 0", "share"),
    "neuron_max": ("largest activation", "activation"),
}


class NeuronReducer(Reducer):
    """Looks at the neurons of every FFN: a subclass says in `take` what it keeps of them, and in `tables` what comes of it."""

    kinds = frozenset({"neurons"})
    features = ("neurons",)

    def fire(self, fired: Fired) -> None:
        if not fired.finite:
            raise CheckFailed(f"neurons in layer {fired.point.layer} are not finite on this text; load the model in float32")
        self.totals.enlarge("layers", torch.tensor(fired.point.layer + 1))
        self.totals.enlarge("width", torch.tensor(fired.values[0].shape[1]))
        self.totals.add(part(f"{fired.sort}n", fired.point), fired.each(lambda tokens, _: torch.tensor(len(tokens))))
        self.take(fired)

    def take(self, fired: Fired) -> None:
        """Keep what is wanted of the neurons of one layer."""
        raise NotImplementedError

    def tables(self, sort: Sort, provenance: Provenance) -> Sequence[DataArray]:
        """The variables that come of one sort of neurons."""
        raise NotImplementedError

    def result(self, provenance: Provenance) -> Dataset:
        """The variables of each sort of neurons that the model has, under their names (see the module)."""
        sorts: list[Sort] = [sort for sort in SORTS if any(name.startswith(f"{sort}n L") for name in self.totals.sums)]
        return Dataset({table.name: table for sort in sorts for table in self.tables(sort, provenance)})

    def table(self, parts: Mapping[str, torch.Tensor], name: str, sort: Sort, fill: float | int = torch.nan) -> torch.Tensor:
        """Parts by layer, one on another: axes (layer, [expert,] neuron, ...), `fill` where a layer has none or fewer."""
        found = {int(key.rpartition("L")[2]): values for key, values in parts.items() if key.rpartition(" ")[0] == f"{sort}{name}"}
        return by_layer(found, sort, int(self.totals.largest["layers"]), int(self.totals.largest["width"]), fill)

    def n(self, sort: Sort) -> torch.Tensor:
        """Tokens that were seen. Axes: (layer, 1), with experts (layer, expert, 1); nan in layers that have none of this sort."""
        found = {key.rpartition("L")[2]: n for key, n in self.totals.sums.items() if key.rpartition(" ")[0] == f"{sort}n"}
        like = next(iter(found.values()))
        layers = range(int(self.totals.largest["layers"]))
        return torch.stack([found.get(str(layer), torch.full_like(like, torch.nan)) for layer in layers])[..., None]

    def labelled(self, values: torch.Tensor, name: str, sort: Sort, more: Sequence[str] = (), **about: Any) -> DataArray:
        """A variable of one sort of neurons; `more` axes follow (layer, [expert,] neuron); attribute n: tokens, of all experts together."""
        return of_sort(values, name, sort, more, **about).assign_attrs(n=int(self.n(sort).flatten(1).sum(1).nan_to_num().max()))


def of_sort(values: torch.Tensor, name: str, sort: Sort, more: Sequence[str] = (), *, long_name: str, **about: Any) -> DataArray:
    """A labelled variable of one sort of neurons, under its name; axes (layer, [expert,] neuron) and `more`."""
    dims = ["layer", *(["expert"] if sort == "expert_" else []), "neuron", *more]
    kept: Any = values if values.is_floating_point() else values.numpy()
    return labelled(kept, dims, name=f"{sort}{name}", long_name=long_name + (f", {SORTS[sort]}" if sort else ""), **about)


def by_layer(found: Mapping[int, torch.Tensor], sort: Sort, n_layers: int, width: int, fill: float | int = torch.nan) -> torch.Tensor:
    """Tables ([expert,] neuron, ...) of some layers, one on another, each as wide as the widest, `fill` where there is nothing."""
    like = next(iter(found.values()))
    axis = 1 if sort == "expert_" else 0
    sizes = (n_layers, *like.shape[:axis], width, *like.shape[axis + 1 :])
    table = torch.full(sizes, fill, dtype=like.dtype)
    for layer, values in found.items():
        table[layer].narrow(axis, 0, values.shape[axis]).copy_(values)
    return table


class NeuronMoments(NeuronReducer):
    """Each neuron's mean, standard deviation, share of tokens at which it is above 0, and largest activation."""

    def __init__(self) -> None:
        super().__init__(tuple(MOMENTS))

    def take(self, fired: Fired) -> None:
        self.totals.add(part(f"{fired.sort}total", fired.point), fired.sums)
        self.totals.add(part(f"{fired.sort}squares", fired.point), fired.each(lambda _, values: squares(values)))
        self.totals.add(part(f"{fired.sort}active", fired.point), fired.each(lambda _, values: n_active(values)))
        self.totals.enlarge(part(f"{fired.sort}largest", fired.point), fired.best)

    def tables(self, sort: Sort, provenance: Provenance) -> Sequence[DataArray]:
        """Variables neuron_mean, neuron_sd, neuron_active, neuron_max; nan for an expert that no token was sent to."""
        n = self.n(sort)
        mean, square, active = (self.table(self.totals.sums, name, sort) / n for name in ("total", "squares", "active"))
        best = self.table(self.totals.largest, "largest", sort)
        found = (mean, (square - mean**2).clamp_min(0).sqrt(), active, best.masked_fill(best.isinf(), torch.nan))
        about: list[dict[str, Any]] = [
            {"long_name": long_name, "units": units, "provenance": provenance} for long_name, units in MOMENTS.values()
        ]
        return [self.labelled(values, name, sort, **each) for values, name, each in zip(found, self.names, about, strict=True)]


class NeuronHistogram(NeuronReducer):
    """How each neuron's activations are spread: tokens in each of the fixed bins of `measures.histograms`."""

    def __init__(self) -> None:
        super().__init__(("neuron_histogram",))

    def take(self, fired: Fired) -> None:
        self.totals.add(part(f"{fired.sort}histogram", fired.point), fired.each(lambda _, values: log_histogram(values)))

    def tables(self, sort: Sort, provenance: Provenance) -> Sequence[DataArray]:
        """Variable neuron_histogram, tokens by (layer, neuron, bin); its coordinate `bin_from` holds the lower edges."""
        counts = self.table(self.totals.sums, "histogram", sort, fill=0).long()
        about: dict[str, Any] = {"long_name": "tokens by activation", "units": "tokens", "provenance": provenance}
        result = self.labelled(counts, "neuron_histogram", sort, ["bin"], **about)
        return [result.assign_coords(bin_from=("bin", bin_edges().numpy()))]
