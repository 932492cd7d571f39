"""A corpus, folded into statistics as it streams: no pattern, no activation and no text is kept.

In numbered steps, for each batch of equally long texts: (1) tell every reducer that it begins; (2) run the model's body, without the
unembedding, and show each reducer the points that it looks at, attention through `pattern_statistics`;
(3) tell them that it is through.
"""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress

import torch

from interp.captures.corpus.batches import MAX_TOKENS, Batch, Text, by_length, rows_of
from interp.captures.corpus.fired import Firing, rests_on
from interp.captures.corpus.pattern_statistics import PatternStatistics
from interp.captures.corpus.reducer import Reducer
from interp.core.errors import CheckFailed, DataError, ModelUnsupported
from interp.core.provenance import Provenance
from interp.core.results import Dataset
from interp.models.activations import in_one_kernel
from interp.models.anatomy import Anatomy
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Point, watchers, watching

WHAT = {"patterns": "head statistics", "neurons": "neuron moments"}


class _AllSeen(Exception):
    """Nothing that is still to run is looked at."""


class _Fold:
    """The watcher of one batch: shows each reducer what it looks at."""

    def __init__(self, model: Model, batch: Batch, reducers: Sequence[Reducer]):
        self.model, self.batch, self.reducers = model, batch, reducers
        asked: frozenset[str] = frozenset().union(*(reducer.kinds for reducer in reducers))
        self.waiting_for = {(sublayer.stack, sublayer.layer) for sublayer in model.anatomy.attentions()}
        self.firing = Firing(model)
        self.kinds = asked | self.firing.kinds if "neurons" in asked else asked

    def attend(self, point: Point, call: AttentionCall) -> None:
        looking = [reducer for reducer in self.reducers if "pattern" in reducer.kinds]
        asked = dict.fromkeys(each for reducer in looking for each in reducer.asks(point))
        statistics = PatternStatistics(call, self.batch.ids_of(point.stack), self.model.W_O(point.layer, point.stack), asked)
        if not statistics.finite:
            raise CheckFailed(f"{self.model.name}: attention in layer {point.layer} is not finite on this text; load the model in float32")
        for reducer in looking:
            reducer.attend(point, statistics)
        self.waiting_for.discard((point.stack, point.layer))
        if not self.waiting_for and self.kinds == {"pattern"} and len(watchers()) == 1:
            raise _AllSeen  # the last layer's FFN, and all that follows, changes no pattern

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        for reducer in self.reducers:
            if point.kind in reducer.kinds:
                reducer.at(point, tensor)
        for fired in self.firing.at(point, tensor) if self.firing.kinds <= self.kinds else ():
            for reducer in self.reducers:
                if "neurons" in reducer.kinds:
                    reducer.fire(fired)


class _Counted:
    """Hashes and counts the examples as they pass."""

    def __init__(self, examples: Iterable[Text]):
        self.examples, self.digest, self.n = examples, hashlib.blake2b(digest_size=8), 0

    def __iter__(self) -> Iterator[Text]:
        for example in self.examples:
            self.n += 1
            for row in rows_of(example):
                self.digest.update(repr(row.ids).encode())
            yield example


def stream(
    model: Model,
    examples: Iterable[Text],
    reducers: Sequence[Reducer],
    *,
    max_tokens: int = MAX_TOKENS,
    first: int = 0,
    progress: Callable[[int], None] = lambda n_tokens: None,
) -> Dataset:
    """Run a corpus through the model and return what the reducers kept of it.

    Args:
        model: from `interp.load`.
        examples: texts as tokens, for an encoder-decoder pairs of texts (`models.reading.rows_of`); read once, never held whole.
        reducers: what to keep (see `reducers`).
        max_tokens: tokens in a batch; memory grows with it, not with the corpus.
        first: the first example's number, for a part of a corpus whose reducers will be merged.
        progress: called after each batch with the tokens in it.
    Returns: the reducers' results in one dataset, with provenance; attribute n_texts.
    Raises: DataError for an empty corpus, or two reducers with results of one name; TextError for a text where a pair is expected, or a
        pair where a text is; ModelUnsupported for what is kept of one stack only, in an encoder-decoder; CheckFailed when the
        model has no patterns or neuron moments to give (see `cannot_stream`), or attention is not finite.
    """
    check_streams(model, reducers)
    counted = _Counted(examples)
    for numbered in by_length(counted, max_tokens=max_tokens, first=first):
        batch = Batch.of(numbered, model.device)
        fold(model, batch, reducers)
        progress(batch.n_tokens)
    if counted.n == 0:
        raise DataError("the corpus is empty; expected at least one text")
    provenance = Provenance(model=model.name, fingerprint=model.fingerprint, data=counted.digest.hexdigest())
    return together([reducer.result(provenance) for reducer in reducers]).assign_attrs(n_texts=counted.n, provenance=provenance.to_json())


