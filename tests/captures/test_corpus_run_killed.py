"""Runs in processes of their own: killed without warning, several at once, on Ray: the answer is the same to the byte. Bounded memory."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe
from pathlib import Path

import pytest
import torch
from tiny_families import VOCABULARY, drawn, words

from interp.api import profile
from interp.captures.corpus import workers
from interp.captures.corpus.workers import TRIES
from interp.core.errors import DataError, ModelUnsupported
from interp.models.load import load_model

SMALL = 300  # characters in a shard
PROGRAM = """
import json, os, sys, traceback
import torch
torch.set_num_threads(1)
from interp.models.load import load_model
from interp.api import profile

def work(options):
    profile(load_model(options.pop("model")), options.pop("corpus"), **options)

for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            work(json.loads(line))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(child, flush=True)
    _, status, used = os.wait4(child, 0)
    print(os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024, flush=True)
"""


def saved(name: str, folder: Path) -> Path:
    """A tiny model, in a folder."""
    drawn(name).save_pretrained(folder)
    words().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved("gpt2", tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


@pytest.fixture(params=["gpt2", "marian"])
def kind(request, tmp_path) -> tuple[Path, str, list[str]]:
    """A model that reads texts and one that reads pairs: its folder, the kind of its corpus, and statistics that it has."""
    pairs = request.param == "marian"
    made = saved(request.param, tmp_path / "model")
    return made, "corpus.tsv" if pairs else "corpus.txt", ["entropy", "hits" if pairs else "neurons"]


def written(path: Path, n_texts: int) -> Path:
    """A corpus of texts of mixed lengths, or of pairs of them."""
    draw, vocabulary = random.Random(1), VOCABULARY[4:16]

    def text() -> str:
        return " ".join(draw.choices(vocabulary, k=draw.randint(1, 30)))

    with path.open("w") as opened:
        opened.writelines("\t".join(text() for _ in range(1 + (path.suffix == ".tsv"))) + "\n" for _ in range(n_texts))
    return path


class Runs:
    """Runs in processes of their own, one at a time: copies of one process that has imported what they need and done nothing else."""

    def __init__(self) -> None:
        command, root = [sys.executable, "-W", "ignore", "-c", PROGRAM], Path(__file__).parents[2]
        environment, pipe = {**os.environ, "OMP_NUM_THREADS": "1"}, subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True, env=environment)

    def start(self, folder, corpus, **options) -> int:
        """Begin one. Returns: its process id."""
        self.process.stdin.write(json.dumps({"model": str(folder), "corpus": str(corpus), **options}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def ended(self) -> tuple[int, int]:
        """Wait for its end. Returns: its exit code, and the largest memory that it took, in bytes."""
        code, peak = self.process.stdout.readline().split()
        return int(code), int(peak)


@pytest.fixture(scope="module")
def runs():
    made = Runs()
    yield made
    made.process.stdin.close()
    made.process.wait()
    made.process.stdout.close()


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(kind, tmp_path, runs):
    folder, name, statistics = kind
    corpus = written(tmp_path / name, 1000 if name == "corpus.txt" else 200)  # pairs of one length in both are few, so they run by ones
    options = {"statistics": statistics, "shard": 2 * SMALL}
    profile(load_model(str(folder)), corpus, out=tmp_path / "whole", threads=1, **options)
    shards, draw, counts = tmp_path / "run" / "shards", random.Random(3), []
    for _ in range(4):
        before = len(list(shards.glob("*.npz")))
        process, began = runs.start(folder, corpus, out=str(tmp_path / "run"), **options), time.monotonic()
        while len(list(shards.glob("*.npz"))) < before + 2:
            time.sleep(0.01)
            assert time.monotonic() < began + 60
        time.sleep(draw.random() * 0.2)
        os.kill(process, signal.SIGKILL)
        assert runs.ended()[0] == -signal.SIGKILL
        counts.append(len(list(shards.glob("*.npz"))))
    assert counts == sorted(counts)
    assert counts[0] >= 2
    assert counts[-1] < len(list((tmp_path / "whole" / "shards").glob("*.npz")))  # none of them came to its end
    runs.start(folder, corpus, out=str(tmp_path / "run"), **options)
    assert runs.ended()[0] == 0
    assert (tmp_path / "run" / "profile.nc").read_bytes() == (tmp_path / "whole" / "profile.nc").read_bytes()
    assert not list((tmp_path / "run").rglob(".*"))


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_several_workers_give_the_same_bytes_also_when_one_is_killed(tmp_path, monkeypatch):
    model, corpus = load_model(str(saved("marian", tmp_path / "model"))), written(tmp_path / "corpus.tsv", 60)
    options = {"statistics": ["entropy", "hits"], "shard": SMALL, "threads": 1}
    profile(model, corpus, out=tmp_path / "whole", **options)
    started: list[subprocess.Popen] = []

    class Seen(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(workers.subprocess, "Popen", Seen)

    def kill_one(progress):
        if len(started) == 2 and started[0].returncode is None:  # another report may come before the one that replaces it starts
            os.kill(started[0].pid, signal.SIGKILL)
            started[0].wait()

    profile(model, corpus, out=tmp_path / "run", workers=2, progress=kill_one, **options)
    assert (tmp_path / "run" / "profile.nc").read_bytes() == (tmp_path / "whole" / "profile.nc").read_bytes()
    assert len(started) == 3
    assert started[0].returncode == -signal.SIGKILL
    assert all(process.returncode is not None for process in started)  # none is left


@pytest.mark.usefixtures("one_thread")
def test_a_refusal_of_a_worker_is_the_runs(model):
    with pytest.raises(DataError, match=r"text \d: (a int|1 text) came"):
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
    worker.process.wait()
    with pytest.raises(DataError, match=rf"shard 4 \(from record 10 on\) ended {TRIES} processes, the last with code -9"):
        worker.answer()


def test_a_model_that_only_the_script_knows_is_refused_by_a_worker(monkeypatch):
    monkeypatch.setattr(workers.signal, "signal", lambda *which: None)  # this process goes on
    ours, theirs = Pipe()
    ours.send_bytes(bytes(multiprocessing.current_process().authkey))
    ours.send_bytes(b"c__main__\nOfTheScript\n.")
    ours.send("a shard")
    served = threading.Thread(target=workers.serve, args=(os.dup(theirs.fileno()),))
    served.start()
    answer = ours.recv()
    ours.close()
    served.join()
    assert isinstance(answer, ModelUnsupported)
    assert "OfTheScript" in str(answer)
    assert "put it into a module that can be imported, or take workers=1" in str(answer)


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
def test_ray_gives_the_same_bytes_also_when_an_actor_is_killed(kind, tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install -c constraints.txt -e '.[ray]'")
    folder, name, statistics = kind
    model, corpus = load_model(str(folder)), written(tmp_path / name, 60)
    options = {"statistics": statistics, "shard": SMALL, "threads": 1}
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


def test_a_corpus_ten_times_as_large_takes_the_same_memory(folder, tmp_path, runs):
    peaks = []
    for n_texts in (1_000, 10_000):
        corpus = written(tmp_path / f"{n_texts}.txt", n_texts)
        runs.start(folder, corpus, out=str(tmp_path / str(n_texts)), statistics=["entropy"], shard=20_000)
        code, peak = runs.ended()
        assert code == 0
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 20e6  # the larger file is 0.6 MB; its tokens, held whole, would be some 60 MB
