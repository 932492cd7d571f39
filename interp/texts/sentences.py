"""A treebank as a model reads it: each sentence's tokens, and which of them make up each gold word.

Not every sentence can be read with every tokenizer (a token over two words, more tokens than the context). Those that cannot
are returned apart, each with its reason: a result over a treebank should say how many it leaves out, since they are not a
random part of it (with byte-level BPE, mostly those with two punctuation marks in a row).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from interp.core.errors import TextError
from interp.texts.alignment import align
from interp.texts.example import Example
from interp.texts.tokens import FastTokenizer, tokenize
from interp.texts.words import Sentence


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A sentence that could not be read. `kind` is the error's name, `reason` its message."""

    name: str
    document: str
    kind: str
    reason: str


def annotate(sentence: Sentence, tokenizer: FastTokenizer, *, n_ctx: int | None = None) -> Example:
    """One sentence with its tokens and, for each word, the positions of its tokens.

    Raises: AlignmentError, TextTooLong, EmptyText, TextError: see `align` and `tokenize`.
    """
    example = tokenize(sentence.text, tokenizer, n_ctx=n_ctx)
    tokens = align([word.span for word in sentence.words], example.spans, text=sentence.text)
    return replace(example, words=sentence.words, word_tokens=tokens, links=sentence.links, name=sentence.id, document=sentence.document)


def examples(sentences: Iterable[Sentence], tokenizer: FastTokenizer, *, n_ctx: int | None = None) -> tuple[list[Example], list[Skipped]]:
    """The sentences that this tokenizer can read, and those it cannot.

    Args:
        sentences: of a treebank.
        tokenizer: the model's own, fast.
        n_ctx: tokens that the model's context holds, special tokens counted; None for no limit.
    Returns: examples and skipped sentences, each in the order of the treebank; together all of it.
    Raises: TextError when the tokenizer is not a fast one: then no sentence could be read.
    """
    read, skipped = [], []
    for sentence in sentences:
        try:
            read.append(annotate(sentence, tokenizer, n_ctx=n_ctx))
        except TextError as error:
            if type(error) is TextError:
                raise
            skipped.append(Skipped(name=sentence.id, document=sentence.document, kind=type(error).__name__, reason=str(error)))
    return read, skipped


def skipped_counts(skipped: Iterable[Skipped]) -> dict[str, int]:
    """How many sentences were left out for each kind of reason, most first.

    Example:
        >>> skipped_counts([Skipped(name="s1", document="d", kind="TextTooLong", reason="the text has 300 tokens")])
        {'TextTooLong': 1}
    """
    return dict(Counter(each.kind for each in skipped).most_common())
