"""What a head's OV circuit writes is the naive product of its weights; a copying head of a written model copies, its twin does not."""

import copy

import numpy as np
import pytest
import torch

from interp import api
from interp.captures.corpus.head_writes import head_writes
from interp.captures.corpus.registry import ATLAS, GROUPS, chosen
from interp.core.errors import DataError, ModelUnsupported
from interp.measures.ov import copying, directions, own_logit
from interp.models.value_weights import value_weights

# Families that keep their values in all ways: one matrix for three, interleaved heads, shared values, a norm behind, no norm, a bias.
FORMS = ["gpt2", "neox", "llama", "phi3", "gemma3", "qwen2", "opt", "mixtral"]


@pytest.fixture(scope="module")
def known():
    def load(name):
        made = api.constructed(name)
        return made, api.load(made.hf, made.tokenizer)

    return load


def naive(model, layer, head):
    """M = E W_V W_O U of one head, d_vocab x d_vocab, from modules that are run: no formula of ours but W_V and W_O themselves."""
    sublayer = model.attention(layer)
    norm_in, final = copy.deepcopy(model.at(sublayer.norm_in)).double(), model.at(model.anatomy.main.ln_final)
    E = model.hf.get_input_embeddings().weight.double()[: model.anatomy.d_vocab]
    bias = getattr(norm_in, "bias", None)
    read = norm_in.forward(E) - (0 if bias is None else bias)
    W_V, W_O = value_weights(model)["", layer][head].double(), model.W_O(layer)[head].double()
    written = read @ W_V @ W_O
    for norm in [model.at(path) for path in (sublayer.norm_out,) if path] + [final]:
        written = (written - written.mean(-1, keepdim=True) if isinstance(norm, torch.nn.LayerNorm) else written) * weight_of(norm)
    return written @ model.W_U().double() * model.anatomy.readout_scale