def fold(model: Model, batch: Batch, reducers: Sequence[Reducer]) -> None:
    """Run one batch and let the reducers take from it."""
    for reducer in reducers:
        reducer.begin(batch)
    looking = _Fold(model, batch, reducers)
    # Heads' weights are exact to rounding anyway; whoever looks at neurons or the stream sees the numbers that captures give.
    with suppress(_AllSeen), watching(looking), in_one_kernel() if looking.kinds == {"pattern"} else nullcontext():
        model.run(batch.ids, target=batch.target_ids, logits=False)
    for reducer in reducers:
        reducer.end()


def refuse_pairs(model: Model, what: str) -> None:
    """What is measured in one stack only, by its name. Raises: ModelUnsupported for an encoder-decoder."""
    if model.anatomy.encoder_decoder:
        raise ModelUnsupported(
            f"{model.name} is an encoder-decoder, which reads one text and writes another; {what}: kept of models with one stack. "
            "Over pairs expected other statistics, such as heads, neurons, residual, mass_by_mark; "
            "one pair at a time can be captured: interp.capture(model, text, target=...)"
        )


def cannot_stream(anatomy: Anatomy) -> dict[str, str]:
    """What a corpus run cannot give for a model of this anatomy: "patterns", "neurons" -> the reason."""
    ffns = [anatomy.ffn(layer, stack.stack) for stack in anatomy.stacks.values() for layer in range(stack.n_layers)]
    missing = {} if anatomy.attentions() else {"patterns": "the model has no attention"}
    if None in ffns:
        missing["neurons"] = f"{ffns.count(None)} of its {len(ffns)} layers have no FFN"
    return missing


def check_streams(model: Model, reducers: Sequence[Reducer]) -> None:
    """Refuse what a run could not give, before it starts. Raises: as `stream`."""
    _refuse_same_names(reducers)
    _refuse_what_is_not_there(model, reducers)


def _refuse_what_is_not_there(model: Model, reducers: Sequence[Reducer]) -> None:
    if alone := [name for reducer in reducers if not reducer.paired for name in reducer.names]:
        refuse_pairs(model, ", ".join(alone))
    model.require("capture")
    missing = cannot_stream(model.anatomy)
    for feature in dict.fromkeys(feature for reducer in reducers for feature in reducer.features):
        if feature in missing:
            raise CheckFailed(f"{model.name} has no {WHAT[feature]} over a corpus, since {missing[feature]}")
        for checked in rests_on(model.anatomy) if feature == "neurons" else (feature,):
            model.require(checked)


def together(results: Sequence[Dataset]) -> Dataset:
    """All variables with their own attributes, which `xarray.merge` would drop or mix.

    Raises: DataError when an axis has not the same length in all of them: xarray would fill the shorter ones up.
    """
    sizes: dict[Hashable, int] = {}
    for axis, size in (each for result in results for each in result.sizes.items()):
        if sizes.setdefault(axis, size) != size:
            raise DataError(f"the axis {axis!r} came with {sizes[axis]} and with {size} places; expected as many: keep them in two runs")
    return Dataset({name: variable for result in results for name, variable in result.data_vars.items()})


def _refuse_same_names(reducers: Sequence[Reducer]) -> None:
    names = [name for reducer in reducers for name in reducer.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"two reducers both give {', '.join(twice)}; expected each statistic once: run the corpus for each reducer")
