"""Two sentences that differ in one word, and by that in what the pronoun means.

`winograd_pairs`: "The dog did not cross the street because it was too tired / wide": the sense decides (Levesque, Davis and
Morgenstern 2012, The Winograd Schema Challenge). `gender_pairs`: "John thanked Mary because he / she was kind": the form
decides. Templates of `winograd.yaml` are in one split each; verbs and adjectives of selection and confirmation are apart, so
that a head chosen on one is confirmed on another kind of event.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from interp.texts.grammar.candidate import Candidate, Count, same_length, search
from interp.texts.grammar.derivation import Clause, NounPhrase, Predicate, Statement
from interp.texts.grammar.draw import Draw
from interp.texts.grammar.lexicon import Adjective, Noun, Split, adjective_named, check_split, noun_named, read_yaml, verb_named
from interp.texts.grammar.realise import Drafted, belongs, draft, finish
from interp.texts.grammar.rules import refer
from interp.texts.grammar.sentence import GrammarSentence


@dataclass(frozen=True, kw_only=True)
class CoreferencePair:
    """Two sentences that differ in one word.

    Attributes:
        first, second: the sentences; the pronoun's antecedent is the first candidate in one, the second in the other.
        changed: the word that differs.
        pronoun: the pronoun.
        candidates: the two nouns that it could mean, (of `first`, of `second`).
        template: the frame.
    All are places of words, from 0, the same in both sentences.
    """

    first: GrammarSentence
    second: GrammarSentence
    changed: int
    pronoun: int
    candidates: tuple[int, int]
    template: str


def winograd_pairs(n: int, *, seed: int, split: Split = "train", count: Count | None = None) -> list[CoreferencePair]:
    """Pairs in which an adjective decides what the pronoun means.

    Args:
        n: how many.
        seed: the same seed gives the same pairs.
        split: whose templates and words.
        count: tokens in a text, as a tokenizer counts them; given, both sentences of a pair have as many.
    Raises: DataError for an unknown split, or if `count` leaves no pair.

    Example:
        >>> pair = winograd_pairs(1, seed=2, split="selection")[0]
        >>> pair.first.words[pair.changed].form != pair.second.words[pair.changed].form
        True
        >>> [each.coreference for each in (pair.first, pair.second)] == [((pair.pronoun, place),) for place in pair.candidates]
        True
    """
    check_split(split)
    return list(islice(_pairs(Draw(seed, split, "winograd"), seed, count, _winograd), n))


def gender_pairs(n: int, *, seed: int, split: Split = "train", count: Count | None = None) -> list[CoreferencePair]:
    """Pairs in which "he" or "she" decides; arguments and errors as in `winograd_pairs`.

    Example:
        >>> pair = gender_pairs(1, seed=2)[0]
        >>> sorted(each.words[pair.pronoun].form for each in (pair.first, pair.second))
        ['he', 'she']
    """
    check_split(split)
    return list(islice(_pairs(Draw(seed, split, "gender"), seed, count, _gender), n))


def winograd(draw: Draw) -> Candidate:
    """One sentence of a Winograd pair, for `generate`."""
    first, second, template = _winograd(draw)
    return Candidate(said=draw.one((first, second)), template=template, checked=False)


def gender(draw: Draw) -> Candidate:
    """One sentence of a gender pair, for `generate`."""
    first, second, template = _gender(draw)
    return Candidate(said=draw.one((first, second)), template=template)


def _pairs(draw: Draw, seed: int, count: Count | None, make: Any) -> Iterator[CoreferencePair]:
    def attempt(number: int) -> CoreferencePair | None:
        first, second, template = make(draw)
        drafts = draft(first), draft(second)
        if make is _gender and not all(belongs(each, draw.split) for each in drafts):
            return None
        name = f"{draw.split}-{make.__name__[1:]}-{seed}-{number}"
        pair = _finished(drafts, name, make.__name__[1:], draw.split, template)
        return pair if same_length([pair.first.text, pair.second.text], count) else None

    return search(attempt, "pairs")


def _finished(drafts: tuple[Drafted, Drafted], name: str, kind: str, split: Split, template: str) -> CoreferencePair:
    made = [
        finish(each, name=f"{name}{letter}", kind=kind, split=split, template=template, document=name)
        for each, letter in zip(drafts, "ab", strict=True)
    ]
    first, second = made
    changed = next(place for place, word in enumerate(first.words) if word.form != second.words[place].form)
    (pronoun, about), (_, other) = first.coreference[0], second.coreference[0]
    return CoreferencePair(first=first, second=second, changed=changed, pronoun=pronoun, candidates=(about, other), template=template)


def _winograd(draw: Draw) -> tuple[Statement, Statement, str]:
    """The two derivations of a pair, and their template."""
    name = draw.one(_templates(draw.split))
    row = read_yaml("winograd.yaml")[draw.split][name]
    x, y = _candidates(draw, row)
    of_x, of_y = adjective_named(draw.one(row["of_x"])), adjective_named(draw.one(row["of_y"]))
    return _said(row, x, y, x, of_x), _said(row, x, y, y, of_y), name


@cache
def _templates(split: Split) -> tuple[str, ...]:
    return tuple(read_yaml("winograd.yaml")[split])


def _candidates(draw: Draw, row: Any) -> tuple[Noun, Noun]:
    """Two nouns for which one and the same pronoun could stand."""
    while True:
        x, y = _noun(draw, row["x"]), _noun(draw, row["y"])
        if x is not y and x.gender == y.gender and (x.kind != "person" or x.gender):
            return x, y


def _noun(draw: Draw, kind: str | list[str]) -> Noun:
    if isinstance(kind, list):
        return noun_named(draw.one(kind))
    return draw.one(draw.words.names) if kind == "person" and draw.chance(0.4) else draw.one(draw.words.nouns[kind])


def _said(row: Any, x: Noun, y: Noun, about: Noun, adjective: Adjective) -> Statement:
    first, second = (NounPhrase(noun, "Sing", "" if noun.proper else "the") for noun in (x, y))
    main = Clause(subject=first, verb=verb_named(row["verb"]), object=second, negated=row["not"])
    reason = Clause(subject=refer(first if about is x else second), predicate=Predicate(adjective=adjective, degree=row["degree"]))
    return Statement(main, "because", reason)


def _gender(draw: Draw) -> tuple[Statement, Statement, str]:
    """A man and a woman; the same said of one and of the other."""
    while True:
        x, y = (draw.one(draw.words.names) if draw.chance(0.6) else draw.one(draw.words.nouns["person"]) for _ in range(2))
        if {x.gender, y.gender} == {"m", "f"}:
            break
    verb = draw.one([each for each in draw.words.verbs["transitive"] if each.who == each.what == "person"])
    adjective = draw.one([each for each in draw.words.adjectives[draw.words.nouns["person"][0].lemma] if not each.colour])
    row = {"verb": verb.lemma, "not": draw.chance(0.3), "degree": draw.one(("", "very"))}
    return _said(row, x, y, x, adjective), _said(row, x, y, y, adjective), f"gender-{verb.lemma}"
