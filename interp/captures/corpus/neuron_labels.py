"""Which tokens is each neuron active on: those of one part of speech, one lemma, one place in the text?

One matrix product of the neurons with the labels of their tokens gives every mean. It tells what goes together in this corpus, not what the
neuron computes, and labels that go together with others (nouns with places late in the text) share their neurons.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.fired import Fired, Sort
from interp.captures.corpus.labels import Scheme
from interp.captures.corpus.neurons import NeuronReducer
from interp.captures.corpus.reducer import part
from interp.captures.corpus.stacked import places, stacked
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset
from interp.measures.selectivity import SOURCE, selectivity


class NeuronLabels(NeuronReducer):
    """Each neuron's mean activation, and the share of tokens at which it is above 0, under each label of a scheme.

    Args: scheme: of `captures.corpus.labels`; upos() by its name gives neuron_by_upos, neuron_active_by_upos, neuron_selectivity_upos.
    """

    def __init__(self, scheme: Scheme):
        super().__init__((f"neuron_by_{scheme.name}", f"neuron_active_by_{scheme.name}", f"neuron_selectivity_{scheme.name}"))
        self.scheme = scheme

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self.one_hot = self.scheme.one_hot(batch)

    def take(self, fired: Fired) -> None:
        one_hot = self.one_hot[fired.point.stack]

        def counted(tokens: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return one_hot[tokens].sum(0)

        def summed(tokens: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return values.T @ one_hot[tokens]

        def active(tokens: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return (values > 0).float().T @ one_hot[tokens]

        for name, of in {"by": summed, "active_by": active}.items():
            self.totals.add(part(f"{fired.sort}{name}", fired.point), fired.each(of))
        self.totals.add(part(f"{fired.sort}labels", fired.point), fired.each(counted)[..., None, :])

    def result(self, provenance: Provenance) -> Dataset:
        """The variables of each sort of neurons. Raises: DataError when no token of the corpus had a label."""
        if not any(values.any() for name, values in self.totals.sums.items() if "labels " in name):
            raise DataError(f"no token has a label {self.scheme.name!r}; expected {self.scheme.needs}")
        return super().result(provenance)

    def tables(self, sort: Sort, provenance: Provenance) -> Sequence[DataArray]:
        """Axes ([stack,] layer, neuron, upos), nan where a label did not occur; the selectivity of the shares is (layer, neuron).

        The last axis has the scheme's name. The attribute `n_by_label` holds how many tokens had each label (in a mixture of all
        experts together, in the layer with most).
        """
        by, active = (self.table(self.totals.sums, name, sort) for name in ("by", "active_by"))
        counts = self._counts(sort)
        shares = active / counts
        about: dict[str, Any] = {"provenance": provenance}
        axis, coords = [self.scheme.name], {self.scheme.name: list(self.scheme.labels)}
        of = f"by {self.scheme.name}"
        mean = self.labelled(by / counts, self.names[0], sort, axis, long_name=f"mean activation {of}", units="activation", **about)
        share = self.labelled(shares, self.names[1], sort, axis, long_name=f"share of tokens above 0 {of}", units="share", **about)
        index = f"selectivity among {self.scheme.name} labels"
        selective = self.labelled(selectivity(shares), self.names[2], sort, long_name=index, units="1", source=SOURCE, **about)
        n_by_label = self._n_by_label(counts, sort)
        return [*(table.assign_coords(coords).assign_attrs(n_by_label=n_by_label) for table in (mean, share)), selective]

    def _counts(self, sort: Sort) -> torch.Tensor:
        """Tokens with each label: ([stack,] layer, [expert,] 1, label)."""
        return stacked(places(self.totals.sums, f"{sort}labels"), (self.n_layers,), fill=0)

    def _n_by_label(self, counts: torch.Tensor, sort: Sort) -> np.ndarray:
        """Of all experts together, in the layer with most; over pairs of both stacks together."""
        of_layers = counts.squeeze(-2).sum(-2) if sort == "expert_" else counts.squeeze(-2)
        most = of_layers.amax(-2)
        return most.reshape(-1, most.shape[-1]).sum(0).long().numpy()
