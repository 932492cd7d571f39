"""How did a bundled model become what it is? The statistics of its checkpoints, kept beside its weights and read back as one dataset.

A run's log has a row every 200 steps: losses on rows never trained on, agreement, and what every head does on random tokens that come
twice. `training.json` is that log with four digits a number (some ten kB). Weights of checkpoints are not kept: what is not in here needs
the run again.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from interp.core.errors import DataError, ModelNotFound
from interp.core.results import DataArray, Dataset
from interp.core.sites import head_site
from interp.lab.recipes import Recipe
from interp.models import zoo

FILE = "training.json"
NUMBERS = {  # column of the log -> what it is, its unit
    "text": ("loss on held-out text", "nats"),
    "grammar": ("loss on held-out generated sentences", "nats"),
    "repeats": ("loss on copied tokens of repeated spans", "nats"),
    "pairs": ("loss on held-out translations", "nats"),
    "first": ("loss on random tokens, first time", "nats"),
    "second": ("loss on the same tokens, second time", "nats"),
    "agreement_0": ("agreement right, no attractor", "share"),
    "agreement_1": ("agreement right, one attractor", "share"),
    "train_text": ("training loss on text", "nats"),
    "train_grammar": ("training loss on generated sentences", "nats"),
    "train_repeats": ("training loss on copied tokens", "nats"),
    "train_recall": ("training loss on tokens to recall", "nats"),
    "train_pairs": ("training loss on translations", "nats"),
}
HEADS = {  # the same for a number of each head
    "all_previous": ("previous", "weight on the previous token"),
    "all_induction": ("induction", "weight at the best shift after the earlier copy"),
}


def write_training(recipe: Recipe, folder: Path, log: Path) -> Path:
    """Keep a run's log in the folder of its model."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    known = ("step", "tokens", *NUMBERS, *HEADS)
    kept = [{name: _short(row[name]) for name in known if name in row} for row in rows]
    path = folder / FILE
    path.write_text(json.dumps({"name": recipe.name, "phases": _phases(recipe), "rows": kept}, separators=(",", ":")) + "\n")
    return path


def training(model: str | Path | None = None) -> Dataset:
    """The training of a bundled model: losses, agreement and the circuit scores of every head, checkpoint by checkpoint.

    Args:
        model: a bundled model's name, or the folder of a model that `interp zoo train` made; None for the default.
    Returns: a dataset over the axis checkpoint, with the coordinates `step` and `tokens` (read so far). "text", "first", "second"... in
        nats per token, "agreement_0", "agreement_1" as shares; "previous" and "induction" of each (checkpoint, layer, head), as
        probabilities, on random tokens that come twice. NaN where a checkpoint has no such number.
    Raises: ModelNotFound for another name; DataError for a folder that does not tell.

    Example:
        >>> import interp
        >>> told = interp.training("small")  # doctest: +SKIP
        >>> told["induction"].isel(checkpoint=-1).max()  # doctest: +SKIP
    """
    path = _folder(zoo.DEFAULT if model is None else model) / FILE
    if not path.is_file():
        raise DataError(f"{path.parent} holds no {FILE}: its training was not kept; expected the folder of a model by `interp zoo train`")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return _dataset(told)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be read ({error}); expected what `interp zoo train` wrote at the end of a run") from error


def _folder(model: str | Path) -> Path:
    if str(model) in zoo.names():
        return zoo.place(str(model))
    if Path(model).expanduser().is_dir():
        return Path(model).expanduser()
    raise ModelNotFound(f"{str(model)!r} is neither a bundled model nor a folder; expected one of: {', '.join(zoo.names())}")


def _dataset(told: dict[str, Any]) -> Dataset:
    rows = told["rows"]
    coords: dict[str, Any] = {
        "checkpoint": np.arange(len(rows)),
        "step": ("checkpoint", [row["step"] for row in rows]),
        "tokens": ("checkpoint", [row["tokens"] for row in rows]),
    }
    arrays = {
        name: DataArray([row.get(name, np.nan) for row in rows], dims=["checkpoint"], attrs={"long_name": what, "units": unit})
        for name, (what, unit) in NUMBERS.items()
        if any(name in row for row in rows)
    }
    arrays |= {name: _of_heads([row[key] for row in rows], what) for key, (name, what) in HEADS.items() if key in rows[0]}
    attrs = {"name": told["name"], "phases": json.dumps(told["phases"])}
    return Dataset(arrays, attrs=attrs).assign_coords(coords)


def _of_heads(values: list, what: str) -> DataArray:
    """Axes: (checkpoint, layer, head)."""
    array = np.array(values)
    names = [[head_site(layer, head) for head in range(array.shape[2])] for layer in range(array.shape[1])]
    coords = {"layer": np.arange(array.shape[1]), "head": np.arange(array.shape[2]), "site": (("layer", "head"), names)}
    source = "random tokens that come twice; Olsson et al. (2022), In-context Learning and Induction Heads; the profile over shifts is ours"
    attrs = {"long_name": what, "units": "probability", "source": source}
    return DataArray(array, dims=["checkpoint", "layer", "head"], coords=coords, attrs=attrs)


def _phases(recipe: Recipe) -> list[dict]:
    """What was read, with the tokens after which each phase is over."""
    ends = np.cumsum([phase.n_steps * phase.batch_rows * phase.row_tokens for phase in recipe.phases])
    return [asdict(phase) | {"until_tokens": int(end)} for phase, end in zip(recipe.phases, ends, strict=True)]


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
