"""Shards done by Ray's actors, on this machine or a cluster: one for each GPU, or for each group of cores, holding the model.

What moves: the model once to each node, a shard's texts to an actor, its totals back. The corpus is read, and the results are kept and
merged, where the run was started; nothing is shared between machines but Ray. An actor that dies is started again by Ray and its shard
done again; what comes back is the same, since `work` knows of nothing but its shard.
"""

import os
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from interp.captures.corpus.packed import Packed
from interp.captures.corpus.shards import Shard
from interp.captures.corpus.work import Plan, work
from interp.captures.corpus.workers import TRIES, Executor
from interp.core.errors import DataError, InterpError
from interp.models.model import Model

LOCAL = "local"


def on_ray(address: str = LOCAL, *, actors: int | None = None) -> Executor:
    """An executor of actors.

    Args:
        address: "local" starts Ray on this machine for this run; "auto" or "host:port" joins a cluster, "ray://host:port" from outside.
        actors: how many; None for as many as the GPUs, or the cores by the threads of a worker, allow.
    Raises: DataError at once where Ray is not installed; on the way when it cannot be reached, or a shard ended its actor again and again.
    """
    try:
        import ray
    except ImportError as error:
        raise DataError("Ray is not installed; expected the extra [ray]: pip install -c constraints.txt -e '.[ray]'") from error

    def run(model: Model, plan: Plan, shards: Iterator[Shard]) -> Iterator[tuple[Shard, bytes]]:
        started = _joined(ray, address, plan.threads if actors is None else plan.threads * actors)
        try:
            packed = ray.put(Packed.of(model))  # kept here for as long as an actor may be started again
            yield from _dealt(ray, _crew(ray, model, packed, plan, actors), shards)
        finally:
            if started:
                ray.shutdown()

    return run


def _joined(ray: Any, address: str, cores: int) -> bool:
    """Connect. Returns: True when this run has to take its leave at the end."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default, which starves beside any other work
    where = {"address": "local", "num_cpus": max(cores, os.cpu_count() or 1), "include_dashboard": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's own, about its coming versions
            ray.init(**(where if address == LOCAL else {"address": address}), log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise DataError(f"Ray cannot be reached at {address!r} ({error}); expected 'local', 'auto' or host:port of a cluster") from error
    return True


def _crew(ray: Any, model: Model, packed: Any, plan: Plan, actors: int | None) -> list[Any]:
    on_cards = model.device.type == "cuda"
    there = ray.cluster_resources()
    n = actors or int(there.get("GPU", 0) if on_cards else there.get("CPU", 1) // plan.threads)
    if n < 1:
        raise DataError(f"Ray has {there.get('GPU', 0):g} GPUs and {there.get('CPU', 0):g} cores; expected one for a worker at least")
    options = {"num_cpus": plan.threads, "num_gpus": 1 if on_cards else 0, "max_restarts": -1, "max_task_retries": TRIES - 1}
    return [ray.remote(Holder).options(**options).remote([packed], plan, "cuda" if on_cards else "cpu") for _ in range(n)]


def _dealt(ray: Any, crew: list[Any], shards: Iterator[Shard]) -> Iterator[tuple[Shard, bytes]]:
    """Each actor has one shard at a time, and no shard is read before an actor is free."""
    idle, at_work = list(crew), {}
    while True:
        while idle and (shard := next(shards, None)) is not None:
            actor = idle.pop()
            at_work[actor.work.remote(shard)] = (actor, shard)
        if not at_work:
            return
        (ready, *_), _ = ray.wait(list(at_work), num_returns=1)
        actor, shard = at_work.pop(ready)
        idle.append(actor)
        yield shard, _answer(ray, ready, shard)


def _answer(ray: Any, ready: Any, shard: Shard) -> bytes:
    try:
        answer = ray.get(ready)
    except ray.exceptions.RayError as error:
        raise DataError(
            f"shard {shard.number} (from record {shard.first + 1} on) ended its actor {TRIES} times ({error}); expected one to finish it: "
            "where memory is short, take fewer workers or smaller shards"
        ) from error
    if isinstance(answer, InterpError):
        raise answer
    if isinstance(answer, str):
        raise RuntimeError(f"an actor failed:\n{answer}")
    return answer


class Holder:
    """The actor: holds the model, does one shard after another.

    Args: packed: a list of one reference to the model, which the actor fetches itself, also when it is started again.
    """

    def __init__(self, packed: list[Any], plan: Plan, device: str):
        import ray

        torch.set_num_threads(plan.threads)
        self.model, self.plan = ray.get(packed[0]).unpack(device), plan

    def work(self, shard: Shard) -> bytes | InterpError | str:
        """The bytes of its totals; an error is handed back, since one of ours is no reason to try again."""
        try:
            return work(self.model, shard, self.plan).to_bytes()
        except InterpError as error:
            return error
        except Exception:
            return traceback.format_exc()
