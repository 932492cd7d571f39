"""Our own decoder: GPT-2 when it has all of GPT-2's parts, and a proper transformers model without them, too."""

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from interp.core.errors import ModelUnsupported
from interp.models import attention
from interp.models.transformer import DecoderConfig, DecoderForCausalLM, register

SUBLAYERS = [["attn", "mlp"], ["attn"], ["mlp"]]
SIZES = {"vocab_size": 31, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 40}
OF_GPT2 = {"q": "attn.c_attn", "k": "attn.c_attn", "v": "attn.c_attn", "o": "attn.c_proj", "fc_in": "mlp.c_fc", "fc_out": "mlp.c_proj"}
IDS = torch.tensor([[0, 4, 5, 6, 4, 7, 8, 4, 5], [0, 9, 9, 3, 2, 11, 12, 13, 30]])
TOLERANCE = 1e-5  # rounding of a few hundred float32 operations on logits of size 1 to 10


def drawn(seed: int = 0, **options) -> DecoderForCausalLM:
    """A decoder with every parameter drawn, biases and norms too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hf = DecoderForCausalLM(DecoderConfig(**{**SIZES, "intermediate_size": 24, **options}))
        for parameter in hf.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return hf.eval()


def copied_from(gpt2: transformers.GPT2LMHeadModel) -> DecoderForCausalLM:
    """GPT-2's weights in our modules; its Conv1D stores them the other way round, and q, k, v in one."""
    hf = DecoderForCausalLM(DecoderConfig(**SIZES, intermediate_size=24)).eval()
    theirs = dict(gpt2.transformer.named_parameters())
    renamed = {"embed_tokens.weight": theirs["wte.weight"], "embed_positions.weight": theirs["wpe.weight"]}
    for part in ("weight", "bias"):
        renamed[f"ln_final.{part}"] = theirs[f"ln_f.{part}"]
        for layer in range(2):
            renamed |= {f"blocks.{layer}.ln{n}.{part}": theirs[f"h.{layer}.ln_{n}.{part}"] for n in (1, 2)}
            for own, name in OF_GPT2.items():
                tensor = theirs[f"h.{layer}.{name}.{part}"]
                tensor = tensor.chunk(3, dim=-1)["qkv".index(own)] if own in "qkv" else tensor
                renamed[f"blocks.{layer}.{'attn' if own in 'qkvo' else 'mlp'}.{own}.{part}"] = tensor.T if part == "weight" else tensor
    hf.model.load_state_dict({name: tensor.detach() for name, tensor in renamed.items()}, strict=True)
    return hf


@torch.no_grad()
def test_with_gpt2s_weights_it_computes_what_gpt2_computes(fresh):
    gpt2 = fresh("gpt2")
    gpt2.set_attn_implementation("eager")
    own = copied_from(gpt2)
    own.set_attn_implementation("eager")
    mask = torch.ones_like(IDS)
    mask[1, 6:] = 0
    theirs, ours = (hf(input_ids=IDS, attention_mask=mask, labels=IDS, output_attentions=True) for hf in (gpt2, own))
    assert (ours.logits - theirs.logits)[mask.bool()].abs().max() <= TOLERANCE
    assert (ours.loss - theirs.loss).abs() <= TOLERANCE
    for pattern, expected in zip(ours.attentions, theirs.attentions, strict=True):
        assert (pattern - expected).abs().max() <= TOLERANCE
    own.model.blocks[1].mlp.fc_in.bias[3] += 1.0  # the control: one number changed shows
    assert (own(input_ids=IDS).logits - theirs.logits)[0].abs().max() > 100 * TOLERANCE


@pytest.mark.parametrize("sublayers", SUBLAYERS)
@torch.no_grad()
def test_every_attention_implementation_gives_the_same(sublayers):
    attention.register()
    hf, mask = drawn(sublayers=sublayers), torch.ones_like(IDS)
    mask[1, 6:] = 0
    logits = {}
    for name in ("eager", "sdpa", attention.NAME):
        hf.set_attn_implementation(name)
        logits[name] = hf(input_ids=IDS, attention_mask=mask).logits
    assert (logits["eager"] - logits["sdpa"])[mask.bool()].abs().max() <= TOLERANCE
    assert torch.equal(logits["sdpa"], logits[attention.NAME])


