"""Several heads, or a part of one, as a page can show them: a head less another, a block of a long text, every head at once.

    difference      where one head looks more than another does, and where less
    block           some of a long text's queries and keys, with what lies outside of them
    mosaic          the patterns of a whole stack, each made small: a cell is the largest weight of a block of tokens

A mosaic of a long text shows where a weight is large, not how much of the attention lies there: the largest of many small weights is small.
"""

import torch

from interp.captures.activations import Activations, Form
from interp.core.errors import SiteError
from interp.core.results import DataArray, labelled
from interp.core.sites import Stack, head_site

MOST = 256  # tokens along one side of a block
CELLS = 48  # along one side of a head in a mosaic


def difference(seen: Activations, head: str, other: str, form: Form = "raw") -> DataArray:
    """One head's attention less another's, on the same text. Axes (query_pos, key_pos); -1 to 1, rows of whole patterns sum to 0.

    Args:
        head, other: "L2H3"; both in one stack, so that they have the same queries and keys.
        form: as in `Activations.pattern`, of both.
    Raises: SiteError for heads of two stacks; what `pattern` raises.

    Example:
        >>> import interp
        >>> seen = interp.capture(interp.load(), "The bank by the river is steep")
        >>> found = difference(seen, "L0H0", "L0H1")
        >>> found.dims, float(abs(found.sum("key_pos")).max()) < 1e-5
        (('query_pos', 'key_pos'), True)
    """
    stacks = [seen.model.anatomy.head(each).stack for each in (head, other)]
    if stacks[0] != stacks[1]:
        raise SiteError(f"{head} and {other} attend from and to different rows of tokens; expected two heads of one stack")
    first, second = seen.pattern(head, form), seen.pattern(other, form)
    found = first.copy(data=first.values - second.values).assign_coords(site=f"{head} less {other}")
    return found.rename("pattern_difference").assign_attrs(long_name=f"difference of {first.attrs['long_name']}")


def block(pattern: DataArray, query_pos: int = 0, key_pos: int = 0, most: int = MOST) -> DataArray:
    """At most so many queries and keys of a pattern, from these positions on; a pattern that fits is returned as it is.

    Args: pattern: axes (query_pos, key_pos), from `Activations.pattern` or `difference`.
    Returns: the same, cut; the attribute `note` says what was cut, and `outside` the mean weight of these queries on other keys (nan for a
        difference).
    Raises: SiteError for a position that is not there.

    Example:
        >>> import interp
        >>> seen = interp.capture(interp.load(), "The bank by the river is steep")
        >>> block(seen.pattern("L0H0"), 4, 0, most=2).attrs["note"]
        'Queries 4 to 5 and keys 0 to 1 of 8; 1.00 of the weight of these queries is on other keys.'
    """
    n_queries, n_keys = pattern.sizes["query_pos"], pattern.sizes["key_pos"]
    if not (0 <= query_pos < n_queries and 0 <= key_pos < n_keys):
        raise SiteError(f"query {query_pos} and key {key_pos} came; expected 0-{n_queries - 1} and 0-{n_keys - 1}")
    if max(n_queries, n_keys) <= most:
        return pattern
    rows = pattern.isel(query_pos=slice(query_pos, query_pos + most))
    cut = rows.isel(key_pos=slice(key_pos, key_pos + most))
    signed = str(pattern.name) == "pattern_difference"
    outside = float("nan") if signed else float((rows.sum("key_pos") - cut.sum("key_pos")).mean())
    last_query, last_key = query_pos + cut.sizes["query_pos"] - 1, key_pos + cut.sizes["key_pos"] - 1
    of = f"{n_queries}" if n_queries == n_keys else f"{n_queries} and {n_keys}"
    left = "" if signed else f"; {outside:.2f} of the weight of these queries is on other keys"
    note = f"Queries {query_pos} to {last_query} and keys {key_pos} to {last_key} of {of}{left}."
    return cut.assign_attrs(n=cut.sizes["query_pos"], outside=outside, note=note)


def mosaic(seen: Activations, form: Form = "raw", stack: Stack | None = None, cells: int = CELLS) -> DataArray:
    """The patterns of all heads of a stack. Axes (layer, head, query_pos, key_pos); each cell is the largest weight of a block of tokens.

    Args:
        form: as in `Activations.pattern`.
        stack: as there.
        cells: along one side of each pattern, at most.
    Returns: coordinates query_pos and key_pos hold where each block begins; the attribute `note` its size.
    Raises: as `Activations.pattern`.

    Example:
        >>> import interp
        >>> seen = interp.capture(interp.load(), "The bank by the river is steep")
        >>> every = mosaic(seen)
        >>> bool((every.sel(layer=2, head=3) == seen.pattern("L2H3")).all()), mosaic(seen, cells=4).sizes["key_pos"]
        (True, 4)
    """
    stack = seen.model.anatomy.main.stack if stack is None else stack
    layers = range(seen.model.anatomy.stack(stack).n_layers)
    first = seen.pattern(head_site(0, 0, stack), form)
    size = -(-max(first.shape) // cells)
    values = torch.stack([_pooled(seen.patterns(layer, stack, form), size).cpu() for layer in layers])
    result = labelled(
        values,
        ["layer", "head", "query_pos", "key_pos"],
        name="patterns",
        long_name=first.attrs["long_name"],
        units=first.attrs["units"],
        provenance=seen.provenance,
        coords={axis: list(range(0, first.sizes[axis], size)) for axis in ("query_pos", "key_pos")},
        stack=stack,
    )
    note = f"Each cell is the largest weight of {size} x {size} tokens." if size > 1 else "Each cell is a token's weight on another."
    return result.assign_attrs(n=first.attrs["n"], note=note, block=size)


def _pooled(patterns: torch.Tensor, size: int) -> torch.Tensor:
    return patterns if size == 1 else torch.nn.functional.max_pool2d(patterns.float(), size, ceil_mode=True)
