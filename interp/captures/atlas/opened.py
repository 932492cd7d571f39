"""The folder of a run, opened to be looked at: what was run, over what, and its profile, read as far as it is used."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from interp.captures.atlas import missing
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, of_stack, opened
from interp.core.sites import Stack

RESULT, ABOUT = "profile.nc", "run.json"
HOW = "interp profile MODEL CORPUS --out FOLDER --statistics atlas"
Made = TypeVar("Made")
_SPELT = ("token_text", "neuron_top_tokens", "neuron_promoted_tokens")
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, UnicodeDecodeError)  # what h5py raises where a file does not hold what it says


@dataclass(frozen=True, kw_only=True, eq=False)
class Atlas:
    """A finished run.

    Attributes:
        folder: where it is.
        profile: its statistics, lazily: `read` gives a part of one.
        about: what was run (run.json): model, corpus, statistics, settings; empty where the folder has lost it.
        made: model, weights, corpus and versions behind the numbers.
    """

    folder: Path
    profile: Dataset = field(repr=False)
    about: Mapping[str, Any] = field(repr=False)
    made: Provenance
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def n_texts(self) -> int:
        """Texts of the corpus, or pairs."""
        return int(self.profile.attrs["n_texts"])

    @property
    def n_tokens(self) -> int:
        """Tokens that the model read."""
        return int(self.profile.attrs["n_tokens"])

    @property
    def corpus(self) -> str:
        """What the corpus is known by: its kind and size, and the hash of its token ids."""
        known = self.about.get("corpus", {})
        kind = str(known.get("kind", "")) or "corpus"
        size = f" of {known['bytes']:,} bytes" if "bytes" in known else ""
        return f"{kind}{size}, token ids {self.made.data}"

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """("",) of a model with one stack; ("E", "D", "X") over pairs."""
        return tuple(self.profile["stack"].values.tolist()) if "stack" in self.profile.coords else ("",)

    def size(self, axis: str) -> int:
        """How many layers, heads, neurons... there are; 0 without that axis."""
        return int(self.profile.sizes.get(axis, 0))

    def has(self, name: str) -> bool:
        """Whether the run kept a variable."""
        return name in self.profile

    def variable(self, name: str) -> DataArray:
        """A variable, its numbers still in the file. Raises: DataError when the run has none, with the way to get it."""
        if name not in self.profile:
            said = missing.told(name, self.about, self.about.get("statistics", ()))
            raise DataError(f"{self.folder}: {said}")
        return self.profile[name]

    def read(self, name: str, stack: Stack | None = None, **places: Any) -> DataArray:
        """A part of a variable, by places along its axes: `read("entropy", layer=2)`; an axis that it does not have is left alone.

        Args: stack: whose part, over pairs; None: all of them.
        Raises: DataError when the run has no such variable, or the file is damaged there; SiteError is the caller's to raise.
        """
        variable = self.variable(name) if stack is None else of_stack(self.variable(name), stack)
        chosen = variable.isel({axis: place for axis, place in places.items() if axis in variable.dims})
        try:
            return chosen.load()
        except _DAMAGE as error:
            raise DataError(
                f"{self.folder / RESULT} is damaged: {name} cannot be read ({error}). Delete the file and start the same run again: "
                "it goes on from its finished shards"
            ) from error

    def whole(self, name: str) -> DataArray:
        """A variable, all of it, kept for the next time. Raises: as `read`."""
        return self.once(("whole", name), lambda: self.read(name))

    def once(self, key: Any, make: Callable[[], Made]) -> Made:
        """What is asked for again and again, made once: a finished run does not change."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def spelt(self, ids: Any) -> list[str]:
        """Token ids as people read them; "#7" where the run does not say how 7 is spelt. Ids of -1 are left out."""
        wanted = [int(token) for token in np.asarray(ids).ravel() if token >= 0]
        order = sorted(set(wanted))
        words: dict[int, str] = {}
        for name in _SPELT if order else ():
            lacking = [token for token in order if not words.get(token) and token < self.size("d_vocab")]
            if lacking and self.has(name):
                spelt = self.once(name, lambda name=name: self.read(name).values)  # type: ignore[misc]
                words |= {token: str(spelt[token]) for token in lacking}
        return [words.get(token) or f"#{token}" for token in wanted]


def open_atlas(folder: str | Path) -> Atlas:
    """A run's folder, as `interp profile MODEL CORPUS --out FOLDER` makes it, or its profile.nc.

    Raises: DataError for a folder that is not there or holds no run, a run that is not finished, a file that is no profile or is damaged.

    Example:
        >>> import interp, tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     _ = interp.profile(interp.load(), ["The old man."], statistics=["entropy"], out=f"{place}/run")
        ...     open_atlas(f"{place}/run").n_tokens
        4
    """
    place = Path(folder).expanduser()
    place = place.parent if place.name == RESULT and place.is_file() else place
    _refuse(place)
    profile = opened(place / RESULT)
    if not {"provenance", "n_texts", "n_tokens"} <= set(profile.attrs) or "layer" not in profile.sizes:
        raise DataError(f"{place / RESULT} holds no profile of a corpus run; expected one that {HOW} made")
    try:
        made = Provenance.from_json(profile.attrs["provenance"])
    except (TypeError, ValueError) as error:
        raise DataError(f"{place / RESULT}: its attribute provenance cannot be read ({error}); expected what a run writes") from error
    return Atlas(folder=place, profile=profile, about=_about(place), made=made)


def _refuse(place: Path) -> None:
    if not place.is_dir():
        found = "is a file" if place.is_file() else "is not there"
        raise DataError(f"{place} {found}; expected the folder of a run: {HOW}")
    if (place / RESULT).is_file():
        return
    shards = sorted((place / "shards").glob("*.npz"))
    if (place / ABOUT).is_file() or shards:
        done = _count(shards)
        raise DataError(
            f"{place}: the run in it is not finished ({done} done so far, no {RESULT} yet); start the same run again: it goes on from there"
        )
    raise DataError(f"{place} holds no run: neither {RESULT} nor {ABOUT} is in it; expected a folder that {HOW} made")


def _count(shards: Sequence[Path]) -> str:
    return f"{len(shards)} shard{'' if len(shards) == 1 else 's'}"


def _about(place: Path) -> dict[str, Any]:
    """Raises: DataError for a run.json that cannot be read; one that was lost is no reason not to look at the result."""
    kept = place / ABOUT
    if not kept.is_file():
        return {}
    try:
        about = json.loads(kept.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{kept} cannot be read ({error}); expected what a run wrote: delete it, or take another folder") from error
    return about if isinstance(about, dict) else {}
