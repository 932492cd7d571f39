"""A pinned figure: what is drawn, the Python that gives it, the address of its view, and what its reader says about it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interp.core.errors import DataError
from interp.figures.description import Description
from interp.figures.kept import as_plain, from_plain

FILE = "pins.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One figure of a report.

    Args:
        name: of its files, without a suffix: "tales-L2H3-raw".
        description: what is drawn; its own caption (model, weights, data, n) always stays with it.
        python: lines that give the same object.
        address: where the view opens again; "" where there is none.
        caption: what the reader writes about it.
    """

    name: str
    description: Description
    python: str
    address: str = ""
    caption: str = ""

    @property
    def provenance(self) -> str:
        """What is behind the numbers: model, weights, data, measure, n."""
        return self.description.footer

    def saying(self, caption: str) -> "Pin":
        """The same with another caption."""
        return replace(self, caption=caption.strip())


def stem(place: int, pin: Pin) -> str:
    """The name of a pin's files in a report: its place from 1, and its name as file systems take it.

    Example:
        >>> import numpy as np
        >>> from interp.figures.description import Bars
        >>> stem(3, Pin(name="../a b", description=Bars(title="", labels="x", values=np.ones(1), value_title=""), python=""))
        '03-a-b'
    """
    return f"{place:02}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', pin.name).strip('-.')[:80] or 'figure'}"


def to_json(pins: Sequence[Pin], *, title: str) -> str:
    """Pins as a file that `read_pins` reads."""
    told = [
        {"name": pin.name, "caption": pin.caption, "address": pin.address, "python": pin.python, "figure": as_plain(pin.description)}
        for pin in pins
    ]
    return json.dumps({"format": FORMAT, "title": title, "pins": told}, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def read_pins(folder: str | Path) -> tuple[str, list[Pin]]:
    """Title and pins of a folder that the page Report gave as a zip.

    Raises: DataError for a folder without `pins.json`, or one that cannot be read.
    """
    file = Path(folder) / FILE
    if not file.is_file():
        raise DataError(f"{folder} holds no {FILE}; expected the folder that was in the zip of the page Report")
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["format"] != FORMAT:
            raise DataError(f"{file} has the format {kept['format']!r}; expected {FORMAT}: this interp cannot read it")
        return str(kept["title"]), [_pin(one) for one in kept["pins"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} cannot be read ({error!r}); expected what the page Report wrote") from error


def _pin(kept: dict[str, Any]) -> Pin:
    words = {name: str(kept[name]) for name in ("name", "caption", "address", "python")}
    return Pin(**words, description=from_plain(kept["figure"]))
