"""The quantities of `shapes` for the model at hand: its sizes read off its anatomy, its parameters counted where they stand.

A parameter that two modules share is counted once. The FFN of a mixture is its router and all its experts; an attention's own norms, and
T5's position buckets, are the attention's.
"""

from collections.abc import Iterable, Mapping

from torch import nn

from interp.claims.protocols.parts.expression import Quantity
from interp.claims.protocols.parts.shapes import overtaken_at
from interp.models.anatomy import StackAnatomy, Sublayer
from interp.models.model import Model

_SAME = {"gelu_new": "gelu", "gelu_fast": "gelu", "gelu_pytorch_tanh": "gelu", "quick_gelu": "gelu", "swish": "silu"}


def model_quantities(model: Model) -> dict[str, Quantity]:
    """All quantities that the model has, by the names of `shapes.QUANTITIES`; one without an FFN, or attention, has none of theirs.

    Example:
        >>> import interp
        >>> known = model_quantities(interp.load())
        >>> known["ffn_matrices"], known["d_attention"] == known["d_model"], known["n_cross_attentions"]
        (2, True, 0)
    """
    anatomy, first = model.anatomy, next(iter(model.anatomy.stacks.values()))
    known: dict[str, Quantity] = {"name": model.name, "family": anatomy.family, "d_model": anatomy.d_model, "d_vocab": anatomy.d_vocab}
    known |= {"n_ctx": anatomy.n_ctx} if anatomy.n_ctx else {}
    known |= {
        "n_layers": first.n_layers,
        "n_encoder_layers": sum(stack.n_layers for stack in anatomy.stacks.values() if not stack.causal),
        "n_decoder_layers": sum(stack.n_layers for stack in anatomy.stacks.values() if stack.causal),
        "n_cross_attentions": sum(sublayer.kind == "cross" for sublayer in anatomy.sublayers()),
    }
    return following(known | _attention(model, first) | _ffn(model, first) | _counts(model, first))


def following(known: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Quantities with those that are not measured but follow from others.

    Example:
        >>> following({"n_heads": 2, "d_head": 8})["d_attention"]
        16
    """
    found = dict(known)
    if {"n_heads", "d_head"} <= known.keys():
        found["d_attention"] = int(known["n_heads"]) * int(known["d_head"])
    if "gated" in known:
        found["ffn_matrices"] = 3 if known["gated"] else 2
    if (tokens := overtaken_at(found)) is not None:
        found["overtaken_at"] = tokens
    return found


def unplaced(model: Model) -> int:
    """Parameters of the blocks that stand in no part (attention, FFN, norm), or in two: 0 where a count by parts can be trusted."""
    blocks = {id(weight): weight for weight in _weights(model, _blocks(model))}
    places = dict.fromkeys(blocks, 0)
    for sublayer in model.anatomy.sublayers():
        norms = [norm for norm in (sublayer.norm_in, sublayer.norm_out, sublayer.norm_after) if norm]
        inside = {id(weight) for weight in _weights(model, _modules(sublayer))}
        for key in inside | {id(weight) for weight in _weights(model, norms)}:
            places[key] = places.get(key, 0) + 1
    return sum(blocks[key].numel() for key, n in places.items() if n != 1)


def _attention(model: Model, stack: StackAnatomy) -> dict[str, Quantity]:
    layers = [sublayer for layer in stack.layers for sublayer in layer if sublayer.kind == "attn"]
    if not layers:
        return {}
    projections = [model.at(path) for path in layers[0].reads]
    return {
        "n_heads": stack.n_heads,
        "n_key_value_heads": stack.n_key_value_heads,
        "d_head": stack.d_head,
        "qkv_weights": sum(weight.numel() for module in projections for key, weight in module.named_parameters() if key == "weight"),
        "layer_attention_parameters": _count(model, _modules(layers[0])),
    }


def _ffn(model: Model, stack: StackAnatomy) -> dict[str, Quantity]:
    layers = [sublayer for layer in stack.layers for sublayer in layer if sublayer.kind == "mlp"]
    if not layers:
        return {}
    activation = model.anatomy.activation
    return {
        "d_ff": layers[0].n_neurons,
        "n_experts": model.anatomy.n_experts if any(layer.experts for layer in layers) else 0,
        "activation": _SAME.get(activation, activation),
        "gated": model.anatomy.gated,
        "layer_ffn_parameters": _count(model, _modules(layers[0])),
    }


def _counts(model: Model, first: StackAnatomy) -> dict[str, Quantity]:
    kinds = {"attention_parameters": ("attn", "cross"), "ffn_parameters": ("mlp",)}
    parts = {
        name: _count(model, [path for sublayer in model.anatomy.sublayers() if sublayer.kind in of for path in _modules(sublayer)])
        for name, of in kinds.items()
    }
    inside = {id(weight) for weight in _weights(model, _blocks(model))}
    unembedding = {id(weight) for weight in _weights(model, [model.anatomy.unembed])} if model.anatomy.unembed else set()
    tables = {id(module.weight): module.weight for module in model.hf.modules() if isinstance(module, nn.Embedding)}
    tokens = {id(weight) for weight in model.hf.get_input_embeddings().parameters()}
    return {
        **parts,
        "layer_parameters": _count(model, first.blocks[:1]),
        "stack_parameters": _count(model, first.blocks),
        "block_parameters": _count(model, _blocks(model)),
        "embedding_parameters": sum(table.numel() for key, table in tables.items() if key not in inside | (unembedding - tokens)),
        "parameters": sum(weight.numel() for weight in model.hf.parameters()),
    }


def _blocks(model: Model) -> list[str]:
    return [path for stack in model.anatomy.stacks.values() for path in stack.blocks]


def _modules(sublayer: Sublayer) -> list[str]:
    """Modules that hold a sublayer's parameters; one may stand inside another."""
    return [path for path in (sublayer.module, *sublayer.reads, *sublayer.memory, sublayer.gate, sublayer.out) if path]


def _weights(model: Model, paths: Iterable[str]) -> list[nn.Parameter]:
    """The parameters of modules, each once."""
    return list({id(weight): weight for path in paths for weight in model.at(path).parameters()}.values())


def _count(model: Model, paths: Iterable[str]) -> int:
    return sum(weight.numel() for weight in _weights(model, paths))
