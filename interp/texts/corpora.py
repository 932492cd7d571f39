"""A corpus as a stream of records, whatever it lies in: files of five kinds, a `datasets` data set, any texts at hand.

    .txt        one text a line; blank lines are left out
    .jsonl      one JSON object a line, with the field "text"; for an encoder-decoder "source" and "target"
    .tsv        pairs for an encoder-decoder: source, tab, target; a first line "source<tab>target" is a header
    .conllu     a treebank: sentences with their gold words
each also as .gz. Nothing is loaded whole: one line, or one sentence of a treebank, at a time.

An encoder-decoder reads pairs and nothing else: what its decoder and its cross-attention do depends on the target that the decoder reads,
and a target that was made up (none, the source, the model's own output) would give numbers about a text that nobody wrote.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from interp.core.errors import DataError
from interp.texts.conllu_blocks import checked, gathered
from interp.texts.records import PAIR, TEXT, Bad, Record, record_of
from interp.texts.treebank import SentenceReader

Item = Record | Bad
Lines = Iterator[tuple[int, str]]
_ENDS = 65_536  # bytes at either end of a file that stand for it; each shard of a run has a hash of its own texts


def open_corpus(corpus: str | Path | Iterable[Any], *, paired: bool = False, field: str | None = None) -> "FileCorpus | ItemCorpus":
    """A corpus to be read once or more, from its start each time.

    Args:
        corpus: a file, or texts, rows (of a `datasets` data set), sentences or pairs.
        paired: for an encoder-decoder, which reads pairs.
        field: the name of the text in a row or a JSON object; for pairs two names, "source,target".
    Raises: DataError at once for no such file, a kind of file that is not known or does not fit, or a field too many.
    """
    default = PAIR if paired else TEXT
    fields = default if field is None else tuple(name.strip() for name in field.split(","))
    if len(fields) != len(default):
        raise DataError(f"the field {field!r} came; expected {len(default)} of them, such as {','.join(default)!r}")
    return FileCorpus(Path(corpus), fields) if isinstance(corpus, str | Path) else ItemCorpus(corpus, fields)


class ItemCorpus:
    """Texts at hand, or what gives them one after another.

    Attributes: identity: what it is known by: a data set's own fingerprint, where it has one.
    """

    def __init__(self, items: Iterable[Any], fields: tuple[str, ...]):
        self.items, self.fields = items, fields
        self.identity: dict[str, object] = {"kind": "texts", "fields": list(fields), "fingerprint": str(getattr(items, "_fingerprint", ""))}
        self._read = 0

    @property
    def share(self) -> float | None:
        """How much of it was read, 0 to 1; None where nobody knows how much there is."""
        total = len(self.items) if isinstance(self.items, Sized) else None
        return min(1.0, self._read / total) if total else None

    def __iter__(self) -> Iterator[Item]:
        for number, item in enumerate(self.items, 1):
            self._read = number
            yield record_of(item, f"text {number}", self.fields)


class FileCorpus:
    """A file, plain or .gz.

    Attributes: identity: its kind, its size in bytes, and a hash of its beginning and end.
    """

    def __init__(self, path: Path, fields: tuple[str, ...]):
        if not path.is_file():
            raise DataError(f"{path}: no such file; expected a corpus: {', '.join(_READERS)}, plain or .gz")
        self.path, self.fields, self.size = path, fields, path.stat().st_size
        self.suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix
        if self.suffix not in _READERS:
            raise DataError(f"{path}: a file of kind {self.suffix or '(none)'} came; expected {', '.join(_READERS)}, plain or .gz")
        self._refuse_other_fields()
        self.identity: dict[str, object] = {"kind": self.suffix, "fields": list(fields), "bytes": self.size, "ends": self._ends()}
        self._raw: BinaryIO | None = None

    def _refuse_other_fields(self) -> None:
        if len(self.fields) == 2 and self.suffix not in (".tsv", ".jsonl"):
            raise DataError(
                f"{self.path}: one text at a time; an encoder-decoder reads pairs: expected .tsv, or .jsonl with source and target. "
                "No target is made up: for a model that rewrites its input, such as BART, give each text twice"
            )
        if len(self.fields) == 1 and self.suffix == ".tsv":
            raise DataError(f"{self.path}: pairs of texts; this model reads one text: expected .txt, .jsonl or .conllu")

    def _ends(self) -> str:
        with self.path.open("rb") as opened:
            digest = blake2b(opened.read(_ENDS), digest_size=8)
            opened.seek(max(0, self.size - _ENDS))
            digest.update(opened.read())
        return digest.hexdigest()

    @property
    def share(self) -> float | None:
        """How much of the file was read, 0 to 1."""
        if self._raw is None or self._raw.closed:
            return 1.0
        return self._raw.tell() / max(1, self.size)

    def __iter__(self) -> Iterator[Item]:
        with self.path.open("rb") as self._raw:
            opened = gzip.GzipFile(fileobj=self._raw) if self.path.suffix == ".gz" else self._raw
            yield from _READERS[self.suffix](self, self._lines(opened))

    def _lines(self, opened: Iterable[bytes]) -> Lines:
        """Numbered lines. What is not UTF-8 stays in as lone surrogates, so that its record is refused and no other."""
        number = 0
        try:
            for number, line in enumerate(opened, 1):
                decoded = line.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
                yield number, decoded.removeprefix("\ufeff") if number == 1 else decoded
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(f"{self.path}, after line {number}: the file cannot be read on ({error}); expected it whole") from error

    def place(self, number: int) -> str:
        """What a line is called."""
        return f"{self.path.name}, line {number}"

    def texts(self, lines: Lines) -> Iterator[Item]:
        """Of a .txt file."""
        return (record_of(line.strip(), self.place(number), self.fields) for number, line in lines if line.strip())

    def objects(self, lines: Lines) -> Iterator[Item]:
        """Of a .jsonl file."""
        return (self._object(line, self.place(number)) for number, line in lines if line.strip())

    def _object(self, line: str, place: str) -> Item:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            return Bad(place=place, reason=f"not JSON ({error}); expected one object on each line")
        if not isinstance(row, Mapping):
            return Bad(place=place, reason=f"a {type(row).__name__} came; expected an object with the field {self.fields[0]!r}")
        return record_of(row, place, self.fields)

    def pairs(self, lines: Lines) -> Iterator[Item]:
        """Of a .tsv file."""
        for number, line in lines:
            if line.strip() and not (number == 1 and tuple(line.split("\t")) == PAIR):
                yield record_of(line.split("\t"), self.place(number), self.fields)

    def sentences(self, lines: Lines) -> Iterator[Item]:
        """Of a .conllu file."""
        reader = SentenceReader(self.path)
        for block in gathered(lines):
            place = self.place(block[0][0])
            try:
                yield record_of(reader.read(checked(self.path, block)), place, self.fields)
            except DataError as error:
                yield Bad(place=place, reason=str(error))


_READERS: dict[str, Callable[[FileCorpus, Lines], Iterator[Item]]] = {
    ".txt": FileCorpus.texts,
    ".jsonl": FileCorpus.objects,
    ".tsv": FileCorpus.pairs,
    ".conllu": FileCorpus.sentences,
}
