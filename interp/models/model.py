"""A model that can be seen into: the plain transformers model, its tokenizer, its anatomy, and hooks that sleep.

`instrument` makes one out of a transformers object, on a copy that shares the parameters: the object handed over is not
changed. Hooks stand on the mapped modules for good; without a watcher (see `points`) they do nothing.
"""

import copy
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interp.core.errors import CheckFailed, EmptyText, TextError, TextTooLong
from interp.models import attention
from interp.models.anatomy import Anatomy, anatomy_of, weight_in_out
from interp.models.points import Kind, Point, emit


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
    """

    name: str
    hf: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    anatomy: Anatomy
    fingerprint: str
    disabled: Mapping[str, str] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the first parameter lies, and so where inputs go."""
        return next(self.hf.parameters()).device

    def module(self, part: str, layer: int | None = None) -> torch.nn.Module:
        """The module of a part of the anatomy: "attn_out", "mlp_out", "ln1", "ln_final", "unembed"..."""
        return self.hf.get_submodule(self.anatomy.paths[part][0].format(layer=layer))

    def W_O(self, layer: int) -> torch.Tensor:
        """Each head's output weights. Axes: (head, d_head, d_model)."""
        a = self.anatomy
        return weight_in_out(self.module("attn_out", layer)).reshape(a.n_heads, a.d_head, a.d_model)

    def b_O(self, layer: int) -> torch.Tensor:
        """The bias that attention adds whatever its heads do; zeros where the family has none. Axes: (d_model,)."""
        bias = self.module("attn_out", layer).bias
        return torch.zeros(self.anatomy.d_model, device=self.device) if bias is None else bias  # type: ignore[return-value]

    def W_U(self) -> torch.Tensor:
        """The unembedding. Axes: (d_model, d_vocab)."""
        return weight_in_out(self.module("unembed"))

    def require(self, feature: str) -> None:
        """Refuse what rests on a failed self-check. Raises: CheckFailed with the reason."""
        if feature in self.disabled:
            raise CheckFailed(f"{self.name}: {feature} is disabled, since {self.disabled[feature]}")

    @torch.no_grad()
    def run(self, ids: torch.Tensor, mask: torch.Tensor | None = None, *, logits: bool = True) -> torch.Tensor:
        """Run on token ids, right-padded where `mask` is 0.

        Args:
            ids: (batch, pos).
            mask: (batch, pos), 1 for a token, 0 for padding; None when there is none.
            logits: False leaves the unembedding out.
        Returns: logits (batch, pos, d_vocab), or the last hidden state (batch, pos, d_model).
        Raises: EmptyText, TextTooLong (rotary families would run on without a word), TextError for ids that are not in the vocabulary.
        """
        self._refuse(ids)
        body: torch.nn.Module = self.hf if logits and self.anatomy.lm_head else self.hf.base_model
        extra: dict[str, Any] = {"use_cache": False} if self.anatomy.causal else {}
        out = body(input_ids=ids.to(self.device), attention_mask=None if mask is None else mask.to(self.device), **extra)
        return out.logits if hasattr(out, "logits") else out.last_hidden_state

    def _refuse(self, ids: torch.Tensor) -> None:
        if ids.numel() == 0:
            raise EmptyText("no token came; expected at least one in each text")
        if ids.shape[1] > self.anatomy.n_ctx:
            raise TextTooLong(f"{ids.shape[1]} tokens came, the context of {self.name} holds {self.anatomy.n_ctx}: shorten the text")
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= self.anatomy.d_vocab:
            wrong = low if low < 0 else high
            raise TextError(f"token id {wrong} came; {self.name} has ids 0-{self.anatomy.d_vocab - 1}: is this the model's own tokenizer?")


# transformers builds models under settings of the whole process (default type, meta device, initialisation): two threads that build
# at once get models without data. Whoever builds one holds this.
BUILDING = threading.RLock()

_ABOUT_THE_FILE = ("architectures", "dtype", "torch_dtype", "transformers_version")


def fingerprint(module: PreTrainedModel) -> str:
    """16 hex digits that stand for every weight and buffer by name, shape, type and value, and for the configuration.

    The same weights under another rotary base are another model; the name and version of the file are not.
    """
    digest = hashlib.blake2b(digest_size=8)
    config = {key: value for key, value in module.config.to_dict().items() if not key.startswith("_") and key not in _ABOUT_THE_FILE}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


def instrument(hf: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, name: str, lm_head: bool) -> Model:
    """Put a transformers model under the instrument, on a copy that shares its parameters.

    Raises: ModelUnsupported for a family that nobody verified.
    """
    anatomy = anatomy_of(hf, lm_head=lm_head)
    own = plain_copy(hf)
    attention.register()
    own.set_attn_implementation(attention.NAME)
    _attach(own, anatomy)
    return Model(name=name, hf=own, tokenizer=tokenizer, anatomy=anatomy, fingerprint=fingerprint(own))


