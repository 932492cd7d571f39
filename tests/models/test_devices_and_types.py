"""Types and devices: what is asked for is what runs, the object handed over stays as it was, and what cannot be read exactly is refused."""

import importlib.util
import json

import pytest
import torch
import transformers

from interp.captures.prompt import capture
from interp.checks.selfcheck import check
from interp.core.errors import ModelError, ModelUnsupported
from interp.interventions.ablate import ablate
from interp.models import devices
from interp.models.load import load_model
from interp.models.untrained import untrained

# One of each kind, and those in which some weights or buffers have a type of their own.
KINDS = ["llama", "bert", "t5", "mixtral", "gpt-oss", "deepseek-v3", "m2m100", "gemma2", "own"]
HALVES = [torch.bfloat16, torch.float16]
IDS = torch.tensor([[4, 5, 6, 7, 8, 9]])
TEXT = "the old man saw a dog"
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, which this machine does not have")


def _rows(model):
    return {"target": IDS} if model.anatomy.encoder_decoder else {}


@pytest.fixture
def saved(tmp_path, fresh, word_tokenizer):
    """A family's model as an object with its tokenizer, and as a folder."""

    def make(name: str):
        hf, tokenizer = fresh(name), word_tokenizer(encoder=name == "bert")
        hf.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return hf, tokenizer, tmp_path

    return make


def _tensors(hf):
    return {**dict(hf.named_parameters()), **dict(hf.named_buffers())}


@pytest.mark.parametrize("name", KINDS)
def test_a_folder_of_each_kind_is_the_object_that_was_saved_there(saved, name):
    hf, tokenizer, folder = saved(name)
    given, found = load_model(hf, tokenizer), load_model(folder)
    assert type(found.hf) is type(hf)
    assert found.anatomy == given.anatomy
    assert found.anatomy.lm_head
    assert found.fingerprint == given.fingerprint
    torch.testing.assert_close(found.run(IDS, **_rows(found)), given.run(IDS, **_rows(found)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", KINDS)
def test_an_object_in_another_type_is_what_the_folder_gives_in_it(saved, name, dtype):
    hf, tokenizer, folder = saved(name)
    before = {key: (tensor.dtype, tensor.clone()) for key, tensor in _tensors(hf).items()}
    given, found = load_model(hf, tokenizer, dtype=dtype), load_model(folder, dtype=dtype)
    theirs = _tensors(found.hf)
    assert dtype in {tensor.dtype for tensor in theirs.values()}
    for key, tensor in _tensors(given.hf).items():
        assert tensor.dtype == theirs[key].dtype, key
        assert torch.equal(tensor, theirs[key]), key
    assert given.fingerprint == found.fingerprint
    assert torch.equal(given.run(IDS, **_rows(given)), found.run(IDS, **_rows(given)))
    for key, tensor in _tensors(hf).items():
        assert tensor.dtype == before[key][0]
        assert torch.equal(tensor, before[key][1])
    assert hf.config.dtype != dtype


@pytest.mark.parametrize("name", KINDS)
def test_the_untrained_twin_has_the_models_types(saved, name):
    _, _, folder = saved(name)
    model = load_model(folder, dtype=torch.bfloat16)
    theirs, twins = _tensors(model.hf), _tensors(untrained(model, seed=0).hf)
    assert {key: tensor.dtype for key, tensor in twins.items()} == {key: tensor.dtype for key, tensor in theirs.items()}
    for key in [key for key in twins if key.endswith("inv_freq")]:  # `.to(torch.bfloat16)` would have rounded them
        assert torch.equal(twins[key], theirs[key]), key
    assert not torch.equal(next(iter(twins.values())), next(iter(theirs.values())))


def test_nothing_asked_keeps_what_an_object_has_and_copies_nothing(fresh, word_tokenizer):
    for hf in (fresh("llama"), fresh("llama").to(torch.bfloat16)):
        for options in ({}, {"dtype": next(hf.parameters()).dtype, "device": "cpu"}):
            model = load_model(hf, word_tokenizer(), **options)
            ours = dict(model.hf.named_parameters())
            assert all(ours[key].data_ptr() == parameter.data_ptr() for key, parameter in hf.named_parameters())


def test_a_tied_head_stays_tied_in_another_type(fresh, word_tokenizer):
    model = load_model(fresh("gpt2"), word_tokenizer(), dtype="bfloat16")
    assert model.hf.lm_head.weight is model.hf.transformer.wte.weight
    assert model.hf.lm_head.weight.dtype == torch.bfloat16


def test_a_name_is_float32_on_the_cpu_unless_asked(saved):
    _, _, folder = saved("llama")
    assert next(load_model(folder).hf.parameters()).dtype == torch.float32
    assert load_model(folder).device == torch.device("cpu")
    assert next(load_model(folder, dtype="float16").hf.parameters()).dtype == torch.float16


def test_the_default_type_of_the_process_is_put_back(fresh, word_tokenizer):
    load_model(fresh("llama"), word_tokenizer(), dtype="bfloat16")
    assert torch.get_default_dtype() == torch.float32
    assert torch.empty(0).device == torch.device("cpu")


@pytest.mark.parametrize("dtype", ["int8", torch.int8, torch.float64, "float"])
def test_another_type_is_refused_before_anything_is_read(dtype):
    with pytest.raises(ModelError, match=r"dtype=.* came; expected one of: float32, bfloat16, float16"):
        load_model("no such model", dtype=dtype)


@pytest.mark.parametrize("device", ["meta", "nonsense", "cuda:99", "mps:7", ""])
def test_a_device_that_is_not_there_is_refused_before_anything_is_read(device):
    with pytest.raises(ModelError, match=r"device=.* is not there; this machine, with the torch installed here, has: cpu"):
        load_model("no such model", device=device)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device_map": "auto", "device": "cpu"}, "expected one of them: a map says where everything goes"),
        ({"device_map": "cuda"}, "expected auto, balanced, balanced_low_0, sequential or a dict of module -> device"),
        ({"device_map": {"": "cuda:99"}}, "device='cuda:99' is not there"),
        ({"device_map": {"model": "cpu", "lm_head": "disk"}}, "device_map puts 'lm_head' on disk; expected all weights in memory"),
    ],
)
def test_a_device_map_that_cannot_be_followed_is_refused(options, said):
    with pytest.raises(ModelError, match=said):
        load_model("no such model", **options)


