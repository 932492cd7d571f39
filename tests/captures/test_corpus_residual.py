"""Experts and the residual stream over a corpus are what captures of its texts give."""

import numpy as np
import pytest
import torch

from interp.captures.corpus.attribution import DirectLogits
from interp.captures.corpus.depth import LensLoss, StreamRank
from interp.captures.corpus.experts import ExpertLabels, ExpertLoad, ExpertTokens
from interp.captures.corpus.labels import special, upos
from interp.captures.corpus.residual import SublayerWrites
from interp.captures.corpus.stream import stream
from interp.captures.prompt import capture
from interp.core.errors import DataError, ModelUnsupported

PRE_NORM = ["gpt2", "neox", "llama", "gemma3", "opt", "mixtral", "ffn-only", "attention-only"]


def cosine(one, other):
    return torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=-1)


def writes(tiny, seen):
    """(name, write, stream before it) of each sublayer of a text; streams made by adding, not seen."""
    for layer, sublayers in enumerate(tiny.model.anatomy.main.layers):
        before = seen.tensor("resid_pre", layer)
        for sublayer in sublayers:
            kind, told = {"attn": ("attn_out", "attention"), "mlp": ("mlp_out", "FFN")}[sublayer.kind]
            write = seen.tensor(kind, layer)
            yield f"L{layer} {told}", write, before
            if not tiny.model.anatomy.parallel:
                before = tiny.model.at(sublayer.norm_after)(before + write).detach()


@pytest.mark.parametrize("form", [*PRE_NORM, "bert", "opt-post-norm"])
def test_writes_are_those_of_the_captures(tiny_named, form):
    tiny = tiny_named(form)
    examples = tiny.examples()
    found = stream(tiny.model, examples, [SublayerWrites(tiny.model)])
    naive = {"write_norm": {}, "write_cosine": {}, "write_final_cosine": {}}
    for example in examples:
        seen = capture(tiny.model, example)
        final = seen.tensor("resid_post", 1)
        for name, write, before in writes(tiny, seen):
            naive["write_norm"].setdefault(name, []).append(write.double().norm(dim=-1))
            naive["write_cosine"].setdefault(name, []).append(cosine(write, before))
            naive["write_final_cosine"].setdefault(name, []).append(cosine(write, final))
    post = tiny.model.anatomy.norms == "post"
    assert set(found.data_vars) == set(naive) - ({"write_final_cosine"} if post else set())
    for what in found.data_vars:
        assert found[what].sublayer.values.tolist() == list(naive[what])
        expected = [torch.cat(values).mean().item() for values in naive[what].values()]
        np.testing.assert_allclose(found[what], expected, atol=1e-5, err_msg=what)
    assert np.ptp(found["write_norm"].values) > 0.1  # sublayers differ: a mix-up would show


@pytest.mark.parametrize("form", PRE_NORM)
def test_direct_logits_are_the_toolkits_contributions(tiny_named, form):
    tiny = tiny_named(form)
    examples = tiny.examples()
    found = stream(tiny.model, examples, [DirectLogits(tiny.model)])["direct_logits"]
    rows = []
    for example in examples:
        seen = capture(tiny.model, example)
        for pos, token in enumerate(example.ids[1:]):
            parts = seen.contributions(token, pos=pos)
            names = parts.component.values
            row = {"embedding": 0.0, "final biases": 0.0}
            for name, value in zip(names, parts.values, strict=True):
                plain = name in row
                whose = name if plain else f"{name[:2]} {'FFN' if name.endswith('FFN') else 'attention'}"
                row[whose] = row.get(whose, 0.0) + float(value)
            rows.append((row, parts.attrs["logit"]))
    assert found.attrs["n"] == len(rows)
    for component in found.component.values:
        assert abs(float(found.sel(component=component)) - np.mean([row[component] for row, _ in rows])) < 1e-5, component
    assert found.attrs["logit"] == pytest.approx(np.mean([logit for _, logit in rows]), abs=1e-5)
    assert float(found.sum()) == pytest.approx(found.attrs["logit"], abs=1e-5)
    assert 0 < found.attrs["error"] < 1e-5
    assert abs(found.values).max() > 0.05


