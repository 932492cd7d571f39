"""The self-check passes on sound models of every form, each of its checks catches what it is for, and what it disables is refused by name.

The defects are planted in `planted_defects`, each with the checks that must catch it; any other check that fails is a mistake of its own.
"""

import dataclasses
from typing import get_args

import pytest
import torch
import transformers
from checked import with_checks
from planted_defects import DEFECTS
from planted_defects.lying_hooks import edits_while_watched
from planted_defects.table import (
    BATCHING,
    EDGES,
    EDIT_INPUTS,
    FUSED,
    LOGIT,
    MADE,
    MASKED,
    MEMORY,
    NEURONS,
    OUTPUT,
    PADDING,
    PROJECTED,
    READS,
    ROUTED,
    RUN,
    Defect,
    full,
    sound,
)
from tiny_families import GPT2

from interp.captures.corpus import pattern_statistics
from interp.captures.corpus.heads import HeadMeans
from interp.captures.corpus.neurons import NeuronMoments
from interp.captures.corpus.pattern_statistics import STATISTICS
from interp.captures.corpus.stream import stream
from interp.captures.prompt import capture
from interp.checks import additions, edits
from interp.checks.bench import bench
from interp.checks.report import Finding, Report
from interp.checks.selfcheck import CHECKS, FEATURES, check, never_there
from interp.core.errors import CheckFailed, InterpError
from interp.interventions.ablate import ablate
from interp.interventions.knock_out import knock_out
from interp.models import attention as attention_module
from interp.models.load import load_model
from interp.models.points import Kind

TEXT = "the old man saw a dog"
NAMES = {one.name for one in CHECKS}


def failed(report: Report) -> set[str]:
    return {finding.name for finding in report.findings if not finding.passed}


def shown(report: Report) -> list[str]:
    return [str(finding) for finding in report.findings if not finding.passed]


# Sound models.


