"""TransformerLens sees what we see: tensor by tensor, layer by layer of the logit lens, head by head of the attribution.

Tolerances: 1e-5 relative is float32 rounding through two layers in two orders of the same sums; a processed bridge multiplies norms into
weights first, which rounds once more: 1e-4.
"""

import contextlib
import threading
from typing import get_args

import pytest
import torch

import interp
from interp.captures.prompt import capture
from interp.core.errors import EmptyText, ModelUnsupported, TextError, TextTooLong
from interp.lens.bridge import bridge, processed
from interp.lens.cache import hook_names, to_cache
from interp.lens.views import direct_logit_attribution, logit_lens
from interp.models.load import load_model
from interp.models.model import fingerprint
from interp.models.points import Kind

TEXT = "by the sea the old dog saw a man and the man saw"
MUST = ("resid_pre", "z", "pattern", "attn.o.hook_out", "hook_post", "mlp.hook_out", "resid_post")
WITH_HEAD = ["gpt2", "neox", "neox-serial", "llama", "llama-wide-heads", "mistral", "mistral-window", "qwen2", "bert", "roberta"]


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.fixture(params=WITH_HEAD)
def with_head(request, tiny_named):
    return tiny_named(request.param)


def their_cache(model, ids):
    with torch.no_grad():
        return bridge(model).run_with_cache(ids)


def test_every_tensor_is_the_bridges_tensor_of_that_name(with_head):
    model = with_head.model
    seen = capture(model, TEXT, keep=get_args(Kind))
    logits, cache = their_cache(model, torch.tensor([seen.example.ids]))
    names = hook_names(model, seen.arrays)
    lacking = sorted(theirs for theirs in names.values() if theirs not in cache)
    assert not lacking, f"the bridge lacks {lacking}"
    for layer in range(model.anatomy.n_layers):
        assert all(any(f".{layer}." in name and must in name for name in names) for must in MUST)
    assert len(names) == len(seen.arrays) - model.anatomy.n_layers  # all but the value norms, which TransformerLens has not
    for ours, theirs in names.items():
        assert seen.arrays[ours].shape == cache[theirs].shape, ours
        assert relative(seen.arrays[ours], cache[theirs]) <= 1e-5, (ours, theirs)
    assert relative(seen.logits, logits[0]) <= 1e-5


def test_the_comparison_can_fail(tiny_named):
    """Another text's tensors, and another layer's, are not within the tolerance."""
    model = tiny_named("gpt2").model
    seen = capture(model, TEXT)
    _, cache = their_cache(model, torch.tensor([seen.example.ids]).flip(1))
    wrong = [name for name in hook_names(model, seen.arrays) if relative(seen.arrays[name], cache[name]) <= 1e-5]
    assert not wrong
    assert relative(seen.arrays["blocks.0.attn.hook_z"], seen.arrays["blocks.1.attn.hook_z"]) > 1e-2


def test_where_a_post_norm_name_means_something_else_the_bridge_says_so_too(tiny_named):
    """TransformerLens's `hook_resid_mid` in BERT is the second norm's input; ours is what the first norm writes, its `ln1.hook_out`."""
    model = tiny_named("bert").model
    seen = capture(model, TEXT)
    _, cache = their_cache(model, torch.tensor([seen.example.ids]))
    ours = seen.arrays["blocks.0.hook_resid_mid"]
    assert hook_names(model, seen.arrays)["blocks.0.hook_resid_mid"] == "blocks.0.ln1.hook_out"
    assert relative(ours, cache["blocks.0.hook_resid_mid"]) > 1e-2
    assert "blocks.0.hook_resid_mid" not in to_cache(model, seen.arrays)


def test_our_cache_serves_their_methods(decoder):
    model = decoder.model
    seen = capture(model, TEXT)
    _, theirs = their_cache(model, torch.tensor([seen.example.ids]))
    ours = to_cache(model, seen.arrays)
    assert set(ours.keys()) <= set(theirs.keys())
    for name in ours:
        assert relative(ours[name], theirs[name]) <= 1e-5, name
    # `accumulated_resid` reads the aliases too; decompose_resid needs the embeddings' hooks, which we do not keep
    assert relative(ours.accumulated_resid(layer=-1), theirs.accumulated_resid(layer=-1)) <= 1e-5


def test_bridges_leave_weights_tokenizer_and_captures_as_they_were(with_head, fresh, word_tokenizer):
    tokenizer = word_tokenizer(encoder=with_head.form.encoder)
    hf = fresh(with_head.name)
    model = load_model(hf, tokenizer)
    parameters = {name: parameter.detach().clone() for name, parameter in hf.named_parameters()}
    settings = (tokenizer.padding_side, tokenizer.pad_token, tokenizer.bos_token, tokenizer(TEXT)["input_ids"])
    before = capture(model, TEXT).logits
    bridge(model)
    if model.anatomy.causal:
        direct_logit_attribution(model, TEXT, 5, 6)
        written = processed(model)
        changed = {name for name, p in written.named_parameters() if any(p is own for own in model.hf.parameters())}
        assert not changed, "the processed bridge holds the model's own parameters"
    assert fingerprint(model.hf) == model.fingerprint
    for name, parameter in hf.named_parameters():
        assert torch.equal(parameter, parameters[name]), name
    assert (tokenizer.padding_side, tokenizer.pad_token, tokenizer.bos_token, tokenizer(TEXT)["input_ids"]) == settings
    assert torch.equal(capture(model, TEXT).logits, before)


def test_processing_does_write_into_the_copy_it_is_given(tiny_named):
    """The negative control of the test above: without a copy of its own the model would change."""
    model = tiny_named("gpt2").model
    theirs = processed(model).state_dict()
    folded = [
        tensor
        for name, tensor in theirs.items()
        if name.endswith(("ln_f.weight", "ln_final.weight", "ln_final._original_component.weight"))
    ]
    own = model.hf.transformer.ln_f.weight
    assert folded
    assert not any(torch.equal(tensor, own) for tensor in folded)


