"""Two runs as figures: both on one scale, and the difference on a diverging scale centred on 0."""

from dataclasses import replace

import numpy as np

from interp.captures.compared import Pair
from interp.core.results import DataArray
from interp.figures.description import Bars, HeatMap, Lines, Series
from interp.figures.from_results import attention_pattern, head_map
from interp.figures.said import caption_of, long_name_of, units_of

Names = tuple[str, str]


def heats(pair: Pair, names: Names, *, marks: tuple[str, ...] = ()) -> tuple[HeatMap, HeatMap, HeatMap | None]:
    """Head maps, or patterns: the first, the second, the second less the first (None where there is no difference).

    Args:
        names: what tells the two apart.
        marks: heads to outline in maps.
    """
    both = [_heat(one, name, marks) for one, name in zip((pair.first, pair.second), names, strict=True)]
    values = np.concatenate([heat.values[np.isfinite(heat.values)] for heat in both])
    diverging = bool((values < 0).any())
    ends = (-float(np.abs(values).max()), float(np.abs(values).max())) if diverging else (float(values.min()), float(values.max()))
    limits = both[0].limits or (ends if ends[1] > ends[0] else None)
    first, second = (replace(heat, limits=limits, diverging=diverging) for heat in both)
    return first, second, None if pair.difference is None else _difference(pair, names, marks)


def _heat(result: DataArray, name: str, marks: tuple[str, ...]) -> HeatMap:
    """A map or a pattern, `name` behind its title."""
    if set(result.dims) == {"query_pos", "key_pos"}:
        heat = attention_pattern(result)
    else:
        heat = head_map(result, marks=[mark for mark in marks if mark in result.site.values])
    return replace(heat, title=f"{heat.title}: {name}")


def _difference(pair: Pair, names: Names, marks: tuple[str, ...]) -> HeatMap:
    assert pair.difference is not None
    heat, what = _heat(pair.difference, "", marks), long_name_of(pair.first)
    return replace(heat, title=_less(names), diverging=True, limits=None, scale_title=f"{what}, difference")


def norm_lines(pair: Pair, names: Names) -> Lines:
    """Both over the layers, on the same axes. The shorter of two stops where its layers do."""
    n = max(pair.first.sizes["layer"], pair.second.sizes["layer"])
    return Lines(
        title=_capital(long_name_of(pair.first)),
        caption=" ".join(dict.fromkeys(caption_of(one) for one in (pair.first, pair.second))),
        x=np.arange(n),
        series={name: Series(values=_up_to(one.values, n)) for name, one in zip(names, (pair.first, pair.second), strict=True)},
        x_title="layer",
        value_title="mean length",
        units=units_of(pair.first),
    )


def _up_to(values: np.ndarray, n: int) -> np.ndarray:
    return np.concatenate([values, np.full(n - len(values), np.nan)])


def difference_bars(pair: Pair, names: Names) -> Bars | None:
    """The second less the first, a bar for each layer or token; None where there is no difference."""
    if pair.difference is None:
        return None
    axis = str(pair.difference.dims[0])
    labels = (
        [f"L{layer}" for layer in pair.difference.layer.values]
        if axis == "layer"
        else [str(token) for token in pair.difference.token.values]
    )
    most = float(np.abs(pair.difference.values).max()) * 1.05 or 1.0
    return Bars(
        title=_less(names),
        caption=caption_of(pair.difference),
        labels=labels,
        values=pair.difference.values,
        label_title=axis,
        value_title=f"{long_name_of(pair.first)}, difference",
        units=units_of(pair.first),
        limits=(-most, most),
    )


def token_bars(pair: Pair, names: Names) -> tuple[Bars, Bars]:
    """Probabilities of the likeliest tokens in each, on one axis."""
    most = max(float(one.values.max()) for one in (pair.first, pair.second)) * 1.05

    def bars(one: DataArray, name: str) -> Bars:
        return Bars(
            title=f"{_capital(long_name_of(one))}: {name}",
            caption=f"{caption_of(one)} These tokens hold {one.attrs['mass']:.1%} of it.",
            labels=[str(token) for token in one.token.values],
            values=one.values,
            label_title="token",
            value_title="probability",
            limits=(0.0, most),
        )

    return bars(pair.first, names[0]), bars(pair.second, names[1])


def _less(names: Names) -> str:
    return f"Difference: {names[1]} less {names[0]}"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
