"""Ablation of neurons, experts, and encoder-decoders' stacks. (A head or a neuron at zero, family by family: `test_every_family`.)"""

import re

import pytest
import torch

from interp.captures.prompt import capture
from interp.core.errors import InterventionError, SiteError, TextError
from interp.interventions.ablate import ablate
from interp.models import experts
from interp.models.load import load_model
from interp.models.points import watching
from interp.models.watch import Keep

LONGER = ["by the sea the old dog saw a man and the man saw", "they saw the sea and they saw the sea and they saw the"]
TOLERANCE = 1e-5

_T5 = {"EH": "encoder.block.1.layer.0.SelfAttention.o", "DH": "decoder.block.1.layer.0.SelfAttention.o"}
_T5 |= {"XH": "decoder.block.1.layer.1.EncDecAttention.o", "EN": "encoder.block.1.layer.1.DenseReluDense.wo"}
_T5 |= {"DN": "decoder.block.1.layer.2.DenseReluDense.wo"}
_BART = {"EH": "model.encoder.layers.1.self_attn.out_proj", "DH": "model.decoder.layers.1.self_attn.out_proj"}
_BART |= {"XH": "model.decoder.layers.1.encoder_attn.out_proj", "EN": "model.encoder.layers.1.fc2", "DN": "model.decoder.layers.1.fc2"}
OUT = {"t5": _T5, "marian": _BART}  # form -> stack and kind of site -> the projection of the plain model that reads it
INDEX = {"H": 2, "N": 3}
PLACES = [(form, place) for form, places in OUT.items() for place in places]
PAIRS = [(LONGER[0], "she said nothing but it was cold"), (LONGER[1], "they went home again with their dog")]


def _put(tiny, rows: dict[str, torch.Tensor], place: str, value) -> torch.Tensor:
    """The plain model's answer with what one projection reads edited at one site, by a hook of this test."""
    hf = tiny.eager()
    index, width = INDEX[place[-1]], 4 if place.endswith("H") else 1

    def edit(module, args):
        read = args[0].clone()
        read[..., index * width : (index + 1) * width] = value
        return (read, *args[1:])

    hf.get_submodule(OUT[tiny.name][place]).register_forward_pre_hook(edit)
    return _plain(hf, rows)


@torch.no_grad()
def _plain(hf, rows: dict[str, torch.Tensor]) -> torch.Tensor:
    target = {"decoder_input_ids": rows["target"]} if "target" in rows else {}
    return hf(input_ids=rows["ids"], **target).logits


def _site(place: str) -> str:
    return f"{place[:-1]}L1{place[-1]}{INDEX[place[-1]]}"


@pytest.mark.parametrize(("form", "place"), PLACES)
def test_mean_and_resample_over_pairs_put_in_what_the_pairs_have_there(tiny_named, form, place):
    tiny = tiny_named(form)
    rows, stack = tiny.rows(), place[:-1]
    n = rows["ids" if stack == "E" else "target"].shape[1]
    kind, index = {"H": "z", "N": "post"}[place[-1]], INDEX[place[-1]]
    values = [capture(tiny.model, text, target=target).tensor(kind, 1, stack)[:n, index] for text, target in PAIRS]
    values = [value if kind == "z" else value[:, None] for value in values]
    with ablate(tiny.model, _site(place), how="mean", over=PAIRS):
        mean = tiny.model.run(**rows)
    torch.testing.assert_close(mean, _put(tiny, rows, place, (values[0] + values[1]) / 2), atol=TOLERANCE * 10, rtol=TOLERANCE)
    with ablate(tiny.model, _site(place), how="resample", over=PAIRS):
        drawn = tiny.model.run(**rows)
    expected = [_put(tiny, rows, place, value) for value in values]
    assert sum(torch.allclose(drawn, one, atol=1e-4) for one in expected) == 1


def test_an_encoder_decoder_wants_pairs_and_a_model_of_one_stack_wants_texts(tiny_named):
    paired, single = tiny_named("t5").model, tiny_named("llama").model
    with pytest.raises(TextError, match="expected a second text"), ablate(paired, "EL0H0", how="mean", over=LONGER):
        raise AssertionError("the block ran")
    with pytest.raises(TextError, match="has one stack and reads one text"), ablate(single, "L0H0", how="mean", over=PAIRS):
        raise AssertionError("the block ran")


@pytest.mark.parametrize("form", ["t5", "bart"])
def test_one_stack_switched_off_leaves_the_others_as_they_were(tiny_named, form):
    tiny = tiny_named(form)
    before = tiny.capture()
    for site, same in {"DL0H1": ("E",), "XL0H1": ("E",)}.items():
        with ablate(tiny.model, site, how="zero"):
            seen = tiny.capture()
        for stack in same:
            assert torch.equal(seen.tensor("z", 1, stack), before.tensor("z", 1, stack))
        assert (seen.tensor("z", 0, site[0])[:, 1] == 0).all()
        assert not torch.equal(seen.tensor("z", 1, "D"), before.tensor("z", 1, "D"))
    with ablate(tiny.model, "EL0H1", how="zero"):
        seen = tiny.capture()
    assert torch.equal(seen.tensor("z", 0, "D"), before.tensor("z", 0, "D"))  # it has not looked at the encoder yet
    assert not torch.equal(seen.tensor("z", 0, "X"), before.tensor("z", 0, "X"))


MIXED = {
    "mixtral": "L1E",
    "qwen2-moe": "L1E",
    "qwen3-moe": "L1E",
    "gpt-oss": "L1E",
    "olmoe": "L0E",
    "deepseek-v2": "L1E",
    "deepseek-v3": "L1E",
    "switch": "DL1E",
}


