"""Which tokens does a word have?

By characters alone, so any tokenizer will do: a token belongs to the word whose characters it covers. White space in a token
(the space that byte-level BPE writes before a word) belongs to nobody. A token over two words (`."` as one piece) belongs to
neither alone: what the model does there cannot be said of one word, and the text is refused rather than guessed at.

Words with the same span (the parts of a multiword token, "don't") have the same tokens: no tokenizer tells them apart.
"""

from collections.abc import Iterable, Sequence

from interp.core.errors import AlignmentError
from interp.texts.words import Span


def align(word_spans: Sequence[Span], token_spans: Iterable[Span], *, text: str) -> tuple[tuple[int, ...], ...]:
    """Positions of each word's tokens.

    Args:
        word_spans: (word,) characters [start, end) in `text`.
        token_spans: (pos,) the same for tokens; empty spans (special tokens) belong to no word.
        text: what both point into.
    Returns: (word,) positions, rising, at least one for each word.
    Raises: AlignmentError for a word without a token, a token over two words, or words that overlap; it names the word, its
        number from 1 and the text.

    Example:
        >>> align([(0, 3), (4, 9)], [(0, 3), (3, 7), (7, 9)], text="The river")
        ((0,), (1, 2))
    """
    owners = _owners(word_spans, text)
    found: dict[Span, list[int]] = {span: [] for span in word_spans}
    for pos, (start, end) in enumerate(token_spans):
        covered = sorted({owners[place] for place in range(start, end) if place in owners})
        if len(covered) > 1:
            both = " and ".join(_named(word_spans, span, text) for span in covered)
            raise AlignmentError(
                f"the token {text[start:end]!r} covers {both} in {_short(text)!r}; leave the text out, or use another tokenizer"
            )
        for span in covered:
            found[span].append(pos)
    for span, tokens in found.items():
        if not tokens:
            raise AlignmentError(
                f"{_named(word_spans, span, text)} has no token in {_short(text)!r}; the tokenizer drops it: leave the text out"
            )
    return tuple(tuple(found[span]) for span in word_spans)


def _owners(word_spans: Sequence[Span], text: str) -> dict[int, Span]:
    """The word (its span) that each character is in; white space is in none."""
    owners: dict[int, Span] = {}
    for span in dict.fromkeys(word_spans):
        for place in range(*span):
            if place in owners:
                both = f"{_named(word_spans, owners[place], text)} and {_named(word_spans, span, text)}"
                raise AlignmentError(f"{both} overlap in {_short(text)!r}; expected words side by side, or with the same span")
            if not text[place : place + 1].isspace():
                owners[place] = span
    return owners


def _named(word_spans: Sequence[Span], span: Span, text: str) -> str:
    return f"word {list(word_spans).index(span) + 1} ({text[slice(*span)]!r})"


def _short(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
