"""Our table of families says the same as TransformerLens's component maps, entry by entry, wherever both have one.

Two tables written by different hands from the same code. An entry that differs stands in DIFFERS with the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from transformer_lens.factories.architecture_adapter_factory import ArchitectureAdapterFactory
from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_config_from_hf

from interp.models.anatomy import Anatomy, StackAnatomy, Sublayer
from interp.models.dissect import anatomy_of, has

# Form -> the entries that are compared in each of its maps, at least.
ONE_STACK = {"blocks", "attn", "attn.o", "attn.reads", "ln1", "ln2"}
DENSE = ONE_STACK | {"mlp.in", "mlp.out"}
GATED = DENSE | {"mlp", "mlp.gate", "ln_final", "unembed"}
MIXED = ONE_STACK | {"mlp", "ln_final", "unembed"}
TWO_STACKS = {
    "encoder_blocks", "decoder_blocks", "attn", "attn.o", "self_attn", "self_attn.o", "self_attn.reads", "cross_attn", "cross_attn.o",
    "cross_attn.reads", "ln1", "ln2", "ln3", "mlp.in", "mlp.out", "unembed",
}  # fmt: skip
FINAL_NORMS = {"encoder_ln_final", "decoder_ln_final"}
COMPARED: dict[str, set[str]] = {
    **dict.fromkeys(("gpt2", "neox", "neox-serial"), DENSE | {"mlp", "ln_final", "unembed"}),
    **dict.fromkeys(("llama", "llama-wide-heads", "mistral", "mistral-window", "qwen2", "qwen3"), GATED),
    **dict.fromkeys(("gemma2", "gemma2-uncapped", "gemma3"), GATED | {"ln1_post", "ln2_post"}),
    "phi3": GATED - {"mlp.in", "mlp.gate"},
    **dict.fromkeys(("bert", "roberta"), DENSE - {"attn"}),
    "opt": DENSE | {"ln_final", "unembed"},
    "opt-post-norm": DENSE | {"unembed"},
    "opt-projected": DENSE,
    **dict.fromkeys(("mixtral", "qwen2-moe", "qwen3-moe", "olmoe", "gpt-oss"), MIXED),
    **dict.fromkeys(("deepseek-v2", "deepseek-v3"), MIXED),
    "t5": TWO_STACKS | FINAL_NORMS | {"mlp"},
    "t5-gated": TWO_STACKS | FINAL_NORMS | {"mlp", "mlp.gate"},
    "switch": (TWO_STACKS - {"mlp.in", "mlp.out"}) | FINAL_NORMS | {"mlp"},
    **dict.fromkeys(("bart-even", "marian-even"), TWO_STACKS),
    "m2m100-even": TWO_STACKS | FINAL_NORMS,
}
# (form, entry) -> why theirs is another, or there where ours is not, or the other way round.
_CONTAINER = "theirs holds the attention and its output; ours is the module inside that calls attention"
_ROUTER = "theirs is the router, by the name that a gated FFN's gate has; in a mixture ours has no entry of that name"
_LATER = "theirs is the norm inside the token-predicting head; no norm stands after the last block"
_HEAD = "theirs is the last matrix of a head that has more before it; for us such a head is no readout"
_DENSE_LAYER = "theirs calls the projections of a dense layer among mixtures dense_gate, dense_in, dense_out"
_SPLIT = "one matrix holds gate and up (gate_up_proj); theirs are names of its halves, and no modules of the model"
DIFFERS: dict[tuple[str, str], str] = {
    **{(form, entry): _SPLIT for form in ("phi3",) for entry in ("mlp.in", "mlp.gate")},
    **{(form, "attn"): _CONTAINER for form in ("bert", "roberta")},
    **{(form, "ln_final"): _LATER for form in ("bert", "roberta")},
    **{(form, "unembed"): _HEAD for form in ("bert", "roberta", "opt-projected")},
    ("opt-post-norm", "ln_final"): "theirs names a norm that post-norm OPT does not have, and so cannot run it",
    **{(form, "mlp.gate"): _ROUTER for form in ("mixtral", "qwen2-moe", "qwen3-moe", "olmoe", "switch", "deepseek-v2", "deepseek-v3")},
    **{(form, entry): _DENSE_LAYER for form in ("deepseek-v2", "deepseek-v3") for entry in ("mlp.in", "mlp.out")},
    **{("switch", entry): _DENSE_LAYER for entry in ("mlp.in", "mlp.out")},
}  # fmt: skip
STACKS = {"": "", "E": "encoder_", "D": "decoder_"}


def their_map(hf: Any) -> dict[str, Any]:
    name = type(hf).__name__
    hf.config.architectures = [name]
    config = build_bridge_config_from_hf(hf.config, name, "tiny", torch.float32)
    return ArchitectureAdapterFactory.select_architecture_adapter(config).component_mapping


def join(*parts: str | None) -> str:
    return ".".join(part for part in parts if part)


def theirs(mapping: Mapping[str, Any], anatomy: Anatomy) -> Iterator[tuple[str, str, object]]:
    """(layer's name, entry, path or set of paths) as TransformerLens has them."""
    for stack, prefix in STACKS.items():
        blocks = mapping.get(f"{prefix}blocks")
        if blocks is None:
            continue
        yield stack, f"{prefix}blocks", blocks.name
        if f"{prefix}ln_final" in mapping:
            yield stack, f"{prefix}ln_final", mapping[f"{prefix}ln_final"].name
        for layer in range(anatomy.stack(stack).n_layers):
            yield from ((f"{stack}{layer}", entry, path) for entry, path in their_block(blocks, f"{blocks.name}.{layer}"))
    if "unembed" in mapping:
        yield "", "unembed", mapping["unembed"].name


def their_block(blocks: Any, path: str) -> Iterator[tuple[str, object]]:
    for name, part in blocks.submodules.items():
        at = join(path, part.name)
        inside = {key: join(at, module.name) for key, module in part.submodules.items()}
        if name.startswith("ln"):
            yield name, at
        elif name == "mlp":
            yield from ((f"mlp.{key}", inside[key]) for key in ("in", "gate", "out") if key in inside)
            if part.name:
                yield name, at
        else:
            yield name, at
            yield f"{name}.o", inside["o"]
            yield f"{name}.reads", frozenset(their_reads(inside))


def their_reads(inside: Mapping[str, str]) -> list[str]:
    """What reads the stream: one joint projection, latent attention's two, or query, key and value."""
    if "qkv" in inside:
        return [inside["qkv"]]
    if "kv_a_proj_with_mqa" in inside:
        return [inside["q_a_proj"], inside["kv_a_proj_with_mqa"]]
    return [inside[name] for name in "qkv"]


def ours(anatomy: Anatomy) -> Iterator[tuple[str, str, object]]:
    """The same, as our anatomy has them."""
    for name, stack in anatomy.stacks.items():
        prefix = STACKS[name]
        yield name, f"{prefix}blocks", stack.blocks[0].removesuffix(".0")
        if stack.ln_final:
            yield name, f"{prefix}ln_final", stack.ln_final
        for layer, sublayers in enumerate(stack.layers):
            assert stack.blocks[layer] == stack.blocks[0].removesuffix("0") + str(layer)
            for place, sublayer in enumerate(sublayers, 1):
                yield from ((f"{name}{layer}", entry, path) for entry, path in our_sublayer(sublayer, place, stack) if path)
    if anatomy.unembed:
        yield "", "unembed", anatomy.unembed


def our_sublayer(sublayer: Sublayer, place: int, stack: StackAnatomy) -> Iterator[tuple[str, object]]:
    yield f"ln{place}", sublayer.norm_in or sublayer.norm_after
    yield f"ln{place}_post", sublayer.norm_out
    if sublayer.kind == "mlp":
        yield from {"mlp": sublayer.module, "mlp.out": sublayer.out, "mlp.gate": sublayer.gate, "mlp.in": "".join(sublayer.reads)}.items()
        return
    name = {"cross": "cross_attn", "attn": "self_attn" if stack.stack == "D" else "attn"}[sublayer.kind]
    yield from {name: sublayer.module, f"{name}.o": sublayer.out, f"{name}.reads": frozenset((*sublayer.reads, *sublayer.memory))}.items()


@pytest.fixture(params=COMPARED)
def form(request) -> str:
    return request.param


def both(hf: Any) -> tuple[dict, dict]:
    anatomy = anatomy_of(hf, lm_head=True)
    left = {(layer, entry): path for layer, entry, path in ours(anatomy)}
    return left, {(layer, entry): path for layer, entry, path in theirs(their_map(hf), anatomy)}


def test_entries_agree_wherever_both_have_one(form, plain_named):
    left, right = both(plain_named(form))
    agree = {key for key in left.keys() & right.keys() if left[key] == right[key]}
    differ = {key for key in left.keys() | right.keys() if key not in agree}
    unknown = {key: (left.get(key), right.get(key)) for key in differ if (form, key[1]) not in DIFFERS}
    assert not unknown, f"ours and theirs: {unknown}"
    assert {entry for _, entry in agree} >= COMPARED[form]
    assert {key for key in left if key[1] in COMPARED[form] and (form, key[1]) not in DIFFERS} <= agree


def test_every_known_difference_is_one(plain_named):
    """A line of DIFFERS whose entries agree, or are in neither, has had its day."""
    for form in {form for form, _ in DIFFERS}:
        left, right = both(plain_named(form))
        differ = {key[1] for key in left.keys() | right.keys() if left.get(key) != right.get(key)}
        assert {entry for known, entry in DIFFERS if known == form} <= differ, form


def test_the_comparison_can_fail(plain_named):
    """A norm that was taken for another is seen: Gemma's ln2 is not what Llama's is."""
    _, llama = both(plain_named("llama"))
    left, gemma = both(plain_named("gemma3"))
    assert llama["0", "ln2"] != gemma["0", "ln2"] == left["0", "ln2"]
    assert llama["0", "attn.o"] == gemma["0", "attn.o"]


def test_their_names_of_halves_are_no_modules_of_the_model(plain_named):
    hf = plain_named("phi3")
    _, right = both(hf)
    assert not has(hf, right["0", "mlp.gate"])
    assert has(hf, right["0", "mlp.out"])
