"""Sums are taken in float64, wherever the device has it."""

import torch


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float64, on its device; on the CPU where the device has no such type (Apple's MPS).

    Example:
        >>> wide(torch.zeros(2, dtype=torch.bfloat16)).dtype
        torch.float64
    """
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()
