"""`interp profile MODEL CORPUS --out FOLDER`: a run over a corpus, with a bar, and what stands out in its result."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from interp.captures.corpus.shards import CHARACTERS

_ALONE = "local"


def with_address(arguments: Sequence[str]) -> list[str]:
    """Command-line words in which `--ray` has an address: without one it means this machine.

    Example:
        >>> with_address(["profile", "--ray", "gpt2", "corpus.txt"]), with_address(["profile", "--ray", "10.0.0.1:6379"])
        (['profile', '--ray=local', 'gpt2', 'corpus.txt'], ['profile', '--ray', '10.0.0.1:6379'])
    """
    words = list(arguments)
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        if word == "--ray" and following not in ("auto", _ALONE) and ":" not in following:
            words[at] = f"--ray={_ALONE}"
    return words


def profile(
    model: Annotated[str, typer.Argument(help="a bundled model, minilm, a folder or a hub name")],
    corpus: Annotated[Path, typer.Argument(help=".txt (one text a line), .jsonl, .conllu, .tsv (pairs); plain or .gz")],
    out: Annotated[Path, typer.Option("--out", "-o", help="the run's folder; the same command again goes on with the run")],
    statistics: Annotated[
        str | None, typer.Option("--statistics", "-s", help="groups or head statistics, such as heads,neurons or entropy; all if not said")
    ] = None,
    field: Annotated[str | None, typer.Option(help="the text's name in a JSON object: text; for pairs source,target")] = None,
    window: Annotated[bool, typer.Option("--window", help="cut texts that are longer than the context into windows")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave out records that cannot be read, and count them")] = False,
    workers: Annotated[int, typer.Option(min=1, help="processes; with --ray actors, as many as fit if not said")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="of each worker; the machine's cores, shared out, if not said")] = None,
    ray: Annotated[str | None, typer.Option(metavar="[ADDRESS]", help="run on Ray: this machine, auto, or a cluster's host:port")] = None,
    shard: Annotated[int, typer.Option(min=1, help="characters in a part of the corpus that is done and kept together")] = CHARACTERS,
) -> None:
    """Head, neuron and residual statistics over a corpus, streaming; the result is FOLDER/profile.nc."""
    import interp
    from interp.captures.corpus.folder import refuse_place

    refuse_place(out)  # before the model is loaded
    names = None if statistics is None else [name.strip() for name in statistics.split(",")]
    loaded = interp.load(model)
    with _Bar() as bar:
        found = interp.profile(
            loaded,
            corpus,
            statistics=names,
            out=out,
            field=field,
            window=window,
            on_bad="skip" if skip_bad else "stop",
            workers=workers,
            threads=threads,
            ray=ray,
            shard=shard,
            progress=bar.show,
        )
    _tell(found, out)


def _tell(found: Any, out: Path) -> None:
    for name in ("previous", "next", "first", "induction"):
        if name in found:
            _tell_best(found[name])
    if "left_out" in found.attrs:
        print(f"left out: {found.attrs['left_out']}")
    if found.attrs["n_bad"]:
        print(f"{found.attrs['n_bad']} bad records left out, the first: {found.attrs['bad'].splitlines()[0]}")
    print(f"{found.attrs['n_texts']} texts, {found.attrs['n_tokens']} tokens -> {out / 'profile.nc'}")


def _tell_best(statistic: Any) -> None:
    if not bool(statistic.notnull().any()):
        print(f"{statistic.long_name}: no token has one")
        return
    largest = statistic.max()
    heads = [str(site) for site in statistic.site.values[(statistic == largest).values]]
    which = heads[0] if len(heads) == 1 else f"in {len(heads)} heads"  # a decoder puts 0 on the next token in all of them
    print(f"{statistic.long_name}: at most {float(largest):.3f}, {which} (n = {statistic.attrs['n']})")


class _Bar:
    """How much of the corpus is done, tokens per second, time left; on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn(), TextColumn("left"))
        self.bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), speed_estimate_period=300)
        self.task = self.bar.add_task("tokens", total=None, told="0 tokens")

    def __enter__(self) -> "_Bar":
        self.bar.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.bar.stop()

    def show(self, progress: Any) -> None:
        """Of a run's progress."""
        task = self.bar.tasks[self.task]
        speed = progress.n_tokens / max(task.elapsed or 0.0, 1e-3)
        told = f"{progress.n_tokens:,} tokens, {speed:,.0f} tokens/s"
        if progress.share is None:
            self.bar.update(self.task, told=told)
        else:
            self.bar.update(self.task, total=1.0, completed=progress.share, told=told)
