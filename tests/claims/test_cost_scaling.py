"""How cost grows: operations counted on what runs, a counter that misses something, seconds on a quiet, a noisy and a lying clock."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import cost_scaling
from interp.claims.protocols.parts import flops
from interp.claims.protocols.parts.flops import counted_flops, miscounted
from interp.claims.protocols.parts.model_shape import model_quantities
from interp.claims.protocols.parts.timings import exponents, interleaved_s
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError


def claim(**test) -> Claim:
    fields = {"id": "c", "statement": "x", "kind": ["arith"], "quantifier": "all", "scope": "any", "does_not_show": "more"}
    return parse_claim({**fields, "test": {"protocol": "cost_scaling", "measure": "flops", **test}}, "a test")


@pytest.fixture(scope="module")
def model():
    return interp.load()


DENSE = ["gpt2", "neox", "llama", "llama-wide-heads", "bert", "opt", "gemma2", "t5-gated", "bart", "own", "attention-only"]


@pytest.mark.parametrize("name", DENSE)
def test_every_part_is_counted_as_it_must_be(tiny_named, name):
    """2 for each multiplication and addition; both rows of an encoder-decoder have n tokens."""
    model, n = tiny_named(name).model, 8
    a, found = model.anatomy, counted_flops(model, n)
    width = {sublayer: a.stack(sublayer.stack).n_heads * a.stack(sublayer.stack).d_head for sublayer in a.attentions()}
    assert found["score_flops"] == sum(4 * n * n * heads for heads in width.values())
    keys = a.n_key_value_heads * a.d_head
    assert found["projection_flops"] == sum(4 * n * a.d_model * (heads + keys) for heads in width.values())
    neurons = sum(sublayer.n_neurons for sublayer in a.sublayers() if sublayer.kind == "mlp")
    assert found["ffn_flops"] == (6 if a.gated else 4) * n * a.d_model * neurons
    assert (found["lost_flops"], found["empty_parts"]) == (0, 0)
    assert found["total_flops"] > found["score_flops"] + found["projection_flops"] + found["ffn_flops"]


@pytest.mark.parametrize("name", ["gpt2", "llama", "llama-wide-heads", "bert", "own"])
def test_attention_overtakes_the_ffn_where_the_formula_says(tiny_named, name):
    model = tiny_named(name).model
    n = int(model_quantities(model)["overtaken_at"])
    assert n <= model.anatomy.n_ctx
    there = counted_flops(model, max(1, n))
    if n > 1:
        before = counted_flops(model, n - 1)
        assert before["score_flops"] + before["projection_flops"] <= before["ffn_flops"]
    assert there["score_flops"] + there["projection_flops"] > there["ffn_flops"]


def test_a_counter_that_does_not_know_fused_attention_is_found_out(model, monkeypatch):
    assert miscounted(torch.device("cpu")) == 0
    monkeypatch.setattr(flops, "_counter", lambda: FlopCounterMode(display=False))
    assert miscounted(torch.device("cpu")) == 4 * 2 * 16 * 16 * 8
    verdict = judge(claim(against="n_tokens", statement="score_flops == 0"), model)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_failed")


def test_a_part_that_the_counter_lost_does_not_refute(model, monkeypatch):
    found = flops._flops_at
    monkeypatch.setattr(flops, "_flops_at", lambda model, path, by_module: 0 if "mlp" in path else found(model, path, by_module))
    verdict = judge(claim(against="n_tokens", statement="ffn_flops == 4 * n_layers * n_tokens * d_model * d_ff"), model)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_failed")
    assert [control.passed for control in verdict.controls] == [True, False, False, True]
    assert verdict.controls[1].value == 4 * model.anatomy.n_layers


def test_an_exponent_that_another_power_fits_too_decides_nothing(model, monkeypatch):
    wide = judge(claim(against="n_tokens", of="score_flops", exponent=1.4, tolerance=0.9), model)
    assert (wide.outcome, wide.reason, round(wide.controls[-1].value, 6)) == ("inconclusive", "control_failed", 0.6)
    monkeypatch.setattr(cost_scaling, "exponents", lambda values, sizes: 2.0)
    blind = judge(claim(against="n_tokens", of="score_flops", exponent=2), model)
    assert (blind.reason, blind.controls[-1].passed) == ("control_failed", False)


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ({"against": "n_tokens", "of": "score_flops", "exponent": 2}, "supported"),
        ({"against": "n_tokens", "of": "projection_flops", "exponent": 1}, "supported"),
        ({"against": "n_tokens", "of": "total_flops", "exponent": 2}, "refuted"),
        ({"against": "d_head", "of": "score_flops", "exponent": 1}, "supported"),
        ({"against": "d_head", "of": "projection_flops", "exponent": 2}, "refuted"),
        ({"against": "n_heads", "of": "score_flops", "exponent": 0}, "supported"),
        ({"against": "n_heads", "of": "score_flops", "exponent": -1}, "refuted"),
        ({"against": "n_layers", "of": "ffn_flops", "exponent": 1}, "supported"),
        ({"against": "n_tokens", "statement": "ffn_flops == 4 * n_layers * n_tokens * d_model * d_ff"}, "supported"),
        ({"against": "n_tokens", "statement": "ffn_flops == 2 * n_layers * n_tokens * d_model * d_ff"}, "refuted"),
        ({"against": "n_tokens", "statement": "ffn_flops > score_flops + projection_flops"}, "supported"),
    ],
)
def test_exponents_and_statements(model, test, outcome):
    verdict = judge(claim(**test), model)
    assert (verdict.outcome, verdict.reason) == (outcome, "")
    assert all(control.passed for control in verdict.controls)
    assert (verdict.model == model.name) == (test["against"] == "n_tokens")


def test_a_statement_that_is_always_true_decides_nothing(model):
    verdict = judge(claim(against="n_tokens", statement="d_ff == d_ff"), model)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_failed")


def test_a_mixture_is_out_of_scope_and_a_missing_part_an_error(tiny_named):
    asked = claim(against="n_tokens", of="ffn_flops", exponent=1)
    assert judge(asked, tiny_named("mixtral").model).reason == "out_of_scope"
    with pytest.raises(ClaimError, match="has no ffn_flops"):
        judge(asked, tiny_named("attention-only").model)


class Clock:
    """Stands for the timing: each work's seconds as they are said, with noise, rounds that are slow as a whole among them."""

    def __init__(self, ours, same=1.0, product=(1, 2, 4, 8), noise=0.02):
        self.ours, self.same, self.product, self.noise = ours, same, product, noise

    def __call__(self, works, *, rounds, seed, device):
        rng = np.random.default_rng(seed)
        n = (len(works) - 4) // 2
        seconds = np.array([*[self.ours(2.0**k) for k in range(n)], *[self.same] * n, *self.product], dtype=float)
        return seconds * np.exp(self.noise * rng.standard_normal((rounds, len(works)))) * (1 + rng.random((rounds, 1)))


