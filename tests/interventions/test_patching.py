"""Patching from another text: as a by-hand edit of the plain model; a grid is one such edit in each cell; undone, and never silent."""

import inspect

import numpy as np
import pytest
import torch

from interp.core.errors import CheckFailed, DataError, InterventionError, SiteError, TextError
from interp.interventions.ablate import place_of
from interp.interventions.patch import patch, patchable, positions_at
from interp.interventions.patch_grid import patch_grid
from interp.models import hooks
from interp.models.load import load_model
from interp.models.points import watchers

RUN, OTHER = "the old man saw a dog by", "the old dog saw a man by"  # they differ in tokens 2 and 5
ONE = "the old sea saw a dog by"  # in token 2 alone
TARGETS = ("they went home by", "they saw home by")
TOLERANCE = 1e-4  # float32 rounding through two layers, in batches of another size
SINGLE, PAIRED = ["L1", "L0 attention", "L0 FFN", "L1H2"], ["EL1", "EL0 FFN", "DL1", "DL1 attention", "XL0 attention", "XL1H2"]
FORMS = ["gpt2", "neox", "llama", "bert", "opt", "gemma2", "mixtral", "gpt-oss", "t5", "bart"]


def texts(tiny, other=OTHER):
    return ((RUN, TARGETS[0]), (other, TARGETS[1])) if tiny.form.paired else (RUN, other)


def rows(tiny, text) -> dict[str, torch.Tensor]:
    from interp.models.reading import rows_of

    example, target = rows_of(tiny.model, text)
    return {"ids": torch.tensor([example.ids])} | ({} if target is None else {"target": torch.tensor([target.ids])})


def plain(tiny, text, hook=None) -> torch.Tensor:
    """The plain model's answer; `hook` (path, reads, function) sees what a module reads or returns, and may replace it."""
    hf = tiny.eager()
    if hook is not None:
        path, reads, function = hook
        module = hf.get_submodule(path)
        if reads:
            module.register_forward_pre_hook(lambda module, args, kwargs: _read(function, args, kwargs), with_kwargs=True)
        else:
            module.register_forward_hook(lambda module, args, output: _returned(function, output))
    found = rows(tiny, text)
    target = {"decoder_input_ids": found["target"]} if "target" in found else {}
    with torch.no_grad():
        return hf(input_ids=found["ids"], **target).logits


