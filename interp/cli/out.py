"""What commands have in common: the option that names a model, and files that are refused before the work."""

from pathlib import Path
from typing import Annotated

import typer

from interp.core.errors import DataError

DEFAULT = "tales"
ModelName = Annotated[str, typer.Option("--model", "-m", help="a bundled model, minilm, a folder or a hub name")]


def refuse_unwritable(path: Path | None, *, figure: bool = False) -> None:
    """Before the work, not after it: what cannot be written would be lost.

    Raises: DataError naming the folder that does not exist, or the suffix that is no figure's.
    """
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise DataError(f"{path}: the folder {path.absolute().parent} does not exist; make it first")
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected the name of a file in it")
    if figure:
        from interp.figures.save import SUFFIXES

        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path.name!r} has the suffix {path.suffix!r}; a figure can be saved as {', '.join(SUFFIXES)}")
