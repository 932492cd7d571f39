"""Where the weights lie, and in which type: what was asked for is looked at before a weight is read, what came after.

A copy in another type is what loading in that type gives: some weights of T5, GPT-OSS and DeepSeek stay float32 in half precision, and so
do rotary frequencies. (`module.to(torch.bfloat16)` rounds those as well, and positions with them.)
"""

import copy
import importlib.util
import re
from collections.abc import Mapping

import torch
from transformers import PretrainedConfig, PreTrainedModel

from interp.core.errors import ModelError, ModelUnsupported
from interp.models.model import BUILDING

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PLANS = ("auto", "balanced", "balanced_low_0", "sequential")
_QUANTISERS = (
    "bitsandbytes",
    "optimum.quanto",
    "quanto",
    "torchao",
    "hqq",
    "awq",
    "auto_gptq",
    "gptqmodel",
    "aqlm",
    "torch.ao.nn.quantized",
)

DeviceMap = str | Mapping[str, int | str | torch.device]


def wanted_type(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """A type by itself or by its name. Raises: ModelError for one that is not float32, bfloat16 or float16."""
    found = TYPES.get(dtype) if isinstance(dtype, str) else dtype
    if dtype is None or found in TYPES.values():
        return found
    raise ModelError(f"dtype={dtype!r} came; expected one of: {', '.join(TYPES)}")


def wanted_device(device: str | int | torch.device | None) -> torch.device | None:
    """A device by itself or by its name. Raises: ModelError for one that is not there, saying what there is."""
    if device is None:
        return None
    try:
        found = torch.device(device)
        if found.type != "meta":
            torch.empty(0, device=found)
            return found
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ModelError(_not_there(device)) from error
    raise ModelError(_not_there(device))


def _not_there(device: object) -> str:
    return f"device={str(device)!r} is not there; this machine, with the torch installed here, has: {', '.join(there())}"


def there() -> list[str]:
    """The devices of this machine that torch can use."""
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *cards, *(["mps"] if torch.backends.mps.is_available() else [])]


def wanted_map(device_map: DeviceMap | None, device: object) -> str | dict[str, int | str | torch.device] | None:
    """How a model is spread over devices, as transformers takes it: a plan's name, or module -> device.

    Raises: ModelError for a map that came with `device`, is of an unknown form, names a device that is not there, or finds no accelerate.
    """
    if device_map is None:
        return None
    if device is not None:
        raise ModelError(
            f"device={str(device)!r} and device_map={device_map!r} came; expected one of them: a map says where everything goes"
        )
    if not isinstance(device_map, Mapping) and device_map not in PLANS:
        raise ModelError(
            f"device_map={device_map!r} came; expected {', '.join(PLANS)} or a dict of module -> device; for one device: device="
        )
    if importlib.util.find_spec("accelerate") is None:
        raise ModelError("device_map needs the package accelerate, which is not installed; expected: pip install accelerate, or device=")
    return _refuse_map(device_map) if isinstance(device_map, Mapping) else device_map


def _refuse_map(device_map: Mapping[str, int | str | torch.device]) -> dict[str, int | str | torch.device]:
    on_disk = [module for module, device in device_map.items() if device == "disk"]
    if on_disk:
        raise ModelError(_not_in_memory(f"device_map puts {on_disk[0] or 'the model'!r} on disk"))
    for device in device_map.values():
        wanted_device(device)
    return dict(device_map)


def _not_in_memory(what: str) -> str:
    return f"{what}; expected all weights in memory: a smaller dtype, more cards, or device='cpu'"


def refuse_quantised_config(config: PretrainedConfig, place: str) -> None:
    """Refuse a checkpoint of rounded weights before they are read. Raises: ModelUnsupported."""
    found = getattr(config, "quantization_config", None)
    if found is not None:
        method = found.get("quant_method") if isinstance(found, dict) else getattr(found, "quant_method", "")
        raise ModelUnsupported(f"{place} is quantised ({getattr(method, 'value', method) or 'by a method it does not name'}){_ORIGINAL}")


_ORIGINAL = "; expected float16, bfloat16 or float32 weights: load the original checkpoint"


def refuse_weights(hf: PreTrainedModel, place: str) -> None:
    """Refuse weights that cannot be read exactly: quantised, or not in memory. Raises: ModelUnsupported naming the first of them."""
    refuse_quantised_config(hf.config, place)
    for name, module in hf.named_modules():
        if f"{type(module).__module__}.".startswith(tuple(f"{package}." for package in _QUANTISERS)):
            raise ModelUnsupported(
                f"{place} is quantised: {name or 'the model'} is a {type(module).__module__}.{type(module).__name__}{_ORIGINAL}"
            )
    for name, weight in hf.named_parameters():
        plain = type(weight.data) in (torch.Tensor, torch.nn.Parameter) and weight.dtype.is_floating_point and weight.dtype.itemsize > 1
        if not plain:
            raise ModelUnsupported(f"{place} is quantised: {name} is a {type(weight.data).__name__} of {weight.dtype}{_ORIGINAL}")
        if weight.device.type == "meta":
            raise ModelUnsupported(_not_in_memory(f"{place}: {name} is not in memory (left out, or moved to disk by a device map)"))


def converted(hf: PreTrainedModel, dtype: torch.dtype | None, device: torch.device | None) -> PreTrainedModel:
    """A copy in another type, on another device; None keeps what it has. Weights that stay as they are are shared, not copied.

    Raises: ModelError for a model that is spread over devices, whose hooks would move inputs back to them.
    """
    if device is not None and hasattr(hf, "_hf_hook"):
        raise ModelError(f"a model spread over devices came with device={str(device)!r}; expected device=None, or the model on one device")
    types = {} if dtype is None else _types(hf, dtype)
    memo: dict[int, object] = {}
    for name, tensor in [*hf.named_parameters(), *hf.named_buffers()]:
        moved = tensor.detach().to(device=device, dtype=types.get(name))
        memo[id(tensor)] = torch.nn.Parameter(moved, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else moved
    own = copy.deepcopy(hf, memo)
    if dtype is not None:
        own.config.dtype = dtype
    return own


def _types(hf: PreTrainedModel, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """The type of each weight and buffer in a model that was loaded in `dtype`, told from an empty one."""
    usual = torch.get_default_dtype()
    with BUILDING, torch.device("meta"):
        torch.set_default_dtype(dtype)
        try:
            empty = type(hf)(copy.deepcopy(hf.config))
        finally:
            torch.set_default_dtype(usual)
    always = re.compile("|".join(glob.replace("*", ".*") for glob in hf._get_dtype_plan(dtype)) or r"\Z.")
    types = {name: tensor.dtype for name, tensor in [*empty.named_parameters(), *empty.named_buffers()]}
    return {name: torch.float32 if always.search(name) else found for name, found in types.items()}


def place_like(fresh: PreTrainedModel, hf: PreTrainedModel) -> None:
    """Give each tensor of a model made anew the type and the device of the same tensor in `hf`; spread it over devices as `hf` is."""
    theirs = {**dict(hf.named_parameters(remove_duplicate=False)), **dict(hf.named_buffers())}
    for name, tensor in [*fresh.named_parameters(), *fresh.named_buffers()]:
        tensor.data = tensor.data.to(theirs[name])
    if hasattr(hf, "_hf_hook"):
        from accelerate import dispatch_model

        dispatch_model(fresh, hf.hf_device_map, skip_keys=fresh._skip_keys_device_placement)
