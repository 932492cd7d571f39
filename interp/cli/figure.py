"""`interp figure KIND ...`: one figure of one text, of a run, of verdicts, of a training; each kind a line in the table below."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interp.cli.out import DEFAULT, ModelName, refuse_unwritable
from interp.core.errors import DataError, TextError

if TYPE_CHECKING:
    from interp.captures.activations import Activations


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the options say."""

    head: str | None
    statistic: str | None
    layer: int
    stack: Any
    token: str | None
    against: str | None


def _pattern(seen: "Activations", asked: Asked) -> Any:
    return seen.pattern(asked.head or f"{seen.model.anatomy.main.stack}L0H0")


def _lines(seen: "Activations", asked: Asked) -> Any:
    import interp

    return interp.word_lines(_pattern(seen, asked))


def _heads(seen: "Activations", asked: Asked) -> Any:
    return seen.head_map(asked.statistic or "entropy", asked.stack)


def _experts(seen: "Activations", asked: Asked) -> Any:
    return seen.experts(asked.layer, asked.stack)


def _contributions(seen: "Activations", asked: Asked) -> Any:
    """By its id and its place where no token is named: the same word may stand earlier in the text, a token be part of a character."""
    more: dict[str, Any] = {} if asked.against is None else {"against": asked.against}
    if asked.token is not None:
        return seen.contributions(asked.token, **more)
    row = seen.row()
    last = len(row) - 1
    if last < 1:
        raise TextError("the text has 1 token, which no token before it predicts; expected two or more, or --token")
    return seen.contributions(row.ids[last], pos=last - 1, **more)


def _neurons(seen: "Activations", asked: Asked) -> Any:
    return seen.neurons(asked.layer, asked.stack)


def _lens(seen: "Activations", asked: Asked) -> Any:
    import interp

    return interp.logit_lens(seen.model, seen.example.text)


def _statistic(folder: str, asked: Asked) -> Any:
    import interp
    from interp.captures.atlas import statistics

    atlas = interp.atlas(folder)
    name = asked.statistic or next(iter(statistics.statistics(atlas, "heads")), "")
    found = statistics.statistic(atlas, name, asked.stack or atlas.stacks[0])
    return found.rename(expert="head") if found.dims == ("layer", "expert") else found


def _verdict(file: str, asked: Asked) -> Any:
    import interp

    return interp.read_verdict(file)


def _forest(folder: str, asked: Asked) -> Any:
    """The verdicts of one claim that lie in a folder: `interp judge CLAIM --models a,b --out FOLDER`."""
    import interp
    from interp.reports.collected import collect

    return interp.across([row.verdict for row in collect(folder) if row.verdict is not None])


def _training(name: str, asked: Asked) -> Any:
    import interp

    return interp.training(name)


OF_TEXT: dict[str, Callable[["Activations", Asked], Any]] = {
    "pattern": _pattern,
    "lines": _lines,
    "heads": _heads,
    "experts": _experts,
    "contributions": _contributions,
    "neurons": _neurons,
    "lens": _lens,
}
OF_FILE: dict[str, tuple[str, Callable[[str, Asked], Any]]] = {
    "statistic": ("a run's folder", _statistic),
    "verdict": ("a verdict's file", _verdict),
    "forest": ("a folder of one claim's verdicts", _forest),
    "training": ("a bundled model", _training),
}


def figure(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(OF_TEXT)} of a text; {', '.join(OF_FILE)} of what was measured")],
    what: Annotated[str, typer.Argument(help=f"the text; for {'; for '.join(f'{kind}: {told}' for kind, (told, _) in OF_FILE.items())}")],
    out: Annotated[Path, typer.Option("--out", "-o", help=".pdf .svg .png .html or .csv")],
    model: ModelName = DEFAULT,
    target: Annotated[str | None, typer.Option(help="for an encoder-decoder: what its decoder writes")] = None,
    head: Annotated[
        str | None,
        typer.Option(help="for pattern and lines: the head, such as L0H1; in an encoder-decoder EL0H1, DL0H1 or XL0H1 (cross-attention)"),
    ] = None,
    statistic: Annotated[
        str | None, typer.Option(help="for heads: entropy, previous, next, first, distance, induction...; for a run: any that it kept")
    ] = None,
    layer: Annotated[int, typer.Option(help="for neurons and experts: the layer")] = 0,
    stack: Annotated[str | None, typer.Option(help="of an encoder-decoder: E, D or X; D if not said")] = None,
    token: Annotated[str | None, typer.Option(help="for contributions: toward which token; the last of the text if none is named")] = None,
    against: Annotated[str | None, typer.Option(help="for contributions: against which token")] = None,
    window: Annotated[bool, typer.Option("--window", help="take as much of a longer text's beginning as fits the context")] = False,
    width: Annotated[str, typer.Option(help="of PDF, SVG and PNG: one column (89 mm) or two (183 mm)")] = "one",
) -> None:
    """Write one figure: of one text, of a run, of verdicts, of a training."""
    import interp

    if kind not in OF_TEXT and kind not in OF_FILE:
        raise DataError(f"{kind!r} is not a figure; expected one of: {', '.join([*OF_TEXT, *OF_FILE])}")
    refuse_unwritable(out, figure=True)
    if width not in ("one", "two"):
        raise DataError(f"width={width!r} came; expected 'one' (89 mm) or 'two' columns (183 mm)")
    asked = Asked(head=head, statistic=statistic, layer=layer, stack=stack, token=token, against=against)
    if kind in OF_FILE:
        result = OF_FILE[kind][1](what, asked)
    else:
        result = OF_TEXT[kind](interp.capture(interp.load(model), what, target=target, window=window), asked)
    print(interp.figure(result).save(out, width=width))  # type: ignore[arg-type]