def _read(function, args, kwargs):
    changed = function(args[0] if args else kwargs["hidden_states"])
    return ((changed, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": changed})


def _returned(function, output):
    first, *more = output if isinstance(output, tuple) else (output,)
    changed = function(first)
    return (changed, *more) if isinstance(output, tuple) else changed


def by_hand(tiny, site: str, positions: list[int]) -> torch.Tensor:
    """The plain model on RUN with OTHER's values at a site and some positions."""
    run, other = texts(tiny)
    found = patchable(tiny.model.anatomy, site)[0]
    stack = tiny.model.anatomy.stack(found.stack)
    sublayer = {
        "layer": None,
        "ffn": None if found.stack == "X" else tiny.model.anatomy.ffn(found.layer, found.stack),
    }.get(found.kind, tiny.model.anatomy.attention(found.layer, found.stack))
    path = {"layer": stack.blocks[found.layer], "head": sublayer and sublayer.out}.get(found.kind, sublayer and sublayer.writes)
    width = slice(None)
    if found.kind == "head":
        width = slice(found.index * stack.d_head, (found.index + 1) * stack.d_head)
    kept = []

    def keep(tensor):
        kept.append(tensor.clone())
        return tensor

    def put(tensor):
        edited = tensor.clone().view(-1, tensor.shape[-1])
        edited[positions, width] = kept[0].view(-1, tensor.shape[-1])[positions, width]
        return edited.view_as(tensor)

    reads = found.kind in ("layer", "head")
    plain(tiny, other, (path, reads, keep))
    return plain(tiny, run, (path, reads, put))


def answer(tiny, text):
    return tiny.model.run(**rows(tiny, text))


@pytest.mark.parametrize("name", FORMS)
def test_a_patch_is_the_plain_model_edited_by_hand(tiny_named, name):
    tiny = tiny_named(name)
    run, other = texts(tiny)
    before = answer(tiny, run)
    for site in PAIRED if tiny.form.paired else SINGLE:
        at = [3] if site[0] in "DX" else [2, 5]
        with patch(tiny.model, site, other, at=at):
            after = answer(tiny, run)
        torch.testing.assert_close(after, by_hand(tiny, site, at), atol=TOLERANCE, rtol=TOLERANCE)
        assert (after - before).abs().max() > 1e-4, site
    assert torch.equal(answer(tiny, run), before)


def test_all_of_the_stream_is_all_of_the_other_text(tiny_named):
    for name in ("gpt2", "llama", "bert"):
        tiny = tiny_named(name)
        with patch(tiny.model, "L0", OTHER):
            after = answer(tiny, RUN)
        torch.testing.assert_close(after, answer(tiny, OTHER), atol=TOLERANCE, rtol=TOLERANCE)
        with patch(tiny.model, "L1", OTHER, at=-1):
            last = answer(tiny, RUN)
        assert not torch.allclose(last, answer(tiny, OTHER), atol=1e-3)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mixtral", "bert", "t5"])
@pytest.mark.parametrize("what", ["stream", "attention", "FFN", "heads"])
def test_each_cell_of_a_grid_is_that_patch_alone(tiny_named, name, what):
    tiny, answers = tiny_named(name), (7, 9)
    run, other = texts(tiny)
    for stack in ("E", "D") if tiny.form.paired else ("",):
        grid = patch_grid(tiny.model, run, other, what=what, answers=answers, stack=stack or None)
        before = answer(tiny, run)[0, -1]
        assert grid.attrs["before"] == pytest.approx(float(before[7] - before[9]), abs=TOLERANCE)
        for layer, place in np.ndindex(grid.shape):
            site = f"{stack}L{layer}" + {"stream": "", "heads": f"H{place}"}.get(what, f" {what}")
            try:
                with patch(tiny.model, site, other, at=None if what == "heads" else place):
                    logits = answer(tiny, run)[0, -1]
            except InterventionError:
                assert grid.values[layer, place] == 0  # both texts have the same there
                continue
            expected = float((logits[7] - logits[9]) - (before[7] - before[9]))
            assert grid.values[layer, place] == pytest.approx(expected, abs=TOLERANCE)
        assert np.abs(grid.values).max() > 1e-3


def test_cross_attention_and_some_positions_only(tiny_named):
    tiny = tiny_named("t5")
    run, other = texts(tiny)
    whole = patch_grid(tiny.model, run, other, what="attention", answers=7, stack="X")
    some = patch_grid(tiny.model, run, other, what="attention", answers=7, stack="X", at=[3, -1])
    assert list(some.pos.values) == [3, 4]
    np.testing.assert_allclose(some.values, whole.values[:, [3, 4]], atol=TOLERANCE)
    assert list(some.token.values) == [whole.token.values[3], whole.token.values[4]]
    assert whole.attrs["units"] == "nats"
    log_probs = [answer(tiny, text)[0, -1].log_softmax(-1)[7] for text in (run, other)]
    assert [whole.attrs["before"], whole.attrs["other"]] == pytest.approx([float(each) for each in log_probs], abs=TOLERANCE)
    with pytest.raises(SiteError, match="cross-attention has no stream of its own; expected stack='D'"):
        patch_grid(tiny.model, run, other, stack="X")


@pytest.mark.parametrize("name", ["gpt2-bare", "bert-bare", "gpt2"])
def test_without_answers_it_is_the_share_of_the_way(tiny_named, name):
    """Texts that differ in one token: the stream at that token, before the first block, is all that there is."""
    tiny = tiny_named(name)
    place = 2 + tiny.form.encoder
    grid = patch_grid(tiny.model, RUN, ONE, pos=-1 - tiny.form.encoder)
    assert grid.attrs["units"] == "share"
    assert float(grid.sel(layer=0, pos=place)) == pytest.approx(1, abs=1e-4)
    assert (np.delete(grid.values[0], place) == 0).all()
    assert float(grid.sel(layer=1, pos=place)) < 0.999  # by then it has been read elsewhere
    assert (grid.attrs["before"], grid.attrs["other"]) == (0, 1)


def test_where_nothing_reads_it_the_change_is_zero(tiny_named):
    grid = patch_grid(tiny_named("gpt2").model, RUN, OTHER, answers=(7, 9), pos=3)
    assert (grid.values[:, :2] == 0).all()  # before the texts differ
    assert (grid.values[:, 4:] == 0).all()  # behind the answer
    assert (grid.values[1, 2:4] != 0).all()


def test_noising_and_denoising_are_not_each_others_negative(tiny_named):
    model = tiny_named("gpt2").model
    there, back = patch_grid(model, RUN, OTHER, answers=(7, 9)), patch_grid(model, OTHER, RUN, answers=(7, 9))
    assert there.attrs["before"] == pytest.approx(back.attrs["other"])
    assert not np.allclose(there.values, -back.values, atol=1e-3)


# ---------------------------------------------------------------------------------------------------------------- undone, never silent


def test_undone_after_an_exception_and_in_a_grid_that_was_stopped(tiny_named):
    tiny = tiny_named("gpt2")
    before = answer(tiny, RUN)

    def stop(done, of):
        raise KeyError

    with pytest.raises(TextError, match="token id 99"), patch(tiny.model, "L1", OTHER):
        tiny.model.run(torch.full((1, 7), 99))
    with pytest.raises(KeyError):
        patch_grid(tiny.model, RUN, OTHER, answers=7, progress=stop)
    assert not watchers()
    assert torch.equal(answer(tiny, RUN), before)


def test_dead_hooks_raise(fresh, word_tokenizer, monkeypatch):
    model = load_model(fresh("gpt2"), word_tokenizer())
    with pytest.raises(InterventionError, match="the patch of L1 never fired: no model ran"), patch(model, "L1", OTHER):
        pass
    from interp.interventions import patch_grid as module

    class Dead(module.Put):
        def at(self, point, seen):
            return None

    monkeypatch.setattr(module, "Put", Dead)
    with pytest.raises(InterventionError, match="never fired: its hook is dead"):
        patch_grid(model, RUN, OTHER, answers=7)
    hooks.detach(model.hf)
    with pytest.raises(KeyError, match="resid_pre"), patch(model, "L1", OTHER):
        raise AssertionError("the block ran")


def test_what_changes_nothing_raises(tiny_named):
    model = tiny_named("gpt2").model
    with pytest.raises(InterventionError, match="the patch of L1 changed nothing: the text that ran has there"), patch(model, "L1", RUN):
        model.run(torch.tensor([tiny_named("gpt2").examples([RUN])[0].ids]))
    with pytest.raises(InterventionError, match="changed nothing"), patch(model, "L1", OTHER, at=[0, 1]):
        model.run(torch.tensor([tiny_named("gpt2").examples([RUN])[0].ids]))
    with pytest.raises(InterventionError, match="no patch would change anything"):
        patch_grid(model, RUN, RUN, answers=7)
    with pytest.raises(TextError, match="both texts leave the same stream at position 1"):
        patch_grid(model, RUN, OTHER, pos=1)


def test_lengths_are_checked(tiny_named):
    tiny = tiny_named("gpt2")
    with pytest.raises(InterventionError, match="the text that runs has 7 tokens, the one to patch from has 4"):  # noqa: SIM117
        with patch(tiny.model, "L1", "the old dog saw"):
            answer(tiny, RUN)
    with pytest.raises(TextError, match=r"to patch from has 4: the\|old\|man\|saw\|a\|dog\|by and the\|old\|dog\|saw"):
        patch_grid(tiny.model, RUN, "the old dog saw", answers=7)
    with pytest.raises(InterventionError, match="no key-value cache"), patch(tiny.model, "L1", OTHER):
        tiny.model.hf.generate(torch.tensor([tiny.examples([RUN])[0].ids]), max_new_tokens=2, do_sample=False)
    paired = tiny_named("t5")  # only the rows of what is patched must be alike
    with patch(paired.model, "DL1", ("the", TARGETS[1])):
        answer(paired, (RUN, TARGETS[0]))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"what": "values"}, SiteError, "what='values' came; expected one of: stream, attention, FFN, heads"),
        ({"answers": (1, 2, 3)}, TextError, "expected one token id, two, or None"),
        ({"answers": "dog"}, TextError, "expected one token id, two, or None"),
        ({"answers": 99}, TextError, "token id 99 came"),
        ({"pos": 7}, TextError, "position 7 came; this text has positions 0-6"),
        ({"at": [9]}, DataError, "position 9 came; the text to patch from has positions 0-6"),
        ({"at": []}, DataError, "position none came"),
        ({"what": "heads", "at": [1]}, DataError, "which are patched at all tokens; expected at=None"),
        ({"stack": "E"}, SiteError, "stack 'E': this model has ''"),
    ],
)
def test_what_a_grid_refuses(tiny_named, given, error, message):
    with pytest.raises(error, match=message):
        inspect.unwrap(patch_grid)(tiny_named("gpt2").model, RUN, OTHER, **given)


