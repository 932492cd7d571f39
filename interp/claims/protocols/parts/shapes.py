"""The shape of a transformer, written down, and what follows from it: how many parameters it has, and where.

The count of one layer, with d = d_model, f = d_ff, h heads of k = d_head, g key-value heads, m matrices in the FFN (3 where it is gated)
    attention   d h k + 2 d g k + h k d              and h k + 2 g k + d biases
    FFN         m d f                                and (m - 1) f + d biases
    norms       2 in a layer, 3 in a decoder's that reads an encoder; 2 d each with biases ("layer"), d without ("rms")
Around the layers: a row of d for each token, learned position and token type; another for each token where the unembedding is a matrix of
its own; a norm after the embeddings, one after each stack, a pooler; T5's position buckets, one number for each head and stack.

What it does not tell: mixtures of experts, latent attention, adapters. What is not known of a shape is left out, and whatever would follow
from it: nothing is put in its place, neither a width of heads nor biases. Exact for the families that `tests/claims/test_arithmetic.py`
builds and counts.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from interp.claims.protocols.parts.expression import Quantity

TEXTS = ("name", "family", "activation")
NUMBERS = {
    "d_model": "width of the stream",
    "d_ff": "neurons of an FFN (of an expert in a mixture)",
    "d_head": "width of a head, d_k",
    "d_attention": "widths of all heads of a layer together, h d_k",
    "n_heads": "heads in a layer",
    "n_key_value_heads": "heads of keys and values in a layer",
    "d_vocab": "entries of the vocabulary",
    "n_layers": "layers of the only stack, or of the encoder",
    "n_encoder_layers": "layers that see all positions",
    "n_decoder_layers": "layers that see only what came before",
    "n_cross_attentions": "attention sublayers that read an encoder",
    "n_experts": "experts in an FFN; 0 in one that is no mixture",
    "gated": "True where the FFN multiplies its neurons by a gate",
    "ffn_matrices": "matrices of an FFN: 2, or 3 where it is gated",
    "qkv_weights": "weights of the query, key and value projections of a layer, without biases",
    "layer_attention_parameters": "of the attention in the first layer",
    "layer_ffn_parameters": "of the FFN in the first layer",
    "layer_parameters": "of the first layer",
    "stack_parameters": "of all layers of the only stack, or of the encoder",
    "block_parameters": "of all layers",
    "attention_parameters": "of all attention sublayers",
    "ffn_parameters": "of all FFNs",
    "embedding_parameters": "of the tables of tokens, positions and types, an unembedding of its own not among them",
    "parameters": "all, each counted once",
    "n_ctx": "tokens of the longest text; of a published shape known where positions are learned",
    "overtaken_at": "tokens from which attention takes more operations than the FFN in a layer",
    "parameters_reported": "all, as the publication says, to its precision",
}
QUANTITIES = (*TEXTS, *NUMBERS)
NORMS = ("layer", "rms", "none")
WIDTHS = ("d_model", "d_ff", "d_head", "d_attention")
MAY_BE_0 = ("n_experts", "n_encoder_layers", "n_decoder_layers", "n_cross_attentions", "positions", "token_types", "buckets")
LARGEST = 1e6


class Shape(BaseModel):
    """A transformer's shape. What is None is not known.

    Attributes:
        n_decoder_layers: of a decoder that reads an encoder's output; 0 without one.
        causal: of the only stack.
        d_attention: where only the product of heads and their width is known.
        positions, token_types: rows of learned embeddings, beside those of tokens.
        buckets: T5's relative positions.
        n_experts: of a mixture, whose parameters are not counted.
        attention_bias, ffn_bias: of the projections, and of the FFN's matrices.
        final_norm: after each stack.
        tied: the unembedding is the table of tokens; or there is none.
        parameters_reported: as the publication says.
        parameters_counted: as somebody counted them; the formula must give the same.
        source: where it stands.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    family: str = ""
    source: str = ""
    activation: str | None = None
    gated: bool | None = None
    d_model: int | None = Field(default=None, ge=1)
    d_ff: int | None = Field(default=None, ge=1)
    n_layers: int | None = Field(default=None, ge=1)
    n_decoder_layers: int = Field(default=0, ge=0)
    causal: bool = False
    n_heads: int | None = Field(default=None, ge=1)
    n_key_value_heads: int | None = Field(default=None, ge=1)
    d_head: int | None = Field(default=None, ge=1)
    d_attention: int | None = Field(default=None, ge=1)
    n_experts: int = Field(default=0, ge=0)
    d_vocab: int | None = Field(default=None, ge=1)
    positions: int = Field(default=0, ge=0)
    token_types: int = Field(default=0, ge=0)
    buckets: int = Field(default=0, ge=0)
    attention_bias: bool | None = None
    ffn_bias: bool | None = None
    norm: Literal["layer", "rms", "none"] = "layer"
    embedding_norm: bool = False
    final_norm: bool = False
    pooler: bool = False
    tied: bool = True
    parameters_reported: int | None = Field(default=None, ge=1)
    parameters_counted: int | None = Field(default=None, ge=1)


