"""Long parts of a run, kept in a folder, so that a run that was stopped goes on behind the last one that was finished.

A folder belongs to one run: claim, model, data, seed, the source and the versions of what computes. Another run in it is refused: mixed
parts would be a verdict on nothing. A stage is a dictionary of arrays, written to one file in one move.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from interp.core.errors import ClaimError

Arrays = dict[str, np.ndarray]
_FILE = "run.json"


class Stages:
    """The finished parts of one run, kept in a folder, or in `memory`, a dictionary of the caller's; without either nothing is kept.

    A dictionary belongs to one run as a folder does: that it does is the caller's business.
    """

    def __init__(self, folder: Path | None = None, *, memory: dict[str, Arrays] | None = None):
        self.folder, self.memory = folder, memory

    def get(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """The part `name`, made now unless the folder has it.

        Raises: ClaimError for a file that cannot be read, by name.

        Example:
            >>> Stages().get("twin 0", lambda: {"accuracy": np.ones(2)})["accuracy"].tolist()
            [1.0, 1.0]
        """
        if self.memory is not None:
            return self.memory[name] if name in self.memory else self.memory.setdefault(name, make())
        if self.folder is None:
            return make()
        file = self.folder / f"{name.replace(' ', '-')}.npz"
        if not file.exists():
            _write(file, make())
        return _read(file)


def open_stages(folder: Path, run: Mapping[str, str]) -> Stages:
    """Stages kept in `folder`, which is made, and marked as this run's.

    Args:
        run: what makes it this run and no other.
    Raises: ClaimError when the folder holds another run, naming what differs, or something that is no run.
    """
    marked = folder / _FILE
    if marked.exists():
        _same(marked, run)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ClaimError(f"{folder} holds files and is no run of a claim; expected a new folder, or one that such a run began")
    folder.mkdir(parents=True, exist_ok=True)
    partial = marked.with_suffix(".partial")
    partial.write_text(json.dumps(dict(run), indent=2), encoding="utf-8")
    os.replace(partial, marked)
    return Stages(folder)


def _same(marked: Path, run: Mapping[str, str]) -> None:
    try:
        before = json.loads(marked.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ClaimError(f"{marked} cannot be read ({error}); delete the folder and run again") from error
    differing = [name for name in run if before.get(name) != run[name]]
    if differing:
        told = "; ".join(f"{name}: {before.get(name)}, now {run[name]}" for name in differing)
        raise ClaimError(f"{marked.parent} holds another run ({told}); expected a folder of its own for each run")


def _write(file: Path, arrays: Arrays) -> None:
    partial = file.with_suffix(".partial.npz")
    np.savez(partial, allow_pickle=False, **arrays)
    os.replace(partial, file)


def _read(file: Path) -> Arrays:
    try:
        with np.load(file, allow_pickle=False) as saved:
            return dict(saved)
    except (OSError, ValueError) as error:
        raise ClaimError(f"{file} cannot be read ({error}); delete it: that part is then run again") from error
