"""Do heads share subspaces? Planted orthogonal or alike, drawn at random, shared by construction; the angles by another library."""

import numpy as np
import pytest
import torch
import transformers
from scipy.linalg import subspace_angles

from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols.parts.subspaces import by_head, head_subspaces, least_overlap, overlap, random_heads, redealt
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError, ModelUnsupported
from interp.models.load import load_model
from interp.stats.power import power_at

IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
D_MODEL, D_HEAD, N_HEADS, N_LAYERS = 48, 6, 8, 6


def claim(claimed="less than random", *, of=("query",), **test) -> Claim:
    fields = {"protocol": "head_subspaces", "claimed": claimed, "of": list(of), "margin": 0.5, "margin_source": "a test"}
    about = {"id": "own-subspaces", "statement": "Heads of a layer work in different subspaces.", "quantifier": "typical"}
    rest = {"kind": ["obs"], "scope": "any model with attention", "does_not_show": "what the heads do there."}
    return parse_claim({**about, **rest, "test": {**fields, **test}}, "a test")


def gpt2(edit=lambda number, weights: weights, *, n_layers=N_LAYERS, seed=0):
    """A random GPT-2; `edit` is given each layer's W_Q, W_K, W_V side by side, axes (d_model, 3, head, d_head)."""
    sizes = {"n_embd": D_MODEL, "n_head": N_HEADS, "n_layer": n_layers}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = transformers.GPT2Config(vocab_size=31, n_positions=16, n_inner=8, initializer_range=0.3, **sizes, **IDS)
        hf = transformers.GPT2LMHeadModel(config).eval()
        with torch.no_grad():
            for number, block in enumerate(hf.transformer.h):
                weight = block.attn.c_attn.weight
                weight.copy_(edit(number, weight.view(D_MODEL, 3, N_HEADS, D_HEAD).clone()).reshape(weight.shape))
                block.attn.c_attn.bias.normal_()
    return hf


def orthogonal(number, weights):
    """The eight heads share the 48 directions out among themselves; within its own six a head reads in any way."""
    for matrix in range(3):
        turned = torch.linalg.qr(torch.randn(D_MODEL, D_MODEL))[0].view(D_MODEL, N_HEADS, D_HEAD)
        weights[:, matrix] = torch.einsum("mhd,hde->mhe", turned, torch.randn(N_HEADS, D_HEAD, D_HEAD))
    return weights


def alike(number, weights):
    """Every head reads what the first one reads, mixed anew."""
    return torch.einsum("mcd,chde->mche", weights[:, :, 0], torch.randn(3, N_HEADS, D_HEAD, D_HEAD))


def llama(n_heads=8, n_key_value_heads=4, n_layers=10):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=31, hidden_size=64, num_hidden_layers=n_layers, num_attention_heads=n_heads, num_key_value_heads=n_key_value_heads,
            intermediate_size=8, max_position_embeddings=16, **IDS,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def apart(word_tokenizer) -> Verdict:
    return judge(claim(of=("query", "key", "value")), load_model(gpt2(orthogonal), word_tokenizer()))


def test_orthogonal_heads_share_less_than_random_ones(apart):
    assert (apart.outcome, apart.reason) == ("supported", "")
    for one in apart.evidence:
        assert one.estimate == pytest.approx(1.0, abs=1e-4)
        assert (one.n_clusters, one.family) == (N_LAYERS * N_HEADS, 3)
        assert one.smallest_effect == pytest.approx(0.5 * D_HEAD / D_MODEL)
    assert all(control.passed for control in apart.controls)
    assert {control.kind for control in apart.controls} == {"null", "positive"}
    assert apart.badges.observational is True
    assert apart.rows["L0 key"][0] == pytest.approx(0.0, abs=1e-4)
    assert apart.rows["L0 key"][1] == pytest.approx(D_HEAD / D_MODEL)
    assert Verdict.from_json(apart.to_json()) == apart


def test_power_is_that_of_a_level_that_the_matrices_share_once(word_tokenizer):
    one = judge(claim("no more than random", of=("query", "key", "value")), load_model(gpt2(), word_tokenizer())).evidence[0]
    sd, margin = (one.high - one.low) / 2 / 1.96 * one.n_clusters**0.5, 0.5 * D_HEAD / D_MODEL
    assert one.power == pytest.approx(power_at(margin, sd=sd, n=one.n_clusters, alpha=0.05 / 3), abs=1e-9)


