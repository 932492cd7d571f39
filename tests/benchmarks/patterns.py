"""What do five head statistics cost over a corpus, beside the model's own pass and beside what else is at hand? A table.

python tests/benchmarks/patterns.py [--contexts 256 1024] [--rounds 3] [--threads N] [--long 16384] [--layers N]

A script, not a test: times depend on the machine and on what else runs there. A model of GPT-2-small's shape with random weights, one text
of each length in --contexts; previous token, first token, entropy, mean distance and induction of each head, the same numbers from each:

    pass, logits        the plain forward pass, SDPA, with logits
    pass                the same without the unembedding
    ours                interp: `stream` with HeadMeans
    bridge              TransformerLens: run_with_cache, then reduce the patterns, as people write it
    bridge, stop        the same, with names_filter for the patterns and stop_at_layer
    output_attentions   transformers, eager, then reduce
    nnsight             patterns saved in a trace, then reduce; where nnsight is installed

Each has a process of its own, which lives through the benchmark and works in its turn, so that a busy moment hits all; seconds are medians
over the rounds, peak memory is the operating system's account of the process (ru_maxrss), model and libraries included. "cpu" is the
processor's time in seconds, which other people's load touches less. Each one's numbers are compared with the first that gave any.
"""

import argparse
import atexit
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), "PYTHONWARNINGS": "ignore"}
NAMES = ("previous", "first", "entropy", "distance", "induction")
TARGETS = {  # context -> (times as fast as the bridge, at most; of the pass with logits: time, at most; and peak memory, at most)
    1024: (2.8, 0.7, None),
    4096: (4.5, 1.0, 0.8),
}
Work = Callable[[], object]


# --- One way of doing it, in a process of its own --------------------------------------------------------------------------------------


def plain_model(context: int, layers: int, implementation: str = "sdpa"):
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(n_positions=context, n_layer=layers, attn_implementation=implementation)
    model = transformers.GPT2LMHeadModel(config).eval()
    for block in model.transformer.h:  # untrained queries see all keys alike: a trained model's scores are larger
        block.attn.c_attn.weight.data *= 4.0
    model.config.architectures = ["GPT2LMHeadModel"]
    return model


def ids_of(context: int):
    import torch

    generator = torch.Generator().manual_seed(context)
    return torch.randint(0, 2000, (1, context), generator=generator)


def reduced(patterns, ids) -> dict[str, list[float]]:
    """The five statistics of whole patterns, layer by layer, as one would write them. Patterns: (batch, head, query, key)."""
    import torch

    n = ids.shape[-1]
    positions = torch.arange(n)
    same = (ids[0][:, None] == ids[0][None]).tril(-1)
    targets = torch.where(same, positions, -1).amax(-1) + 1
    has = same.any(-1) & (targets < positions)
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for pattern in patterns:
        one = pattern[0].detach()
        found["previous"] += one.diagonal(-1, 1, 2).mean(-1).tolist()
        found["first"] += one[:, 1:, 0].mean(-1).tolist()
        found["entropy"] += torch.special.entr(one).sum(-1).mean(-1).tolist()
        found["distance"] += (one * (positions[:, None] - positions)).sum(-1).mean(-1).tolist()
        found["induction"] += one[:, positions[has], targets[has]].mean(-1).tolist()
    return found


def tokenizer():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    marks = {"unk_token": "a", "bos_token": "a", "eos_token": "a", "pad_token": "a"}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")), **marks)


def passing(context: int, layers: int, *, logits: bool) -> Work:
    import torch

    model, ids = plain_model(context, layers), ids_of(context)

    def work() -> None:
        with torch.no_grad():
            (model if logits else model.base_model)(input_ids=ids, use_cache=False)

    return work


