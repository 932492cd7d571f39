"""Probes by layer as figures: lines with bands over depth, expected layers as bars with intervals, what each sublayer adds."""

from typing import Literal

import numpy as np

from interp.claims.hierarchy import Hierarchy
from interp.claims.senses_by_layer import SensesByLayer
from interp.core.errors import DataError
from interp.core.results import DataArray, Dataset
from interp.figures.description import Bars, Lines, Reference, Series
from interp.figures.said import caption_of, long_name_of, units_of

Curve = Literal["accuracy", "selectivity"]
Place = Literal["expected_layer", "centre_of_gravity"]
_X = "layers passed (0: before the first)"


def task_lines(found: Hierarchy, what: Curve = "accuracy") -> Lines:
    """A line for each task over depth, its band the 95 % interval over documents."""
    probes = found.probes
    return Lines(
        title=f"{_capital(long_name_of(probes[what]))}, by layer",
        caption=f"{_origin(probes, what)} Bands: 95 % over documents. {_numbers(found)}",
        x=probes.depth.values,
        series={task: _series(probes.sel(task=task), what) for task in found.tasks},
        x_title=_X,
        value_title=what,
        units=units_of(probes[what]),
        reference=Reference(value=0.0, label="no better than by heart") if what == "selectivity" else None,
    )


def control_lines(found: Hierarchy, task: str) -> Lines:
    """One task: the probe, the same on the control task, in untrained twins; the form's most frequent label as the line to beat."""
    one = found.probes.sel(task=task)
    return Lines(
        title=f"{task}: accuracy beside its controls",
        caption=f"{_origin(found.probes, 'accuracy')} Band: 95 % over documents.",
        n=int(one.n_items),
        x=one.depth.values,
        series={
            task: _series(one, "accuracy"),
            "control task": Series(values=one.control_accuracy.values),
            "untrained twins": Series(values=one.untrained.values),
        },
        x_title=_X,
        value_title="accuracy",
        units=units_of(one.accuracy),
        reference=Reference(value=float(one.form_accuracy), label="the form's most frequent label"),
    )


def place_bars(found: Hierarchy, what: Place = "expected_layer") -> Bars:
    """The depth of each task as a bar with its interval; a task without a number is left out, and the caption says so.

    Raises: DataError where no task has a number.
    """
    probes = found.probes
    known = [task for task in found.tasks if np.isfinite(float(probes[what].sel(task=task)))]
    there = [task for task in known if what != "expected_layer" or _placed(probes.sel(task=task), probes.n_layers)]
    missing = [task for task in found.tasks if task not in there]
    why = "too small a rise to have a place" if what == "expected_layer" else "nowhere above its control task"
    told = f" Left out, {why}: {', '.join(missing)}." if missing else ""
    if not there:
        raise DataError(f"there is no {long_name_of(probes[what])} to draw: {', '.join(missing)}: {why}")
    chosen = probes.sel(task=there)
    return Bars(
        title=_capital(long_name_of(probes[what])),
        caption=f"{_origin(probes, what)} Intervals: 95 % over documents.{told}",
        labels=there,
        values=chosen[what].values,
        low=chosen[f"{what}_low"].values,
        high=chosen[f"{what}_high"].values,
        label_title="task",
        value_title=long_name_of(probes[what]),
        units=f"layers, of {probes.n_layers}",
    )


def sense_lines(found: SensesByLayer) -> Lines:
    """Accuracy of the sense in every state of the stream, a line for each way of reading, beside untrained twins and exchanged senses."""
    probes = found.probes
    series = {reader: _series(probes.sel(reader=reader), "accuracy") for reader in map(str, probes.reader.values)}
    last = probes.isel(reader=-1)
    series |= {
        f"{name}, {last.reader.item()}": Series(values=last[variable].values)
        for name, variable in (("untrained twins", "untrained"), ("exchanged senses", "exchanged"))
    }
    return Lines(
        title="Accuracy of an ambiguous word's sense, by state of the stream",
        caption=f"{_origin(probes, 'accuracy')} Halves stand after an attention, whole numbers after an FFN. Bands: 95 % over documents.",
        n=int(probes.n),
        x=probes.depth.values,
        series=series,
        x_title="layers passed (halves: after the attention)",
        value_title="accuracy",
        units=units_of(probes.accuracy),
        reference=Reference(value=float(probes.majority), label="the most frequent sense"),
    )


def added_bars(found: SensesByLayer, reader: str = "logistic") -> Bars:
    """What each sublayer adds to the accuracy, in the order in which they write."""
    one = found.probes.sel(reader=reader)
    noise = float(np.abs(one.added_by_noise).max())
    return Bars(
        title=f"Accuracy of the sense that each sublayer adds ({reader})",
        caption=f"{_origin(found.probes, 'added')} Intervals: 95 % over documents, each sublayer by itself. "
        f"A random step as long changes it by at most {noise:.3f}.",
        n=int(found.probes.n),
        labels=[str(name) for name in one.sublayer.values],
        values=one.added.values,
        low=one.added_low.values,
        high=one.added_high.values,
        label_title="sublayer",
        value_title="accuracy added",
        units=units_of(one.added),
    )


def _series(one: Dataset, what: str) -> Series:
    return Series(values=one[what].values, low=one[f"{what}_low"].values, high=one[f"{what}_high"].values)


def _placed(one: Dataset, n_layers: int) -> bool:
    """Whether a task rises, and by so much that its interval stays within the layers: of a tiny rise, shares are of any size."""
    return bool(one.rises) and float(one.expected_layer_low) >= 0 and float(one.expected_layer_high) <= n_layers


def _numbers(found: Hierarchy) -> str:
    told = (f"{task} {int(found.probes.n_items.sel(task=task))} words" for task in found.tasks)
    return f"Tested on {', '.join(told)}."


def _origin(probes: Dataset, what: str) -> str:
    result: DataArray = probes[what]
    return f"{caption_of(result)} Read from: {probes.data}."


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
