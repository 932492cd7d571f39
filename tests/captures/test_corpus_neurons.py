"""Neurons over a corpus are what captures of its texts give: moments, histograms, labels, in dense FFNs and in mixtures."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.captures.corpus.labels import UPOS, frequent_lemmas, places, special, upos
from interp.captures.corpus.neuron_examples import NeuronExamples
from interp.captures.corpus.neuron_labels import NeuronLabels
from interp.captures.corpus.neurons import NeuronHistogram, NeuronMoments
from interp.captures.corpus.stream import stream
from interp.captures.prompt import capture
from interp.core.errors import CheckFailed, DataError
from interp.measures.histograms import N_BINS, bin_edges, log_histogram
from interp.measures.largest import BLOCK, block_maxima
from interp.measures.moments import n_active, squares
from interp.measures.selectivity import selectivity
from interp.models.load import load_model
from interp.texts.words import Word

DENSE = ["gpt2", "llama", "bert", "ffn-only"]


def posts(tiny, examples, layer):
    """Each token's neurons of a dense layer, (token, neuron), and (text, pos) of each; nobody asks for patterns, so to the last bit."""
    values = torch.cat([capture(tiny.model, example, keep=["post"]).tensor("post", layer) for example in examples])
    return values, [(number, pos) for number, example in enumerate(examples) for pos in range(len(example))]


def of_expert(tiny, examples, layer, expert):
    """The neurons of an expert at the tokens that were sent to it."""
    seen = [capture(tiny.model, example).expert_neurons(f"L{layer}E{expert}").values for example in examples]
    values = torch.from_numpy(np.concatenate(seen))
    return values[~values.isnan().any(-1)]


@pytest.mark.parametrize("form", DENSE)
def test_histograms_are_counts_between_the_edges(tiny_named, form):
    tiny = tiny_named(form)
    examples = tiny.examples()
    found = stream(tiny.model, examples, [NeuronHistogram()])["neuron_histogram"]
    edges = found.bin_from.values.astype(float)
    for layer in range(2):
        values = posts(tiny, examples, layer)[0].numpy().astype(float)
        for neuron in range(values.shape[1]):
            counts = np.histogram(values[:, neuron], bins=np.append(np.maximum(edges, -1e30), 1e30))[0]
            assert found.values[layer, neuron].tolist() == counts.tolist()
    assert found.dtype.kind == "i"
    assert (found.values > 0).any(axis=(0, 1)).sum() > 5


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_every_number_has_its_bin_and_its_mirror_image(numbers):
    values = torch.tensor(numbers)[:, None]
    counts = log_histogram(values)[0]
    assert counts.sum() == len(numbers)
    assert torch.equal(log_histogram(-values)[0], counts.flip(0))
    edges = bin_edges()
    for number in numbers:
        bin_ = int(log_histogram(torch.tensor([[abs(number)]]))[0].argmax())
        assert bin_ == N_BINS // 2 if abs(number) < edges[N_BINS // 2 + 1] else edges[bin_] <= abs(number)
        assert bin_ == N_BINS - 1 or abs(number) < edges[bin_ + 1]


@pytest.mark.parametrize("n", [0, 1, 64, 200])
def test_moments_are_plain_sums_whatever_the_number_of_tokens(n):
    values = torch.randn(n, 5, generator=torch.Generator().manual_seed(n))
    torch.testing.assert_close(squares(values), (values**2).sum(0))
    torch.testing.assert_close(n_active(values), (values > 0).sum(0).float())
    assert log_histogram(values).sum().item() == 5 * n
    assert block_maxima(values).shape == (math.ceil(n / BLOCK), 5)


@pytest.mark.parametrize("form", ["mixtral", "qwen2-moe", "gpt-oss", "deepseek-v3"])
def test_neurons_of_experts_are_those_of_the_tokens_sent_to_them(tiny_named, form):
    tiny = tiny_named(form)
    examples = tiny.examples()
    reducers = [NeuronMoments(), NeuronHistogram(), NeuronExamples(tiny.model, k=3)]
    found = stream(tiny.model, examples, reducers, max_tokens=1)
    mixed = [layer for layer in range(2) if tiny.model.anatomy.ffn(layer).experts]
    for layer in mixed:
        for expert in range(4):
            values = of_expert(tiny, examples, layer, expert)
            at = found.sel(layer=layer, expert=expert, neuron=slice(0, values.shape[1] - 1))
            np.testing.assert_allclose(at["expert_neuron_mean"], values.mean(0), atol=1e-5)
            np.testing.assert_allclose(at["expert_neuron_active"], (values > 0).float().mean(0), atol=1e-6)
            np.testing.assert_allclose(at["expert_neuron_max"], values.amax(0), atol=1e-5)
            assert (at["expert_neuron_histogram"].sum("bin") == len(values)).all()
            sizes = values.sort(dim=0, descending=True).values[:3]
            np.testing.assert_allclose(at["expert_neuron_top"].values.T[: len(sizes)], sizes, atol=1e-5)
    dense = [layer for layer in range(2) if layer not in mixed]
    assert ("neuron_mean" in found) == bool(dense)
    assert found["expert_neuron_mean"].sel(layer=dense).isnull().all()


