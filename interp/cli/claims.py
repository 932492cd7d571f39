"""`interp claims`, `judge`, `relations`, `verdict`: what is said, what is tested, what came out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from interp.cli.out import DEFAULT, ModelName, refuse_unwritable, write_whole

Seed = Annotated[int, typer.Option(help="of the split, the resamples and the random tokens")]
FigureFile = Annotated[Path | None, typer.Option("--figure", help="where to write its figure (.pdf .svg .png .html .csv)")]


def _tell(what: str) -> None:
    print(f"... {what}", file=sys.stderr)


def claims() -> None:
    """The claims of the catalogue."""
    from interp.claims.claim_files import catalogue

    for claim in catalogue().values():
        print(f"{claim.id:10} {'/'.join(claim.kind):6} {claim.statement}")


def judge(
    claim: Annotated[str, typer.Argument(help="an id of the catalogue (see `interp claims`), or a YAML file")],
    model: ModelName = DEFAULT,
    data: Annotated[Path | None, typer.Option("--data", "-d", help="a .conllu treebank, or .txt for claims about plain text")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="where to write the verdict (.json)")] = None,
    figure: FigureFile = None,
    seed: Seed = 0,
    plan: Annotated[bool, typer.Option("--plan", help="only say what would be run, with what power and for how long")] = False,
    stages: Annotated[Path | None, typer.Option(help="folder for long parts; the same command with it goes on with a stopped run")] = None,
) -> None:
    """Test a claim until there is a verdict."""
    import interp

    refuse_unwritable(out)
    refuse_unwritable(figure, figure=True)
    loaded = interp.load(model)
    if plan:
        print(interp.plan(claim, loaded, data, seed=seed))
        return
    verdict = interp.judge(claim, loaded, data, seed=seed, stages=stages, progress=_tell)
    print(verdict)
    if out is not None:
        write_whole(out, verdict.to_json() + "\n")
    if figure is not None:
        interp.figure(verdict).save(figure)


def relations(
    treebank: Annotated[Path, typer.Argument(help="a .conllu file")],
    model: ModelName = DEFAULT,
    names: Annotated[
        str | None, typer.Option("--names", help="relations, such as obj,nsubj:pass; eleven frequent ones if not said")
    ] = None,
    untrained: Annotated[int, typer.Option(min=0, help="untrained twins; with fewer than 5 nothing is supported")] = 5,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="where to write the verdicts (.json)")] = None,
    figure: FigureFile = None,
    seed: Seed = 0,
) -> None:
    """For each relation of a treebank: which head points from one end to the other, and how much better than the best fixed offset."""
    import interp
    from interp.claims.relation_table import RELATIONS

    refuse_unwritable(out)
    refuse_unwritable(figure, figure=True)
    chosen = RELATIONS if names is None else [name.strip() for name in names.split(",")]
    table = interp.relations(interp.load(model), treebank, names=chosen, n_untrained=untrained, seed=seed, progress=_tell)
    print(table)
    if out is not None:
        write_whole(out, table.to_json() + "\n")
    if figure is not None:
        interp.figure(table).save(figure)


def verdict(
    file: Annotated[Path, typer.Argument(help="a verdict by `interp judge --out`")],
    figure: FigureFile = None,
) -> None:
    """Print a verdict that was kept, and say whether its claim was edited since."""
    import interp
    from interp.claims.kept import edited

    refuse_unwritable(figure, figure=True)
    kept = interp.read_verdict(file)
    print(kept)
    if edited(kept):
        print(f"NOTE: {edited(kept)}")
    if figure is not None:
        interp.figure(kept).save(figure)
