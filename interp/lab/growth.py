"""A wide and deep model grown out of a narrow one: at first it does what the narrow one did, and has room to learn more.

Why: a model of d_model 128 builds copying within 3 million tokens of the circuits phase, one of d_model 256 had not built it after as many.

What is old keeps its weights. What is new reads at random and writes nothing: new directions of the stream carry fresh embeddings that no
old part reads, new dimensions of a head have keys and outputs of zero, new neurons and the sublayers of new layers an output of zero. All
of it has a gradient. Norms see the new directions too, so their gains are rescaled by what the variance of the stream is then.

Source of the idea, that a grown network begins as the function that it grew from: Chen, Goodfellow and Shlens (2016), Net2Net;
for transformers Chen et al. (2022), bert2BERT. GPT-2's architecture only.
"""

import math
from typing import Any

import torch
from transformers import GPT2LMHeadModel, PreTrainedModel

from interp.core.errors import DataError

Variances = dict[str, float]


@torch.no_grad()
def grow(narrow: PreTrainedModel, wide: PreTrainedModel, ids: torch.Tensor) -> PreTrainedModel:
    """Put `narrow` into `wide`, an untrained model with as many heads, and no fewer layers, dimensions or neurons.

    Args:
        narrow: trained.
        wide: fresh; changed in place.
        ids: some tokens to measure the stream on, axes (batch, pos).
    Returns: `wide`.
    Raises: DataError for another architecture than GPT-2's.
    """
    if not (isinstance(narrow, GPT2LMHeadModel) and isinstance(wide, GPT2LMHeadModel)):
        raise DataError(f"a {type(narrow).__name__} came to be grown into a {type(wide).__name__}; expected GPT2LMHeadModel for both")
    variances = stream_variances(narrow, ids)
    _grow_embeddings(narrow, wide)
    fresh = fresh_variance(narrow, wide, ids)
    trained, blocks = _blocks(narrow), _blocks(wide)
    for old, new in zip(trained, blocks, strict=False):
        _grow_attention(old.attn, new.attn)
        _grow_ffn(old.mlp, new.mlp)
    for block in blocks[len(trained) :]:
        for projection in (block.attn.c_proj, block.mlp.c_proj):
            projection.weight.zero_()
    share = narrow.config.n_embd / wide.config.n_embd
    for name, variance in variances.items():
        grown = share * variance + (1 - share) * fresh
        _grow_norm(narrow.get_submodule(name), wide.get_submodule(name), math.sqrt(grown / variance))
    wide.transformer.ln_f.weight[narrow.config.n_embd :] = 0.0
    return wide


def _blocks(model: GPT2LMHeadModel) -> list[Any]:
    return list(model.transformer.h)


def stream_variances(model: GPT2LMHeadModel, ids: torch.Tensor) -> Variances:
    """The variance over the stream's entries that each norm reads, a mean over tokens; by the norm's name."""
    found: Variances = {}

    def noting(name: str):
        return lambda module, inputs: found.update({name: inputs[0].var(-1, unbiased=False).mean().item()})

    norms = [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.LayerNorm)]
    handles = [module.register_forward_pre_hook(noting(name)) for name, module in norms]
    model(input_ids=ids, use_cache=False)
    for handle in handles:
        handle.remove()
    return found


def fresh_variance(narrow: GPT2LMHeadModel, wide: GPT2LMHeadModel, ids: torch.Tensor) -> float:
    """The variance of what the embeddings put into the new directions."""
    new = slice(narrow.config.n_embd, None)
    positions = wide.transformer.wpe.weight[: ids.shape[1], new]
    return (wide.transformer.wte.weight[:, new][ids] + positions).var(-1, unbiased=False).mean().item()


def _grow_embeddings(narrow: GPT2LMHeadModel, wide: GPT2LMHeadModel) -> None:
    for old, new in ((narrow.transformer.wte, wide.transformer.wte), (narrow.transformer.wpe, wide.transformer.wpe)):
        new.weight[:, : old.embedding_dim] = old.weight


def _grow_attention(old: Any, new: Any) -> None:
    """W_Q is scaled up by what the wider head's 1/sqrt(d_head) takes away."""
    width = old.embed_dim
    scale = math.sqrt(new.head_dim / old.head_dim)
    kept = _kept_dimensions(old, new)
    rest = torch.ones(new.embed_dim, dtype=torch.bool).index_fill(0, kept, False)
    pairs = zip(*(attn.c_attn.weight.split(attn.embed_dim, dim=1) for attn in (old, new)), strict=True)
    biases = zip(*(attn.c_attn.bias.split(attn.embed_dim) for attn in (old, new)), strict=True)
    for factor, (old_weight, new_weight), (old_bias, new_bias) in zip((scale, 1.0, 1.0), pairs, biases, strict=True):
        new_weight[:width, kept] = factor * old_weight
        new_weight[width:, kept] = 0.0
        new_bias[kept] = factor * old_bias
    new.c_attn.weight.split(new.embed_dim, dim=1)[1][:, rest] = 0.0
    new.c_proj.weight.zero_()
    new.c_proj.weight[kept, :width] = old.c_proj.weight
    new.c_proj.bias[:width] = old.c_proj.bias


def _kept_dimensions(old: Any, new: Any) -> torch.Tensor:
    """Where the narrow heads' dimensions are among the wide heads': the first ones of each."""
    return (torch.arange(new.num_heads)[:, None] * new.head_dim + torch.arange(old.head_dim)).flatten()


def _grow_ffn(old: Any, new: Any) -> None:
    width, neurons = old.c_fc.weight.shape
    new.c_fc.weight[:width, :neurons] = old.c_fc.weight
    new.c_fc.weight[width:, :neurons] = 0.0
    new.c_fc.bias[:neurons] = old.c_fc.bias
    new.c_proj.weight.zero_()
    new.c_proj.weight[:neurons, :width] = old.c_proj.weight
    new.c_proj.bias[:width] = old.c_proj.bias


def _grow_norm(old: Any, new: Any, factor: float) -> None:
    width = len(old.weight)
    new.weight[:width] = factor * old.weight
    new.bias[:width] = old.bias
