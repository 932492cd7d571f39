"""Points: the places of a running model where it can be watched and edited.

A point has a kind and a layer. Its name is the one that TransformerLens's bridge gives to the hook that sees the same
tensor, so that captures convert to its `ActivationCache` without a dictionary.

Who is watching travels in a context variable: hooks stay on the model for good and do nothing while nobody watches. Captures in
two threads, a capture inside an ablation, two sessions of the dashboard: each sees only its own. (A thread that one
starts oneself begins with an empty context; give it `contextvars.copy_context().run`.)

A stack is "" in a model with one, "E" (encoder) and "D" (decoder) in an encoder-decoder; "X" is the decoder's cross-attention, which has
points of its own: it attends from the decoder's row of tokens to the encoder's.

Kinds, with the axes of the tensor seen there
    resid_pre       (batch, pos, d_model)       the stream as a block reads it
    attn_in         (batch, pos, d_model)       what the query, key and value projections read (cross-attention: the query's)
    memory          (batch, pos, d_model)       cross-attention only: what its key and value projections read
    pattern         (batch, head, query_pos, key_pos)  attention after the softmax
    z               (batch, pos, head, d_head)  a head's weighted values, before W_O
    attn_out        (batch, pos, d_model)       what attention adds: sum over heads of z W_O, plus b_O (Gemma: normed)
    resid_mid       (batch, pos, d_model)       the stream after attention (post-norm: after its norm); not in parallel blocks
    mlp_in          (batch, pos, d_model)       what the FFN's first projection, or its router, reads
    up, gate        (batch, pos, neuron)        what the FFN's input projections write; `gate` only where there are two
    post            (batch, pos, neuron)        neurons: what the FFN's output projection reads, act(up) or act(gate) * up
    router_probs    (batch, pos, expert)        the router's probabilities
    expert_weights  (batch, pos, expert)        what multiplies each expert's output, 0 where it was not chosen
    mlp_out         (batch, pos, d_model)       what the FFN adds
    resid_post      (batch, pos, d_model)       the stream as the block leaves it
    ln_final        (batch, pos, d_model)       the output of the norm after the last block
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import torch

from interp.core.sites import Stack

if TYPE_CHECKING:
    from interp.models.attention import AttentionCall

Kind = Literal[
    "resid_pre",
    "attn_in",
    "memory",
    "pattern",
    "z",
    "attn_out",
    "resid_mid",
    "mlp_in",
    "up",
    "gate",
    "post",
    "router_probs",
    "expert_weights",
    "mlp_out",
    "resid_post",
    "ln_final",
]
_NAMES: dict[str, str] = {
    "resid_pre": "{blocks}.{layer}.hook_resid_pre",
    "attn_in": "{blocks}.{layer}.{attn}.hook_in",
    "memory": "{blocks}.{layer}.{attn}.hook_memory",
    "pattern": "{blocks}.{layer}.{attn}.hook_pattern",
    "z": "{blocks}.{layer}.{attn}.hook_z",
    "attn_out": "{blocks}.{layer}.{attn}.o.hook_out",
    "resid_mid": "{blocks}.{layer}.hook_resid_mid",
    "mlp_in": "{blocks}.{layer}.mlp.hook_in",
    "up": "{blocks}.{layer}.mlp.in.hook_out",
    "gate": "{blocks}.{layer}.mlp.gate.hook_out",
    "post": "{blocks}.{layer}.mlp.hook_post",
    "router_probs": "{blocks}.{layer}.mlp.hook_router_probs",
    "expert_weights": "{blocks}.{layer}.mlp.hook_expert_weights",
    "mlp_out": "{blocks}.{layer}.mlp.hook_out",
    "resid_post": "{blocks}.{layer}.hook_resid_post",
    "ln_final": "{end}ln_final.hook_out",
}
_PARTS: dict[str, dict[str, str]] = {
    "": {"blocks": "blocks", "attn": "attn", "end": ""},
    "E": {"blocks": "encoder_blocks", "attn": "attn", "end": "encoder_"},
    "D": {"blocks": "decoder_blocks", "attn": "self_attn", "end": "decoder_"},
    "X": {"blocks": "decoder_blocks", "attn": "cross_attn", "end": "decoder_"},
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One place of a running model.

    Example:
        >>> Point(kind="z", layer=2).name
        'blocks.2.attn.hook_z'
    """

    kind: Kind
    layer: int
    stack: Stack = ""
    owner: int = field(default=0, compare=False, repr=False)
    """id of the transformers model in which the point stands, for a watcher that means one model only; 0 where only the name counts."""

    @property
    def name(self) -> str:
        """TransformerLens's name of the hook that sees this tensor; where it has another, or none, see `lens.cache`."""
        name = _NAMES[self.kind].format(layer=self.layer, **_PARTS[self.stack])
        # Cross-attention stands between attention and the FFN: the stream after it has a name of its own.
        return name.replace("resid_mid", "resid_mid_cross") if self.stack == "X" else name


@runtime_checkable
class Watcher(Protocol):
    """Whoever looks at a running model. `kinds` are the points it is called for."""

    kinds: frozenset[str]

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        """Called with the tensor at a point; a tensor that is returned takes its place."""

    def attend(self, point: Point, call: "AttentionCall") -> None:
        """Called once for each attention sublayer when `kinds` holds "pattern"."""


_WATCHERS: ContextVar[tuple[Watcher, ...]] = ContextVar("interp_watchers", default=())


def watchers() -> tuple[Watcher, ...]:
    """Who watches in this context, in the order in which they came: editors that were entered first act first."""
    return _WATCHERS.get()


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Let `watcher` see every model that runs inside the block, in this context only."""
    token = _WATCHERS.set((*_WATCHERS.get(), watcher))
    try:
        yield
    finally:
        _WATCHERS.reset(token)


def emit(point: Point, tensor: torch.Tensor) -> torch.Tensor:
    """Show `tensor` to all who watch this kind of point; returns it, or what an editor put in its place."""
    for watcher in _WATCHERS.get():
        if point.kind in watcher.kinds:
            replaced = watcher.at(point, tensor)
            tensor = tensor if replaced is None else replaced
    return tensor
