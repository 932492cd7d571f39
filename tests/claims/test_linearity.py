"""Linear maps come out linear and others do not, in every family; the errors are those of a sublayer called by hand."""

import numpy as np
import pytest
import torch

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import linearity
from interp.claims.protocols.parts import sublayer_maps
from interp.claims.protocols.parts.sublayer_maps import SublayerMaps
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError, InterventionError
from interp.models.load import load_model

WORDS = ["the", "old", "man", "saw", "a", "dog", "by", "sea", "and", "she", "said", "nothing", "but", "it", "was", "cold"]
TEXTS = [" ".join(np.random.default_rng(number).choice(WORDS, size=8)) for number in range(42)]


def claim(**test) -> Claim:
    fields = {"protocol": "linearity", "what": "ffn", "expects": "nonlinear", "smallest_effect_source": "the catalogue, S1-14"}
    about = {"id": "own", "statement": "It is.", "kind": ["ident"], "quantifier": "all", "scope": "all", "does_not_show": "more."}
    return parse_claim({**about, "test": {**fields, **test}}, "a test")


def outcomes(model, what: str, **test) -> tuple[str, str]:
    return tuple(judge(claim(what=what, expects=expects, **test), model, TEXTS).outcome for expects in ("linear", "nonlinear"))


@pytest.fixture(scope="module")
def gpt2(tiny_named):
    return tiny_named("gpt2").model


@pytest.fixture(scope="module")
def verdict(gpt2) -> Verdict:
    return judge(claim(), gpt2, TEXTS)


YES, NO = ("supported", "refuted"), ("refuted", "supported")


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "gemma2"])
def test_what_is_linear_and_what_is_not(tiny_named, name):
    model = tiny_named(name).model
    assert outcomes(model, "attention_frozen") == YES
    assert outcomes(model, "attention_live")[0] == "refuted"
    assert outcomes(model, "ffn") == NO
    assert outcomes(model, "ffn_without_activation") == (NO if model.anatomy.gated else YES)


def test_a_gated_ffn_is_bilinear_without_its_activation(tiny_named):
    """Twice the input gives four times the product: it is neither additive nor homogeneous, and its cross terms are all there is."""
    found = judge(claim(what="ffn_without_activation", expects="linear"), tiny_named("llama").model, TEXTS)
    assert found.outcome == "refuted"
    additive, homogeneous = found.evidence
    assert homogeneous.estimate == pytest.approx(1.5, abs=1e-4)  # no bias: |4 - (-2)| / |4|
    assert additive.estimate > 0.1


def test_the_norm_alone_makes_frozen_attention_nonlinear(gpt2):
    assert outcomes(gpt2, "attention_frozen", norm="kept") == NO
    no_norms = interp.constructed("induction")
    assert outcomes(load_model(no_norms.hf, no_norms.tokenizer), "attention_frozen", norm="kept")[0] == "supported"


def test_an_ffn_whose_activation_was_taken_out_is_linear(fresh, word_tokenizer):
    hf = fresh("gpt2")
    assert outcomes(load_model(hf, word_tokenizer()), "ffn") == NO
    for block in hf.transformer.h:
        block.mlp.act = torch.nn.Identity()
    assert outcomes(load_model(hf, word_tokenizer()), "ffn") == YES


def test_one_linear_layer_refutes_that_every_layer_is_nonlinear(fresh, word_tokenizer):
    hf = fresh("gpt2")
    hf.transformer.h[1].mlp.act = torch.nn.Identity()
    found = judge(claim(), load_model(hf, word_tokenizer()), TEXTS)
    assert found.outcome == "refuted"
    assert found.rows["L0"][0] > 0.1
    assert found.rows["L1"][0] < 1e-6


