"""How long do the everyday calls take? A table; the median of several runs, comparisons side by side in one process.

python tests/benchmarks/speed.py [model]

A script, not a test: times depend on the machine and on what else runs there. Pairs that are compared take turns, so that a busy moment
hits both. Exit code 1 when a median is over its limit.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
BATCH, LENGTH = 16, 256
IMPORT_S, HELP_S, LOAD_S, RATIO = 0.3, 1.0, 3.0, 1.2


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def median_s(action: Callable[[], object], runs: int) -> float:
    return statistics.median(seconds(action) for _ in range(runs))


def in_turns(actions: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Seconds of each action, taking turns; one round to warm up is not counted."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action()
    for _ in range(runs):
        for name, action in actions.items():
            times[name].append(seconds(action))
    return times


def python(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)


class Table:
    def __init__(self) -> None:
        self.over = False
        print(f"{'what':64} {'median':>9} {'limit':>8}")

    def row(self, what: str, value: float, unit: str, limit: float | None = None) -> None:
        over = limit is not None and value > limit
        self.over |= over
        shown = "" if limit is None else f"{limit:g} {unit}"
        print(f"{what:64} {value:7.3f} {unit:2}{shown:>8}{'  OVER' if over else ''}", flush=True)


def started(table: Table) -> None:
    nothing = median_s(python("pass"), 7)
    table.row("python starts (in the next two)", nothing, "s")
    table.row("import interp", median_s(python("import interp"), 7), "s", IMPORT_S)
    show_help = "import sys; sys.argv = ['interp', '--help']; from interp.cli.main import run; run()"
    table.row("interp --help", median_s(python(show_help), 7), "s", HELP_S)


def used(table: Table, name: str) -> None:
    import torch
    import transformers

    import interp
    from interp.captures.corpus.heads import HeadMeans
    from interp.captures.corpus.neurons import NeuronMoments
    from interp.captures.corpus.pattern_statistics import STATISTICS
    from interp.captures.corpus.stream import stream
    from interp.models.load import find
    from interp.texts.tokens import windows

    def load():
        return interp.load(name)

    load()  # imports aside
    table.row(f"interp.load({name!r}), self-checked, imports aside", median_s(load, 3), "s", LOAD_S)
    model = load()
    numbers = iter(range(10**6))

    def new_sentence():
        interp.capture(model, f"The old man looked at the sea for the {next(numbers)}th time, and said nothing.")

    new_sentence()
    table.row("a new sentence captured", median_s(new_sentence, 15), "s")

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    config = transformers.AutoConfig.from_pretrained(find(name))
    auto = transformers.AutoModelForCausalLM if model.anatomy.causal else transformers.AutoModel
    plain = auto.from_pretrained(find(name), config=config, dtype=torch.float32).eval()
    n_ctx = min(LENGTH, model.anatomy.n_ctx)
    text = "The old man looked at the sea and said nothing to the woman, who had come down from the house at night. " * 400
    examples = [example for example in windows(text, model.tokenizer, n_ctx) if len(example) == n_ctx][:BATCH]
    assert len(examples) == BATCH
    ids = torch.tensor([example.ids for example in examples])

    def plain_pass():
        with torch.no_grad():
            plain(input_ids=ids).logits  # noqa: B018

    def plain_body():
        with torch.no_grad():
            plain.base_model(input_ids=ids).last_hidden_state  # noqa: B018

    def statistics_of(*reducers_made):
        return lambda: stream(model, examples, [made() for made in reducers_made])

    times = in_turns(
        {
            "plain": plain_pass,
            "body": plain_body,
            "heads": statistics_of(HeadMeans),
            "heads and neurons": statistics_of(HeadMeans, NeuronMoments),
            **{f"only {name}": statistics_of(lambda name=name: HeadMeans((name,))) for name in STATISTICS},
        },
        runs=11,
    )
    of = {name: statistics.median(taken) for name, taken in times.items()}
    shape = f"{BATCH} x {n_ctx}"
    table.row(f"plain forward pass with logits, {shape}", of["plain"], "s")
    table.row("  its body alone, without logits", of["body"], "s")
    table.row(f"streaming head statistics, all {len(STATISTICS)}, {shape}", of["heads"], "s")
    # Each round's own ratio, so that a slow moment that hits both cancels.
    ratio = statistics.median(ours / plain for ours, plain in zip(times["heads"], times["plain"], strict=True))
    table.row("  to the plain pass", ratio, "x", RATIO)
    table.row("  with neuron moments, to the plain pass", of["heads and neurons"] / of["plain"], "x")
    for name in STATISTICS:
        table.row(f"  {name} alone, to the plain pass", of[f"only {name}"] / of["plain"], "x")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="tales")
    parser.add_argument("--threads", type=int, default=None, help="torch's threads; as torch chooses by default")
    asked = parser.parse_args()
    table = Table()
    started(table)
    if asked.threads:
        import torch

        torch.set_num_threads(asked.threads)
    used(table, asked.model)
    return int(table.over)


if __name__ == "__main__":
    raise SystemExit(main())
