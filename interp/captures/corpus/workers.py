"""Shards done by several processes of this machine, each with its share of the processor; a process that dies is replaced.

Each process is a fresh Python that runs `serve` and nothing else. `multiprocessing` would start it with the main module, and so run a
script again that has no `if __name__ == "__main__"`, as no Streamlit page has. What is its own: connections, and tensors whose memory the
processes share. The corpus is read here and nowhere else: a shard's texts go to a process through its pipe, its totals come back as the
bytes of a file. A process ends when the pipe's other end is gone.
"""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import Pipe, current_process
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from interp.captures.corpus.packed import Packed
from interp.captures.corpus.shards import Shard
from interp.captures.corpus.work import Plan, work
from interp.core.errors import DataError, InterpError, ModelUnsupported
from interp.models.model import Model

Executor = Callable[[Model, Plan, Iterator[Shard]], Iterator[tuple[Shard, bytes]]]
"""Does shards and gives back the bytes of each one's totals, in any order."""
TRIES = 3
PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from interp.captures.corpus.workers import serve; serve(int(sys.argv[1]))"


def in_processes(n: int) -> Executor:
    """An executor of `n` processes. Raises, on the way: what the work raised; DataError when a shard ended three processes."""

    def run(model: Model, plan: Plan, shards: Iterator[Shard]) -> Iterator[tuple[Shard, bytes]]:
        packed, cards = Packed.of(model), torch.cuda.device_count() if model.device.type == "cuda" else 0
        crew = [_Worker(packed, plan, f"cuda:{number % cards}" if cards else str(model.device)) for number in range(n)]
        try:
            yield from _dealt(crew, shards)
        finally:
            for worker in crew:
                worker.end()

    return run


class _Worker:
    """One process, and the shard that it has."""

    def __init__(self, packed: Packed, plan: Plan, device: str):
        self.packed, self.plan, self.device = packed, plan, device
        self.shard: Shard | None = None
        self.tries = 0
        self._start()

    def _start(self) -> None:
        self.pipe, theirs = Pipe()
        command = [sys.executable, "-c", PROGRAM, str(theirs.fileno()), *sys.path]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **_inherited(theirs))
        theirs.close()
        with suppress(OSError):  # that it is dead shows when its answer is awaited
            self.pipe.send_bytes(current_process().authkey)
            self.pipe.send((self.packed, self.plan, self.device))

    def give(self, shard: Shard) -> None:
        """Hand it a shard."""
        self.shard, self.tries = shard, self.tries + 1
        with suppress(OSError):
            self.pipe.send(shard)

    def answer(self) -> bytes | None:
        """What came of its shard; None when the process died, which is then replaced and given the shard again."""
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self._replace()
            return None
        if isinstance(answer, InterpError):
            raise answer
        if isinstance(answer, str):
            raise RuntimeError(f"a worker failed:\n{answer}")
        self.tries = 0
        return answer

    def _replace(self) -> None:
        assert self.shard is not None
        self.end()
        if self.tries >= TRIES:
            raise DataError(
                f"shard {self.shard.number} (from record {self.shard.first + 1} on) ended {TRIES} processes, the last with code "
                f"{self.process.returncode}; expected one to finish it: where memory is short, take fewer workers or smaller shards"
            )
        self._start()
        self.give(self.shard)

    def end(self) -> None:
        """Stop the process, whatever it does."""
        self.pipe.close()
        self.process.terminate()
        self.process.wait()


def _dealt(crew: list[_Worker], shards: Iterator[Shard]) -> Iterator[tuple[Shard, bytes]]:
    """Each worker has one shard at a time, and no shard is read before a worker is free."""
    idle = list(crew)
    while True:
        while idle and (shard := next(shards, None)) is not None:
            idle.pop().give(shard)
        at_work = {worker.pipe: worker for worker in crew if worker not in idle}
        if not at_work:
            return
        for pipe in wait(list(at_work)):
            worker = at_work[pipe]  # type: ignore[index]
            answer = worker.answer()
            if answer is not None:
                idle.append(worker)
                assert worker.shard is not None
                yield worker.shard, answer


def _inherited(pipe: Connection) -> dict[str, Any]:
    """For `Popen`: let a process have a pipe."""
    if sys.platform != "win32":
        return {"pass_fds": [pipe.fileno()]}
    os.set_handle_inheritable(pipe.fileno(), True)
    return {"close_fds": False}


def serve(handle: int) -> None:
    """What a process does: it is told what to do; then shards come and answers go, until the pipe ends.

    Args: handle: of the pipe, as the system numbers it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it decides
    pipe = type(Pipe()[0])(handle)
    with suppress(EOFError, OSError):
        current_process().authkey = pipe.recv_bytes()  # memory is shared between those who know it
        answer = _answers(pipe)
        while True:
            pipe.send(answer(pipe.recv()))


def _answers(pipe: Connection) -> Callable[[Shard], object]:
    """From a shard to the bytes of its totals, or to the reason why there are none."""
    try:
        packed, plan, device = pipe.recv()
    except (AttributeError, ImportError) as error:
        refusal = ModelUnsupported(
            f"a worker cannot be handed the model ({error}); what is written in the script itself is not known there: put it into a "
            "module that can be imported, or take workers=1"
        )
        return lambda shard: refusal
    torch.set_num_threads(plan.threads)
    model: Model | None = None

    def answer(shard: Shard) -> object:
        nonlocal model
        try:
            model = model or packed.unpack(device)
            return work(model, shard, plan).to_bytes()
        except InterpError as error:
            return error
        except Exception:
            return traceback.format_exc()

    return answer
