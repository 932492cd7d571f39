"""The folder of a run: what is run, the finished shards, the result. Everything in it is whole or not there.

    run.json                what is run: model, corpus, statistics, settings, versions
    shards/000012.npz       what is left of a finished shard
    profile.nc              the result

A file is written beside its place, brought to the disk, and moved there in one step; a run that is killed leaves at most a hidden
".partial" file, which the next one sweeps away. Two processes cannot work in one folder.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from interp.captures.corpus.shards import Shard
from interp.captures.corpus.work import Done
from interp.core.errors import DataError

try:
    import fcntl
except ImportError:  # Windows: nothing keeps a second process out there
    fcntl = None  # type: ignore[assignment]


class RunFolder:
    """A run's folder, held by this process until `close`.

    Args:
        path: is made where it is not there; its parent must be.
        about: what is run: names -> values of JSON.
        free: names that may differ; the folder's own value counts.
    Attributes: about: what is run, as the folder has it.
    Raises: DataError when another run is in it, by the name of what differs; when another process is at work; when it cannot be written.
    """

    def __init__(self, path: str | Path, about: dict[str, Any], *, free: tuple[str, ...] = ()):
        self.path = Path(path)
        refuse_place(self.path)
        self._lock: int | None = None
        self._made = not self.path.exists()
        try:
            (self.path / "shards").mkdir(parents=True, exist_ok=True)
            self._hold()
            self.about = self._settled(about, free)
            self._sweep()
        except DataError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise DataError(f"{path}: no run can be kept there ({error}); expected a folder that can be written") from error

    def _hold(self) -> None:
        if fcntl is None:
            return
        self._lock = os.open(self.path, os.O_RDONLY)  # the folder itself: the system lets go of it however the process ends
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"{self.path}: another process is at work on this run; wait for its end, or give another folder") from error

    def _settled(self, about: dict[str, Any], free: tuple[str, ...]) -> dict[str, Any]:
        kept = self.path / "run.json"
        if not kept.is_file():
            self.write(kept, (json.dumps(about, indent=1, sort_keys=True) + "\n").encode())
            return about
        try:
            there = json.loads(kept.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{kept} cannot be read ({error}); expected what a run wrote: give another folder") from error
        differs = [name for name in about if name not in free and there.get(name) != about[name]]
        if differs:
            told = "; ".join(f"{name} is {there.get(name)!r} there, {about[name]!r} here" for name in differs)
            raise DataError(f"{self.path} holds another run: {told}. Give another folder, or delete this one")
        return there

    def _sweep(self) -> None:
        for partial in [*self.path.glob(".*.partial"), *(self.path / "shards").glob(".*.partial")]:
            partial.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another process have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def forget(self) -> None:
        """Take the folder away again when this process made it and nothing was finished: what was asked could not be run."""
        if self._made and not any((self.path / "shards").iterdir()):
            (self.path / "run.json").unlink(missing_ok=True)
            (self.path / "shards").rmdir()
            self.path.rmdir()

    def shard(self, number: int) -> Path:
        """Where a shard's file is, or will be."""
        return self.path / "shards" / f"{number:06}.npz"

    def keep(self, number: int, written: bytes) -> None:
        """Keep a finished shard. Raises: DataError when it cannot be written; those before it stay."""
        self.write(self.shard(number), written)

    def finished(self, shard: Shard) -> bool:
        """True when a shard is done; a file that cannot be read counts for nothing. Raises: DataError when it was of other texts."""
        if not self.shard(shard.number).is_file():
            return False
        try:
            done = self.read(shard.number)
        except DataError:
            return False
        if done.digest != shard.digest:
            raise DataError(
                f"{self.path} holds a run of another corpus: shard {shard.number} (from record {shard.first + 1} on) has other texts now; "
                "give another folder, or delete this one"
            )
        return True

    def read(self, number: int) -> Done:
        """A finished shard. Raises: DataError for a file that is damaged."""
        return Done.from_bytes(self.shard(number).read_bytes())

    def write(self, path: Path, content: bytes) -> None:
        """In one step."""

        def put(partial: Path) -> None:
            with partial.open("wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())

        self.put(path, put)

    def put(self, path: Path, writer: Callable[[Path], object]) -> None:
        """Have a file written and moved to its place in one step. Raises: DataError when that fails; nothing half-written is left."""
        partial = path.with_name(f".{path.name}.partial")
        try:
            writer(partial)
            os.replace(partial, path)
        except OSError as error:
            with suppress(OSError):
                self._sweep()
            raise DataError(
                f"{path} cannot be written ({error}); the finished shards are kept: make room there, then start the same run again"
            ) from error


def refuse_place(path: Path) -> None:
    """Raises: DataError for a file, or a place in a folder that does not exist."""
    if path.suffix == ".nc" or (path.exists() and not path.is_dir()):
        raise DataError(f"{path} is a file's name; expected a folder for the run, such as run/ (its result is run/profile.nc)")
    if not path.absolute().parent.is_dir():
        raise DataError(f"{path}: the folder {path.absolute().parent} does not exist; make it first")