def weight_of(norm):
    if isinstance(norm, torch.nn.Identity):
        return 1.0
    weight = norm.weight.double()
    return weight + 1 if type(norm).__name__.startswith("Gemma") else weight


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_copying_is_that_of_the_whole_circuit(tiny_named, form):
    model = tiny_named(form).model
    found = head_writes(model, k=5)
    for layer in range(2):
        for head in (0, 3):
            M = naive(model, layer, head)
            eigenvalues = torch.linalg.eigvals(M)
            expected = float(eigenvalues.real.sum() / eigenvalues.abs().sum())
            at = found.sel(layer=layer, head=head)
            # Norms have an epsilon, which counts for little at scale 1: 1e-5 in most families.
            assert float(at["head_copying"]) == pytest.approx(expected, abs=2e-3)
            own = float((M.diagonal().mean() - M.mean()).item())
            assert float(at["head_copying_logits"]) == pytest.approx(own, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("form", ["gpt2", "llama", "mixtral"])
@torch.no_grad()
def test_directions_are_the_singular_ones_of_the_product(tiny_named, form):
    model = tiny_named(form).model
    found = head_writes(model, k=5)
    for layer in range(2):
        W_V, W_O = value_weights(model)["", layer][1].double(), model.W_O(layer)[1].double()
        _, sigma, vh = torch.linalg.svd(W_V @ W_O)
        at = found.sel(layer=layer, head=1)
        np.testing.assert_allclose(at["head_direction_share"], (sigma**2 / (sigma**2).sum())[:3], atol=1e-5)
        final = model.at(model.anatomy.main.ln_final)
        out = sigma[0] * vh[0]
        out = (out - out.mean() if isinstance(final, torch.nn.LayerNorm) else out) * weight_of(final)
        logits = out @ model.W_U().double()
        logits = logits if logits.max() >= -logits.min() else -logits
        assert at["head_promoted_ids"].values[0].tolist() == logits.topk(5).indices.tolist()
        assert at["head_suppressed_ids"].values[0].tolist() == logits.topk(5, largest=False).indices.tolist()
        np.testing.assert_allclose(at["head_promoted"].values[0], logits.topk(5).values, rtol=1e-3)


def test_value_weights_are_those_of_the_projections(tiny_named):
    model = tiny_named("gpt2").model
    fused = model.hf.transformer.h[1].attn.c_attn.weight.detach()  # (d_model, query key value)
    expected = fused[:, 2 * 16 :].unflatten(1, (4, 4)).transpose(0, 1)
    torch.testing.assert_close(value_weights(model)["", 1], expected, atol=1e-6, rtol=0)
    model = tiny_named("llama").model
    shared = model.hf.model.layers[0].self_attn.v_proj.weight.detach().T.unflatten(1, (2, 4)).transpose(0, 1)
    torch.testing.assert_close(value_weights(model)["", 0], shared.repeat_interleave(2, dim=0), atol=1e-6, rtol=0)


def test_a_written_copying_head_copies_and_its_neighbours_murmur(known):
    made, model = known("induction")
    found = head_writes(model, k=10, n_directions=8)
    copies = found.sel(layer=1, head=0)  # truth: L1H0 says what stands there, with weight 10
    assert made.truth["induction"] == ("L1H0",)
    said = [at for at in range(8) if float(copies["head_promoted"][at, 0]) > 1]  # special tokens are never said
    assert len(said) >= 5
    for direction in said:
        promoted, read = (copies[name].values[direction] for name in ("head_promoted_ids", "head_reads_ids"))
        assert promoted[0] == read[0]
        assert float(copies["head_promoted"][direction, 0]) == pytest.approx(10 * float(copies["head_reads"][direction, 0]), rel=1e-4)
    assert float(copies["head_copying"]) == pytest.approx(1.0)
    assert float(copies["head_copying_logits"]) > 9
    for neighbour in (1, 2, 3):
        assert abs(float(found["head_copying_logits"].sel(layer=1, head=neighbour))) < 0.2
    # L0H1 notes the token before where the unembedding does not read: no circuit of its own from tokens to logits.
    assert np.isnan(float(found["head_copying"].sel(layer=0, head=1)))


@torch.no_grad()
def test_a_twin_that_says_the_next_word_of_the_vocabulary_does_not_copy(known):
    made, model = known("previous-token")
    assert float(head_writes(model)["head_copying_logits"].sel(layer=0, head=1)) > 9
    twin = copy.deepcopy(made.hf)
    attn = twin.model.blocks[0].attn
    rows = slice(128, 256)  # of L0H1
    attn.o.weight[:, rows] = attn.o.weight[:, rows].roll(1, dims=0)
    other = head_writes(api.load(twin, made.tokenizer))
    assert abs(float(other["head_copying_logits"].sel(layer=0, head=1))) < 0.5
    assert float(other["head_promoted"].sel(layer=0, head=1).max()) > 9  # it writes as loudly


def test_laws_of_copying():
    generator = torch.Generator().manual_seed(0)
    kernel, ones = torch.randn(5, 8, 8, generator=generator), torch.ones(5)
    values = copying(kernel, ones)
    assert (values.abs() <= 1).all()
    torch.testing.assert_close(copying(-kernel, ones), -values)
    torch.testing.assert_close(copying(3 * kernel, ones), values)
    assert copying(torch.zeros(1, 8, 8), torch.ones(1)).isnan().all()
    assert copying(torch.eye(8)[None], torch.ones(1)).item() == pytest.approx(1.0)


def test_own_logit_is_the_diagonal_less_the_mean():
    generator = torch.Generator().manual_seed(1)
    E, W_V, W_O, U = (torch.randn(*shape, generator=generator) for shape in ((20, 6), (6, 3), (3, 6), (6, 20)))
    M = E @ W_V @ W_O @ U
    found = own_logit((W_O @ U @ E @ W_V)[None], (E @ W_V).mean(0)[None], (W_O @ U).mean(1)[None], 20)
    assert found.item() == pytest.approx((M.diagonal().mean() - M.mean()).item(), abs=1e-4)


def test_directions_rebuild_the_product():
    generator = torch.Generator().manual_seed(2)
    W_V, W_O = torch.randn(4, 12, 3, generator=generator), torch.randn(4, 3, 12, generator=generator)
    sigma, read, written = directions(W_V, W_O, 3)
    torch.testing.assert_close(torch.einsum("hi,hid,hie->hde", sigma, read, written), W_V @ W_O, atol=1e-4, rtol=1e-4)
    assert (sigma.diff(dim=1) <= 0).all()


@pytest.mark.parametrize("form", ["bert", "gemma2", "ffn-only"])
def test_what_has_no_way_of_its_own_to_the_logits_is_refused(tiny_named, form):
    with pytest.raises(ModelUnsupported, match=r"write toward no tokens by their weights alone"):
        head_writes(tiny_named(form).model)


def test_latent_attention_has_no_value_weights(tiny_named):
    with pytest.raises(ModelUnsupported, match=r"no linear map of what it reads \(latent attention"):
        value_weights(tiny_named("deepseek-v3").model)
    with pytest.raises(ModelUnsupported, match=r"no heads that write toward tokens by their weights alone: latent attention"):
        GROUPS["head_writes"].make(tiny_named("deepseek-v3").model)  # before a corpus is run
    assert "head_writes" not in chosen(tiny_named("deepseek-v3").model, [ATLAS])[0]


def test_over_pairs_the_decoder_and_cross_attention_write_and_the_encoder_does_not(tiny_named):
    found = head_writes(tiny_named("t5").model, k=4)
    assert found["head_promoted"].dims == ("stack", "layer", "head", "direction", "rank")
    assert found["head_promoted"].sel(stack="E").isnull().all()
    assert (found["head_promoted_ids"].sel(stack="E") == -1).all()
    assert found["head_promoted"].sel(stack=["D", "X"]).notnull().all()
    assert found["head_copying"].sel(stack="D").notnull().all()
    assert found["head_copying"].sel(stack="X").isnull().all()


def test_atlas_stands_for_all_groups_that_the_model_and_plain_texts_have(tiny_named):
    names, _ = chosen(tiny_named("gpt2").model, [ATLAS])
    assert set(names) == {name for name, group in GROUPS.items() if not group.annotated and not group.rare}
    assert {"head_writes", "vocabulary"} < set(names)
    assert set(chosen(tiny_named("t5").model, [ATLAS])[0]) >= {"heads", "distances", "head_writes", "vocabulary"}
    assert "head_writes" not in chosen(tiny_named("bert").model, [ATLAS])[0]
    with pytest.raises(DataError, match=r"expected some of: atlas, heads"):
        chosen(tiny_named("gpt2").model, ["atlass"])
