"""What a profile holds of one head: its numbers among all others', its examples by tenths, its distances, what its OV circuit writes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from interp.captures.atlas.excerpts import Excerpt, excerpts
from interp.captures.atlas.opened import Atlas
from interp.captures.atlas.statistics import made_by, place_of, statistic, statistics
from interp.core.errors import SiteError
from interp.core.results import DataArray
from interp.core.sites import Site, head_site

EXAMPLES = ("previous", "induction")
"""Statistics with examples by tenths."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A statistic of one head or neuron: its value, its place among all of them, the largest first, from 1, and what computed it."""

    name: str
    long_name: str
    units: str
    value: float
    place: int
    of: int
    made_by: str


def standing(name: str, long_name: str, value: float, every: DataArray) -> Standing:
    """Of a number among all of its statistic."""
    place, of = place_of(value, every)
    units = str(every.attrs.get("units", "1"))
    return Standing(name=name, long_name=long_name, units=units, value=value, place=place, of=of, made_by=made_by(every))


@dataclass(frozen=True, kw_only=True)
class Tenth:
    """A tenth of a statistic's range, the share of the head's queries in it, and some of these by lot."""

    lower: float
    upper: float
    share: float
    examples: tuple[Excerpt, ...]


Tokens = tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class Direction:
    """A direction that a head writes along (see `captures.corpus.head_writes`): its share of all, and tokens with their numbers."""

    share: float
    reads: Tokens
    reads_against: Tokens
    promoted: Tokens
    suppressed: Tokens


def heads(atlas: Atlas) -> list[str]:
    """The names of all heads, stack by stack; those that a stack does not have are left out."""
    name = next(iter(statistics(atlas, "heads")), "")
    if not name:
        return []
    found = []
    for stack in atlas.stacks:
        values = atlas.read(name, stack)
        there = np.argwhere(np.ones(values.shape, dtype=bool) if stack == "" else np.isfinite(values.values))
        found += [head_site(int(layer), int(head), stack) for layer, head in there]
    return found


def standings(atlas: Atlas, head: str) -> list[Standing]:
    """Every statistic of a head that has a number."""
    site = _site(atlas, head)
    found = []
    for name, long_name in statistics(atlas, "heads").items():
        every = statistic(atlas, name, site.stack)
        if site.layer not in every["layer"].values or site.index not in every["head"].values:
            continue  # a statistic that this stack's heads do not have
        value = float(every.sel(layer=site.layer, head=site.index))
        if np.isfinite(value):
            found.append(standing(name, long_name, value, every))
    return found


def tenths(atlas: Atlas, head: str, name: str = "previous") -> list[Tenth]:
    """Examples of a head by tenths of a statistic's range, the highest first. Raises: DataError where the run has none."""
    places = _places(atlas, head)
    whats = ("examples", "example_values", "example_places", "example_tokens", "share_of_queries")
    texts, values, positions, tokens, shares = (atlas.read(f"{name}_{what}", **places) for what in whats)
    found = []
    for tenth in reversed(range(texts.sizes["tenth"])):
        offsets = tokens["around"].values.tolist()
        told = excerpts(atlas, values.values[tenth], texts.values[tenth], positions.values[tenth], tokens.values[tenth], offsets)
        ends = {end: float(texts[end].values[tenth]) for end in ("lower", "upper")}
        told.sort(key=lambda example: -example.value)
        found.append(Tenth(**ends, share=float(shares.values[tenth]), examples=tuple(told)))
    return found


def distances(atlas: Atlas, head: str) -> DataArray:
    """Mean weight of a head by distance: axis (distance_bin), from the farthest behind, without the ranges that no text reaches."""
    whole = atlas.read("distance_histogram", _site(atlas, head).stack)
    used = np.flatnonzero((np.nan_to_num(whole.values) > 0).any(axis=(0, 1)))
    return _of_head(whole, head).isel(distance_bin=slice(used.min(), used.max() + 1)) if len(used) else _of_head(whole, head)


def induction_profile(atlas: Atlas, head: str) -> DataArray:
    """Mean weight on the latest earlier copy of the token, and on the tokens after it: axis (shift)."""
    found = atlas.read("induction_profile", **_places(atlas, head))
    return found.assign_attrs(n=int(np.max(found.attrs["n"])))


def most_attended(atlas: Atlas, head: str) -> Tokens:
    """The tokens that a head's queries most often attend to most, with the share of queries."""
    ids, shares = (atlas.read(name, **_places(atlas, head)).values for name in ("most_attended_token", "most_attended_share"))
    used = np.nan_to_num(shares) > 0
    return tuple(zip(atlas.spelt(ids[used]), shares[used].tolist(), strict=True))


def writes(atlas: Atlas, head: str) -> list[Direction]:
    """The strongest directions of a head's OV circuit. Raises: DataError where the run has none."""
    places = _places(atlas, head)
    shares = atlas.read("head_direction_share", **places).values
    lists = {name: _listed(atlas, f"head_{name}", places) for name in ("reads", "reads_against", "promoted", "suppressed")}
    there = [at for at, share in enumerate(shares) if np.isfinite(share)]
    return [Direction(share=float(shares[at]), **{name: found[at] for name, found in lists.items()}) for at in there]


def _listed(atlas: Atlas, name: str, places: dict[str, Any]) -> list[Tokens]:
    """The tokens of each direction with their numbers."""
    values, ids = atlas.read(name, **places).values, atlas.read(f"{name}_ids", **places).values
    return [tuple(zip(atlas.spelt(row), numbers[row >= 0].tolist(), strict=True)) for row, numbers in zip(ids, values, strict=True)]


def _site(atlas: Atlas, head: str) -> Site:
    site = Site.parse(head)
    there = site.stack in atlas.stacks and site.layer < atlas.size("layer") and (site.index or 0) < atlas.size("head")
    if site.kind != "head" or not there:
        known = heads(atlas)
        raise SiteError(
            f"{head!r} is no head of this profile; expected one of {known[0]} to {known[-1]}" if known else f"{head!r}: no heads"
        )
    return site


def _places(atlas: Atlas, head: str) -> dict[str, Any]:
    site = _site(atlas, head)
    assert site.index is not None  # it is a head
    return {"stack": site.stack, "layer": site.layer, "head": site.index}


def _of_head(result: DataArray, head: str) -> DataArray:
    site = Site.parse(head)
    return result.sel(layer=site.layer, head=site.index)
