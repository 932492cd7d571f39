"""What a profile holds of one neuron: its numbers among all others', how its activations are spread, its top texts, what it promotes.

A neuron of a dense FFN, or of a mixture's shared experts, is "L3N100"; one of an expert "L1E2N7".
"""

import re
from dataclasses import dataclass

import numpy as np

from interp.captures.atlas.excerpts import Excerpt, excerpts
from interp.captures.atlas.heads import Standing, Tokens, standing
from interp.captures.atlas.opened import Atlas
from interp.captures.atlas.statistics import PREFIX, Part, statistic, statistics
from interp.core.errors import SiteError
from interp.core.results import DataArray

SORTS: tuple[Part, ...] = ("neurons", "expert neurons", "shared neurons")
_WRITTEN = re.compile(r"L(\d+)(?:E(\d+))?N(\d+)")


@dataclass(frozen=True, kw_only=True)
class Neuron:
    """Where a neuron is. `expert` is None but in the sort "expert neurons"."""

    sort: Part
    layer: int
    expert: int | None
    index: int

    def __str__(self) -> str:
        return f"L{self.layer}{'' if self.expert is None else f'E{self.expert}'}N{self.index}"

    @property
    def places(self) -> dict[str, int]:
        """Along the axes of a variable."""
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
        raise SiteError(f"{written!r} is no neuron; expected the form L3N100, of an expert L1E2N7, from 0")
    layer, expert, index = (None if part is None else int(part) for part in found.groups())
    kinds = [each for each in SORTS if (each == "expert neurons") == (expert is not None) and statistics(atlas, each)]
    sort = sort if sort in kinds else next(iter(kinds), None)
    sizes = {"layer": layer, "neuron": index, **({} if expert is None else {"expert": expert})}
    if sort is None or any((at or 0) >= atlas.size(axis) for axis, at in sizes.items()):
        told = ", ".join(f"{atlas.size(axis)} {axis}s" for axis in ("layer", "expert", "neuron") if atlas.size(axis))
        raise SiteError(f"{written!r} is not in this profile; it has {told}, counted from 0")
    assert layer is not None  # the pattern has it
    assert index is not None
    return Neuron(sort=sort, layer=layer, expert=expert, index=index)


def sorts(atlas: Atlas) -> list[Part]:
    """Which sorts of neurons the profile holds."""
    return [sort for sort in SORTS if statistics(atlas, sort)]


def standings(atlas: Atlas, one: Neuron) -> list[Standing]:
    """Every statistic of a neuron that has a number."""
    found = []
    for name, long_name in statistics(atlas, one.sort).items():
        every = statistic(atlas, name)
        value = float(every.isel(one.places))
        if np.isfinite(value):
            found.append(standing(name, long_name, value, every))
    return found


def histogram(atlas: Atlas, one: Neuron) -> DataArray:
    """Tokens by activation: axis (bin), from the least to the largest that was seen; lower edges in the coordinate bin_from."""
    counts = atlas.read(one.name("neuron_histogram"), **one.places)
    used = np.flatnonzero(counts.values)
    return counts.isel(bin=slice(used.min(), used.max() + 1)) if len(used) else counts


def top_texts(atlas: Atlas, one: Neuron) -> list[Excerpt]:
    """The tokens at which a neuron is most active, the largest activation first."""
    names = ("neuron_top", "neuron_top_text", "neuron_top_pos", "neuron_top_ids")
    values, texts, positions, windows = (atlas.read(one.name(name), **one.places) for name in names)
    offsets = windows["offset"].values.tolist()
    return excerpts(atlas, values.values, texts.values, positions.values, windows.values, offsets)


def promoted(atlas: Atlas, one: Neuron) -> tuple[Tokens, Tokens]:
    """The tokens that a neuron promotes, and those that it suppresses, by its output weights."""
    return _listed(atlas, one, "promoted"), _listed(atlas, one, "suppressed")


def _listed(atlas: Atlas, one: Neuron, what: str) -> Tokens:
    values, ids = (atlas.read(one.name(f"neuron_{what}{ending}"), **one.places).values for ending in ("", "_ids"))
    return tuple(zip(atlas.spelt(ids), values[ids >= 0].tolist(), strict=True))


def by_label(atlas: Atlas, one: Neuron, name: str = "neuron_active_by_upos") -> DataArray:
    """Share of tokens above 0 under each label that occurred: one axis of labels."""
    found = atlas.read(one.name(name), **one.places)
    return found.dropna(str(found.dims[-1]))
