"""A word with two meanings, and the cue that decides between them at a chosen distance.

Three sentences differ in one word: a cue for one sense, a cue for the other, a word that tells nothing. "The man noticed the
river yesterday and photographed the bank": the distance is the difference of the two words' places (here 5), with the cue
before or after the ambiguous word.

An ambiguous word and all its cues are in one half of the lexicon. The Chinese of the word is that of its sense; in the
neutral sentence it is that of the default (first) sense, and `senses` says nothing. Rows: `senses.yaml`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Literal

from interp.core.errors import DataError
from interp.texts.grammar import morphology
from interp.texts.grammar.candidate import Candidate, Count, same_length, search
from interp.texts.grammar.derivation import Clause, NounPhrase, Statement
from interp.texts.grammar.draw import Draw
from interp.texts.grammar.fill import FILLS, Fill, filled
from interp.texts.grammar.lexicon import HALVES, Noun, Split, Verb, check_split, noun_named, read_yaml
from interp.texts.grammar.realise import belongs, draft, finish
from interp.texts.grammar.sentence import GrammarSentence

Position = Literal["before", "after"]
DISTANCES = range(3, 15)


@dataclass(frozen=True, kw_only=True)
class Ambiguous:
    """An ambiguous noun: its two senses as nouns, and the nouns that are a cue for each."""

    lemma: str
    senses: tuple[Noun, Noun]
    cues: tuple[tuple[Noun, ...], tuple[Noun, ...]]


@dataclass(frozen=True, kw_only=True)
class SenseSet:
    """Three sentences that differ only in the word at `cue`.

    Attributes:
        word: the ambiguous word.
        names: its senses ("bank.money", "bank.river").
        sentences: with a cue for the first sense, for the second, and with a neutral word.
        target, cue: places of the ambiguous word and of the cue, the same in all three.
        distance: words from one to the other: abs(target - cue).
        position: the cue is "before" or "after" the ambiguous word.
    """

    word: str
    names: tuple[str, str]
    sentences: tuple[GrammarSentence, GrammarSentence, GrammarSentence]
    target: int
    cue: int
    distance: int
    position: Position


def sense_sets(
    n: int,
    *,
    seed: int,
    distance: int,
    split: Split = "train",
    position: Position = "before",
    words: Sequence[str] = (),
    count: Count | None = None,
) -> list[SenseSet]:
    """Sets of three sentences around an ambiguous word.

    Args:
        n: how many.
        seed: the same seed gives the same sets.
        distance: words from the cue to the ambiguous word, 3 to 14.
        split: whose ambiguous words, cues and other words.
        position: where the cue stands, seen from the ambiguous word.
        words: only these ambiguous words; empty for all of the split.
        count: tokens in a text, as a tokenizer counts them; given, the three sentences have as many.
    Raises: DataError for an unknown split, distance or word, or if `count` leaves no set.

    Example:
        >>> found = sense_sets(1, seed=1, distance=6, split="selection", words=["bank"])[0]
        >>> found.target - found.cue, [each.words[found.target].form for each in found.sentences]
        (6, ['bank', 'bank', 'bank'])
        >>> [each.senses for each in found.sentences] == [((found.target, "bank.money"),), ((found.target, "bank.river"),), ()]
        True
    """
    check_split(split)
    if distance not in DISTANCES:
        raise DataError(f"distance {distance} came; expected {DISTANCES[0]} to {DISTANCES[-1]} words")
    draw = Draw(seed, split, f"senses {distance} {position}")
    return list(islice(_sets(draw, seed, _chosen(split, words), distance, position, count), n))


@cache
def ambiguous(split: Split = "train") -> tuple[Ambiguous, ...]:
    """The ambiguous nouns of a split.

    Example:
        >>> [each.lemma for each in ambiguous("confirmation")][:3], len(ambiguous("train"))
        (['seal', 'spring', 'crane'], 16)
    """
    table = read_yaml("senses.yaml")
    return tuple(_ambiguous(lemma, rows) for half in _halves(split) for lemma, rows in table[half].items())


def words(split: Split = "train") -> tuple[str, ...]:
    """Ambiguous words, their cues and the verbs of their sentences, sorted; see also `lexicon.words`."""
    cues = {noun.lemma for each in ambiguous(split) for of in each.cues for noun in of}
    verbs = {verb.lemma for place in ("first", "second") for verb in _verbs(split, place)}
    return tuple(sorted(cues | verbs | {each.lemma for each in ambiguous(split)}))


def sense(draw: Draw) -> Candidate:
    """One sentence of a set, for `generate`."""
    variants, fill, ignoring = _drawn(draw, draw.one(ambiguous(draw.split)))
    return Candidate(said=draw.one(variants), template=fill.name, ignoring=ignoring)


def discourses(*, seed: int, split: Split = "train") -> Iterator[str]:
    """Paragraphs without end, of three to seven sentences, in which an ambiguous word keeps its sense, with one cue after another.

    Single sentences do not say which cues go together, so that nobody can learn a sense from them. Source: Gale, Church & Yarowsky (1992),
    One Sense Per Discourse.

    Example:
        >>> paragraph = next(discourses(seed=1))
        >>> 3 <= paragraph.count(".") <= 7
        True
    """
    check_split(split)
    draw = Draw(seed, split, "discourses")
    while True:
        word, which = draw.one(ambiguous(split)), draw.one((0, 1))
        yield " ".join(_of_sense(draw, word, which) for _ in range(draw.one(range(3, 8))))


def _of_sense(draw: Draw, word: Ambiguous, which: int) -> str:
    while True:
        variants, _, ignoring = _drawn(draw, word)
        drafted = draft(variants[which])
        if belongs(drafted, draw.split, ignoring=ignoring):
            return finish(drafted, name="", kind="sense", split=draw.split).text


def _drawn(draw: Draw, word: Ambiguous) -> tuple[list[Statement], Fill, frozenset[str]]:
    fill = draw.one(FILLS[draw.one(DISTANCES)])
    variants, ignoring = _variants(draw, word, fill, "before" if draw.chance(0.6) else "after")
    return variants, fill, ignoring


def _sets(draw: Draw, seed: int, among: Sequence[Ambiguous], distance: int, position: Position, count: Count | None) -> Iterator[SenseSet]:
    def attempt(number: int) -> SenseSet | None:
        word = draw.one(among)
        variants, ignoring = _variants(draw, word, draw.one(FILLS[distance]), position)
        if not belongs(draft(variants[0]), draw.split, ignoring=ignoring):
            return None
        name = f"{draw.split}-sense{distance}-{seed}-{number}"
        named = zip(variants, "abc", strict=True)
        made = [finish(draft(each), name=f"{name}{letter}", kind="sense", split=draw.split, document=name) for each, letter in named]
        if not same_length([each.text for each in made], count):
            return None
        return _set(word, (made[0], made[1], made[2]), position)

    return search(attempt, "sets")


def _set(word: Ambiguous, sentences: tuple[GrammarSentence, GrammarSentence, GrammarSentence], position: Position) -> SenseSet:
    first, second, _ = sentences
    target = first.senses[0][0]
    cue = next(place for place, each in enumerate(first.words) if each.form != second.words[place].form)
    names = (word.senses[0].sense, word.senses[1].sense)
    return SenseSet(
        word=word.lemma, names=names, sentences=sentences, target=target, cue=cue, distance=abs(target - cue), position=position
    )


def _variants(draw: Draw, word: Ambiguous, fill: Fill, position: Position) -> tuple[list[Statement], frozenset[str]]:
    """The three derivations, and the words that stand at the cue's place."""
    neutral = noun_named(draw.one([lemma for half in _halves(draw.split) for lemma in read_yaml("senses.yaml")["neutral"][half]]))
    cues = [draw.one(word.cues[0]), draw.one(word.cues[1]), neutral]
    person = draw.name() if draw.chance(0.4) else draw.definite(draw.noun("person", [neutral.lemma]))
    verbs = draw.one(_verbs(draw.split, "first")), draw.one(_verbs(draw.split, "second"))
    clause = filled(draw, fill)
    default = word.senses[0]
    unmarked = Noun(lemma=word.lemma, plural=default.plural, zh=default.zh, classifier=default.classifier, kind=default.kind)
    senses = [*word.senses, unmarked]
    said = [_said(person, verbs, fill, clause, pair if position == "before" else pair[::-1]) for pair in zip(cues, senses, strict=True)]
    return said, frozenset(noun.lemma for noun in cues)


