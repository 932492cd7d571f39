"""What does a labelled result say of itself? Its axes in order, its labels, unit, title, caption: what every figure of one begins with."""

from typing import Any

from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import DataArray


def with_axes(result: DataArray, *dims: str) -> DataArray:
    """The result with its axes in this order. Raises: DataError for other axes."""
    if set(result.dims) != set(dims):
        raise DataError(f"a result with axes {result.dims} came; expected {dims}: select along the others first, with .sel(...)")
    return result.transpose(*dims)


def labels_of(result: DataArray, dim: str, *names: str) -> list[str]:
    """The labels along an axis, out of the first of these coordinates that is there; positions where none is."""
    for name in (*names, dim):
        if name in result.coords and result.coords[name].dims == (dim,):
            return [str(label) for label in result.coords[name].values]
    return [str(at) for at in range(result.sizes[dim])]


def long_name_of(result: DataArray) -> str:
    """What a scale is named by."""
    return str(result.attrs.get("long_name") or result.name or "value")


def units_of(result: DataArray) -> str:
    """Its unit; "1" for a bare ratio."""
    return str(result.attrs.get("units", "1"))


def words_of(result: DataArray, title: str | None, stack: str = "") -> dict[str, Any]:
    """Title, caption and n. A result of one head, selected out of several, carries the head's name as a single `site`."""
    site = result.coords.get("site")
    place = f", {site.item()}" if site is not None and not site.dims else ""
    long_name = long_name_of(result)
    n = result.attrs.get("n")
    return {
        "title": title if title is not None else f"{long_name[:1].upper()}{long_name[1:]}{stack}{place}",
        "caption": caption_of(result),
        "n": None if n is None else int(n),
    }


def caption_of(result: DataArray) -> str:
    """What is to be known, from what model and data it is, and by whose measure."""
    parts = [str(result.attrs["note"])] if result.attrs.get("note") else []
    if "provenance" in result.attrs:
        made = _provenance(result.attrs["provenance"])
        seed = "" if made.seed is None else f", seed {made.seed}"
        parts.append(f"Model {made.model} (weights {made.fingerprint}), data {made.data}{seed}.")
    if result.attrs.get("source"):
        source = str(result.attrs["source"])
        parts.append(f"Measure: {source}{'' if source[-1] in '.?!' else '.'}")
    return " ".join(parts)


def _provenance(text: str) -> Provenance:
    try:
        return Provenance.from_json(text)
    except (TypeError, ValueError) as error:
        raise DataError(f"the result's attribute provenance cannot be read ({error}); expected what Provenance.to_json writes") from error
