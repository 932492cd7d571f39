"""Before and after, side by side: each number against the plain formula, and against `effect`."""

import math

import numpy as np
import pytest
import torch

from interp.core.errors import TextError
from interp.interventions.ablate import ablate
from interp.interventions.effects import effect
from interp.interventions.side_by_side import side_by_side

TEXT, TARGET = "the old man saw a dog by", "they went home by"


def compared(tiny, site="L1 FFN", **options):
    text = (TEXT, TARGET) if tiny.form.paired else TEXT
    return side_by_side(tiny.model, text, lambda: ablate(tiny.model, site, how="zero"), **options)


def logits(tiny, site=None):
    import contextlib

    with ablate(tiny.model, site, how="zero") if site else contextlib.nullcontext():
        return tiny.capture(TEXT).logits.double()


def test_losses_are_those_of_effect_and_the_last_position_has_none(tiny_named):
    tiny = tiny_named("gpt2")
    found = compared(tiny)
    expected = effect(tiny.model, TEXT, lambda: ablate(tiny.model, "L1 FFN", how="zero"))
    assert float(found["loss_before"].mean()) == pytest.approx(expected.loss_before_nats, abs=1e-5)
    assert float(found["loss_after"].mean()) == pytest.approx(expected.loss_after_nats, abs=1e-5)
    assert np.isnan(found["loss_before"].values).tolist() == [False] * 6 + [True]
    assert list(found["next"].values) == [*list(found["token"].values)[1:], ""]


def test_kl_and_next_tokens_by_a_plain_loop(tiny_named):
    tiny = tiny_named("gpt2")
    found = compared(tiny, pos=3, top=4)
    p, q = (one[3].softmax(-1).tolist() for one in (logits(tiny), logits(tiny, "L1 FFN")))
    assert float(found["kl"][3]) == pytest.approx(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)), rel=1e-4)
    ids = found["candidate_id"].values.tolist()
    assert set(ids) == {*np.argsort(p)[-4:].tolist(), *np.argsort(q)[-4:].tolist()}
    np.testing.assert_allclose(found["log_prob_before"], np.log(p)[ids], atol=1e-5)
    np.testing.assert_allclose(found["log_prob_after"], np.log(q)[ids], atol=1e-5)
    assert found["log_prob_after"].attrs["pos"] == 3


def test_the_stream_moves_behind_what_was_changed_and_not_before(tiny_named):
    tiny = tiny_named("llama")
    moved = compared(tiny, "L1H0")["moved"]
    assert (moved.values[:2] == 0).all()
    assert (moved.values[2] > 0).all()
    before = tiny.capture(TEXT).tensor("resid_post", 1)
    with ablate(tiny.model, "L1H0", how="zero"):
        after = tiny.capture(TEXT).tensor("resid_post", 1)
    np.testing.assert_allclose(moved.values[2], (after - before).norm(dim=-1) / before.norm(dim=-1), rtol=1e-4)


def test_what_a_model_does_not_tell_is_not_there(tiny_named):
    assert set(compared(tiny_named("bert-bare"))) == {"moved"}
    assert set(compared(tiny_named("bert"))) == {"moved", "kl", "log_prob_before", "log_prob_after"}
    paired = compared(tiny_named("t5"), "EL0 FFN")
    assert paired["loss_before"].sizes["pos"] == 5
    assert (paired["kl"].values > 0).all()


def test_a_position_that_is_not_there(tiny_named):
    with pytest.raises(TextError, match="position 7 came; this text has positions 0-6"):
        compared(tiny_named("gpt2"), pos=7)


def test_undone_when_the_intervention_raises(tiny_named):
    tiny = tiny_named("gpt2")
    before = logits(tiny)
    with pytest.raises(KeyError):
        side_by_side(tiny.model, TEXT, lambda: (_ for _ in ()).throw(KeyError()))
    assert torch.equal(logits(tiny), before)
