"""Runs in processes of their own: killed without warning, several at once, on Ray: the answer is the same to the byte. Bounded memory."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny_families import VOCABULARY, drawn, words

from interp.api import profile
from interp.captures.corpus.workers import TRIES
from interp.core.errors import DataError

SMALL = 300  # characters in a shard
SCRIPT = """
import json, resource, sys
import torch
torch.set_num_threads(1)
from interp.models.load import load_model
from interp.api import profile
options = json.loads(sys.argv[1])
model = load_model(options.pop("model"))
profile(model, options.pop("corpus"), **options)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model, saved."""
    made = tmp_path_factory.mktemp("model")
    drawn("gpt2").save_pretrained(made)
    words().save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def model(folder):
    from interp.models.load import load_model

    return load_model(str(folder))


def written(path: Path, n_texts: int) -> Path:
    """A corpus of texts of mixed lengths."""
    draw, vocabulary = random.Random(1), VOCABULARY[4:16]
    with path.open("w") as opened:
        opened.writelines(" ".join(draw.choices(vocabulary, k=draw.randint(1, 30))) + "\n" for _ in range(n_texts))
    return path


def started(folder, corpus, **options) -> subprocess.Popen:
    root = Path(__file__).parents[2]
    asked = json.dumps({"model": str(folder), "corpus": str(corpus), **options})
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, asked], cwd=root, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(folder, model, tmp_path):
    corpus = written(tmp_path / "corpus.txt", 1000)
    options = {"statistics": ["entropy", "neurons"], "shard": 2 * SMALL}
    profile(model, corpus, out=tmp_path / "whole", threads=1, **options)
    shards, draw, counts = tmp_path / "run" / "shards", random.Random(3), []
    for _ in range(4):
        before = len(list(shards.glob("*.npz")))
        process = started(folder, corpus, out=str(tmp_path / "run"), **options)
        while process.poll() is None and len(list(shards.glob("*.npz"))) < before + 2:
            time.sleep(0.01)
        time.sleep(draw.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        counts.append(len(list(shards.glob("*.npz"))))
    assert counts == sorted(counts)
    assert counts[0] >= 2
    last = started(folder, corpus, out=str(tmp_path / "run"), **options)
    last.communicate()
    assert last.returncode == 0
    assert (tmp_path / "run" / "profile.nc").read_bytes() == (tmp_path / "whole" / "profile.nc").read_bytes()
    assert not list((tmp_path / "run").rglob(".*"))


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_several_workers_give_the_same_bytes_also_when_one_is_killed(model, tmp_path, monkeypatch):
    # A fresh process runs the main module again; other tests put the dashboard's page in its place.
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    corpus = written(tmp_path / "corpus.txt", 60)
    options = {"statistics": ["entropy", "neurons"], "shard": SMALL, "threads": 1}
    profile(model, corpus, out=tmp_path / "whole", **options)
    killed, left = [], []

    def kill_one(progress):
        if not killed:
            process = active_children()[0]
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)
        left.append({process.pid for process in active_children()})

    profile(model, corpus, out=tmp_path / "run", workers=2, progress=kill_one, **options)
    assert (tmp_path / "run" / "profile.nc").read_bytes() == (tmp_path / "whole" / "profile.nc").read_bytes()
    assert killed[0] not in left[-1]
    assert not active_children()
    with pytest.raises(DataError, match=r"text 2: a int came as a text"):  # a worker's refusal is the run's
        profile(model, ["the dog", 7], workers=2, statistics=["entropy"])


def test_a_shard_that_ends_every_worker_stops_the_run(model):
    from interp.captures.corpus.packed import Packed
    from interp.captures.corpus.shards import Shard
    from interp.captures.corpus.work import Plan
    from interp.captures.corpus.workers import _Worker

    worker = _Worker(Packed.of(model), Plan(statistics=("entropy",)), "cpu")
    worker.give(Shard(number=4, first=9, items=()))
    worker.tries = TRIES
    worker.process.kill()
    worker.process.join()
    with pytest.raises(DataError, match=rf"shard 4 \(from record 10 on\) ended {TRIES} processes, the last with code -9"):
        worker.answer()


def _actors() -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes().startswith(b"ray::Holder"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.usefixtures("one_thread")
def test_ray_gives_the_same_bytes_also_when_an_actor_is_killed(model, tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install -c constraints.txt -e '.[ray]'")
    corpus = written(tmp_path / "corpus.txt", 60)
    options = {"statistics": ["entropy", "neurons"], "shard": SMALL, "threads": 1}
    profile(model, corpus, out=tmp_path / "whole", **options)
    killed = []

    def kill_one(progress):
        if not killed:
            killed.append(_actors()[0])
            os.kill(killed[0], signal.SIGKILL)

    profile(model, corpus, out=tmp_path / "run", ray="local", workers=2, progress=kill_one, **options)
    assert killed
    assert (tmp_path / "run" / "profile.nc").read_bytes() == (tmp_path / "whole" / "profile.nc").read_bytes()


def test_without_ray_the_extra_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DataError, match=r"Ray is not installed; expected the extra \[ray\]"):
        profile(model, ["the dog"], ray="local")


def test_a_corpus_ten_times_as_large_takes_the_same_memory(folder, tmp_path):
    peaks = []
    for n_texts in (1_000, 10_000):
        corpus = written(tmp_path / f"{n_texts}.txt", n_texts)
        process = started(folder, corpus, out=str(tmp_path / str(n_texts)), statistics=["entropy"], shard=20_000)
        peaks.append(int(process.communicate()[0]))
    assert peaks[1] < peaks[0] + 20e6  # the larger file is 0.6 MB; its tokens, held whole, would be some 60 MB
