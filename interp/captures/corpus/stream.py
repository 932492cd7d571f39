"""A corpus, folded into statistics as it streams: no pattern, no activation and no text is kept.

In numbered steps, for each batch of equally long texts: (1) run the model's body, without the unembedding; (2) in each
attention sublayer take the asked statistics from the fused kernel (`fused`), in each FFN the neurons' sums; (3) hand one `Block`
to every reducer.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from interp.captures.batches import MAX_TOKENS, by_length
from interp.captures.fused import FUSED, Fused
from interp.captures.reducers import Block, NeuronSums, Reducer
from interp.core.errors import CheckFailed, DataError, ModelUnsupported
from interp.core.provenance import Provenance
from interp.core.results import Dataset
from interp.models.anatomy import Anatomy
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.texts.example import Example

WHAT = {"patterns": "head statistics", "neurons": "neuron moments"}


class _Fold:
    """The watcher of one batch."""

    def __init__(self, model: Model, ids: torch.Tensor, block: Block, statistics: Sequence[str], neurons: bool):
        self.model, self.ids, self.block, self.statistics = model, ids, block, statistics
        self.kinds = frozenset((["pattern"] if statistics else []) + (["post"] if neurons else []))
        self.sums: dict[str, list[torch.Tensor]] = {name: [] for name in statistics}

    def attend(self, point: Point, call: AttentionCall) -> None:
        fused = Fused(call, self.ids, self.model.W_O(point.layer, point.stack))
        if not (fused.lse.isfinite().all() and fused.norms.isfinite().all()):
            # nan means "no such query" further on: here it would drop out of the means in silence.
            raise CheckFailed(f"{self.model.name}: attention in layer {point.layer} is not finite on this text; load the model in float32")
        for name in self.statistics:
            values = FUSED[name](fused)
            self.sums[name].append(values.nansum(-1).cpu().double())
            self.block.counts[name] = (~values[:, 0].isnan()).sum(-1).cpu().double()

    def at(self, point: Point, post: torch.Tensor) -> None:
        flat = post.detach().flatten(0, -2).float()
        self.block.neurons[point.layer] = NeuronSums(
            total=flat.sum(0).cpu().double(),
            squares=(flat * flat).sum(0).cpu().double(),
            active=(flat > 0).sum(0).cpu().double(),
            largest=flat.amax(0).cpu(),
        )

    def finish(self) -> Block:
        self.block.sums = {name: torch.stack(layers, dim=1) for name, layers in self.sums.items()}
        return self.block


class _Counted:
    """Hashes and counts the examples as they pass."""

    def __init__(self, examples: Iterable[Example]):
        self.examples, self.digest, self.n = examples, hashlib.blake2b(digest_size=8), 0

    def __iter__(self) -> Iterator[Example]:
        for example in self.examples:
            self.n += 1
            self.digest.update(repr(example.ids).encode())
            yield example


def stream(
    model: Model,
    examples: Iterable[Example],
    reducers: Sequence[Reducer],
    *,
    max_tokens: int = MAX_TOKENS,
    first: int = 0,
    progress: Callable[[int], None] = lambda n_tokens: None,
) -> Dataset:
    """Run a corpus through the model and return what the reducers kept of it.

    Args:
        model: from `interp.load`.
        examples: texts as tokens; read once, never held whole.
        reducers: what to keep (see `reducers`).
        max_tokens: tokens in a batch; memory grows with it, not with the corpus.
        first: the first example's number, for a part of a corpus whose reducers will be merged.
        progress: called after each batch with the tokens in it.
    Returns: the reducers' results in one dataset, with provenance; attribute n_texts.
    Raises: DataError for an empty corpus, or two reducers with results of one name; ModelUnsupported for an encoder-decoder; CheckFailed
        when the model has no patterns or neuron moments to give (see `cannot_stream`), or attention is not finite.
    """
    statistics = tuple(dict.fromkeys(name for reducer in reducers for name in reducer.statistics))
    _refuse_same_names(reducers)
    neurons = any(reducer.wants_neurons for reducer in reducers)
    _refuse_what_is_not_there(model, heads=bool(statistics), neurons=neurons)
    counted = _Counted(examples)
    for batch in by_length(counted, max_tokens=max_tokens, first=first):
        block = _run(model, batch, statistics, neurons)
        for reducer in reducers:
            reducer.update(block)
        progress(block.n_tokens)
    if counted.n == 0:
        raise DataError("the corpus is empty; expected at least one text")
    provenance = Provenance(model=model.name, fingerprint=model.fingerprint, data=counted.digest.hexdigest())
    return _together([reducer.result(provenance) for reducer in reducers]).assign_attrs(n_texts=counted.n, provenance=provenance.to_json())


def refuse_pairs(model: Model) -> None:
    """A corpus is run text by text. Raises: ModelUnsupported for an encoder-decoder."""
    if model.anatomy.encoder_decoder:
        raise ModelUnsupported(
            f"{model.name} is an encoder-decoder, which reads one text and writes another; a corpus is run one text at a time. "
            "Expected a model with one stack; one pair at a time can be captured: interp.capture(model, text, target=...)"
        )


def cannot_stream(anatomy: Anatomy) -> dict[str, str]:
    """What a corpus run cannot give for a model of this anatomy: "patterns", "neurons" -> the reason."""
    ffns = [anatomy.ffn(layer, anatomy.main.stack) for layer in range(anatomy.n_layers)]
    missing = {} if anatomy.attentions() else {"patterns": "the model has no attention"}
    mixed = [ffn for ffn in ffns if ffn is not None and ffn.experts]
    if mixed:
        which = "its FFNs" if len(mixed) == len(ffns) else f"{len(mixed)} of its {len(ffns)} FFNs"
        missing["neurons"] = f"{which} are mixtures of experts, whose neurons see only the tokens that are sent to them"
    elif None in ffns:
        missing["neurons"] = f"{ffns.count(None)} of its {len(ffns)} layers have no FFN"
    return missing


def _refuse_what_is_not_there(model: Model, *, heads: bool, neurons: bool) -> None:
    refuse_pairs(model)
    model.require("capture")
    missing = cannot_stream(model.anatomy)
    for feature in [*(["patterns"] if heads else []), *(["neurons"] if neurons else [])]:
        if feature in missing:
            raise CheckFailed(f"{model.name} has no {WHAT[feature]} over a corpus, since {missing[feature]}")
        model.require(feature)


def _together(results: Sequence[Dataset]) -> Dataset:
    """All variables with their own attributes, which `xarray.merge` would drop or mix."""
    return Dataset({name: variable for result in results for name, variable in result.data_vars.items()})


def _refuse_same_names(reducers: Sequence[Reducer]) -> None:
    names = [name for reducer in reducers for name in reducer.statistics]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"two reducers both give {', '.join(twice)}; expected each statistic once: run the corpus for each reducer")


def _run(model: Model, batch: list[tuple[int, Example]], statistics: Sequence[str], neurons: bool) -> Block:
    ids = torch.tensor([example.ids for _, example in batch], device=model.device)
    fold = _Fold(model, ids, Block(numbers=[number for number, _ in batch], n_tokens=ids.numel()), statistics, neurons)
    with watching(fold):
        model.run(ids, logits=False)
    return fold.finish()
