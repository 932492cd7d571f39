"""`interp claims`, `judge`, `relations`, `verdict`: what is said, what is tested, what came out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from interp.cli.out import DEFAULT, ModelName, refuse_unwritable, write_whole

if TYPE_CHECKING:
    from interp.claims.relation_table import RelationTable
    from interp.claims.verdict import Verdict

Seed = Annotated[int, typer.Option(help="of the split, the resamples and the random tokens")]
FigureFile = Annotated[Path | None, typer.Option("--figure", help="where to write its figure (.pdf .svg .png .html .csv)")]


def _tell(what: str) -> None:
    print(f"... {what}", file=sys.stderr)


def _keep(result: "Verdict | RelationTable", out: Path | None, figure: Path | None) -> None:
    import interp

    if out is not None:
        write_whole(out, result.to_json() + "\n")
    if figure is not None:
        interp.figure(result).save(figure)


class _ListsByItself(TyperGroup):
    """`interp claims` alone lists them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["list"])


claims_app = typer.Typer(cls=_ListsByItself, help="The claims of the catalogue; and can the engine that judges them be trusted?")


@claims_app.command("list")
def claims() -> None:
    """The claims of the catalogue."""
    from interp.claims.claim_files import catalogue

    for claim in catalogue().values():
        print(f"{claim.id:10} {'/'.join(claim.kind):6} {claim.statement}")


@claims_app.command()
def calibrate(
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for runs, numbers and figures; the same command goes on with it")],
    runs: Annotated[int, typer.Option(help="for each kind of null; 200 and more say something, 10 show that it works")] = 200,
    protocols: Annotated[str | None, typer.Option(help="only these, such as head_relation,induction_head; all if not said")] = None,
) -> None:
    """Judge cases whose truth is known: false positives, p-values, power, the winner's curse. Hours for 200 runs."""
    from interp.claims.calibration.runs import calibrate as calibrated
    from interp.figures.calibration import calibration_figures
    from interp.figures.figure import Figure

    chosen = () if protocols is None else tuple(name.strip() for name in protocols.split(","))
    found = calibrated(runs, out=out, protocols=chosen, progress=_tell)
    print(found)
    write_whole(out / "calibration.json", found.to_json() + "\n")
    for name, drawn in calibration_figures(found).items():
        Figure(drawn).save(out / f"{name}.svg")


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
    _keep(verdict, out, figure)


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
    _keep(table, out, figure)


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
    _keep(kept, None, figure)
