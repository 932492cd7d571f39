"""`interp hierarchy`, `interp senses`: probes by layer, with the test of the order; and what brings a word's sense."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from interp.cli.out import DEFAULT, ModelName, refuse_unwritable

Data = Annotated[str, typer.Argument(help='a .conllu treebank, or "grammar" for generated sentences')]
Words = Annotated[int, typer.Option("--words", min=200, help="words drawn, evenly over documents")]
Seed = Annotated[int, typer.Option(help="of the draw, the split and the resamples")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="where to write the numbers (.nc)")]
FigureFile = Annotated[Path | None, typer.Option("--figure", help="where to write the figure (.pdf .svg .png .html .csv)")]


def _tell(what: str) -> None:
    print(f"... {what}", file=sys.stderr)


def hierarchy(
    data: Data = "grammar",
    model: ModelName = DEFAULT,
    tasks: Annotated[str, typer.Option(help="of upos, chunk, head_distance, deprel, sense; in the claimed order")] = (
        "upos,chunk,head_distance,deprel"
    ),
    words: Words = 1500,
    seed: Seed = 0,
    out: Out = None,
    figure: FigureFile = None,
) -> None:
    """Which task can be read at which layer, and do they arise in this order? Probes, control tasks, untrained twins."""
    import interp

    refuse_unwritable(out)
    refuse_unwritable(figure, figure=True)
    chosen = [task.strip() for task in tasks.split(",")]
    found = interp.hierarchy(interp.load(model), data, tasks=chosen, n_items=words, seed=seed, progress=_tell)
    print(found)
    if out is not None:
        interp.save(found.probes, out)
    if figure is not None:
        interp.figure(found).save(figure)


def senses(
    data: Data = "grammar", model: ModelName = DEFAULT, words: Words = 1500, seed: Seed = 0, out: Out = None, figure: FigureFile = None
) -> None:
    """At which layer is an ambiguous word's sense there, and what do attention and FFN each add to it?"""
    import interp

    refuse_unwritable(out)
    refuse_unwritable(figure, figure=True)
    found = interp.disambiguation(interp.load(model), data, n_items=words, seed=seed, progress=_tell)
    print(found)
    if out is not None:
        interp.save(found.probes, out)
    if figure is not None:
        interp.figure(found).save(figure)
