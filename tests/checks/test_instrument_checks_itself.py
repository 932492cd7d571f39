"""The self-check passes on sound models, and each of its checks catches what it is for; what it disables is refused by name."""

import dataclasses

import pytest
import torch

from interp.captures import fused
from interp.captures.prompt import capture
from interp.captures.reducers import HeadMeans, NeuronMoments
from interp.captures.stream import stream
from interp.checks import selfcheck
from interp.checks.report import Finding, Report
from interp.checks.selfcheck import check, with_checks
from interp.core.errors import CheckFailed
from interp.interventions.ablate import ablate
from interp.models import attention as attention_module
from interp.models.load import load_model

TEXT = "the old man saw a dog"
OUTPUT, PATTERNS, ROWS, MASKED = "output is the plain", "patterns are the plain", "pattern rows", "masked weights"
STREAM, FUSED, LOGIT, ABLATION, PADDING = "writes add up", "fused statistics", "contributions add up", "an ablation", "padding"


def failed(report: Report) -> set[str]:
    return {finding.name for finding in report.findings if not finding.passed}


def caught(report: Report, name: str) -> bool:
    return any(one.startswith(name) for one in failed(report))


def test_sound_models_pass_every_check(tiny):
    report = check(tiny.model)
    assert report.passed, [str(finding) for finding in report.findings if not finding.passed]
    assert report.fingerprint == tiny.model.fingerprint
    names = {finding.name for finding in report.findings}
    assert any(name.startswith(MASKED) for name in names) is not tiny.form.encoder
    assert any(name.startswith(LOGIT) for name in names) is not (tiny.form.encoder or tiny.form.headless)
    assert len(names) >= 7
    assert report.elapsed_s < 5.0


def test_the_check_leaves_the_model_as_it_was(tiny):
    ids = torch.tensor([[4, 5, 6, 7]])
    before, state = tiny.model.run(ids), torch.random.get_rng_state()
    check(tiny.model)
    assert torch.equal(tiny.model.run(ids), before)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_bundled_model_passes():
    report = check(load_model())
    assert report.passed, str(report)


def test_minilm_passes_all_but_what_it_never_had(minilm):
    assert set(minilm.disabled) == {"contributions"}


@pytest.fixture
def model(tiny, fresh, word_tokenizer):
    """A fresh instrument, which a test may break."""
    return load_model(fresh(tiny.name), word_tokenizer(encoder=tiny.form.encoder))


def test_attention_that_ignores_the_mask_is_caught(model, monkeypatch):
    def all_seen(call):
        return torch.ones(1, 1, call.query.shape[2], call.key.shape[2], dtype=torch.bool)

    monkeypatch.setattr(attention_module.AttentionCall, "seen", property(all_seen))
    report = check(model)
    assert (caught(report, MASKED) and caught(report, PATTERNS) and caught(report, OUTPUT)) is model.anatomy.causal
    assert caught(report, PADDING) is False  # nobody watches there: plain attention reads the mask


def test_weights_that_are_not_probabilities_are_caught(model, monkeypatch):
    true = attention_module._softmax
    monkeypatch.setattr(attention_module, "_softmax", lambda scores, seen: true(scores, seen) * 0.99)
    report = check(model)
    assert caught(report, ROWS)
    assert caught(report, PATTERNS)


def test_patterns_of_other_heads_are_caught_by_patterns_alone(model, monkeypatch):
    true = attention_module.AttentionCall.pattern
    monkeypatch.setattr(attention_module.AttentionCall, "pattern", lambda call: true(call)[:, [1, 0, 2, 3]])
    report = check(model)
    assert caught(report, PATTERNS)
    assert not caught(report, ROWS)
    assert not caught(report, OUTPUT)  # what flows on is right: only what is shown is not


def test_an_output_changed_after_we_saw_it_is_caught(model):
    model.module("attn_out", 1).register_forward_hook(lambda module, args, output: output * 1.1)
    report = check(model)
    assert caught(report, STREAM)
    assert caught(report, OUTPUT)
    assert {"stream", "contributions", "neurons", "ablation"} <= set(report.disabled)


@pytest.mark.parametrize("tiny", ["gpt2", "neox", "bert", "roberta"], indirect=True)
def test_a_write_that_the_stream_does_not_get_is_caught_by_the_stream_alone(tiny, fresh, word_tokenizer):
    """The plain model does it as well, so only the stream's own arithmetic can tell."""
    hf = fresh(tiny.name)
    block = next(
        module for name, module in hf.named_modules() if type(module).__name__ in ("GPT2MLP", "GPTNeoXMLP", "BertOutput", "RobertaOutput")
    )
    true = type(block).forward

    class Scaled(type(block)):
        def forward(self, *args):
            return true(self, *args) * 1.1

    block.__class__ = Scaled
    report = check(load_model(hf, word_tokenizer(encoder=tiny.form.encoder)))
    assert caught(report, STREAM)
    assert not caught(report, OUTPUT)


def test_norms_in_another_place_than_the_anatomy_says_are_caught(model):
    if model.anatomy.norms == "pre":
        other = dataclasses.replace(model.anatomy, norms="post")
        if model.anatomy.parallel:
            other = dataclasses.replace(model.anatomy, parallel=False, norms="post")
    else:
        other = dataclasses.replace(model.anatomy, norms="pre")
    report = check(dataclasses.replace(model, anatomy=other))
    assert caught(report, STREAM)
    assert "stream" in report.disabled
    assert not caught(report, OUTPUT)


def test_a_dead_z_hook_is_caught(model):
    for layer in range(2):
        model.module("attn_out", layer)._forward_pre_hooks.clear()
    report = check(model)
    assert caught(report, ABLATION)
    assert "ablation" in report.disabled


