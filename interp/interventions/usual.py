"""What to put in a part's place when it is switched off by mean or resample: generated sentences, as long as the text that will run.

They are of the same few constructions for every model (`texts.grammar`), so what a part is on them is usual for simple English, not for the
model's own training texts: where that matters, give `ablate` texts of your own.
"""

from collections.abc import Iterator

from interp.models.model import Model
from interp.models.reading import Text, rows_of
from interp.texts.example import Example
from interp.texts.grammar.generate import stream
from interp.texts.grammar.sentence import GrammarSentence
from interp.texts.tokens import decoder_row, tokenize, windows


def usual_texts(model: Model, text: Text, *, n: int = 8, seed: int = 0) -> list[Text]:
    """Texts of generated sentences with exactly as many tokens as `text` has for this model, for `ablate(..., over=...)`.

    For an encoder-decoder pairs of equally many tokens each: the second in Chinese where that of `text` is, else the first again.

    Args:
        model: from `interp.load`.
        text: what will run; in an encoder-decoder a pair.
        n: how many.
        seed: of the sentences.
    Raises: as `rows_of`.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> over = usual_texts(model, "The old man", n=2)
        >>> [len(one) for one in over], over[0].text != over[1].text
        ([3, 3], True)
    """
    example, target = rows_of(model, text)
    sentences = stream(seed=seed)
    if target is None:
        return [_read(model, _long(sentences, model, len(example)), len(example)) for _ in range(n)]
    chinese = any("\u4e00" <= character <= "\u9fff" for character in target.text)
    return [_pair(model, sentences, len(example), len(target), chinese=chinese) for _ in range(n)]


def _pair(model: Model, sentences: Iterator[GrammarSentence], n: int, m: int, *, chinese: bool) -> tuple[Example, Example]:
    said = _long(sentences, model, max(n, m) * 2)  # a translation may have fewer tokens
    written = "".join(one.translation.text for one in said) if chinese else " ".join(one.text for one in said)
    row = decoder_row(written, model.tokenizer, start=model.start_token())
    return _read(model, said, n), row.at(range(m))


def _read(model: Model, said: list[GrammarSentence], n: int) -> Example:
    return windows(" ".join(one.text for one in said), model.tokenizer, n)[0]


def _long(sentences: Iterator[GrammarSentence], model: Model, n: int) -> list[GrammarSentence]:
    """As many sentences as make a text of n tokens or more."""
    said: list[GrammarSentence] = []
    while not said or len(tokenize(" ".join(one.text for one in said), model.tokenizer)) < n:
        said += [next(sentences) for _ in range(max(1, len(said)))]
    return said
