"""The architectures of the bundled models: one function each, from a recipe to an untrained transformers model.

All have tied embeddings, no dropout and no key-value cache while they train. Attention is spelt out: with heads of 16, torch's
fused one spends two thirds of a step on a CPU in its own backward pass, and a compiled step takes 78 ms spelt out against 201 ms.

Learned positions are born as sinusoids and trained like all other weights. The idea: on sinusoids "the position before" is one rotation
for all positions, where on random vectors it has to be learned for each position apart. Not shown yet: no run differed in this alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MarianConfig,
    MarianMTModel,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
)

from interp.lab.recipes import Recipe
from interp.models.transformer import DecoderConfig, DecoderForCausalLM

N_EXPERTS, N_ACTIVE = 4, 2
ROUTER_BALANCE = 0.02
FASTEST, SLOWEST = 1.5, 1 / 43  # radians per position: 4 positions a turn and the whole context of 256 in one


@dataclass(frozen=True, kw_only=True)
class Shape:
    """An architecture.

    Attributes:
        words: what a card calls it.
        make: the untrained model of a recipe.
        positions: where its learned positions are, or None.
        predicts: the "next" token, a "masked" one, or the next one of a "translation".
    """

    words: str
    make: Callable[[Recipe], PreTrainedModel]
    positions: str | None = None
    predicts: Literal["next", "masked", "translation"] = "next"


def build(recipe: Recipe) -> PreTrainedModel:
    """The untrained model of a recipe: its weights depend on the recipe's seed alone."""
    shape = SHAPES[recipe.shape]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = shape.make(recipe)
    model.set_attn_implementation("eager")
    if shape.positions is not None:
        weight = model.get_submodule(shape.positions).weight
        assert isinstance(weight, torch.nn.Parameter)
        weight.data.copy_(recipe.position_range * sinusoids(*weight.shape))
    return model


def sinusoids(n_ctx: int, d_model: int) -> torch.Tensor:
    """Sines, then cosines, of frequencies in geometric steps. Axes: (pos, d_model)."""
    steps = torch.arange(d_model // 2) / (d_model // 2)
    angles = torch.arange(n_ctx)[:, None] * FASTEST * torch.exp(steps * math.log(SLOWEST / FASTEST))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _gpt2(recipe: Recipe) -> PreTrainedModel:
    config = GPT2Config(
        vocab_size=recipe.d_vocab,
        n_positions=recipe.n_ctx,
        n_embd=recipe.d_model,
        n_layer=recipe.n_layers,
        n_head=recipe.n_heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        initializer_range=recipe.init_range,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config)


def _attention_only(recipe: Recipe) -> PreTrainedModel:
    return DecoderForCausalLM(DecoderConfig(sublayers=["attn"], **_llama_names(recipe)))


def _llama(recipe: Recipe) -> PreTrainedModel:
    return LlamaForCausalLM(
        LlamaConfig(intermediate_size=_gated_neurons(recipe), num_key_value_heads=recipe.n_heads // 2, **_llama_names(recipe))
    )


def _mixtral(recipe: Recipe) -> PreTrainedModel:
    config = MixtralConfig(
        intermediate_size=_gated_neurons(recipe) // N_ACTIVE,
        num_key_value_heads=recipe.n_heads // 2,
        num_local_experts=N_EXPERTS,
        num_experts_per_tok=N_ACTIVE,
        router_aux_loss_coef=ROUTER_BALANCE,
        sliding_window=None,
        **_llama_names(recipe),
    )
    return MixtralForCausalLM(config)


def _bert(recipe: Recipe) -> PreTrainedModel:
    config = BertConfig(
        vocab_size=recipe.d_vocab + 1,  # and the mask
        hidden_size=recipe.d_model,
        num_hidden_layers=recipe.n_layers,
        num_attention_heads=recipe.n_heads,
        intermediate_size=4 * recipe.d_model,
        max_position_embeddings=recipe.n_ctx,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=recipe.init_range,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    return BertForMaskedLM(config)


def _marian(recipe: Recipe) -> PreTrainedModel:
    config = MarianConfig(
        vocab_size=recipe.d_vocab,
        d_model=recipe.d_model,
        encoder_layers=recipe.n_layers,
        decoder_layers=recipe.n_layers,
        encoder_attention_heads=recipe.n_heads,
        decoder_attention_heads=recipe.n_heads,
        encoder_ffn_dim=4 * recipe.d_model,
        decoder_ffn_dim=4 * recipe.d_model,
        activation_function="relu",
        max_position_embeddings=recipe.n_ctx,
        scale_embedding=True,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        init_std=recipe.init_range,
        pad_token_id=0,
        decoder_start_token_id=0,
        eos_token_id=1,
        forced_eos_token_id=None,
    )
    return MarianMTModel(config)


def _llama_names(recipe: Recipe) -> dict:
    return {
        "vocab_size": recipe.d_vocab,
        "hidden_size": recipe.d_model,
        "num_hidden_layers": recipe.n_layers,
        "num_attention_heads": recipe.n_heads,
        "max_position_embeddings": recipe.n_ctx,
        "initializer_range": recipe.init_range,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }


def _gated_neurons(recipe: Recipe) -> int:
    """As many parameters in three matrices as GPT-2's FFN has in two, in steps of 8 neurons."""
    return round(8 * recipe.d_model / 3 / 16) * 16


SHAPES = {
    "gpt2": Shape(words="decoder of GPT-2's architecture", make=_gpt2, positions="transformer.wpe"),
    "attention-only": Shape(words="decoder of GPT-2's architecture without FFN", make=_attention_only, positions="model.embed_positions"),
    "llama": Shape(words="decoder of Llama's architecture (RMSNorm, rotary, SwiGLU, grouped keys and values)", make=_llama),
    "mixtral": Shape(words=f"decoder of Mixtral's architecture ({N_EXPERTS} experts, {N_ACTIVE} active)", make=_mixtral),
    "bert": Shape(
        words="encoder of BERT's architecture (post-norm, GELU, masked tokens)",
        make=_bert,
        positions="bert.embeddings.position_embeddings",
        predicts="masked",
    ),
    "marian": Shape(
        words="encoder-decoder of the original Transformer's architecture (Marian's, post-norm, ReLU, fixed sinusoids)",
        make=_marian,
        predicts="translation",
    ),
}