@pytest.mark.parametrize("form", ["gpt2", "llama", "gemma2", "gemma3", "opt-post-norm", "mixtral"])
def test_lens_loss_at_the_end_is_the_models_own(tiny_named, form):
    tiny = tiny_named(form)
    examples = tiny.examples()
    found = stream(tiny.model, examples, [LensLoss(tiny.model, tokens=7)])["lens_loss"]
    losses = []
    for example in examples:
        ids = torch.tensor([example.ids])
        with torch.no_grad():
            logits = tiny.eager()(input_ids=ids).logits[0, :-1].double()
        losses.append(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none"))
    assert float(found[-1]) == pytest.approx(torch.cat(losses).mean().item(), abs=1e-5)
    assert found.attrs["n"] == sum(len(loss) for loss in losses)
    some = stream(tiny.model, examples, [LensLoss(tiny.model, depths=[2, 0])])["lens_loss"]
    np.testing.assert_allclose(some, [found[0], np.nan, found[2]], atol=1e-5)


def test_lens_loss_by_depth_is_the_stream_through_the_final_norm_and_the_unembedding(tiny_named):
    tiny = tiny_named("gpt2")
    examples = tiny.examples()
    found = stream(tiny.model, examples, [LensLoss(tiny.model)])["lens_loss"]
    hf, losses = tiny.hf, []
    for example in examples:
        middle = capture(tiny.model, example).tensor("resid_pre", 1)[:-1]
        with torch.no_grad():
            logits = hf.lm_head(hf.transformer.ln_f(middle))
        losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(example.ids[1:], dtype=torch.long), reduction="none"))
    assert float(found[1]) == pytest.approx(torch.cat(losses).mean().item(), abs=1e-5)


@pytest.mark.parametrize("form", ["gpt2", "bert", "neox"])
def test_ranks_are_those_of_all_tokens_together(tiny_named, form):
    tiny = tiny_named(form)
    examples = tiny.examples()
    found = stream(tiny.model, examples, [StreamRank(tiny.model)])
    for depth in range(3):
        streams = [
            capture(tiny.model, example).stream("resid_pre" if depth < 2 else "resid_post").values[min(depth, 1)] for example in examples
        ]
        singular = np.linalg.svd(np.concatenate(streams).astype(float), compute_uv=False)
        shares = singular / singular.sum()
        assert float(found["effective_rank"][depth]) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)
        assert float(found["rank_one_distance"][depth]) == pytest.approx(np.sqrt(1 - singular[0] ** 2 / (singular**2).sum()), rel=1e-5)
        apart = [np.linalg.norm(text - text.mean(0)) / np.linalg.norm(text) for text in streams if len(text) > 1]
        assert float(found["distance_to_one_token"][depth]) == pytest.approx(np.mean(apart), rel=1e-5)
    assert found["distance_to_one_token"].attrs["n"] == len(apart)
    assert "Roy" in found["effective_rank"].attrs["source"]


def test_depths_that_do_not_exist_are_refused(tiny_named):
    with pytest.raises(DataError, match=r"depths \[0, 3\] came; expected some of 0 to 2"):
        StreamRank(tiny_named("gpt2").model, depths=[3, 0])


@pytest.mark.parametrize(
    ("form", "reducer", "message"),
    [
        ("opt-post-norm", DirectLogits, "no direct logits over a corpus, since norms behind its sublayers rescale"),
        ("gemma2", DirectLogits, "its logits are more than a norm and a matrix away"),
        ("bert", DirectLogits, "it is no decoder with a trained head"),
        ("gpt2-bare", DirectLogits, "it is no decoder with a trained head"),
        ("bert", LensLoss, "no logit lens over a corpus, since it is no decoder with a trained head"),
        ("opt-projected", LensLoss, "its logits are more than a norm and a matrix away"),
    ],
)
def test_what_cannot_be_said_of_a_stream_is_refused_by_name(tiny_named, form, reducer, message):
    with pytest.raises(ModelUnsupported, match=message):
        reducer(tiny_named(form).model)


