"""What a profile holds of the model itself: read off its weights and its tokenizer when the run ends, so that looking at it needs no model.

These reducers look at nothing as the corpus streams by. All they keep is how many batches passed, since a shard's file tells of each.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from interp.captures.corpus import head_writes, promoted
from interp.captures.corpus.batches import Batch
from interp.captures.corpus.reducer import Reducer
from interp.core.errors import ModelUnsupported
from interp.core.provenance import Provenance
from interp.core.results import Dataset, labelled
from interp.models.model import Model
from interp.models.value_weights import cannot_have_value_weights
from interp.texts.tokens import spelled

SPELLING = "token_text"


class FromWeights(Reducer):
    """A result that the weights alone give. Its provenance has "weights" where others have the hash of the corpus.

    Args:
        model: is asked when the run ends.
        of: from the model to the result.
        names: of its variables.
        feature: what the model's self-check must have passed for it.
    """

    paired = True

    def __init__(self, model: Model, of: Callable[[Model], Dataset], names: tuple[str, ...], feature: str | None = None):
        super().__init__(names)
        self.model, self.of, self.features = model, of, (feature,) if feature else ()

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self.totals.add("batches", torch.tensor(1))

    def result(self, provenance: Provenance) -> Dataset:
        return self.of(self.model)


def neuron_promoted(model: Model) -> FromWeights:
    """The tokens that each neuron promotes (`promoted.promoted_tokens`). Raises: ModelUnsupported without a linear readout, or an FFN."""
    if not model.anatomy.linear_readout:
        raise ModelUnsupported(f"{model.name} has neurons that promote no tokens by their weights alone: its readout is not linear")
    return FromWeights(model, promoted.promoted_tokens, (*promoted.NAMES, promoted.TOKENS), "contributions")


def writes(model: Model) -> FromWeights:
    """What each head's OV circuit writes (`head_writes.head_writes`).

    Raises: ModelUnsupported without a linear readout or attention, and for latent attention: before the corpus is run, not after it.
    """
    if not model.anatomy.linear_readout or not model.anatomy.attentions():
        raise ModelUnsupported(
            f"{model.name} has no heads that write toward tokens by their weights alone: no attention, or no linear readout"
        )
    if reason := cannot_have_value_weights(model):
        raise ModelUnsupported(f"{model.name} has no heads that write toward tokens by their weights alone: {reason}")
    return FromWeights(model, head_writes.head_writes, head_writes.NAMES, "contributions")


def vocabulary(model: Model) -> FromWeights:
    """How token ids are spelt, all of them."""
    return FromWeights(model, spelling, (SPELLING,))


def spelling(model: Model) -> Dataset:
    """token_text (d_vocab,): each entry of the vocabulary as a person reads it; "" for an id that the tokenizer does not know.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> spelling(model)["token_text"].values[model.tokenizer(" sea")["input_ids"][0]].item()
        ' sea'
    """
    known = min(len(model.tokenizer), model.anatomy.d_vocab)
    words = [spelled(token, model.tokenizer) for token in range(known)] + [""] * (model.anatomy.d_vocab - known)
    about: dict[str, Any] = {"long_name": "how token ids are spelt", "units": "1"}
    provenance = Provenance(model=model.name, fingerprint=model.fingerprint, data="weights")
    return Dataset({SPELLING: labelled(np.array(words), ["d_vocab"], name=SPELLING, provenance=provenance, **about)})