def test_the_errors_are_those_of_a_sublayer_called_by_hand(gpt2, tiny_named):
    """Plain modules of transformers, one text at a time, in the order of the definition."""
    case_texts = TEXTS[:3]
    hf = tiny_named("gpt2").hf
    found = judge(claim(what="ffn", expects="linear"), gpt2, case_texts)
    additive, homogeneous = [], []
    with torch.no_grad():
        for text in case_texts:
            ids = torch.tensor([gpt2.tokenizer(text)["input_ids"]])
            half = ids.shape[1] // 2
            for block in hf.transformer.h:
                kept: list[torch.Tensor] = []
                handle = block.mlp.register_forward_pre_hook(lambda module, args, kept=kept: kept.append(args[0].clone()))
                hf(ids)
                handle.remove()
                x, y, f = kept[0][:, :half], kept[0][:, half : 2 * half], block.mlp
                zero = f(torch.zeros_like(x))
                additive.append(((f(x + y) - f(x) - f(y) + zero).norm() / f(x + y).norm()).item())
                homogeneous.append(((f(-2 * x) - zero + 2 * (f(x) - zero)).norm() / f(-2 * x).norm()).item())
    assert found.evidence[0].estimate == pytest.approx(max(additive), rel=1e-4)
    assert found.evidence[1].estimate == pytest.approx(max(homogeneous), rel=1e-4)
    assert found.rows["L0"][0] == pytest.approx(np.mean(additive[::2]), rel=1e-4)
    assert found.rows["L1"][3] == pytest.approx(np.mean(homogeneous[1::2]), rel=1e-4)


def test_live_attention_on_its_own_input_is_the_sublayer(gpt2):
    """What is fed back is what was read: the sublayer must then write what it wrote, and the held pattern must change nothing."""
    seen = interp.capture(gpt2, TEXTS[0], keep=["attn_in", "attn_out"])
    ids = torch.tensor([seen.example.ids])
    for what in ("attention_live", "attention_frozen"):
        maps = SublayerMaps(gpt2, what, keep_norm=False)
        inputs = maps.inputs(ids)
        written = maps.written(maps.hidden(ids, inputs, maps.patterns(ids, inputs)))
        for layer in range(gpt2.anatomy.n_layers):
            expected = seen.arrays[f"blocks.{layer}.attn.o.hook_out"]
            assert torch.allclose(written[layer].float(), expected, atol=1e-5)


def test_controls_and_what_is_reported(verdict, gpt2):
    assert {control.kind: control.passed for control in verdict.controls} == {"null": True, "positive": True}
    assert verdict.controls[0].value < 1e-6
    assert verdict.badges.causal is True
    assert set(verdict.rows) == {"L0", "L1"}
    for mean, low, high, *_ in verdict.rows.values():
        assert low <= mean <= high
    assert "additivity errors are" in str(verdict)


def test_a_control_that_cannot_see_decides_nothing(gpt2, monkeypatch):
    """If a random matrix came out nonlinear, nothing would be known: one that is never put in leaves the FFN as it is."""
    monkeypatch.setattr(sublayer_maps._Linear, "at", lambda self, point, tensor: None)
    found = judge(claim(what="ffn", expects="linear"), gpt2, TEXTS)
    assert (found.outcome, found.reason) == ("inconclusive", "control_failed")
    assert judge(claim(), gpt2, TEXTS).reason == "null_also_passes"


def test_the_linear_control_goes_the_way_of_the_claims_numbers(gpt2, monkeypatch):
    """What is rounded to eleven bits on that way is no longer linear within the tolerance, and the control says so."""
    real = SublayerMaps._product
    monkeypatch.setattr(SublayerMaps, "_product", lambda self, keep, layer: real(self, keep, layer).half().double())
    found = judge(claim(what="attention_frozen", expects="linear"), gpt2, TEXTS)
    assert (found.outcome, found.reason) == ("inconclusive", "control_failed")
    assert found.controls[0].value > 1e-5


