"""How is a figure kept in a file and drawn again later? Its description as plain JSON, every number as it was.

float32 written as decimal text reads back as the same float32; a missing number is null.
"""

from dataclasses import fields, is_dataclass
from typing import Any, get_args

import numpy as np

from interp.core.errors import DataError
from interp.figures.description import Description, Reference, Series

_FIGURES = get_args(Description)
_KINDS: dict[str, type] = {kind.__name__: kind for kind in (*_FIGURES, Series, Reference)}


def as_plain(description: Description) -> dict[str, Any]:
    """The description as what JSON holds: texts, numbers, lists.

    Example:
        >>> from interp.figures.description import Bars
        >>> bars = Bars(title="t", labels=["a"], values=np.array([0.1]), value_title="v")
        >>> from_plain(as_plain(bars)).values.tolist()
        [0.1]
    """
    return _plain(description)


def from_plain(kept: Any) -> Description:
    """The description again. Raises: DataError for anything else than `as_plain` made."""
    try:
        description = _thing(kept)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise DataError(f"a kept figure cannot be read ({error!r}); expected what `interp report` or the page Report wrote") from error
    if not isinstance(description, _FIGURES):
        raise DataError(f"a kept {type(description).__name__} came; expected a figure: {', '.join(kind.__name__ for kind in _FIGURES)}")
    return description


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {"kind": type(value).__name__} | {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return {"array": _numbers(value.tolist()), "dtype": value.dtype.name}
    if isinstance(value, dict):
        return {"named": {name: _plain(one) for name, one in value.items()}}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _numbers(values: Any) -> Any:
    if isinstance(values, list):
        return [_numbers(one) for one in values]
    return None if np.isnan(values) else values


def _thing(kept: Any) -> Any:
    if isinstance(kept, list):
        return tuple(_thing(one) for one in kept)
    if not isinstance(kept, dict):
        return kept
    if "array" in kept:
        return np.array(kept["array"], dtype=np.float64).astype(np.dtype(str(kept["dtype"])))
    if "named" in kept:
        return {name: _thing(one) for name, one in kept["named"].items()}
    return _KINDS[kept["kind"]](**{name: _thing(value) for name, value in kept.items() if name != "kind"})