def test_the_last_row_of_the_logit_lens_is_the_models_own_loss(decoder):
    model = decoder.model
    lens = logit_lens(model, TEXT)
    seen = capture(model, TEXT)
    ids = torch.tensor(seen.example.ids)
    loss = torch.nn.functional.cross_entropy(seen.logits[:-1], ids[1:], reduction="none")
    assert lens.dims == ("layer", "pos")
    assert lens.shape == (model.anatomy.n_layers + 1, len(ids) - 1)
    assert lens.attrs["units"] == "nats"
    assert torch.allclose(torch.tensor(lens.values[-1]), loss, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(torch.tensor(lens.values[0]), loss, atol=1e-2)
    best = [model.tokenizer.decode([int(i)]) for i in seen.logits[:-1].argmax(-1)]
    assert list(lens.best.values[-1]) == best


def test_each_row_of_the_logit_lens_is_the_stream_read_off_by_hand(decoder):
    model = decoder.model
    lens = logit_lens(model, TEXT)
    seen = capture(model, TEXT)
    ids = torch.tensor(seen.example.ids)
    with torch.no_grad():
        for layer in range(model.anatomy.n_layers):
            logits = model.module("unembed")(model.module("ln_final")(seen.tensor("resid_pre", layer)))
            loss = torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
            assert torch.allclose(torch.tensor(lens.values[layer]), loss, atol=1e-5, rtol=1e-5), layer


def by_component(result) -> dict[str, float]:
    return dict(zip(map(str, result.component.values), map(float, result.values), strict=True))


def test_their_attribution_is_ours_head_by_head(decoder):
    model = decoder.model
    answer, other = 5, 9
    theirs = by_component(direct_logit_attribution(model, TEXT, answer, other))
    ours = by_component(capture(model, TEXT).contributions(answer, against=other, pos=-1))
    heads = [name for name in theirs if "H" in name]
    assert len(heads) == model.anatomy.n_layers * model.anatomy.n_heads
    scale = max(abs(ours[name]) for name in heads)
    for name in heads:
        assert abs(ours[name] - theirs[name]) <= 1e-4 * scale, name
    swapped = by_component(direct_logit_attribution(model, TEXT, answer, other + 1))
    assert max(abs(ours[name] - swapped[name]) for name in heads) > 1e-2 * scale
    # The rest, too: all that the stream holds. The final norm's bias stands outside of their sum.
    assert abs(sum(theirs.values()) + ours["final biases"] - sum(ours.values())) <= 1e-4 * scale


def test_the_bundled_model_agrees_too():
    model = load_model()
    text = "The old man looked at the sea, and the old"
    theirs = by_component(interp.direct_logit_attribution(model, text, 300, 301))
    ours = by_component(capture(model, text).contributions(300, against=301, pos=-1))
    heads = [name for name in theirs if "H" in name]
    scale = max(abs(ours[name]) for name in heads)
    assert max(abs(ours[name] - theirs[name]) for name in heads) <= 1e-4 * scale


@pytest.mark.parametrize(
    "view", [bridge, processed, lambda model: logit_lens(model, "a b"), lambda m: direct_logit_attribution(m, "a b", 4, 5)]
)
def test_a_model_without_a_head_is_refused_by_name(minilm, tiny_named, view):
    with pytest.raises(ModelUnsupported, match="minilm has no trained token-predicting head; TransformerLens would give it a random one"):
        view(minilm)
    with pytest.raises(ModelUnsupported, match="GPT2Model has no trained token-predicting head"):
        view(tiny_named("gpt2-bare").model)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_an_encoder_has_no_next_token(tiny_named, name):
    model = tiny_named(name).model
    with pytest.raises(ModelUnsupported, match="is an encoder; expected a decoder, which predicts the next token"):
        logit_lens(model, TEXT)
    with pytest.raises(ModelUnsupported, match="is an encoder; expected a decoder"):
        direct_logit_attribution(model, TEXT, 5, 6)


def test_texts_and_tokens_that_cannot_be_read_are_refused(tiny_named):
    model = tiny_named("gpt2").model
    with pytest.raises(TextError, match="'dog' is one token, and the loss is that of the next; expected two or more"):
        logit_lens(model, "dog")
    with pytest.raises(EmptyText, match="the text is empty"):
        logit_lens(model, " ")
    with pytest.raises(TextTooLong, match="the text has 41 tokens, the model's context holds 40"):
        logit_lens(model, "dog " * 41)
    with pytest.raises(TextError, match="token id 31 came; GPT2LMHeadModel has ids 0-30"):
        direct_logit_attribution(model, TEXT, 5, 31)
    with pytest.raises(TextError, match="token id -1 came"):
        direct_logit_attribution(model, TEXT, -1, 5)


def test_two_threads_get_what_one_gets(tiny_named):
    model = tiny_named("llama").model
    texts = [TEXT, "the old man saw a dog and she said nothing"]
    alone = [logit_lens(model, text).values.copy() for text in texts]
    attributed = [direct_logit_attribution(model, text, 5, 9).values.copy() for text in texts]
    wrong: list[str] = []
    together = threading.Barrier(2)

    def work(number: int) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(5)
        for _ in range(6):
            if abs(logit_lens(model, texts[number]).values - alone[number]).max() > 1e-6:
                wrong.append(f"lens {number}")
            if abs(direct_logit_attribution(model, texts[number], 5, 9).values - attributed[number]).max() > 1e-6:
                wrong.append(f"attribution {number}")
        wrong.append(f"done {number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wrong) == ["done 0", "done 1"]
