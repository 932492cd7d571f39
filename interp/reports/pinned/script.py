"""The Python of all pins as one script that writes their figures again."""

import ast
from collections.abc import Sequence

from interp.reports.pinned.pin import Pin, stem

_HEAD = '''"""The figures of this report, made again from the models and texts that they are of: python figures.py [FOLDER]"""

import sys
from pathlib import Path

import interp

'''
_FOOT = '''
FIGURES = {{
{names}
}}


def main(folder: Path) -> None:
    """Write each figure as PDF, two columns wide."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in FIGURES.items():
        found = make()
        figure = found if hasattr(found, "save") else interp.figure(found)
        print(figure.save(folder / f"{{name}}.pdf", width="two"))


if __name__ == "__main__":
    main(Path(sys.argv[1] if sys.argv[1:] else "made-again"))
'''


def as_python(pins: Sequence[Pin]) -> str:
    """A function for each pin, in their order, and a `main` that calls them.

    Example:
        >>> as_python([]).splitlines()[2]
        'import sys'
    """
    functions = "\n".join(_function(at, pin) for at, pin in enumerate(pins, 1))
    names = "\n".join(f"    {stem(at, pin)!r}: figure_{at}," for at, pin in enumerate(pins, 1))
    return f"{_HEAD}{functions}{_FOOT.format(names=names)}"


def _function(place: int, pin: Pin) -> str:
    lines = _returning(pin.python).split("\n")
    body = "\n".join(f"    {line}" if line else "" for line in lines)
    return f"\ndef figure_{place}():\n{body}\n"


def _returning(python: str) -> str:
    """The lines with the last expression returned; a line that cannot be read stays as it is, as a comment."""
    try:
        last = ast.parse(python).body[-1]
    except (SyntaxError, IndexError):
        return "\n".join(["raise NotImplementedError('no Python stands under this figure')", *(f"# {line}" for line in python.split("\n"))])
    if not isinstance(last, ast.Expr):
        return python
    lines = python.split("\n")
    lines[last.lineno - 1] = f"return {lines[last.lineno - 1]}"
    return "\n".join(lines)