@pytest.mark.parametrize("form", ["qwen2-moe", "deepseek-v3"])
def test_shared_experts_see_every_token(tiny_named, form):
    tiny = tiny_named(form)
    examples = tiny.examples()
    found = stream(tiny.model, examples, [NeuronMoments()])
    values = np.concatenate([capture(tiny.model, example).shared_neurons(1).values for example in examples])
    mean = found["shared_neuron_mean"].sel(layer=1).values[: values.shape[1]]
    np.testing.assert_allclose(mean, values.mean(0), atol=1e-5)
    assert found["shared_neuron_mean"].attrs["n"] == len(values)


def test_an_expert_without_a_token_has_no_mean(tiny_named):
    tiny = tiny_named("mixtral")
    found = stream(tiny.model, tiny.examples(["dog"]), [NeuronMoments(), NeuronExamples(tiny.model, k=2), NeuronHistogram()])
    idle = found["expert_neuron_histogram"].sum(["neuron", "bin"]) == 0
    assert int(idle.sum()) == 4  # two of four experts in each of two layers
    assert (found["expert_neuron_mean"].isnull().all("neuron") == idle).all()
    assert (found["expert_neuron_max"].isnull().all("neuron") == idle).all()
    assert (found["expert_neuron_top"].isnull().all(["neuron", "rank"]) == idle).all()


def tagged(example, tags):
    from dataclasses import replace

    words = [
        Word(id=at + 1, form=token, lemma=token, upos=tags[at % len(tags)], deprel="dep", head=0, span=span, multiword=at == 1)
        for at, (token, span) in enumerate(zip(example.tokens, example.spans, strict=True))
    ]
    return replace(example, words=tuple(words), word_tokens=tuple((pos,) for pos in range(len(example))))


def test_means_by_label_are_those_of_the_tokens_with_the_label(tiny_named):
    tiny = tiny_named("gpt2")
    examples = [tagged(example, ["NOUN", "VERB", "DET"]) for example in tiny.examples()]
    found = stream(tiny.model, examples, [NeuronLabels(upos()), NeuronLabels(places((0, 2)))])
    assert found["neuron_by_place"].place.values.tolist() == ["0-1", "2+"]
    for layer in range(2):
        values, where = posts(tiny, examples, layer)
        labels = np.array([{0: "NOUN", 1: "VERB", 2: "DET"}[pos % 3] if pos != 1 else "" for _, pos in where])  # a multiword part has none
        shares = {}
        for label in ("NOUN", "VERB", "DET"):
            some = values[labels == label]
            np.testing.assert_allclose(found["neuron_by_upos"].sel(layer=layer, upos=label), some.mean(0), atol=1e-5)
            shares[label] = (some > 0).float().mean(0)
            np.testing.assert_allclose(found["neuron_active_by_upos"].sel(layer=layer, upos=label), shares[label], atol=1e-6)
        expected = selectivity(torch.stack(list(shares.values()), -1))
        np.testing.assert_allclose(found["neuron_selectivity_upos"].sel(layer=layer), expected, atol=1e-6)
        late = values[[pos >= 2 for _, pos in where]]
        np.testing.assert_allclose(found["neuron_by_place"].sel(layer=layer, place="2+"), late.mean(0), atol=1e-5)
    assert found["neuron_by_upos"].sel(upos="ADV").isnull().all()
    counts = dict(zip(UPOS, found["neuron_by_upos"].attrs["n_by_label"], strict=True))
    assert counts["NOUN"] == (labels == "NOUN").sum()
    assert "Morcos" in found["neuron_selectivity_upos"].attrs["source"]


def test_special_tokens_are_told_from_others(tiny_named):
    tiny = tiny_named("bert")
    examples = tiny.examples()
    found = stream(tiny.model, examples, [NeuronLabels(special())])
    values, where = posts(tiny, examples, 0)
    framed = [examples[number].special[pos] for number, pos in where]
    np.testing.assert_allclose(found["neuron_by_special"].sel(layer=0, special="special"), values[framed].mean(0), atol=1e-5)


def test_labels_that_cannot_be_are_refused(tiny_named):
    tiny = tiny_named("gpt2")
    with pytest.raises(DataError, match="no token has a label 'upos'; expected annotated texts, as of a treebank"):
        stream(tiny.model, tiny.examples(), [NeuronLabels(upos())])
    with pytest.raises(DataError, match="expected rising numbers, the first 0"):
        places((1, 2))


def test_frequent_lemmas_come_in_one_order():
    def word(lemma):
        return Word(id=1, form=lemma, lemma=lemma, upos="X", deprel="dep", head=0, span=(0, 1))

    assert frequent_lemmas([word(lemma) for lemma in ["b", "a", "c", "c", "_", "_", "_"]], 2) == ["c", "a"]


def test_neurons_that_are_not_finite_are_refused(fresh, word_tokenizer, tiny_named):
    hf = fresh("gpt2")
    with torch.no_grad():
        hf.transformer.h[1].mlp.c_fc.weight[:, 3] = torch.inf
    model = load_model(hf, word_tokenizer())
    for reducer in (NeuronMoments(), NeuronHistogram(), NeuronExamples(model)):
        with pytest.raises(CheckFailed, match="neurons in layer 1 are not finite on this text"):
            stream(model, tiny_named("gpt2").examples(), [reducer])
