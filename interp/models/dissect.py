"""Reads the anatomy off a transformers model: what `families` says about its family, found in its modules and weights.

A family that is not there is refused by name: nobody verified it; so is an option, or a module that is not where it should be.
"""

from dataclasses import replace

import torch
from transformers import PretrainedConfig, PreTrainedModel

from interp.core.errors import ModelUnsupported
from interp.core.sites import Stack
from interp.models.anatomy import Anatomy, StackAnatomy, Sublayer
from interp.models.experts import d_expert, n_experts
from interp.models.families import FAMILIES, REFUSED, Family
from interp.models.families.family import FFN, Attention, Blocks


def anatomy_of(hf: PreTrainedModel, *, lm_head: bool) -> Anatomy:
    """The anatomy of a transformers model.

    Args:
        hf: the model; its config's `model_type` must be one of `families.FAMILIES`.
        lm_head: whether its token-predicting head holds trained weights.
    Raises: ModelUnsupported naming the family, the option or the module that nobody verified.
    """
    config = hf.config
    family = family_of(config)
    _refuse_unverified_options(hf, family)
    all_blocks = family.stacks_of(config)
    stacks = {blocks.stack: _stack(hf, blocks, family) for blocks in all_blocks}
    sublayers = [sublayer for stack in stacks.values() for layer in stack.layers for sublayer in layer]
    writer = next(sublayer.out for sublayer in sublayers if sublayer.out)
    d_model = weight_in_out(hf.get_submodule(writer)).shape[1]
    mixed = [sublayer for sublayer in sublayers if sublayer.experts]
    return Anatomy(
        family=config.model_type,
        stacks=stacks,
        gated=any(spec.gate for blocks in all_blocks for spec in blocks.sublayers if isinstance(spec, FFN)),
        n_experts=n_experts(hf.get_submodule(mixed[0].module)) if mixed else 0,
        lm_head=lm_head,
        unembed=_unembed(hf, family, d_model),
        readout_scale=family.readout_scale(config),
        softcapped=getattr(config, "final_logit_softcapping", None) is not None,
        activation=_activation(config),
        n_ctx=family.positions(config),
        d_model=d_model,
        d_vocab=config.vocab_size,
    )


def family_of(config: PretrainedConfig) -> Family:
    """What is written down about a config's family.

    Raises: ModelUnsupported for one that nobody verified, or that cannot be supported, with the reason.
    """
    family = FAMILIES.get(config.model_type)
    if family is not None:
        return family
    reason = REFUSED.get(config.model_type, "nobody has verified it")
    raise ModelUnsupported(f"the family {config.model_type!r} is not supported: {reason}. Expected one of: {', '.join(FAMILIES)}")


def _refuse_unverified_options(hf: PreTrainedModel, family: Family) -> None:
    config = hf.config
    for name, values in family.verified.items():
        if getattr(config, name, values[0]) not in values:
            verified = " or ".join(str(value) for value in values)
            raise ModelUnsupported(f"{family.name} with {name}={getattr(config, name)}: only {name}={verified} has been verified")
    if config.model_type == "switch_transformers" and hf.dtype != torch.float32:
        raise ModelUnsupported(
            f"Switch in {hf.dtype}: its router turns its weights into float32 as it runs, so the model would change under the instrument; "
            "expected dtype=torch.float32"
        )


def _unembed(hf: PreTrainedModel, family: Family, d_model: int) -> str:
    """OPT's smallest models project the stream to another width before they read it out: there the head is more than a matrix."""
    return family.unembed if has(hf, family.unembed) and _width_in(hf, family.unembed) == d_model else ""


def _activation(config: PretrainedConfig) -> str:
    names = ("hidden_act", "hidden_activation", "activation_function", "dense_act_fn", "activation")
    return str(next(value for name in names if (value := getattr(config, name, None))))


