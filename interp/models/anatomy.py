"""Anatomy: which sublayers a model has, where they stand, and what they add to the residual stream.

The map from names to modules is TransformerLens's: its architecture adapters say that `blocks.attn.o` is
`attention.output.dense` in BERT. They are used without its bridge, so the model that runs stays the plain one. What the map does not say
is in the table `FAMILIES`: where the norms stand and whether the sublayers are parallel. A family that is not
in the table is refused by name: nobody verified it. The load-time self-check proves the anatomy on the weights at hand.

The stream's rule
    pre-norm            resid_mid = resid_pre + attn_out;      resid_post = resid_mid + mlp_out
    pre-norm, parallel  resid_post = resid_pre + attn_out + mlp_out
    post-norm           resid_mid = norm1(resid_pre + attn_out);  resid_post = norm2(resid_mid + mlp_out)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

from interp.core.errors import ModelUnsupported

Norms = Literal["pre", "post"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """What TransformerLens's map leaves open about a family. `causal`: a position sees only those before it."""

    norms: Norms
    causal: bool
    parallel: bool = False


FAMILIES: Mapping[str, Family] = {
    "gpt2": Family(norms="pre", causal=True),
    "gpt_neox": Family(norms="pre", causal=True, parallel=True),
    "llama": Family(norms="pre", causal=True),
    "mistral": Family(norms="pre", causal=True),
    "qwen2": Family(norms="pre", causal=True),
    "bert": Family(norms="post", causal=False),
    "roberta": Family(norms="post", causal=False),
}


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The parts of a model and the names of their modules.

    Attributes:
        family: transformers' model type, "gpt2".
        norms: where a block's norms stand, before ("pre") or after ("post") its sublayers.
        gated: True when the FFN multiplies its neurons by a gate (three matrices instead of two).
        lm_head: True when the model predicts tokens with trained weights.
        paths: module path of each part; "{layer}" stands for the layer's number. Several for projections side by side.
    """

    family: str
    causal: bool
    norms: Norms
    parallel: bool
    gated: bool
    lm_head: bool
    activation: str
    n_layers: int
    n_heads: int
    n_key_value_heads: int
    n_ctx: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    paths: Mapping[str, tuple[str, ...]]

    @property
    def linear_readout(self) -> bool:
        """True when logits are a norm and a matrix away from the stream, so that contributions add up."""
        return self.lm_head and self.norms == "pre"


def anatomy_of(hf: PreTrainedModel, *, lm_head: bool) -> Anatomy:
    """The anatomy of a transformers model.

    Args:
        hf: the model; its config's `model_type` must be in `FAMILIES`.
        lm_head: whether its token-predicting head holds trained weights.
    Raises: ModelUnsupported naming the family or the option that nobody verified.
    """
    config = hf.config
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise ModelUnsupported(
            f"{type(hf).__name__}: the family {config.model_type!r} has not been verified; expected one of: {', '.join(FAMILIES)}"
        )
    _refuse_unverified_options(config)
    components, known = _map(hf, family)
    paths = _paths(hf, components, family)
    d_head = getattr(known, "d_head", None) or config.hidden_size // config.num_attention_heads
    return Anatomy(
        family=config.model_type,
        causal=family.causal,
        norms=family.norms,
        parallel=family.parallel and getattr(config, "use_parallel_residual", True),
        gated="gate" in components["blocks"].submodules["mlp"].submodules,
        lm_head=lm_head,
        activation=str(getattr(known, "act_fn", "")),
        n_layers=config.num_hidden_layers,
        n_heads=config.num_attention_heads,
        n_key_value_heads=getattr(config, "num_key_value_heads", None) or config.num_attention_heads,
        n_ctx=_context(config),
        d_model=config.hidden_size,
        d_head=d_head,
        d_mlp=_width_in(hf.get_submodule(paths["mlp_out"][0].format(layer=0))),
        d_vocab=config.vocab_size,
        paths=paths,
    )


def _refuse_unverified_options(config: PretrainedConfig) -> None:
    options = {"add_cross_attention": False, "is_encoder_decoder": False, "reorder_and_upcast_attn": False}
    if config.model_type in ("bert", "roberta"):
        options |= {"is_decoder": False}
    for name, verified in options.items():
        if getattr(config, name, verified) != verified:
            raise ModelUnsupported(f"{config.model_type} with {name}={getattr(config, name)}: only {name}={verified} has been verified")
    if getattr(config, "quantization_config", None) is not None:
        raise ModelUnsupported("a quantised model came; expected float16, bfloat16 or float32 weights: load the original checkpoint")


def _context(config: PretrainedConfig) -> int:
    positions = config.max_position_embeddings
    # RoBERTa counts positions from pad_token_id + 1 on, so that many of them are never used.
    return positions - config.pad_token_id - 1 if config.model_type == "roberta" else positions


def _map(hf: PreTrainedModel, family: Family) -> tuple[Mapping[str, Any], Any]:
    """TransformerLens's components for the model, with its configuration; slow to import, hence here."""
    from transformer_lens.factories.architecture_adapter_factory import ArchitectureAdapterFactory
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_config_from_hf

    names = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if family.causal else MODEL_FOR_MASKED_LM_MAPPING_NAMES
    known = build_bridge_config_from_hf(hf.config, names[hf.config.model_type], hf.config.model_type, torch.float32)
    components = ArchitectureAdapterFactory.select_architecture_adapter(known).component_mapping
    assert components is not None  # every family in the table has a map
    return components, known


