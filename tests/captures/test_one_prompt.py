"""One prompt: what was kept adds up, is labelled, and is refused where it would be wrong."""

import re

import numpy as np
import pytest
import torch
from checked import with_checks

from interp.captures.prompt import capture
from interp.captures.rebuild import worst
from interp.core.errors import CheckFailed, DataError, EmptyText, SiteError, TextTooLong
from interp.core.provenance import Provenance
from interp.measures.head_statistics import HEAD_STATISTICS
from interp.models.load import load_model
from interp.models.points import Point
from interp.texts.example import Example

TEXT = "by the sea the old dog saw a man and the man saw"
TOLERANCE = 1e-5  # rounding of a few hundred float32 operations


def test_what_is_written_adds_up_to_the_stream(tiny):
    assert capture(tiny.model, TEXT).reconstruction_error <= TOLERANCE


def test_only_a_parallel_block_has_no_middle(tiny):
    anatomy, seen = tiny.model.anatomy, capture(tiny.model, TEXT)
    assert anatomy.parallel is (tiny.name == "neox")
    assert anatomy.norms == ("post" if tiny.form.encoder else "pre")
    if anatomy.parallel:
        with pytest.raises(SiteError, match="'resid_mid' of layer 1 was not kept"):
            seen.tensor("resid_mid", 1)
        return
    middle = seen.tensor("resid_pre", 1) + seen.tensor("attn_out", 1)
    if anatomy.norms == "post":
        middle = tiny.model.at(anatomy.attention(1).norm_after)(middle)
    torch.testing.assert_close(seen.tensor("resid_mid", 1), middle, atol=TOLERANCE, rtol=TOLERANCE)


def test_heads_and_bias_add_up_to_what_attention_wrote(tiny):
    seen, model = capture(tiny.model, TEXT), tiny.model
    for layer in range(2):
        z = seen.tensor("z", layer)
        heads = [z[:, head] @ model.W_O(layer)[head] for head in range(4)]
        written = seen.tensor("attn_out", layer)
        torch.testing.assert_close(sum(heads) + model.b_O(layer), written, atol=TOLERANCE, rtol=TOLERANCE)
        assert (sum(heads[:3]) + model.b_O(layer) - written).abs().max() > 0.01  # each head is needed


def test_between_two_words_is_the_weight_of_their_pieces(tiny):
    """The first place of a word counts; of its pieces those attended to are summed, those that attend averaged."""
    seen = capture(tiny.model, TEXT)
    found, pattern = seen.between("dog", "sea"), seen.pattern("L1H2")
    tokens = [token.strip() for token in pattern.key_token.values]
    np.testing.assert_allclose(found.sel(layer=1, head=2), pattern[tokens.index("dog"), tokens.index("sea")], atol=TOLERANCE)
    assert found.max() > 1e-2
    assert bool((seen.between("sea", "dog") == 0).all()) is not tiny.form.encoder  # a causal mask hides what comes later
    with pytest.raises(DataError, match="'cat' is no word of 'by the sea"):
        seen.between("dog", "cat")


def test_z_is_the_pattern_times_the_values(tiny):
    seen = capture(tiny.model, TEXT)
    uniform = capture(tiny.model, TEXT).pattern("L0H0").sum("key_pos")
    assert np.allclose(uniform, 1.0, atol=TOLERANCE)
    norms = seen.value_norms(1)
    assert norms.shape == (4, len(seen.example))
    first = seen.tensor("pattern", 1)[:, 0]
    if not tiny.form.encoder:  # the first query sees itself only: what it moves is its own value
        moved = torch.einsum("hd,hdm->hm", seen.tensor("z", 1)[0], tiny.model.W_O(1)).norm(dim=-1)
        torch.testing.assert_close(moved, norms[:, 0], atol=1e-4, rtol=1e-4)
        assert (first[:, 1:] == 0).all()