def _routing(tiny, rows: dict[str, torch.Tensor], prefix: str) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """The FFN of experts at a site, what it reads, and how it weights its experts."""
    site = tiny.model.anatomy.part(prefix + "0")
    keep = Keep(tiny.model, ["mlp_in", "expert_weights"])
    with watching(keep):
        tiny.model.run(**rows)
    blocks = "decoder_blocks" if site.stack else "blocks"
    names = (f"{blocks}.{site.layer}.mlp.hook_{name}" for name in ("in", "expert_weights"))
    return tiny.model.at(tiny.model.anatomy.ffn(site.layer, site.stack).module), *(keep.arrays[name] for name in names)


@pytest.mark.parametrize("form", MIXED)
def test_an_expert_switched_off_is_the_plain_model_without_its_contribution(tiny_named, form):
    tiny, prefix = tiny_named(form), MIXED[form]
    rows = tiny.rows(texts=2)
    ffn, x, weights = _routing(tiny, rows, prefix)
    expert = int((weights != 0).sum((0, 1)).argmax())
    assert (weights[..., expert] != 0).any()
    taken = (weights[..., expert, None] * experts.expert_of(ffn, expert).writes(x)).detach()

    hf = tiny.eager()
    path = next(sub.module for sub in tiny.model.anatomy.sublayers() if tiny.model.at(sub.module) is ffn)
    hf.get_submodule(path).register_forward_hook(
        lambda module, args, out: (out[0] - taken, *out[1:]) if isinstance(out, tuple) else out - taken
    )
    before = tiny.model.run(**rows)
    with ablate(tiny.model, f"{prefix}{expert}", how="zero"):
        after = tiny.model.run(**rows)
    torch.testing.assert_close(after, _plain(hf, rows), atol=TOLERANCE * 10, rtol=TOLERANCE * 10)
    assert (after - before).abs().max() > 1e-4
    assert torch.equal(tiny.model.run(**rows), before)


@pytest.mark.parametrize("form", MIXED)
def test_an_expert_that_no_token_chose_raises(tiny_named, form):
    tiny, prefix = tiny_named(form), MIXED[form]
    rows = tiny.rows(n=1, m=1)
    weights = _routing(tiny, rows, prefix)[2]
    idle = int((weights == 0).all(0).all(0).nonzero()[0])
    nothing = f"the ablation of {prefix}{idle} changed nothing: .* was the expert chosen"
    with pytest.raises(InterventionError, match=nothing), ablate(tiny.model, f"{prefix}{idle}", how="zero"):
        tiny.model.run(**rows)


@pytest.mark.parametrize("how", ["mean", "resample"])
def test_an_expert_is_switched_off_by_zero_only(tiny_named, how):
    refused = f"an expert is switched off with how='zero'; how='{how}' came"
    with pytest.raises(SiteError, match=refused), ablate(tiny_named("mixtral").model, ["L0H0", "L0E0"], how=how, over=LONGER):
        raise AssertionError("the block ran")


@pytest.mark.parametrize(
    ("form", "site", "message"),
    [
        ("deepseek-v3", "L0E0", "L0E0: this model has no experts"),  # its first layer is dense,
        ("deepseek-v3", "L1N0", "L1N0: this model has no neurons"),  # its second a mixture
        ("deepseek-v3", "L1E4", "L1E4: this model has experts 0-3 in each layer"),
        ("mixtral", "L0N0", "L0N0: this model has no neurons"),
        ("attention-only", "L0N0", "L0N0: this model has no neurons"),
        ("ffn-only", "L0H0", "L0H0: this model has no heads"),
        ("marian", "EL2H0", "EL2H0: this model has layers 0-1"),
        ("marian", "L0H0", "stack '': this model has 'E', 'D', 'X'"),
        ("marian", "XL0N0", "XL0N0: this model has no neurons"),
    ],
)
def test_parts_that_do_not_exist_are_refused_before_the_block(tiny_named, form, site, message):
    with pytest.raises(SiteError, match=re.escape(message)), ablate(tiny_named(form).model, site, how="zero"):
        raise AssertionError("the block ran")


def test_heads_neurons_and_experts_go_together(tiny_named):
    tiny = tiny_named("deepseek-v3")
    rows = tiny.rows()
    chosen = int(_routing(tiny, rows, "L1E")[2][0, 0].argmax())
    sites = ["L1H0", "L0N3", f"L1E{chosen}"]
    with ablate(tiny.model, sites, how="zero"):
        together = tiny.model.run(**rows)
    with ablate(tiny.model, sites[0], how="zero"), ablate(tiny.model, sites[1], how="zero"), ablate(tiny.model, sites[2], how="zero"):
        assert torch.equal(tiny.model.run(**rows), together)
    with ablate(tiny.model, sites[:2], how="zero"):
        assert not torch.equal(tiny.model.run(**rows), together)


def test_a_neuron_that_is_0_anyway_raises(fresh, word_tokenizer):
    hf = fresh("opt")
    with torch.no_grad():
        hf.model.decoder.layers[1].fc1.bias[5] = -1000.0  # ReLU
    model = load_model(hf, word_tokenizer())
    with (
        pytest.raises(InterventionError, match="the ablation of L1N5 changed nothing"),
        ablate(model, ["L1N5", "L1N6", "L0H0"], how="zero"),
    ):
        model.run(torch.tensor([[4, 5, 6, 7, 8, 9]]))
