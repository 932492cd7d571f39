"""The logit lens and direct logit attribution say what ours say, in every family, or are refused by name.

Tolerances: 1e-5 is float32 rounding through two layers in two orders of the same sums; a processed bridge multiplies norms into weights
first, which rounds once more: 1e-4.
"""

import contextlib
import threading

import pytest
import torch
from tiny_families import FORMS

import interp
from interp.captures.prompt import capture
from interp.core.errors import EmptyText, ModelUnsupported, TextError, TextTooLong
from interp.lens.bridge import bridge, processed
from interp.lens.views import direct_logit_attribution, logit_lens
from interp.models.load import load_model
from interp.models.model import Model

TEXT = "by the sea the old dog saw a man and the man saw"

_ONE = [name for name, form in FORMS.items() if not (form.encoder or form.paired or form.headless)]
_PAIRED = [name for name, form in FORMS.items() if form.paired and not form.headless]
_ENCODERS = [name for name, form in FORMS.items() if form.encoder and not form.headless]
_NOT_LOADED = ("own", "attention-only", "ffn-only", "opt-post-norm")
NO_LENS = {
    **dict.fromkeys(_PAIRED, "is an encoder-decoder, and TransformerLens reads logits"),
    **dict.fromkeys(_ENCODERS, "is an encoder; expected a decoder, which predicts"),
    **{name: "has no trained token-predicting head" for name, form in FORMS.items() if form.headless},
    **dict.fromkeys(_NOT_LOADED, "TransformerLens (does not load|cannot run) this model"),
    "opt-projected": "has a head that is more than a norm and a matrix",
}
NO_ATTRIBUTION = {
    **NO_LENS,
    **dict.fromkeys(_PAIRED, "is an encoder-decoder, and TransformerLens attributes"),
    "gemma2": "caps its logits softly, so contributions do not add up",
    **dict.fromkeys(("gemma2-uncapped", "gemma3"), "has a norm behind its heads, and TransformerLens attributes what stands before it"),
    **dict.fromkeys(("deepseek-v2", "deepseek-v3"), "TransformerLens refuses: DLA requires an identity final norm weight"),
}
WITH_LENS = [name for name in _ONE if name not in NO_LENS]
WITH_ATTRIBUTION = [name for name in _ONE if name not in NO_ATTRIBUTION]


def test_every_form_is_read_or_refused():
    assert len(WITH_LENS) >= 21
    assert len(WITH_ATTRIBUTION) >= 15
    assert {*WITH_LENS, *NO_LENS} == {*WITH_ATTRIBUTION, *NO_ATTRIBUTION} == {*FORMS}


@pytest.mark.parametrize("form", NO_LENS)
def test_forms_without_a_lens_are_refused_by_name(form, tiny_named):
    model = tiny_named(form).model
    with pytest.raises(ModelUnsupported, match=f"{model.name}:? {NO_LENS[form]}"):
        logit_lens(model, TEXT)


@pytest.mark.parametrize("form", NO_ATTRIBUTION)
def test_forms_without_attribution_are_refused_by_name(form, tiny_named):
    model = tiny_named(form).model
    with pytest.raises(ModelUnsupported, match=f"{model.name}:? {NO_ATTRIBUTION[form]}"):
        direct_logit_attribution(model, TEXT, 5, 9)


def losses(model: Model, stream: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The next tokens' losses read off a stream by hand. Axes: (pos,)."""
    with torch.no_grad():
        logits = model.at(model.anatomy.unembed)(model.at(model.anatomy.main.ln_final)(stream))
        cap = getattr(model.hf.config, "final_logit_softcapping", None)
        logits = logits if cap is None else cap * torch.tanh(logits / cap)
    return torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")


@pytest.mark.parametrize("form", WITH_LENS)
def test_each_row_of_the_logit_lens_is_the_stream_read_off_by_hand(form, tiny_named):
    """The last row is the model's own loss."""
    model = tiny_named(form).model
    lens = logit_lens(model, TEXT)
    seen = capture(model, TEXT)
    ids = torch.tensor(seen.example.ids)
    assert lens.dims == ("layer", "pos")
    assert lens.shape == (model.anatomy.n_layers + 1, len(ids) - 1)
    assert lens.attrs["units"] == "nats"
    loss = torch.nn.functional.cross_entropy(seen.logits[:-1], ids[1:], reduction="none")
    rows = [losses(model, seen.tensor("resid_pre", layer), ids) for layer in range(model.anatomy.n_layers)]
    for layer, row in enumerate([*rows, loss]):
        assert torch.allclose(torch.tensor(lens.values[layer]), row, atol=1e-5, rtol=1e-5), layer
    assert not torch.allclose(torch.tensor(lens.values[0]), loss, atol=1e-2)
    best = [model.tokenizer.decode([int(i)]) for i in seen.logits[:-1].argmax(-1)]
    assert list(lens.best.values[-1]) == best


def by_component(result) -> dict[str, float]:
    return dict(zip(map(str, result.component.values), map(float, result.values), strict=True))


@pytest.mark.parametrize("form", WITH_ATTRIBUTION)
def test_their_attribution_is_ours_head_by_head(form, tiny_named):
    model = tiny_named(form).model
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


@pytest.mark.parametrize("form", ["gemma2-uncapped", "gemma3"])
def test_with_a_norm_behind_the_heads_theirs_would_be_wrong(form, tiny_named):
    """Why it is refused: their heads miss by more than a tenth, and the sum is right, since the remainder takes up the rest."""
    from transformer_lens.tools.analysis import direct_logit_attribution as unguarded

    model = tiny_named(form).model
    seen = capture(model, TEXT)
    with torch.no_grad():
        found = unguarded(processed(model), torch.tensor([seen.example.ids]), 5, 9, unit="head")
    theirs = dict(zip(found.labels, found.attribution.flatten().tolist(), strict=True))
    ours = by_component(seen.contributions(5, against=9, pos=-1))
    heads = [name for name in theirs if "H" in name]
    scale = max(abs(ours[name]) for name in heads)
    assert max(abs(ours[name] - theirs[name]) for name in heads) > 0.1 * scale
    assert abs(sum(theirs.values()) - sum(ours.values())) <= 1e-4 * scale


def test_the_bundled_model_agrees_too():
    model = load_model()
    text = "The old man looked at the sea, and the old"
    theirs = by_component(interp.direct_logit_attribution(model, text, 300, 301))
    ours = by_component(capture(model, text).contributions(300, against=301, pos=-1))
    heads = [name for name in theirs if "H" in name]
    scale = max(abs(ours[name]) for name in heads)
    assert max(abs(ours[name] - theirs[name]) for name in heads) <= 1e-4 * scale


@pytest.mark.parametrize("view", [lambda model: logit_lens(model, "a b"), lambda m: direct_logit_attribution(m, "a b", 4, 5)])
def test_minilm_has_no_trained_head(minilm, view):
    with pytest.raises(ModelUnsupported, match="minilm has no trained token-predicting head; TransformerLens would give it a random one"):
        view(minilm)


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


def test_the_shared_bridge_is_made_once(tiny_named):
    model = tiny_named("llama").model
    assert bridge(model) is bridge(model)
    assert processed(model) is processed(model) is not bridge(model)
