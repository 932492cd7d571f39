"""Over an encoder-decoder's pairs, neurons, experts and both streams are what captures of the pairs give, stack by stack."""

import numpy as np
import pytest
import torch
from conftest import TARGET, TEXTS

from interp.captures.corpus.attribution import DirectLogits
from interp.captures.corpus.depth import LensLoss, StreamRank
from interp.captures.corpus.experts import ExpertLoad, ExpertTokens
from interp.captures.corpus.labels import places, special
from interp.captures.corpus.neuron_examples import NeuronExamples
from interp.captures.corpus.neuron_labels import NeuronLabels
from interp.captures.corpus.neurons import NeuronHistogram, NeuronMoments
from interp.captures.corpus.promoted import promoted_tokens
from interp.captures.corpus.residual import SublayerWrites
from interp.captures.corpus.stream import stream
from interp.captures.prompt import capture
from interp.core.results import of_stack
from interp.measures.rank import effective_rank
from interp.models.reading import rows_of

PAIRS = [(text, TARGET if number % 2 else "she said nothing then") for number, text in enumerate(TEXTS)]
FAMILIES = ["t5", "bart", "marian", "m2m100"]


@pytest.fixture
def over(tiny_named):
    """What reducers keep of the pairs, and a capture of each pair."""

    def run(name, *made, **options):
        model = tiny_named(name).model
        found = stream(model, [rows_of(model, pair) for pair in PAIRS], [make(model) for make in made], **options)
        return found, [capture(model, text, target=target) for text, target in PAIRS]

    return run


def neurons(seen, layer, stack):
    return torch.cat([each.tensor("post", layer, stack) for each in seen])


@pytest.mark.parametrize("name", FAMILIES)
def test_neurons_of_both_stacks_are_those_of_the_captures(over, name):
    found, seen = over(name, lambda model: NeuronMoments(), lambda model: NeuronHistogram())
    assert found["neuron_mean"].dims == ("stack", "layer", "neuron")
    for stack in ("E", "D"):
        for layer in range(seen[0].model.anatomy.stack(stack).n_layers):
            values = neurons(seen, layer, stack)
            assert found.sel(stack=stack, layer=layer, neuron=slice(values.shape[1], None))["neuron_mean"].isnull().all()
            at = found.sel(stack=stack, layer=layer, neuron=slice(0, values.shape[1] - 1))
            np.testing.assert_allclose(at["neuron_mean"], values.mean(0), atol=1e-5)
            np.testing.assert_allclose(at["neuron_sd"], values.std(0, correction=0), atol=1e-5)
            np.testing.assert_allclose(at["neuron_active"], (values > 0).float().mean(0), atol=1e-6)
            np.testing.assert_allclose(at["neuron_max"], values.amax(0), atol=1e-5)
            assert (at["neuron_histogram"].sum("bin") == len(values)).all()
        assert of_stack(found["neuron_mean"], stack).attrs["n"] == len(values)
    assert found.sel(stack="X")["neuron_mean"].isnull().all()
    assert float(np.abs(found["neuron_mean"].sel(stack="E") - found["neuron_mean"].sel(stack="D")).max()) > 0.01  # a mix-up would show


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("max_tokens", [1, 200])
def test_the_best_examples_stand_in_the_text_that_the_stack_reads(over, name, max_tokens):
    k, before, after = 4, 3, 2
    found, seen = over(name, lambda model: NeuronExamples(model, k=k, before=before, after=after), max_tokens=max_tokens)
    for stack in ("E", "D"):
        rows = [each.row(stack).ids for each in seen]
        for layer in range(seen[0].model.anatomy.stack(stack).n_layers):
            each = [one.tensor("post", layer, stack) for one in seen]
            at = found.sel(stack=stack, layer=layer, neuron=slice(0, each[0].shape[1] - 1))
            np.testing.assert_allclose(at["neuron_top"], torch.cat(each).sort(dim=0, descending=True).values[:k].T, atol=1e-5)
            for neuron in range(each[0].shape[1]):
                one = at.sel(neuron=neuron)
                for value, text, pos, window in zip(
                    *(one[f"neuron_top{what}"].values for what in ("", "_text", "_pos", "_ids")), strict=True
                ):
                    assert float(each[text][pos, neuron]) == pytest.approx(float(value), abs=1e-5)
                    padded = [-1] * before + list(rows[text]) + [-1] * after
                    assert window.tolist() == padded[pos : pos + before + 1 + after]
    assert (found["neuron_top_text"].sel(stack="X") == -1).all()


