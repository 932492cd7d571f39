"""A kind of point that a stack or a layer does not have is refused, never answered with another's tensor; masks and draws."""

import pytest
import torch

from interp.core.errors import ModelUnsupported, SiteError, TextError
from interp.interventions.ablate import ablate
from interp.models.load import load_model
from interp.models.points import watching
from interp.models.watch import Keep


def test_kinds_that_are_not_the_stacks_own_are_refused(tiny_named):
    seen = tiny_named("t5").capture()
    for kind in ("mlp_out", "resid_pre", "post"):
        with pytest.raises(SiteError, match=f"'{kind}' is the decoder's, not its cross-attention's"):
            seen.tensor(kind, 0, "X")
    with pytest.raises(SiteError, match="'ln_final' stands after the last block only; expected layer 1"):
        seen.tensor("ln_final", 0, "E")
    with pytest.raises(SiteError, match="'post' came; expected one of: resid_pre"):
        seen.stream("post", "D")
    assert seen.stream("attn_out", "X").shape == (2, len(seen.target), 16)


def test_a_row_takes_one_text_in_all_layers(tiny_named):
    tiny = tiny_named("gpt2")
    over = ["the old man saw a dog", "they saw the sea and they", "she said nothing but it was"]
    alone = [tiny.capture(text, keep=["z"]) for text in over]
    for seed in range(5):
        keep = Keep(tiny.model, ["z"])
        with ablate(tiny.model, ["L0H0", "L1H0"], how="resample", over=over, seed=seed), watching(keep):
            tiny.model.run(torch.tensor([[7, 8, 9, 10]]))
        seen = [keep.arrays[f"blocks.{layer}.attn.hook_z"][0, :, 0] for layer in (0, 1)]
        drawn = [next(n for n, one in enumerate(alone) if torch.equal(one.tensor("z", layer)[:4, 0], seen[layer])) for layer in (0, 1)]
        assert drawn[0] == drawn[1]


def test_a_mask_pads_on_the_right_and_fits(tiny_named):
    model, ids = tiny_named("gpt2").model, torch.tensor([[4, 5, 6]])
    for mask in (torch.tensor([[0, 1, 1]]), torch.tensor([[1, 1]])):
        with pytest.raises(TextError, match="with padding on the right only"):
            model.run(ids, mask)
    assert model.run(ids, torch.tensor([[1, 1, 0]])).shape[1] == 3


def test_a_decoders_mask_pads_on_the_right_and_has_a_row_to_mask(tiny_named):
    t5, ids = tiny_named("t5").model, torch.tensor([[4, 5, 6]])
    for mask in (torch.tensor([[0, 1, 1]]), torch.tensor([[1, 0, 1]]), torch.tensor([[1, 1]])):
        with pytest.raises(TextError, match="with padding on the right only"):
            t5.run(ids, target=ids, target_mask=mask)
    padded = t5.run(ids, target=ids, target_mask=torch.tensor([[1, 1, 0]]))
    torch.testing.assert_close(padded[:, :2], t5.run(ids, target=ids[:, :2]), atol=1e-5, rtol=1e-5)
    with pytest.raises(TextError, match="has one stack and reads one text"):
        tiny_named("gpt2").model.run(ids, target_mask=torch.ones_like(ids))


@pytest.mark.parametrize(("name", "option", "value"), [("bert", "chunk_size_feed_forward", 3), ("deepseek-v3", "scoring_func", "softmax")])
def test_options_that_would_run_as_another_model_are_refused(fresh, word_tokenizer, name, option, value):
    hf = fresh(name)
    setattr(hf.config, option, value)
    with pytest.raises(ModelUnsupported, match=f"with {option}={value}: only"):
        load_model(hf, word_tokenizer())
