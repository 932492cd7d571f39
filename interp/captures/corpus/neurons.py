"""Neurons over a corpus: moments of every neuron, and how its activations are spread.

Results stand by where the neurons are: `neuron_mean` (layer, neuron) of dense FFNs, `expert_neuron_mean` (layer, expert, neuron) of a
mixture's experts, each over the tokens that the router sent to it, `shared_neuron_mean` (layer, neuron) of its shared experts. A model
may have all three; layers that have none of a sort, and places past the width of a narrower layer, hold nan. Over an encoder-decoder's
pairs an axis `stack` stands before: "E" over the tokens of what is read, "D" over those of the decoder's rows; "X" has no neurons.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from interp.captures.corpus.fired import SORTS, Fired, Sort
from interp.captures.corpus.reducer import Reducer, part
from interp.captures.corpus.stacked import Place, axes, most_by_stack, places, stacked
from interp.core.errors import CheckFailed
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, counted, labelled
from interp.core.sites import STACKS
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
    paired = True

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
        sorts: list[Sort] = [sort for sort in SORTS if places(self.totals.sums, f"{sort}n")]
        return Dataset({table.name: table for sort in sorts for table in self.tables(sort, provenance)})

    def table(self, parts: Mapping[str, torch.Tensor], name: str, sort: Sort, fill: float | int = torch.nan) -> torch.Tensor:
        """Parts by layer, one on another: axes ([stack,] layer, [expert,] neuron, ...), `fill` where a layer has none or fewer."""
        return neuron_table(places(parts, f"{sort}{name}"), sort, self.n_layers, int(self.totals.largest["width"]), fill)

    @property
    def n_layers(self) -> int:
        """Layers up to the last that has neurons of any sort."""
        return int(self.totals.largest["layers"])

    def n(self, sort: Sort) -> torch.Tensor:
        """Tokens that were seen. Axes: ([stack,] layer, 1), with experts (..., expert, 1); nan in layers that have none of this sort."""
        return stacked(places(self.totals.sums, f"{sort}n"), (self.n_layers,))[..., None]

    def labelled(self, values: torch.Tensor, name: str, sort: Sort, more: Sequence[str] = (), **about: Any) -> DataArray:
        """A variable of one sort of neurons; `more` axes follow those of `of_sort`; attribute n: tokens, of all experts together."""
        together = {key: n.sum() for key, n in self.totals.sums.items() if key.startswith(f"{sort}n ")}
        return counted(of_sort(values, name, sort, more, **about), most_by_stack(together, f"{sort}n"))


def of_sort(values: torch.Tensor, name: str, sort: Sort, more: Sequence[str] = (), *, long_name: str, **about: Any) -> DataArray:
    """A labelled variable of one sort of neurons, under its name; axes ([stack,] layer, [expert,] neuron) and `more`."""
    dims = axes(values, ["layer", *(["expert"] if sort == "expert_" else []), "neuron", *more])
    kept: Any = values if values.is_floating_point() else values.numpy()
    result = labelled(kept, dims, name=f"{sort}{name}", long_name=long_name + (f", {SORTS[sort]}" if sort else ""), **about)
    return result.assign_coords(stack=list(STACKS)) if "stack" in dims else result


def neuron_table(found: Mapping[Place, torch.Tensor], sort: Sort, n_layers: int, width: int, fill: float | int = torch.nan) -> torch.Tensor:
    """Tables ([expert,] neuron, ...) of some layers, one on another, each as wide as the widest, `fill` where there is nothing."""
    return stacked(found, (n_layers, 0, width) if sort == "expert_" else (n_layers, width), fill)


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