def test_labels_are_those_of_each_stacks_own_tokens(over):
    found, seen = over("t5", lambda model: NeuronLabels(places((0, 1, 4))), lambda model: NeuronLabels(special()))
    for stack in ("E", "D"):
        values = neurons(seen, 1, stack)
        where = torch.cat([torch.arange(len(each.row(stack))) for each in seen])
        marked = torch.tensor([one for each in seen for one in each.row(stack).special])
        for label, chosen in {"0": where == 0, "1-3": (where > 0) & (where < 4), "4+": where >= 4}.items():
            at = found["neuron_by_place"].sel(stack=stack, layer=1, place=label)
            np.testing.assert_allclose(at, values[chosen].mean(0), atol=1e-5)
        for label, chosen in {"special": marked, "ordinary": ~marked}.items():
            at = found["neuron_active_by_special"].sel(stack=stack, layer=1, special=label)
            np.testing.assert_allclose(at, (values[chosen] > 0).float().mean(0) if chosen.any() else np.full(len(at), np.nan), atol=1e-6)
    n = sum(len(each.row(stack)) for each in seen for stack in ("E", "D"))
    assert found["neuron_by_place"].attrs["n_by_label"].sum() == n == found["neuron_by_place"].attrs["n"]


def test_experts_of_both_stacks_see_what_the_router_sent(over):
    made = [lambda model: NeuronMoments(), ExpertLoad, lambda model: ExpertTokens(model, k=3)]
    found, seen = over("switch", *made)
    model = seen[0].model
    assert found["expert_token_ids"].dims == ("stack", "layer", "expert", "rank")
    for stack in ("E", "D"):
        tokens = torch.cat([torch.tensor(each.row(stack).ids) for each in seen])
        for layer in range(2):
            at = found.sel(stack=stack, layer=layer)
            if not model.anatomy.ffn(layer, stack).experts:
                assert at["expert_load"].isnull().all()
                np.testing.assert_allclose(at["neuron_mean"], neurons(seen, layer, stack).mean(0), atol=1e-5)
                continue
            assert at["neuron_mean"].isnull().all()
            sent = torch.cat([each.tensor("expert_weights", layer, stack) for each in seen]) != 0
            np.testing.assert_allclose(at["expert_load"], sent.double().mean(0), atol=1e-6)
            for expert in range(model.anatomy.n_experts):
                values = np.concatenate([each.expert_neurons(f"{stack}L{layer}E{expert}").values for each in seen])
                values = values[~np.isnan(values).any(-1)]
                if len(values):
                    np.testing.assert_allclose(at["expert_neuron_mean"].sel(expert=expert), values.mean(0), atol=1e-5)
                counts = torch.bincount(tokens[sent[:, expert]], minlength=model.anatomy.d_vocab).double()
                excess = counts - sent[:, expert].double().mean() * torch.bincount(tokens, minlength=model.anatomy.d_vocab)
                np.testing.assert_allclose(at["expert_token_excess"].sel(expert=expert), excess.topk(3).values, atol=1e-5)
    assert found["expert_load"].sel(stack=["E", "D"]).notnull().any(["layer", "expert"]).all()


