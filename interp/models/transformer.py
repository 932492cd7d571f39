"""A small decoder of our own, of GPT-2's shape, in which each block may have attention, an FFN, or both.

Two things need it. Claims on what a sublayer can do need decoders without the other one, and GPT-2 cannot be built without an FFN. Models
whose circuits are known (`constructed`) are written weight by weight, and need norms that do nothing. Given all sublayers and GPT-2's
weights it computes what GPT-2 computes.

It is an ordinary transformers model: attention goes through the `AttentionInterface`, folders are written by `save_pretrained` and read
by the auto classes once `register` was called. Learned absolute positions, norms before the sublayers, biases on all projections.

    model.embed_tokens, model.embed_positions
    model.blocks.{l}    ln1, attn.{q, k, v, o}    where the block has attention
                        ln2, mlp.{fc_in, fc_out}  where the block has an FFN
    model.ln_final, lm_head

It keeps no key-value cache. Axes: hidden states (batch, pos, d_model); q, k, v (batch, head, pos, d_head).
"""

from typing import Any, no_type_check

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationMixin, PretrainedConfig, PreTrainedModel, initialization
from transformers.activations import ACT2FN
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from interp.core.errors import ModelUnsupported

MODEL_TYPE = "interp-decoder"
OPTIONS: dict[str, list[Any]] = {
    "sublayers": [["attn", "mlp"], ["attn"], ["mlp"]],
    "norm": ["layer", "none"],
    "hidden_act": ["gelu_new", "relu"],
}


@no_type_check  # beartype's wrapper would refuse what PretrainedConfig takes besides its fields
class DecoderConfig(PretrainedConfig):
    """The shape of a decoder; the names of attributes are those of Llama's configuration.

    Attributes:
        sublayers: what each block has, in this order: ["attn", "mlp"], ["attn"] or ["mlp"].
        norm: "layer" for LayerNorm, "none" for no norms at all.
        head_dim: size of a head; None for hidden_size / num_attention_heads.
        intermediate_size: neurons of a layer; None for 4 x hidden_size.
    Raises: ModelUnsupported for an option that is none of these, or heads that do not divide the stream.

    Example:
        >>> DecoderConfig(hidden_size=32, num_attention_heads=4, sublayers=["attn"]).head_dim
        8
    """

    model_type = MODEL_TYPE

    vocab_size: int = 64
    hidden_size: int = 64
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    head_dim: int | None = None
    intermediate_size: int | None = None
    max_position_embeddings: int = 64
    sublayers: list[str] | tuple[str, ...] = ("attn", "mlp")
    norm: str = "layer"
    hidden_act: str = "gelu_new"
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    bos_token_id: int | None = None
    pad_token_id: int | None = None
    eos_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        self.sublayers = list(self.sublayers)
        for name, known in OPTIONS.items():
            if getattr(self, name) not in known:
                raise ModelUnsupported(f"{MODEL_TYPE}: {name}={getattr(self, name)!r} came; expected one of {known}")
        if self.head_dim is None and self.hidden_size % self.num_attention_heads:
            raise ModelUnsupported(
                f"{MODEL_TYPE}: {self.num_attention_heads} heads do not divide hidden_size={self.hidden_size}; expected head_dim as well"
            )
        self.head_dim = self.hidden_size // self.num_attention_heads if self.head_dim is None else self.head_dim
        self.intermediate_size = 4 * self.hidden_size if self.intermediate_size is None else self.intermediate_size
        super().__post_init__(**kwargs)


def eager_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **extras: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention spelt out: the output (batch, pos, head, d_head) and the pattern (batch, head, query_pos, key_pos)."""
    scores = query @ key.transpose(-1, -2) * scaling
    scores = scores if attention_mask is None else scores + attention_mask
    pattern = nn.functional.dropout(torch.softmax(scores, dim=-1), p=dropout, training=module.training)
    return (pattern @ value).transpose(1, 2), pattern


class Write(nn.Linear):
    """A projection whose output is added to the stream: an ordinary one, but for the weights that it is born with."""


class DecoderAttention(nn.Module):
    """Causal attention with as many keys and values as queries."""

    def __init__(self, config: DecoderConfig, layer_idx: int):
        super().__init__()
        assert config.head_dim is not None  # the configuration filled it in
        self.config, self.layer_idx = config, layer_idx
        self.head_dim, self.scaling, self.is_causal = config.head_dim, config.head_dim**-0.5, True
        width = config.num_attention_heads * config.head_dim
        self.q, self.k, self.v = (nn.Linear(config.hidden_size, width) for _ in range(3))
        self.o = Write(width, config.hidden_size)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **extras: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        heads = (-1, self.head_dim)
        query, key, value = (project(hidden_states).unflatten(-1, heads).transpose(1, 2) for project in (self.q, self.k, self.v))
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention)
        z, pattern = attend(self, query, key, value, attention_mask, scaling=self.scaling, dropout=0.0, **extras)
        return self.o(z.flatten(2)), pattern


class DecoderMLP(nn.Module):
    """The FFN: its neurons are the input of `fc_out`."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        assert config.intermediate_size is not None  # the configuration filled it in
        self.fc_in = nn.Linear(config.hidden_size, config.intermediate_size)
        self.act = ACT2FN[config.hidden_act]
        self.fc_out = Write(config.intermediate_size, config.hidden_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.fc_out(self.act(self.fc_in(hidden_states)))


class DecoderBlock(nn.Module):
    """The sublayers of one layer, each adding to the stream what it makes of the stream's norm."""

    def __init__(self, config: DecoderConfig, layer_idx: int):
        super().__init__()
        self.sublayers = config.sublayers
        if "attn" in self.sublayers:
            self.ln1, self.attn = _norm(config), DecoderAttention(config, layer_idx)
        if "mlp" in self.sublayers:
            self.ln2, self.mlp = _norm(config), DecoderMLP(config)

    def forward(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **extras: Any) -> torch.Tensor:
        if "attn" in self.sublayers:
            hidden_states = hidden_states + self.attn(self.ln1(hidden_states), attention_mask=attention_mask, **extras)[0]
        if "mlp" in self.sublayers:
            hidden_states = hidden_states + self.mlp(self.ln2(hidden_states))
        return hidden_states


def _norm(config: DecoderConfig) -> nn.Module:
    return nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon) if config.norm == "layer" else nn.Identity()


