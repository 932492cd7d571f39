"""A result is an `xarray.DataArray` that says what it is: named axes, labels, unit, source, provenance.

`labelled` makes one, `save` keeps it in a netCDF file, `read` and `opened` (as far as it is used) give it back. Any
axes `layer` and `head` get the coordinate `site` ("L5H1"), so that `.sel(layer=5, head=1)` and a look at `site` both work.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray import DataArray, Dataset, merge

from interp.core.axes import check_axes
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.sites import STACKS, Stack, head_site

__all__ = ["DataArray", "Dataset", "counted", "labelled", "merge", "of_stack", "opened", "read", "save"]


def labelled(
    values: Any,
    dims: Sequence[str],
    *,
    name: str,
    long_name: str,
    units: str,
    source: str = "",
    provenance: Provenance | None = None,
    coords: Mapping[str, Any] | None = None,
    stack: Stack = "",
) -> DataArray:
    """An array that says what it is.

    Args:
        values: a torch tensor or an array, one axis for each of `dims`.
        dims: axes out of the glossary in `core.axes`, in its order.
        name: short name, as in `profile["induction"]`.
        long_name: what a figure writes beside the scale.
        units: "nats", "probability", "tokens", "logits"...; "1" for a bare ratio.
        source: the work that the measure is from.
        provenance: model, data, seed and versions behind the numbers.
        coords: further labels, as xarray takes them.
        stack: whose layers and heads these are, in an encoder-decoder.
    Raises: DataError for axes that are not known or do not fit the values.

    Example:
        >>> labelled([[0.5]], ["layer", "head"], name="entropy", long_name="entropy", units="nats").site.item()
        'L0H0'
    """
    check_axes(dims)
    array = values.detach().cpu().float().numpy() if hasattr(values, "detach") else np.asarray(values)
    if array.ndim != len(dims):
        raise DataError(f"{name}: values have {array.ndim} axes; expected {len(dims)}, one for each of {tuple(dims)}")
    sizes = dict(zip(dims, array.shape, strict=True))
    known: dict[str, Any] = {dim: np.arange(size) for dim, size in sizes.items() if dim not in ("component",)}
    if "layer" in sizes and "head" in sizes:
        names = [[head_site(layer, head, stack) for head in range(sizes["head"])] for layer in range(sizes["layer"])]
        known["site"] = (("layer", "head"), names)
    attrs = {"long_name": long_name, "units": units, "source": source}
    if provenance is not None:
        attrs["provenance"] = provenance.to_json()
    return DataArray(array, dims=list(dims), coords={**known, **(coords or {})}, name=name, attrs=attrs)


Counts = Mapping[Stack, int | Sequence[int]]


def counted(result: DataArray, n: Counts) -> DataArray:
    """With the attribute n: how many cases are behind it. Over several stacks those of all together, and n_by_stack: those of each.

    Args: n: by stack; lists where each label of an axis has its own number.
    """
    result = result.assign_attrs(n=np.sum(list(n.values()), axis=0).tolist())
    if "stack" not in result.dims:
        return result
    none = np.zeros_like(next(iter(n.values())))
    return result.assign_attrs(n_by_stack=np.ravel([n.get(stack, none) for stack in STACKS]).tolist())


def of_stack(result: DataArray, stack: Stack) -> DataArray:
    """One stack's part, n its own; a result without stacks as it is.

    Example:
        >>> both = labelled([[0.1], [0.2], [0.3]], ["stack", "layer"], name="x", long_name="x", units="1")
        >>> of_stack(counted(both, {"E": 4, "D": 6}), "D").attrs["n"]
        6
    """
    if "stack" not in result.dims:
        return result
    place, attrs = STACKS.index(stack), dict(result.attrs)
    if "n_by_stack" in attrs:
        of_each = np.reshape(attrs.pop("n_by_stack"), (len(STACKS), -1))[place].tolist()
        attrs["n"] = of_each[0] if len(of_each) == 1 else of_each
    found = result.isel(stack=place)
    found.attrs = attrs
    return found


def save(result: DataArray | Dataset, path: str | Path) -> Path:
    """Write a result as netCDF in one move: a run that is killed leaves the old file or the new one, never half of one."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    result.to_netcdf(partial, engine="h5netcdf")
    os.replace(partial, path)
    return path


def read(path: str | Path) -> Dataset:
    """The Dataset in a netCDF file that `save` wrote, read whole into memory.

    Raises: DataError when there is no such file or it is not netCDF.
    """
    with opened(path) as found:
        try:
            return found.load()
        except OSError as error:
            raise _unreadable(path, error) from error


def opened(path: str | Path) -> Dataset:
    """The Dataset in a netCDF file that `save` wrote, its numbers still there: what is selected of a variable is read when it is used.

    Close it, or open it in a `with`. A file that `save` writes in its place does not disturb it.

    Raises: DataError when there is no such file or it is not netCDF.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a result that interp saved (.nc)")
    try:
        return xr.open_dataset(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError, RuntimeError) as error:  # a file cut short, or of other content, fails in any of these ways
        raise _unreadable(path, error) from error


def _unreadable(path: str | Path, error: Exception) -> DataError:
    return DataError(f"{path} is not a netCDF file that can be read ({error}); expected a result that interp saved")
