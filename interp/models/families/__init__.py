"""Every family that was verified, by transformers' model type; and those that are refused, with the reason."""

from collections.abc import Mapping

from interp.models.families.decoders import DECODERS
from interp.models.families.encoder_decoders import ENCODER_DECODERS
from interp.models.families.encoders import ENCODERS
from interp.models.families.family import Family
from interp.models.families.mixtures import MIXTURES

FAMILIES: Mapping[str, Family] = {**DECODERS, **ENCODERS, **ENCODER_DECODERS, **MIXTURES}

_OWN_ATTENTION = "its attention does not go through transformers' attention interface, so it cannot be seen or edited exactly"
_LINEAR = "it has layers of linear attention or of a state space, which have no attention pattern"
_WITHOUT_PATTERNS = (
    "bamba falcon_h1 falcon_mamba granitemoehybrid jamba kimi_linear lfm2 lfm2_moe mamba mamba2 minimax nemotron_h qwen3_next "
    "recurrent_gemma rwkv xlstm zamba zamba2"
)
REFUSED: Mapping[str, str] = {"gpt_neo": _OWN_ATTENTION, **dict.fromkeys(_WITHOUT_PATTERNS.split(), _LINEAR)}

__all__ = ["FAMILIES", "REFUSED", "Family"]
