"""A corpus folded as it streams gives what the patterns of each text give, in whatever parts and order it comes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.captures.corpus.batches import by_length
from interp.captures.corpus.depth import StreamRank
from interp.captures.corpus.head_examples import DecileExamples
from interp.captures.corpus.heads import HeadMeans, HeadMeansByText
from interp.captures.corpus.neurons import NeuronMoments
from interp.captures.corpus.stream import stream
from interp.captures.prompt import capture
from interp.captures.words import word_attention
from interp.core.errors import CheckFailed, DataError, ModelUnsupported, TextError, TextTooLong
from interp.core.provenance import Provenance
from interp.measures.head_statistics import HEAD_STATISTICS
from interp.models.load import load_model
from interp.texts.example import Example

ALL = tuple(HEAD_STATISTICS)


def _scores(tiny, seen) -> float:
    """max|s| of a text, by the pattern: s - lse = ln p."""
    patterns = torch.stack([seen.tensor("pattern", layer) for layer in range(2)])
    return max(1.0, patterns[patterns > 0].log().abs().max().item())


def _naive(tiny, examples):
    """Each statistic of each text, and by query over the corpus, from whole patterns; and the largest score."""
    by_text, queries, largest = {name: [] for name in ALL}, {name: [] for name in ALL}, 1.0
    for example in examples:
        seen = capture(tiny.model, example)
        largest = max(largest, _scores(tiny, seen))
        ids = torch.tensor([example.ids])
        for name, statistic in HEAD_STATISTICS.items():
            values = [statistic.of(seen.tensor("pattern", at)[None], ids, seen.value_norms(at)[None])[0].double() for at in range(2)]
            queries[name].append(torch.stack(values))
            by_text[name].append(torch.stack(values).nanmean(-1))
    return (
        {name: torch.stack(rows).numpy() for name, rows in by_text.items()},
        {name: torch.cat(rows, -1).nanmean(-1).numpy() for name, rows in queries.items()},
        largest,
    )


def test_head_statistics_are_the_patterns(tiny):
    examples = tiny.examples()
    by_text, over_all, largest = _naive(tiny, examples)
    ours, each = stream(tiny.model, examples, [HeadMeans()]), stream(tiny.model, examples, [HeadMeansByText(ALL)])
    assert ours.attrs["n_texts"] == len(examples)
    for name in ALL:
        np.testing.assert_allclose(ours[name], over_all[name], atol=1e-5 * largest, rtol=0, err_msg=name)
        np.testing.assert_allclose(each[name], by_text[name], atol=1e-5 * largest, rtol=0, err_msg=name)
        assert each[name].dims == ("batch", "layer", "head")
    assert np.nanstd(each["entropy"].values[:, 0, 0]) > 0.01  # texts differ: a mix-up of rows would show


@pytest.mark.parametrize("name", ["opt", "gemma2", "gemma3", "phi3", "mixtral", "qwen2-moe", "gpt-oss", "deepseek-v2", "deepseek-v3"])
def test_head_statistics_are_the_patterns_in_other_families(tiny_named, name):
    test_head_statistics_are_the_patterns(tiny_named(name))


@pytest.mark.parametrize("name", ["t5", "marian", "switch"])
def test_single_texts_for_an_encoder_decoder_are_refused_by_name(tiny_named, name):
    model = tiny_named(name).model
    with pytest.raises(TextError, match="is an encoder-decoder: expected a second text"):
        stream(model, tiny_named(name).examples(), [HeadMeans()])
    with pytest.raises(TextError, match="single texts came; an encoder-decoder reads pairs"):
        stream(model, tiny_named(name).examples(), [StreamRank(model)])
    for what, run in (
        ("previous_examples", lambda: stream(model, [], [DecileExamples("previous")])),
        ("attention between words", lambda: list(word_attention(model, []))),
    ):
        with pytest.raises(ModelUnsupported, match=rf"is an encoder-decoder.*{what}.*expected other statistics.*interp.capture"):
            run()


@pytest.mark.parametrize(
    ("name", "reducer", "message"),
    [
        ("attention-only", NeuronMoments, "since 2 of its 2 layers have no FFN"),
        ("ffn-only", HeadMeans, "has no head statistics over a corpus, since the model has no attention"),
    ],
)
def test_what_a_model_does_not_have_is_refused_by_name(tiny_named, name, reducer, message):
    tiny = tiny_named(name)
    with pytest.raises(CheckFailed, match=message):
        stream(tiny.model, tiny.examples(), [reducer()])


@pytest.mark.parametrize(
    ("name", "given", "left_out"),
    [
        ("gpt2", {"entropy", "neuron_mean"}, ""),
        ("mixtral", {"entropy"}, ""),
        ("ffn-only", {"neuron_mean"}, "head statistics: the model has no attention"),
    ],
)
def test_a_profile_holds_what_the_model_has_and_says_what_it_has_not(tiny_named, texts, name, given, left_out):
    from interp.api import profile

    model = tiny_named(name).model
    found = profile(model, texts)
    assert {"entropy", "neuron_mean"} & set(found.data_vars) == given
    assert found.attrs.get("left_out", "").startswith(left_out)
    assert ("left_out" in found.attrs) == bool(left_out)
    assert ("expert_load" in found) == (name == "mixtral")
    if name == "ffn-only":
        with pytest.raises(CheckFailed, match="has no head statistics"):
            profile(model, texts, statistics=["heads"])


def test_neuron_moments_are_the_activations(tiny):
    examples = tiny.examples()
    ours = stream(tiny.model, examples, [NeuronMoments()])
    posts = [torch.cat([capture(tiny.model, example).tensor("post", layer) for example in examples]).double() for layer in range(2)]
    n = sum(len(example) for example in examples)
    expected = torch.stack([posts[layer] for layer in range(2)])
    assert expected.shape[1] == n == ours["neuron_mean"].attrs["n"]
    for name, values in {
        "neuron_mean": expected.mean(1),
        "neuron_sd": expected.std(1, unbiased=False),
        "neuron_active": (expected > 0).double().mean(1),
        "neuron_max": expected.amax(1),
    }.items():
        np.testing.assert_allclose(ours[name], values, atol=1e-5, rtol=1e-5, err_msg=name)
    assert 0 < ours["neuron_active"].mean() < 1


def test_results_keep_their_units_sources_and_provenance_beside_others(tiny_named):
    tiny = tiny_named("gpt2")
    found = stream(tiny.model, tiny.examples(), [HeadMeans(), NeuronMoments()])
    for name in ALL:
        about = HEAD_STATISTICS[name]
        assert (found[name].attrs["units"], found[name].attrs["long_name"]) == (about.units, about.long_name)
        assert Provenance.from_json(found[name].attrs["provenance"]).fingerprint == tiny.model.fingerprint
        assert found[name].attrs["n"] > 0
    assert found["neuron_active"].attrs["units"] == "share"
    assert found["entropy"].sel(layer=1, head=2).site.item() == "L1H2"


@pytest.mark.parametrize("form", ["gpt2", "bert", "mistral-window"])
@pytest.mark.parametrize("cut", [1, 3, 6])
def test_merged_parts_are_one_pass_in_any_order(tiny_named, form, cut):
    tiny = tiny_named(form)
    examples = tiny.examples()

    def parts():
        made = []
        for first, chunk in ((0, examples[:cut]), (cut, examples[cut:])):
            reducers = [HeadMeans(), NeuronMoments()], [HeadMeansByText(("entropy", "induction"))]
            for each in reducers:
                stream(tiny.model, chunk, each, first=first)
            made.append([*reducers[0], *reducers[1]])
        return made

    provenance = Provenance(model="m", fingerprint="f", data="d")
    whole = [HeadMeans(), NeuronMoments()], [HeadMeansByText(("entropy", "induction"))]
    for each in whole:
        stream(tiny.model, examples, each)
    for order in (0, 1):
        one, other = parts()[:: 1 if order == 0 else -1]
        for mine, theirs, expected in zip(one, other, [*whole[0], *whole[1]], strict=True):
            mine.merge(theirs)
            merged, at_once = mine.result(provenance), expected.result(provenance)
            for name in at_once.data_vars:
                np.testing.assert_allclose(merged[name], at_once[name], atol=1e-6, rtol=1e-6, err_msg=name)
                assert merged[name].attrs["n"] == at_once[name].attrs["n"]


def test_parts_that_do_not_fit_are_not_merged(tiny_named):
    tiny = tiny_named("gpt2")
    one, other = HeadMeansByText(("entropy",)), HeadMeansByText(("entropy",))
    stream(tiny.model, tiny.examples()[:2], [one])
    stream(tiny.model, tiny.examples()[2:5], [other])  # numbered from 0 again: two texts would be lost
    with pytest.raises(DataError, match="2 texts, such as number 0, are in both parts"):
        one.merge(other)
    for make in (HeadMeans, HeadMeansByText):
        with pytest.raises(DataError, match="in every part of a corpus"):
            make(("entropy",)).merge(make(("entropy", "next")))


@pytest.mark.parametrize("max_tokens", [1, 13, 30, 10_000])
def test_the_size_of_batches_does_not_matter(tiny, max_tokens):
    examples = tiny.examples() * 2
    ours = stream(tiny.model, examples, [HeadMeans(), NeuronMoments()], max_tokens=max_tokens)
    expected = stream(tiny.model, examples, [HeadMeans(), NeuronMoments()])
    for name in expected.data_vars:
        np.testing.assert_allclose(ours[name], expected[name], atol=3e-5, rtol=1e-5, err_msg=name)


def _example(length: int) -> Example:
    return Example(text="x" * length, ids=(5,) * length, tokens=("x",) * length, spans=((0, 1),) * length, special=(False,) * length)


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(1, 25), st.integers(1, 12), st.integers(0, 5))
def test_batches_hold_every_example_once_and_no_more_than_allowed(lengths, max_tokens, look_ahead, first):
    examples = [_example(length) for length in lengths]
    batches = list(by_length(iter(examples), max_tokens=max_tokens, look_ahead=look_ahead, first=first))
    numbered = [pair for batch in batches for pair in batch]
    assert sorted(number for number, _ in numbered) == list(range(first, first + len(lengths)))
    assert all(example is examples[number - first] for number, example in numbered)
    for batch in batches:
        assert len({len(example) for _, example in batch}) == 1
        assert sum(len(example) for _, example in batch) <= max_tokens or len(batch) == 1


@given(st.integers(1, 8))
def test_a_corpus_is_never_held_whole(look_ahead):
    taken = []

    def corpus():
        for number in range(30):
            taken.append(number)
            yield _example(1 + number % 3)

    given_out = 0
    for batch in by_length(corpus(), max_tokens=100, look_ahead=look_ahead):
        given_out += len(batch)
        assert len(taken) - given_out <= look_ahead


def test_batches_are_filled_however_little_is_held():
    batches = list(by_length([_example(5)] * 24, max_tokens=15, look_ahead=4))
    assert [len(batch) for batch in batches] == [3] * 8


def test_progress_counts_every_token(tiny_named):
    tiny, seen = tiny_named("gpt2"), []
    stream(tiny.model, iter(tiny.examples()), [HeadMeans(("entropy",))], progress=seen.append)
    assert sum(seen) == sum(len(example) for example in tiny.examples())


def test_a_corpus_that_is_empty_or_too_long_is_refused(tiny):
    with pytest.raises(DataError, match="the corpus is empty; expected at least one text"):
        stream(tiny.model, [], [HeadMeans()])
    with pytest.raises(TextTooLong, match=f"context of .* holds {tiny.form.n_ctx}"):
        stream(tiny.model, [_example(tiny.form.n_ctx + 1)], [HeadMeans()])


def test_unknown_or_doubled_statistics_are_refused(tiny_named):
    tiny = tiny_named("gpt2")
    for make in (HeadMeans, HeadMeansByText):
        with pytest.raises(DataError, match="statistics \\['entropie'\\] are not known; expected some of: entropy"):
            make(("entropie",))
    with pytest.raises(DataError, match="two reducers both give entropy"):
        stream(tiny.model, tiny.examples(), [HeadMeans(("entropy",)), HeadMeansByText(("entropy", "next"))])


def test_a_corpus_of_single_tokens_has_no_previous_token(tiny_named):
    tiny = tiny_named("llama")
    found = stream(tiny.model, tiny.examples(["dog", "sea"]), [HeadMeans()])
    assert found["previous"].isnull().all()
    assert found["previous"].attrs["n"] == 0
    assert (abs(found["entropy"]) < 1e-5).all()


def test_attention_that_is_not_finite_is_refused_rather_than_dropped_from_the_mean(fresh, word_tokenizer, tiny_named):
    hf = fresh("llama")
    with torch.no_grad():
        hf.model.layers[1].self_attn.q_proj.weight[0] = torch.nan  # one head of four
    model = load_model(hf, word_tokenizer())
    with pytest.raises(CheckFailed, match="attention in layer 1 is not finite on this text; load the model in float32"):
        stream(model, tiny_named("llama").examples(), [HeadMeans()])
    assert math.isnan(capture(model, "the old man").pattern("L1H0").values[0, 0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_statistics_in_half_precision_are_its_own_patterns(fresh, word_tokenizer, tiny, dtype):
    from dataclasses import replace

    half = replace(tiny, model=load_model(fresh(tiny.name).to(dtype), word_tokenizer(encoder=tiny.form.encoder)))
    examples = tiny.examples()
    _, over_all, largest = _naive(half, examples)
    ours = stream(half.model, examples, [HeadMeans()])
    for name in ALL:
        # Half a percent: the sublayer's own output is rounded on another way, so the next layer's patterns differ a little.
        np.testing.assert_allclose(ours[name].sel(layer=0), over_all[name][0], atol=1e-5 * largest, rtol=0, err_msg=name)
