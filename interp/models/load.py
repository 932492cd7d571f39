"""Load a transformer by name, from a folder, from the hub, or as an object at hand.

Safe by default: remote code runs only when `trust_remote_code=True` names it, and weights come from safetensors (or from
a .bin file through torch's `weights_only` reader, which runs no code).
"""

import json
import os
import pickle
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from interp.core.errors import ModelDamaged, ModelError, ModelNotFound, ModelUnsupported
from interp.models import devices, transformer, zoo
from interp.models.devices import DeviceMap
from interp.models.dissect import family_of
from interp.models.model import BUILDING, Model, instrument

HUB = "https://huggingface.co"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


def load_model(
    source: Any = None,
    tokenizer: Any = None,
    *,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    device_map: DeviceMap | None = None,
    trust_remote_code: bool = False,
) -> Model:
    """A model under the instrument, not yet checked (`interp.load` checks it as well).

    Args:
        source: a bundled model's name ("tales"), "minilm", a folder, a hub name, a transformers model, or None for the default.
        tokenizer: for a transformers model only: its fast tokenizer.
        dtype: float32, bfloat16 or float16. None: what a transformers model has; float32 for all else.
        device: where the weights go. None: where a transformers model's are; the CPU for all else.
        device_map: for a model larger than one device: "auto", or module -> device, as transformers and TransformerLens take it.
        trust_remote_code: run code that a hub repository brings along.
    Raises: ModelNotFound, ModelDamaged, ModelUnsupported; ModelError for a type, a device or an argument that does not fit.
    """
    wanted, where = devices.wanted_type(dtype), devices.wanted_device(device)
    spread = devices.wanted_map(device_map, device)
    if isinstance(source, PreTrainedModel):
        return _from_object(source, tokenizer, wanted, where, spread)
    name = _name(source, tokenizer)
    place = find(name)
    with BUILDING:
        with _quiet():
            hf, lm_head = _weights(place, trust_remote_code, {"dtype": wanted or torch.float32, "device_map": spread})
            words = _tokenizer(place, trust_remote_code)
        if spread is None:
            hf.to(where or torch.device("cpu"))  # type: ignore[arg-type]
        return instrument(hf, words, name=name, lm_head=lm_head)


def _from_object(hf: PreTrainedModel, tokenizer: Any, dtype: torch.dtype | None, device: torch.device | None, device_map: object) -> Model:
    kind = type(hf).__name__
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        came = "without a tokenizer" if tokenizer is None else f"with a {type(tokenizer).__name__} as its tokenizer"
        raise ModelError(f"a {kind} came {came}; expected interp.load(model, tokenizer), the tokenizer one of transformers'")
    if device_map is not None:
        raise ModelError(f"device_map={device_map!r} came with a {kind}, which is in memory already; expected it with a name or a folder")
    name = hf.config.name_or_path or kind
    devices.refuse_weights(hf, name)
    if dtype is not None or device is not None:
        hf = devices.converted(hf, dtype, device)
    heads = ("LMHeadModel", "ForCausalLM", "ForMaskedLM", "ForConditionalGeneration", "MTModel")
    lm_head = any(cls.__name__.endswith(heads) for cls in type(hf).__mro__)
    return instrument(hf, tokenizer, name=name, lm_head=lm_head)


def _name(source: object, tokenizer: object) -> str:
    if source is not None and not isinstance(source, str | Path):
        kinds = "a bundled model's name, a folder, a hub name, or a transformers model with its tokenizer"
        raise ModelError(f"a {type(source).__name__} came; expected {kinds}")
    name = zoo.DEFAULT if source is None else str(source)
    if tokenizer is not None:
        raise ModelError(f"a tokenizer came with {name!r}, which brings its own; expected interp.load({name!r})")
    return name


def find(name: str) -> str:
    """Where a model lies: its folder, or a hub name.

    Raises: ModelNotFound when it is neither, saying what there is.
    """
    if name == "minilm":
        return str(zoo.minilm_folder())
    if name in zoo.names():
        return str(zoo.folder(name))
    path = Path(name).expanduser()
    if path.exists():
        if not (path / "config.json").is_file():
            raise ModelNotFound(f"{path} holds no model; expected a folder with config.json, a tokenizer and safetensors weights")
        return str(path)
    return _on_hub(name)


def _on_hub(name: str) -> str:
    known = f"bundled models: {', '.join(zoo.names()) or 'none'}; 'minilm' with the extra [minilm]"
    if not _HUB_NAME.fullmatch(name):
        raise ModelNotFound(f"{name}: no such folder ({known})")
    if _cached(name) or _reachable(os.environ.get("HF_ENDPOINT", HUB)):
        return name
    raise ModelNotFound(
        f"{name!r} is neither a bundled model nor a folder, and the hub cannot be reached. Expected one of the {known}; "
        "or download the model elsewhere and give its folder: interp.load('path/to/folder')"
    )


