"""Effects in an encoder-decoder: what the decoder writes is predicted, given what the encoder reads."""

import pytest
import torch

from interp.core.errors import TextError
from interp.interventions.ablate import ablate
from interp.interventions.effects import effect
from interp.interventions.knock_out import knock_out
from interp.models.reading import rows_of, run_on

PAIR = ("the old man saw a dog", "they went home again")


def nats(model, logits: torch.Tensor, row) -> float:
    """A plain mean of -ln p of each token that the decoder reads next."""
    told = logits[0].double().log_softmax(-1)
    return float(torch.stack([-told[place, token] for place, token in enumerate(row.ids[1:])]).mean())


@pytest.mark.parametrize("name", ["t5", "bart", "marian", "switch"])
@pytest.mark.parametrize("head", ["EL0H1", "DL1H2", "XL1H0"])
def test_the_effect_is_on_what_the_decoder_writes(tiny_named, name, head):
    model = tiny_named(name).model
    _, row = rows_of(model, PAIR)
    found = effect(model, PAIR, lambda: ablate(model, head, how="zero"), answers=(7, 9))
    assert found.loss_before_nats == pytest.approx(nats(model, run_on(model, PAIR), row), abs=1e-9)
    with ablate(model, head, how="zero"):
        after = run_on(model, PAIR)
    assert found.loss_after_nats == pytest.approx(nats(model, after, row), abs=1e-9)
    assert found.nats != 0
    assert found.logit_difference is not None


def test_an_edge_of_cross_attention_has_its_effect(tiny_named):
    model = tiny_named("t5").model
    heads = [f"XL{layer}H{head}" for layer in range(2) for head in range(4)]
    hidden = effect(model, PAIR, lambda: knock_out(model, heads, [(query, 2) for query in range(4)]))
    assert hidden.nats != 0


def test_what_is_read_is_two_rows_or_one(tiny_named):
    t5, gpt2 = tiny_named("t5").model, tiny_named("gpt2").model
    source, target = rows_of(t5, PAIR)
    assert target is not None
    assert target.ids[0] == t5.start_token()
    assert len(source) == 6
    assert rows_of(gpt2, PAIR[0])[1] is None
    with pytest.raises(TextError, match="is an encoder-decoder: expected a second text"):
        effect(t5, PAIR[0], lambda: ablate(t5, "EL0H1", how="zero"))
    with pytest.raises(TextError, match=r"a second text came; .* has one stack"):
        effect(gpt2, PAIR, lambda: ablate(gpt2, "L0H1", how="zero"))
    with pytest.raises(TextError, match="is one token, and nothing before it predicts it"):
        effect(gpt2, "dog", lambda: ablate(gpt2, "L0H1", how="zero"))
