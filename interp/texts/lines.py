"""A text file as a stream of numbered lines, with errors that say which line."""

from collections.abc import Iterator
from pathlib import Path

from interp.core.errors import DataError


def numbered_lines(path: str | Path, *, expected: str) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end) of a UTF-8 file, read as it is asked for; a byte order mark is left out.

    Only "\\n" and "\\r\\n" end a line: str.splitlines would also cut at U+2028 and the like, which stand in real texts.

    Args:
        path: the file.
        expected: what to say was expected, and where it can be had, when there is no such file.
    Raises: DataError at once when there is no such file, and on the way when a line is not UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected {expected}")
    return _decoded(path)


def _decoded(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as opened:
        for number, line in enumerate(opened, start=1):
            try:
                decoded = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}, line {number}: not UTF-8 ({error.reason} at byte {error.start}); save the file as UTF-8"
                ) from error
            yield number, decoded.removesuffix("\n").removesuffix("\r")
