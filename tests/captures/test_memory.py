"""What a capture will take, told before it runs, is what it keeps: to the byte, in every family, kind by kind."""

import re
from typing import get_args

import pytest
import torch

from interp.captures.activations import Activations
from interp.captures.memory import bytes_needed
from interp.captures.prompt import capture
from interp.core.errors import MemoryLimit
from interp.models.load import load_model
from interp.models.model import Model
from interp.models.points import Kind, Point

TEXT = "by the sea the old dog saw a man and the man saw"
KINDS = get_args(Kind)
PLACES = {Point(kind=kind, layer=layer, stack=stack).name: kind for kind in KINDS for stack in ("", "E", "D", "X") for layer in range(3)}


def kept(seen: Activations) -> dict[str, int]:
    """Bytes by kind; the values' norms are counted with the patterns that they come with."""
    found = dict.fromkeys(KINDS, 0)
    for name, tensor in seen.arrays.items():
        found[PLACES.get(name, "pattern")] += tensor.nbytes
    return found | ({} if seen.logits is None else {"logits": seen.logits.nbytes})


def told(seen: Activations, **options) -> dict[str, int]:
    return bytes_needed(seen.model.anatomy, len(seen.example), KINDS, n_target=len(seen.target or ()), **options)


def test_the_bytes_told_are_the_bytes_kept(family):
    seen = family.capture(TEXT, keep=KINDS)
    assert told(seen) == kept(seen)
    assert sum(told(seen).values()) > 0


@pytest.mark.parametrize("name", ["llama", "bert", "t5", "bart", "mixtral"])
def test_in_half_precision_patterns_are_still_float32(fresh, word_tokenizer, tiny_named, name):
    tiny = tiny_named(name)
    half = load_model(fresh(name).to(torch.bfloat16), word_tokenizer(encoder=tiny.form.encoder))
    seen = capture(half, TEXT, keep=KINDS, target="they went home" if tiny.form.paired else None)
    assert told(seen, itemsize=2) == kept(seen)
    assert told(seen)["z"] == 2 * kept(seen)["z"]
    assert told(seen)["pattern"] == kept(seen)["pattern"]


@pytest.mark.parametrize("name", ["gpt-oss", "qwen3-moe"])
def test_in_half_precision_a_mixture_is_never_told_too_little(fresh, word_tokenizer, name):
    """Its weights may be in half precision, where other families keep them in float32."""
    seen = capture(load_model(fresh(name).to(torch.bfloat16), word_tokenizer()), TEXT, keep=KINDS)
    needed, found = told(seen, itemsize=2), kept(seen)
    assert {kind: needed[kind] / found[kind] for kind in needed if needed[kind] != found[kind]} == {"expert_weights": 2.0}


def test_memory_is_refused_with_its_number_before_anything_runs(tiny, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("the model ran")

    monkeypatch.setattr(Model, "run", never)
    n = len(tiny.examples([TEXT])[0])
    limit = bytes_needed(tiny.model.anatomy, n, ["pattern"])
    assert limit["pattern"] == 2 * 4 * (n * n + n) * 4  # layers x heads x (weights and norms of values) x bytes
    with pytest.raises(MemoryLimit, match=re.escape(f"{limit['pattern'] / 1e9:.2f} GB of it for")):
        capture(tiny.model, TEXT, keep=["pattern"], memory_limit=sum(limit.values()) - 1)
    with pytest.raises(AssertionError, match="the model ran"):
        capture(tiny.model, TEXT, keep=["pattern"], memory_limit=sum(limit.values()))


def test_half_precision_takes_half_and_is_let_through(fresh, word_tokenizer):
    half = load_model(fresh("llama").to(torch.bfloat16), word_tokenizer())
    n = len(capture(half, TEXT, keep=["z"]).example)
    enough = sum(bytes_needed(half.anatomy, n, ["resid_post"], itemsize=2).values())
    capture(half, TEXT, keep=["resid_post"], memory_limit=enough)
    with pytest.raises(MemoryLimit):
        capture(half, TEXT, keep=["resid_post"], memory_limit=enough - 1)
