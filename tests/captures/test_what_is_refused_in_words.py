"""What a user may mistype, or hand over in another form, ends in an error that says what came and what was expected, or just works.

Tests check types; users do not: `untyped` is the function as a user's process has it.
"""

import inspect
import re

import numpy as np
import pytest
import torch

from interp.captures import prompt
from interp.captures.activations import Activations
from interp.captures.prompt import capture
from interp.core.errors import DataError, InterventionError, SiteError, TextError
from interp.core.sites import Site
from interp.interventions.ablate import ablate
from interp.interventions.effects import effect
from interp.interventions.knock_out import knock_out
from interp.texts import tokens

TEXT = "by the sea the old dog saw a man and the man saw"
untyped = inspect.unwrap


@pytest.fixture
def seen(tiny_named) -> Activations:
    return capture(tiny_named("llama").model, TEXT)


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("pattern", {"head": "L0H0", "form": "bogus"}, "form='bogus' came; expected one of: raw, moved, without_first"),
        ("pattern", {"head": 5}, "5 is not a site; expected the form L5H1"),
        ("pattern", {"head": Site(layer=-1, kind="head", index=0)}, "L-1H0: this model has layers 0-1"),
        ("pattern", {"head": Site(layer=0, kind="head", index=-1)}, "L0H-1: this model has heads 0-3"),
        ("neurons", {"layer": 0, "part": "bogus"}, "part='bogus' came; expected one of: post, up, gate"),
        ("neurons", {"layer": "L0"}, "layer L0: this model has layers 0-1"),
        ("neurons", {"layer": None}, "layer None: this model has layers 0-1"),
        ("tensor", {"kind": "patterns", "layer": 0}, "'patterns' is no kind of point; expected one of: resid_pre"),
        ("tensor", {"kind": "z", "layer": 1.0}, "layer 1.0: this model has layers 0-1"),
    ],
)
def test_places_and_forms_that_do_not_exist_are_refused(seen, method, given, message):
    with pytest.raises(SiteError, match=re.escape(message)):
        untyped(getattr(Activations, method))(seen, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"token": 9_999_999}, "token id 9999999 came; LlamaForCausalLM has ids 0-30"),
        ({"token": -1}, "token id -1 came; LlamaForCausalLM has ids 0-30"),
        ({"token": None}, "None came as a token; expected a word of one token, or a token id"),
        ({"token": 2.0}, "2.0 came as a token; expected a word"),
        ({"token": "dog", "against": 31}, "token id 31 came"),
        ({"token": ""}, "'' is not one token here but none; expected a single token"),
        ({"token": "old dog"}, "'old dog' is not one token here but 'old' + 'dog'"),
        ({"token": "dog", "pos": 99}, "position 99 came; this text has positions 0-12"),
        ({"token": "dog", "pos": "end"}, "position end came; this text has positions 0-12"),
    ],
)
def test_contributions_refuse_what_is_no_token_or_no_place(seen, given, message):
    with pytest.raises(TextError, match=re.escape(message)):
        untyped(Activations.contributions)(seen, **given)


def test_whole_numbers_of_numpy_and_torch_are_token_ids_and_places(seen):
    plain = seen.contributions(7, pos=3, against=9)
    for kind in (np.int64, np.uint8, torch.tensor):
        other = seen.contributions(kind(7), pos=kind(3), against=kind(9))
        np.testing.assert_array_equal(other, plain)
        assert other.attrs == plain.attrs
    np.testing.assert_array_equal(seen.contributions(7, pos=-1), seen.contributions(7, pos=len(seen.example) - 1))


