"""A neuron's best examples are those of a plain sort, and its tokens those that its write adds most to."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.neuron_examples import NeuronExamples, window_text
from interp.captures.corpus.promoted import promoted_tokens
from interp.captures.corpus.stream import stream
from interp.captures.corpus.top import Top
from interp.captures.prompt import capture
from interp.core.errors import DataError, ModelUnsupported
from interp.measures.largest import block_maxima, largest

DENSE = ["gpt2", "llama", "bert", "ffn-only"]


def posts(tiny, examples, layer):
    """Each token's neurons of a dense layer, (token, neuron), and (text, pos) of each; nobody asks for patterns, so to the last bit."""
    values = torch.cat([capture(tiny.model, example, keep=["post"]).tensor("post", layer) for example in examples])
    return values, [(number, pos) for number, example in enumerate(examples) for pos in range(len(example))]


def best(values, where, k):
    """A plain sort: the larger first, equals by text and place."""
    found = [sorted((-value, *at) for value, at in zip(column, where, strict=True))[:k] for column in values.T.tolist()]
    return [[(-value, number, pos) for value, number, pos in each] for each in found]


@pytest.mark.parametrize("form", DENSE)
def test_best_examples_are_those_of_a_plain_sort(tiny_named, form):
    tiny = tiny_named(form)
    examples = tiny.examples() * 2  # each text twice: every activation has an equal, which comes later
    found = stream(tiny.model, examples, [NeuronExamples(tiny.model, k=5, before=2, after=1)], max_tokens=1)
    for layer in range(2):
        values, where = posts(tiny, examples, layer)
        for neuron, expected in enumerate(best(values, where, 5)):
            row = {"layer": layer, "neuron": neuron}
            tops = [found[f"neuron_top{name}"].sel(row).values.tolist() for name in ("", "_text", "_pos")]
            assert list(zip(*tops, strict=True)) == expected
            for rank, (_, number, pos) in enumerate(expected):
                ids = [examples[number].ids[at] if 0 <= at < len(examples[number]) else -1 for at in range(pos - 2, pos + 2)]
                assert found["neuron_top_ids"].sel(row).sel(rank=rank).values.tolist() == ids
    spelt = found["neuron_top_tokens"].values
    assert spelt[examples[0].ids[1]] == examples[0].tokens[1]
    assert found["neuron_top_ids"].offset.values.tolist() == [-2, -1, 0, 1]
    assert window_text([-1, *examples[0].ids[:2]], tiny.model.tokenizer).strip() == " ".join(examples[0].tokens[:2])


def test_equal_activations_keep_the_text_that_comes_first_whenever_it_is_run(tiny_named):
    tiny = tiny_named("gpt2")
    examples = tiny.examples(["dog by sea", "dog", "dog by", "dog"])  # equal at the first place; the short ones run first
    reducer = NeuronExamples(tiny.model, k=3)
    found = stream(tiny.model, examples, [reducer])
    values, where = posts(tiny, examples, 0)
    expected = best(values.round(decimals=5), where, 3)
    tied = [neuron for neuron, each in enumerate(expected) if [pos for _, _, pos in each] == [0, 0, 0]]
    assert tied
    assert found["neuron_top_text"].sel(layer=0, neuron=tied).values.tolist() == [[0, 1, 2]] * len(tied)


@pytest.mark.parametrize("max_tokens", [7, 30, 10_000])
def test_best_examples_in_batches_are_activations_of_their_texts(tiny_named, max_tokens):
    tiny = tiny_named("llama")
    examples = tiny.examples() * 2
    found = stream(tiny.model, examples, [NeuronExamples(tiny.model, k=4)], max_tokens=max_tokens)
    values, where = posts(tiny, examples, 1)
    top = found.sel(layer=1)
    np.testing.assert_allclose(top["neuron_top"].values.T, values.sort(dim=0, descending=True).values[:4], atol=1e-5)
    for neuron in range(values.shape[1]):
        for value, number, pos in zip(*(top[f"neuron_top{name}"].values[neuron] for name in ("", "_text", "_pos")), strict=True):
            assert abs(values[where.index((number, pos)), neuron] - value) < 1e-5


def test_fewer_tokens_than_examples_leave_places_empty(tiny_named):
    tiny = tiny_named("gpt2")
    found = stream(tiny.model, tiny.examples(["dog", "sea"]), [NeuronExamples(tiny.model, k=3)])
    assert found["neuron_top"].isnull().sum("rank").values.tolist() == [[1] * 24] * 2
    assert set(found["neuron_top_text"].sel(rank=2).values.ravel()) == {-1}