@pytest.mark.parametrize("kind", ["attn_out", "mlp_out", "resid_post"])
def test_a_hook_that_lies_shows_in_the_error(tiny, kind, monkeypatch):
    from interp.captures import prompt

    class Liar(prompt.Keep):
        def at(self, point, tensor):
            super().at(point, tensor * 1.01 if point == Point(kind=kind, layer=1) else tensor)

    monkeypatch.setattr(prompt, "Keep", Liar)
    assert capture(tiny.model, TEXT).reconstruction_error > 1e-4


def test_a_lie_in_z_and_nan_show_too(tiny, monkeypatch):
    from interp.captures import prompt

    lie = {"factor": 1.01}

    class Liar(prompt.Keep):
        def at(self, point, tensor):
            super().at(point, tensor * lie["factor"] if point == Point(kind="z", layer=1) else tensor)

    monkeypatch.setattr(prompt, "Keep", Liar)
    assert capture(tiny.model, TEXT).reconstruction_error > 1e-4
    lie["factor"] = torch.nan
    assert np.isnan(capture(tiny.model, TEXT).reconstruction_error)
    lie["factor"] = 1.0
    assert capture(tiny.model, TEXT).reconstruction_error <= TOLERANCE


def test_the_worst_of_numbers_with_nan_is_nan_wherever_it_stands():
    assert worst([1.0, 3.0, 2.0]) == 3.0
    for numbers in ([np.nan, 1.0], [1.0, np.nan], [1.0, np.nan, 2.0]):
        assert np.isnan(worst(numbers))


def test_too_little_kept_gives_no_error_figure(tiny):
    seen = capture(tiny.model, TEXT, keep=["pattern"])
    assert seen.reconstruction_error is None
    with pytest.raises(
        SiteError,
        match=re.escape("'post' of layer 0 was not kept, or this family has none; ask for it: interp.capture(..., keep=['post', ...])"),
    ):
        seen.neurons(0)
    assert set(seen.arrays) == {f"blocks.{layer}.attn.{name}" for layer in range(2) for name in ("hook_pattern", "value_norms")}


def test_results_are_labelled(tiny):
    seen = capture(tiny.model, TEXT)
    pattern = seen.pattern("L1H2")
    assert pattern.dims == ("query_pos", "key_pos")
    assert list(pattern.query_token.values) == list(pattern.key_token.values) == list(seen.example.tokens)
    assert pattern.attrs["units"] == "probability"
    assert Provenance.from_json(pattern.attrs["provenance"]).fingerprint == tiny.model.fingerprint
    np.testing.assert_array_equal(pattern.values, seen.tensor("pattern", 1)[2].numpy())
    assert not np.array_equal(pattern.values, seen.pattern("L1H3").values)
    assert seen.neurons(1).dims == ("pos", "neuron")
    assert seen.stream("resid_post").shape == (2, len(seen.example), 16)
    for form in ("moved", "without_first"):
        rows = seen.pattern("L1H2", form).sum("key_pos")[1:]
        assert np.allclose(rows, 1.0, atol=1e-4)


def test_head_maps_are_the_measures_by_head(tiny):
    seen = capture(tiny.model, TEXT)
    for name in HEAD_STATISTICS:
        assert seen.head_map(name).shape == (2, 4)
    entropies = torch.special.entr(seen.tensor("pattern", 1)).sum(-1).mean(-1)
    np.testing.assert_allclose(seen.head_map("entropy").sel(layer=1), entropies, rtol=1e-5)
    with pytest.raises(SiteError, match="statistic 'entropie' is not known; expected one of: entropy"):
        seen.head_map("entropie")


def test_places_that_do_not_exist_are_refused(tiny_named):
    seen = capture(tiny_named("gpt2").model, TEXT)
    with pytest.raises(SiteError, match=re.escape("L2H0: this model has layers 0-1")):
        seen.pattern("L2H0")
    with pytest.raises(SiteError, match=re.escape("L0H4: this model has heads 0-3")):
        seen.pattern("L0H4")
    for layer in (-1, 2):
        with pytest.raises(SiteError, match=f"layer {layer}: this model has layers 0-1"):
            seen.neurons(layer)