@pytest.mark.parametrize("what", ["ffn", "ffn_without_activation", "attention_live", "attention_frozen"])
@pytest.mark.parametrize("norm", ["kept", "left out"])
def test_a_matrix_put_into_the_run_is_the_matrix(tiny_named, what, norm):
    """What stands before the output matrix is then vector times matrix, in every layer: in a gated FFN, too, and without the norm."""
    for name in ("gpt2", "llama"):
        model = tiny_named(name).model
        maps, ids = SublayerMaps(model, what, keep_norm=norm == "kept"), torch.arange(3, 11)[None]
        inputs = maps.inputs(ids)
        found = maps.hidden(ids, inputs, maps.patterns(ids, inputs), linear=5)
        for layer, vector in inputs.items():
            matrix = torch.randn(vector.shape[-1], found[layer].shape[-1], generator=torch.Generator().manual_seed(5 + layer))
            expected = vector.double() @ matrix.double() / vector.shape[-1] ** 0.5
            assert torch.allclose(found[layer], expected, atol=1e-5)


def test_either_error_refutes_at_half_of_alpha(gpt2, monkeypatch):
    pieces, levels, evidence, upper = [], [], linearity.sampled_evidence, linearity.best_upper
    monkeypatch.setattr(linearity, "sampled_evidence", lambda **given: pieces.append(given.get("pieces")) or evidence(**given))
    monkeypatch.setattr(linearity, "best_upper", lambda *values, alpha: levels.append(alpha) or upper(*values, alpha=alpha))
    judge(claim(), gpt2, TEXTS)
    assert set(pieces) == {2}
    assert set(levels) == {0.05 / (2 * gpt2.anatomy.n_layers)}


def test_a_dead_hook_raises_and_is_not_linear(gpt2, monkeypatch):
    monkeypatch.setattr(SublayerMaps, "_read", lambda self, vectors: {layer: torch.zeros_like(one) for layer, one in vectors.items()})
    with pytest.raises(InterventionError, match="layer 0: what the sublayer is fed changed nothing in it: a dead hook"):
        judge(claim(what="ffn", expects="linear"), gpt2, TEXTS)


def test_bad_input(gpt2, fresh, word_tokenizer):
    with pytest.raises(ClaimError, match="came from 1 documents; expected at least two"):
        judge(claim(), gpt2, [TEXTS[0], "dog"])
    with pytest.raises(ClaimError, match="bfloat16, which rounds by more than the tolerance 1e-05; load it in float32"):
        judge(claim(), load_model(fresh("gpt2").bfloat16(), word_tokenizer()), TEXTS)
    with pytest.raises(ClaimError, match=r"no such field; expected some of .*tolerance"):
        claim(toleranc=1.0)
    assert judge(claim(), gpt2, TEXTS[:20]).reason == "underpowered"


@pytest.mark.parametrize(
    ("name", "what", "reason"),
    [
        ("t5", "ffn", "is an encoder-decoder"),
        ("attention-only", "ffn", "has no FFN"),
        ("ffn-only", "attention_live", "has no attention"),
        ("mixtral", "ffn", "has FFNs of experts"),
    ],
)
def test_not_applicable(tiny_named, name, what, reason):
    model = tiny_named(name).model
    found = judge(claim(what=what), model, TEXTS)
    assert (found.outcome, found.reason) == ("not applicable", "out_of_scope")
    assert reason in found.summary
    with pytest.raises(ClaimError, match=f"{reason}.*nothing would be run"):
        plan(claim(what=what), model, TEXTS)


def test_attention_without_an_ffn_is_not_a_stack_of_linear_maps(tiny_named):
    assert outcomes(tiny_named("attention-only").model, "attention_live")[0] == "refuted"


def test_the_plan_counts_what_the_verdict_then_counts(verdict, gpt2):
    told = plan(claim(), gpt2, TEXTS)
    first = verdict.evidence[0]
    assert (told.n_items, told.n_clusters, told.family) == (first.n_items, first.n_clusters, first.family)
    exact = claim(what="attention_frozen", expects="linear")
    assert plan(exact, gpt2, TEXTS).n_items == judge(exact, gpt2, TEXTS).evidence[0].n_items
    assert plan(exact, gpt2, TEXTS).power is None


def test_the_same_again_to_the_byte(verdict, gpt2):
    assert judge(claim(), gpt2, TEXTS).untimed().to_json() == verdict.untimed().to_json()
    assert Verdict.from_json(verdict.to_json()) == verdict
