"""What tokens are told apart by: parts of speech, frequent lemmas, places in the text, special tokens, tokens of the vocabulary.

A scheme is a fixed list of labels and a rule that gives each token of a text one of them, or none. The list is fixed before the corpus
is read, so that the counts of its parts add up.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch

from interp.captures.corpus.batches import Batch
from interp.core.axes import check_axes
from interp.core.errors import DataError
from interp.core.sites import Stack
from interp.texts.example import Example
from interp.texts.words import Word

UPOS = ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X")


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """Labels, and which one each token has.

    Attributes:
        name: the axis that it makes, one of `core.axes`: "upos", "lemma", "place", "special", "token", or "label" for one of your own.
        labels: their names.
        of: from a text to each token's label, its place in `labels`, or -1 for none.
        needs: what texts must have for it, for an error's text.
    Raises: DataError for a name that is no axis, and for labels that come twice, or none.
    """

    name: str
    labels: tuple[str, ...]
    of: Callable[[Example], list[int]] = field(repr=False)
    needs: str = "texts"

    def __post_init__(self) -> None:
        check_axes([self.name])
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise DataError(f"labels {self.labels} came; expected at least one, and each once")

    def of_batch(self, batch: Batch, stack: Stack = "") -> torch.Tensor:
        """Each token's label, -1 for none. Axis: the batch's tokens counted through, of the texts that a stack writes on."""
        return torch.tensor([label for example in batch.texts_of(stack) for label in self.of(example)], device=batch.ids.device)

    def one_hot(self, batch: Batch) -> dict[Stack, torch.Tensor]:
        """The labels of each stack's tokens as 0 and 1. Axes: (token, label)."""
        n = len(self.labels)
        return {stack: torch.nn.functional.one_hot(self.of_batch(batch, stack) + 1, n + 1)[:, 1:].float() for stack in batch.stacks}


def _by_word(name: str, labels: Sequence[str], told: Callable[[Word], str]) -> Scheme:
    """Every token of a word has its label; the parts of a multiword token ("do" and "n't"), which share their tokens, have none."""
    places = {label: place for place, label in enumerate(labels)}

    def of(example: Example) -> list[int]:
        found = [-1] * len(example)
        for word, tokens in zip(example.words, example.word_tokens, strict=True):
            for pos in () if word.multiword else tokens:
                found[pos] = places.get(told(word), -1)
        return found

    return Scheme(name=name, labels=tuple(labels), of=of, needs="annotated texts, as of a treebank")


def upos() -> Scheme:
    """The universal parts of speech of annotated texts."""
    return _by_word("upos", UPOS, lambda word: word.upos)


def lemmas(most_frequent: Sequence[str]) -> Scheme:
    """Some lemmas of annotated texts; see `frequent_lemmas`."""
    return _by_word("lemma", most_frequent, lambda word: word.lemma)


def frequent_lemmas(words: Iterable[Word], n: int = 100) -> list[str]:
    """The most frequent lemmas, the most frequent first, equals by the alphabet; "_", which says that there is none, left out."""
    counts = Counter(word.lemma for word in words if word.lemma != "_")
    return sorted(counts, key=lambda lemma: (-counts[lemma], lemma))[:n]


def places(starts: Sequence[int] = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)) -> Scheme:
    """Places in the text in ranges that begin at `starts`; the last reaches to the end.

    Raises: DataError when they do not begin with 0 and rise.
    """
    if list(starts) != sorted(set(starts)) or not starts or starts[0] != 0:
        raise DataError(f"ranges from {tuple(starts)} came; expected rising numbers, the first 0")
    ends = [*(start - 1 for start in starts[1:]), None]
    names = [
        f"{start}+" if end is None else str(start) if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True)
    ]
    bounds = torch.tensor(starts)

    def of(example: Example) -> list[int]:
        return (torch.searchsorted(bounds, torch.arange(len(example)), right=True) - 1).tolist()

    return Scheme(name="place", labels=tuple(names), of=of)


def special() -> Scheme:
    """Special tokens against all others."""
    return Scheme(name="special", labels=("ordinary", "special"), of=lambda example: [int(special) for special in example.special])


def vocabulary(tokens: Sequence[tuple[int, str]]) -> Scheme:
    """Some tokens of the vocabulary, as (id, name)."""
    places = {token: place for place, (token, _) in enumerate(tokens)}
    names = tuple(name for _, name in tokens)
    return Scheme(name="token", labels=names, of=lambda example: [places.get(token, -1) for token in example.ids])
