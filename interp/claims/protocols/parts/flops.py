"""How many floating-point operations a forward pass takes, part by part: counted on what runs, not by a formula.

torch's counter sees every product that is computed. It does not know the fused attention of the CPU, which would pass for free: that one is
added here. A product of (a, b) and (b, c) is 2 a b c; attention of n queries and m keys, h heads of k, is 4 h n m k (scores, and weights
times values), the half that a causal mask hides included, as torch counts. Softmax, norms, activations and embeddings are no products and
are not counted.

    score_flops         inside attention, all that is no projection
    projection_flops    the query, key, value and output projections
    ffn_flops           FFNs, with routers and experts
    total_flops         the whole pass, the unembedding among it

A count that the counter lost would pass for "costs nothing". So each sublayer must have taken some, and the parts and what stands around
the blocks (the unembedding, a pooler, projections of embeddings) must add up to the whole pass. Both of these are 0 where the counts hold:

    empty_parts         parts of sublayers that took nothing
    lost_flops          how far parts and surroundings are from the whole pass
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from interp.models.anatomy import Sublayer
from interp.models.model import Model
from interp.texts.controls import random_token_rows

PARTS = ("score_flops", "projection_flops", "ffn_flops", "total_flops")
LOST = ("empty_parts", "lost_flops")


def _fused(query: torch.Size, key: torch.Size, value: torch.Size, *rest: object, out_shape: object = None, **more: object) -> int:
    return int(sdpa_flop_count(query, key, value))


def _counter() -> FlopCounterMode:
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return FlopCounterMode(display=False, custom_mapping={fused: _fused})


def counted_flops(model: Model, n_tokens: int) -> dict[str, int]:
    """Operations of one pass over one text of `n_tokens` random tokens (an encoder-decoder: over two), by the names of `PARTS`; and `LOST`.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> flops, a = counted_flops(model, 32), model.anatomy
        >>> flops["ffn_flops"] == a.n_layers * 4 * 32 * a.d_model * a.d_mlp, flops["score_flops"] == a.n_layers * 4 * 32**2 * a.d_model
        (True, True)
    """
    by_module = _by_module(model, n_tokens)
    found = dict.fromkeys((*PARTS, *LOST), 0) | {"total_flops": by_module.get("Global", 0)}
    for sublayer in model.anatomy.sublayers():
        for part, flops in _parts(model, sublayer, by_module).items():
            found[part] += flops
            found["empty_parts"] += flops <= 0
    blocks = [path for stack in model.anatomy.stacks.values() for path in stack.blocks]
    placed = sum(found[part] for part in PARTS if part != "total_flops") + _around(model, "", model.hf, blocks, by_module)
    return found | {"lost_flops": abs(found["total_flops"] - placed)}


def _by_module(model: Model, n_tokens: int) -> dict[str, int]:
    """What each module took in one pass, those inside it included, by the counter's names; "Global" is the pass."""
    ids = torch.from_numpy(random_token_rows(1, n_tokens, model.anatomy.d_vocab, seed=0))
    with _counter() as counter:
        model.run(ids, target=ids if model.anatomy.encoder_decoder else None)
    return {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}


def _parts(model: Model, sublayer: Sublayer, by_module: dict[str, int]) -> dict[str, int]:
    inside = _flops_at(model, sublayer.module, by_module) if sublayer.module else 0
    around = {path: _flops_at(model, path, by_module) for path in _projections(sublayer)}
    if sublayer.kind == "mlp":
        return {"ffn_flops": inside or sum(around.values())}
    scores = inside - sum(flops for path, flops in around.items() if path.startswith(f"{sublayer.module}."))
    return {"projection_flops": sum(around.values()), "score_flops": scores}


def _around(model: Model, path: str, module: nn.Module, blocks: list[str], by_module: dict[str, int]) -> int:
    """What the modules at and below a path took that neither hold a block nor stand in one."""
    if path in blocks:
        return 0
    if path and not any(block.startswith(f"{path}.") for block in blocks):
        return _flops_at(model, path, by_module)
    children = ((f"{path}.{name}".lstrip("."), child) for name, child in module.named_children())
    return sum(_around(model, below, child, blocks, by_module) for below, child in children)


def _projections(sublayer: Sublayer) -> list[str]:
    return list(dict.fromkeys(path for path in (*sublayer.reads, *sublayer.memory, sublayer.gate, sublayer.out) if path))


def _flops_at(model: Model, path: str, by_module: dict[str, int]) -> int:
    """What a module took; the counter names modules from the one that was called."""
    body = model.hf if model.anatomy.lm_head else model.hf.base_model
    inner = path if body is model.hf else path.removeprefix(f"{model.hf.base_model_prefix}.")
    return int(by_module.get(f"{type(body).__name__}.{inner}", 0))


def miscounted(device: torch.device) -> int:
    """How far off the counter is on two products of known size, a matrix product and fused attention: 0 where it sees what runs."""
    left, right = torch.ones(3, 5, device=device), torch.ones(5, 7, device=device)
    heads = torch.ones(1, 2, 16, 8, device=device)
    with _counter() as product:
        left @ right
    with _counter() as attention, torch.no_grad():
        torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)
    return abs(product.get_total_flops() - 2 * 3 * 5 * 7) + abs(attention.get_total_flops() - 4 * 2 * 16 * 16 * 8)