def test_one_kind_to_keep_may_stand_alone(tiny_named):
    model = tiny_named("llama").model
    one, listed = capture(model, TEXT, keep="post"), capture(model, TEXT, keep=["post"])
    assert set(one.arrays) == set(listed.arrays) == {"blocks.0.mlp.hook_post", "blocks.1.mlp.hook_post"}
    for keep, shown in {"neurons": "['neurons']", ("pattern", "neurons"): "['neurons']", 5: "[5]"}.items():
        with pytest.raises(SiteError, match=re.escape(f"keep={shown} came; expected kinds out of: resid_pre")):
            untyped(capture)(model, TEXT, keep=keep)


@pytest.mark.parametrize("window", [True, False])
def test_a_pair_as_the_text_is_told_of_target(tiny_named, window, monkeypatch):
    model = tiny_named("t5").model
    for module, names in {prompt: "_example tokenize windows", tokens: "_whole _encoded"}.items():
        for name in names.split():
            monkeypatch.setattr(module, name, untyped(getattr(module, name)))
    for pair in ((TEXT, "she said nothing"), [TEXT], 7, None):
        with pytest.raises(TextError, match=rf"a {type(pair).__name__} came as a text; expected a str .*target="):
            untyped(capture)(model, pair, window=window)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ((7,), "answers=(7,) came; expected two token ids"),
        ((7, 8, 9), "answers=(7, 8, 9) came; expected two token ids"),
        (7, "answers=7 came; expected two token ids"),
        ("he", "answers='he' came; expected two token ids"),
        (("he", "she"), "answers=('he', 'she') came; expected two token ids"),
        ((7, 31), "token id 31 came; LlamaForCausalLM has ids 0-30"),
        ((-1, 7), "token id -1 came"),
        ((7, None), "None came as a token"),
    ],
)
def test_answers_that_are_not_two_tokens_are_refused_before_anything_runs(tiny_named, answers, message):
    def never():
        raise AssertionError("the block ran")

    with pytest.raises(TextError, match=re.escape(message)):
        untyped(effect)(tiny_named("llama").model, TEXT, never, answers=answers)


def test_answers_may_be_numpys_numbers(tiny_named):
    model = tiny_named("llama").model
    changes = [
        effect(model, TEXT, lambda: ablate(model, "L0H0", how="zero"), answers=answers).logit_difference
        for answers in ((7, 9), (np.int64(7), np.int64(9)))
    ]
    assert changes[0] == changes[1] != 0


def test_a_site_is_as_good_as_its_name(tiny_named, seen):
    model, ids = tiny_named("llama").model, torch.tensor([[4, 5, 6, 7, 8]])
    head = Site(layer=0, kind="head", index=1)
    for sites in (head, [head], ["L0H1", head], Site(layer=0, kind="neuron", index=2)):
        named = [str(site) for site in ([sites] if isinstance(sites, Site) else sites)]
        with ablate(model, sites, how="zero"):
            by_site = model.run(ids)
        with ablate(model, named, how="zero"):
            assert torch.equal(model.run(ids), by_site)
    with knock_out(model, head, [(3, 1)]):
        by_site = model.run(ids)
    with knock_out(model, "L0H1", [(3, 1)]):
        assert torch.equal(model.run(ids), by_site)
    assert seen.pattern(head).identical(seen.pattern("L0H1"))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"sites": 5}, SiteError, "5 is not a site; expected the form L5H1"),
        ({"sites": None}, SiteError, "None is not a site"),
        ({"sites": ["L0H0", 3]}, SiteError, "3 is not a site"),
        ({"sites": Site(layer=2, kind="head", index=0)}, SiteError, "L2H0: this model has layers 0-1"),
        ({"sites": Site(layer=0, kind="layer")}, SiteError, "L0 is a whole layer"),
        ({"sites": []}, InterventionError, "no site was named"),
        ({"sites": "L0H0", "how": "mean", "over": 5}, DataError, "over=5 came; expected texts"),
    ],
)
def test_what_is_no_site_and_no_text_is_refused_before_the_block(tiny_named, given, error, message):
    with pytest.raises(error, match=re.escape(message)):
        next(untyped(ablate)(tiny_named("llama").model, **{"how": "zero", **given}))
