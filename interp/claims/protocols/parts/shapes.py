"""The shape of a transformer, written down, and what follows from it: how many parameters it has, and where.

The count of one layer, with d = d_model, f = d_ff, h heads of k = d_head, g key-value heads, m matrices in the FFN (3 where it is gated)
    attention   d h k + 2 d g k + h k d              and h k + 2 g k + d biases
    FFN         m d f                                and (m - 1) f + d biases
    norms       2 in a layer, 3 in a decoder's that reads an encoder; 2 d each with biases ("layer"), d without ("rms")
Around the layers: a row of d for each token, learned position and token type; another for each token where the unembedding is a matrix of
its own; a norm after the embeddings, one after each stack, a pooler; T5's position buckets, one number for each head and stack.

What it does not tell: mixtures of experts, latent attention, adapters. What is not known of a shape is left out, and whatever would follow
from it. Exact for the families that `tests/claims/test_arithmetic.py` builds and counts.
"""

from typing import Literal

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
    "parameters_reported": "all, as the publication says, to its precision",
}
QUANTITIES = (*TEXTS, *NUMBERS)


class Shape(BaseModel):
    """A transformer's shape. What is None is not known.

    Attributes:
        n_decoder_layers: of a decoder that reads an encoder's output; 0 without one.
        causal: of the only stack.
        d_head, n_key_value_heads: None for d_model / n_heads, and for n_heads.
        d_attention: where only the product of heads and their width is known.
        positions, token_types: rows of learned embeddings, beside those of tokens.
        buckets: T5's relative positions.
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
    d_vocab: int | None = Field(default=None, ge=1)
    positions: int = Field(default=0, ge=0)
    token_types: int = Field(default=0, ge=0)
    buckets: int = Field(default=0, ge=0)
    attention_bias: bool = True
    ffn_bias: bool = True
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
        >>> known = quantities(Shape(name="d = 512", d_model=512, d_ff=2048, n_layers=6, n_heads=8, gated=False))
        >>> known["layer_parameters"], known["stack_parameters"], "parameters" in known
        (3152384, 18914304, False)
    """
    known: dict[str, Quantity | None] = {name: getattr(shape, name) for name in QUANTITIES if name in Shape.model_fields}
    d, h = shape.d_model, shape.n_heads
    k = shape.d_head or (d // h if d and h and d % h == 0 and shape.d_attention in (None, d) else None)
    known |= {"d_head": k, "n_key_value_heads": shape.n_key_value_heads or h, **_stacks(shape)}
    known |= {"d_attention": shape.d_attention or (h * k if h and k else None)}
    known |= {"ffn_matrices": None if shape.gated is None else 3 if shape.gated else 2}
    if d and h and k:
        known |= _attention(shape, d, h, k)
    if d and shape.d_ff and shape.gated is not None:
        known |= _ffn(shape, d, shape.d_ff)
    if d and h and k and shape.d_ff and shape.gated is not None and shape.n_layers:
        known |= _counts(shape, d, h, known["layer_attention_parameters"], known["layer_ffn_parameters"])  # type: ignore[arg-type]
    return {name: value for name, value in known.items() if value is not None}


def _stacks(shape: Shape) -> dict[str, Quantity | None]:
    if shape.n_layers is None:
        return {}
    paired = shape.n_decoder_layers > 0
    return {
        "n_encoder_layers": shape.n_layers if paired or not shape.causal else 0,
        "n_decoder_layers": shape.n_decoder_layers if paired or not shape.causal else shape.n_layers,
        "n_cross_attentions": shape.n_decoder_layers,
    }


def _attention(shape: Shape, d: int, h: int, k: int) -> dict[str, Quantity | None]:
    groups = shape.n_key_value_heads or h
    qkv = d * h * k + 2 * d * groups * k
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
