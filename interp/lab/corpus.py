"""Text for training: a folder of .txt files, split by whole book into a training and a held-out part; and generated paragraphs.

Whole books are held out, never paragraphs, so that no sentence of a held-out author's plot was seen in training.
A line of a file is a paragraph; rows of a batch start where a paragraph starts, as a user's prompt does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from interp.core.errors import DataError
from interp.texts.grammar.generate import texts
from interp.texts.grammar.lexicon import Split
from interp.texts.grammar.senses import discourses

HELD_OUT_EVERY = 25


@dataclass(frozen=True, kw_only=True)
class TokenStream:
    """Tokens of all books in one array, and where paragraphs start. Axes: tokens (pos,), starts (paragraph,)."""

    tokens: np.ndarray
    starts: np.ndarray
    n_bytes: int


def books(folder: Path) -> list[Path]:
    """The .txt files under `folder`, sorted by path.

    Raises: DataError when there is none, or one alone: a book must be held out.
    """
    found = sorted(Path(folder).rglob("*.txt"))
    if len(found) < 2:
        raise DataError(
            f"{'one' if found else 'no'} .txt file under {folder}: training needs a folder of plain-text books, two at least (whole books "
            "are held out), one paragraph a line (public-domain ones can be had from standardebooks.org or gutenberg.org)"
        )
    return found


def split(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Training and held-out books: every 25th book is held out, and at least one when there are two."""
    held = paths[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY] or paths[1:][-1:]
    return [path for path in paths if path not in held], held


def tokenize_books(paths: list[Path], tokenizer) -> TokenStream:
    """All paragraphs of all books as one stream; a paragraph ends with a newline, a book with the end-of-text token.

    Raises: DataError for a book without text, or not in UTF-8.
    """
    told = []
    for path in paths:
        paragraphs = [line + "\n" for line in _text(path).splitlines() if line.strip()]
        if not paragraphs:
            raise DataError(f"{path}: no text in it; take the file out of the folder")
        told.append(paragraphs)
    return _stream(told, tokenizer)


def tokenize_grammar(
    n_paragraphs: int, tokenizer, *, seed: int, split: Split = "train", alone: Mapping[str, float] | None = None
) -> TokenStream:
    """Generated paragraphs as one stream, as if they were one book.

    Args:
        alone: kind -> share of the paragraphs whose sentences are all of it (of "sense": one sense in each); the others are of all kinds.
    """
    return _stream([[paragraph + "\n" for paragraph in islice(_paragraphs(seed, split, alone or {}), n_paragraphs)]], tokenizer)


def _paragraphs(seed: int, split: Split, alone: Mapping[str, float]) -> Iterator[str]:
    rng = np.random.default_rng(seed)
    streams = [*(_of_kind(kind, seed, split) for kind in alone), texts(seed=seed, split=split)]
    ends = np.cumsum([*alone.values()])
    while True:
        yield next(streams[np.searchsorted(ends, rng.random(), side="right")])


def _of_kind(kind: str, seed: int, split: Split) -> Iterator[str]:
    return discourses(seed=seed, split=split) if kind == "sense" else texts(seed=seed, split=split, kinds=[kind])


def _stream(told: list[list[str]], tokenizer) -> TokenStream:
    pieces, starts, position, n_bytes = [], [], 0, 0
    for paragraphs in told:
        for ids in tokenizer(paragraphs)["input_ids"]:
            starts.append(position)
            pieces.append(np.asarray(ids, dtype=np.uint16))
            position += len(ids)
        pieces.append(np.asarray([tokenizer.eos_token_id], dtype=np.uint16))
        position += 1
        n_bytes += sum(len(paragraph.encode()) for paragraph in paragraphs)
    return TokenStream(tokens=np.concatenate(pieces), starts=np.asarray(starts), n_bytes=n_bytes)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save the file as UTF-8") from error