def quantities(shape: Shape) -> dict[str, Quantity]:
    """All that is known of a shape, and all that follows from it, by the names of `QUANTITIES`.

    Example:
        >>> heads = {"n_heads": 8, "d_head": 64, "n_key_value_heads": 8, "attention_bias": True}
        >>> known = quantities(Shape(name="d = 512", d_model=512, d_ff=2048, n_layers=6, gated=False, ffn_bias=True, **heads))
        >>> known["layer_parameters"], known["stack_parameters"], "parameters" in known
        (3152384, 18914304, False)
    """
    known: dict[str, Quantity | None] = {name: getattr(shape, name) for name in QUANTITIES if name in Shape.model_fields}
    d, h, k, groups = shape.d_model, shape.n_heads, shape.d_head, shape.n_key_value_heads
    known |= {**_stacks(shape), "d_attention": shape.d_attention or (h * k if h and k else None)}
    known |= {"ffn_matrices": None if shape.gated is None else 3 if shape.gated else 2}
    if d and h and k and groups:
        known |= _attention(shape, d, h, k, groups)
    if d and shape.d_ff and shape.gated is not None and shape.ffn_bias is not None and not shape.n_experts:
        known |= _ffn(shape, d, shape.d_ff)
    known |= {"n_ctx": shape.positions or None, "overtaken_at": overtaken_at(known)}
    attention, ffn = known.get("layer_attention_parameters"), known.get("layer_ffn_parameters")
    if d and h and attention and ffn and shape.n_layers:
        known |= _counts(shape, d, h, int(attention), int(ffn))
    return {name: value for name, value in known.items() if value is not None}


