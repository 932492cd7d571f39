"""Texts without annotation, as a stream: what statistics over a corpus are computed on."""

from collections.abc import Iterator
from pathlib import Path

from interp.core.errors import DataError
from interp.texts.lines import numbered_lines
from interp.texts.treebank import iter_sentences


def read_texts(path: str | Path) -> Iterator[str]:
    """The texts of a file, one at a time: each line of a .txt file that is not blank, or each sentence of a .conllu file.

    White space around a line is left out.

    Raises: DataError: at once for no such file or another kind of file; on the way for a line that cannot be read (line number).
    """
    path = Path(path)
    if path.suffix == ".conllu":
        return (sentence.text for sentence in iter_sentences(path))
    if path.suffix != ".txt":
        raise DataError(f"{path}: a file of kind {path.suffix or '(none)'} came; expected .txt (one text a line) or .conllu")
    lines = numbered_lines(path, expected="a text file (.txt, UTF-8), one text or paragraph a line")
    return (line.strip() for _, line in lines if line.strip())
