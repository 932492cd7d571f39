"""`interp dashboard` and `interp atlas`: the pages in a browser, for oneself on the loopback, or with `--serve` for others."""

import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from interp.core.errors import DataError, ModelUnsupported

LOOPBACK = "127.0.0.1"
GIVES_BACK = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_TRIM_THRESHOLD_": "1048576"}
"""Environment variables that have glibc give the memory of a model that was left back to the system, as others do by themselves."""
Port = Annotated[int, typer.Option(help="port to listen on")]
Host = Annotated[
    str,
    typer.Option("--host", "--address", help="address to listen on; another than the loopback needs --serve, so that others can reach it"),
]


def dashboard(
    port: Port = 8501,
    host: Host = LOOPBACK,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="a folder or hub name to offer first, beside the bundled models")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="for others: the models of --models only, files of --folder only, with limits")
    ] = False,
    models: Annotated[
        str | None, typer.Option("--models", help="with --serve: bundled models and folders, a,b; the bundled ones if not said")
    ] = None,
    folder: Annotated[
        list[Path] | None, typer.Option("--folder", help="with --serve: runs and treebanks in it may be read; several times")
    ] = None,
) -> None:
    """Serve the dashboard, on this machine only unless told otherwise; open the address that it prints."""
    if serve:
        if model is not None:
            raise DataError(f"--model {model} came with --serve; expected it in --models, the first of which is offered first")
        _serve(port, host, _for_others(models, folder or []))
    if models is not None or folder:
        raise DataError("--models or --folder came without --serve; expected both with it: who serves nobody else may open everything")
    if not _is_loopback(host):
        raise DataError(f"--host {host} came without --serve, and others could open every folder of this machine; expected --serve with it")
    _serve(port, host, {} if model is None else {"INTERP_MODEL": _found(model)})


def atlas(
    folder: Annotated[Path, typer.Argument(help="a finished run: what `interp profile MODEL CORPUS --out FOLDER` made")],
    port: Port = 8501,
    host: Host = LOOPBACK,
    serve: Annotated[bool, typer.Option("--serve", help="for others: this run, and the bundled models")] = False,
) -> None:
    """Serve the dashboard with the atlas of a run first: its heads, neurons and layers, page by page; no model is loaded."""
    from interp.captures.atlas.opened import open_atlas

    if not serve and not _is_loopback(host):
        raise DataError(f"--host {host} came without --serve, and others could open every folder of this machine; expected --serve with it")
    found = open_atlas(folder)  # before anything is served
    print(f"{found.made.model} over {found.n_texts} texts, {found.n_tokens} tokens", flush=True)
    _serve(port, host, {"INTERP_RUN": str(found.folder.absolute()), **(_for_others(None, []) if serve else {})})


def _for_others(models: str | None, folders: list[Path]) -> dict[str, str]:
    """What tells the server that it is served to others.

    Raises: DataError for a folder that is not there; ModelNotFound, ModelUnsupported for a model that may not be served.
    """
    from interp.models import zoo

    listed = [_servable(name.strip()) for name in models.split(",")] if models else zoo.names()
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"--folder {folder}: no such folder; expected one whose runs and treebanks others may read")
    return {"INTERP_SERVED_MODELS": "\n".join(listed), "INTERP_SERVED_FOLDERS": "\n".join(str(one.resolve()) for one in folders)}


def _servable(name: str) -> str:
    """A bundled model, or a folder with safetensors and no code of its own. Raises: ModelUnsupported for anything else."""
    import json

    from interp.models import zoo
    from interp.models.load import find

    if name in zoo.names() or name == "minilm":
        find(name)
        return name
    place = Path(name).expanduser()
    if not place.is_dir():
        raise ModelUnsupported(f"{name} is no bundled model and no folder; expected one of these to serve: download a hub model first")
    find(name)
    if not list(place.glob("*.safetensors")):
        raise ModelUnsupported(f"{name} holds no safetensors weights; others are not served, since a .bin file is a pickle")
    if "auto_map" in json.loads((place / "config.json").read_text(encoding="utf-8")):
        raise ModelUnsupported(f"{name} brings code of its own (auto_map in config.json), which is not run; expected a model without")
    return str(place.absolute())


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _serve(port: int, host: str, given: dict[str, str]) -> None:
    """Streamlit on the dashboard. Args: given: environment variables that tell it what to offer, and to whom."""
    import os
    import subprocess

    options = [f"--server.port={port}", f"--server.address={host}", "--browser.gatherUsageStats=false"]
    if "INTERP_SERVED_MODELS" in given:
        options.append("--client.showErrorDetails=none")  # where files lie is not for others to know
    environment = {**GIVES_BACK, **os.environ, **given}
    raise SystemExit(subprocess.call([sys.executable, "-m", "interp.dashboard", *options], env=environment))


def _found(model: str) -> str:
    """A model's name or folder, before anything is served; a folder in full, since the server may run elsewhere."""
    from interp.models.load import find

    find(model)
    return str(Path(model).expanduser().absolute()) if Path(model).expanduser().is_dir() else model
