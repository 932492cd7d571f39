"""Sentences without end, from a seed; passages of two sentences; and plain text to train a language model on."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice

from interp.core.errors import DataError
from interp.texts.grammar.agreement import agreement
from interp.texts.grammar.candidate import Candidate
from interp.texts.grammar.derivation import Statement
from interp.texts.grammar.draw import Draw
from interp.texts.grammar.lexicon import Split, check_split
from interp.texts.grammar.passage import passage
from interp.texts.grammar.realise import belongs, draft, finish
from interp.texts.grammar.rules import KINDS as RULES
from interp.texts.grammar.senses import sense
from interp.texts.grammar.sentence import GrammarSentence, Passage
from interp.texts.grammar.winograd import gender, winograd

_TASKS: dict[str, Callable[[Draw], Candidate]] = {"agreement": agreement, "sense": sense, "winograd": winograd, "gender": gender}
KINDS = (*RULES, *_TASKS)
_PASSAGE = 0.25


def stream(*, seed: int, split: Split = "train", kinds: Sequence[str] = ()) -> Iterator[GrammarSentence]:
    """Sentences without end.

    Args:
        seed: the same seed gives the same sentences, and a longer stream begins like a shorter one.
        split: "train" has all words and none of the sentences of the other two; see `lexicon` and `realise.held_out`.
        kinds: only these of `KINDS`, each as often; empty for all.
    Raises: DataError, at once, for an unknown split or kind.

    Example:
        >>> sentence = next(stream(seed=1, kinds=["transitive"]))
        >>> sentence.kind, sentence.words[-1].form, sentence.translation.words[-1]
        ('transitive', '.', '。')
    """
    check_split(split)
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise DataError(f"kinds {unknown} came; expected some of {', '.join(KINDS)}")
    return _stream(seed, split, tuple(kinds) or KINDS)


def generate(n: int, *, seed: int, split: Split = "train", kinds: Sequence[str] = ()) -> list[GrammarSentence]:
    """The first `n` sentences of `stream`, with its arguments and errors.

    Example:
        >>> generate(3, seed=1) == generate(3, seed=1), generate(3, seed=1) == generate(3, seed=2)
        (True, False)
    """
    return list(islice(stream(seed=seed, split=split, kinds=kinds), n))


def passages(n: int, *, seed: int, split: Split = "train") -> list[Passage]:
    """Two sentences each; the second one's subject is a pronoun for somebody or something in the first.

    Raises: DataError for an unknown split.

    Example:
        >>> found = passages(1, seed=1)[0]
        >>> (sentence, word), (before, antecedent) = found.coreference[-1]
        >>> sentence, before, found.sentences[1].words[word].upos
        (1, 0, 'PRON')
    """
    check_split(split)
    draw = Draw(seed, split, "passages")
    return [passage(draw, f"{split}-passage-{seed}-{number}") for number in range(1, n + 1)]


def texts(*, seed: int, split: Split = "train", kinds: Sequence[str] = ()) -> Iterator[str]:
    """Paragraphs without end, of three to eight sentences, a quarter of them as passages; English only.

    Args and errors: as `stream`.

    Example:
        >>> paragraph = next(texts(seed=1))
        >>> paragraph[0].isupper(), paragraph[-1] in ".?"
        (True, True)
    """
    return _paragraphs(stream(seed=seed, split=split, kinds=kinds), Draw(seed, split, "paragraphs"))


def _paragraphs(sentences: Iterator[GrammarSentence], draw: Draw) -> Iterator[str]:
    while True:
        parts = [passage(draw, "").text if draw.chance(_PASSAGE) else next(sentences).text for _ in range(draw.one(range(3, 8)))]
        yield " ".join(parts)


def _stream(seed: int, split: Split, kinds: tuple[str, ...]) -> Iterator[GrammarSentence]:
    draw = Draw(seed, split, "sentences")
    for number in count(1):
        kind = draw.one(kinds)
        while True:
            candidate = _candidate(draw, kind)
            drafted = draft(candidate.said)
            if not candidate.checked or belongs(drafted, split, ignoring=candidate.ignoring):
                break
        yield finish(drafted, name=f"{split}-{seed}-{number}", kind=kind, split=split, template=candidate.template)


def _candidate(draw: Draw, kind: str) -> Candidate:
    if kind in _TASKS:
        return _TASKS[kind](draw)
    said: Statement = RULES[kind](draw)
    return Candidate(said=said)
