"""A model is what it was when it was loaded: weights that were changed since are refused, since the fingerprint would lie about them."""

from dataclasses import replace

import pytest
import torch

from interp.captures.prompt import capture
from interp.core.errors import ModelError, TextError
from interp.interventions.ablate import ablate
from interp.models.fingerprint import fingerprint
from interp.models.load import load_model
from interp.models.untrained import untrained

IDS = torch.tensor([[4, 5, 6, 7]])
REFUSED = "its weights were changed since it was loaded, .*expected them as they were"


def written(hf):
    with torch.no_grad():
        next(hf.parameters()).mul_(1.5)


def stepped(hf):
    optimiser = torch.optim.SGD(hf.parameters(), lr=0.1)
    hf(input_ids=IDS, labels=IDS).loss.backward()
    optimiser.step()


def exchanged(hf):
    hf.lm_head.weight = torch.nn.Parameter(hf.lm_head.weight.detach() + 1.0)


def narrowed(hf):
    hf.to(torch.bfloat16)


@pytest.mark.parametrize("change", [written, stepped, exchanged, narrowed])
def test_a_run_of_changed_weights_is_refused(fresh, word_tokenizer, change):
    model = load_model(fresh("llama"), word_tokenizer())
    before = model.run(IDS)
    with torch.enable_grad():
        change(model.hf)
    assert fingerprint(model.hf) != model.fingerprint  # it would be another model
    for call in (lambda: model.run(IDS), lambda: capture(model, "the old man"), lambda: untimely(model)):
        with pytest.raises(ModelError, match=REFUSED):
            call()
    again = load_model(model.hf, model.tokenizer)
    assert not torch.equal(again.run(IDS).float(), before)


def untimely(model):
    with ablate(model, "L0H0", how="zero"):
        model.run(IDS)


def test_the_object_that_was_handed_over_has_the_same_weights(fresh, word_tokenizer):
    hf = fresh("gpt2")
    model = load_model(hf, word_tokenizer())
    written(hf)
    with pytest.raises(ModelError, match=REFUSED):
        model.run(IDS)


@pytest.mark.parametrize(("name", "buffer"), [("bart", "final_logits_bias"), ("deepseek-v3", "e_score_correction_bias")])
def test_a_saved_buffer_is_a_weight_too(fresh, word_tokenizer, name, buffer):
    model = load_model(fresh(name), word_tokenizer())
    rows = {"ids": IDS} | ({"target": IDS} if name == "bart" else {})
    model.run(**rows)
    found = next(tensor for path, tensor in model.hf.named_buffers() if path.endswith(buffer))
    found.add_(1.0)
    with pytest.raises(ModelError, match=REFUSED):
        model.run(**rows)


def test_what_changes_no_weight_is_let_through(family):
    """Runs, gradients, and the copies that the package makes itself."""
    model, rows = family.model, family.rows()
    before = model.run(**rows)
    replace(model, disabled={"patterns": "a reason"}).run(**rows)
    untrained(model, seed=0).run(**rows)
    model.hf.requires_grad_(True).eval()
    model.hf.to(model.device)
    assert torch.equal(model.run(**rows), before)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_every_type_in_which_a_model_is_loaded_runs(fresh, word_tokenizer, dtype):
    hf = fresh("t5")
    for model in (load_model(hf, word_tokenizer(), dtype=dtype), load_model(dtype=dtype)):
        rows = {"ids": IDS} | ({"target": IDS} if model.anatomy.encoder_decoder else {})
        assert model.run(**rows).isfinite().all()
        untrained(model, seed=0).run(**rows)


@pytest.mark.parametrize("ids", [torch.tensor([4, 5, 6]), torch.tensor([[[4, 5]]]), torch.tensor([[4.0, 5.0]])])
def test_ids_have_two_axes_and_are_whole(tiny_named, ids):
    with pytest.raises(TextError, match=r"token ids torch.* came; expected whole numbers with axes \(batch, pos\)"):
        tiny_named("gpt2").model.run(ids)
    with pytest.raises(TextError, match=r"expected whole numbers with axes"):
        tiny_named("t5").model.run(IDS, target=ids)
