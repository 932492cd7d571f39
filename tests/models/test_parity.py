"""The instrumented model is the plain one: same logits, same patterns, same generation; and what was handed over stays as it was.

Tolerance 1e-5, relative to the largest number where that is above 1: rounding of a few hundred float32 operations.
"""

import contextvars
import copy
import threading

import pytest
import torch
import transformers

from interp.captures.prompt import capture
from interp.interventions.ablate import ablate
from interp.models.attention import AttentionCall
from interp.models.load import load_model
from interp.models.model import fingerprint
from interp.models.points import watchers, watching
from interp.models.untrained import untrained
from interp.models.watch import Keep

TOLERANCE = 1e-5


def off(ours, theirs) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1.0)).item()


def _plain(tiny, ids):
    with torch.no_grad():
        out = tiny.eager()(input_ids=ids, output_attentions=True)
    return (out.last_hidden_state if tiny.form.headless else out.logits), out.attentions


def test_logits_and_every_pattern_are_plain_transformers(tiny):
    (example,) = tiny.examples(["they saw the sea and they saw the sea and they saw the"])
    ids = torch.tensor([example.ids])
    logits, patterns = _plain(tiny, ids)
    seen = capture(tiny.model, example)
    assert off(tiny.model.run(ids), logits) <= TOLERANCE
    assert (seen.logits is None) == tiny.form.headless
    if seen.logits is not None:
        assert off(seen.logits, logits[0]) <= TOLERANCE
    for layer, pattern in enumerate(patterns):
        assert off(seen.tensor("pattern", layer), pattern[0]) <= TOLERANCE
        assert off(seen.tensor("pattern", layer), patterns[1 - layer][0]) > 0.01  # and not the other layer's


def test_the_pattern_says_who_may_see_whom(tiny):
    (example,) = tiny.examples(["by the sea the old dog saw a man"])
    pattern, n = capture(tiny.model, example).tensor("pattern", 0), len(example)
    ahead = torch.ones(n, n, dtype=torch.bool).triu(1)
    assert (pattern[:, ahead] > 0).all() if tiny.form.encoder else (pattern[:, ahead] == 0).all()
    behind = torch.ones(n, n, dtype=torch.bool).tril(-4)
    assert (pattern[:, behind] == 0).all() if tiny.name == "mistral-window" else (pattern[:, behind] > 0).all()
    torch.testing.assert_close(pattern.sum(-1), torch.ones(4, n))


def test_a_batch_gives_what_each_text_gives_alone_watched_or_not(tiny):
    texts = ["the old man saw a dog", "by the sea she said nothing", "they saw the sea and they"]
    ids = torch.tensor([example.ids for example in tiny.examples(texts)])
    alone = torch.cat([tiny.model.run(row[None]) for row in ids])
    with watching(Keep(tiny.model, ["pattern"])):
        watched = tiny.model.run(ids)
    assert off(tiny.model.run(ids), alone) <= TOLERANCE
    assert off(watched, alone) <= TOLERANCE
    assert off(alone[:1], alone[1:2]) > 0.01


def test_padding_on_the_right_changes_nothing_watched_or_not(tiny):
    short, long = (torch.tensor([example.ids]) for example in tiny.examples(["the old man", "by the sea the old dog saw"]))
    n = short.shape[1]
    padded = torch.nn.functional.pad(short, (0, long.shape[1] - n), value=1)
    both, mask = torch.cat([padded, long]), torch.ones(2, long.shape[1], dtype=torch.long)
    mask[0, n:] = 0
    keep = Keep(tiny.model, ["pattern"])
    with watching(keep):
        watched = tiny.model.run(both, mask)
    for out in (watched, tiny.model.run(both, mask)):
        assert off(out[:1, :n], tiny.model.run(short)) <= TOLERANCE
        assert off(out[1:], tiny.model.run(long)) <= TOLERANCE
    pattern = keep.arrays["blocks.0.attn.hook_pattern"]
    assert (pattern[0, :, :n, n:] == 0).all()
    if tiny.form.encoder:  # the negative control: without the mask an encoder reads the padding
        assert off(tiny.model.run(both)[:1, :n], tiny.model.run(short)) > 0.01


def test_what_was_handed_over_is_left_alone(fresh, word_tokenizer, tiny):
    hf = fresh(tiny.name).train()
    hf.set_attn_implementation("sdpa")
    weights, config = {name: tensor.clone() for name, tensor in hf.state_dict().items()}, hf.config.to_dict()
    places = {name: tensor.data_ptr() for name, tensor in hf.named_parameters()}
    model = load_model(hf, word_tokenizer(encoder=tiny.form.encoder))
    capture(model, "the old man saw")
    with ablate(model, "L0H0", how="zero"):
        capture(model, "the old man saw")
    assert hf.training
    assert not model.hf.training
    assert hf.config.to_dict() == config
    assert hf.config._attn_implementation == "sdpa"
    assert {name: tensor.data_ptr() for name, tensor in hf.named_parameters()} == places
    assert all(torch.equal(tensor, weights[name]) for name, tensor in hf.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in hf.modules())
    assert any(module._forward_pre_hooks for module in model.hf.modules())
    assert next(model.hf.parameters()) is next(hf.parameters())  # shared, not copied


