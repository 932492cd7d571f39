"""Shards done by several processes of this machine, each with its share of the processor; a process that dies is replaced.

The processes are started afresh (spawn) and share the model's memory. The corpus is read here and nowhere else: a shard's texts go to a
process through its pipe, its totals come back as the bytes of a file. A process ends when the pipe's other end is gone.
"""

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait

import torch
from torch import multiprocessing

from interp.captures.corpus.packed import Packed
from interp.captures.corpus.shards import Shard
from interp.captures.corpus.work import Plan, work
from interp.core.errors import DataError, InterpError
from interp.models.model import Model

Executor = Callable[[Model, Plan, Iterator[Shard]], Iterator[tuple[Shard, bytes]]]
"""Does shards and gives back the bytes of each one's totals, in any order."""
TRIES = 3


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
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.packed, self.plan, self.device), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, shard: Shard) -> None:
        """Hand it a shard; that it is dead shows when its answer is awaited."""
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
                f"{self.process.exitcode}; expected one to finish it: where memory is short, take fewer workers or "
                "smaller shards; a script that starts workers does it under if __name__ == '__main__'"
            )
        self._start()
        self.give(self.shard)

    def end(self) -> None:
        """Stop the process, whatever it does."""
        self.pipe.close()
        self.process.terminate()
        self.process.join()


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


def _serve(pipe: Connection, packed: Packed, plan: Plan, device: str) -> None:
    """What a process does: shards come, answers go, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it decides
    torch.set_num_threads(plan.threads)
    model: Model | None = None
    while True:
        try:
            shard = pipe.recv()
        except EOFError:
            return
        try:
            model = model or packed.unpack(device)
            answer: object = work(model, shard, plan).to_bytes()
        except InterpError as error:
            answer = error
        except Exception:
            answer = traceback.format_exc()
        try:
            pipe.send(answer)
        except OSError:
            return
