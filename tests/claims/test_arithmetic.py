"""Sizes: formulas against models that are built and counted, statements that hold and that do not, statements that say nothing."""

import pytest
import torch
import transformers as hf
from tiny_families import drawn

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols.arithmetic import published
from interp.claims.protocols.parts.exact import can_be_false
from interp.claims.protocols.parts.expression import Expression
from interp.claims.protocols.parts.model_shape import model_quantities, unplaced
from interp.claims.protocols.parts.shapes import NUMBERS, QUANTITIES, Shape, as_usual, quantities
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError


def claim(statement: str, **test) -> Claim:
    fields = {"id": "a", "statement": "x", "kind": ["arith"], "quantifier": "all", "scope": "any", "does_not_show": "more"}
    return parse_claim({**fields, "test": {"protocol": "configuration_arithmetic", "statement": statement, **test}}, "a test")


@pytest.fixture(scope="module")
def model():
    return interp.load()


AS_BUILT = {
    "BERT-base": lambda: hf.BertModel(hf.BertConfig()),
    "GPT": lambda: hf.OpenAIGPTModel(hf.OpenAIGPTConfig()),
    "GPT-2 small": lambda: hf.GPT2LMHeadModel(hf.GPT2Config()),
    "GPT-2 XL": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(n_embd=1600, n_layer=48, n_head=25)),
    "GPT-3": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(n_embd=12288, n_layer=96, n_head=96, n_positions=2048)),
    "T5-small": lambda: hf.T5ForConditionalGeneration(hf.T5Config()),
    "GPT-NeoX-20B": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig()),
    "LLaMA-2-7B": lambda: hf.LlamaForCausalLM(hf.LlamaConfig()),
    "LLaMA-3-8B": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(intermediate_size=14336, num_key_value_heads=8, vocab_size=128256)),
    "Mistral-7B": lambda: hf.MistralForCausalLM(hf.MistralConfig()),
    "Gemma-7B": lambda: hf.GemmaForCausalLM(hf.GemmaConfig()),
}
T5_LARGE = {"d_model": 1024, "d_kv": 128, "num_layers": 1}
PART_BUILT = {
    "GPT-J": (lambda: hf.GPTJModel(hf.GPTJConfig(n_layer=1)).h[0], "attn", "mlp"),
    "T5-3B": (lambda: hf.T5Model(hf.T5Config(**T5_LARGE, d_ff=16384, num_heads=32)).decoder.block[0].layer, "1.EncDecAttention", ""),
    "T5-11B": (lambda: hf.T5Model(hf.T5Config(**T5_LARGE, d_ff=65536, num_heads=128)).decoder.block[0].layer, "1.EncDecAttention", ""),
    "GPT-3": (lambda: hf.GPT2Model(hf.GPT2Config(n_embd=12288, n_layer=1, n_head=96)).h[0], "attn", "mlp"),
    "GPT-NeoX-20B": (lambda: hf.GPTNeoXModel(hf.GPTNeoXConfig(num_hidden_layers=1)).layers[0], "attention", "mlp"),
    "Gemma-7B": (lambda: hf.GemmaModel(hf.GemmaConfig(num_hidden_layers=1)).layers[0], "self_attn", "mlp"),
}


