"""One table of tiny models with random weights, one of each family and of each of its forms; every floor runs over it.

Vocabulary of 31, 2 layers, 4 heads, d_model 16. All parameters and buffers that training would set are drawn, biases and norms too: what a
fresh model leaves at 0 or 1 would hide a part that is forgotten.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from interp.models.transformer import DecoderConfig, DecoderForCausalLM

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SENTENCE = "the old man saw a dog by sea and she said nothing but it was cold then they went home again with their small red boat"
VOCABULARY = [*SPECIAL, *dict.fromkeys(SENTENCE.split())]
D_VOCAB = 31
VOCABULARY += [f"w{number}" for number in range(D_VOCAB - len(VOCABULARY))]

IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
SIZES = {"vocab_size": D_VOCAB, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24, **IDS}
ROTARY = {**SIZES, "max_position_embeddings": 40, "num_key_value_heads": 2}
ENCODER = {**SIZES, "max_position_embeddings": 40, "type_vocab_size": 1}
GPT2 = {"vocab_size": D_VOCAB, "n_positions": 40, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_inner": 24, **IDS}
OPT = {"vocab_size": D_VOCAB, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 24, **IDS}
OPT |= {"max_position_embeddings": 40, "word_embed_proj_dim": 16}
T5 = {"vocab_size": D_VOCAB, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4, "relative_attention_num_buckets": 8}
T5 |= {"relative_attention_max_distance": 16, "decoder_start_token_id": 0, "n_positions": 40, **IDS}
BART = {"vocab_size": D_VOCAB, "d_model": 16, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4, **IDS}
BART |= {"decoder_attention_heads": 4, "encoder_ffn_dim": 24, "decoder_ffn_dim": 20, "max_position_embeddings": 40}
BART |= {"decoder_start_token_id": 2, "forced_eos_token_id": 2}
MIXED = {**ROTARY, "num_experts_per_tok": 2}
SMALL_EXPERTS = {**MIXED, "num_experts": 4, "moe_intermediate_size": 16}
LATENT = {**SIZES, "max_position_embeddings": 40, "num_key_value_heads": 4, "kv_lora_rank": 8, "q_lora_rank": 8, "qk_nope_head_dim": 4}
LATENT |= {"qk_rope_head_dim": 4, "v_head_dim": 6, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1}
LATENT |= {"moe_intermediate_size": 16, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1}


@dataclass(frozen=True, kw_only=True)
class Form:
    """A family in one of its forms.

    `encoder`: looks both ways, its tokenizer frames a text with <s> and </s>. `paired`: an encoder-decoder. `readout`: logits are a
    norm and a matrix away from the stream.
    """

    build: Callable[[], hf.PreTrainedModel] = field(repr=False)
    encoder: bool = False
    headless: bool = False
    paired: bool = False
    readout: bool = True
    n_ctx: int = 40


def _of(model: str, config: str, sizes: dict, **about) -> Form:
    """`about`: what `Form` knows, and options of the config."""
    known = {name: about.pop(name) for name in list(about) if name in Form.__dataclass_fields__}
    return Form(build=lambda: getattr(hf, model)(getattr(hf, config)(**{**sizes, **about})), **known)


def _own(*sublayers: str) -> Form:
    config = DecoderConfig(**SIZES, max_position_embeddings=40, sublayers=list(sublayers))
    return Form(build=lambda: DecoderForCausalLM(config))


BASE = {  # the forms over which every test of one text runs
    "gpt2": _of("GPT2LMHeadModel", "GPT2Config", GPT2),
    "gpt2-bare": _of("GPT2Model", "GPT2Config", GPT2, headless=True),
    "neox": _of("GPTNeoXForCausalLM", "GPTNeoXConfig", SIZES, max_position_embeddings=40),
    "neox-serial": _of("GPTNeoXForCausalLM", "GPTNeoXConfig", SIZES, max_position_embeddings=40, use_parallel_residual=False),
    "llama": _of("LlamaForCausalLM", "LlamaConfig", ROTARY),
    "llama-wide-heads": _of("LlamaForCausalLM", "LlamaConfig", ROTARY, head_dim=6),
    "mistral": _of("MistralForCausalLM", "MistralConfig", ROTARY, sliding_window=None),
    "mistral-window": _of("MistralForCausalLM", "MistralConfig", ROTARY, sliding_window=4),
    "qwen2": _of("Qwen2ForCausalLM", "Qwen2Config", ROTARY),
    "bert": _of("BertForMaskedLM", "BertConfig", ENCODER, encoder=True, readout=False),
    "bert-bare": _of("BertModel", "BertConfig", ENCODER, encoder=True, headless=True),
    "roberta": _of("RobertaForMaskedLM", "RobertaConfig", ENCODER, encoder=True, readout=False, n_ctx=38),
}
MORE = {
    "opt": _of("OPTForCausalLM", "OPTConfig", OPT),
    "opt-post-norm": _of("OPTForCausalLM", "OPTConfig", OPT, do_layer_norm_before=False),
    "opt-projected": _of("OPTForCausalLM", "OPTConfig", OPT, do_layer_norm_before=False, word_embed_proj_dim=8, readout=False),
    "qwen3": _of("Qwen3ForCausalLM", "Qwen3Config", ROTARY, head_dim=4),
    "gemma2": _of("Gemma2ForCausalLM", "Gemma2Config", ROTARY, head_dim=4, sliding_window=4, readout=False),
    "gemma2-uncapped": _of("Gemma2ForCausalLM", "Gemma2Config", ROTARY, head_dim=4, final_logit_softcapping=None),
    "gemma3": _of("Gemma3ForCausalLM", "Gemma3TextConfig", ROTARY, head_dim=4, sliding_window=4),
    "phi3": _of("Phi3ForCausalLM", "Phi3Config", ROTARY),
    "distilbert": _of(
        "DistilBertForMaskedLM", "DistilBertConfig",
        {"vocab_size": D_VOCAB, "dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 24, "max_position_embeddings": 40, **IDS},
        encoder=True, readout=False,
    ),
    "electra": _of("ElectraForMaskedLM", "ElectraConfig", ENCODER, embedding_size=8, encoder=True, readout=False),
    "t5": _of("T5ForConditionalGeneration", "T5Config", T5, paired=True),
    "t5-gated": _of(
        "T5ForConditionalGeneration", "T5Config", T5, paired=True,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_decoder_layers=3,
    ),
    "t5-bare": _of("T5Model", "T5Config", T5, paired=True, headless=True),
    "switch": _of(
        "SwitchTransformersForConditionalGeneration", "SwitchTransformersConfig", T5, paired=True,
        num_experts=4, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1, num_decoder_layers=2, expert_capacity=64,
    ),
    "bart": _of("BartForConditionalGeneration", "BartConfig", BART, paired=True),
    "bart-bare": _of("BartModel", "BartConfig", BART, paired=True, headless=True),
    "marian": _of("MarianMTModel", "MarianConfig", BART, paired=True, activation_function="relu"),
    "m2m100": _of("M2M100ForConditionalGeneration", "M2M100Config", BART, paired=True),
    "mixtral": _of("MixtralForCausalLM", "MixtralConfig", MIXED, num_local_experts=4),
    "qwen2-moe": _of("Qwen2MoeForCausalLM", "Qwen2MoeConfig", SMALL_EXPERTS, shared_expert_intermediate_size=20),
    "qwen3-moe": _of("Qwen3MoeForCausalLM", "Qwen3MoeConfig", SMALL_EXPERTS, head_dim=4),
    "olmoe": _of("OlmoeForCausalLM", "OlmoeConfig", SMALL_EXPERTS),
    "gpt-oss": _of("GptOssForCausalLM", "GptOssConfig", MIXED, head_dim=4, num_local_experts=4, sliding_window=4),
    "deepseek-v2": _of("DeepseekV2ForCausalLM", "DeepseekV2Config", LATENT, topk_method="greedy"),
    "deepseek-v3": _of("DeepseekV3ForCausalLM", "DeepseekV3Config", LATENT),
    "own": _own("attn", "mlp"),
    "attention-only": _own("attn"),
    "ffn-only": _own("mlp"),
}  # fmt: skip
FORMS = {**BASE, **MORE}
DECODERS = [name for name, form in BASE.items() if not form.encoder and not form.headless]


def drawn(name: str, seed: int = 0) -> hf.PreTrainedModel:
    """The family's model with every parameter drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FORMS[name].build()
        trained_buffers = [(key, buffer) for key, buffer in model.named_buffers() if key.endswith(("score_correction_bias", "logits_bias"))]
        drawn_anew = [(key, parameter) for key, parameter in model.named_parameters() if parameter.requires_grad]
        for key, parameter in [*drawn_anew, *trained_buffers]:
            norm = parameter.ndim == 1 and key.endswith("weight")
            torch.nn.init.normal_(parameter, mean=1.0 if norm else 0.0, std=0.2 if parameter.ndim == 1 else 0.4)
    return model.eval()


def words(*, encoder: bool = False) -> hf.PreTrainedTokenizerFast:
    """A fast tokenizer, one token a word; an encoder's frames a text with <s> and </s>."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if encoder:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
