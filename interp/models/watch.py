"""The watcher of a capture: keeps what it is asked to keep, changes nothing."""

from collections.abc import Iterable

import torch

from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Kind, Point


def value_norms(call: AttentionCall, w_o: torch.Tensor) -> torch.Tensor:
    """||v_j W_O|| of each key: the size of the vector that full attention to it would move.

    Args:
        call: the sublayer at work.
        w_o: the heads' output weights, axes (head, d_head, d_model).
    Returns: axes (batch, head, key_pos), float32.
    """
    gram = (w_o.float() @ w_o.float().transpose(-1, -2)).unsqueeze(0)
    value = call.value.float()
    return ((value @ gram) * value).sum(-1).clamp_min(0).sqrt()


def value_norms_name(point: Point) -> str:
    """The name under which `Keep` keeps the value norms of an attention sublayer."""
    return point.name.replace("hook_pattern", "value_norms")


class Keep:
    """Keeps tensors by the name of their point, on the device where they were made."""

    def __init__(self, model: Model, kinds: Iterable[Kind]):
        self.model = model
        self.kinds: frozenset[str] = frozenset(kinds)
        self.arrays: dict[str, torch.Tensor] = {}

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        self.arrays[point.name] = tensor.detach()

    def attend(self, point: Point, call: AttentionCall) -> None:
        self.arrays[point.name] = call.pattern().detach()
        norms = value_norms(call, self.model.W_O(point.layer, point.stack))
        self.arrays[value_norms_name(point)] = norms.detach()