def test_a_device_map_without_accelerate_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="device_map needs the package accelerate, which is not installed"):
        load_model("no such model", device_map="auto")


@pytest.mark.parametrize("device_map", ["auto", "sequential", {"": "cpu"}])
def test_a_map_onto_one_device_is_that_device(saved, device_map):
    _, _, folder = saved("llama")
    spread, plain = load_model(folder, device_map=device_map), load_model(folder)
    if spread.device.type == "cpu":
        assert torch.equal(spread.run(IDS), plain.run(IDS))
    assert spread.fingerprint == plain.fingerprint


@pytest.mark.parametrize("name", KINDS)
def test_a_model_that_accelerate_has_spread_is_seen_and_edited_as_any(fresh, word_tokenizer, name):
    from accelerate import dispatch_model

    tokenizer = word_tokenizer(encoder=name == "bert")
    hf, plain = fresh(name), load_model(fresh(name), tokenizer)
    dispatch_model(hf, {"": "cpu"}, force_hooks=True)
    model = load_model(hf, tokenizer)
    assert model.hf.forward.args[0] is model.hf  # the copy's forward runs the copy
    assert torch.equal(model.run(IDS, **_rows(model)), plain.run(IDS, **_rows(model)))
    assert model.fingerprint == plain.fingerprint
    report = check(model)
    assert report.passed, [str(finding) for finding in report.findings if not finding.passed]
    head = "DL0H0" if model.anatomy.encoder_decoder else "L0H0"
    with ablate(model, head, how="zero"):
        assert not torch.equal(model.run(IDS, **_rows(model)), plain.run(IDS, **_rows(model)))
    with pytest.raises(ModelError, match="a model spread over devices came with device='cpu'"):
        load_model(hf, tokenizer, device="cpu")


def test_weights_that_are_not_in_memory_are_refused_by_name(fresh, word_tokenizer):
    hf = fresh("llama")
    hf.model.layers[1].mlp.to("meta")
    with pytest.raises(ModelUnsupported, match=r"model\.layers\.1\.mlp\.gate_proj\.weight is not in memory"):
        load_model(hf, word_tokenizer())


def test_weights_that_a_map_left_on_disk_are_refused_by_name(fresh, word_tokenizer, tmp_path):
    from accelerate import disk_offload

    hf = fresh("llama")
    disk_offload(hf, tmp_path)
    with pytest.raises(ModelUnsupported, match=r"is not in memory \(left out, or moved to disk by a device map\)"):
        load_model(hf, word_tokenizer())


def test_a_quantised_checkpoint_is_refused_before_its_weights_are_read(saved):
    _, _, folder = saved("llama")
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "quantization_config": {"quant_method": "gptq", "bits": 4}}))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelUnsupported, match=r"is quantised \(gptq\); expected float16, bfloat16 or float32 weights"):
        load_model(folder)


def test_quantised_objects_are_refused_by_name(fresh, word_tokenizer):
    hf = fresh("llama")
    hf.config.quantization_config = object()
    with pytest.raises(ModelUnsupported, match=r"is quantised \(by a method it does not name\)"):
        load_model(hf, word_tokenizer())
    rounded = fresh("llama")
    rounded.lm_head.weight = torch.nn.Parameter(torch.zeros(31, 16, dtype=torch.int8), requires_grad=False)
    with pytest.raises(ModelUnsupported, match=r"is quantised: lm_head\.weight is a Tensor of torch\.int8"):
        load_model(rounded, word_tokenizer())
    narrow = fresh("llama")
    narrow.lm_head.weight = torch.nn.Parameter(narrow.lm_head.weight.detach().to(torch.float8_e4m3fn), requires_grad=False)
    with pytest.raises(ModelUnsupported, match=r"lm_head\.weight is a Tensor of torch\.float8_e4m3fn"):
        load_model(narrow, word_tokenizer())
    other = fresh("llama")
    other.lm_head.__class__ = type("Linear4bit", (torch.nn.Linear,), {"__module__": "bitsandbytes.nn.modules"})
    with pytest.raises(ModelUnsupported, match=r"is quantised: lm_head is a bitsandbytes\.nn\.modules\.Linear4bit"):
        load_model(other, word_tokenizer())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((7,), "a int came; expected a bundled model's name, a folder, a hub name, or a transformers model with its tokenizer"),
        ((torch.nn.Linear(2, 2),), "a Linear came; expected a bundled model's name"),
        (("tales", "a tokenizer"), "a tokenizer came with 'tales', which brings its own"),
    ],
)
def test_what_is_no_model_is_refused(given, said):
    with pytest.raises(ModelError, match=said):
        load_model(*given)


