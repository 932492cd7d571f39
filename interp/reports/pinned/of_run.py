"""A corpus run's folder as pins: a map of every statistic of its heads and experts, in the profile's order, for each stack."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from interp.captures.atlas.opened import Atlas, open_atlas
from interp.captures.atlas.statistics import Part, statistic, statistics
from interp.core.errors import DataError
from interp.core.sites import Stack
from interp.figures.from_results import head_map
from interp.reports.pinned.pin import Pin

_MAPS: tuple[Part, ...] = ("heads", "experts")


def pins_of_run(folder: str | Path) -> tuple[str, list[Pin]]:
    """Title and pins of a finished run.

    Raises: DataError for a folder without one, or a run that kept no statistic of heads or experts.
    """
    atlas = open_atlas(folder)
    pins = [pin for part in _MAPS for name in statistics(atlas, part) for pin in _maps(atlas, part, name)]
    if not pins:
        raise DataError(f"{folder} holds no statistic of heads or experts to map; look it up with `interp atlas {folder}`")
    return f"{atlas.made.model} over {atlas.n_texts:,} texts, {atlas.n_tokens:,} tokens", pins


def _maps(atlas: Atlas, part: Part, name: str) -> Iterator[Pin]:
    for stack in atlas.stacks:
        result = statistic(atlas, name, stack)
        if not np.isfinite(result.values).any():
            continue  # cross-attention has no previous token, and no experts
        yield Pin(
            name=f"{Path(atlas.made.model).name}-{stack}{name}",
            description=head_map(result.rename(expert="head") if part == "experts" else result),
            python=_python(atlas, part, name, stack),
        )


def _python(atlas: Atlas, part: Part, name: str, stack: Stack) -> str:
    of_stack = f", {stack!r}" if stack else ""
    renamed = '.rename(expert="head")' if part == "experts" else ""
    lines = [
        "import interp",
        "from interp.captures.atlas import statistics",
        f"atlas = interp.atlas({str(atlas.folder)!r})",
        f"interp.figure(statistics.statistic(atlas, {name!r}{of_stack}){renamed})",
    ]
    return "\n".join(lines)
