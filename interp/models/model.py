"""A model that can be seen into: the plain transformers model, its tokenizer, its anatomy, and hooks that sleep.

`instrument` makes one out of a transformers object, on a copy that shares the parameters: the object handed over is not
changed.
"""

import copy
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import index
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interp.core.errors import CheckFailed, EmptyText, ModelError, ModelUnsupported, SiteError, TextError, TextTooLong
from interp.core.sites import Stack
from interp.core.stopping import go_on
from interp.models import activations, attention, hooks
from interp.models.anatomy import Anatomy, Sublayer
from interp.models.dissect import anatomy_of, weight_in_out
from interp.models.fingerprint import fingerprint


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A transformer under the instrument.

    Attributes:
        name: what it was loaded as.
        hf: the transformers model that runs, in evaluation mode.
        tokenizer: its fast tokenizer.
        anatomy: its parts.
        fingerprint: hash of its weights.
        disabled: feature -> reason, for what a self-check found wrong; `require` refuses these.
        stamp: how the weights stood when they were hashed; a run refuses them as anything else.
    """

    name: str
    hf: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    anatomy: Anatomy
    fingerprint: str
    disabled: Mapping[str, str] = field(default_factory=dict)
    stamp: tuple = field(default=(), repr=False)

    @property
    def device(self) -> torch.device:
        """Where the first parameter lies, and so where inputs go."""
        return next(self.hf.parameters()).device

    def at(self, path: str) -> torch.nn.Module:
        """A module by its path in the transformers model; the identity for "", a norm that the family does not have."""
        return self.hf.get_submodule(path) if path else torch.nn.Identity()

    def attention(self, layer: int, stack: Stack = "") -> Sublayer:
        """The attention of a layer; for stack "X" the cross-attention.

        Raises: SiteError in a model that has none.
        """
        found = self.anatomy.attention(layer, stack)
        if found is None:
            raise SiteError(f"{self.name} has no attention in layer {layer}")
        return found

    def W_O(self, layer: int, stack: Stack = "") -> torch.Tensor:
        """Each head's output weights. Axes: (head, d_head, d_model)."""
        a = self.anatomy.stack(stack)
        return weight_in_out(self.at(self.attention(layer, stack).out)).reshape(a.n_heads, a.d_head, -1)

    def b_O(self, layer: int, stack: Stack = "") -> torch.Tensor:
        """The bias that attention adds whatever its heads do; zeros where the family has none. Axes: (d_model,)."""
        return bias_of(self.at(self.attention(layer, stack).out))

    def W_out(self, layer: int, stack: Stack = "") -> torch.Tensor:
        """The FFN's output weights. Axes: (neuron, d_model).

        Raises: SiteError where there are none: no FFN, or experts (see `models.experts`).
        """
        found = self.anatomy.ffn(layer, stack)
        if found is None or not found.out:
            raise SiteError(f"{self.name} has no FFN in layer {layer} with one output matrix" + (": it has experts" if found else ""))
        return weight_in_out(self.at(found.out))

    def W_U(self) -> torch.Tensor:
        """The unembedding. Axes: (d_model, d_vocab)."""
        return weight_in_out(self.at(self.anatomy.unembed))

    def token_id(self, token: object) -> int:
        """An entry of the vocabulary, as a plain int; numpy's and torch's whole numbers are as good.

        Raises: TextError for what is no id of this model's.
        """
        try:
            found = index(token)  # type: ignore[arg-type]
        except TypeError:
            raise TextError(f"{token!r} came as a token; expected a word of one token, or a token id") from None
        if not 0 <= found < self.anatomy.d_vocab:
            raise TextError(f"token id {found} came; {self.name} has ids 0-{self.anatomy.d_vocab - 1}")
        return found

    def start_token(self) -> int:
        """The token with which the decoder of an encoder-decoder begins.

        Raises: ModelUnsupported when its configuration does not say.
        """
        for config in (self.hf.config, getattr(self.hf, "generation_config", None)):
            start = getattr(config, "decoder_start_token_id", None)
            if start is not None:
                return int(start)
        raise ModelUnsupported(
            f"{self.name}: its configuration names no decoder_start_token_id; expected the token that starts its decoder"
        )

    def require(self, feature: str) -> None:
        """Refuse what rests on a failed self-check. Raises: CheckFailed with the reason."""
        if feature in self.disabled:
            raise CheckFailed(f"{self.name}: {feature} is disabled, since {self.disabled[feature]}")

    @torch.no_grad()
    def run(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor | None = None,
        *,
        target: torch.Tensor | None = None,
        target_mask: torch.Tensor | None = None,
        logits: bool = True,
    ) -> torch.Tensor:
        """Run on token ids, right-padded where `mask` is 0.

        Args:
            ids: (batch, pos).
            mask: (batch, pos), 1 for a token, 0 for padding; None when there is none.
            target: for an encoder-decoder: the decoder's row, its start token first. (batch, pos).
            target_mask: the same for the decoder's row.
            logits: False leaves the unembedding out, where the family lets it.
        Returns: logits (batch, pos, d_vocab), or the last hidden state (batch, pos, d_model); those of the decoder's row where there is
            one.
        Raises: EmptyText, TextTooLong (rotary families would run on without a word), TextError for ids that are not in the vocabulary or
            have other axes, for a decoder's row that is missing or that nobody reads, or for a mask that pads on the left; ModelError when
            the weights were changed since the model was loaded; Stopped within work that was stopped (see `core.stopping`).
        """
        go_on()
        self._refuse_changed_weights()
        self._refuse(ids)
        _refuse_mask(ids, mask)
        body: torch.nn.Module = self.hf if logits and self.anatomy.lm_head else self.hf.base_model
        inputs = {"input_ids": ids, "attention_mask": mask, **self._second_row(target, target_mask)}
        extra: dict[str, Any] = {"use_cache": False} if self.anatomy.causal else {}
        out = body(**{name: row.to(self.device) for name, row in inputs.items() if row is not None}, **extra)
        return out.logits if hasattr(out, "logits") else out.last_hidden_state

    def _second_row(self, target: torch.Tensor | None, mask: torch.Tensor | None) -> dict[str, torch.Tensor | None]:
        if not self.anatomy.encoder_decoder:
            if target is not None or mask is not None:
                raise TextError(f"a second text came; {self.name} has one stack and reads one text")
            return {}
        if target is None:
            raise TextError(f"{self.name} is an encoder-decoder: expected a second text for its decoder (target=...)")
        self._refuse(target)
        _refuse_mask(target, mask)
        return {"decoder_input_ids": target, "decoder_attention_mask": mask}

    def _refuse_changed_weights(self) -> None:
        """The fingerprint and the self-check are of the weights as they were. Not seen: a change through `weight.data`."""
        if stamp_of(self.hf) != self.stamp:
            raise ModelError(
                f"{self.name}: its weights were changed since it was loaded, so its fingerprint and self-check are another model's; "
                "expected them as they were: change a transformers model first, then interp.load(model, tokenizer)"
            )

    def _refuse(self, ids: torch.Tensor) -> None:
        if ids.ndim != 2 or ids.is_floating_point():
            raise TextError(f"token ids {ids.dtype}{list(ids.shape)} came; expected whole numbers with axes (batch, pos)")
        if ids.numel() == 0:
            raise EmptyText("no token came; expected at least one in each text")
        if ids.shape[1] > self.anatomy.n_ctx:
            raise TextTooLong(f"{ids.shape[1]} tokens came, the context of {self.name} holds {self.anatomy.n_ctx}: shorten the text")
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= self.anatomy.d_vocab:
            wrong = low if low < 0 else high
            raise TextError(f"token id {wrong} came; {self.name} has ids 0-{self.anatomy.d_vocab - 1}: is this the model's own tokenizer?")