def _cached(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def _reachable(endpoint: str) -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    address = urlparse(endpoint)
    try:
        with socket.create_connection((address.hostname or "", address.port or 443), timeout=3):
            return True
    except OSError:
        return False


def _weights(place: str, trust_remote_code: bool, options: dict[str, Any]) -> tuple[PreTrainedModel, bool]:
    """The transformers model, and whether its token-predicting head came with weights. `options`: type and device map."""
    config = _config(place, trust_remote_code)
    devices.refuse_quantised_config(config, place)
    auto = _class_for(config)
    try:
        hf, loaded = auto.from_pretrained(place, config=config, output_loading_info=True, trust_remote_code=trust_remote_code, **options)
    except pickle.UnpicklingError as error:
        raise ModelDamaged(f"{place}: a .bin file holds more than tensors, so it was not read; expected safetensors weights") from error
    except torch.OutOfMemoryError as error:
        raise ModelError(f"{place} does not fit ({error}); expected a smaller dtype, device_map='auto' or device='cpu'") from error
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelDamaged(
            f"{place}: the weights cannot be read ({error}); expected whole safetensors files: copy the folder again"
        ) from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise ModelDamaged(f"{place}: a safetensors file is damaged ({error}); expected whole files: copy the folder again") from error
    devices.refuse_weights(hf, place)
    _refuse_left_over_layers(place, hf, loaded)
    return hf, _has_head(place, hf, loaded)


def _config(place: str, trust_remote_code: bool) -> transformers.PretrainedConfig:
    transformer.register()
    try:
        return AutoConfig.from_pretrained(place, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        if "trust_remote_code" in str(error):
            raise ModelUnsupported(f"{place} brings code of its own, which is not run unless you ask: trust_remote_code=True") from error
        raise ModelNotFound(f"{place}: no model can be read there ({error})") from error


def _class_for(config: transformers.PretrainedConfig) -> Any:
    """The auto class that keeps a token-predicting head where the checkpoint says that it has one."""
    stacks = family_of(config).stacks_of(config)
    auto = AutoModelForSeq2SeqLM if len(stacks) > 1 else AutoModelForCausalLM if stacks[0].causal else AutoModelForMaskedLM
    known = auto._model_mapping
    with_head = getattr(known[type(config)], "__name__", "") if type(config) in known else None
    return auto if (config.architectures or [""])[0] == with_head else AutoModel


def _refuse_left_over_layers(place: str, hf: PreTrainedModel, loaded: dict[str, Any]) -> None:
    """A configuration with fewer layers than the weights would run as another, shallower model."""
    for blocks in family_of(hf.config).stacks_of(hf.config):
        path = re.escape(blocks.path.removeprefix(f"{hf.base_model_prefix}.").format(layer="#")).replace(r"\#", r"(\d+)")
        numbers = [int(found[1]) for key in loaded["unexpected_keys"] if (found := re.search(rf"\b{path}\.", key))]
        expected = getattr(hf.config, blocks.n_layers)
        if any(number >= expected for number in numbers):
            raise ModelDamaged(f"{place}: the weights have {max(numbers) + 1} layers, config.json says {expected}; expected both alike")


def _has_head(place: str, hf: PreTrainedModel, loaded: dict[str, Any]) -> bool:
    """Weights that were missing would be random: refused, unless only the pooler or the head is without."""
    missing = {key for key in loaded["missing_keys"] if not key.startswith(("pooler.", f"{hf.base_model_prefix}.pooler."))}
    body = {key for key in missing if key.startswith(f"{hf.base_model_prefix}.") or not hasattr(hf, hf.base_model_prefix)}
    if body:
        raise ModelDamaged(f"{place}: {len(body)} weights are missing, such as {min(body)}; expected a whole checkpoint")
    return hf.get_output_embeddings() is not None and not missing


def _tokenizer(place: str, trust_remote_code: bool) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise ModelDamaged(f"{place}: no tokenizer can be read there ({error}); expected tokenizer.json beside the weights") from error
    if not tokenizer("a b c", add_special_tokens=False)["input_ids"]:  # transformers makes an empty one where it finds no file
        raise ModelDamaged(f"{place}: the tokenizer there is empty; expected tokenizer.json beside the weights")
    return tokenizer


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers draws progress bars and tells of keys it expects; both belong to us here, and are put back after."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