@pytest.mark.parametrize(
    ("site", "error", "message"),
    [
        ("L9", SiteError, "L9: expected the stream of a layer, 0-1"),
        ("L0E1", SiteError, "is an expert, which the router chooses anew"),
        ("L0H9", SiteError, "this model has heads 0-3"),
        ("dog", SiteError, "is not a site"),
        ([], InterventionError, "no site was named"),
    ],
)
def test_what_a_patch_refuses(tiny_named, site, error, message):
    with pytest.raises(error, match=message), patch(tiny_named("mixtral").model, site, OTHER):
        raise AssertionError("the block ran")


def test_a_position_that_is_none(tiny_named):
    with pytest.raises(DataError, match="at='first' came; expected a position"):
        positions_at("first", 7)
    with pytest.raises(SiteError, match="of 'E' or 'D'"), patch(tiny_named("t5").model, "XL0", ("a", "b")):
        raise AssertionError("the block ran")


def test_models_that_lack_what_is_asked(tiny_named):
    with pytest.raises(CheckFailed, match="has no trained token-predicting head"):
        patch_grid(tiny_named("gpt2-bare").model, RUN, OTHER, answers=7)
    with pytest.raises(SiteError, match="has no FFN to patch"):
        patch_grid(tiny_named("attention-only").model, RUN, OTHER, what="FFN", answers=7)


def test_a_layer_stands_for_its_stream(tiny_named):
    assert place_of(patchable(tiny_named("t5").model.anatomy, "DL1")[0]) == ("resid_pre", 1, "D")
