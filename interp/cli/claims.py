"""`interp claims`, `judge`, `relations`, `verdict`: what is said, what is tested, what came out."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from interp.cli.out import DEFAULT, ModelName, refuse_unwritable
from interp.core.errors import ClaimError
from interp.core.files import write_whole

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
def claims(
    as_json: Annotated[bool, typer.Option("--json", help="all of every claim, as JSON")] = False,
) -> None:
    """The claims of the catalogue."""
    import json

    from interp.claims.claim_files import catalogue

    known = catalogue()
    if as_json:
        print(json.dumps([claim.model_dump(mode="json") for claim in known.values()], indent=2, ensure_ascii=False))
        return
    for claim in known.values():
        print(f"{claim.id:18} {'/'.join(claim.kind):11} {claim.test.protocol:24} {claim.statement}")


@claims_app.command("show")
def show(claim: Annotated[str, typer.Argument(help="an id of the catalogue, or a YAML file")]) -> None:
    """A claim: what the document says, what is tested, by which design, and against which controls."""
    from interp.claims.claim_files import find_claim, to_yaml

    found = find_claim(claim)
    print(to_yaml(found).rstrip())
    print(f"\n# Looked at together: {found.protocol.family}")
    for control in found.protocol.controls:
        print(f"# Control: {control}")


@claims_app.command()
def calibrate(
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for runs, numbers and figures; the same command goes on with it")],
    runs: Annotated[int, typer.Option(help="nulls for each protocol; 200 and more say something, 10 show that it works")] = 200,
    protocols: Annotated[str | None, typer.Option(help="only these, such as head_relation,induction_head; all if not said")] = None,
    data: Annotated[Path | None, typer.Option("--data", "-d", help="folder of UD English EWT, for its known fixed offsets")] = None,
    minutes: Annotated[float, typer.Option(help="begin no run after so many; the same command goes on another time")] = math.inf,
) -> None:
    """Judge cases whose truth is known: false positives, p-values, power, the winner's curse, known tables. Hours for 200 runs."""
    from interp.claims.calibration.runs import calibrate as calibrated
    from interp.figures.calibration import calibration_figures
    from interp.figures.figure import Figure

    chosen = () if protocols is None else tuple(name.strip() for name in protocols.split(","))
    found = calibrated(runs, out=out, protocols=chosen, treebank=data, minutes=minutes, progress=_tell)
    print(found)
    write_whole(out / "calibration.json", found.to_json() + "\n")
    for name, drawn in calibration_figures(found).items():
        Figure(drawn).save(out / f"{name}.svg")


def judge(
    claims: Annotated[list[str] | None, typer.Argument(help="ids of the catalogue (see `interp claims`), or YAML files")] = None,
    every: Annotated[bool, typer.Option("--all", help="every claim of the catalogue")] = False,
    models: Annotated[
        str, typer.Option("--model", "--models", "-m", help="a bundled model, minilm, a folder or a hub name; a,b for several")
    ] = DEFAULT,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            "-d",
            help="a .conllu treebank, .txt, or grammar (generated sentences); a,b: of several claims the first that serves, of one each",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="where to write the verdict (.json); of several verdicts, a folder")
    ] = None,
    figure: FigureFile = None,
    seed: Seed = 0,
    plan: Annotated[bool, typer.Option("--plan", help="only say what would be run, with what power and for how long")] = False,
    stages: Annotated[Path | None, typer.Option(help="folder for long parts; the same command with it goes on with a stopped run")] = None,
    workers: Annotated[int, typer.Option(min=1, help="processes, for several verdicts")] = 1,
) -> None:
    """Test claims until there are verdicts. The same command again goes on with a stopped run of several."""
    names = [name.strip() for name in models.split(",")]
    read = [] if data is None else [data] if Path(data).exists() else [one.strip() for one in data.split(",")]
    if every or len(claims or []) > 1 or len(names) > 1 or len(read) > 1:
        if plan or stages or (figure and (every or len(claims or []) > 1)):
            raise ClaimError(
                "--plan, --figure or --stages came with several claims; expected them with one (--plan and --stages: on one model)"
            )
        if every or len(claims or []) > 1:
            _judge_many(claims or [], every, names, read, out, seed, workers)
        else:
            _judge_across((claims or [""])[0], names, read, out, figure, seed, workers)
        return
    if not claims:
        raise typer.BadParameter("no claim came; expected an id of `interp claims`, a YAML file, or --all")
    _judge_one(claims[0], names[0], read, out, figure, seed, plan, stages)


def _judge_many(claims: list[str], every: bool, models: list[str], data: list[str], out: Path | None, seed: int, workers: int) -> None:
    from collections import Counter

    import interp
    from interp.claims.claim_files import catalogue

    if out is None:
        raise ClaimError("several verdicts were asked for; expected --out FOLDER to keep them in")
    chosen = list(catalogue()) if every else claims
    found = interp.judge_many(chosen, models, data, out=out, seed=seed, workers=workers, progress=_tell)
    for one in found:
        told = (
            f"not run: {one.why_not}"
            if one.verdict is None
            else f"{one.verdict.outcome.upper():14} {one.verdict.reason:17} {one.claim.statement}"
        )
        print(f"{one.claim.id:18} {one.model:12} {told}")
    counts = Counter("not run" if one.verdict is None else one.verdict.outcome for one in found)
    print(", ".join(f"{n} {outcome}" for outcome, n in counts.most_common()))


def _judge_across(claim: str, models: list[str], data: list[str], out: Path | None, figure: Path | None, seed: int, workers: int) -> None:
    """One claim on every model and every data, each data in a folder of its own."""
    import interp
    from interp.claims.claim_files import find_claim

    if out is None:
        raise ClaimError("several verdicts were asked for; expected --out FOLDER to keep them in")
    refuse_unwritable(figure, figure=True)
    stems = [Path(read).stem for read in data]
    if len(set(stems)) < len(stems):
        raise ClaimError(f"the data {', '.join(data)} came, of which two are named alike; expected files with names of their own")
    needed = data if find_claim(claim).needs else []
    found = [
        one
        for read in needed or [""]
        for one in interp.judge_many(
            [claim], models, [read] if read else [], out=out / Path(read).stem, seed=seed, workers=workers, progress=_tell
        )
    ]
    for one in found:
        if one.verdict is None or one.verdict.outcome == "not applicable":
            print(f"{one.model}: {one.why_not or (one.verdict and one.verdict.summary)}")
    together = interp.across([one.verdict for one in found if one.verdict is not None])
    print(together)
    if figure is not None:
        interp.figure(together).save(figure)


def _judge_one(
    claim: str, model: str, read: list[str], out: Path | None, figure: Path | None, seed: int, plan: bool, stages: Path | None
) -> None:
    import interp

    data = read[0] if read else None
    refuse_unwritable(out)
    refuse_unwritable(figure, figure=True)
    loaded = interp.load(model)
    if plan:
        print(interp.plan(claim, loaded, data, seed=seed))
        return
    verdict = interp.judge(claim, loaded, data, seed=seed, stages=stages, progress=_tell)
    print(verdict)
    _keep(verdict, out, figure)


def report(
    folder: Annotated[
        Path, typer.Argument(help="verdicts (`interp judge --out`), a corpus run (`interp profile --out`), or pinned figures, unpacked")
    ],
) -> None:
    """Write a folder as a report: verdicts as a page to filter, Markdown, CSV and JSON; a run or pinned figures as a page and a PDF."""
    import interp

    print(interp.report(folder))


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