@pytest.mark.parametrize("name", ["t5", "bart", "m2m100"])
def test_writes_of_every_sublayer_are_those_of_the_captures(over, name):
    found, seen = over(name, SublayerWrites)
    kinds = {"attention": "attn_out", "FFN": "mlp_out"}
    names = found.sublayer.values.tolist()
    assert names[:2] + names[4:7] == ["EL0 attention", "EL0 FFN", "DL0 attention", "XL0 attention", "DL0 FFN"]
    for number, name in enumerate(names):
        where, what = name.split(" ")
        writes = [each.tensor(kinds[what], int(where[-1]), where[0]) for each in seen]
        stack = "E" if where[0] == "E" else "D"
        assert float(found["write_norm"][number]) == pytest.approx(float(torch.cat(writes).norm(dim=-1).mean()), abs=1e-5)
        if "write_final_cosine" in found:
            ends = [each.depths(stack)[-1] for each in seen]
            cosine = torch.nn.functional.cosine_similarity(torch.cat(writes), torch.cat(ends), dim=-1).mean()
            assert float(found["write_final_cosine"][number]) == pytest.approx(float(cosine), abs=1e-5)
        if what == "FFN" and seen[0].model.anatomy.norms == "pre":
            befores = [each.tensor("resid_mid", int(where[-1]), "E" if stack == "E" else "X") for each in seen]
            cosine = torch.nn.functional.cosine_similarity(torch.cat(writes), torch.cat(befores), dim=-1).mean()
            assert float(found["write_cosine"][number]) == pytest.approx(float(cosine), abs=1e-5)
        assert found["write_norm"].attrs["n"][number] == sum(len(each.row(stack)) for each in seen)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_streams_ranks_and_the_lens_are_those_of_the_captures(over, tiny_named, name):
    found, seen = over(name, StreamRank, lambda model: LensLoss(model, tokens=7))
    assert found["effective_rank"].dims == ("stack", "depth")
    assert found["lens_loss"].dims == ("depth",)
    for stack in ("E", "D"):
        for depth in range(len(seen[0].depths(stack))):
            vectors = torch.cat([each.depths(stack)[depth] for each in seen]).double()
            assert float(found["effective_rank"].sel(stack=stack, depth=depth)) == pytest.approx(
                effective_rank(vectors.T @ vectors), abs=1e-6
            )
        assert of_stack(found["effective_rank"], stack).attrs["n"] == len(vectors)
    losses = []
    for text, target in PAIRS:
        example, row = rows_of(seen[0].model, (text, target))
        with torch.no_grad():
            ids = torch.tensor([row.ids])
            logits = tiny_named(name).eager()(input_ids=torch.tensor([example.ids]), decoder_input_ids=ids).logits[0, :-1].double()
        losses.append(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none"))
    assert float(found["lens_loss"][-1]) == pytest.approx(torch.cat(losses).mean().item(), abs=1e-5)
    assert found["lens_loss"].attrs["n"] == sum(map(len, losses))


@pytest.mark.parametrize("name", ["t5", "m2m100"])
def test_direct_logits_are_the_decoders_contributions(over, name):
    found, seen = over(name, DirectLogits)
    direct = found["direct_logits"]
    sums = dict.fromkeys(direct.component.values.tolist(), 0.0)
    n = 0
    for each in seen:
        for pos, token in enumerate(each.row().ids[1:]):
            parts = each.contributions(token, pos=pos, by="sublayer")
            n += 1
            for component, value in zip(parts.component.values.tolist(), parts.values.tolist(), strict=True):
                sums[component] += value
    np.testing.assert_allclose(direct, [value / n for value in sums.values()], atol=1e-5)
    assert direct.attrs["n"] == n
    assert float(direct.sum()) == pytest.approx(direct.attrs["logit"], abs=1e-5)
    assert 0 < direct.attrs["error"] < 1e-4


def test_what_the_decoders_neurons_promote_stands_in_its_stack(tiny_named):
    model = tiny_named("t5").model
    found = promoted_tokens(model, k=4)
    assert found["neuron_promoted"].dims == ("stack", "layer", "neuron", "rank")
    assert found["neuron_promoted"].sel(stack="E").isnull().all()
    assert (found["neuron_promoted_ids"].sel(stack="D") >= 0).all()


def test_stacks_of_unequal_depth_are_filled_with_nothing(fresh, word_tokenizer):
    from checked import with_checks
    from transformers import T5Config, T5ForConditionalGeneration

    from interp.models.load import load_model

    config = T5Config(**{**fresh("t5").config.to_dict(), "num_layers": 1, "num_decoder_layers": 3})
    model = with_checks(load_model(T5ForConditionalGeneration(config).eval(), word_tokenizer()))
    made = [NeuronMoments(), NeuronExamples(model, k=2), StreamRank(model), LensLoss(model), SublayerWrites(model)]
    found = stream(model, [rows_of(model, pair) for pair in PAIRS], made)
    assert found.sizes["layer"] == 3
    assert found["neuron_mean"].notnull().all("neuron").values.tolist() == [[True, False, False], [True] * 3, [False] * 3]
    assert found["effective_rank"].notnull().values.tolist() == [[True, True, False, False], [True] * 4, [False] * 4]
    assert found["lens_loss"].notnull().all()
    assert len(found.sublayer) == 2 + 3 * 3
