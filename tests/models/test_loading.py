"""A model is loaded whole, safely, with the head that its checkpoint has, or refused by name."""

import json
import re
import time

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from interp.checks.selfcheck import check
from interp.core.errors import ModelDamaged, ModelError, ModelNotFound, ModelUnsupported, TextError, TextTooLong
from interp.models import zoo
from interp.models.load import load_model

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path, fresh, word_tokenizer):
    """Makes a folder of a form."""

    def make(name: str, encoder: bool = False):
        place = tmp_path / name
        fresh(name).save_pretrained(place)
        word_tokenizer(encoder=encoder).save_pretrained(place)
        return place

    return make


def _edit(place, change):
    weights = load_file(place / WEIGHTS)
    change(weights)
    save_file(weights, place / WEIGHTS, metadata={"format": "pt"})


def _configure(place, **options):
    path = place / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **options}))


def test_a_folder_is_the_object_that_was_saved_there(tiny, folder):
    place = folder(tiny.name, tiny.form.encoder)
    model = load_model(place)
    assert model.anatomy == tiny.model.anatomy
    assert model.fingerprint == tiny.model.fingerprint
    assert model.anatomy.lm_head is not tiny.form.headless
    assert model.anatomy.n_ctx == tiny.form.n_ctx


def test_a_tied_head_counts_as_a_head_though_the_file_lacks_it(folder):
    place = folder("gpt2")
    assert "lm_head.weight" not in load_file(place / WEIGHTS)
    assert load_model(place).anatomy.lm_head
    _configure(place, tie_word_embeddings=False)  # now the same file has no head
    assert not load_model(place).anatomy.lm_head


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("llama", "lm_head.weight"),
        ("bert", "cls.predictions.transform.dense.weight"),
        ("bert", "cls.predictions.bias"),
        ("neox", "embed_out.weight"),
    ],
)
def test_a_head_that_the_file_lacks_is_not_taken_for_trained(folder, name, key):
    place = folder(name, encoder=name == "bert")
    keys = load_file(place / WEIGHTS)
    key = key if key in keys else "lm_head.weight"
    assert load_model(place).anatomy.lm_head
    _edit(place, lambda weights: weights.pop(key))
    assert not load_model(place).anatomy.lm_head


@pytest.mark.parametrize("named", [None, ["GPT2Model"], ["GPT2ForSequenceClassification"]])
def test_a_checkpoint_that_does_not_name_a_head_is_loaded_without(folder, named):
    place = folder("gpt2")
    _configure(place, architectures=named)
    assert not load_model(place).anatomy.lm_head


@pytest.mark.parametrize(
    ("name", "key"), [("gpt2", "transformer.ln_f.bias"), ("gpt2-bare", "h.1.mlp.c_fc.weight"), ("llama", "model.norm.weight")]
)
def test_a_missing_weight_is_named(folder, name, key):
    place = folder(name)
    _edit(place, lambda weights: weights.pop(key))
    with pytest.raises(ModelDamaged, match=re.escape(f"1 weights are missing, such as {key}")):
        load_model(place)


def test_a_config_that_disagrees_with_the_weights_is_refused(folder):
    place = folder("gpt2")
    _configure(place, n_layer=1)
    with pytest.raises(ModelDamaged, match=r"the weights have 2 layers, config\.json says 1"):
        load_model(place)
    _configure(place, n_layer=3)
    with pytest.raises(ModelDamaged, match=r"12 weights are missing, such as transformer\.h\.2\."):
        load_model(place)
    _configure(place, n_layer=2, n_positions=20)
    with pytest.raises(ModelDamaged, match="the weights cannot be read"):
        load_model(place)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_refused(folder, share):
    path = folder("gpt2") / WEIGHTS
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelDamaged, match=r"a safetensors file is damaged|the weights cannot be read"):
        load_model(path.parent)


def test_a_folder_without_weights_or_config_is_refused(folder, tmp_path):
    place = folder("gpt2")
    (place / WEIGHTS).unlink()
    with pytest.raises(ModelDamaged, match="the weights cannot be read"):
        load_model(place)
    (place / "config.json").unlink()
    with pytest.raises(ModelNotFound, match=r"holds no model; expected a folder with config\.json"):
        load_model(place)
    (place / "config.json").write_text("{")
    with pytest.raises(ModelNotFound, match="no model can be read there"):
        load_model(place)


@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_tokenizer_that_cannot_be_read_is_refused(folder, damage):
    path = folder("gpt2") / "tokenizer.json"
    if damage == "gone":  # transformers makes an empty one, without a word
        path.unlink()
        path.with_name("tokenizer_config.json").unlink()
    else:
        path.write_text(path.read_text()[:500] if damage == "cut" else "{}")
    with pytest.raises(ModelDamaged, match=r"expected tokenizer\.json beside the weights"):
        load_model(path.parent)