def test_the_same_again_to_the_byte(apart, word_tokenizer):
    again = judge(claim(of=("query", "key", "value")), load_model(gpt2(orthogonal), word_tokenizer()))
    assert again.untimed().to_json() == apart.untimed().to_json()


def test_heads_that_are_alike_share_everything(word_tokenizer):
    model = load_model(gpt2(alike), word_tokenizer())
    for claimed in ("less than random", "no more than random"):
        verdict = judge(claim(claimed), model)
        assert (verdict.outcome, verdict.reason) == ("refuted", "")
        assert verdict.evidence[0].estimate == pytest.approx(0.0, abs=1e-4)


def test_random_heads_share_no_more_than_random_and_not_less(word_tokenizer):
    model = load_model(gpt2(), word_tokenizer())
    no_more, less = judge(claim("no more than random"), model), judge(claim(), model)
    assert (no_more.outcome, no_more.reason) == ("supported", "")
    assert less.outcome == "refuted"
    told = no_more.evidence[0]
    assert told.estimate == pytest.approx(1 - D_HEAD / D_MODEL, abs=0.02)
    assert told.effect == pytest.approx(told.estimate - told.baseline)
    assert told.smallest_effect == 0.0


def test_one_matrix_whose_heads_are_alike_is_enough_to_refute(word_tokenizer):
    def mixed(number, weights):
        weights[:, :2] = orthogonal(number, weights.clone())[:, :2]
        weights[:, 2] = alike(number, weights.clone())[:, 2]
        return weights

    verdict = judge(claim(of=("query", "value")), load_model(gpt2(mixed), word_tokenizer()))
    assert verdict.outcome == "refuted"
    assert [one.estimate > 0.9 for one in verdict.evidence] == [True, False]


def test_the_overlap_is_that_of_the_principal_angles(word_tokenizer):
    hf = gpt2(n_layers=1)
    model = load_model(hf, word_tokenizer())
    found = head_subspaces(model, ["query", "key", "value", "output"])
    weights = hf.transformer.h[0].attn.c_attn.weight.detach().double().numpy().reshape(D_MODEL, 3, N_HEADS, D_HEAD)
    W_O = hf.transformer.h[0].attn.c_proj.weight.detach().double().numpy().reshape(N_HEADS, D_HEAD, D_MODEL)
    for number, matrix in enumerate(("query", "key", "value")):
        angles = subspace_angles(weights[:, number, 2], weights[:, number, 5])
        assert overlap(found[matrix][0])[2, 5] == pytest.approx((np.cos(angles) ** 2).mean(), abs=1e-5)
    written = [(weights[:, 2, head] @ W_O[head]).T for head in (2, 5)]
    bases = [np.linalg.svd(one)[0][:, :D_HEAD] for one in written]
    assert overlap(found["output"][0])[2, 5] == pytest.approx((np.cos(subspace_angles(*bases)) ** 2).mean(), abs=1e-5)


def test_rotary_queries_and_shared_keys_are_the_projections(word_tokenizer):
    hf = llama(n_layers=1)
    found = head_subspaces(load_model(hf, word_tokenizer()), ["query", "key", "value"])
    attn = hf.model.layers[0].self_attn
    for matrix, weight, n in (("query", attn.q_proj, 8), ("key", attn.k_proj, 4), ("value", attn.v_proj, 4)):
        rows = weight.weight.detach().double().numpy().reshape(n, 8, 64)
        angles = subspace_angles(rows[0].T, rows[3].T)
        assert found[matrix][0].shape[0] == n
        assert overlap(found[matrix][0])[0, 3] == pytest.approx((np.cos(angles) ** 2).mean(), abs=1e-5)


def test_shared_keys_count_once_and_it_is_said(word_tokenizer):
    verdict = judge(claim("no more than random", of=("query", "key")), load_model(llama(), word_tokenizer()))
    assert verdict.outcome == "supported"
    assert [one.n_clusters for one in verdict.evidence] == [80, 40]
    assert "Keys and values are those of 4 groups: the 2 heads of a group share theirs by construction." in verdict.summary


