"""What a model reads: a text, its tokens, where each stands in the text, and the words that they make up.

Glossary of axes
    pos     a token's place, from 0, special tokens counted: the index of `ids`, `tokens`, `spans`, `special`
    word    a word's place, from 0: the index of `words`, `word_tokens`
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from interp.core.errors import DataError
from interp.texts.words import Link, Span, Word


@dataclass(frozen=True, kw_only=True)
class Example:
    """A text as one model's tokenizer cuts it; made by `tokenize`, `windows` and `annotate`.

    Attributes:
        text: the whole text, also when the tokens are a window of it.
        ids: (pos,) what the model is given.
        tokens: (pos,) for people: " river", "[CLS]", "猫 1/3" (the first of three tokens that share one character).
        spans: (pos,) characters [start, end) in `text`; empty for what a tokenizer adds. A leading space is in the span or
            not, as the tokenizer has it.
        special: (pos,) is a special token.
        words: (word,) annotated words; empty for plain text.
        word_tokens: (word,) positions of each word's tokens, at least one.
        links: annotated pairs of words (see `Sentence`).
        name: what to call the example (a sentence's id).
        document: the text that it is from: the cluster for intervals and permutations.
    Raises: DataError when the fields do not fit each other.
    """

    text: str
    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    spans: tuple[Span, ...]
    special: tuple[bool, ...]
    words: tuple[Word, ...] = ()
    word_tokens: tuple[tuple[int, ...], ...] = ()
    links: tuple[Link, ...] = ()
    name: str = ""
    document: str = ""

    def __post_init__(self) -> None:
        lengths = {"ids": len(self.ids), "tokens": len(self.tokens), "spans": len(self.spans), "special": len(self.special)}
        if len(set(lengths.values())) > 1:
            raise DataError(f"an example's {lengths} differ in length; expected one entry for each token")
        if len(self.words) != len(self.word_tokens):
            raise DataError(f"{len(self.words)} words came with tokens for {len(self.word_tokens)}; expected as many")

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, positions: Sequence[int]) -> "Example":
        """The same text with only these tokens, in this order, and without its words (their tokens may be gone).

        Example:
            >>> example = Example(text="ab", ids=(7, 8), tokens=("a", "b"), spans=((0, 1), (1, 2)), special=(False, False))
            >>> example.at([1]).tokens
            ('b',)
        """
        return replace(
            self,
            ids=tuple(self.ids[pos] for pos in positions),
            tokens=tuple(self.tokens[pos] for pos in positions),
            spans=tuple(self.spans[pos] for pos in positions),
            special=tuple(self.special[pos] for pos in positions),
            words=(),
            word_tokens=(),
            links=(),
        )


def tokens_of(example: Example, word: str) -> list[int]:
    """The positions of the tokens of a word's first place in the text; letters beside it would make it another word.

    Raises: DataError for a word that is not there.

    Example:
        >>> example = Example(text="a cat", ids=(7, 8), tokens=("a", " cat"), spans=((0, 1), (1, 5)), special=(False, False))
        >>> tokens_of(example, "cat")
        [1]
    """
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", example.text)
    positions = [pos for pos, (start, end) in enumerate(example.spans) if found and start < found.end() and end > found.start()]
    if not positions:
        raise DataError(f"{word!r} is no word of {example.text!r}; expected one of its words, spelled as there")
    return positions
