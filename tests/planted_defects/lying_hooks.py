"""Hooks that lie: others see a hundredth more than what flows, or what flows changes when somebody looks."""

from collections.abc import Callable

import pytest
import torch

from interp.models import experts, hooks
from interp.models.model import Model
from interp.models.points import Point, watchers
from planted_defects.table import (
    EDGES,
    EDIT_HEADS,
    EDIT_NEURONS,
    EDIT_ROUTING,
    FINAL,
    HEADS,
    LAYERS,
    LOGIT,
    MEMORY,
    NEURONS,
    PROJECTED,
    READS,
    ROUTED,
    WHOLE,
    Defect,
    Plant,
    entering,
    sound,
)

DEFECTS: list[Defect] = []
defect = entering(DEFECTS)


_SEEN_BY = {  # kind -> forms, checks that catch it, checks that follow
    "resid_pre": ("gpt2 bert t5", [LAYERS, WHOLE], [READS, LOGIT]),
    "attn_in": ("gpt2 t5 deepseek-v3", [READS], []),
    "memory": ("t5 bart", [MEMORY], []),
    "z": ("gpt2 t5 gpt-oss", [HEADS, EDGES], [LOGIT]),
    "attn_out": ("neox t5 gemma2", [HEADS, LAYERS, WHOLE], [EDIT_HEADS]),
    "resid_mid": ("llama bert marian", [LAYERS], [READS, WHOLE]),
    "mlp_in": ("gpt2 t5-gated phi3", [READS, PROJECTED], []),
    "up": ("gpt2 phi3 llama", [PROJECTED], []),
    "gate": ("t5-gated phi3", [PROJECTED], []),
    "post": ("gpt2 phi3 opt", [NEURONS], []),
    "router_probs": ("mixtral deepseek-v3 switch", [ROUTED], []),
    "expert_weights": ("mixtral deepseek-v3 switch", [NEURONS], []),
    "mlp_out": ("gpt2 gemma3 mixtral", [NEURONS, LAYERS, WHOLE], [LOGIT, EDIT_NEURONS, EDIT_ROUTING]),
    "resid_post": ("gpt2 bert t5", [LAYERS], [WHOLE, READS, FINAL, MEMORY]),
    "ln_final": ("gpt2 t5 gemma3", [READS, FINAL], [MEMORY]),
}  # fmt: skip


def _lying(kind: str) -> Plant:
    def plant(form: str, patch: pytest.MonkeyPatch) -> Model:
        for module in (hooks, experts):
            patch.setattr(module, "emit", lambda point, tensor, true=module.emit: lie(true, point, tensor))
        return sound(form)

    def lie(true: Callable, point: Point, tensor: torch.Tensor) -> torch.Tensor:
        if point.kind != kind:
            return true(point, tensor)
        shown = tensor * 1.01
        replaced = true(point, shown)
        return tensor if replaced is shown else replaced / 1.01

    return plant


for _kind, (_forms, _caught_by, _follows) in _SEEN_BY.items():
    defect(_forms, *_caught_by, follows=_follows, name=f"a hook that lies about {_kind}")(_lying(_kind))


@defect("deepseek-v3 mixtral", READS, NEURONS, follows=[EDIT_ROUTING, ROUTED, PROJECTED])
def a_hook_that_lies_about_what_experts_read(form, patch):
    return _lying("mlp_in")(form, patch)


@defect("mixtral olmoe deepseek-v3", NEURONS, ROUTED)
def router_weights_before_they_are_what_multiplies(form, patch):
    """Here their square roots."""

    def emit(point, tensor, true=experts.emit):
        shown = tensor.sqrt() if point.kind == "expert_weights" else tensor
        replaced = true(point, shown)
        return tensor if replaced is shown else replaced

    patch.setattr(experts, "emit", emit)
    return sound(form)


def edits_while_watched(kind: str, form: str, patch: pytest.MonkeyPatch) -> Model:
    """A hook that changes what flows, but only while somebody looks there."""

    def emit(point: Point, tensor: torch.Tensor, true: Callable) -> torch.Tensor:
        replaced = true(point, tensor)
        looked_at = point.kind == kind and any(kind in watcher.kinds for watcher in watchers())
        return replaced.flip(-1) if looked_at else replaced

    for module in (hooks, experts):
        patch.setattr(module, "emit", lambda point, tensor, true=module.emit: emit(point, tensor, true))
    return sound(form)
