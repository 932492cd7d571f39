"""Mixtures of experts: Llama's block, with a router and experts in the place of the FFN. DeepSeek's first layers are dense."""

from dataclasses import replace

from interp.models.families.decoders import LLAMA_ATTENTION, LLAMA_BLOCKS, LLAMA_FFN
from interp.models.families.family import Blocks, Family

FFN_OF_EXPERTS = replace(LLAMA_FFN, experts="experts")


def _mixture(name: str) -> Family:
    return Family(name=name, stacks=[replace(LLAMA_BLOCKS, sublayers=(LLAMA_ATTENTION, FFN_OF_EXPERTS))])


def _latent(config) -> list[Blocks]:
    """Latent attention: queries, and keys with values, come out of two small projections; W_O's heads are as wide as the values."""
    queries = "q_proj" if config.q_lora_rank is None else "q_a_proj"
    attention = replace(LLAMA_ATTENTION, reads=(queries, "kv_a_proj_with_mqa"))
    return [replace(LLAMA_BLOCKS, sublayers=(attention, FFN_OF_EXPERTS))]


MIXTURES = {
    "mixtral": _mixture("Mixtral"),
    "qwen2_moe": _mixture("Qwen2-MoE"),
    "qwen3_moe": _mixture("Qwen3-MoE"),
    "olmoe": _mixture("OLMoE"),
    "gpt_oss": _mixture("GPT-OSS"),
    "deepseek_v2": Family(name="DeepSeek-V2", stacks=_latent),
    "deepseek_v3": Family(name="DeepSeek-V3", stacks=_latent, verified={"scoring_func": ("sigmoid",), "topk_method": ("noaux_tc",)}),
}