def ours(context: int, layers: int) -> Work:
    from interp.captures.corpus.heads import HeadMeans
    from interp.captures.corpus.stream import stream
    from interp.models.load import load_model
    from interp.texts.example import Example

    model = load_model(plain_model(context, layers), tokenizer())
    ids = ids_of(context)[0].tolist()
    nothing = {"tokens": ("",) * context, "spans": ((0, 0),) * context, "special": (False,) * context}
    examples = [Example(text="", ids=tuple(ids), **nothing)]

    def work() -> dict[str, list[float]]:
        found = stream(model, examples, [HeadMeans(NAMES)], max_tokens=context)
        return {name: found[name].values.ravel().tolist() for name in NAMES}

    return work


def bridge(context: int, layers: int, *, stop: bool) -> Work:
    import tempfile

    import torch
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoTokenizer

    folder = tempfile.mkdtemp()  # the bridge wants a tokenizer that was loaded from a place, and looks there again
    atexit.register(shutil.rmtree, folder)
    tokenizer().save_pretrained(folder)
    loaded = AutoTokenizer.from_pretrained(folder)
    model = plain_model(context, layers, "eager")
    wrapped = TransformerBridge.boot_transformers("gpt2", hf_model=model, tokenizer=loaded, device="cpu")
    ids = ids_of(context)
    only = {"names_filter": lambda name: name.endswith("hook_pattern"), "stop_at_layer": layers} if stop else {}

    def work() -> dict[str, list[float]]:
        with torch.no_grad():
            cache = wrapped.run_with_cache(ids, prepend_bos=False, **only)[1]
        return reduced((cache[f"blocks.{layer}.attn.hook_pattern"] for layer in range(layers)), ids)

    return work


def output_attentions(context: int, layers: int) -> Work:
    import torch

    model, ids = plain_model(context, layers, "eager"), ids_of(context)

    def work() -> dict[str, list[float]]:
        with torch.no_grad():
            patterns = model(input_ids=ids, use_cache=False, output_attentions=True).attentions
        return reduced(patterns, ids)

    return work


def nnsight(context: int, layers: int) -> Work:
    import torch
    from nnsight import NNsight

    model, ids = plain_model(context, layers, "eager"), ids_of(context)
    seen = NNsight(model)

    def work() -> dict[str, list[float]]:
        with torch.no_grad(), seen.trace(input_ids=ids, use_cache=False):
            patterns = list().save()  # noqa: C408
            for block in seen.transformer.h:
                patterns.append(block.attn.output[1])
        return reduced(patterns, ids)

    return work


WAYS: dict[str, Callable[[int, int], Work]] = {
    "pass, logits": lambda context, layers: passing(context, layers, logits=True),
    "pass": lambda context, layers: passing(context, layers, logits=False),
    "ours": ours,
    "bridge": lambda context, layers: bridge(context, layers, stop=False),
    "bridge, stop": lambda context, layers: bridge(context, layers, stop=True),
    "output_attentions": output_attentions,
    "nnsight": nnsight,
}


def serve(way: str, context: int, layers: int, threads: int) -> None:
    """Set up, then do the work once for every line that comes, and answer with what it took."""
    answers, sys.stdout = sys.stdout, sys.stderr
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(threads)
    work = WAYS[way](context, layers)
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        began, cpu = time.perf_counter(), time.process_time()
        found = work()
        took = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**took, "memory": memory, "found": found}), file=answers, flush=True)


# --- All of them, in turns ---------------------------------------------------------------------------------------------------------------


class Worker:
    """A process that works when it is told to."""

    def __init__(self, way: str, context: int, layers: int, threads: int):
        self.way, self.took = way, []
        command = [sys.executable, __file__, "--serve", way, "--contexts", str(context), "--layers", str(layers), "--threads", str(threads)]
        environment = {**ENVIRONMENT, "OMP_NUM_THREADS": str(threads)}
        pipe, log = subprocess.PIPE, subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True, env=environment)
        self.alive = True

    def wait(self) -> None:
        """Until it is set up. They set up beside each other, and work one at a time."""
        self.alive = self.process.stdout.readline() == "ready\n"

    def work(self, *, count: bool) -> None:
        if not self.alive:
            return
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.alive = bool(line)
        if count and line:
            self.took.append(json.loads(line))

    def median(self, what: str) -> float:
        return statistics.median(one[what] for one in self.took)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measured(ways: list[str], context: int, layers: int, rounds: int, threads: int) -> dict[str, Worker]:
    workers = {way: Worker(way, context, layers, threads) for way in ways}
    for worker in workers.values():
        worker.wait()
    for number in range(rounds + 1):  # the first warms up
        for worker in workers.values():
            worker.work(count=number > 0)
    for worker in workers.values():
        worker.close()
    return {way: worker for way, worker in workers.items() if worker.took}


