"""What a model writes is what its logits say, token by token, whatever the family; and the same again for the same seed."""

import pytest
import torch
from conftest import TEXTS
from conftest import tiny_model as tiny

from interp.core.errors import ModelUnsupported, TextError, TextTooLong
from interp.models.continuation import continued
from interp.texts.tokens import tokenize

FAMILIES = ["gpt2", "llama", "mixtral", "gemma2", "t5", "marian"]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_likeliest_token_each_time(name):
    model = tiny(name).model
    found = continued(model, TEXTS[0], 5)
    source = torch.tensor([tokenize(TEXTS[0], model.tokenizer).ids])
    paired = model.anatomy.encoder_decoder
    row = [model.start_token()] if paired else source[0].tolist()
    for token, probability in zip(found.ids, found.probabilities, strict=True):
        logits = model.run(source, target=torch.tensor([row])) if paired else model.run(torch.tensor([row]))
        shares = logits[0, -1].softmax(-1)
        assert token == int(shares.argmax())
        assert probability == pytest.approx(float(shares[token]), abs=1e-5)
        row.append(token)
    assert len(found.ids) == 5 or found.ended == "end"


def test_a_seed_draws_and_draws_the_same_again():
    model = tiny("gpt2").model
    drawn = [continued(model, TEXTS[0], 8, seed=seed).ids for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    state = torch.get_rng_state()
    continued(model, TEXTS[0], 2, seed=1)
    assert torch.equal(state, torch.get_rng_state())  # nobody else's numbers


def test_it_stops_at_the_end_of_the_context_and_says_so():
    model = tiny("gpt2").model
    found = continued(model, "the " * 38, 20, seed=3)
    assert found.ended in ("context", "end")
    assert len(found.ids) <= 2
    with pytest.raises(TextTooLong, match="fills the context"):
        continued(model, "the " * 40, 1)


def test_what_cannot_write_is_refused():
    with pytest.raises(ModelUnsupported, match="is an encoder"):
        continued(tiny("bert").model, TEXTS[0])
    with pytest.raises(ModelUnsupported, match="no trained head"):
        continued(tiny("gpt2-bare").model, TEXTS[0])
    with pytest.raises(TextError, match="expected 1 to 256"):
        continued(tiny("gpt2").model, TEXTS[0], 0)
    with pytest.raises(TextError, match="one stack"):
        continued(tiny("gpt2").model, TEXTS[0], 3, target="the dog")
