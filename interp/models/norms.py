"""A norm at one input is a linear map plus a constant: with its scale held, what goes in can be taken apart.

LayerNorm: y = (x - mean(x)) / sigma * weight + bias; RMSNorm: y = x / rms * weight. Gemma's weight is 1 + its parameter. That the formula
is the module's is part of the self-check: a frozen norm applied to its own input must give the module's output.
"""

from dataclasses import dataclass

import torch

from interp.models.precision import wide


@dataclass(frozen=True, kw_only=True)
class FrozenNorm:
    """A norm with the scale that it had on one input.

    Attributes:
        gain: weight / scale, (..., d_model).
        offset: the bias, (d_model,).
        centred: the mean over d_model is taken off first.
    """

    gain: torch.Tensor
    offset: torch.Tensor
    centred: bool

    def __call__(self, parts: torch.Tensor) -> torch.Tensor:
        """The linear part, for each of several parts of the input; the offset is a part of its own. (..., d_model) -> the same."""
        return (parts - parts.mean(-1, keepdim=True) if self.centred else parts) * self.gain

    def back(self, direction: torch.Tensor) -> torch.Tensor:
        """The direction before the norm: self(part) . direction = part . self.back(direction). Axes (d_model,), of one input's norm."""
        pulled = direction * self.gain
        return pulled - pulled.mean() if self.centred else pulled


def frozen(norm: torch.nn.Module, x: torch.Tensor) -> FrozenNorm:
    """The norm as it is on `x` (..., d_model), in float64."""
    x = wide(x)
    if isinstance(norm, torch.nn.Identity):
        return FrozenNorm(gain=torch.ones_like(x), offset=x.new_zeros(x.shape[-1]), centred=False)
    centred = isinstance(norm, torch.nn.LayerNorm)
    x = x - x.mean(-1, keepdim=True) if centred else x
    scale = (x.pow(2).mean(-1, keepdim=True) + _eps(norm)).sqrt()
    weight: torch.Tensor = wide(norm.weight.to(x.device))  # type: ignore[arg-type]
    gain = (weight + 1 if type(norm).__name__.startswith("Gemma") else weight) / scale
    bias = getattr(norm, "bias", None)
    return FrozenNorm(gain=gain, offset=torch.zeros_like(weight) if bias is None else wide(bias.to(x.device)), centred=centred)


def _eps(norm: torch.nn.Module) -> float:
    """The families call it by two names."""
    return float(norm.eps if hasattr(norm, "eps") else norm.variance_epsilon)  # type: ignore[arg-type]
