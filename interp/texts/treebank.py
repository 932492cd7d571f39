"""Sentences with gold words, parts of speech and heads, from a treebank in CoNLL-U.

Every word's place in the sentence's own text is worked out and checked letter by letter: a treebank whose words do not spell
its text would give numbers about other words. `# text` says where spaces are; without it, `SpaceAfter=No` does. Parts of a
multiword token get its span (see `words`); empty nodes, which nobody wrote, are dropped.

A sentence's `document` is the last `# newdoc`; in a file without, its id up to the number ("w01-003" is in "w01"). An id that
only names a split ("dev-s1") tells nothing of documents: each sentence is then a document of its own.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import conllu
from conllu.exceptions import ParseException

from interp.core.errors import DataError
from interp.texts.conllu_blocks import Block, blocks
from interp.texts.words import Link, Sentence, Span, Word

_NUMBERED = re.compile(r"(?P<document>.*\w)[-_./]s?\d+")
_SPLIT = re.compile(r"(.*[-_.])?(train|dev|test)", re.IGNORECASE)


def read_treebank(path: str | Path) -> list[Sentence]:
    """All sentences of a CoNLL-U file; `iter_sentences` reads a large one as a stream.

    Raises: DataError as `iter_sentences`, and for a file without a sentence.
    """
    sentences = list(iter_sentences(path))
    if not sentences:
        raise DataError(f"{path}: no sentence in it; expected a treebank in CoNLL-U")
    return sentences


def iter_sentences(path: str | Path) -> Iterator[Sentence]:
    """The sentences of a CoNLL-U file, one at a time.

    Raises: DataError: at once for no such file; on the way for a broken line (file and line number) or words that do not
        spell the sentence's text (sentence id).
    """
    return map(SentenceReader(Path(path)).read, blocks(path))


class SentenceReader:
    """Reads one block after another, and remembers in which document it is."""

    def __init__(self, path: Path):
        self.path = path
        self.document: str | None = None

    def read(self, block: Block) -> Sentence:
        """The sentence of a block. Raises: DataError for words that do not spell the sentence's text."""
        parsed = _parse(self.path, block)
        meta = parsed.metadata
        name = meta.get("sent_id") or f"{self.path.stem}:{block.line}"
        if "newdoc id" in meta or "newdoc" in meta:
            self.document = meta.get("newdoc id") or meta.get("newdoc") or name
        text, words = _placed(parsed, meta.get("text"), f"{self.path}, sentence {name}")
        return Sentence(id=name, text=text, words=words, document=self.document or _document(name), links=_links(parsed))


def _parse(path: Path, block: Block) -> Any:
    try:
        (parsed,) = conllu.parse("\n".join(block.lines))
    except (ParseException, ValueError) as error:
        raise DataError(f"{path}, the sentence that begins on line {block.line}: {error}; expected CoNLL-U") from error
    return parsed


def _placed(parsed: Any, given: str | None, where: str) -> tuple[str, tuple[Word, ...]]:
    """The text and the words with their spans in it."""
    surface, covered = _surface(parsed)
    text = given or "".join(token["form"] + _space(token) for token in surface).strip()
    spans = dict(zip((token["id"] for token in surface), _spans([token["form"] for token in surface], text, where), strict=True))
    words = [token for token in parsed if isinstance(token["id"], int)]
    return text, tuple(_word(token, spans[covered.get(token["id"], token["id"])], token["id"] in covered) for token in words)


def _surface(parsed: Any) -> tuple[list[Any], dict[int, Any]]:
    """The tokens that are written in the text, and for each word inside a multiword token the token's id."""
    ranges = [token["id"] for token in parsed if isinstance(token["id"], tuple) and token["id"][1] == "-"]
    covered = {word: each for each in ranges for word in range(each[0], each[2] + 1)}
    written = [token for token in parsed if token["id"] in ranges or (isinstance(token["id"], int) and token["id"] not in covered)]
    return written, covered


def _links(parsed: Any) -> tuple[Link, ...]:
    """Pairs of words in MISC: `Antecedent=3` on the fifth word is ("Antecedent", 4, 2), `Link:part=3` is ("part", 4, 2).

    What points out of the sentence is left out.
    """
    words = [token for token in parsed if isinstance(token["id"], int)]
    said = [(name, token["id"], value) for token in words for name, value in (token["misc"] or {}).items()]
    return tuple(
        (name.removeprefix("Link:"), here - 1, int(there) - 1)
        for name, here, there in said
        if (name == "Antecedent" or name.startswith("Link:"))
        and there
        and there.isascii()
        and there.isdigit()
        and 1 <= int(there) <= len(words)
        and int(there) != here
    )


def _space(token: Any) -> str:
    return "" if (token["misc"] or {}).get("SpaceAfter") == "No" else " "


def _spans(forms: list[str], text: str, where: str) -> list[Span]:
    """Characters [start, end) of each form, read off the text from left to right.

    Example:
        >>> _spans(["The", "end", "."], "The end.", "here")
        [(0, 3), (4, 7), (7, 8)]
    """
    spans, place = [], 0
    for form in forms:
        place += len(text[place:]) - len(text[place:].lstrip())
        if not text.startswith(form, place):
            raise DataError(f"{where}: the next word is {form!r}, the text goes on with {text[place : place + 20]!r}; expected the same")
        spans.append((place, place + len(form)))
        place += len(form)
    if rest := text[place:].strip():
        raise DataError(f"{where}: the text goes on with {rest[:20]!r} after the last word; expected its end")
    return spans


def _word(token: Any, span: Span, multiword: bool) -> Word:
    return Word(
        id=token["id"],
        form=token["form"],
        lemma=token["lemma"],
        upos=token["upos"],
        deprel=token["deprel"],
        head=token["head"],
        span=span,
        multiword=multiword,
        feats="|".join(f"{name}={value}" for name, value in (token["feats"] or {}).items()) or "_",
    )


def _document(name: str) -> str:
    """The document that a sentence's id names, or the id itself.

    Example:
        >>> _document("w01-003"), _document("dev-s1"), _document("fr-ud-test_00007")
        ('w01', 'dev-s1', 'fr-ud-test_00007')
    """
    found = _NUMBERED.fullmatch(name)
    return found["document"] if found and not _SPLIT.fullmatch(found["document"]) else name
