"""What a corpus is made of: records, each with its place, and those that cannot be read, each with the reason.

A reader hands on a bad record instead of raising, so that a corpus of a million texts can go on after one that is broken; who reads
decides. A record is one text, one annotated sentence, or a pair of texts for an encoder-decoder.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from interp.core.errors import DataError
from interp.texts.words import Sentence

TEXT = ("text",)
PAIR = ("source", "target")
_EXPECTED = {1: "expected one, as a model with one stack reads it", 2: "expected a pair, source and target, as an encoder-decoder reads it"}
_BAD_SIZE = 200  # a bad record is counted as this many characters, so that a file of nothing else is cut into shards, too


@dataclass(frozen=True, kw_only=True)
class Record:
    """A text to be read.

    Attributes:
        place: "corpus.txt, line 12", "text 3".
        text: what the model reads; in a pair what its encoder reads.
        target: in a pair what its decoder writes.
        sentence: the text's gold words, where it is from a treebank.
    """

    place: str
    text: str
    target: str | None = None
    sentence: Sentence | None = None

    @property
    def size(self) -> int:
        """Characters."""
        return len(self.text) + len(self.target or "")


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A record that cannot be read: where, and why."""

    place: str
    reason: str

    @property
    def size(self) -> int:
        """What it counts for when a corpus is cut."""
        return _BAD_SIZE

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def record_of(item: object, place: str, fields: tuple[str, ...]) -> Record | Bad:
    """A record out of what a file or a data set holds.

    Args:
        item: a text, a row with the named fields, a pair of texts, or a sentence of a treebank.
        place: where it stands.
        fields: the names of a row's texts: one, or two for a pair.

    Example:
        >>> record_of({"text": "the sea", "id": 7}, "a.jsonl, line 1", TEXT).text
        'the sea'
        >>> str(record_of({"body": "the sea"}, "a.jsonl, line 1", TEXT))
        "a.jsonl, line 1: no field 'text'; it has: body; expected one, as a model with one stack reads it"
    """
    try:
        texts = _texts(item, fields)
        for text in texts:
            _refuse(text)
    except DataError as error:
        return Bad(place=place, reason=str(error))
    sentence = item if isinstance(item, Sentence) else None
    return Record(place=place, text=texts[0], target=texts[1] if len(texts) > 1 else None, sentence=sentence)


def _texts(item: object, fields: tuple[str, ...]) -> list:
    if isinstance(item, Mapping):
        missing = [name for name in fields if name not in item]
        if missing:
            raise DataError(f"no field {missing[0]!r}; it has: {', '.join(map(str, item)) or 'none'}; {_EXPECTED[len(fields)]}")
        return [item[name] for name in fields]
    texts = [item.text] if isinstance(item, Sentence) else list(item) if isinstance(item, tuple | list) else [item]
    if len(texts) != len(fields):
        raise DataError(f"{len(texts)} text{'s' * (len(texts) != 1)} came; {_EXPECTED[len(fields)]}")
    return texts


def _refuse(text: object) -> None:
    if not isinstance(text, str):
        raise DataError(f"a {type(text).__name__} came as a text; expected a str")
    if not text.strip():
        raise DataError("the text is empty; expected at least one word")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"not UTF-8 (at character {error.start + 1}); expected text in UTF-8") from error