def overtaken_at(known: Mapping[str, Quantity | None]) -> int | None:
    """The fewest tokens with which a layer's attention takes more operations than its FFN; None where too little is known, or in a mixture.

    With n tokens an FFN of m matrices takes 2 m d f for each, the projections 2 (2 d h k + 2 d g k), the scores and the weighted sums
    4 n h k (as `flops` counts them, by which it is checked).

    Example:
        >>> bert = {"d_model": 768, "d_ff": 3072, "ffn_matrices": 2, "n_heads": 12, "n_key_value_heads": 12, "d_head": 64, "n_experts": 0}
        >>> overtaken_at(bert)
        1537
    """
    d, f, m, h, g, k = (known.get(name) for name in ("d_model", "d_ff", "ffn_matrices", "n_heads", "n_key_value_heads", "d_head"))
    if known.get("n_experts") or not (d and f and m and h and g and k):
        return None
    d, f, m, h, g, k = (int(one) for one in (d, f, m, h, g, k))
    return max(0, (m * d * f - 2 * d * h * k - 2 * d * g * k) // (2 * h * k) + 1)


def as_usual(shape: Shape) -> Shape:
    """The shape with heads of d_model / n_heads, and as many for keys and values as for queries, where it says nothing of them.

    Example:
        >>> as_usual(Shape(name="512 / 8", d_model=512, n_heads=8)).d_head
        64
    """
    d, h = shape.d_model, shape.n_heads
    k = d // h if d and h and d % h == 0 and shape.d_attention in (None, d) else None
    return shape.model_copy(update={"d_head": shape.d_head or k, "n_key_value_heads": shape.n_key_value_heads or h})


def redrawn(known: Mapping[str, Any], rng: np.random.Generator, kept: float) -> dict[str, Any]:
    """Values at random in place of known ones: sizes from 1 to a million (0 too where there may be none), names of nothing.

    Args:
        kept: the chance of each value to stay, so that conditions on several of them come true too; widths that stay are now and then all
            multiplied by one number, so that what is said of their ratios stays true and what is said of each does not.

    Example:
        >>> redrawn({"d_ff": 64, "tied": True}, np.random.default_rng(0), kept=0.0).keys()
        dict_keys(['d_ff', 'tied'])
    """
    times = _size(rng) if rng.integers(2) else 1
    return {
        name: (value * times if name in WIDTHS else value) if rng.random() < kept else _value(name, value, rng)
        for name, value in known.items()
    }


def _value(name: str, value: object, rng: np.random.Generator) -> Any:
    if isinstance(value, bool):
        return bool(rng.integers(2))
    if isinstance(value, str):
        return str(rng.choice(NORMS)) if name == "norm" else f"none {rng.integers(1000)}"
    return 0 if name in MAY_BE_0 and rng.integers(2) else _size(rng)


def _size(rng: np.random.Generator) -> int:
    return int(np.exp(rng.uniform(0, np.log(LARGEST))))


def _stacks(shape: Shape) -> dict[str, Quantity | None]:
    if shape.n_layers is None:
        return {}
    paired = shape.n_decoder_layers > 0
    return {
        "n_encoder_layers": shape.n_layers if paired or not shape.causal else 0,
        "n_decoder_layers": shape.n_decoder_layers if paired or not shape.causal else shape.n_layers,
        "n_cross_attentions": shape.n_decoder_layers,
    }


def _attention(shape: Shape, d: int, h: int, k: int, groups: int) -> dict[str, Quantity | None]:
    qkv = d * h * k + 2 * d * groups * k
    if shape.attention_bias is None:
        return {"qkv_weights": qkv}
    biases = h * k + 2 * groups * k + d if shape.attention_bias else 0
    return {"qkv_weights": qkv, "layer_attention_parameters": qkv + h * k * d + biases}


def _ffn(shape: Shape, d: int, f: int) -> dict[str, Quantity | None]:
    matrices = 3 if shape.gated else 2
    return {"layer_ffn_parameters": matrices * d * f + ((matrices - 1) * f + d if shape.ffn_bias else 0)}


def _counts(shape: Shape, d: int, h: int, attention: int, ffn: int) -> dict[str, Quantity | None]:
    assert shape.n_layers
    norm = {"layer": 2 * d, "rms": d, "none": 0}[shape.norm]
    decoders = shape.n_decoder_layers
    layer, decoder_layer = attention + ffn + 2 * norm, 2 * attention + ffn + 3 * norm
    blocks = shape.n_layers * layer + decoders * decoder_layer
    found: dict[str, Quantity | None] = {
        "layer_parameters": layer,
        "stack_parameters": shape.n_layers * layer,
        "block_parameters": blocks,
        "attention_parameters": (shape.n_layers + 2 * decoders) * attention,
        "ffn_parameters": (shape.n_layers + decoders) * ffn,
    }
    if shape.d_vocab is None:
        return found
    embeddings = (shape.d_vocab + shape.positions + shape.token_types) * d
    n_stacks = 2 if decoders else 1
    around = n_stacks * ((norm if shape.final_norm else 0) + shape.buckets * h) + (norm if shape.embedding_norm else 0)
    around += (0 if shape.tied else shape.d_vocab * d) + (d * d + d if shape.pooler else 0)
    return {**found, "embedding_parameters": embeddings, "parameters": blocks + embeddings + around}
