"""What a sentence says, before it is said in English or Chinese.

A derivation is a tree of phrases over the lexicon. `english` writes it down as a tree of words and leaves in each phrase the
words that it made (`leaves`, `leaf`); `chinese` writes the same derivation and links its words to those. So heads,
constituents, reference and alignment are read off one object, and nothing is guessed afterwards.

Phrases are mutable on purpose: a minimal pair is one derivation written twice with one thing changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from interp.texts.grammar.lexicon import Adjective, Adverb, Noun, Preposition, Time, Verb
from interp.texts.grammar.tree import Leaf

Number = Literal["Sing", "Plur"]
Tense = Literal["past", "present", "progressive", "was-progressive", "will", "can"]


@dataclass(slots=True, eq=False)
class NounPhrase:
    """A noun, name or pronoun with what stands around it.

    `noun` of a pronoun is that of its antecedent, and `antecedent` says which phrase that is.
    """

    noun: Noun
    number: Number = "Sing"
    determiner: str = "the"
    adjective: Adjective | None = None
    place: "Place | None" = None
    relative: "Relative | None" = None
    owner: "NounPhrase | None" = None
    joined: "NounPhrase | None" = None
    antecedent: "NounPhrase | None" = None
    leaf: Leaf | None = None
    leaves: dict[str, Leaf] = field(default_factory=dict)

    @property
    def agreement(self) -> Number:
        """The number that its verb takes: two joined phrases are plural."""
        return "Plur" if self.joined else self.number


@dataclass(slots=True, eq=False)
class Place:
    """Where: a preposition and a noun phrase."""

    preposition: Preposition
    where: NounPhrase
    leaf: Leaf | None = None


@dataclass(slots=True, eq=False)
class Relative:
    """A relative clause; its `gap`, the subject or the object, is the noun it stands at."""

    clause: "Clause"
    gap: Literal["subject", "object"]
    word: str
    leaf: Leaf | None = None


@dataclass(slots=True, eq=False)
class Predicate:
    """What a copula joins to the subject: an adjective with its degree, a noun phrase, or a place."""

    adjective: Adjective | None = None
    degree: Literal["", "very", "too"] = ""
    noun: NounPhrase | None = None
    place: Place | None = None


@dataclass(slots=True, eq=False)
class Clause:
    """A subject and what is said of it, by a verb or a copula with a `predicate`.

    `double` says "gave the girl a book" for "gave a book to the girl"; `passive` makes `subject` the agent after "by";
    `supported` has "do" where a question needs it; `joined` is a second verb phrase of the same subject, after "and" or, with
    `then`, "and then".
    """

    subject: NounPhrase
    verb: Verb | None = None
    object: NounPhrase | None = None
    recipient: NounPhrase | None = None
    double: bool = False
    goal: NounPhrase | None = None
    into: Place | None = None
    predicate: Predicate | None = None
    content: "Clause | None" = None
    infinitive: "Clause | None" = None
    joined: "Clause | None" = None
    then: bool = False
    supported: bool = False
    tense: Tense = "past"
    negated: bool = False
    passive: bool = False
    manner: Adverb | None = None
    frequency: Adverb | None = None
    place: Place | None = None
    time: Time | None = None
    time_first: bool = False
    leaves: dict[str, Leaf] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Statement:
    """A whole sentence. `question`: "" , "polar", "who" (asks for the subject) or "what" (asks for the object)."""

    main: Clause
    linker: str = ""
    second: Clause | None = None
    question: Literal["", "polar", "who", "what"] = ""
    existential: bool = False
    leaves: dict[str, Leaf] = field(default_factory=dict)


def phrases(item: "NounPhrase | Clause | Statement | None") -> Iterator[NounPhrase]:
    """Every noun phrase of a derivation, from the outside in."""
    if isinstance(item, NounPhrase):
        yield item
        yield from phrases(item.place.where if item.place else None)
        yield from phrases(item.owner)
        yield from phrases(item.joined)
        yield from _of_relative(item.relative)
    elif isinstance(item, Clause):
        yield from _of_clause(item)
    elif isinstance(item, Statement):
        yield from phrases(item.main)
        yield from phrases(item.second)


def _of_relative(relative: Relative | None) -> Iterator[NounPhrase]:
    if relative:
        gapped = relative.clause
        yield from phrases(gapped.object if relative.gap == "subject" else gapped.subject)


def _of_clause(clause: Clause) -> Iterator[NounPhrase]:
    places = [each.where for each in (clause.place, clause.into) if each]
    predicate = clause.predicate
    if predicate:
        places += [each for each in (predicate.noun, predicate.place and predicate.place.where) if each]
    for each in (clause.subject, clause.object, clause.recipient, clause.goal, *places):
        yield from phrases(each)
    yield from phrases(clause.content)
    for shared in (clause.infinitive, clause.joined):  # the same subject, said once
        for each in (shared.object, shared.goal, shared.place.where if shared.place else None) if shared else ():
            yield from phrases(each)