def test_examples_that_cannot_be_are_refused(tiny_named):
    tiny = tiny_named("gpt2")
    with pytest.raises(DataError, match="k=0, before=15, after=8 came; expected k of 1 or more"):
        NeuronExamples(tiny.model, k=0)
    examples = tiny.examples(["dog", "sea"])
    with pytest.raises(DataError, match="expected rising numbers in each batch"):
        NeuronExamples(tiny.model).begin(Batch.of([(3, examples[0]), (1, examples[1])], torch.device("cpu")))


@given(st.integers(1, 200), st.integers(1, 12), st.integers(0, 10**6))
def test_the_largest_are_a_plain_sort_with_many_equals(n, k, seed):
    values = torch.randint(-3, 3, (n, 4), generator=torch.Generator().manual_seed(seed)).float() * 0.5
    values[::3] *= -0.0  # 0 and -0 are one number
    found, tokens = largest(values, k, torch.tensor([2, 0]), block_maxima(values))
    for row, neuron in enumerate((2, 0)):
        expected = sorted((-value, token) for token, value in enumerate((values[:, neuron] + 0.0).tolist()))[:k]
        assert [(-value, token) for value, token in zip(found[row].tolist(), tokens[row].tolist(), strict=True)] == expected


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12, unique=True), st.integers(1, 4)
)
def test_tops_are_put_together_in_any_order(entries, k):
    def top(some):
        made = Top.nothing(1, k, 1)
        for value, number, pos in some:
            one = [torch.tensor([[kept]]) for kept in (float(value), number, pos)]
            made.merge(Top(values=one[0], numbers=one[1], positions=one[2], windows=torch.tensor([[[value]]])))
        return made

    expected = sorted(entries, key=lambda entry: (-entry[0], *entry[1:]))[:k]
    half = len(entries) // 2
    one, other = top(entries[half:]), top(entries[:half])
    one.merge(other)
    for merged in (one, top(entries), top(entries[::-1])):
        kept = list(zip(merged.values[0].tolist(), merged.numbers[0].tolist(), merged.positions[0].tolist(), strict=True))
        assert kept[: len(expected)] == expected
        assert merged.windows[0, : len(expected), 0].tolist() == [value for value, _, _ in expected]


@pytest.mark.parametrize("form", ["gpt2", "gemma3", "opt-post-norm", "deepseek-v3"])
def test_promoted_tokens_are_what_a_write_adds_to_the_logits(tiny_named, form):
    """The neuron's row is put into `contributions`' own arithmetic: through each norm on the way, held at one text's scales."""
    tiny = tiny_named(form)
    found = promoted_tokens(tiny.model, k=31)
    row = tiny.model.W_out(0)[3].double()
    main = tiny.model.anatomy.main
    later = [sublayer for layer in main.layers for sublayer in layer]
    later = later[later.index(tiny.model.anatomy.ffn(0)) :]
    for path in [later[0].norm_out, *(sublayer.norm_after for sublayer in later), main.ln_final]:
        if path:
            norm = tiny.model.at(path)
            centred = row - row.mean() if isinstance(norm, torch.nn.LayerNorm) else row
            row = centred * (norm.weight.double() + type(norm).__name__.startswith("Gemma"))
    logits = (row @ tiny.model.W_U().double()) * tiny.model.anatomy.readout_scale
    at = found.sel(layer=0, neuron=3)
    order = logits.argsort(descending=True)
    assert at["neuron_promoted_ids"].values[:5].tolist() == order[:5].tolist()
    assert at["neuron_suppressed_ids"].values[:5].tolist() == order.flip(0)[:5].tolist()
    np.testing.assert_allclose(at["neuron_promoted"].values, logits[order].detach(), rtol=1e-4, atol=1e-4)
    assert found["neuron_promoted_tokens"].sizes == {"d_vocab": 31}
    if form == "deepseek-v3":
        assert {"expert_neuron_promoted", "shared_neuron_promoted"} <= set(found.data_vars)
        assert found["expert_neuron_promoted"].sel(layer=0).isnull().all()


@pytest.mark.parametrize(
    ("form", "message"), [("bert", "more than norms and a matrix"), ("gemma2", "a soft cap"), ("attention-only", "no FFN")]
)
def test_where_nothing_is_promoted_by_weights_alone_it_is_refused(tiny_named, form, message):
    with pytest.raises(ModelUnsupported, match=message):
        promoted_tokens(tiny_named(form).model)