def test_hooks_sleep_while_nobody_watches(tiny):
    ids = torch.tensor([tiny.examples()[0].ids])
    assert watchers() == ()
    with torch.no_grad():
        plain = copy.deepcopy(tiny.hf)
        plain.set_attn_implementation("sdpa")
        out = plain(input_ids=ids)
    expected = out.last_hidden_state if tiny.form.headless else out.logits
    assert torch.equal(tiny.model.run(ids), expected)


def test_two_threads_see_each_its_own_text(tiny):
    texts = ["the old man saw a dog", "they saw the sea and they"]
    alone = [capture(tiny.model, text) for text in texts]
    start, found, failed = threading.Barrier(2), {}, []

    def run(number: int) -> None:
        try:
            start.wait(timeout=10)
            found[number] = [capture(tiny.model, texts[number]) for _ in range(6)]
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    for number in (0, 1):
        for seen in found[number]:
            assert seen.arrays.keys() == alone[number].arrays.keys()
            assert all(torch.allclose(seen.arrays[name], alone[number].arrays[name], atol=1e-5) for name in seen.arrays)
    assert not torch.allclose(alone[0].tensor("z", 0), alone[1].tensor("z", 0), atol=1e-2)


def test_a_thread_inherits_an_ablation_only_with_its_context(tiny_named):
    model = tiny_named("gpt2").model
    before, outs = capture(model, "the old man").logits, {}

    def run(name: str) -> None:
        outs[name] = capture(model, "the old man").logits

    with ablate(model, "L0H0", how="zero"):
        context = contextvars.copy_context()
        for name, target in (("bare", run), ("copied", lambda name: context.run(run, name))):
            thread = threading.Thread(target=target, args=(name,))
            thread.start()
            thread.join()
    assert torch.equal(outs["bare"], before)
    assert not torch.equal(outs["copied"], before)


def test_generation_with_a_cache_is_the_plain_models(decoder):
    ids = torch.tensor([decoder.examples()[1].ids])
    options = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}
    plain = decoder.hf.generate(ids, attention_mask=torch.ones_like(ids), **options)
    ours = decoder.model.hf.generate(ids, attention_mask=torch.ones_like(ids), **options)
    with watching(Keep(decoder.model, ["pattern"])):  # the query is one token now, the keys are many
        watched = decoder.model.hf.generate(ids, attention_mask=torch.ones_like(ids), **options)
    assert ours.tolist() == plain.tolist() == watched.tolist()
    assert plain.shape[1] == ids.shape[1] + 8


def test_the_fingerprint_is_of_the_weights(fresh, tiny):
    hf = fresh(tiny.name)
    assert fingerprint(hf) == fingerprint(copy.deepcopy(hf)) == fingerprint(fresh(tiny.name)) == tiny.model.fingerprint
    with torch.no_grad():
        list(hf.parameters())[-1].view(-1)[0] += 1e-6
    assert fingerprint(hf) != tiny.model.fingerprint
    assert fingerprint(fresh(tiny.name).half()) != tiny.model.fingerprint


def test_an_instrumented_model_may_be_instrumented_again(tiny_named, word_tokenizer):
    first = tiny_named("gpt2").model
    second = load_model(first.hf, word_tokenizer())
    before = second.run(torch.tensor([[4, 5, 6]]))
    with pytest.raises(Exception, match="never fired"), ablate(first, "L0H0", how="zero"):
        assert torch.equal(second.run(torch.tensor([[4, 5, 6]])), before)
    with ablate(second, "L0H0", how="zero"):
        assert not torch.equal(second.run(torch.tensor([[4, 5, 6]])), before)


def test_the_untrained_twin_is_another_model_of_the_same_shape(tiny):
    twin = untrained(tiny.model, seed=0)
    assert twin.anatomy == tiny.model.anatomy
    assert twin.disabled == tiny.model.disabled  # what the family has not, its twin has not
    assert twin.fingerprint == untrained(tiny.model, seed=0).fingerprint
    assert len({twin.fingerprint, untrained(tiny.model, seed=1).fingerprint, tiny.model.fingerprint}) == 3
    state = torch.random.get_rng_state()
    untrained(tiny.model, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)


N, D = 9, 8


def _call(dtype=torch.float32, *, mask=None, causal=False, kv_heads=2):
    generator = torch.Generator().manual_seed(5)
    query = torch.randn(2, 4, N, D, generator=generator).to(dtype)
    key, value = (torch.randn(2, kv_heads, N, D, generator=generator).to(dtype) for _ in range(2))
    return AttentionCall(query, key, value, mask, 0.3, causal)


