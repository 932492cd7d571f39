"""The fingerprint stands for every weight and for what the configuration says of them, and for nothing else."""

import copy
import hashlib
import time

import pytest
import torch
import transformers

from interp.models import fingerprint as room
from interp.models.fingerprint import fingerprint
from interp.models.load import load_model


@pytest.fixture
def hf(fresh):
    return fresh("llama")


def test_it_is_of_what_the_model_is_not_of_where_it_came_from(hf, tmp_path, word_tokenizer):
    hf.save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    first = fingerprint(hf)
    assert len(first) == 16
    assert int(first, 16) >= 0
    assert load_model(tmp_path).fingerprint == load_model(hf, word_tokenizer()).fingerprint == fingerprint(copy.deepcopy(hf)) == first
    half = load_model(tmp_path, dtype=torch.bfloat16).fingerprint
    assert half == load_model(hf, word_tokenizer(), dtype=torch.bfloat16).fingerprint
    assert half != first


@pytest.mark.parametrize("name", ["gpt2", "bert", "t5", "deepseek-v3"])
def test_one_bit_anywhere_is_another_model(fresh, name):
    hf = fresh(name)
    first = fingerprint(hf)
    for key, weight in hf.state_dict().items():
        flat = weight.view(-1)[-1:].view(torch.int32 if weight.dtype == torch.float32 else weight.dtype)
        flat ^= 1
        assert fingerprint(hf) != first, key
        flat ^= 1
    assert fingerprint(hf) == first


def test_a_weight_moved_to_another_name_or_shape_is_another_model(fresh):
    hf = fresh("gpt2")
    first, blocks = fingerprint(hf), hf.transformer.h
    blocks[0].ln_1, blocks[1].ln_1 = blocks[1].ln_1, blocks[0].ln_1
    assert fingerprint(hf) != first
    blocks[0].ln_1, blocks[1].ln_1 = blocks[1].ln_1, blocks[0].ln_1
    assert fingerprint(hf) == first
    blocks[0].attn.c_attn.weight = torch.nn.Parameter(blocks[0].attn.c_attn.weight.reshape(48, 16))
    assert fingerprint(hf) != first


def test_a_transposed_weight_counts_by_its_values(fresh):
    hf, twin = fresh("gpt2"), fresh("gpt2")
    weight = hf.transformer.h[0].mlp.c_fc.weight
    weight.data = weight.data.T.contiguous().T
    assert not weight.is_contiguous()
    assert fingerprint(hf) == fingerprint(twin)


@pytest.mark.parametrize(("option", "value"), [("rope_theta", 500.0), ("rms_norm_eps", 1e-4), ("num_attention_heads", 2)])
def test_what_the_configuration_says_counts(hf, option, value):
    first = fingerprint(hf)
    if option == "rope_theta":
        hf.config.rope_parameters = {**hf.config.rope_parameters, option: value}
    else:
        setattr(hf.config, option, value)
    assert fingerprint(hf) != first


@pytest.mark.parametrize("option", ["architectures", "dtype", "transformers_version", "_name_or_path"])
def test_what_it_says_about_the_file_does_not(hf, option):
    first = fingerprint(hf)
    setattr(hf.config, option, "another")
    assert fingerprint(hf) == first


def test_a_tied_head_is_read_once_and_counts_under_both_names(fresh, monkeypatch):
    hf, read = fresh("gpt2"), []
    monkeypatch.setattr(room, "_hash", lambda piece: read.append(piece.numel()) or hashlib.sha256(bytes(piece.numel())).digest())
    fingerprint(hf)
    assert sum(read) == sum(parameter.numel() for parameter in hf.parameters())
    assert hf.lm_head.weight is hf.transformer.wte.weight


def test_pieces_and_threads_do_not_change_what_it_stands_for(fresh, monkeypatch):
    """A tensor of many pieces: each of them counts, at its place."""
    hf = fresh("gpt2")
    monkeypatch.setattr(room, "PIECE_BYTES", 64)
    first = fingerprint(hf)
    assert [fingerprint(hf) for _ in range(3)] == [first] * 3
    monkeypatch.setattr(room, "MOST_THREADS", 1)
    assert fingerprint(hf) == first
    rows = hf.transformer.wte.weight.data
    rows[[0, 1]] = rows[[1, 0]]  # two whole pieces change places
    assert fingerprint(hf) != first


def test_a_gigabyte_takes_about_a_second():
    """Of processor time, which a busy machine stretches little: 0.6 s per GB on one core when this was written."""
    config = transformers.GPT2Config(vocab_size=64, n_positions=8, n_embd=1024, n_layer=5, n_head=8)
    hf = transformers.GPT2LMHeadModel(config)
    gigabytes = sum(parameter.nbytes for parameter in hf.parameters()) / 1e9
    assert gigabytes > 0.2
    began = time.process_time()
    fingerprint(hf)
    assert (time.process_time() - began) / gigabytes < 2.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, which this machine does not have")
def test_it_is_the_same_on_the_gpu(hf):
    first = fingerprint(hf)
    assert fingerprint(hf.to("cuda")) == first
