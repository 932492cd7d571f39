"""Decoders: the GPT line, OPT, Llama with its like, and our own, from which attention or FFN can be left out."""

from dataclasses import replace

from interp.models.families.family import FFN, Attention, Blocks, Family, normed

GPT2 = Family(
    name="GPT-2",
    stacks=[
        Blocks(
            path="transformer.h.{layer}",
            sublayers=(
                Attention(at="attn", reads=("c_attn",), out="c_proj", norm_in="ln_1"),
                FFN(at="mlp", up="c_fc", out="c_proj", norm_in="ln_2"),
            ),
            causal=True,
            ln_final="transformer.ln_f",
        )
    ],
    verified={"add_cross_attention": (False,), "reorder_and_upcast_attn": (False,)},
)

GPT_NEOX = Family(
    name="GPT-NeoX, Pythia",
    stacks=[
        Blocks(
            path="gpt_neox.layers.{layer}",
            sublayers=(
                Attention(at="attention", reads=("query_key_value",), out="dense", norm_in="input_layernorm"),
                FFN(at="mlp", up="dense_h_to_4h", out="dense_4h_to_h", norm_in="post_attention_layernorm"),
            ),
            causal=True,
            ln_final="gpt_neox.final_layer_norm",
        )
    ],
    parallel=lambda config: config.use_parallel_residual,
)


def _opt(config) -> list[Blocks]:
    """The 350M model has its norms after the sublayers, and no final one; all others before."""
    before = config.do_layer_norm_before
    attn = Attention(at="self_attn", reads=("q_proj", "k_proj", "v_proj"), out="out_proj")
    sublayers = (
        normed(attn, "self_attn_layer_norm", before=before),
        normed(FFN(at="", up="fc1", out="fc2"), "final_layer_norm", before=before),
    )
    final = before and not getattr(config, "_remove_final_layer_norm", False)
    ln_final = "model.decoder.final_layer_norm" if final else ""
    return [Blocks(path="model.decoder.layers.{layer}", sublayers=sublayers, causal=True, ln_final=ln_final)]


OPT = Family(name="OPT", stacks=_opt, verified={"layer_norm_elementwise_affine": (True,)})

LLAMA_ATTENTION = Attention(at="self_attn", reads=("q_proj", "k_proj", "v_proj"), out="o_proj", norm_in="input_layernorm")
LLAMA_FFN = FFN(at="mlp", up="up_proj", gate="gate_proj", out="down_proj", norm_in="post_attention_layernorm")
LLAMA_BLOCKS = Blocks(path="model.layers.{layer}", sublayers=(LLAMA_ATTENTION, LLAMA_FFN), causal=True, ln_final="model.norm")

LLAMA = Family(name="Llama", stacks=[LLAMA_BLOCKS])
MISTRAL = Family(name="Mistral", stacks=[LLAMA_BLOCKS])
QWEN2 = Family(name="Qwen2", stacks=[LLAMA_BLOCKS])
QWEN3 = Family(name="Qwen3", stacks=[LLAMA_BLOCKS])
PHI3 = Family(
    name="Phi-3",
    stacks=[
        replace(
            LLAMA_BLOCKS,
            sublayers=(replace(LLAMA_ATTENTION, reads=("qkv_proj",)), replace(LLAMA_FFN, up="gate_up_proj", gate="gate_up_proj")),
        )
    ],
)

SANDWICH = (
    replace(LLAMA_ATTENTION, norm_out="post_attention_layernorm"),
    replace(LLAMA_FFN, norm_in="pre_feedforward_layernorm", norm_out="post_feedforward_layernorm"),
)
GEMMA2 = Family(name="Gemma 2", stacks=[replace(LLAMA_BLOCKS, sublayers=SANDWICH)])
GEMMA3 = Family(name="Gemma 3", stacks=[replace(LLAMA_BLOCKS, sublayers=SANDWICH)], verified={"use_bidirectional_attention": (False, None)})

_OWN_PARTS: dict[str, Attention | FFN] = {
    "attn": Attention(at="attn", reads=("q", "k", "v"), out="o", norm_in="ln1"),
    "mlp": FFN(at="mlp", up="fc_in", out="fc_out", norm_in="ln2"),
}


def _own(config) -> list[Blocks]:
    """Our decoder (`models.transformer`) has whichever sublayers its config names."""
    sublayers = tuple(_OWN_PARTS[name] for name in config.sublayers)
    return [Blocks(path="model.blocks.{layer}", sublayers=sublayers, causal=True, ln_final="model.ln_final")]


OWN = Family(name="interp's own decoder", stacks=_own)

DECODERS = {
    "gpt2": GPT2,
    "gpt_neox": GPT_NEOX,
    "opt": OPT,
    "llama": LLAMA,
    "mistral": MISTRAL,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "phi3": PHI3,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "interp-decoder": OWN,
}