def test_sound_models_pass_every_check_and_stay_as_they_were(family):
    model, rows = family.model, family.rows()
    before, state = model.run(**rows), torch.random.get_rng_state()
    report = check(model)
    assert torch.equal(model.run(**rows), before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert report.passed, shown(report)
    assert report.fingerprint == family.model.fingerprint
    assert len(report.findings) >= 12
    assert report.elapsed_s < 5.0


HAVE = {  # check -> forms in which there is something to check, and forms in which there is not
    "masked": ("gpt2 t5 gpt-oss", "bert distilbert ffn-only"),
    "patterns are": ("gpt2 bert bart", "ffn-only"),
    "neurons add": ("gpt2 t5 mixtral", "attention-only"),
    "an edit of neurons": ("gpt2 deepseek-v3 switch", "mixtral attention-only"),
    "an edit of the routing": ("mixtral deepseek-v3 switch", "gpt2 t5"),
    "experts are": ("mixtral gpt-oss", "gpt2 bart"),
    "cross": ("t5 bart m2m100", "gpt2 bert"),
    "the final": ("gpt2 t5 m2m100", "bert bart opt-post-norm"),
    "contributions": ("gpt2 t5 bart gemma2-uncapped", "bert gpt2-bare t5-bare gemma2 opt-projected"),
}


@pytest.mark.parametrize("name", HAVE)
def test_a_check_is_made_where_there_is_something_to_check(tiny_named, name):
    (one,) = [one for one in CHECKS if one.name.startswith(name)]
    there, not_there = ([one.applies(tiny_named(form).model.anatomy) for form in forms.split()] for forms in HAVE[name])
    assert all(there)
    assert not any(not_there)


def test_the_bundled_model_passes_in_under_a_second():
    model = load_model()
    check(model)
    report = check(model)
    assert report.passed, shown(report)
    assert report.elapsed_s < 2.0  # 0.2 s on an idle core; a busy machine is given time


def test_minilm_passes_all_but_what_it_never_had(minilm):
    assert set(minilm.disabled) == {"contributions", "experts"}


@pytest.mark.parametrize("form", ["bert", "gpt2"])
def test_a_model_whose_patterns_were_asked_for_before_it_was_loaded_passes(fresh, word_tokenizer, form):
    """transformers records patterns by hooks that it puts on once, and marks the model; a copy without hooks had the mark."""
    hf = fresh(form)
    hf.set_attn_implementation("eager")
    hf(torch.tensor([[5, 6, 7]]), output_attentions=True)
    report = check(load_model(hf, word_tokenizer()))
    assert report.passed, shown(report)


def test_a_mixture_whose_experts_are_full_passes(fresh, word_tokenizer, monkeypatch):
    """Tokens that a full expert of Switch turns away are written nothing, whatever they read; taken for like tokens they would not pass."""
    hf = fresh("switch")
    for router in [module for module in hf.modules() if hasattr(module, "expert_capacity")]:
        router.expert_capacity = 2
    model = load_model(hf, word_tokenizer())
    assert check(model).passed, shown(check(model))
    monkeypatch.setattr(edits._SameInput, "kinds", frozenset({"mlp_in", "mlp_out"}))
    assert failed(check(model)) == {full(EDIT_INPUTS)}


def test_the_text_has_what_each_check_needs(tiny_named):
    for name in ("gpt2", "bert", "t5"):
        shared = bench(tiny_named(name).model)
        rows = [shared.ids] if shared.target is None else [shared.ids, shared.target]
        for row in rows:
            n = row.shape[1]
            assert torch.equal(row[0, n - n // 3 :], row[0, : n // 3])  # induction has something to copy
            assert (row != 1).all()  # no padding
        assert shared.target is None or shared.target.shape != shared.ids.shape  # the stacks cannot be taken for one another
        assert shared.ids.shape[1] > 4  # longer than the tiny forms' sliding windows


# Broken models.


@pytest.mark.parametrize(("one", "form"), [pytest.param(one, form, id=f"{one.name}-{form}") for one in DEFECTS for form in one.forms])
def test_a_planted_defect_is_caught_by_the_check_meant_for_it(monkeypatch, one: Defect, form: str):
    report = check(one.plant(form, monkeypatch))
    assert one.caught_by <= failed(report), shown(report)
    assert failed(report) <= one.caught_by | one.follows, shown(report)


def test_every_check_has_a_planted_defect():
    assert set().union(*(one.caught_by for one in DEFECTS)) == NAMES | {RUN}


def test_checks_that_no_other_can_stand_in_for():
    """Some defect is caught by each of these alone."""
    alone = {name for one in DEFECTS if len(one.caught_by) == 1 and not one.follows for name in one.caught_by}
    assert {
        full(name) for name in (MASKED, NEURONS, PROJECTED, MADE, ROUTED, READS, MEMORY, FUSED, LOGIT, EDGES, PADDING, BATCHING)
    } <= alone


FLOWS = {
    "llama": "attn_in z attn_out up gate post mlp_out resid_pre ln_final",
    "bert": "resid_mid resid_post mlp_in",
    "t5": "memory",
    "mixtral": "expert_weights",
}


@pytest.mark.parametrize(("form", "kind"), [(form, kind) for form, kinds in FLOWS.items() for kind in kinds.split()])
def test_a_hook_that_changes_what_flows_only_while_it_is_looked_at_is_caught(monkeypatch, form, kind):
    report = check(edits_while_watched(kind, form, monkeypatch))
    assert full(OUTPUT) in failed(report)
    assert set(report.disabled) == set(FEATURES)


def test_induction_is_checked_in_a_large_vocabulary_as_well(word_tokenizer, monkeypatch):
    """Twelve random tokens out of thousands hold no repetition; a check on them would compare nothing with nothing."""
    config = transformers.GPT2Config(**{**GPT2, "vocab_size": 20_000})
    model = load_model(transformers.GPT2LMHeadModel(config), word_tokenizer())
    assert check(model).passed
    monkeypatch.setattr(additions, "STATISTICS", {**STATISTICS, "induction": lambda one: STATISTICS["induction"](one) + 0.1})
    assert failed(check(model)) == {full(FUSED)}


def test_a_check_that_breaks_is_a_check_that_fails(monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("no kernel for this")

    model = sound("llama")
    monkeypatch.setattr(pattern_statistics, "sweep", broken)
    report = check(model)
    assert failed(report) == {full(FUSED)}
    assert "RuntimeError: no kernel for this" in report.disabled["patterns"]
    monkeypatch.setattr(type(model), "run", broken)
    report = check(model)
    assert [finding.name for finding in report.findings] == ["run"]
    assert set(report.disabled) == set(FEATURES)


def test_nan_is_not_within_a_tolerance():
    finding = Finding(name="x", value=float("nan"), tolerance=1.0, unit="1", features=("patterns",))
    assert not finding.passed
    assert dataclasses.replace(finding, value=1.0).passed
    assert not dataclasses.replace(finding, value=None, problem="ValueError: y").passed
    assert dataclasses.replace(finding, value=2.0).passed is False


# What is disabled.


def test_every_check_disables_something_and_every_feature_rests_on_a_check():
    assert all(one.features for one in CHECKS)
    assert {feature for one in CHECKS for feature in one.features} == set(FEATURES)
    assert {feature for one in CHECKS if one.name != full(OUTPUT) for feature in one.features} == set(FEATURES)


def _enter(block):
    with block:
        pass


CALLS = {  # call -> the features that it rests on
    "capture": ({"capture"}, lambda model, seen: capture(model, TEXT)),
    "pattern": ({"patterns"}, lambda model, seen: seen.pattern("L0H0")),
    "moved pattern": ({"patterns"}, lambda model, seen: seen.pattern("L0H0", "moved")),
    "head_map": ({"patterns"}, lambda model, seen: seen.head_map("entropy")),
    "value_norms": ({"patterns"}, lambda model, seen: seen.value_norms(0)),
    "tensor of a pattern": ({"patterns"}, lambda model, seen: seen.tensor("pattern", 0)),
    "heads over a corpus": ({"capture", "patterns"}, lambda model, seen: stream(model, [seen.example], [HeadMeans()])),
    "neurons": ({"neurons"}, lambda model, seen: seen.neurons(0)),
    "up": ({"neurons"}, lambda model, seen: seen.neurons(0, part="up")),
    "tensor of neurons": ({"neurons"}, lambda model, seen: seen.tensor("post", 0)),
    "experts": ({"experts"}, lambda model, seen: seen.experts(1)),
    "router": ({"experts"}, lambda model, seen: seen.experts(1, weights=False)),
    "expert_load": ({"experts"}, lambda model, seen: seen.expert_load(1)),
    "shared_neurons": ({"experts", "stream"}, lambda model, seen: seen.shared_neurons(1)),
    "expert_neurons": ({"experts", "stream"}, lambda model, seen: seen.expert_neurons("L1E0")),
    "stream": ({"stream"}, lambda model, seen: seen.stream("resid_post")),
    "what attention writes": ({"stream"}, lambda model, seen: seen.stream("attn_out")),
    "tensor of z": ({"stream"}, lambda model, seen: seen.tensor("z", 1)),
    "contributions": ({"contributions", "stream"}, lambda model, seen: seen.contributions("dog")),
    "ablate": ({"ablation"}, lambda model, seen: _enter(ablate(model, "L0H0", how="zero"))),
    "ablate neurons": ({"ablation"}, lambda model, seen: _enter(ablate(model, "L0N0", how="mean", over=TEXT))),
    "ablate experts": ({"ablation"}, lambda model, seen: _enter(ablate(model, "L1E0", how="zero"))),
    "knock_out": ({"knock-out"}, lambda model, seen: _enter(knock_out(model, "L0H0", [(1, 0)]))),
}
NEURONS_OVER_A_CORPUS = ({"capture", "neurons"}, lambda model, seen: stream(model, [seen.example], [NeuronMoments()]))


def _refuses(call, model, seen, feature: str) -> bool:
    """Whether a call is refused for this feature's sake; that a block in which nothing ran raises is another matter."""
    try:
        call(model, dataclasses.replace(seen, model=model))
    except InterpError as error:
        refused = f"{feature} is disabled, since the self-check failed: a figure" in str(error)
        if not refused and "never fired" not in str(error):
            raise
        return refused
    return False


@pytest.mark.parametrize("feature", FEATURES)
def test_what_is_disabled_is_refused_by_name_and_nothing_else_is(tiny_named, feature):
    """DeepSeek has all there is: heads, dense neurons, experts, a linear readout; Llama neurons in every layer."""
    calls = {"deepseek-v3": CALLS, "llama": {"neurons over a corpus": NEURONS_OVER_A_CORPUS}}
    for form, named in calls.items():
        whole = dataclasses.replace(tiny_named(form).model, disabled={})
        seen = capture(whole, TEXT, keep=get_args(Kind))
        assert not any(_refuses(call, whole, seen, feature) for _, call in named.values())
        broken = dataclasses.replace(whole, disabled={feature: "the self-check failed: a figure"})
        refused = {name for name, (_, call) in named.items() if _refuses(call, broken, seen, feature)}
        assert refused == {name for name, (rests_on, _) in named.items() if feature in rests_on}


NEVER = {
    "gpt2": {"experts"},
    "bert": {"experts", "contributions"},
    "gemma2": {"experts", "contributions"},
    "mixtral": {"neurons"},
    "deepseek-v3": set(),
    "attention-only": {"experts", "neurons"},
    "ffn-only": {"experts", "patterns", "knock-out"},
    "t5-bare": {"experts", "contributions"},
}


@pytest.mark.parametrize("form", NEVER)
def test_what_a_model_cannot_have_is_refused_with_its_own_reason(tiny_named, form):
    model = tiny_named(form).model
    assert set(model.disabled) == NEVER[form]
    assert model.disabled == never_there(model.anatomy)
    for feature in NEVER[form]:
        with pytest.raises(CheckFailed, match=f"{feature} is disabled, since"):
            model.require(feature)


def test_loading_with_checks_disables_what_failed(monkeypatch):
    assert "patterns" not in with_checks(sound("llama")).disabled
    true = attention_module.AttentionCall.pattern
    monkeypatch.setattr(attention_module.AttentionCall, "pattern", lambda call: true(call).flip(1))
    checked = with_checks(sound("llama"))
    assert {"patterns", "experts"} == set(checked.disabled)  # Llama never had experts
    with pytest.raises(CheckFailed, match="patterns is disabled, since the self-check failed: patterns are the plain model's"):
        capture(checked, TEXT).pattern("L0H0")


def test_disabled_features_do_not_hide_the_model_from_its_own_check():
    """A model that refuses everything is checked like any other."""
    model = dataclasses.replace(sound("llama"), disabled=dict.fromkeys(FEATURES, "a reason"))
    assert check(model).passed