def ratio(workers: dict[str, Worker], way: str, other: str, what: str = "seconds") -> float:
    """The median of each round's own ratio, so that a slow moment that hits both cancels."""
    return statistics.median(one[what] / two[what] for one, two in zip(workers[way].took, workers[other].took, strict=True))


def table(workers: dict[str, Worker], ways: list[str], context: int) -> None:
    print(
        f"\n{context} tokens{'':14}{'seconds':>9}{'cpu':>8}{'of the pass':>13}{'ours is':>9}{'peak MB':>9}  largest difference", flush=True
    )
    whole = next((worker.took[0]["found"] for worker in workers.values() if worker.took[0]["found"]), None)
    for way in ways:
        if way not in workers:
            print(f"{way:24} did not run: not installed, or not enough memory")
            continue
        worker = workers[way]
        to_pass = f"{ratio(workers, way, 'pass, logits'):11.2f} x" if "pass, logits" in workers else ""
        ours_is = f"{ratio(workers, way, 'ours'):7.2f} x" if "ours" in workers else ""
        print(
            f"{way:24}{worker.median('seconds'):9.2f}{worker.median('cpu'):8.2f}{to_pass:>13}{ours_is:>9}{worker.median('memory'):9.0f}"
            f"  {difference(worker.took[0]['found'], whole)}",
            flush=True,
        )
    for line in targets(workers, context):
        print(line, flush=True)


def difference(found: dict[str, list[float]] | None, whole: dict[str, list[float]] | None) -> str:
    if not found or not whole:
        return ""
    return f"{max(abs(a - b) / max(1.0, abs(b)) for name in NAMES for a, b in zip(found[name], whole[name], strict=True)):.1e}"


def targets(workers: dict[str, Worker], context: int) -> list[str]:
    if context not in TARGETS or not {"ours", "pass, logits"} <= workers.keys():
        return []
    faster, share, memory = TARGETS[context]
    rows = [("of the pass with logits, time", ratio(workers, "ours", "pass, logits"), share, False)]
    if "bridge" in workers:
        rows.append(("times as fast as the bridge", ratio(workers, "bridge", "ours"), faster, True))
    if memory is not None:
        rows.append(("of the pass with logits, peak memory", ratio(workers, "ours", "pass, logits", "memory"), memory, False))
    return [
        f"    {what:38} {value:5.2f}  {'at least' if least else 'at most'} {limit}{'  MISSED' if (value < limit) == least else ''}"
        for what, value, limit, least in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contexts", type=int, nargs="*", default=[256, 1024, 4096])
    parser.add_argument("--long", type=int, default=16384, help="a length for ours alone; 0 for none")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--serve", choices=list(WAYS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        return serve(asked.serve, asked.contexts[0], asked.layers, asked.threads)
    ways = [way for way in asked.ways if way != "nnsight" or importlib.util.find_spec("nnsight")]
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    print(f"{asked.layers} layers, {asked.threads} threads, {asked.rounds} rounds; {load}", flush=True)
    if len(ways) < len(asked.ways):
        print("nnsight is not installed (pip install nnsight): left out")
    for context in asked.contexts:
        table(measured(ways, context, asked.layers, asked.rounds, asked.threads), ways, context)
    if asked.long:
        table(measured(["ours"], asked.long, asked.layers, 1, asked.threads), ["ours"], asked.long)
    return None


if __name__ == "__main__":
    main()
