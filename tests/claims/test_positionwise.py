"""S1-01: models whose FFN is position-wise, one whose FFN is not, and one on which the test could not have seen it."""

import json

import pytest
import torch

from interp.claims.judge import judge
from interp.claims.verdict import Verdict
from interp.core.errors import CheckFailed, ClaimError
from interp.models.load import load_model


class Mixing(torch.nn.Module):
    """An activation that also looks at other positions: between what the FFN reads (its first projection) and writes (its last)."""

    def __init__(self, act, mixed):
        super().__init__()
        self.act, self.mixed = act, mixed

    def forward(self, x):
        return self.act(x) + self.mixed(x)


HOLDS = ["gpt2", "neox", "neox-serial", "llama", "bert", "bert-bare", "opt", "opt-post-norm", "distilbert", "phi3", "own"]
GATED = ["llama", "mistral-window", "qwen2", "qwen3", "gemma2", "gemma3"]
MIXTURES = ["mixtral", "qwen2-moe", "qwen3-moe", "olmoe", "gpt-oss", "deepseek-v2", "deepseek-v3"]


@pytest.mark.parametrize("name", sorted({*HOLDS, *GATED, *MIXTURES}))
def test_supported_where_it_holds(tiny_named, name):
    verdict = judge("S1-01", tiny_named(name).model)
    assert (verdict.outcome, verdict.reason) == ("supported", "")
    assert all(one.estimate <= 1e-5 for one in verdict.evidence)
    assert all(control.value >= 1e-3 for control in verdict.controls)
    assert verdict.badges.causal is True
    assert verdict.badges.observational is None


@pytest.mark.parametrize("mixed", [lambda x: 0.01 * x.mean(1, keepdim=True), lambda x: 0.01 * x[:, :1]], ids=["mean", "first"])
def test_refuted_when_the_ffn_of_one_layer_mixes_positions(fresh, word_tokenizer, mixed):
    hf = fresh("gpt2")
    assert judge("S1-01", load_model(hf, word_tokenizer())).outcome == "supported"
    hf.transformer.h[1].mlp.act = Mixing(hf.transformer.h[1].mlp.act, mixed)
    verdict = judge("S1-01", load_model(hf, word_tokenizer()))
    assert (verdict.outcome, verdict.reason) == ("refuted", "")
    assert max(one.estimate for one in verdict.evidence) > 1e-4


def test_refuted_when_an_expert_mixes_positions(fresh, word_tokenizer):
    hf = fresh("mixtral")
    assert judge("S1-01", load_model(hf, word_tokenizer())).outcome == "supported"
    hf.model.layers[1].mlp.register_forward_hook(lambda module, args, out: out + 0.01 * out.mean(1, keepdim=True))
    verdict = judge("S1-01", load_model(hf, word_tokenizer()))
    assert (verdict.outcome, verdict.reason) == ("refuted", "")


def test_inconclusive_when_the_control_cannot_fail(fresh, word_tokenizer):
    """W_V zero: attention writes its bias whatever it reads. Then nothing shows that the test would see mixing."""
    hf = fresh("gpt2")
    for block in hf.transformer.h:
        block.attn.c_attn.weight.data[:, 32:] = 0.0
    verdict = judge("S1-01", load_model(hf, word_tokenizer()))
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_failed")
    assert verdict.controls[0].value < 1e-6  # the order of the sums
    assert not verdict.controls[0].passed
    assert "NOT as it must" in str(verdict)


def test_a_number_that_is_not_finite_is_refused_wherever_it_is(fresh, word_tokenizer):
    """nan in the last layer only: a maximum over layers would have lost it."""
    hf = fresh("gpt2")
    hf.transformer.h[1].mlp.c_proj.bias.data[0] = torch.nan
    with pytest.raises(CheckFailed, match="not finite"):
        judge("S1-01", load_model(hf, word_tokenizer()))


def test_half_precision_is_refused_rather_than_refuted_by_rounding(fresh, word_tokenizer):
    with pytest.raises(ClaimError, match="bfloat16, which rounds by more than the tolerance 1e-05; load it in float32"):
        judge("S1-01", load_model(fresh("gpt2").bfloat16(), word_tokenizer()))


def test_the_same_seed_gives_the_same_bytes_and_json_goes_both_ways():
    model = load_model("tales")
    first, second = judge("S1-01", model, seed=3), judge("S1-01", model, seed=3)
    assert first.untimed().to_json() == second.untimed().to_json()
    assert first.elapsed_s > 0
    assert first.date
    assert Verdict.from_json(first.to_json()) == first
    assert Verdict.from_json(first.to_json()).to_json() == first.to_json()
    assert {name for name, value in json.loads(first.to_json()).items() if value != json.loads(first.untimed().to_json())[name]} == {
        "elapsed_s",
        "date",
    }


def test_the_paragraph_has_the_numbers_and_what_it_does_not_show(tiny_named):
    verdict = judge("S1-01", tiny_named("llama").model)
    told = str(verdict)
    for one in verdict.evidence:
        assert f"{one.estimate:.2e}" in told
    for one in verdict.controls:
        assert f"{one.value:.3g}" in told
    assert f"It does not show: {verdict.claim['does_not_show']}" in told
    assert told.startswith("S1-01 SUPPORTED on ")
    assert "not yet replicated" in told