def _paths(hf: PreTrainedModel, components: Mapping[str, Any], family: Family) -> dict[str, tuple[str, ...]]:
    block = components["blocks"]
    attn, mlp = block.submodules["attn"], block.submodules["mlp"]
    layer = _join(_own(hf, block.name), "{layer}")
    inside_attn = {name: _join(layer, attn.name, part.name) for name, part in attn.submodules.items()}
    inside_mlp = {name: _join(layer, mlp.name, part.name) for name, part in mlp.submodules.items()}
    paths = {
        "block": (layer,),
        "attn_in": _existing(hf, [inside_attn.get(name) for name in ("qkv", "q", "k", "v")]),
        "attn_out": (inside_attn["o"],),
        "mlp_in": _existing(hf, [inside_mlp.get(name) for name in ("in", "gate")]),
        "mlp_out": (inside_mlp["out"],),
        "ln1": (_join(layer, block.submodules["ln1"].name),),
        "ln2": (_join(layer, block.submodules["ln2"].name),),
        "embed": (_own(hf, components["embed"].name),),
    }
    if family.norms == "pre":
        paths["ln_final"] = (_own(hf, components["ln_final"].name),)
    unembed = components["unembed"].name
    return {**paths, "unembed": (unembed,)} if _exists(hf, unembed) else paths


def _own(hf: PreTrainedModel, path: str) -> str:
    """The path as this object has it: a bare model lacks the prefix that the same model with a head has."""
    bare = path.removeprefix(f"{hf.base_model_prefix}.")
    return path if hasattr(hf, hf.base_model_prefix) else bare


def _join(*parts: str | None) -> str:
    return ".".join(part for part in parts if part)


def _exists(hf: PreTrainedModel, path: str) -> bool:
    try:
        hf.get_submodule(path.format(layer=0))
    except AttributeError:
        return False
    return True


def _existing(hf: PreTrainedModel, paths: list[str | None]) -> tuple[str, ...]:
    return tuple(path for path in paths if path and _exists(hf, path))


def _width_in(projection: torch.nn.Module) -> int:
    return weight_in_out(projection).shape[0]


def weight_in_out(projection: torch.nn.Module) -> torch.Tensor:
    """A projection's weight as (in, out), so that x @ W is what it does: GPT-2's Conv1D stores it so, Linear the other way."""
    weight = projection.weight
    return weight.T if isinstance(projection, torch.nn.Linear) else weight  # type: ignore[return-value]
