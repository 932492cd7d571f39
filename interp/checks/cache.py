"""A check that passed need not be made again: reports kept in a folder of the user's, by what they depend on.

A report counts for the same weights and configuration (the model's fingerprint), on the same kind of device, with the same torch and
transformers, at the same precision of matrix products, and with the same instrument: interp's own source is part of the key, so an edited
instrument is checked anew. Only a report in which everything passed is kept; a failure is measured again each time.

A model that does more than its weights and configuration say (hooks, forwards or modules of somebody else) has no fingerprint for that:
it is checked afresh each time.

The folder: $INTERP_CACHE, else $XDG_CACHE_HOME/interp, else ~/.cache/interp. Where it cannot be read or written nothing is kept.
"""

import hashlib
import json
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch.nn.modules import module as every_module

from interp.checks.report import Report
from interp.checks.selfcheck import check, never_there
from interp.core.provenance import own_source, versions
from interp.models.model import Model

ROOMS = ("core", "texts", "measures", "models", "captures", "interventions", "checks")
_TRUSTED = frozenset({"torch", "transformers", "interp"})


def with_cached_checks(model: Model) -> Model:
    """The model, refusing by name whatever its self-check, kept or fresh, disabled."""
    return replace(model, disabled={**never_there(model.anatomy), **cached_check(model).disabled})


def cached_check(model: Model) -> Report:
    """The report that was kept for this model, or a fresh one."""
    path = _path(model)
    kept = None if path is None else _read(path, _key(model))
    return fresh_check(model) if kept is None else replace(kept, model=model.name)


def fresh_check(model: Model) -> Report:
    """Check the instrument on `model` now; what is kept of it is then this report."""
    report, path = check(model), _path(model)
    if path is not None:
        _write(path, _key(model), report)
    return report


def folder() -> Path:
    """Where reports are kept. Raises: RuntimeError when nothing is named and there is no home folder."""
    named, base = os.environ.get("INTERP_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named).expanduser() / "checks"
    return Path(base or "~/.cache").expanduser() / "interp" / "checks"


def _path(model: Model) -> Path | None:
    """The file of this model's report; None where reports are not kept."""
    if not as_shipped(model.hf):
        return None
    key = hashlib.blake2b(json.dumps(_key(model)).encode(), digest_size=8).hexdigest()
    try:
        return folder() / f"{model.fingerprint}-{key}.json"
    except RuntimeError:
        return None


def _key(model: Model) -> dict[str, str]:
    """All that a report depends on, in words. Types are in the fingerprint."""
    placed = sorted({str(parameter.device) for parameter in model.hf.parameters()})
    cards = [torch.cuda.get_device_name(device) for device in placed if device.startswith("cuda")]
    return {
        "fingerprint": model.fingerprint,
        "class": type(model.hf).__qualname__,
        "head": str(model.anatomy.lm_head),
        "devices": ", ".join([*placed, *cards, platform.machine()]),
        "products": torch.get_float32_matmul_precision(),
        "versions": json.dumps({name: number for name, number in versions().items() if name in ("python", "torch", "transformers")}),
        "instrument": own_source(ROOMS),
    }


def as_shipped(hf: torch.nn.Module) -> bool:
    """True when nothing but torch's, transformers' and our own code runs in the model."""
    return all(map(_is_theirs, _code_of(hf))) and not any(map(_has_own_forward, hf.modules()))


def _code_of(hf: torch.nn.Module) -> Iterator[object]:
    """Every class, its forward, and every hook of a model."""
    yield from [*every_module._global_forward_hooks.values(), *every_module._global_forward_pre_hooks.values()]
    for module in hf.modules():
        yield from [type(module), type(module).forward, *module._forward_hooks.values(), *module._forward_pre_hooks.values()]


def _has_own_forward(module: torch.nn.Module) -> bool:
    """A forward of the object, not of its class. accelerate's, in a model spread over devices, goes on to another, which counts."""
    own = vars(module).get("forward")
    if isinstance(own, partial) and {_package(own.func), _package(vars(module).get("_hf_hook"))} == {"accelerate"}:
        own = vars(module)["_old_forward"]
    return own is not None and getattr(own, "__func__", None) is not type(module).forward


def _is_theirs(code: object) -> bool:
    return _package(code) in _TRUSTED


def _package(code: object) -> str:
    return str(getattr(code, "__module__", "")).partition(".")[0]


def _read(path: Path, key: dict[str, str]) -> Report | None:
    """What is kept there for this key; None for anything else: a file that is missing, half written, or another's."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        report = Report.from_json(json.dumps(kept["report"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return report if kept["key"] == key and report.passed else None


def _write(path: Path, key: dict[str, str], report: Report) -> None:
    """In one step, so that no reader sees half a file. Failing to keep a report is no error."""
    half = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
    try:
        if not report.passed:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(json.dumps({"key": key, "report": json.loads(report.to_json())}, indent=1), encoding="utf-8")
        half.replace(path)
    except OSError:
        with suppress(OSError):
            half.unlink(missing_ok=True)