def test_texts_of_one_token_have_no_next_one(tiny_named):
    model = tiny_named("gpt2").model
    found = stream(model, tiny_named("gpt2").examples(["dog"]), [DirectLogits(model), LensLoss(model), StreamRank(model)])
    assert found["direct_logits"].isnull().all()
    assert found["lens_loss"].isnull().all()
    assert found["distance_to_one_token"].isnull().all()
    assert found["effective_rank"].values == pytest.approx([1.0] * 3, abs=1e-6)


MIXTURES = ["mixtral", "qwen2-moe", "olmoe", "gpt-oss", "deepseek-v2", "deepseek-v3"]


@pytest.mark.parametrize("form", MIXTURES)
def test_expert_statistics_are_those_of_the_captures(tiny_named, form):
    tiny = tiny_named(form)
    examples = tiny.examples()
    found = stream(tiny.model, examples, [ExpertLoad(tiny.model), ExpertLabels(tiny.model, special()), ExpertTokens(tiny.model, k=31)])
    ids = np.concatenate([example.ids for example in examples])
    for layer in range(2):
        if not tiny.model.anatomy.ffn(layer).experts:
            assert found["expert_load"].sel(layer=layer).isnull().all()
            assert (found["expert_token_ids"].sel(layer=layer) == -1).all()
            continue
        seen = [capture(tiny.model, example) for example in examples]
        probs = np.concatenate([each.experts(layer, weights=False).values for each in seen]).astype(float)
        chosen = np.concatenate([each.experts(layer).values for each in seen]) != 0
        load = chosen.mean(0)
        np.testing.assert_allclose(found["expert_load"].sel(layer=layer), load, atol=1e-6)
        np.testing.assert_allclose(found["expert_by_special"].sel(layer=layer, special="ordinary"), load, atol=1e-6)
        shares = probs / probs.sum(-1, keepdims=True)
        assert float(found["routing_entropy"][layer]) == pytest.approx(-(shares * np.log(shares)).sum(-1).mean(), rel=1e-5)
        used = load[load > 0] / load.sum()
        assert float(found["load_entropy"][layer]) == pytest.approx(-(used * np.log(used)).sum(), abs=1e-6)
        for expert in range(4):
            excess = {token: chosen[ids == token, expert].sum() - load[expert] * (ids == token).sum() for token in range(31)}
            at = found.sel(layer=layer, expert=expert)
            np.testing.assert_allclose(at["expert_token_excess"], sorted(excess.values(), reverse=True), atol=1e-5)
            for token, share in zip(at["expert_token_ids"].values.tolist(), at["expert_token_share"].values, strict=True):
                expected = chosen[ids == token, expert].mean() if (ids == token).any() else np.nan
                assert share == pytest.approx(expected, nan_ok=True)
    spelt = found["expert_token_ids"].expert_token.values
    assert set(spelt[1].ravel()) >= {"the", "dog"}


def test_expert_statistics_of_what_is_no_mixture_are_refused(tiny_named):
    dense, mixed = tiny_named("gpt2").model, tiny_named("mixtral").model
    for make in (ExpertLoad, ExpertTokens, lambda model: ExpertLabels(model, special())):
        with pytest.raises(ModelUnsupported, match="none of its FFNs is a mixture of experts"):
            make(dense)
    with pytest.raises(DataError, match=r"counts of 31 tokens for 4 experts in 2 layers take .*expected at most"):
        ExpertTokens(mixed, max_bytes=1000)
    with pytest.raises(DataError, match="no token has a label 'upos'"):
        stream(mixed, tiny_named("mixtral").examples(), [ExpertLabels(mixed, upos())])