class DecoderPreTrainedModel(PreTrainedModel):
    """What transformers wants to know of both classes below."""

    config: DecoderConfig
    config_class = DecoderConfig
    base_model_prefix = "model"
    _no_split_modules = ["DecoderBlock"]  # noqa: RUF012  transformers' own way
    _supports_sdpa = True
    _supports_attention_backend = True
    _can_record_outputs = {"hidden_states": DecoderBlock, "attentions": DecoderAttention}  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As GPT-2 draws them: what adds to the stream is drawn narrower, by the square root of how many there are."""
        super()._init_weights(module)
        if isinstance(module, Write):
            n_writes = len(self.config.sublayers) * self.config.num_hidden_layers
            initialization.normal_(module.weight, mean=0.0, std=self.config.initializer_range / n_writes**0.5)


class DecoderModel(DecoderPreTrainedModel):
    """The decoder without its unembedding."""

    def __init__(self, config: DecoderConfig):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embed_positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.blocks = nn.ModuleList([DecoderBlock(config, layer_idx=layer) for layer in range(config.num_hidden_layers)])
        self.ln_final = _norm(config)
        self.post_init()

    @capture_outputs
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        **extras: Any,
    ) -> BaseModelOutput:
        """Right-padded rows need `attention_mask`, left-padded ones `position_ids` as well (as GPT-2's)."""
        _refuse_cache(use_cache, past_key_values)
        stream = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        if position_ids is None:
            position_ids = torch.arange(stream.shape[1], device=stream.device).unsqueeze(0)
        mask = create_causal_mask(self.config, stream, attention_mask, past_key_values=None, position_ids=position_ids)
        stream = stream + self.embed_positions(position_ids)
        for block in self.blocks:
            stream = block(stream, attention_mask=mask, **extras)
        return BaseModelOutput(last_hidden_state=self.ln_final(stream))


def _refuse_cache(use_cache: bool | None, past_key_values: Any) -> None:
    if use_cache or past_key_values is not None:
        raise ModelUnsupported(f"{MODEL_TYPE} keeps no key-value cache; expected use_cache=False and no past_key_values")


class DecoderForCausalLM(DecoderPreTrainedModel, GenerationMixin):
    """The decoder with its unembedding, tied to the embedding unless the configuration says otherwise.

    Example:
        >>> config = DecoderConfig(vocab_size=11, hidden_size=8, num_attention_heads=2, sublayers=["attn"])
        >>> DecoderForCausalLM(config)(input_ids=torch.tensor([[1, 2, 3]])).logits.shape
        torch.Size([1, 3, 11])
    """

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: DecoderConfig):
        super().__init__(config)
        self.model = DecoderModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()
        if self.generation_config is not None:
            self.generation_config.use_cache = False

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        logits_to_keep: int = 0,
        **extras: Any,
    ) -> CausalLMOutput:
        """`labels` are shifted inside; -100 is left out of the loss, which is in nats per token."""
        out = self.model(input_ids=input_ids, attention_mask=attention_mask, **extras)
        logits = self.lm_head(out.last_hidden_state[:, -logits_to_keep:])
        loss = None if labels is None else self.loss_function(logits, labels, vocab_size=self.config.vocab_size)
        return CausalLMOutput(loss=loss, logits=logits, hidden_states=out.hidden_states, attentions=out.attentions)


def register() -> None:
    """Make the family known to transformers' auto classes, so that its folders load. Called when a model is loaded, never at import."""
    AutoConfig.register(MODEL_TYPE, DecoderConfig, exist_ok=True)
    AutoModel.register(DecoderConfig, DecoderModel, exist_ok=True)
    AutoModelForCausalLM.register(DecoderConfig, DecoderForCausalLM, exist_ok=True)