SECONDS = {"measure": "seconds", "against": "n_tokens", "smallest_exponent": 0.5, "smallest_exponent_source": "a test"}
LINEAR, FLAT = (lambda size: size), (lambda size: 1.0)


@pytest.mark.parametrize(
    ("clock", "grows", "outcome", "reason"),
    [
        (Clock(LINEAR), True, "supported", ""),
        (Clock(FLAT), True, "refuted", ""),
        (Clock(LINEAR), False, "refuted", ""),
        (Clock(FLAT), False, "supported", ""),
        (Clock(LINEAR, noise=4.0, product=(1e-9, 1, 1e9, 1e18)), True, "inconclusive", "underpowered"),
        (Clock(LINEAR, product=(1, 1, 1, 1)), True, "inconclusive", "control_failed"),
        (Clock(FLAT, product=(1, 1, 1, 1)), False, "inconclusive", "control_failed"),
    ],
)
def test_seconds_are_decided_like_anything_sampled(model, monkeypatch, clock, grows, outcome, reason):
    monkeypatch.setattr(cost_scaling, "interleaved_s", clock)
    verdict = judge(claim(**SECONDS, grows=grows), model)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert verdict.evidence[0].n_clusters == 48


def test_a_clock_that_grows_with_the_name_decides_nothing(model, monkeypatch):
    class Lying(Clock):
        def __call__(self, works, **options):
            found = super().__call__(works, **options)
            n = (len(works) - 4) // 2
            found[:, n : 2 * n] = found[:, :n]
            return found

    monkeypatch.setattr(cost_scaling, "interleaved_s", Lying(LINEAR))
    verdict = judge(claim(**SECONDS, grows=True), model)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "null_also_passes")


def test_real_seconds_of_work_that_grows_and_of_work_that_does_not():
    product = torch.ones(64, 64)
    works = [lambda times=times: [product @ product for _ in range(20 * times)] for times in (1, 4, 16)]
    taken = interleaved_s([*works, *[works[0]] * 3], rounds=9, seed=0, device=torch.device("cpu"))
    assert taken.shape == (9, 6)
    assert np.median(exponents(taken[:, :3], [1, 4, 16])) > 0.5
    assert abs(np.median(exponents(taken[:, 3:], [1, 4, 16]))) < 0.3


def test_what_is_said_must_fit_what_is_measured():
    for wrong, told in [
        ({}, "nothing came to say about flops; expected exponent or statement"),
        ({"exponent": 1, "statement": "d_ff > 1"}, "exponent and statement came"),
        ({"grows": True}, "grows came to say about flops"),
        ({"measure": "seconds", "exponent": 1}, "exponent came to say about seconds; expected grows"),
        ({"statement": "flops > 1"}, "there is no quantity 'flops'; expected some of score_flops"),
        ({"exponent": 1, "rounds": 5}, "rounds"),
        ({"measure": "seconds", "grows": True}, "seconds need smallest_exponent"),
        ({"measure": "seconds", "grows": True, "smallest_exponent": 0.5}, "and smallest_exponent_source"),
    ]:
        with pytest.raises(ClaimError, match=told):
            claim(against="n_tokens", **wrong)


def test_plan_bytes_and_json(model):
    exact = claim(against="n_tokens", of="score_flops", exponent=2)
    first, second = judge(exact, model), judge(exact, model)
    assert plan(exact, model).n_items == first.evidence[0].n_items == 4
    assert first.untimed().to_json() == second.untimed().to_json()
    assert Verdict.from_json(first.to_json()) == first
    timed = plan(claim(**SECONDS, grows=True), model)
    assert (timed.n_clusters, timed.tokens) == (48, 3 * 480 * 145)