def plain_copy(hf: PreTrainedModel, *, share: bool = True) -> PreTrainedModel:
    """The model once more, in evaluation mode and without our hooks; a user's own hooks stay.

    Args: share: True: the copy has the same parameters and takes no memory of its own; False: it may be written into.
    """
    tensors = [*hf.parameters(), *hf.buffers()] if share else []
    own = copy.deepcopy(hf, memo={id(tensor): tensor for tensor in tensors}).eval()
    _detach(own)
    return own


def _detach(hf: PreTrainedModel) -> None:
    for module in hf.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if getattr(hook, "__module__", "") == __name__]:
                del hooks[key]


def _attach(hf: PreTrainedModel, anatomy: Anatomy) -> None:
    heads = (anatomy.n_heads, anatomy.d_head)
    for layer in range(anatomy.n_layers):

        def at(part: str, layer: int = layer) -> list[torch.nn.Module]:
            return [hf.get_submodule(path.format(layer=layer)) for path in anatomy.paths[part]]

        def point(kind: Kind, layer: int = layer) -> Point:
            return Point(kind=kind, layer=layer, owner=id(hf))

        at("block")[0].register_forward_pre_hook(_reads(point("resid_pre")), with_kwargs=True)
        for module in at("attn_in"):
            module.register_forward_pre_hook(_reads(point("attn_in")), with_kwargs=True)
        for module in at("mlp_in"):
            module.register_forward_pre_hook(_reads(point("mlp_in")), with_kwargs=True)
        at("attn_out")[0].register_forward_pre_hook(_reads(point("z"), heads), with_kwargs=True)
        at("attn_out")[0].register_forward_hook(_writes(point("attn_out")))
        at("mlp_out")[0].register_forward_pre_hook(_reads(point("post")), with_kwargs=True)
        at("mlp_out")[0].register_forward_hook(_writes(point("mlp_out")))
        _attach_norms(at, point, anatomy)
        attention.place(_attention_module(at("block")[0], anatomy), point("pattern"))
    _attach_end(hf, anatomy)


def _attach_norms(at: Callable, point: Callable, anatomy: Anatomy) -> None:
    if anatomy.norms == "post":
        at("ln1")[0].register_forward_hook(_writes(point("resid_mid")))
        at("ln2")[0].register_forward_hook(_writes(point("resid_post")))
    elif not anatomy.parallel:
        at("ln2")[0].register_forward_pre_hook(_reads(point("resid_mid")), with_kwargs=True)


def _attach_end(hf: PreTrainedModel, anatomy: Anatomy) -> None:
    """In pre-norm models a block's output is what the next block, or the final norm, reads."""
    if anatomy.norms == "post":
        return
    last = anatomy.n_layers - 1
    for layer in range(1, anatomy.n_layers):
        block = hf.get_submodule(anatomy.paths["block"][0].format(layer=layer))
        block.register_forward_pre_hook(_reads(Point(kind="resid_post", layer=layer - 1, owner=id(hf))), with_kwargs=True)
    final = hf.get_submodule(anatomy.paths["ln_final"][0])
    final.register_forward_pre_hook(_reads(Point(kind="resid_post", layer=last, owner=id(hf))), with_kwargs=True)
    final.register_forward_hook(_writes(Point(kind="ln_final", layer=last, owner=id(hf))))


def _attention_module(block: torch.nn.Module, anatomy: Anatomy) -> torch.nn.Module:
    """The module that calls the attention function: the one that carries `layer_idx` or the scale."""
    found = [module for module in block.modules() if hasattr(module, "scaling") and hasattr(module, "is_causal")]
    if len(found) != 1:
        raise RuntimeError(f"{anatomy.family}: {len(found)} attention modules in a block where one was expected")
    return found[0]


def _reads(point: Point, split: tuple[int, int] | None = None) -> Callable:
    """A pre-hook that shows a module's first input; `split` unfolds its last axis, e.g. into (head, d_head)."""

    def hook(module: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        tensor = args[0] if args else kwargs["hidden_states"]
        shown = tensor if split is None else tensor.unflatten(-1, split)
        replaced = emit(point, shown)
        if replaced is shown:
            return None
        replaced = replaced.reshape(tensor.shape)
        return ((replaced, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": replaced})

    return hook


def _writes(point: Point) -> Callable:
    """A hook that shows what a module returns."""

    def hook(module: torch.nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor | None:
        replaced = emit(point, output)
        return None if replaced is output else replaced

    return hook