def _said(person: NounPhrase, verbs: tuple[Verb, Verb], fill: Fill, like: Clause, pair: tuple[Noun, Noun]) -> Statement:
    """ "The man noticed the X (fill) and (then) photographed the Y", or "noticed the X and the Y"."""
    former, latter = (NounPhrase(noun, "Sing", "the") for noun in pair)
    main = Clause(subject=person, verb=verbs[0], object=former, manner=like.manner, place=like.place, time=like.time, then=fill.then)
    if fill.joined:
        former.joined = latter
    else:
        main.joined = Clause(subject=person, verb=verbs[1], object=latter)
    return Statement(main)


def _chosen(split: Split, words: Sequence[str]) -> tuple[Ambiguous, ...]:
    known = {each.lemma: each for each in ambiguous(split)}
    if unknown := sorted(set(words) - set(known)):
        raise DataError(f"ambiguous words {unknown} came; expected some of {', '.join(known)} (split {split!r})")
    return tuple(known[word] for word in words) or ambiguous(split)


def _halves(split: Split) -> tuple[Split, ...]:
    return HALVES if split == "train" else (split,)


def _ambiguous(lemma: str, rows: Any) -> Ambiguous:
    first, second = (
        Noun(lemma=lemma, plural=morphology.plural(lemma), zh=row["zh"], classifier=row["cl"], kind="ambiguous", sense=name)
        for name, row in rows.items()
    )
    one, other = (tuple(_cue(each) for each in row["cues"]) for row in rows.values())
    return Ambiguous(lemma=lemma, senses=(first, second), cues=(one, other))


def _cue(row: str) -> Noun:
    lemma, zh, classifier = row.split()
    return Noun(lemma=lemma, plural=morphology.plural(lemma), zh=zh, classifier=classifier, kind="cue")


@cache
def _verbs(split: Split, place: str) -> tuple[Verb, ...]:
    return tuple(_verb(row) for half in _halves(split) for row in read_yaml("senses.yaml")["verbs"][half][place])


def _verb(row: str) -> Verb:
    lemma, zh, *given = row.split()
    past = given[0].partition("=")[2] if given else morphology.past(lemma)
    return Verb(
        lemma=lemma,
        third=morphology.third_person(lemma),
        past=past,
        participle=past,
        ing=morphology.present_participle(lemma),
        zh=(zh,),
        frame="transitive",
        who="person",
        what="",
        flags=frozenset(),
    )
