"""Models without something against models with it: costs as a naive loop has them, planted differences found, seeds as the null."""

import numpy as np
import pytest
import torch

from interp.claims.claim import parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import models_compared
from interp.core.errors import ClaimError
from interp.models.load import load_model
from interp.texts.grammar.generate import generate

PAIR = {"without": ["small-attn"], "with_it": ["small", "small-2"]}


def claim(**test):
    about = {"id": "own", "statement": "Not without.", "kind": ["train"], "quantifier": "all", "scope": "bundled"}
    fields = {"protocol": "models_compared", **PAIR, "nats": 0.02, "nats_source": "a test", **test}
    return parse_claim({**about, "does_not_show": "more.", "test": fields}, "a test")


@pytest.fixture(scope="module")
def sentences():
    return list(generate(90, seed=5, split="confirmation"))


@pytest.fixture
def planted(monkeypatch):
    """Costs written down: noise that all models share, and what each model costs more."""

    def plant(**more):
        def cost(self, model):
            n = len(self.texts.examples)
            shared = np.random.default_rng(0).normal(4, 1, n)
            own = np.random.default_rng(len(model.name)).normal(0, 0.01, n)
            return shared + own + (3 if "untrained" in model.name else more.get(model.name.replace("-", "_"), 0.0))

        monkeypatch.setattr(models_compared._Compared, "cost", cost)

    return plant


@pytest.mark.parametrize(
    ("more", "outcome", "reason"),
    [
        ({"small_attn": 0.1}, "supported", ""),
        ({"small_attn": 0.0}, "refuted", ""),
        ({"small_attn": -0.1}, "refuted", ""),
        ({"small_attn": 0.2, "small_2": 0.1}, "inconclusive", "null_also_passes"),
    ],
)
def test_planted_differences(planted, sentences, more, outcome, reason):
    planted(**more)
    verdict = judge(claim(), load_model("small"), sentences)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert (verdict.model, verdict.fingerprint) == ("small-attn against small, small-2", "")
    assert verdict.evidence[0].n_clusters > 60  # sentences of eight tokens and more


def test_one_seed_has_no_null_and_no_verdict_for_it(planted, sentences):
    planted(small_attn=0.1)
    verdict = judge(claim(with_it=["small"]), load_model("small"), sentences)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "null_not_run")
    planted(small_attn=0.0)
    assert judge(claim(with_it=["small"]), load_model("small"), sentences).outcome == "refuted"


def test_costs_are_those_of_a_naive_loop_whatever_the_model_at_hand(sentences):
    model = load_model("small")
    verdict = judge(claim(n_tokens=8), model, sentences)
    naive = []
    for sentence in sentences:
        ids = model.tokenizer(sentence.text, return_tensors="pt")["input_ids"][:, :8]
        if ids.shape[1] >= 8:
            with torch.no_grad():
                logits = model.hf(ids).logits[0, :-1].log_softmax(-1)
            naive.append(-float(logits.gather(1, ids[0, 1:, None]).mean()))
    assert verdict.rows["small"][0] == pytest.approx(np.mean(naive), abs=1e-4)
    assert {control.kind for control in verdict.controls} == {"null", "positive"}
    assert verdict.data["small-2"] == load_model("small-2").fingerprint
    assert plan(claim(n_tokens=8), model, sentences).n_clusters == verdict.evidence[0].n_clusters


def test_what_cannot_be_compared_is_told(sentences):
    with pytest.raises(ClaimError, match="en-zh have other tokens than small-attn"):
        judge(claim(with_it=["small", "en-zh"]), load_model("small"), sentences)
    with pytest.raises(ClaimError, match="expected each model once"):
        claim(with_it=["small", "small-attn"])