def test_a_long_text_is_refused_or_windowed_on_request(tiny):
    long = " ".join(["the old man saw the sea"] * 10)
    with pytest.raises(TextTooLong, match=f"context holds {tiny.form.n_ctx}"):
        capture(tiny.model, long)
    seen = capture(tiny.model, long, window=True)
    assert seen.windowed
    assert len(seen.example) == tiny.form.n_ctx
    assert not capture(tiny.model, TEXT, window=True).windowed
    assert capture(tiny.model, TEXT, window=True).example == capture(tiny.model, TEXT).example
    n = tiny.form.n_ctx + 1
    beyond = Example(text="x", ids=(5,) * n, tokens=("x",) * n, spans=((0, 1),) * n, special=(False,) * n)
    with pytest.raises(TextTooLong, match=f"{n} tokens came"):
        capture(tiny.model, beyond)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_refused(tiny_named, text):
    with pytest.raises(EmptyText):
        capture(tiny_named("gpt2").model, text)


def test_contributions_add_up_to_the_logit(decoder):
    seen = capture(decoder.model, TEXT)
    result = seen.contributions("dog")
    place = seen.example.tokens.index("dog") - 1
    token = seen.example.ids[place + 1]
    assert (result.attrs["pos"], result.attrs["token"]) == (place, "dog")
    assert result.attrs["logit"] == pytest.approx(seen.logits[place, token].item())
    assert result.attrs["error"] <= TOLERANCE * max(1.0, abs(result).max().item())
    assert float(result.sum()) == pytest.approx(result.attrs["logit"], abs=1e-4)
    names = list(result.component.values)
    assert len(names) == len(set(names)) == 1 + 2 * (4 + 2) + 1
    assert float(result.drop_sel(component="L1H3").sum()) != pytest.approx(result.attrs["logit"], abs=1e-4)


def test_the_unembeddings_bias_counts(fresh, word_tokenizer):
    hf = fresh("llama")
    hf.lm_head.bias = torch.nn.Parameter(torch.arange(31.0) / 10)  # no family here has one; a checkpoint may
    seen = capture(load_model(hf, word_tokenizer()), TEXT)
    for against in (None, "sea"):
        assert seen.contributions("dog", against=against).attrs["error"] <= TOLERANCE * 10
    assert seen.contributions("dog").sel(component="final biases") == pytest.approx(seen.model.tokenizer.vocab["dog"] / 10)


def test_contributions_to_a_difference_are_the_differences_of_contributions(decoder):
    seen = capture(decoder.model, TEXT)
    both = seen.contributions("dog", pos=3, against="sea")
    np.testing.assert_allclose(both, seen.contributions("dog", pos=3) - seen.contributions("sea", pos=3), atol=1e-4)
    assert both.attrs["error"] <= TOLERANCE * max(1.0, abs(both).max().item())
    assert seen.contributions("home").attrs["pos"] == len(seen.example) - 1  # not in the text: told from the last position


def test_contributions_in_half_precision_add_up_within_its_rounding(fresh, word_tokenizer, decoder):
    model = with_checks(load_model(fresh(decoder.name).bfloat16(), word_tokenizer()))
    result = capture(model, TEXT).contributions("dog")
    assert result.attrs["error"] <= 8 * torch.finfo(torch.bfloat16).eps * max(1.0, abs(result).max().item())


@pytest.mark.parametrize(
    ("name", "reason"),
    [("bert", "more than a norm"), ("roberta", "more than a norm"), ("bert-bare", "no trained"), ("gpt2-bare", "no trained")],
)
def test_contributions_are_refused_by_name_where_they_mean_nothing(tiny_named, name, reason):
    with pytest.raises(CheckFailed, match=f"contributions is disabled, since .*{reason}"):
        capture(tiny_named(name).model, TEXT).contributions("dog")


def test_contributions_of_minilm_are_refused(minilm):
    with pytest.raises(CheckFailed, match="contributions is disabled, since the checkpoint has no trained token-predicting head"):
        capture(minilm, "The animal was tired.").contributions("tired")
