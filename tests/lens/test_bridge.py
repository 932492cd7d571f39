"""A bridge is a guest: model, tokenizer and captures are afterwards as they were before. One that would be wrong is refused by name."""

import pytest
import torch
from tiny_families import FORMS

from interp.captures.prompt import capture
from interp.core.errors import ModelUnsupported
from interp.lens import bridge as room
from interp.lens.bridge import bridge, processed
from interp.lens.views import direct_logit_attribution
from interp.models.load import load_model
from interp.models.model import fingerprint, plain_copy

TEXT = "by the sea the old dog saw a man and the man saw"
TARGET = "they went home by the sea"

_UNKNOWN = "TransformerLens does not load this model: Could not determine supported architecture from config$"
_UNEVEN = "TransformerLens does not load this model: {}ArchitectureAdapter only supports symmetric configs for now: encoder_layers=2"
_HEADLESS = "has no trained token-predicting head; TransformerLens would give it a random one"
REFUSED = {
    **dict.fromkeys(("gpt2-bare", "bert-bare", "t5-bare", "bart-bare"), _HEADLESS),
    **dict.fromkeys(("distilbert", "electra", "own", "attention-only", "ffn-only"), _UNKNOWN),
    **{name.lower(): _UNEVEN.format(name) for name in ("Bart", "Marian", "M2M100")},
    "opt-post-norm": "TransformerLens cannot run this model: Original component not set for model.decoder.final_layer_norm",
}
EVEN = ("bart-even", "marian-even", "m2m100-even")
BRIDGED = [*(name for name in FORMS if name not in REFUSED), *EVEN]


@pytest.mark.parametrize("form", REFUSED)
def test_what_transformerlens_does_not_run_is_refused_by_name(form, model_named):
    with pytest.raises(ModelUnsupported, match=REFUSED[form]) as refused:
        bridge(model_named(form))
    assert model_named(form).name in str(refused.value)


def test_minilm_has_no_trained_head(minilm):
    for view in (bridge, processed):
        with pytest.raises(ModelUnsupported, match=f"minilm {_HEADLESS}"):
            view(minilm)


@pytest.mark.parametrize("form", BRIDGED)
def test_bridges_leave_weights_buffers_tokenizer_and_captures_as_they_were(form, plain_named, word_tokenizer):
    tokenizer = word_tokenizer(encoder=form in FORMS and FORMS[form].encoder)
    hf = plain_named(form)
    model = load_model(hf, tokenizer)
    before = {name: tensor.clone() for name, tensor in [*hf.named_parameters(), *hf.named_buffers()]}
    settings = (tokenizer.padding_side, tokenizer.pad_token, tokenizer.bos_token, tokenizer(TEXT)["input_ids"])
    target = {"target": TARGET} if model.anatomy.encoder_decoder else {}
    logits = capture(model, TEXT, **target).logits
    shared = {id(parameter) for parameter in model.hf.parameters()}
    booted = bridge(model)
    assert shared & {id(parameter) for parameter in booted.original_model.parameters()}, "a bridge shares what it can"
    if model.anatomy.linear_readout and not model.anatomy.encoder_decoder:
        assert not shared & {id(parameter) for parameter in processed(model).parameters()}, (
            "a processed bridge holds the model's own parameters"
        )
    assert fingerprint(model.hf) == model.fingerprint
    for name, tensor in [*hf.named_parameters(), *hf.named_buffers()]:
        assert torch.equal(tensor, before[name]), name
    assert (tokenizer.padding_side, tokenizer.pad_token, tokenizer.bos_token, tokenizer(TEXT)["input_ids"]) == settings
    assert torch.equal(capture(model, TEXT, **target).logits, logits)


@pytest.mark.parametrize("form", ["bart-even", "marian-even"])
def test_transformerlens_does_write_into_a_buffer_that_it_is_given(form, plain_named, word_tokenizer, tmp_path):
    """The negative control: over a copy that shares buffers, the model itself would lose its bias on the logits."""
    from transformer_lens.model_bridge import TransformerBridge

    hf = plain_named(form)
    assert hf.final_logits_bias.any()
    twin = plain_copy(hf)
    twin.config.architectures = [type(twin).__name__]
    word_tokenizer().save_pretrained(tmp_path)
    tokenizer = type(word_tokenizer()).from_pretrained(tmp_path)
    TransformerBridge.boot_transformers("tiny", hf_model=twin, tokenizer=tokenizer, device="cpu")
    assert not hf.final_logits_bias.any()


def test_processing_does_write_into_the_copy_it_is_given(tiny_named):
    """The negative control for parameters: without a copy of its own the model would change."""
    model = tiny_named("gpt2").model
    names = ("ln_f.weight", "ln_final.weight", "ln_final._original_component.weight")
    folded = [tensor for name, tensor in processed(model).state_dict().items() if name.endswith(names)]
    assert folded
    assert not any(torch.equal(tensor, model.hf.transformer.ln_f.weight) for tensor in folded)


def test_a_bridge_that_says_other_logits_is_refused(fresh, word_tokenizer, monkeypatch):
    """A bridge over other weights stands for one that forgets a part."""
    model = load_model(fresh("llama"), word_tokenizer())
    monkeypatch.setattr(room, "plain_copy", lambda hf, *, share: fresh("llama", seed=1))
    with pytest.raises(ModelUnsupported, match=r"LlamaForCausalLM: TransformerLens gets this model's logits wrong, by \d"):
        bridge(model)


def test_an_attribution_changes_nothing(tiny_named):
    model = tiny_named("gpt2").model
    direct_logit_attribution(model, TEXT, 5, 6)
    assert fingerprint(model.hf) == model.fingerprint
