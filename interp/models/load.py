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
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

from interp.core.errors import ModelDamaged, ModelError, ModelNotFound, ModelUnsupported
from interp.models import zoo
from interp.models.anatomy import FAMILIES
from interp.models.model import BUILDING, Model, instrument

HUB = "https://huggingface.co"


def load_model(
    source: str | Path | PreTrainedModel | None = None,
    tokenizer: Any = None,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    trust_remote_code: bool = False,
) -> Model:
    """A model under the instrument, not yet checked (`interp.load` checks it as well).

    Args:
        source: a bundled model's name ("tales"), "minilm", a folder, a hub name, a transformers model, or None for the default.
        tokenizer: for a transformers model only: its fast tokenizer.
        dtype: float32, bfloat16 or float16. A transformers model keeps the type and the device that it has.
        device: where the weights go.
        trust_remote_code: run code that a hub repository brings along.
    Raises: ModelNotFound, ModelDamaged, ModelUnsupported.
    """
    if isinstance(source, PreTrainedModel):
        return _from_object(source, tokenizer)
    name = zoo.DEFAULT if source is None else str(source)
    place = find(name)
    with BUILDING:
        with _quiet():
            hf, lm_head = _weights(place, dtype, trust_remote_code)
            words = _tokenizer(place, trust_remote_code)
        hf.to(torch.device(device))  # type: ignore[arg-type]
        return instrument(hf, words, name=name, lm_head=lm_head)


def _from_object(hf: PreTrainedModel, tokenizer: Any) -> Model:
    if tokenizer is None:
        raise ModelError(f"a {type(hf).__name__} came without a tokenizer; expected interp.load(model, tokenizer)")
    lm_head = type(hf).__name__.endswith(("LMHeadModel", "ForCausalLM", "ForMaskedLM"))
    return instrument(hf, tokenizer, name=hf.config.name_or_path or type(hf).__name__, lm_head=lm_head)


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
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
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


def _weights(place: str, dtype: torch.dtype, trust_remote_code: bool) -> tuple[PreTrainedModel, bool]:
    """The transformers model, and whether its token-predicting head came with weights."""
    config = _config(place, trust_remote_code)
    auto = _class_for(config)
    try:
        hf, loaded = auto.from_pretrained(place, config=config, dtype=dtype, output_loading_info=True, trust_remote_code=trust_remote_code)
    except pickle.UnpicklingError as error:
        raise ModelDamaged(f"{place}: a .bin file holds more than tensors, so it was not read; expected safetensors weights") from error
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelDamaged(
            f"{place}: the weights cannot be read ({error}); expected whole safetensors files: copy the folder again"
        ) from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise ModelDamaged(f"{place}: a safetensors file is damaged ({error}); expected whole files: copy the folder again") from error
    _refuse_left_over_layers(place, hf, loaded)
    return hf, _has_head(place, hf, loaded)


def _config(place: str, trust_remote_code: bool) -> transformers.PretrainedConfig:
    try:
        return AutoConfig.from_pretrained(place, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        if "trust_remote_code" in str(error):
            raise ModelUnsupported(f"{place} brings code of its own, which is not run unless you ask: trust_remote_code=True") from error
        raise ModelNotFound(f"{place}: no model can be read there ({error})") from error


def _class_for(config: transformers.PretrainedConfig) -> Any:
    """The auto class that keeps a token-predicting head where the checkpoint says that it has one."""
    if config.model_type not in FAMILIES:
        raise ModelUnsupported(
            f"{config.name_or_path}: the family {config.model_type!r} has not been verified; expected one of: {', '.join(FAMILIES)}"
        )
    named = (config.architectures or [""])[0]
    if named == MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type) and FAMILIES[config.model_type].causal:
        return AutoModelForCausalLM
    return AutoModelForMaskedLM if named == MODEL_FOR_MASKED_LM_MAPPING_NAMES.get(config.model_type) else AutoModel


def _refuse_left_over_layers(place: str, hf: PreTrainedModel, loaded: dict[str, Any]) -> None:
    """A configuration with fewer layers than the weights would run as another, shallower model."""
    numbers = [int(found[1]) for key in loaded["unexpected_keys"] if (found := re.search(r"\b(?:h|layers?)\.(\d+)\.", key))]
    if any(number >= hf.config.num_hidden_layers for number in numbers):
        raise ModelDamaged(
            f"{place}: the weights have {max(numbers) + 1} layers, config.json says {hf.config.num_hidden_layers}; expected both alike"
        )


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