def _stack(hf: PreTrainedModel, blocks: Blocks, family: Family) -> StackAnatomy:
    n_layers, n_heads = getattr(hf.config, blocks.n_layers), getattr(hf.config, blocks.n_heads)
    paths = tuple(_own(hf, blocks.path.format(layer=layer)) for layer in range(n_layers))
    layers = tuple(tuple(_sublayer(hf, spec, path, layer, blocks.stack) for spec in blocks.sublayers) for layer, path in enumerate(paths))
    ln_final = _own(hf, blocks.ln_final) if blocks.ln_final else ""
    _refuse_missing(hf, [*paths, ln_final, *(module for layer in layers for sublayer in layer for module in _modules(sublayer))])
    heads = [sublayer.out for layer in layers for sublayer in layer if sublayer.kind == "attn"]
    ffns = [sublayer for layer in layers for sublayer in layer if sublayer.kind == "mlp"]
    return StackAnatomy(
        stack=blocks.stack,
        causal=blocks.causal,
        parallel=family.parallel(hf.config),
        blocks=paths,
        layers=layers,
        n_heads=n_heads if heads else 0,
        n_key_value_heads=(getattr(hf.config, "num_key_value_heads", None) or n_heads) if heads else 0,
        d_head=_width_in(hf, heads[0]) // n_heads if heads else 0,
        d_mlp=max((ffn.n_neurons for ffn in ffns), default=0),
        ln_final=ln_final,
    )


def _sublayer(hf: PreTrainedModel, spec: Attention | FFN, block: str, layer: int, stack: Stack) -> Sublayer:
    module = _join(block, spec.at)
    normed = Sublayer(
        kind="mlp",
        stack=stack,
        layer=layer,
        module=module if spec.at else "",
        norm_in=_join(block, spec.norm_in) if spec.norm_in else "",
        norm_out=_join(block, spec.norm_out) if spec.norm_out else "",
        norm_after=_join(block, spec.norm_after) if spec.norm_after else "",
    )
    return _attention(spec, normed) if isinstance(spec, Attention) else _ffn(hf, spec, normed, module)


def _attention(spec: Attention, normed: Sublayer) -> Sublayer:
    return replace(
        normed,
        kind="cross" if spec.memory else "attn",
        stack="X" if spec.memory else normed.stack,
        module=_join(normed.module, spec.call),
        reads=tuple(_join(normed.module, name) for name in spec.reads),
        memory=tuple(_join(normed.module, name) for name in spec.memory),
        out=_join(normed.module, spec.out),
    )


def _ffn(hf: PreTrainedModel, spec: FFN, normed: Sublayer, module: str) -> Sublayer:
    """`module`: its own, or the block's where its projections stand in the block itself."""
    experts = _join(module, spec.experts) if spec.experts else ""
    if has(hf, experts):
        return replace(normed, experts=experts, n_neurons=d_expert(hf.get_submodule(module)))
    out = _join(module, spec.out)
    return replace(
        normed,
        reads=(_join(module, spec.up),),
        gate=_join(module, spec.gate) if spec.gate else "",
        out=out,
        n_neurons=_width_in(hf, out) if has(hf, out) else 0,
    )


def _modules(sublayer: Sublayer) -> list[str]:
    norms = [sublayer.norm_in, sublayer.norm_out, sublayer.norm_after]
    return [sublayer.module, *sublayer.reads, *sublayer.memory, sublayer.out, sublayer.gate, *norms]


def _refuse_missing(hf: PreTrainedModel, paths: list[str]) -> None:
    for path in paths:
        if path and not has(hf, path):
            raise ModelUnsupported(
                f"{type(hf).__name__} has no module {path!r}, which {hf.config.model_type} models have: "
                "expected the model as transformers builds it, bare or with its token-predicting head"
            )


def _own(hf: PreTrainedModel, path: str) -> str:
    """The path as this object has it: a bare model lacks the prefix that the same model with a head has."""
    bare = path.removeprefix(f"{hf.base_model_prefix}.")
    return path if hasattr(hf, hf.base_model_prefix) else bare


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def has(hf: PreTrainedModel, path: str) -> bool:
    """True when the model has a module of this name."""
    try:
        hf.get_submodule(path)
    except AttributeError:
        return False
    return bool(path)


def _width_in(hf: PreTrainedModel, projection: str) -> int:
    return weight_in_out(hf.get_submodule(projection)).shape[0]


def weight_in_out(projection: torch.nn.Module) -> torch.Tensor:
    """A projection's weight as (in, out), so that x @ W is what it does: GPT-2's Conv1D stores it so, Linear the other way."""
    weight = projection.weight
    return weight.T if isinstance(projection, torch.nn.Linear) else weight  # type: ignore[return-value]