def test_one_key_for_all_heads_leaves_nothing_to_compare(word_tokenizer):
    model = load_model(llama(n_key_value_heads=1, n_layers=2), word_tokenizer())
    verdict = judge(claim(of=("key",)), model)
    assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")
    assert "has no layer with 3 heads that each have a key projection of their own (1 for all heads of a layer)" in verdict.summary
    with pytest.raises(ClaimError, match=r"key projection of their own.*nothing would be run"):
        plan(claim(of=("key",)), model)


@pytest.mark.parametrize(
    ("name", "of", "reason"),
    [
        ("t5", "value", "is an encoder-decoder"),
        ("ffn-only", "value", "has no attention"),
        ("deepseek-v3", "value", "latent attention"),
        ("qwen3", "query", "has queries that are no linear map"),
    ],
)
def test_not_applicable_with_the_reason(tiny_named, name, of, reason):
    verdict = judge(claim(of=(of,)), tiny_named(name).model)
    assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")
    assert reason in verdict.summary


def test_values_of_a_model_with_normed_queries_can_be_told(tiny_named):
    with pytest.raises(ModelUnsupported, match="queries"):
        head_subspaces(tiny_named("qwen3").model, ["query"])
    assert head_subspaces(tiny_named("qwen3").model, ["output"])["output"][0].shape[0] == 4


def test_few_heads_decide_nothing(tiny_named):
    verdict = judge(claim(), tiny_named("gpt2").model)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "underpowered")
    assert verdict.evidence[0].n_clusters == 8


def test_the_plan_counts_what_the_verdict_counts(apart, word_tokenizer):
    told = plan(claim(of=("query", "key", "value")), load_model(gpt2(orthogonal), word_tokenizer()))
    assert (told.n_items, told.n_clusters, told.family) == (48, 48, apart.evidence[0].family)
    assert told.smallest_effect == pytest.approx(apart.evidence[0].smallest_effect)


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ({"margin": 1.5}, "test.margin"),
        ({"of": ["keys"]}, "test.of"),
        ({"claimed": "different"}, "test.claimed"),
        ({"n_draws": 3}, "n_draws"),
    ],
)
def test_a_claim_that_is_none_is_refused_by_field(test, told):
    with pytest.raises(ClaimError, match=told):
        claim(**test)


def bases_of(n, d_model, rank, seed=0):
    return random_heads(np.eye(d_model)[None, :, :rank].repeat(n, 0), np.random.default_rng(seed))


def test_jackknife_values_are_those_of_leaving_each_head_out():
    pairs = overlap(bases_of(6, 20, 3))
    every, n = ~np.eye(6, dtype=bool), 6
    whole = pairs[every].mean()
    left = [np.delete(np.delete(pairs, head, 0), head, 1)[~np.eye(5, dtype=bool)].mean() for head in range(n)]
    assert by_head(pairs) == pytest.approx([n * whole - (n - 1) * one for one in left])


def test_intervals_over_heads_are_not_too_short():
    """300 layers of 8 random heads: the spread of the means is no more than what the jackknife of each tells (it is less: conservative)."""
    found = [by_head(overlap(bases_of(8, 24, 3, seed))) for seed in range(300)]
    told = np.mean([one.std(ddof=1) / 8**0.5 for one in found])
    assert np.std([one.mean() for one in found]) < told < 2 * np.std([one.mean() for one in found])


def test_dealing_anew_leaves_random_heads_random_and_alike_heads_alike():
    heads, rng = bases_of(8, 48, 6), np.random.default_rng(3)
    dealt = [by_head(overlap(redealt(heads, rng))).mean() for _ in range(20)]
    assert np.mean(dealt) == pytest.approx(6 / 48, abs=0.01)
    same = heads[:1].repeat(8, 0)
    assert overlap(redealt(same, rng)) == pytest.approx(1.0)


def test_what_does_not_fit_must_be_shared():
    heads = np.eye(4)[None, :, [0, 1]].repeat(4, 0)  # 8 directions in 4
    assert least_overlap(heads) == pytest.approx(1 / 3)
    assert least_overlap(bases_of(4, 8, 2)) == 0.0