def stamp_of(hf: PreTrainedModel) -> tuple:
    """Which tensors the weights and saved buffers are, of which type, and how often each was written into."""
    weights = hf.state_dict(keep_vars=True).values()
    return tuple((id(weight), weight.dtype, -1 if weight.is_inference() else weight._version) for weight in weights)


def _refuse_mask(ids: torch.Tensor, mask: torch.Tensor | None) -> None:
    """Padding on the left would move positions in some families, and logits with them, without a word."""
    if mask is None:
        return
    if mask.shape != ids.shape or bool((mask[:, 1:] > mask[:, :-1]).any()):
        raise TextError(f"a mask {list(mask.shape)} came; expected one of {list(ids.shape)}, with padding on the right only")


def bias_of(projection: torch.nn.Module) -> torch.Tensor:
    """A projection's bias; zeros where it has none. Axes: (d_model,)."""
    bias = getattr(projection, "bias", None)
    weight = weight_in_out(projection)
    return weight.new_zeros(weight.shape[1]) if bias is None else bias


# transformers builds models under settings of the whole process (default type, meta device, initialisation): two threads that build
# at once get models without data. Whoever builds one holds this.
BUILDING = threading.RLock()


def instrument(hf: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, name: str, lm_head: bool) -> Model:
    """Put a transformers model under the instrument, on a copy that shares its parameters.

    Raises: ModelUnsupported for a family that nobody verified.
    """
    anatomy = anatomy_of(hf, lm_head=lm_head)
    own = plain_copy(hf)
    attention.register()
    own.set_attn_implementation(attention.NAME)
    activations.attach(own)
    hooks.attach(own, anatomy)
    return Model(name=name, hf=own, tokenizer=tokenizer, anatomy=anatomy, fingerprint=fingerprint(own), stamp=stamp_of(own))


def plain_copy(hf: PreTrainedModel, *, share: bool = True) -> PreTrainedModel:
    """The model once more, in evaluation mode, without our hooks and with its own activations; a user's own hooks stay.

    Args: share: True: the copy has the same parameters and takes no memory of its own; False: it may be written into.
    """
    tensors = [*hf.parameters(), *hf.buffers()] if share else []
    own = copy.deepcopy(hf, memo={id(tensor): tensor for tensor in tensors}).eval()
    hooks.detach(own)
    activations.detach(own)
    return own
