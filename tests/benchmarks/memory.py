"""Does a run over a large corpus take more memory than over a small one? A table: the peak that the operating system counted for each.

python tests/benchmarks/memory.py [--megabytes 1 100] [--statistics entropy,neurons]

A tiny decoder of one layer with random weights, so that reading, cutting, packing and merging are most of the work; each corpus, texts of
mixed lengths, by a fresh process with one thread into a folder of its own. A script, not a test: 100 MB are 19 million tokens. Exit code 1
when the largest corpus took over 50 MB more than the smallest; held whole, its tokens alone would be some 2 GB.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
TESTS = Path(__file__).parents[1]
GROWTH = 50e6  # bytes: a shard's lists, and what the allocator keeps
LONGEST = 60  # words of a text
RUN = """
import json, resource, sys, time
from interp.api import profile
from interp.models.load import load_model
model, corpus, out, statistics = sys.argv[1:]
loaded, began = load_model(model), time.process_time()
found = profile(loaded, corpus, out=out, statistics=statistics.split(","), threads=1)
told = {"tokens": found.attrs["n_tokens"], "s": time.process_time() - began}
print(json.dumps(told | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def write_model(folder: Path) -> list[str]:
    """Save the decoder and its tokenizer. Returns: its words."""
    sys.path.insert(0, str(TESTS))
    from tiny_families import GPT2, VOCABULARY, words
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(**{**GPT2, "n_layer": 1, "n_positions": 2 * LONGEST})).save_pretrained(folder)
    words().save_pretrained(folder)
    return VOCABULARY[4:25]


def write_corpus(path: Path, size: int, vocabulary: list[str]) -> None:
    """Texts of 1 to 60 words, one a line, until there are `size` bytes."""
    draw = random.Random(0)
    with path.open("w") as opened:
        while opened.tell() < size:
            opened.writelines(" ".join(draw.choices(vocabulary, k=draw.randint(1, LONGEST))) + "\n" for _ in range(100))


def measured(model: Path, corpus: Path, out: Path, statistics: str) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS.parent), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", RUN, str(model), str(corpus), str(out), statistics]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, nargs="+", default=[1, 100])
    parser.add_argument("--statistics", default="entropy,neurons")
    asked = parser.parse_args()
    print(f"{'corpus':>10} {'tokens':>12} {'processor':>10} {'tokens/s':>10} {'peak':>9}")
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        vocabulary = write_model(place / "model")
        for size in asked.megabytes:
            write_corpus(place / "corpus.txt", int(size * 1e6), vocabulary)
            found = measured(place / "model", place / "corpus.txt", place / f"{size:g}", asked.statistics)
            peaks[size] = found["peak"]
            rate = found["tokens"] / found["s"]
            print(f"{size:7g} MB {found['tokens']:12,} {found['s']:8.1f} s {rate:10,.0f} {found['peak'] / 1e6:6.0f} MB", flush=True)
    return int(peaks[max(peaks)] > peaks[min(peaks)] + GROWTH)


if __name__ == "__main__":
    sys.exit(main())