def test_an_object_with_what_is_no_tokenizer_or_with_a_map_is_refused(fresh, word_tokenizer):
    with pytest.raises(ModelError, match="a LlamaForCausalLM came with a str as its tokenizer"):
        load_model(fresh("llama"), "llama")
    with pytest.raises(ModelError, match="device_map='auto' came with a LlamaForCausalLM, which is in memory already"):
        load_model(fresh("llama"), word_tokenizer(), device_map="auto")


def test_a_shallower_configuration_is_refused_by_each_stacks_own_names(saved):
    """T5's blocks hold a list called "layer": its numbers are not those of layers."""
    from interp.core.errors import ModelDamaged

    _, _, folder = saved("t5")
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_layers": 1, "num_decoder_layers": 2}))
    with pytest.raises(ModelDamaged, match=r"the weights have 2 layers, config\.json says 1"):
        load_model(folder)


@GPU
@pytest.mark.parametrize("name", KINDS)
def test_on_a_gpu_float32_is_the_cpus(saved, name):
    hf, tokenizer, folder = saved(name)
    plain, model = load_model(folder), load_model(folder, device="cuda")
    assert model.device.type == "cuda"
    assert model.fingerprint == plain.fingerprint
    assert next(load_model(hf, tokenizer, device="cuda").hf.parameters()).device.type == "cuda"
    assert next(hf.parameters()).device.type == "cpu"
    # TF32 is off by default: the two differ by the order of their sums.
    torch.testing.assert_close(model.run(IDS, **_rows(model)).cpu(), plain.run(IDS, **_rows(model)), atol=1e-4, rtol=1e-4)
    assert check(model).passed


@GPU
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", KINDS)
def test_on_a_gpu_half_precision_passes_its_check(saved, name, dtype):
    _, _, folder = saved(name)
    report = check(load_model(folder, device="cuda", dtype=dtype))
    assert report.passed, [str(finding) for finding in report.findings if not finding.passed]


@GPU
def test_captures_stay_on_the_gpu_and_results_leave_it(saved):
    _, _, folder = saved("llama")
    model = load_model(folder, device="cuda")
    seen = capture(model, TEXT)
    assert {tensor.device.type for tensor in seen.arrays.values()} == {"cuda"}
    assert seen.reconstruction_error <= 1e-5
    assert abs(float(seen.pattern("L0H0").sum("key_pos").mean()) - 1) < 1e-5
    assert untrained(model, seed=0).device.type == "cuda"


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices, which this machine does not have")
@pytest.mark.parametrize("name", ["llama", "bert", "t5"])
def test_a_model_spread_over_two_gpus_passes_its_check(saved, name):
    hf, _, folder = saved(name)
    second = {"llama": "model.layers.1", "bert": "bert.encoder.layer.1", "t5": "decoder"}[name]
    leaves = [path for path, module in hf.named_modules() if not list(module.children())]
    rest = {path: 0 for path in leaves if not path.startswith(f"{second}.")}
    model = load_model(folder, device_map={**rest, second: 1})
    assert {str(parameter.device) for parameter in model.hf.parameters()} == {"cuda:0", "cuda:1"}
    report = check(model)
    assert report.passed, [str(finding) for finding in report.findings if not finding.passed]
    assert {str(tensor.device) for tensor in _tensors(untrained(model, seed=0).hf).values()} == {"cuda:0", "cuda:1"}


@pytest.mark.skipif(not torch.backends.mps.is_available(), reason="needs Apple's MPS device, which this machine does not have")
def test_on_mps_float32_is_the_cpus(saved):
    _, _, folder = saved("llama")
    plain, model = load_model(folder), load_model(folder, device="mps")
    torch.testing.assert_close(model.run(IDS).cpu(), plain.run(IDS), atol=1e-4, rtol=1e-4)
    assert check(model).passed


def test_the_devices_that_are_there_are_named():
    assert devices.there()[0] == "cpu"
    assert len(devices.there()) - 1 == torch.cuda.device_count() * torch.cuda.is_available() + torch.backends.mps.is_available()
    assert all(devices.wanted_device(name) == torch.device(name) for name in devices.there())


def test_transformers_is_left_as_it_was(saved):
    _, _, folder = saved("llama")
    before = transformers.utils.logging.get_verbosity()
    load_model(folder, device_map="auto")
    assert transformers.utils.logging.get_verbosity() == before
