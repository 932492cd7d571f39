"""Encoder-decoders: T5 and its like (pre-norm), and the original Transformer's shape (BART, Marian: post-norm; M2M100: pre-norm)."""

from dataclasses import replace

from interp.models.families.family import FFN, Attention, Blocks, Family, normed

_SELF = Attention(at="layer.0.SelfAttention", reads=("q", "k", "v"), out="o", norm_in="layer.0.layer_norm")
_CROSS = Attention(at="layer.1.EncDecAttention", reads=("q",), memory=("k", "v"), out="o", norm_in="layer.1.layer_norm")


def _t5(config) -> list[Blocks]:
    gated = getattr(config, "is_gated_act", False)
    ffn = FFN(at="", up="wi_1" if gated else "wi", gate="wi_0" if gated else "", out="wo", experts="experts")
    inside = "DenseReluDense" if config.model_type == "t5" else "mlp"
    second, third = (replace(ffn, at=f"layer.{n}.{inside}", norm_in=f"layer.{n}.layer_norm") for n in (1, 2))
    encoder = Blocks(
        stack="E", path="encoder.block.{layer}", sublayers=(_SELF, second), causal=False, ln_final="encoder.final_layer_norm",
        n_layers="num_layers", n_heads="num_heads",
    )  # fmt: skip
    decoder = replace(
        encoder, stack="D", path="decoder.block.{layer}", sublayers=(_SELF, _CROSS, third), causal=True,
        ln_final="decoder.final_layer_norm", n_layers="num_decoder_layers",
    )  # fmt: skip
    return [encoder, decoder]


# Relative positions have no end; 512 is the length that T5 was trained on.
T5 = Family(
    name="T5",
    stacks=_t5,
    positions=lambda config: getattr(config, "n_positions", 512),
    readout_scale=lambda config: config.d_model**-0.5 if config.scale_decoder_outputs else 1.0,
)
SWITCH = replace(T5, name="Switch", readout_scale=lambda config: config.d_model**-0.5 if config.tie_word_embeddings else 1.0)


def _bart(*, norms_before: bool) -> list[Blocks]:
    """Pre-norm models have a norm after the last block as well."""
    attn = Attention(at="self_attn", reads=("q_proj", "k_proj", "v_proj"), out="out_proj")
    cross = Attention(at="encoder_attn", reads=("q_proj",), memory=("k_proj", "v_proj"), out="out_proj")
    attn = normed(attn, "self_attn_layer_norm", before=norms_before)
    cross = normed(cross, "encoder_attn_layer_norm", before=norms_before)
    ffn = normed(FFN(at="", up="fc1", out="fc2"), "final_layer_norm", before=norms_before)
    encoder = Blocks(
        stack="E", path="model.encoder.layers.{layer}", sublayers=(attn, ffn), causal=False,
        ln_final="model.encoder.layer_norm" if norms_before else "", n_layers="encoder_layers", n_heads="encoder_attention_heads",
    )  # fmt: skip
    decoder = Blocks(
        stack="D", path="model.decoder.layers.{layer}", sublayers=(attn, cross, ffn), causal=True,
        ln_final="model.decoder.layer_norm" if norms_before else "", n_layers="decoder_layers", n_heads="decoder_attention_heads",
    )  # fmt: skip
    return [encoder, decoder]


BART = Family(name="BART", stacks=_bart(norms_before=False))
MARIAN = Family(name="Marian", stacks=_bart(norms_before=False), verified={"share_encoder_decoder_embeddings": (True,)})
M2M100 = Family(name="M2M100", stacks=_bart(norms_before=True))

ENCODER_DECODERS = {"t5": T5, "switch_transformers": SWITCH, "bart": BART, "marian": MARIAN, "m2m_100": M2M100}
