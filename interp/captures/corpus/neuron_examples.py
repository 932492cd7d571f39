"""At which tokens is each neuron most active? Its k best, with the tokens around each, kept as the corpus streams by.

Cheap after the start: once a neuron has its k, only activations above the least of them are looked at, which of n equally large batches
the last holds about k/n of.

It does not tell what a neuron stands for. The best examples are the tail of its activations, and often tell a clearer story than the rest:
see the histogram beside. Source: Karpathy et al. (2015), "Visualizing and understanding recurrent networks", section 4.2, showed them for
LSTM cells; Bolukbasi et al. (2021), "An interpretability illusion for BERT", what goes wrong when a neuron is read by them alone.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.fired import Fired, Sort
from interp.captures.corpus.neurons import NeuronReducer
from interp.captures.corpus.reducer import part
from interp.captures.corpus.top import FIELDS, Top
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, labelled
from interp.measures.largest import above, largest
from interp.models.model import Model
from interp.texts.tokens import FastTokenizer, spelled

NAMES = ("neuron_top", "neuron_top_text", "neuron_top_pos", "neuron_top_ids", "neuron_top_tokens")
_CHUNK = 512  # neurons that are looked at together, so that the work space stays small


class NeuronExamples(NeuronReducer):
    """Each neuron's k largest activations with their text, place, and a window of tokens around.

    Args:
        model: whose vocabulary spells the tokens.
        k: examples of each neuron.
        before, after: tokens of the window on either side.
    Raises: DataError for k < 1 or a window that reaches backwards.
    """

    def __init__(self, model: Model, k: int = 10, before: int = 15, after: int = 8):
        super().__init__(NAMES)
        if k < 1 or before < 0 or after < 0:
            raise DataError(f"k={k}, before={before}, after={after} came; expected k of 1 or more, and windows of 0 or more on each side")
        self.model, self.k, self.before, self.after = model, k, before, after

    def begin(self, batch: Batch) -> None:
        """Raises: DataError for texts out of order: the earliest of equal activations would not be kept."""
        if list(batch.numbers) != sorted(batch.numbers):
            raise DataError(f"texts came in the order {batch.numbers[:8]}...; expected rising numbers in each batch")
        super().begin(batch)
        self.numbers = torch.tensor(batch.numbers, device=batch.ids.device)

    def take(self, fired: Fired) -> None:
        ids = self.batch.ids_of(fired.point.stack)
        for expert, (tokens, values, maxima) in enumerate(zip(fired.tokens, fired.values, fired.maxima, strict=True)):
            kept = self.totals.top.setdefault(part(f"{fired.sort}top {expert}", fired.point), self._nothing(values))
            if not len(values):
                continue
            if kept.full:
                neurons, found, rows = above(values, kept.limits(self.batch.numbers[0]).to(values.device), self.k, maxima)
                kept.take(neurons.cpu(), self._placed(found, torch.where(rows < 0, -1, tokens[rows]), ids))
                continue
            for neurons in kept.takes(maxima.amax(0), self.batch.numbers[0]).split(_CHUNK):
                found, rows = largest(values, self.k, neurons, maxima)
                kept.take(neurons.cpu(), self._placed(found, tokens[rows], ids))

    def _nothing(self, values: torch.Tensor) -> Top:
        return Top.nothing(values.shape[1], self.k, self.before + 1 + self.after)

    def _placed(self, values: torch.Tensor, tokens: torch.Tensor, ids: torch.Tensor) -> Top:
        """With their texts, places and windows. `tokens`: places in `ids` counted through, -1 for none, (neuron, rank)."""
        length, none = ids.shape[1], tokens < 0
        texts, positions = tokens.clamp_min(0) // length, tokens.clamp_min(0) % length
        places = positions[..., None] + torch.arange(-self.before, self.after + 1, device=tokens.device)
        around = ids[texts[..., None], places.clamp(0, length - 1)]
        windows = around.masked_fill((places < 0) | (places >= length) | none[..., None], -1).int()
        numbers, positions = (one.masked_fill(none, -1).cpu() for one in (self.numbers[texts], positions))
        return Top(values=values.cpu(), numbers=numbers, positions=positions, windows=windows.cpu())

    def result(self, provenance: Provenance) -> Dataset:
        """The variables of `tables`, and neuron_top_tokens (d_vocab,): how token ids are spelt, "" for those that are in no window."""
        return super().result(provenance).assign({NAMES[4]: self._spelt(provenance)})

    def tables(self, sort: Sort, provenance: Provenance) -> Sequence[DataArray]:
        """Four variables; -1 for what there is not, nan for an activation.

        neuron_top (layer, neuron, rank) is the activation, the largest first; neuron_top_text the text's place in the corpus,
        neuron_top_pos the token's in the text, and neuron_top_ids (..., offset) the token ids around it.
        """
        values, numbers, positions, windows = (self._field(field, sort) for field in FIELDS)
        about = {"provenance": provenance, "units": "1"}
        ids = self.labelled(windows, NAMES[3], sort, ["rank", "offset"], long_name="token ids around the best examples", **about)
        return [
            self.labelled(
                values.masked_fill(values.isinf(), torch.nan), NAMES[0], sort, ["rank"],
                long_name="largest activations", units="activation", provenance=provenance,
            ),
            self.labelled(numbers, NAMES[1], sort, ["rank"], long_name="place in the corpus of the texts of the best examples", **about),
            self.labelled(positions, NAMES[2], sort, ["rank"], long_name="place in the text of the best examples", **about),
            ids.assign_coords(offset=np.arange(-self.before, self.after + 1)),
        ]  # fmt: skip

    def _field(self, field: str, sort: Sort) -> torch.Tensor:
        """One field of all layers; axes ([stack,] layer, [expert,] neuron, rank, ...)."""
        by_layer: dict[str, dict[int, torch.Tensor]] = {}
        for key, top in self.totals.top.items():
            name, expert, layer = key.split(" ")
            if name == f"{sort}top":
                by_layer.setdefault(f"{sort}{field} {layer}", {})[int(expert)] = getattr(top, field)
        experts = {key: [found[expert] for expert in sorted(found)] for key, found in by_layer.items()}
        parts = {key: torch.stack(found) if sort == "expert_" else found[0] for key, found in experts.items()}
        return self.table(parts, field, sort, fill=-torch.inf if field == "values" else -1)

    def _spelt(self, provenance: Provenance) -> DataArray:
        used = torch.cat([top.windows.unique() for top in self.totals.top.values()]).unique()
        words = np.full(self.model.anatomy.d_vocab, "", dtype=object)
        for token in used[used >= 0].tolist():
            words[token] = spelled(token, self.model.tokenizer)
        about: dict[str, Any] = {"long_name": "how token ids are spelt", "units": "1", "provenance": provenance}
        return labelled(words.astype(str), ["d_vocab"], name=NAMES[4], **about).assign_attrs(n=int((used >= 0).sum()))


def window_text(ids: Sequence[int], tokenizer: FastTokenizer) -> str:
    """A window of token ids as a person reads it; -1, outside of the text, is left out.

    Example:
        >>> import interp
        >>> tokenizer = interp.load().tokenizer
        >>> window_text([-1, -1, *tokenizer(" the sea")["input_ids"]], tokenizer).strip()
        'the sea'
    """
    return str(tokenizer.decode([int(token) for token in ids if token >= 0]))
