"""Which numbers does a profile hold of all its heads, neurons or experts? One name for each, a map of each, its largest and smallest.

A variable with one number for each head is a statistic by its own name, "entropy". One with a few named numbers gives a statistic for each,
"mass_on_mark.first", "dependent_to_head.obj".

    part             axes                      variables
    heads            (layer, head)             [in all of them stack first, over pairs]
    neurons          (layer, neuron)           neuron_...         of dense FFNs
    shared neurons   (layer, neuron)           shared_neuron_...  of a mixture's shared experts
    expert neurons   (layer, expert, neuron)   expert_neuron_...
    experts          (layer, expert)           expert_...
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from interp.captures.atlas.opened import Atlas
from interp.core.errors import DataError, SiteError
from interp.core.results import DataArray, of_stack
from interp.core.sites import Stack

Part = Literal["heads", "neurons", "shared neurons", "expert neurons", "experts"]
PARTS: Mapping[Part, tuple[str, ...]] = {
    "heads": ("layer", "head"),
    "neurons": ("layer", "neuron"),
    "shared neurons": ("layer", "neuron"),
    "expert neurons": ("layer", "expert", "neuron"),
    "experts": ("layer", "expert"),
}
PREFIX: Mapping[Part, str] = {"heads": "", "neurons": "", "shared neurons": "shared_", "expert neurons": "expert_", "experts": ""}
NAMED = ("shift", "direction", "mark", "special", "upos", "lemma", "relation", "place", "token", "label")
_LETTER = {"head": "H", "neuron": "N", "expert": "E"}
_KINDS = {"shift": "shift {}", "direction": "direction {}"}


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A place in a ranked list."""

    site: str
    value: float


def parts(atlas: Atlas) -> list[Part]:
    """What the profile holds statistics of."""
    return [part for part in PARTS if statistics(atlas, part)]


def statistics(atlas: Atlas, part: Part) -> dict[str, str]:
    """The statistics of a part: name -> what people call it."""
    return atlas.once(("statistics", part), lambda: _statistics(atlas, part))


def _statistics(atlas: Atlas, part: Part) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, variable in atlas.profile.data_vars.items():
        axes = tuple(str(axis) for axis in variable.dims if axis != "stack")
        if not _is_of(str(name), part) or axes[: len(PARTS[part])] != PARTS[part] or variable.dtype.kind != "f":
            continue
        rest, long_name = axes[len(PARTS[part]) :], str(variable.attrs.get("long_name", name))
        if not rest:
            found[str(name)] = long_name
        elif len(rest) == 1 and rest[0] in NAMED:
            for label in atlas.profile[rest[0]].values.tolist():
                found[f"{name}.{label}"] = f"{long_name}: {_KINDS.get(rest[0], '{}').format(label)}"
    return found


def _is_of(name: str, part: Part) -> bool:
    if name.startswith("shared_"):
        return part == "shared neurons"
    if name.startswith("expert_neuron"):
        return part == "expert neurons"
    return part not in ("shared neurons", "expert neurons")


def part_of(atlas: Atlas, name: str) -> Part:
    """Whose statistic a name is. Raises: DataError for one that the profile does not hold."""
    for part in PARTS:
        if name in statistics(atlas, part):
            return part
    atlas.variable(name.partition(".")[0])  # says how it would be got
    raise DataError(f"{name!r} is no number of each head, neuron or expert; expected one of: {', '.join(_every(atlas))}")


def _every(atlas: Atlas) -> list[str]:
    return [name for part in PARTS for name in statistics(atlas, part)]


def statistic(atlas: Atlas, name: str, stack: Stack = "") -> DataArray:
    """A statistic of all heads, neurons or experts of a stack.

    Args: name: of `statistics`.
    Returns: axes as in the module; attributes as in the profile, `n` that of this label.
    Raises: DataError for a name that the profile does not hold; SiteError for a stack that it does not.
    """
    part_of(atlas, name)
    if stack not in atlas.stacks:
        raise SiteError(f"stack {stack!r} came; this profile has {', '.join(map(repr, atlas.stacks))}")
    return atlas.once(("statistic", name, stack), lambda: _statistic(atlas, name, stack))


def _statistic(atlas: Atlas, name: str, stack: Stack) -> DataArray:
    variable, _, label = name.partition(".")
    found = of_stack(atlas.whole(variable), stack)
    axis = next((str(axis) for axis in found.dims if axis in NAMED), None)
    if axis is None or not label:
        return _trimmed(found)
    at = [str(one) for one in found[axis].values.tolist()].index(label)
    chosen = found.isel({axis: at}, drop=True)
    n = np.atleast_1d(chosen.attrs.get("n", []))
    if n.size > at and n.size == found.sizes[axis]:
        chosen = chosen.assign_attrs(n=int(n[at]))
    called = _KINDS.get(axis, "{}").format(label)
    return _trimmed(chosen).assign_attrs(long_name=f"{found.attrs.get('long_name', variable)}: {called}").rename(name)


def _trimmed(result: DataArray) -> DataArray:
    """Without the axis `stack`, and without layers, heads and neurons that only another stack has."""
    if "stack" not in result.coords:
        return result
    if result.notnull().any():
        for axis in ("layer", "head", "neuron"):
            result = result.dropna(axis, how="all") if axis in result.dims else result
    return result.drop_vars("stack")


def names_of(result: DataArray, stack: Stack = "") -> np.ndarray:
    """The site of each number of a statistic, "L5H1", "L3N100", "L1E2N7"; axes as the statistic's."""
    axes = [str(axis) for axis in result.dims]
    numbers = np.meshgrid(*(result[axis].values for axis in axes), indexing="ij")
    written = np.full(result.shape, f"{stack}L", dtype=object) + numbers[0].astype(str).astype(object)
    for axis, index in zip(axes[1:], numbers[1:], strict=True):
        written = written + (_LETTER[axis] + index.astype(str).astype(object))
    return written


def ranked(result: DataArray, k: int, *, largest: bool = True, stack: Stack = "") -> list[Ranked]:
    """The k largest numbers of a statistic, or the smallest, equals in the order of their places; what has no number is left out."""
    values = result.values.ravel()
    order = np.argsort(-values if largest else values, kind="stable")  # nan comes last
    chosen = [int(at) for at in order[:k] if not np.isnan(values[at])]
    names = names_of(result, stack).ravel()
    return [Ranked(site=str(names[at]), value=float(values[at])) for at in chosen]


def made_by(result: DataArray) -> str:
    """What computed a statistic: "fused kernel", "exact blocks", both, or "weights" where no corpus was read; "" where nobody knows."""
    if '"data": "weights"' in str(result.attrs.get("provenance", "")):
        return "weights"
    return str(result.attrs.get("computed_by", ""))


def place_of(value: float, result: DataArray) -> tuple[int, int]:
    """Where a number stands among all of a statistic, the largest first: (its place from 1, of how many)."""
    values = result.values
    return int((values > value).sum()) + 1, int(np.isfinite(values).sum())


def pairs(atlas: Atlas, x: str, y: str, stack: Stack = "") -> tuple[DataArray, DataArray, np.ndarray]:
    """Two statistics of the same part, with the site of each number.

    Raises: DataError when one is of heads, say, and the other of neurons.
    """
    if part_of(atlas, x) != part_of(atlas, y):
        raise DataError(f"{x} is of {part_of(atlas, x)}, {y} of {part_of(atlas, y)}; expected two statistics of the same")
    one, other = statistic(atlas, x, stack), statistic(atlas, y, stack)
    return one, other, names_of(one, stack)
