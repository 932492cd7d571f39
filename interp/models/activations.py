"""The same activation in one pass over memory, where somebody asked for it.

transformers writes GPT-2's GELU (its tanh form) as eight operations, each of which reads and writes all neurons: a tenth of a forward
pass on a CPU, and more where a layer's neurons are too many for memory that is used again. torch computes the same function in one. They
agree to rounding. The model that runs is transformers' own to the last bit, so the one kernel takes over inside `in_one_kernel` only; in
half precision, where each of the eight operations rounds, never.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch.nn.functional import gelu
from transformers import PreTrainedModel
from transformers.activations import NewGELUActivation

_ASKED: ContextVar[bool] = ContextVar("interp_gelu_in_one_kernel", default=False)


@contextmanager
def in_one_kernel() -> Iterator[None]:
    """Let models that run inside the block, in this context only, compute the tanh form of GELU in one kernel."""
    token = _ASKED.set(True)
    try:
        yield
    finally:
        _ASKED.reset(token)


class Gelu(torch.nn.Module):
    """The tanh form of GELU: `plain`'s operations, or one kernel where that was asked for.

    Example:
        >>> x, ours = torch.linspace(-4.0, 4.0, 9), Gelu(NewGELUActivation())
        >>> with in_one_kernel():
        ...     bool(torch.allclose(ours(x), ours.plain(x), atol=1e-6))
        True
    """

    def __init__(self, plain: torch.nn.Module):
        super().__init__()
        self.plain = plain

    def forward(self, neurons: torch.Tensor) -> torch.Tensor:
        """What `plain` gives."""
        wide = neurons.dtype in (torch.float32, torch.float64)
        return gelu(neurons, approximate="tanh") if wide and _ASKED.get() else self.plain(neurons)


def attach(hf: PreTrainedModel) -> None:
    """Put `Gelu` in the place of each activation that it equals; a subclass of it, or one with a user's hooks, stays."""
    for module in list(hf.modules()):
        for name, child in module.named_children():
            if type(child) is NewGELUActivation and not (child._forward_hooks or child._forward_pre_hooks):
                setattr(module, name, Gelu(child))


def detach(hf: PreTrainedModel) -> None:
    """Put back what `attach` took away."""
    for module in list(hf.modules()):
        for name, child in module.named_children():
            if isinstance(child, Gelu):
                setattr(module, name, child.plain)