def test_a_z_hook_dead_in_one_layer_is_caught(model):
    model.module("attn_out", 1)._forward_pre_hooks.clear()
    assert caught(check(model), ABLATION)


def test_a_model_that_reads_its_padding_is_caught(model, tiny):
    blind = dataclasses.replace(model)
    true = type(model).run

    class Blind(type(model)):
        def run(self, ids, mask=None, *, logits=True):
            return true(self, ids, None, logits=logits)

    report = check(Blind(**{field.name: getattr(blind, field.name) for field in dataclasses.fields(blind)}))
    # A decoder never looks ahead, so padding on the right cannot reach it: nothing to catch there.
    assert caught(report, PADDING) is tiny.form.encoder
    assert ("capture" in report.disabled) is tiny.form.encoder


@pytest.mark.parametrize("statistic", sorted(fused.FUSED))
@pytest.mark.parametrize("tiny", ["gpt2", "mistral-window", "bert"], indirect=True)
def test_a_fused_statistic_that_is_not_the_patterns_is_caught(model, monkeypatch, statistic):
    true = fused.FUSED[statistic]
    for wrong in (lambda one: true(one) * 1.01 + 0.001, lambda one: true(one) * torch.nan):
        monkeypatch.setattr(selfcheck, "FUSED", {**fused.FUSED, statistic: wrong})
        report = check(model)
        assert failed(report) == {"fused statistics are the pattern's"}
        assert set(report.disabled) == {"patterns"}


def test_contributions_that_do_not_add_up_are_caught(decoder, monkeypatch):
    from interp.captures import components

    true = components.direct_logits
    monkeypatch.setattr(components, "direct_logits", lambda passed_on, direction: true(passed_on[:-1], direction))
    report = check(decoder.model)
    assert caught(report, LOGIT)
    assert set(report.disabled) == {"contributions"}


def test_nan_in_the_second_layer_is_not_passed_over(tiny, fresh, word_tokenizer):
    """max(0.1, nan) is 0.1: a check that says so would pass a model whose later layers are nan."""
    hf = fresh(tiny.name)
    with torch.no_grad():
        for name, parameter in hf.named_parameters():
            if ".1." in name and parameter.ndim == 2 and ("c_attn" in name or "query" in name or "q_proj" in name):
                parameter[0] = torch.nan
    report = check(load_model(hf, word_tokenizer(encoder=tiny.form.encoder)))
    for name in (OUTPUT, PATTERNS, STREAM):
        assert caught(report, name), name
    assert set(selfcheck.EVERYTHING) <= set(report.disabled)


def test_a_check_that_breaks_is_a_check_that_fails(model, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("no kernel for this")

    monkeypatch.setattr(attention_module.AttentionCall, "attend_to", broken)
    report = check(model)
    assert failed(report) == {"fused statistics are the pattern's"}
    assert "RuntimeError: no kernel for this" in report.disabled["patterns"]
    monkeypatch.setattr(type(model), "run", broken)
    report = check(model)
    assert [finding.name for finding in report.findings] == ["run"]
    assert set(report.disabled) == set(selfcheck.EVERYTHING)


def test_nan_is_not_within_a_tolerance():
    finding = Finding(name="x", value=float("nan"), tolerance=1.0, unit="1", features=("patterns",))
    assert not finding.passed
    assert dataclasses.replace(finding, value=1.0).passed
    assert not dataclasses.replace(finding, value=None, problem="ValueError: y").passed
    assert dataclasses.replace(finding, value=2.0).passed is False


REFUSED = {
    "capture": lambda model, seen: capture(model, TEXT),
    "patterns": lambda model, seen: [
        lambda: seen.pattern("L0H0"),
        lambda: seen.head_map("entropy"),
        lambda: seen.tensor("pattern", 0),
        lambda: seen.value_norms(0),
        lambda: stream(model, [seen.example], [HeadMeans()]),
    ],
    "neurons": lambda model, seen: [lambda: seen.neurons(0), lambda: stream(model, [seen.example], [NeuronMoments()])],
    "stream": lambda model, seen: [lambda: seen.stream("resid_post"), lambda: seen.stream("attn_out"), lambda: seen.tensor("mlp_out", 1)],
    "contributions": lambda model, seen: [lambda: seen.contributions("dog")],
    "ablation": lambda model, seen: [lambda: ablate(model, "L0H0", how="zero").__enter__()],
}


@pytest.mark.parametrize("feature", selfcheck.EVERYTHING)
def test_what_is_disabled_is_refused_everywhere_by_name(tiny_named, feature):
    sound = tiny_named("llama").model
    model = dataclasses.replace(sound, disabled={feature: "the self-check failed: a figure"})
    if feature == "capture":
        with pytest.raises(CheckFailed, match="capture is disabled, since the self-check failed: a figure"):
            capture(model, TEXT)
        return
    seen, whole = capture(model, TEXT), capture(sound, TEXT)
    for refused, allowed in zip(REFUSED[feature](model, seen), REFUSED[feature](sound, whole), strict=True):
        with pytest.raises(CheckFailed, match=f"{feature} is disabled, since the self-check failed: a figure"):
            refused()
        if feature != "ablation":
            allowed()


def test_loading_with_checks_disables_what_failed(model, monkeypatch):
    true = attention_module.AttentionCall.pattern
    assert "patterns" not in with_checks(model).disabled
    monkeypatch.setattr(attention_module.AttentionCall, "pattern", lambda call: true(call).flip(1))
    checked = with_checks(model)
    assert "patterns" in checked.disabled
    with pytest.raises(CheckFailed, match="patterns is disabled, since the self-check failed: patterns are the plain model's"):
        capture(checked, TEXT).pattern("L0H0")
