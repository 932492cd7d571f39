"""Figures of the residual stream: what can be read off it at each depth, how large it and its writes are, how alike its depths; what a
patch, or another intervention, changes.

As in `from_results`: titles from attributes, captions from provenance, and nothing is measured.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from interp.core.errors import DataError
from interp.core.results import DataArray, Dataset
from interp.figures.description import Bars, HeatMap, Lines, Series
from interp.figures.said import labels_of, long_name_of, units_of, with_axes, words_of

_NAMES = {"E": ", encoder", "D": ", decoder", "X": ", cross-attention", "": ""}


def depth_map(result: DataArray, *, title: str | None = None) -> HeatMap:
    """A number for each depth and token, the embedding at the top; of a logit lens the likeliest token in each cell.

    Args: result: axes (depth, pos); tokens in the coordinate `token`; what is written in the cells in `best`.
    Raises: DataError for other axes.

    Example:
        >>> from interp.core.results import labelled
        >>> lens = labelled([[1.0], [0.5]], ["depth", "pos"], name="logit_lens", long_name="loss", units="nats")
        >>> depth_map(lens).row_labels
        ('embedding', 'after L0')
    """
    result = with_axes(result, "depth", "pos")
    best = result.coords.get("best")
    return HeatMap(
        values=result.values,
        row_labels=[f"after L{depth - 1}" if depth else "embedding" for depth in range(result.sizes["depth"])],
        column_labels=_tokens(result),
        row_title="stream",
        column_title="token read" if "token" in result.coords else "position",
        scale_title=long_name_of(result),
        units=units_of(result),
        texts=None if best is None else [[str(word) for word in row] for row in best.values],
        texts_title="likeliest next token",
        **words_of(result, title),
    )


def similarity_map(result: DataArray, *, title: str | None = None) -> HeatMap:
    """How alike the stream is at two depths, the embedding ("emb.") at the top and at the left. Args: result: axes (depth, other_depth)."""
    result = with_axes(result, "depth", "other_depth")
    values = np.clip(result.values, -1, 1)
    labels = [f"L{depth - 1}" if depth else "emb." for depth in range(result.sizes["depth"])]
    return HeatMap(
        values=values,
        row_labels=labels,
        column_labels=labels,
        row_title="stream after",
        column_title="stream after",
        scale_title="cosine",
        diverging=bool((values < 0).any()),
        limits=(-1.0, 1.0) if (values < 0).any() else (0.0, 1.0),
        **words_of(result, title if title is not None else "Cosine of the stream at two depths"),
    )


def norm_lines(norms: Mapping[str, DataArray], *, title: str = "Size of the stream, and of what is written into it") -> Lines:
    """The median over tokens of each norm by layer, with the tenth and the ninetieth percentile as a band.

    Args: norms: name -> axes (layer, pos), all of the same layers.
    """
    first = next(iter(norms.values()))
    words = words_of(first, title)
    words["caption"] = f"Median over the tokens; the band holds the middle 80 % of them. {words['caption']}"
    return Lines(
        x=first.layer.values,
        series={
            name: Series(values=np.median(each, 1), low=np.quantile(each, 0.1, 1), high=np.quantile(each, 0.9, 1))
            for name, each in ((name, with_axes(norm, "layer", "pos").values) for name, norm in norms.items())
        },
        x_title="layer",
        value_title="norm",
        **words,
    )


def patch_map(result: DataArray, *, marks: Sequence[tuple[int, int]] = (), title: str | None = None) -> HeatMap:
    """The change that each patch makes, layer 0 at the top; centred on 0.

    Args:
        result: axes (layer, pos) or (layer, head), as `patch_grid` gives them.
        marks: (row, column) of cells to outline.
    """
    dim = "head" if "head" in result.dims else "pos"
    result = with_axes(result, "layer", dim)
    stack = _NAMES[str(result.attrs.get("stack", ""))]
    words = words_of(result, title if title is not None else f"{_capital(long_name_of(result))}{stack}")
    if "before" in result.attrs:
        words["caption"] = f"{_patched(result)} {words['caption']}"
    return HeatMap(
        values=result.values,
        row_labels=labels_of(result, "layer"),
        column_labels=labels_of(result, "head") if dim == "head" else _pairs(result),
        row_title="layer",
        column_title="head" if dim == "head" else "token (what is put in)",
        scale_title="change",
        units=units_of(result),
        diverging=True,
        marks=marks,
        **words,
    )


def _patched(result: DataArray) -> str:
    unit = {"1": "", "share": " of the way"}.get(units_of(result), f" {units_of(result)}")
    return (
        f"One cell, one run: {result.attrs['patched']}, is replaced by what the other text has there. "
        f"Unpatched: {result.attrs['before']:.3g}{unit}; the other text: {result.attrs['other']:.3g}{unit}."
    )


def _pairs(result: DataArray) -> list[str]:
    """The tokens that run, with what is put in where it is another."""
    own, other = labels_of(result, "pos", "token"), labels_of(result, "pos", "source_token")
    return [mine if mine == theirs else f"{mine} ({theirs.strip() or theirs})" for mine, theirs in zip(own, other, strict=True)]


def loss_rows(compared: Dataset, *, title: str = "Each token, before and after") -> HeatMap:
    """The loss of each token before and after an intervention, and how much the prediction as a whole changed (KL), in nats.

    Args: compared: what `side_by_side` gives for a model with a trained head.
    Raises: DataError for a model without: draw `moved`.
    """
    if "kl" not in compared:
        raise DataError("no prediction was compared, since the model has no trained head; expected its streams: compared['moved']")
    rows = {name: compared[key] for name, key in _ROWS.items() if key in compared}
    kl = compared["kl"]
    predicted = "next" in kl.coords
    tokens = [str(token) or "(next)" for token in kl["next" if predicted else "token"].values]
    words = words_of(kl, title)
    if predicted:
        means = [float(compared[f"loss_{when}"].mean()) for when in ("before", "after")]
        words["caption"] = f"Mean loss {means[0]:.3f} before, {means[1]:.3f} after, in nats per token. {words['caption']}"
    return HeatMap(
        values=np.stack([row.values for row in rows.values()]),
        row_labels=list(rows),
        column_labels=tokens,
        row_title="",
        column_title="token predicted" if predicted else "position of the prediction",
        scale_title="loss, KL",
        units="nats",
        limits=(0.0, float(max(np.nanmax([row.values for row in rows.values()]), 1e-6))),
        **words,
    )


_ROWS = {"loss before": "loss_before", "loss after": "loss_after", "KL": "kl"}


def next_token_bars(compared: Dataset, *, title: str | None = None) -> Bars:
    """How the log probability of the likeliest next tokens changed, those likeliest before first.

    Args: compared: what `side_by_side` gives for a model with a trained head.
    Raises: DataError for a model without.
    """
    if "log_prob_before" not in compared:
        raise DataError("no prediction was compared, since the model has no trained head; expected its streams: compared['moved']")
    before, after = compared["log_prob_before"], compared["log_prob_after"]
    pos = before.attrs["pos"]
    words = words_of(before, title if title is not None else f"Likeliest next tokens at position {pos}")
    return Bars(
        labels=[str(token) for token in before.candidate.values],
        values=after.values - before.values,
        label_title="token",
        value_title="change of the log probability",
        units="nats",
        **{**words, "n": None},
    )


def _tokens(result: DataArray) -> list[str]:
    return labels_of(result, "pos", "token")


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
