"""What a profile holds of one neuron: its numbers among all others', how its activations are spread, its top texts, what it promotes.

A neuron of a dense FFN, or of a mixture's shared experts, is "L3N100"; one of an expert "L1E2N7". Over pairs "EL3N100" is the encoder's,
"DL3N100" the decoder's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from interp.captures.atlas.excerpts import Excerpt, excerpts
from interp.captures.atlas.heads import Standing, Tokens, standing
from interp.captures.atlas.opened import Atlas
from interp.captures.atlas.statistics import PREFIX, Part, statistic, statistics
from interp.core.errors import SiteError
from interp.core.results import DataArray
from interp.core.sites import Stack

SORTS: tuple[Part, ...] = ("neurons", "expert neurons", "shared neurons")
_WRITTEN = re.compile(r"([ED]?)L(\d+)(?:E(\d+))?N(\d+)")


@dataclass(frozen=True, kw_only=True)
class Neuron:
    """Where a neuron is. `expert` is None but in the sort "expert neurons"."""

    sort: Part
    stack: Stack = ""
    layer: int
    expert: int | None
    index: int

    def __str__(self) -> str:
        return f"{self.stack}L{self.layer}{'' if self.expert is None else f'E{self.expert}'}N{self.index}"

    @property
    def places(self) -> dict[str, int]:
        """Along the axes of a stack's variable."""
        return {"layer": self.layer, "neuron": self.index, **({} if self.expert is None else {"expert": self.expert})}

    def name(self, variable: str) -> str:
        """What a variable is called for this sort of neurons."""
        return f"{PREFIX[self.sort]}{variable}"


def neuron(atlas: Atlas, written: str, sort: Part | None = None) -> Neuron:
    """A neuron by its name.

    Args: sort: where a name could mean two, as with shared experts beside dense layers; None: what the profile has.
    Raises: SiteError for what is no neuron, or not there.

    Example:
        >>> str(Neuron(sort="expert neurons", layer=1, expert=2, index=7))
        'L1E2N7'
    """
    found = _WRITTEN.fullmatch(written.strip())
    if not found:
        raise SiteError(f"{written!r} is no neuron; expected the form L3N100, of an expert L1E2N7, of an encoder EL3N100, from 0")
    stack = cast(Stack, found[1])
    layer, expert, index = (None if part is None else int(part) for part in found.groups()[1:])
    kinds = [each for each in SORTS if (each == "expert neurons") == (expert is not None) and statistics(atlas, each)]
    sort = sort if sort in kinds else next(iter(kinds), None)
    places = {"layer": layer, "neuron": index, **({} if expert is None else {"expert": expert})}
    if sort is None or not _there(atlas, sort, stack, places):
        told = ", ".join(f"{atlas.size(axis)} {axis}s" for axis in ("layer", "expert", "neuron") if atlas.size(axis))
        of = "" if atlas.stacks == ("",) else " in an encoder E and a decoder D"
        raise SiteError(f"{written!r} is not in this profile; it has {told}{of}, counted from 0")
    assert layer is not None  # the pattern has it
    assert index is not None
    return Neuron(sort=sort, stack=stack, layer=layer, expert=expert, index=index)


def kind_of(written: str) -> tuple[Stack, bool] | None:
    """Which stack a name is of, and whether it is an expert's; None for what is no neuron.

    Example:
        >>> kind_of("EL1E2N7"), kind_of("L3N100"), kind_of("L3H1")
        (('E', True), ('', False), None)
    """
    found = _WRITTEN.fullmatch(written.strip())
    return (cast(Stack, found[1]), found[3] is not None) if found else None


def _there(atlas: Atlas, sort: Part, stack: Stack, places: Mapping[str, int | None]) -> bool:
    if stack == "":
        return atlas.stacks == ("",) and all((at or 0) < atlas.size(axis) for axis, at in places.items())
    every = statistic(atlas, next(iter(statistics(atlas, sort))), stack) if stack in atlas.stacks else None
    return every is not None and all(at in every[axis] for axis, at in places.items())


def sorts(atlas: Atlas) -> list[Part]:
    """Which sorts of neurons the profile holds."""
    return [sort for sort in SORTS if statistics(atlas, sort)]


def standings(atlas: Atlas, one: Neuron) -> list[Standing]:
    """Every statistic of a neuron that has a number."""
    found = []
    for name, long_name in statistics(atlas, one.sort).items():
        every = statistic(atlas, name, one.stack)
        if not all(at in every[axis] for axis, at in one.places.items()):
            continue  # a statistic that this stack's neurons do not have
        value = float(every.sel(one.places))
        if np.isfinite(value):
            found.append(standing(name, long_name, value, every))
    return found


def histogram(atlas: Atlas, one: Neuron) -> DataArray:
    """Tokens by activation: axis (bin), from the least to the largest that was seen; lower edges in the coordinate bin_from."""
    counts = atlas.read(one.name("neuron_histogram"), one.stack, **one.places)
    used = np.flatnonzero(counts.values)
    return counts.isel(bin=slice(used.min(), used.max() + 1)) if len(used) else counts


def top_texts(atlas: Atlas, one: Neuron) -> list[Excerpt]:
    """The tokens at which a neuron is most active, the largest activation first."""
    names = ("neuron_top", "neuron_top_text", "neuron_top_pos", "neuron_top_ids")
    values, texts, positions, windows = (atlas.read(one.name(name), one.stack, **one.places) for name in names)
    offsets = windows["offset"].values.tolist()
    return excerpts(atlas, values.values, texts.values, positions.values, windows.values, offsets)


def promoted(atlas: Atlas, one: Neuron) -> tuple[Tokens, Tokens]:
    """The tokens that a neuron promotes, and those that it suppresses, by its output weights."""
    return _listed(atlas, one, "promoted"), _listed(atlas, one, "suppressed")


def _listed(atlas: Atlas, one: Neuron, what: str) -> Tokens:
    values, ids = (atlas.read(one.name(f"neuron_{what}{ending}"), one.stack, **one.places).values for ending in ("", "_ids"))
    return tuple(zip(atlas.spelt(ids), values[ids >= 0].tolist(), strict=True))


def by_label(atlas: Atlas, one: Neuron, name: str = "neuron_active_by_upos") -> DataArray:
    """Share of tokens above 0 under each label that occurred: one axis of labels."""
    found = atlas.read(one.name(name), one.stack, **one.places)
    return found.dropna(str(found.dims[-1]))
