"""What a profile holds of one layer: its heads and neurons beside those of other layers, its experts, what its sublayers write."""

import numpy as np

from interp.captures.atlas.opened import Atlas
from interp.captures.atlas.statistics import statistic
from interp.core.results import DataArray
from interp.core.sites import Stack

QUANTILES = (0.05, 0.5, 0.95)
_WRITES = ("write_norm", "write_cosine", "write_final_cosine")
LOSS = "lens_loss"
_BY_DEPTH = (LOSS, "effective_rank", "rank_one_distance", "distance_to_one_token")
Middle = tuple[DataArray, DataArray, DataArray]


def of_layer(atlas: Atlas, name: str, layer: int, stack: Stack = "") -> DataArray:
    """A statistic of the heads, neurons or experts of one layer: its axes without the first."""
    return statistic(atlas, name, stack).sel(layer=layer)


def spread(atlas: Atlas, name: str, stack: Stack = "") -> Middle:
    """How a statistic is spread in each layer: its 5 %, 50 % and 95 % quantile over heads, neurons or experts, axis (layer).

    A layer without a number is left out; attribute n: how many are in the layer that has most.
    """
    every = statistic(atlas, name, stack)
    flat = every.values.reshape(every.sizes["layer"], -1)
    there = np.isfinite(flat).any(1)
    found = np.nanquantile(flat[there], QUANTILES, axis=1)
    n = int(np.isfinite(flat).sum(1).max())
    line = every.isel({each: 0 for each in every.dims if each != "layer"}, drop=True).isel(layer=np.flatnonzero(there))
    low, middle, high = (line.copy(data=values).assign_attrs(n=n).reset_coords(drop=True) for values in found)
    return low, middle, high


def sublayer_writes(atlas: Atlas, stack: Stack = "") -> list[DataArray]:
    """What is kept of each sublayer's write, axis (sublayer,): its norm, its cosines with the stream before and at the end.

    Over pairs those of the encoder "E"; of the decoder "D" with its cross-attention, which writes into the same stream.
    """
    return [_of_stream(atlas.read(name), stack) for name in _WRITES if atlas.has(name)]


def _of_stream(writes: DataArray, stack: Stack) -> DataArray:
    if not stack:
        return writes
    letters = "E" if stack == "E" else "DX"
    chosen = [number for number, name in enumerate(writes.sublayer.values.tolist()) if name[0] in letters]
    of_each = np.broadcast_to(writes.attrs["n"], writes.shape)[chosen]
    return writes.isel(sublayer=chosen).assign_attrs(n=int(of_each.max(initial=0)))


def by_depth(atlas: Atlas, stack: Stack = "") -> list[DataArray]:
    """What is kept of the stream at each depth, axis (depth,); over pairs the loss is the decoder's."""
    stream: Stack = "D" if stack == "X" else stack
    found = [atlas.read(name, stream).reset_coords(drop=True) for name in _BY_DEPTH if atlas.has(name) and (name != LOSS or stack != "E")]
    return [result.dropna("depth") if stack else result for result in found]


def expert_tokens(atlas: Atlas, layer: int, stack: Stack = "") -> dict[int, tuple[tuple[str, float, float], ...]]:
    """The tokens that each expert of a layer gets most above its load: (token, share of its occurrences, occurrences above the load)."""
    ids, shares, excess = (atlas.read(f"expert_token_{what}", stack, layer=layer) for what in ("ids", "share", "excess"))
    found = {}
    for expert in range(ids.sizes["expert"]):
        used = (ids.values[expert] >= 0) & (np.nan_to_num(excess.values[expert]) > 0)
        if not used.any():
            continue
        spelt = ids["expert_token"].values[expert][used].tolist()
        found[expert] = tuple(zip(spelt, shares.values[expert][used].tolist(), excess.values[expert][used].tolist(), strict=True))
    return found
