"""What every reducer must do: parts of a corpus merged in any order, cut anywhere, written to a file between, are one pass."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tiny_families import VOCABULARY

from interp.captures.corpus.attribution import DirectLogits
from interp.captures.corpus.depth import LensLoss, StreamRank
from interp.captures.corpus.experts import ExpertLabels, ExpertLoad, ExpertTokens
from interp.captures.corpus.heads import HeadMeans
from interp.captures.corpus.labels import lemmas, places, special, upos, vocabulary
from interp.captures.corpus.neuron_examples import NeuronExamples
from interp.captures.corpus.neuron_labels import NeuronLabels
from interp.captures.corpus.neurons import NeuronHistogram, NeuronMoments
from interp.captures.corpus.residual import SublayerWrites
from interp.captures.corpus.stream import stream
from interp.captures.corpus.totals import Totals
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.models.reading import rows_of
from interp.models.readout import cannot_stream_residual
from interp.texts.words import Word

PROVENANCE = Provenance(model="m", fingerprint="f", data="d")
FORMS = ["gpt2", "bert", "qwen2-moe", "deepseek-v3", "switch", "bart"]
TAGS = {"the": "DET", "a": "DET", "old": "ADJ", "man": "NOUN", "dog": "NOUN", "sea": "NOUN", "saw": "VERB", "was": "AUX"}


def annotated(example):
    """The example with a word for each token that is no special one."""
    places = [pos for pos, special in enumerate(example.special) if not special]
    words = [
        Word(id=number, form=form, lemma=form, upos=TAGS.get(form, "X"), deprel="dep", head=0, span=example.spans[pos])
        for number, (pos, form) in enumerate(((pos, example.tokens[pos].strip()) for pos in places), 1)
    ]
    return replace(example, words=tuple(words), word_tokens=tuple((pos,) for pos in places))


def corpus(tiny):
    """Annotated texts; of an encoder-decoder pairs of such and a row of its decoder."""
    texts = [annotated(example) for example in tiny.examples()]
    return [rows_of(tiny.model, (text, f"she saw {text.text[:9]}")) for text in texts] if tiny.form.paired else texts


def every(model):
    """Each reducer that a model of this form allows."""
    made = [
        HeadMeans(("entropy", "previous")),
        NeuronMoments(),
        NeuronHistogram(),
        NeuronExamples(model, k=4, before=3, after=2),
        *(
            NeuronLabels(scheme)
            for scheme in (
                upos(),
                lemmas(["the", "dog"]),
                places((0, 1, 4)),
                special(),
                vocabulary([(VOCABULARY.index("the"), "the"), (VOCABULARY.index("dog"), "dog")]),
            )
        ),
        SublayerWrites(model),
        StreamRank(model),
    ]
    if model.anatomy.n_experts:
        made += [ExpertLoad(model), ExpertLabels(model, upos()), ExpertTokens(model, k=4)]
    missing = cannot_stream_residual(model.anatomy)
    made += [make(model) for name, make in {"direct_logits": DirectLogits, "lens_loss": LensLoss}.items() if name not in missing]
    return made


def folded(tiny, examples, first=0, max_tokens=1):
    """Every reducer over a part of the corpus; a text at a time, so that rounding does not depend on the cut."""
    reducers = every(tiny.model)
    if examples:
        stream(tiny.model, examples, reducers, first=first, max_tokens=max_tokens)
    return reducers


def restored(tiny, state):
    """Reducers that have seen what those had whose totals these are."""
    reducers = every(tiny.model)
    for reducer, arrays in zip(reducers, state, strict=True):
        reducer.totals = Totals.from_arrays(arrays)
    return reducers


def agree(one, other, **tolerance):
    found, expected = one.result(PROVENANCE), other.result(PROVENANCE)
    assert set(found.data_vars) == set(expected.data_vars)
    for name, variable in expected.data_vars.items():
        same = found[name].attrs["n"] == variable.attrs["n"] and found[name].dims == variable.dims
        assert same, name
        if variable.dtype.kind == "f":
            np.testing.assert_allclose(found[name], variable, err_msg=str(name), **tolerance)
        else:
            np.testing.assert_array_equal(found[name], variable, err_msg=str(name))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cuts", [(1, 3), (2, 6)])
def test_merging_is_associative_and_without_order(tiny_named, form, cuts):
    tiny = tiny_named(form)
    examples = corpus(tiny)
    whole = folded(tiny, examples)
    bounds = [0, *cuts, len(examples)]
    states = [[reducer.totals.to_arrays() for reducer in folded(tiny, examples[start:end], start)] for start, end in pairwise(bounds)]
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        first, second, third = (restored(tiny, states[place]) for place in order)
        for a, b, c, expected in zip(first, second, third, whole, strict=True):
            b.merge(c)
            a.merge(b)
            agree(a, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_a_state_goes_to_a_file_and_back_without_loss(tiny_named, form, tmp_path):
    tiny = tiny_named(form)
    examples = corpus(tiny)
    for number, (reducer, fresh) in enumerate(zip(folded(tiny, examples), every(tiny.model), strict=True)):
        path = tmp_path / f"{number}.npz"
        names = list(reducer.totals.to_arrays())
        np.savez(path, *reducer.totals.to_arrays().values())
        with np.load(path) as stored:
            fresh.totals = Totals.from_arrays({name: stored[f"arr_{place}"] for place, name in enumerate(names)})
        agree(fresh, reducer, atol=0, rtol=0)
        # What was read back can go on: it is no view of the file, nor of the other's state.
        fresh.merge(folded(tiny, examples[:2], first=100)[number])
        before = reducer.result(PROVENANCE)
        assert any(
            not np.array_equal(fresh.result(PROVENANCE)[name], before[name], equal_nan=before[name].dtype.kind == "f") for name in before
        )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("max_tokens", [13, 10_000])
def test_the_size_of_batches_does_not_matter(tiny_named, form, max_tokens):
    tiny = tiny_named(form)
    examples = corpus(tiny) * 2
    for found, expected in zip(folded(tiny, examples, max_tokens=max_tokens), folded(tiny, examples), strict=True):
        if not isinstance(found, NeuronExamples):  # equal up to rounding only, by which ties are told apart: see test_corpus_neurons
            agree(found, expected, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_every_result_says_what_it_is(tiny_named, form):
    tiny = tiny_named(form)
    examples = corpus(tiny)
    reducers = every(tiny.model)
    found = stream(tiny.model, examples, reducers)
    for name, variable in found.data_vars.items():
        assert variable.attrs["long_name"], name
        assert variable.attrs["units"], name
        assert Provenance.from_json(variable.attrs["provenance"]).fingerprint == tiny.model.fingerprint
        assert np.min(variable.attrs["n"]) > 0, name
    given = {str(name).removeprefix("expert_").removeprefix("shared_") for name in found.data_vars}
    promised = {name.removeprefix("expert_") for reducer in reducers for name in reducer.names}
    assert given == promised


def test_parts_of_different_reducers_are_not_merged(tiny_named):
    tiny = tiny_named("gpt2")
    with pytest.raises(DataError, match="in every part of a corpus"):
        NeuronLabels(special()).merge(NeuronLabels(places()))
    with pytest.raises(DataError, match="in every part of a corpus"):
        NeuronMoments().merge(StreamRank(tiny.model))
