"""Differences, blocks and mosaics of patterns, and one neuron: laws, and parity with the capture they are made of."""

import numpy as np
import pytest
from conftest import tiny_model as tiny

from interp.captures.one_neuron import along, place_of, promoted_by, strongest_at
from interp.captures.patterns import block, difference, mosaic
from interp.core.errors import ModelUnsupported, SiteError
from interp.figures.from_results import attention_pattern, token_bars
from interp.figures.make import figure

FORMS = ["raw", "moved", "without_first"]


@pytest.mark.parametrize("form", FORMS)
def test_a_difference_is_antisymmetric_and_0_with_itself(form):
    seen = tiny("llama").capture()
    one, other = difference(seen, "L1H2", "L0H3", form), difference(seen, "L0H3", "L1H2", form)
    np.testing.assert_array_equal(one.values, -other.values)
    assert np.abs(one.values).max() > 0.01
    assert not difference(seen, "L1H2", "L1H2", form).values.any()
    heat = attention_pattern(one)
    assert heat.diverging
    assert heat.scale[0] == -heat.scale[1]
    assert "L1H2 less L0H3" in heat.title


def test_heads_of_two_stacks_have_no_difference():
    seen = tiny("t5").capture()
    with pytest.raises(SiteError, match="two heads of one stack"):
        difference(seen, "EL1H2", "XL1H2")
    assert difference(seen, "XL1H2", "XL0H1").sizes["key_pos"] == len(seen.example)


def test_a_block_says_what_lies_outside():
    pattern = tiny("gpt2").capture().pattern("L0H1")
    whole = block(pattern)
    assert whole is pattern
    cut = block(pattern, 8, 4, most=4)
    np.testing.assert_array_equal(cut.values, pattern.values[8:12, 4:8])
    assert cut.attrs["outside"] == pytest.approx(1 - pattern.values[8:12, 4:8].sum(1).mean(), abs=1e-6)
    assert "Queries 8 to 11 and keys 4 to 7" in attention_pattern(cut).caption
    with pytest.raises(SiteError, match="expected 0-"):
        block(pattern, 99, 0)


@pytest.mark.parametrize("form", FORMS)
def test_a_mosaic_holds_every_pattern_and_its_largest_weights(form):
    seen = tiny("gpt2").capture()
    every, small = mosaic(seen, form), mosaic(seen, form, cells=5)
    n = len(seen.example)
    size = -(-n // 5)
    for layer in range(2):
        for head in range(4):
            pattern = seen.pattern(f"L{layer}H{head}", form).values
            np.testing.assert_array_equal(every.sel(layer=layer, head=head).values, pattern)
            for at, start in enumerate(range(0, n, size)):
                for to, begin in enumerate(range(0, n, size)):
                    cell = small.values[layer, head, at, to]
                    assert cell == pattern[start : start + size, begin : begin + size].max()


def test_a_mosaic_of_cross_attention_has_two_texts():
    seen = tiny("t5").capture()
    drawn = figure(mosaic(seen, stack="X")).description
    assert drawn.values.shape[2:] == (len(seen.target), len(seen.example))
    assert drawn.inner_titles == ("target", "source")
    assert drawn.names[1][2] == "XL1H2"


def test_a_neuron_along_the_text_is_the_captures():
    seen = tiny("mixtral").capture()
    written = strongest_at(seen)
    place = place_of(seen.model, written)
    every = seen.expert_neurons(f"L{place.layer}E{place.expert}")
    np.testing.assert_array_equal(along(seen, written).values, every.sel(neuron=place.index).values)
    best = max(float(seen.expert_neurons(f"L{layer}E{expert}").max()) for layer in range(2) for expert in range(4))
    assert float(along(seen, written).max()) == best


def test_bars_leave_out_tokens_that_were_not_sent_to_the_expert():
    seen = tiny("mixtral").capture()
    result = along(seen, strongest_at(seen))
    bars = token_bars(result)
    assert len(bars.values) == int(result.notnull().sum())
    assert "tokens" in bars.caption or len(bars.values) == len(seen.example)


def test_what_a_neuron_promotes_is_its_row_through_the_unembedding():
    model = tiny("llama").model
    up, down = promoted_by(model, "L1N3", k=3)
    norm = model.at(model.anatomy.main.ln_final).weight
    logits = (model.W_out(1)[3] * norm) @ model.W_U()
    assert [value for _, value in up] == pytest.approx(logits.topk(3).values.tolist(), abs=1e-5)
    assert [value for _, value in down] == pytest.approx(logits.topk(3, largest=False).values.tolist(), abs=1e-5)


def test_refusals():
    model = tiny("t5").model
    with pytest.raises(SiteError, match="expected the form DL0N0"):
        place_of(model, "L0N0")
    with pytest.raises(ModelUnsupported, match="the encoder's"):
        promoted_by(model, "EL0N0")
    with pytest.raises(SiteError, match="expected a neuron of layers"):
        place_of(tiny("mixtral").model, "L0N0")
