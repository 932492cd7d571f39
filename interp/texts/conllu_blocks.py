"""The lines of a CoNLL-U file, sentence by sentence, checked before anything is read from them.

The parser accepts what it can (fewer columns, heads that do not exist) and does not say on which line it stopped. So every
line is looked at first: ten columns, ids that count up from 1, heads that exist, one root.

Source: universaldependencies.org/format.html. Not checked: lists of labels, cycles, enhanced dependencies.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interp.core.errors import DataError
from interp.texts.lines import numbered_lines

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
_ID = re.compile(r"(?P<word>[1-9]\d*)(-(?P<last>[1-9]\d*))?|(?P<after>\d+)\.(?P<empty>[1-9]\d*)")
_EXPECTED = "a treebank in CoNLL-U (.conllu); universaldependencies.org has them for many languages"


@dataclass(frozen=True, kw_only=True)
class Block:
    """The lines of one sentence, comments included; `line` is the number of the first one."""

    line: int
    lines: tuple[str, ...]


def blocks(path: str | Path) -> Iterator[Block]:
    """The sentences of a CoNLL-U file, as a stream. Comments that stand alone go with the next sentence.

    Raises: DataError naming the file and the line: at once for no such file, on the way for a line that is not CoNLL-U.
    """
    return (checked(Path(path), block) for block in gathered(numbered_lines(path, expected=_EXPECTED)))


def gathered(numbered: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Each sentence's numbered lines as they stand, not yet checked."""
    held: list[tuple[int, str]] = []
    for number, line in numbered:
        if line.strip():
            held.append((number, line))
        elif any(not text.startswith("#") for _, text in held):
            yield held
            held = []
    if any(not text.startswith("#") for _, text in held):
        yield held


def checked(path: Path, gathered: list[tuple[int, str]]) -> Block:
    """A sentence's lines, each looked at. Raises: DataError naming the file and the line."""
    heads: dict[int, tuple[int, int]] = {}  # word -> its line, its head
    last = 0  # where the latest multiword token ends
    for number, line in gathered:
        if line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        columns = _columns(line, where)
        found = _ID.fullmatch(columns[0])
        if not found:
            raise DataError(f"{where}: id {columns[0]!r}; expected a number, a range (1-2) or an empty node (8.1)")
        if found["empty"]:
            continue
        if int(found["word"]) != len(heads) + 1:
            raise DataError(f"{where}: id {columns[0]}; expected {len(heads) + 1}, the next word of the sentence")
        if found["last"]:
            last = _range_end(int(found["word"]), int(found["last"]), last, where)
        else:
            heads[len(heads) + 1] = (number, _head(columns[6], where))
    if last > len(heads):
        raise DataError(f"{path}, line {gathered[-1][0]}: a multiword token reaches to word {last}; the sentence ends at {len(heads)}")
    _check_heads(path, heads, first=gathered[0][0])
    return Block(line=gathered[0][0], lines=tuple(line for _, line in gathered))


def _columns(line: str, where: str) -> list[str]:
    columns = line.split("\t")
    if len(columns) != len(COLUMNS):
        raise DataError(f"{where}: {len(columns)} columns; expected {len(COLUMNS)}, with tabs between: {' '.join(COLUMNS)}")
    for name, column in zip(COLUMNS, columns, strict=True):
        if not column or column != column.strip() or "  " in column:  # the parser would cut there
            raise DataError(f"{where}: {name} is {column!r}; expected a value, or _ for none, without spaces around or doubled inside")
    return columns


def _range_end(first: int, last: int, previous: int, where: str) -> int:
    if last < first or first <= previous:
        raise DataError(f"{where}: the multiword token {first}-{last}; expected a rising range that starts after word {previous}")
    return last


def _head(column: str, where: str) -> int:
    if not re.fullmatch(r"0|[1-9]\d*", column):
        raise DataError(f"{where}: HEAD is {column!r}; expected the number of a word, or 0 for the root")
    return int(column)


def _check_heads(path: Path, heads: dict[int, tuple[int, int]], *, first: int) -> None:
    for word, (number, head) in heads.items():
        if head == word or head > len(heads):
            raise DataError(f"{path}, line {number}: HEAD is {head}; expected another word of the sentence, 1 to {len(heads)}, or 0")
    roots = [word for word, (_, head) in heads.items() if head == 0]
    if len(roots) != 1:
        raise DataError(f"{path}, line {first}: the sentence that begins here has {len(roots)} roots (HEAD 0); expected one")