def _masks():
    whole = torch.ones(2, 1, N, N, dtype=torch.bool)
    padded = whole.clone()
    padded[0, ..., 6:] = False
    window = whole.tril() & ~whole.tril(-3)
    blind = window.clone()
    blind[:, :, 2] = False  # a query without any key
    return {"none": None, "padded": padded, "window": window, "blind": blind}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["none", "padded", "window", "blind"])
def test_kernel_blocks_and_softmax_agree_under_every_mask(dtype, kind):
    for causal in (False, True) if kind == "none" else (False,):
        call = _call(dtype, mask=_masks()[kind], causal=causal)
        wide = _call(dtype, mask=_masks()[kind], causal=causal)
        pattern = wide.pattern()
        with_key = wide.seen.any(-1).expand(2, 4, N)
        torch.testing.assert_close(pattern.sum(-1), with_key.float())
        scores = (wide.query.float() @ wide.key.float().mT * 0.3).masked_fill(~wide.seen, -torch.inf)
        for output, lse in (call._kernel(call.value), call._blockwise(call.value, block=4)):
            torch.testing.assert_close(output.float(), pattern @ wide.value.float(), atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(lse[with_key], scores.logsumexp(-1)[with_key], atol=1e-5, rtol=1e-5)
        assert not call.output().isnan().any()
        torch.testing.assert_close(call.output(), wide.output(), atol=0.02 if dtype != torch.float32 else 1e-5, rtol=0.02)


def test_narrow_values_in_half_precision_come_back_exactly():
    positions = torch.arange(N).float().expand(2, 4, N)[..., None] + 1000.5  # no such number in bfloat16
    call = _call(torch.bfloat16)
    torch.testing.assert_close(call.attend_to(positions), call.pattern() @ positions, atol=1e-3, rtol=0)


def test_an_additive_mask_is_read_as_a_boolean_one():
    for mask in (mask for mask in _masks().values() if mask is not None):
        added = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
        assert torch.equal(_call(mask=added).pattern(), _call(mask=mask).pattern())


def test_a_mask_that_biases_scores_is_read_as_the_plain_model_reads_it(tiny_named):
    tiny = tiny_named("llama")
    ids = torch.tensor([[4, 5, 6]])
    bias = torch.zeros(1, 1, 3, 3).masked_fill(torch.ones(3, 3, dtype=torch.bool).triu(1), torch.finfo(torch.float32).min)
    hides_only, keep = tiny.model.run(ids), Keep(tiny.model, ["pattern"])
    with watching(keep), torch.no_grad():
        torch.testing.assert_close(tiny.model.hf(input_ids=ids, attention_mask=bias).logits, hides_only)
        bias[..., 2, 0] = -1.0
        biased = tiny.model.hf(input_ids=ids, attention_mask=bias).logits
        plain = tiny.eager()(input_ids=ids, attention_mask=bias, output_attentions=True)
    assert off(biased, plain.logits) <= TOLERANCE
    assert off(keep.arrays["blocks.1.attn.hook_pattern"], plain.attentions[1]) <= TOLERANCE
    assert off(biased, hides_only) > 0.01


def test_a_score_that_is_nan_shows(tiny_named):
    call = _call()
    call.query[0, 0, 3] = torch.nan
    assert call.pattern()[0, 0, 3].isnan().all()
    assert not call.pattern()[0, 1].isnan().any()


def test_the_bundled_model_is_plain_transformers():
    model = load_model()
    plain = transformers.AutoModelForCausalLM.from_pretrained(
        model.hf.config.name_or_path, attn_implementation="eager", dtype=torch.float32
    )
    seen = capture(model, "The old man looked at the sea.")
    with torch.no_grad():
        out = plain(torch.tensor([seen.example.ids]), output_attentions=True)
    assert off(seen.logits, out.logits[0]) <= TOLERANCE
    assert max(off(seen.tensor("pattern", layer), pattern[0]) for layer, pattern in enumerate(out.attentions)) <= TOLERANCE
    assert seen.reconstruction_error <= TOLERANCE


def test_minilm_is_plain_transformers(minilm):
    plain = transformers.AutoModel.from_pretrained(minilm.hf.config.name_or_path, attn_implementation="eager")
    seen = capture(minilm, "The animal didn't cross the street because it was too tired.")
    with torch.no_grad():
        out = plain(torch.tensor([seen.example.ids]), output_attentions=True)
    assert off(seen.tensor("resid_post", 5), out.last_hidden_state[0]) <= TOLERANCE
    assert max(off(seen.tensor("pattern", layer), pattern[0]) for layer, pattern in enumerate(out.attentions)) <= TOLERANCE
    assert seen.reconstruction_error <= TOLERANCE
    assert seen.logits is None
