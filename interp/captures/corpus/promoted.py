"""The tokens that each neuron promotes and suppresses by its output weights alone; no corpus is read.

A neuron writes its row of W_out times its activation. That row goes through the same linear map as in direct logit attribution: norms on
the way and the final norm with their weights and with their scale held, at 1, since without a text there is none. So effects can be
compared within a neuron, and between neurons of one layer; what a token's logit gains is effect x activation / scale.

In a gated FFN an activation may be negative: then what is promoted is suppressed. Later layers read what is written as well, and this is
not in it: of an early neuron it may be the smaller part.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from interp.captures.corpus.fired import SORTS, Sort
from interp.captures.corpus.neurons import neuron_table, of_sort
from interp.captures.corpus.stacked import Place
from interp.core.errors import ModelUnsupported
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, labelled
from interp.measures.promoted import SOURCE, promoted
from interp.models import experts
from interp.models.anatomy import Sublayer
from interp.models.model import Model
from interp.models.readout import at_scale_one
from interp.texts.tokens import spelled

NAMES = ("neuron_promoted", "neuron_promoted_ids", "neuron_suppressed", "neuron_suppressed_ids")
TOKENS = "neuron_promoted_tokens"


@torch.no_grad()
def promoted_tokens(model: Model, k: int = 10) -> Dataset:
    """The k tokens that each neuron promotes most, and the k that it suppresses most.

    Args:
        model: with a linear readout; in an encoder-decoder its decoder's neurons are meant, and an axis `stack` stands before.
        k: tokens of each sort.
    Returns: neuron_promoted, neuron_suppressed (layer, neuron, rank): effect on the logit at activation 1 and scale 1, the largest
        first, nan where a layer has none; neuron_promoted_ids, neuron_suppressed_ids, -1 there; neuron_promoted_tokens (d_vocab,): how
        these ids are spelt. Experts' under expert_neuron_promoted (layer, expert, neuron, rank), and so on.
    Raises: ModelUnsupported where logits are more than norms and a matrix away from the stream, or there is no FFN; CheckFailed where
        contributions did not pass the self-check.
    Source: Geva et al. (2022), section 3; there without the final norm.

    Example:
        >>> import interp
        >>> promoted_tokens(interp.load(), k=3)["neuron_promoted"].dims
        ('layer', 'neuron', 'rank')
    """
    if not model.anatomy.linear_readout:
        raise ModelUnsupported(
            f"{model.name}: its logits are more than norms and a matrix away from the stream (a soft cap, a larger head, or none), so a "
            "neuron promotes no tokens by its weights alone"
        )
    model.require("contributions")
    provenance = Provenance(model=model.name, fingerprint=model.fingerprint, data="weights")
    found = {sort: _by_layer(model, sort, k) for sort in SORTS}
    widths = [each[0].shape[0] for layers in found.values() for of_layer in layers.values() for each in of_layer]
    if not widths:
        raise ModelUnsupported(f"{model.name} has no FFN, and so no neurons")
    width = max(*widths, *(sublayer.n_neurons for sublayer in model.anatomy.sublayers()))  # an encoder's as well
    tables = [table for sort, layers in found.items() if layers for table in _tables(model, sort, layers, width, provenance)]
    return Dataset({table.name: table for table in [*tables, _spelt(model, tables, provenance)]})


_Found = dict[Place, list[tuple[torch.Tensor, ...]]]


def _by_layer(model: Model, sort: Sort, k: int) -> _Found:
    """Effects and ids of what is promoted and suppressed, (neuron, rank), by stack, layer and expert."""
    found: _Found = {}
    for sublayer, W_out in _weights(model, sort):
        found.setdefault((sublayer.stack, sublayer.layer), []).append(ranked(model, sublayer, W_out, k))
    return found


def _tables(model: Model, sort: Sort, found: _Found, width: int, provenance: Provenance) -> list[DataArray]:
    tables, n_layers = [], max(stack.n_layers for stack in model.anatomy.stacks.values())
    for number, name in enumerate(NAMES):
        parts = {place: [each[number] for each in of_layer] for place, of_layer in found.items()}
        together = {place: torch.stack(each) if sort == "expert_" else each[0] for place, each in parts.items()}
        ids = name.endswith("_ids")
        values = neuron_table(together, sort, n_layers, width, fill=-1 if ids else torch.nan)
        long_name = f"{'ids of tokens' if ids else 'effect on the logits of those'} that each neuron {name.split('_')[1]}"
        units = "1" if ids else "logits per activation"
        about: dict[str, Any] = {"long_name": long_name, "units": units, "source": SOURCE, "provenance": provenance}
        tables.append(of_sort(values, name, sort, ["rank"], **about).assign_attrs(n=model.anatomy.d_vocab))
    return tables


def _weights(model: Model, sort: Sort) -> Iterator[tuple[Sublayer, torch.Tensor]]:
    """Output weights (neuron, d_model) of one sort, layer by layer, expert by expert."""
    for layer in range(model.anatomy.n_layers):
        ffn = model.anatomy.ffn(layer, model.anatomy.main.stack)
        if ffn is None or bool(ffn.experts) != bool(sort):
            continue
        if not sort:
            yield ffn, model.W_out(layer, ffn.stack)
            continue
        module = model.at(ffn.module)
        if sort == "expert_":
            yield from ((ffn, experts.expert_W_out(module, expert)) for expert in range(model.anatomy.n_experts))
        elif experts.has_shared(module):
            yield ffn, experts.shared_W_out(module)


def ranked(model: Model, sublayer: Sublayer, W_out: torch.Tensor, k: int) -> tuple[torch.Tensor, ...]:
    """Effects and token ids of the k that each row of W_out raises most, then of the k that it lowers most; axes (row, rank)."""
    directions = W_out
    for norm in norms_after(model, sublayer):
        directions = at_scale_one(model.at(norm), model.anatomy.d_model)(directions.to(next(model.at(norm).parameters(), W_out).device))
    W_U = model.W_U().float() * model.anatomy.readout_scale
    up, down = promoted(directions.float().to(W_U.device), W_U, k)
    return tuple(each.cpu() for each in (*up, *down))


def norms_after(model: Model, sublayer: Sublayer) -> list[str]:
    """The norms that a sublayer's write goes through on its way to the logits."""
    main = model.anatomy.main
    order = [each for layer in main.layers for each in layer]
    later = order[order.index(sublayer) :]
    return [norm for norm in (sublayer.norm_out, *(each.norm_after for each in later), main.ln_final) if norm]


def _spelt(model: Model, tables: list[DataArray], provenance: Provenance) -> DataArray:
    words = np.full(model.anatomy.d_vocab, "", dtype=object)
    used = np.unique(np.concatenate([np.unique(table.values) for table in tables if str(table.name).endswith("_ids")]))
    for token in used[used >= 0].tolist():
        words[token] = spelled(token, model.tokenizer)
    about: dict[str, Any] = {"long_name": "how token ids are spelt", "units": "1", "provenance": provenance}
    return labelled(words.astype(str), ["d_vocab"], name=TOKENS, **about).assign_attrs(n=int((used >= 0).sum()))