@pytest.mark.parametrize("sublayers", SUBLAYERS)
@torch.no_grad()
def test_a_block_has_the_sublayers_it_was_given_and_no_others(sublayers):
    hf = drawn(sublayers=sublayers)
    for block in hf.model.blocks:
        assert (hasattr(block, "attn"), hasattr(block, "mlp")) == ("attn" in sublayers, "mlp" in sublayers)
    hf.set_attn_implementation("eager")
    out = hf(input_ids=IDS, output_attentions=True, output_hidden_states=True)
    assert len(out.attentions) == (2 if "attn" in sublayers else 0)
    assert len(out.hidden_states) == 3


@pytest.mark.parametrize("sublayers", SUBLAYERS)
@torch.no_grad()
def test_a_saved_folder_is_the_same_model(sublayers, tmp_path):
    register()
    hf = drawn(sublayers=sublayers, head_dim=6, norm="none", hidden_act="relu", tie_word_embeddings=False, pad_token_id=1)
    hf.save_pretrained(tmp_path)
    back = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(back) is DecoderForCausalLM
    assert (back.config.sublayers, back.config.norm, back.config.head_dim) == (sublayers, "none", 6)
    assert torch.equal(back(input_ids=IDS).logits, hf(input_ids=IDS).logits)
    assert not torch.equal(drawn(seed=1, sublayers=sublayers)(input_ids=IDS).logits, hf(input_ids=IDS).logits)


def test_tied_weights_stay_tied_on_disk(tmp_path):
    register()
    drawn().save_pretrained(tmp_path)
    back = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert back.lm_head.weight is back.model.embed_tokens.weight
    untied = drawn(tie_word_embeddings=False)
    assert untied.lm_head.weight is not untied.model.embed_tokens.weight


@pytest.mark.parametrize("sublayers", SUBLAYERS)
def test_it_learns_and_every_parameter_takes_part(sublayers):
    hf = drawn(sublayers=sublayers).train()
    optimiser = torch.optim.Adam(hf.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = hf(input_ids=IDS, labels=IDS).loss
        optimiser.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in hf.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_fresh_weights_are_drawn_as_gpt2_draws_them():
    hf = DecoderForCausalLM(DecoderConfig(**{**SIZES, "hidden_size": 128}))
    block = hf.model.blocks[0]
    for module, std in ((block.attn.q, 0.02), (block.attn.o, 0.01), (block.mlp.fc_in, 0.02), (block.mlp.fc_out, 0.01)):
        assert module.weight.std().item() == pytest.approx(std, rel=0.05)  # 16,384 draws: 0.6 % of standard error
        assert (module.bias == 0).all()
    assert (block.ln1.weight == 1).all()


def test_generation_goes_without_a_cache_and_a_cache_is_refused():
    hf = drawn()
    written = hf.generate(IDS[:1], max_new_tokens=3, do_sample=False, pad_token_id=1)
    assert written.shape == (1, 12)
    with torch.no_grad():
        assert written[0, 9] == hf(input_ids=IDS[:1]).logits[0, -1].argmax()
        assert hf(input_ids=IDS, logits_to_keep=1).logits.shape == (2, 1, 31)
    with pytest.raises(ModelUnsupported, match="interp-decoder keeps no key-value cache; expected use_cache=False"):
        hf(input_ids=IDS, use_cache=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sublayers": ["mlp", "attn"]}, r"sublayers=\['mlp', 'attn'\] came; expected one of"),
        ({"sublayers": []}, r"sublayers=\[\] came"),
        ({"norm": "rms"}, "norm='rms' came; expected one of"),
        ({"hidden_act": "silu"}, "hidden_act='silu' came"),
        ({"hidden_size": 18}, "4 heads do not divide hidden_size=18; expected head_dim as well"),
    ],
)
def test_shapes_nobody_verified_are_refused(options, message):
    with pytest.raises(ModelUnsupported, match=message):
        DecoderConfig(**{**SIZES, **options})
