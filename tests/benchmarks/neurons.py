"""What do statistics of all neurons cost beside the forward pass that they are taken from? A table; rounds in which all take turns.

python tests/benchmarks/neurons.py [--texts 4] [--length 1024] [--rounds 3] [--batches 16] [--wall]

GPT-2-small's shape with random weights, random tokens. Moments (share of active tokens among them), histogram and top-10 examples of all
36,864 neurons, without labels, to the plain transformers model's pass without logits, on the same batch. The first batch of a corpus is the
worst for examples: every neuron's are new; the second is different text. The limit is for a corpus: --batches of them one after another,
from the first on, the plain pass over each beside it. "nothing" is interp's own pass while nobody watches. A script, not a test. Seconds
are the process's own on the processor, so that it may run beside other work; --wall takes the clock's. Ratios are those of each round,
their median is given; for the corpus that of the sums. Exit code 1 when that is over the limit.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

os.environ.setdefault("HF_HUB_OFFLINE", "1")
LIMIT = 1.15
BODY = "the plain pass, without logits"


def seconds(action: Callable[[], object], clock: Callable[[], float]) -> float:
    began = clock()
    action()
    return clock() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in {"texts": 4, "length": 1024, "rounds": 3, "batches": 16, "threads": 0, "layers": 12}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--wall", action="store_true", help="the clock's seconds, for a machine with nothing else to do")
    asked = parser.parse_args()
    clock = time.perf_counter if asked.wall else time.process_time

    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from interp.captures.corpus.batches import Batch
    from interp.captures.corpus.neuron_examples import NeuronExamples
    from interp.captures.corpus.neurons import NeuronHistogram, NeuronMoments
    from interp.captures.corpus.stream import fold
    from interp.models.load import load_model
    from interp.texts.example import Example

    if asked.threads:
        torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    tokenizer = load_model("tales").tokenizer
    plain = GPT2LMHeadModel(GPT2Config(n_layer=asked.layers)).eval()
    model = load_model(plain, tokenizer)

    def batch(first: int) -> Batch:
        rows = torch.randint(0, 50257, (asked.texts, asked.length)).tolist()
        one = {"text": "", "tokens": ("",) * asked.length, "spans": ((0, 0),) * asked.length, "special": (False,) * asked.length}
        return Batch.of([(first + number, Example(ids=tuple(row), **one)) for number, row in enumerate(rows)], model.device)

    batches = [batch(0), batch(asked.texts)]
    makers = {"moments": NeuronMoments, "histogram": NeuronHistogram, "examples": lambda: NeuronExamples(model)}
    every = [make() for make in makers.values()]
    ours: dict[str, Callable[[], object]] = {
        "all, first batch": lambda: fold(model, batches[0], [make() for make in makers.values()]),
        "all, second batch": lambda: fold(model, batches[1], every),
        "nothing": lambda: model.run(batches[0].ids, logits=False),
        **{f"{name} alone, first batch": lambda make=make: fold(model, batches[0], [make()]) for name, make in makers.items()},
    }

    @torch.no_grad()
    def body(on: Batch = batches[0]) -> object:
        return plain.base_model(input_ids=on.ids, use_cache=False)

    body()
    fold(model, batches[0], every)
    rounds = []
    for number in range(asked.rounds):
        times = {BODY: seconds(body, clock)}
        kept = {id(reducer): {name: top.copy() for name, top in reducer.totals.top.items()} for reducer in every}
        times |= {name: seconds(action, clock) for name, action in ours.items()}
        for reducer in every:
            reducer.totals.top = kept[id(reducer)]  # the second batch is the second one in each round
        # The body before and after: a machine that slows down or speeds up meanwhile cancels.
        times[BODY] = (times[BODY] + seconds(body, clock)) / 2
        rounds.append(times)
        print(f"round {number}: " + ", ".join(f"{name} {taken:.2f} s" for name, taken in times.items()), file=sys.stderr, flush=True)
    print(
        f"{asked.texts} x {asked.length} tokens, {model.anatomy.n_layers} layers, threads {torch.get_num_threads()}, {asked.rounds} rounds"
    )
    for name in rounds[0]:
        ratio = statistics.median(times[name] / times[BODY] for times in rounds)
        print(f"{name:32} {statistics.median(times[name] for times in rounds):8.2f} s {ratio:8.3f} x")
    fresh, taken = [make() for make in makers.values()], []
    for number in range(asked.batches):
        here = batch(number * asked.texts)
        taken.append((seconds(partial(fold, model, here, fresh), clock), seconds(partial(body, here), clock)))
    all_s, body_s = map(sum, zip(*taken, strict=True))
    ratio, late = all_s / body_s, [ours / theirs for ours, theirs in taken[len(taken) // 2 :]]
    print(
        f"{f'all, a corpus of {asked.batches} batches':32} {all_s:8.2f} s {ratio:8.3f} x; its second half {statistics.median(late):.3f} x"
    )
    print(f"limit for a corpus: {LIMIT} x{'  OVER' if ratio > LIMIT else ''}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