@pytest.mark.parametrize("name", ["no-such-model", "somebody/no-such-model", "./no/such/folder", "/no/such/folder", "a/b/c"])
def test_an_unknown_name_is_refused_at_once_with_what_there_is(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    began = time.perf_counter()
    with pytest.raises(ModelNotFound, match=zoo.DEFAULT):
        load_model(name)
    assert time.perf_counter() - began < 2.0


GPT_NEO = {"vocab_size": 31, "hidden_size": 16, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]}
GPT_J = {"vocab_size": 31, "n_embd": 16, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": 40}
MAMBA = {"vocab_size": 31, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}


@pytest.mark.parametrize(
    ("family", "reason", "build"),
    [
        (
            "gpt_neo",
            "its attention does not go through transformers' attention interface",
            lambda: transformers.GPTNeoForCausalLM(transformers.GPTNeoConfig(**GPT_NEO, max_position_embeddings=40)),
        ),
        ("mamba", "it has layers of linear attention", lambda: transformers.MambaForCausalLM(transformers.MambaConfig(**MAMBA))),
        ("gptj", "nobody has verified it", lambda: transformers.GPTJForCausalLM(transformers.GPTJConfig(**GPT_J))),
    ],
)
def test_a_family_that_is_not_supported_is_refused_by_name_with_the_reason(tmp_path, word_tokenizer, family, reason, build):
    hf = build()
    hf.save_pretrained(tmp_path)
    for given in ((tmp_path,), (hf, word_tokenizer())):
        with pytest.raises(ModelUnsupported, match=f"the family '{family}' is not supported: {reason}.*Expected one of: gpt2"):
            load_model(*given)


@pytest.mark.parametrize(("name", "option"), [("gpt2", "reorder_and_upcast_attn"), ("bert", "is_decoder")])
def test_an_option_that_nobody_verified_is_refused_by_name(folder, name, option):
    place = folder(name, encoder=name == "bert")
    _configure(place, **{option: True})
    with pytest.raises(ModelUnsupported, match=f"{option}=True: only {option}=False"):
        load_model(place)


def test_remote_code_is_not_run_unless_asked(tmp_path, folder):
    ran = tmp_path / "ran"
    remote = tmp_path / "remote"
    remote.mkdir()
    mapped = {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M", "AutoTokenizer": ["mine.T", None]}
    (remote / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": mapped}))
    code = f"open({str(ran)!r}, 'w').close()\n"
    (remote / "mine.py").write_text(code)
    with pytest.raises(ModelUnsupported, match="brings code of its own, which is not run unless you ask: trust_remote_code=True"):
        load_model(remote)
    place = folder("gpt2")  # a known family with code beside it: transformers' own class is used
    _configure(place, auto_map=mapped)
    (place / "mine.py").write_text(code)
    assert type(load_model(place).hf).__module__.startswith("transformers.")
    assert not ran.exists()


class _Pickled:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_code_in_a_bin_file_is_not_run(tmp_path, folder):
    place, ran = folder("gpt2"), tmp_path / "ran"
    weights = load_file(place / WEIGHTS)
    (place / WEIGHTS).unlink()
    torch.save({**weights, "more": _Pickled(str(ran))}, place / "pytorch_model.bin")
    with pytest.raises(ModelDamaged, match="holds more than tensors, so it was not read"):
        load_model(place)
    assert not ran.exists()
    torch.save(weights, place / "pytorch_model.bin")
    assert load_model(place).anatomy.lm_head


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_loads_and_passes_its_check(tiny, folder, dtype):
    model = load_model(folder(tiny.name, tiny.form.encoder), dtype=dtype)
    assert next(model.hf.parameters()).dtype == dtype
    report = check(model)
    assert report.passed, [str(finding) for finding in report.findings if not finding.passed]
    fused = next(finding for finding in report.findings if "fused" in finding.name)
    assert fused.value <= torch.finfo(dtype).eps / 2  # of z, rounded once to the type; statistics are taken in float32


def test_an_object_without_its_tokenizer_is_refused(fresh):
    with pytest.raises(ModelError, match="a GPT2LMHeadModel came without a tokenizer"):
        load_model(fresh("gpt2"))


def test_a_text_beyond_the_context_or_of_other_tokens_is_refused_by_every_family(tiny):
    n = tiny.form.n_ctx
    tiny.model.run(torch.full((1, n), 5))
    with pytest.raises(TextTooLong, match=f"{n + 1} tokens came, the context of .* holds {n}"):
        tiny.model.run(torch.full((1, n + 1), 5))
    with pytest.raises(TextError, match=r"token id 31 came; .* has ids 0-30"):
        tiny.model.run(torch.tensor([[31]]))


def test_objects_with_another_head_are_seen_without_it(word_tokenizer):
    config = transformers.BertConfig(vocab_size=31, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24)
    model = load_model(transformers.BertForSequenceClassification(config), word_tokenizer(encoder=True))
    assert not model.anatomy.lm_head
    assert check(model).passed


def test_the_default_is_bundled_with_its_head():
    """The shapes of all bundled models: tests/lab/test_shipped_models.py."""
    assert zoo.DEFAULT in zoo.names()
    anatomy = load_model().anatomy
    assert (anatomy.family, anatomy.n_heads, anatomy.d_model, anatomy.lm_head) == ("gpt2", 8, 256, True)


def test_minilm_is_an_encoder_without_a_head(minilm):
    anatomy = minilm.anatomy
    assert (anatomy.n_layers, anatomy.n_heads, anatomy.d_model, anatomy.d_mlp) == (6, 12, 384, 1536)
    assert not anatomy.lm_head
    assert not anatomy.causal
