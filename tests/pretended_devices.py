"""Two GPUs on a machine that has none: tensors are told which device they would be on, and what a real device would refuse is refused.

A `Pretended` mode watches every call of a torch function. Each tensor carries a tag, the device it would be on; `.device` and `.to` mean
the tag; a call on tensors of two devices raises, as CUDA's would. All numbers are computed on the CPU, so that results can be compared.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from interp.models import attention
from interp.models.kernels import cpu_attention

CPU = torch.device("cpu")
_MOVES = {torch.Tensor.copy_, torch.Tensor.__setitem__, torch.Tensor.__getitem__}  # allowed across devices, for slices and CPU indices
_DEVICE = torch.Tensor.device.__get__


def tag(tensor: torch.Tensor, device: torch.device | str) -> None:
    """Say on which device a tensor would be."""
    tensor._pretended = torch.device(device)


def where(tensor: torch.Tensor) -> torch.device:
    """On which device a tensor would be."""
    return vars(tensor).get("_pretended", CPU)


class Pretended(TorchFunctionMode):
    """While entered, tags decide."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if func == _DEVICE:
            return where(args[0])
        if func in (torch.Tensor.to, torch.Tensor.cpu):
            return self._moved(func, args, kwargs)
        device = self._one_device(func, given)
        if kwargs.get("device") is not None:
            device = torch.device(kwargs.pop("device"))
        found = func(*args, **kwargs)
        for tensor in [leaf for leaf in tree_leaves(found) if isinstance(leaf, torch.Tensor)]:
            if not any(tensor is one for one in given):
                tag(tensor, device)
        return found

    @staticmethod
    def _one_device(func, given: list[torch.Tensor]) -> torch.device:
        if func in _MOVES:
            return where(given[0])
        devices = {where(tensor) for tensor in given if tensor.ndim > 0}
        if len(devices) > 1:
            raise RuntimeError(f"{func.__name__}: expected all tensors on one device, found {', '.join(sorted(map(str, devices)))}")
        found = devices or {where(tensor) for tensor in given} - {CPU} or {CPU}
        return next(iter(found))

    @staticmethod
    def _moved(func, args, kwargs) -> torch.Tensor:
        tensor, *wanted = args
        others = [where(one) for one in [*wanted, *kwargs.values()] if isinstance(one, torch.Tensor)]
        named = [torch.device(one) for one in [*wanted, *kwargs.values()] if isinstance(one, torch.device | str)]
        numbered = [torch.device("cuda", one) for one in wanted if isinstance(one, int) and not isinstance(one, bool)]
        device = CPU if func is torch.Tensor.cpu else next(iter([*others, *named, *numbered]), where(tensor))
        types = [one.dtype if isinstance(one, torch.Tensor) else one for one in [*wanted, *kwargs.values()]]
        dtype = next((one for one in types if isinstance(one, torch.dtype)), tensor.dtype)
        with torch._C.DisableTorchFunction():
            found = torch.Tensor.to(tensor, dtype)
            found = found.view_as(found) if found is tensor and device != where(tensor) else found
        if found is not tensor:
            tag(found, device)
        return found


@contextmanager
def spread(hf: torch.nn.Module, second: tuple[str, ...]) -> Iterator[None]:
    """Put the modules named `second` on "cuda:1" and all else on "cuda:0"; each moves what it is given, as accelerate's hooks do."""

    def device_of(path: str) -> str:
        return "cuda:1" if any(f"{path}.".startswith(f"{name}.") for name in second) else "cuda:0"

    for path, tensor in [*hf.named_parameters(), *hf.named_buffers()]:
        tag(tensor, device_of(path.rpartition(".")[0]))
    before = {path: module.forward for path, module in hf.named_modules() if path}
    with Pretended(), patch.dict(attention._KERNELS, cuda=cpu_attention):  # the tensors are a CPU's, and so must the kernel be
        for path, forward in before.items():
            hf.get_submodule(path).forward = partial(_moved, forward, torch.device(device_of(path)))
        try:
            yield
        finally:
            for path in before:
                del hf.get_submodule(path).forward


def _moved(forward, device: torch.device, *args, **kwargs):
    args, kwargs = tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), (args, kwargs))
    return forward(*args, **kwargs)
