"""How long does work take, beside other work, on a machine that does other things too?

All works are timed in turn, in an order drawn anew for each round: what slows the machine down for a while slows all of a round. In a round
each is done three times and the middle time is kept. What is compared is within rounds; a round is one observation.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

REPEATS = 3
Work = Callable[[], object]


def interleaved_s(works: Sequence[Work], *, rounds: int, seed: int, device: torch.device) -> np.ndarray:
    """Seconds of each work in each round, axes (round, work). A first, untimed time is not kept.

    Example:
        >>> interleaved_s([lambda: sum(range(9)), lambda: None], rounds=4, seed=0, device=torch.device("cpu")).shape
        (4, 2)
    """
    rng = np.random.default_rng(seed)
    for work in works:
        _timed_s(work, device)
    found = np.empty((rounds, len(works)))
    for row in found:
        for number in rng.permutation(len(works)):
            row[number] = np.median([_timed_s(works[number], device) for _ in range(REPEATS)])
    return found


def _timed_s(work: Work, device: torch.device) -> float:
    _finished(device)
    began = time.perf_counter()
    work()
    _finished(device)
    return time.perf_counter() - began


def _finished(device: torch.device) -> None:
    """Devices other than the CPU go on while Python does."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize(device)


def exponents(values: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """The slope of ln(value) over ln(size) by least squares: 1 for what grows in proportion, 0 for what does not grow.

    Args:
        values: above 0, axes (..., size).
        sizes: above 0, not all alike.
    Returns: axes (...).

    Example:
        >>> exponents(np.array([2.0, 8.0, 32.0]), [1, 2, 4]).round(6).tolist()
        2.0
    """
    across = np.log(np.asarray(sizes, dtype=float))
    across = across - across.mean()
    return np.asarray((np.log(values) * across).sum(-1) / (across**2).sum())
