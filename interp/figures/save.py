"""How does a figure get into a file? By the file's suffix, in one move: a run that is killed leaves the old file or the new one."""

import os
from pathlib import Path

from interp.core.errors import DataError
from interp.figures.description import Description
from interp.figures.paper import to_bytes
from interp.figures.scales import WIDTH_MM, Width
from interp.figures.screen import to_html
from interp.figures.table import to_csv

SUFFIXES = (".pdf", ".svg", ".png", ".html", ".csv")


def save(description: Description, path: str | Path, *, width: Width = "one") -> Path:
    """Write a figure as PDF, SVG, PNG, self-contained HTML or CSV, as the suffix says.

    Args:
        width: of PDF, SVG and PNG: "one" column (89 mm) or "two" (183 mm).
    Returns: the path written.
    Raises: DataError for another suffix or width, or a folder that is not there.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path.name!r} has the suffix {path.suffix!r}; a figure can be saved as {', '.join(SUFFIXES)}")
    if width not in WIDTH_MM:
        raise DataError(f"width={width!r} came; expected {' or '.join(map(repr, WIDTH_MM))} column(s)")
    if not path.parent.is_dir():
        raise DataError(f"{path}: there is no folder {path.parent}; make it first, or save elsewhere")
    drawn = content(description, path.suffix.lower(), width)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(drawn)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def content(description: Description, suffix: str, width: Width) -> bytes:
    """The bytes of a file of this kind."""
    if suffix == ".csv":
        return to_csv(description).encode()
    if suffix == ".html":
        return to_html(description).encode()
    return to_bytes(description, suffix[1:], width=width)  # type: ignore[arg-type]