def count(module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("name", AS_BUILT)
def test_the_formula_counts_the_model_in_full_size_exactly(name):
    with torch.device("meta"):
        built = AS_BUILT[name]()
    shape = next(shape for shape in published() if shape.name == name)
    assert quantities(shape)["parameters"] == count(built)
    assert shape.parameters_counted == (None if name == "GPT-3" else count(built))


@pytest.mark.parametrize("name", PART_BUILT)
def test_the_formula_counts_the_parts_of_a_layer_exactly(name):
    """Where biases are in all, in FFNs only, and nowhere."""
    build, attention, ffn = PART_BUILT[name]
    with torch.device("meta"):
        layer = build()
    known = {shape.name: quantities(shape) for shape in published()}[name]
    assert known["layer_attention_parameters"] == count(layer.get_submodule(attention))
    assert not ffn or known["layer_ffn_parameters"] == count(layer.get_submodule(ffn))


def test_what_is_not_known_of_a_shape_is_not_made_up():
    bare = {"name": "x", "d_model": 4096, "d_ff": 16384, "n_heads": 16, "n_layers": 2, "gated": False}
    assert not {"d_head", "n_key_value_heads", "d_attention", "qkv_weights"} & quantities(Shape(**bare)).keys()
    heads = {**bare, "d_head": 256, "n_key_value_heads": 16}
    assert not {name for name in quantities(Shape(**heads)) if "parameters" in name}
    assert quantities(Shape(**heads, attention_bias=False))["layer_attention_parameters"] == 67_108_864
    assert not any(shape.d_head is None and "d_head" in quantities(shape) for shape in published())


def test_counts_that_others_made():
    known = {shape.name: quantities(shape) for shape in published()}
    assert known["BERT-base"]["parameters"] == 109_482_240
    assert known["GPT-2 XL"]["parameters"] == 1_557_611_200
    assert (known["BERT-base"]["layer_parameters"], known["BERT-base"]["block_parameters"]) == (7_087_872, 85_054_464)
    with torch.device("meta"):
        torchs = count(torch.nn.TransformerEncoderLayer(512, 8, 2048))
    base = next(shape for shape in published() if shape.name == "Vaswani base")
    biased = quantities(base.model_copy(update={"attention_bias": True}))
    assert (torchs, biased["layer_parameters"], biased["stack_parameters"]) == (3_152_384, 3_152_384, 18_914_304)
    assert known["Vaswani base"]["layer_parameters"] == 3_152_384 - 4 * 512  # the paper's attention is matrices alone
    wide = as_usual(Shape(name="4096", d_model=4096, d_ff=16384, n_heads=32, gated=False, attention_bias=False, ffn_bias=True))
    assert quantities(wide)["layer_ffn_parameters"] == 134_238_208
    assert quantities(wide)["layer_attention_parameters"] == 67_108_864
    shares = {name: round(100 * one["ffn_parameters"] / one["parameters"], 1) for name, one in known.items() if "parameters" in one}
    assert shares["BERT-base"] == 51.8
    assert shares["GPT-2 small"] == 45.5
    assert shares["GPT-2 XL"] == 63.1
    assert shares["GPT-3"] == 66.4
    assert shares["LLaMA-2-7B"] == 64.2
    assert shares["LLaMA-3-8B"] == 70.2


TINY = {"d_model": 16, "d_ff": 24, "n_layers": 2, "n_heads": 4, "d_vocab": 31, "attention_bias": True, "ffn_bias": True}
ROTARY = {**TINY, "causal": True, "attention_bias": False, "ffn_bias": False, "norm": "rms", "final_norm": True, "tied": False}
SHAPES = {
    "gpt2": {**TINY, "causal": True, "gated": False, "positions": 40, "final_norm": True},
    "neox": {**TINY, "causal": True, "gated": False, "final_norm": True, "tied": False},
    "llama": {**ROTARY, "gated": True, "n_key_value_heads": 2},
    "llama-wide-heads": {**ROTARY, "gated": True, "n_key_value_heads": 2, "d_head": 6},
    "mistral": {**ROTARY, "gated": True, "n_key_value_heads": 2},
    "bert-bare": {**TINY, "gated": False, "positions": 40, "token_types": 1, "embedding_norm": True, "pooler": True},
    "t5": {
        **TINY, "n_decoder_layers": 2, "gated": False, "buckets": 8, "attention_bias": False, "ffn_bias": False, "norm": "rms",
        "final_norm": True,
    },
    "own": {**TINY, "causal": True, "gated": False, "positions": 40, "final_norm": True},
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_formula_and_count_agree_on_every_quantity(tiny_named, name):
    """Two ways to the same numbers: from the sizes, and module by module. T5's buckets are counted with its attention, or not."""
    written, counted = quantities(as_usual(Shape(name=name, **SHAPES[name]))), model_quantities(tiny_named(name).model)
    assert counted["parameters"] == sum(weight.numel() for weight in drawn(name).parameters()) == written["parameters"]
    apart = {"parameters_reported"} | ({key for key in NUMBERS if "parameters" in key} if name == "t5" else set())
    apart |= {"n_ctx"} - written.keys()  # known of a shape where positions are learned
    for key in NUMBERS.keys() - apart:
        assert written[key] == counted[key], key


def test_every_parameter_of_a_block_has_one_part(family):
    assert unplaced(family.model) == 0


def test_a_parameter_in_no_part_is_found_and_decides_nothing(fresh, word_tokenizer):
    plain = fresh("gpt2")
    plain.transformer.h[0].extra = torch.nn.Linear(3, 5)
    model = interp.load(plain, word_tokenizer())
    assert unplaced(model) == 20
    verdict = judge(claim("ffn_parameters > attention_parameters"), model)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_failed")


HEADS = {"over": "shapes", "shapes": [{"name": f"h = {h}", "d_model": 512, "n_heads": h} for h in (1, 8, 32)]}


@pytest.mark.parametrize(
    ("statement", "test", "outcome"),
    [
        ("d_ff == 4 * d_model", {}, "supported"),
        ("d_ff == 3 * d_model", {}, "refuted"),
        ("d_attention == d_model", {}, "supported"),
        ("block_parameters == n_layers * layer_parameters", {}, "supported"),
        ("layer_ffn_parameters / layer_parameters > 2 / 3", {}, "refuted"),
        ("n_cross_attentions == 0", {}, "supported"),
        ("n_key_value_heads == n_heads", {}, "supported"),
        ("activation == 'relu'", {}, "refuted"),
        ("d_ff == 4 * d_model", {"over": "published"}, "refuted"),
        ("d_ff == 4 * d_model", {"over": "published", "holds_for": "most"}, "supported"),
        ("d_ff == 64 * d_model", {"over": "published", "holds_for": "some"}, "supported"),
        ("d_ff == 65 * d_model", {"over": "published", "holds_for": "some"}, "refuted"),
        ("d_attention == d_model", {"over": "published"}, "refuted"),
        ("32 <= d_head <= 128", {"over": "published"}, "refuted"),
        ("d_ff == 16384", {"over": "published", "where": "d_model == 4096"}, "refuted"),
        ("activation == 'relu'", {"over": "published", "where": "family == 'bert'"}, "refuted"),
        ("activation == 'gelu'", {"over": "published", "where": "family == 'bert' or family == 'gpt2'"}, "supported"),
        ("activation == 'gelu'", {"over": "published", "where": "family == 'llama'"}, "refuted"),
        ("gated", {"over": "published", "where": "family == 't5'"}, "refuted"),
        ("ffn_parameters / parameters > 2 / 3", {"over": "published"}, "refuted"),
        ("round(stack_parameters / 1e6) == 36", {"over": "published", "where": "name == 'BERT-base'"}, "refuted"),
        ("round(layer_parameters / 1e6) == 3", {"over": "published", "where": "name == 'Vaswani base'"}, "supported"),
        ("round(parameters_reported / 1e6) == 213", {"over": "published", "where": "name == 'Vaswani big'"}, "supported"),
        ("qkv_weights == 786432", HEADS, "supported"),
        ("d_head == 64", {"over": "shapes", "shapes": [{"name": "512/8", "d_model": 512, "n_heads": 8}]}, "supported"),
    ],
)  # fmt: skip
def test_statements_that_hold_and_that_do_not(model, statement, test, outcome):
    verdict = judge(claim(statement, **test), model)
    assert (verdict.outcome, verdict.reason) == (outcome, "")
    assert all(control.passed for control in verdict.controls)
    assert (verdict.model == model.name) == (test.get("over", "model") == "model")


def test_one_counter_example_is_named_with_its_numbers(model):
    verdict = judge(claim("d_ff == 4 * d_model", over="published"), model)
    assert verdict.rows["LLaMA-2-7B"] == [11008.0, 16384.0]
    assert "LLaMA-2-7B: 11,008 and 16,384" in verdict.summary
    assert "Not known of DeepSeek-V3, GLM-4.5, GLM-5, GPT-3 2.7B" in verdict.summary


def test_a_statement_that_nothing_could_make_false_decides_nothing(model):
    for empty in ("d_ff == d_ff", "parameters > 0 or d_ff > 0"):
        verdict = judge(claim(empty), model)
        assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_failed")
        assert verdict.controls[0].value == 1.0


WRITTEN = {"over": "shapes", "shapes": [{"name": "a", "d_model": 512, "n_heads": 8}, {"name": "b", "d_model": 1024, "n_heads": 16}]}


@pytest.mark.parametrize(
    ("statement", "test"),
    [
        ("d_head == d_model / n_heads", WRITTEN),
        ("qkv_weights == 3 * d_model ** 2", WRITTEN),
        ("d_attention == n_heads * d_head", {"over": "published"}),
        ("ffn_parameters < parameters", {"over": "published"}),
        ("d_attention == n_heads * d_head", {}),
        ("d_ff > d_model", {"where": "d_ff == 4 * d_model"}),
        ("d_ff > d_model", {"where": "d_ff == 4 * d_model", "over": "published"}),
        ("n_encoder_layers == n_layers", {"where": "n_decoder_layers == 0", "over": "published"}),
    ],
)
def test_what_follows_from_the_formulas_or_from_where_decides_nothing(model, statement, test):
    verdict = judge(claim(statement, **test), model)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_failed")
    assert (verdict.controls[0].value, verdict.controls[0].passed, verdict.controls[1].passed) == (1.0, False, True)


def test_where_narrows_the_draws_and_says_when_it_leaves_none(model):
    narrow = claim("d_ff == 2048", over="published", where="d_ff == 4 * d_model and name == 'Vaswani base'")
    control = judge(narrow, model).controls[0]
    assert control.passed
    assert 0 < control.value < 1
    assert control.detail == "must not be all; 200 draws where d_ff == 4 * d_model and name == 'Vaswani base'"
    statement, where = Expression("d_ff > 1", QUANTITIES), Expression("d_ff == 1", QUANTITIES)
    none = can_be_false("drawn", statement, lambda: {"d_ff": 5}, where)
    assert (none.passed, none.detail) == (False, "no draw where d_ff == 1: whether it could be false is not known")


def test_a_wrong_count_in_the_table_decides_nothing(model, monkeypatch):
    from interp.claims.protocols import arithmetic

    wrong = tuple(shape.model_copy(update={"n_layers": 13}) if shape.name == "BERT-base" else shape for shape in published())
    monkeypatch.setattr(arithmetic, "published", lambda: wrong)
    verdict = judge(claim("d_ff == 4 * d_model", over="published"), model)
    assert (verdict.outcome, verdict.reason, verdict.controls[1].value) == ("inconclusive", "control_failed", 7_087_872.0)


def test_a_model_without_the_quantity_is_out_of_scope(tiny_named):
    verdict = judge(claim("d_ff == 4 * d_model"), tiny_named("attention-only").model)
    assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")
    assert judge(claim("d_ff > d_model", where="d_model == 99"), tiny_named("gpt2").model).outcome == "not applicable"
    with pytest.raises(ClaimError, match=r"has no such quantity.*Nothing would be run"):
        plan(claim("d_ff == 4 * d_model"), tiny_named("attention-only").model)


def test_encoders_decoders_and_both(tiny_named):
    assert judge(claim("n_decoder_layers == 0"), tiny_named("bert").model).outcome == "supported"
    assert judge(claim("n_cross_attentions == n_decoder_layers"), tiny_named("bart").model).outcome == "supported"
    assert judge(claim("n_cross_attentions == 0"), tiny_named("t5").model).outcome == "refuted"
    assert judge(claim("n_key_value_heads == n_heads"), tiny_named("llama").model).outcome == "refuted"


def test_what_cannot_be_said_is_refused_with_what_can(model):
    with pytest.raises(
        ClaimError, match=r"test.statement.*there is no quantity 'd_fff'; expected some of name, family, activation, d_model"
    ):
        claim("d_fff == 4 * d_model")
    for wrong in ("__import__('os')", "d_ff.real == 1", "[d_ff] == 1", "d_ff == 4 *", "(lambda: 1)()", "f'{d_ff}' == 1", "open(name) == 1"):
        with pytest.raises(ClaimError, match=r"test.statement"):
            claim(wrong)
    with pytest.raises(ClaimError, match=r"no configuration is left .* there are BERT-base, BERT-large, .*Vaswani big"):
        judge(claim("d_ff > 1", over="published", where="name == 'x'"), model)
    unbiased = {"name": "x", "d_model": 8, "n_heads": 2}
    with pytest.raises(ClaimError, match=r"no configuration is left .* there are x; too little is known of x"):
        judge(claim("layer_attention_parameters == 256", over="shapes", shapes=[unbiased]), model)
    with pytest.raises(ClaimError, match="no shape came"):
        judge(claim("d_ff > 1", over="shapes"), model)
    with pytest.raises(ClaimError, match="two shapes are named 'x'"):
        judge(claim("d_ff > 1", over="shapes", shapes=[{"name": "x"}, {"name": "x"}]), model)


def test_numbers_are_exact_and_errors_are_told():
    def value(text: str, **known) -> bool:
        return Expression(text, QUANTITIES)(known)

    assert value("d_ff == 0.1 * 3", d_ff=0) is False
    assert value("0.1 + 0.2 == 0.3")
    assert value("d_model / 3 * 3 == d_model", d_model=10)
    assert value("round(109482240 / 1e6, 1) == 109.5")
    assert value("not d_ff == 2 ** 3 and min(d_ff, 9) == 5", d_ff=5)
    for text, told in [("d_ff / 0 > 1", "cannot be computed"), ("d_ff + name > 1", "cannot be computed"), ("2 ** 99 > 1", "the power 99")]:
        with pytest.raises(ClaimError, match=told):
            value(text, d_ff=1, name="x")
    with pytest.raises(ClaimError, match="expected something true or false"):
        value("d_ff + 1", d_ff=1)


def test_plan_bytes_and_json(model):
    said = claim("d_ff == 4 * d_model", over="published")
    first, second = judge(said, model), judge(said, model)
    assert plan(said, model).n_items == first.evidence[0].n_items > 10
    assert list(first.data) == ["configurations"]  # the hash of the published shapes: an edited one is another verdict
    assert first.untimed().to_json() == second.untimed().to_json()
    assert Verdict.from_json(first.to_json()) == first
