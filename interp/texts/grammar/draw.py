"""Chance: noun phrases and clauses drawn from a split's vocabulary so that they make sense together.

Only `random.Random.random` is used, whose sequence Python promises to keep; so a seed gives the same sentences everywhere.
"""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import TypeVar

from interp.texts.grammar.derivation import Clause, NounPhrase, Number, Place, Predicate, Relative, Tense
from interp.texts.grammar.lexicon import Noun, Split, Verb, vocabulary

Thing = TypeVar("Thing")

_SINGULAR: tuple[tuple[str, float], ...] = (("the", 0.6), ("a", 0.92), ("this", 0.96), ("that", 1.0))
_PLURAL: tuple[tuple[str, float], ...] = (
    ("the", 0.5),
    ("two", 0.6),
    ("three", 0.7),
    ("some", 0.82),
    ("many", 0.92),
    ("this", 0.96),
    ("that", 1.0),
)
_TENSES: tuple[tuple[Tense, float], ...] = (
    ("past", 0.55),
    ("present", 0.75),
    ("progressive", 0.84),
    ("was-progressive", 0.89),
    ("will", 0.97),
    ("can", 1.0),
)
_STATES: tuple[tuple[Tense, float], ...] = (("past", 0.5), ("present", 1.0))
_OWNED = frozenset({"thing", "container", "readable", "food", "vehicle", "furniture"})


class Draw:
    """A source of chance with the words of one split."""

    def __init__(self, seed: int, split: Split, stream: str = "") -> None:
        self.words = vocabulary(split)
        self.split = split
        self.random = Random(f"{seed}/{split}/{stream}").random

    def one(self, of: Sequence[Thing]) -> Thing:
        """One of a sequence, each as likely."""
        return of[int(self.random() * len(of))]

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def weighted(self, of: Sequence[tuple[Thing, float]]) -> Thing:
        """One of (thing, cumulative probability)."""
        point = self.random()
        return next(thing for thing, upto in of if point < upto)

    def number(self) -> Number:
        """Singular twice as often as plural."""
        return "Sing" if self.chance(0.67) else "Plur"

    def determiner(self, number: Number) -> str:
        """A determiner that fits the number."""
        return self.weighted(_SINGULAR if number == "Sing" else _PLURAL)

    def noun(self, kind: str, apart_from: Sequence[str] = ()) -> Noun:
        """A noun of a class or group, other than these lemmas."""
        while True:
            noun = self.one(self.words.nouns[kind])
            if noun.lemma not in apart_from:
                return noun

    def phrase(self, kind: str, apart_from: Sequence[str] = (), *, plain: bool = False, subject: bool = False) -> NounPhrase:
        """A noun phrase; `plain` has no modifier but perhaps an adjective; only a subject may have a place of its own.

        Behind a verb, "the dog in the garden" would leave open whether it happened in the garden.
        """
        if kind in ("person", "animate") and self.chance(0.25):
            return self.name(apart_from)
        number = self.number()
        noun = self.noun(kind, apart_from)
        np = NounPhrase(noun, number, self.determiner(number))
        self.modify(np, plain=plain, subject=subject)
        return np

    def name(self, apart_from: Sequence[str] = ()) -> NounPhrase:
        """Somebody with a name."""
        while True:
            noun = self.one(self.words.names)
            if noun.lemma not in apart_from:
                return NounPhrase(noun, "Sing", "")

    def definite(self, noun: Noun) -> NounPhrase:
        """ "the" and one of it."""
        return NounPhrase(noun, "Sing", "the")

    def modify(self, np: NounPhrase, *, plain: bool = False, subject: bool = False) -> None:
        """An adjective, a place or an owner, sometimes."""
        point = self.random()
        if point < 0.25:
            fitting = [each for each in self.words.adjectives[np.noun.lemma] if not each.predicate]
            np.adjective = self.one(fitting) if fitting else None
        elif plain:
            return
        elif subject and point < 0.33 and np.noun.kind in ("person", "animal", "furniture", "vehicle"):
            np.place = self.place(np.noun)
        elif point < 0.45 and np.noun.kind in _OWNED:
            np.owner = self.name() if self.chance(0.5) else self.definite(self.noun("person"))

    def place(self, inside: Noun | None = None) -> Place:
        """Somewhere: "in the garden", "under the tree"."""
        while True:
            preposition, nouns = self.one(self.words.places[:1] if self.chance(0.6) else self.words.places)
            noun = self.one(nouns)
            low = preposition.form == "under" and (inside is None or inside.kind in ("person", "vehicle", "furniture"))
            if noun is not inside and not low:
                return Place(preposition, self.definite(noun))

    def tense(self, verb: Verb | None) -> Tense:
        """A tense that the verb has; a copula is past or present."""
        if verb is None or "stative" in verb.flags:
            return self.weighted(_STATES)
        while True:
            tense = self.weighted(_TENSES)
            if not ("noprog" in verb.flags and "progressive" in tense) and not ("result" in verb.flags and tense == "present"):
                return tense

    def verb(self, frame: str, subject: Noun | None = None) -> Verb:
        """A verb of a frame that this subject can have; a transitive one where the frame has none for it."""
        if subject is None:
            return self.one(self.words.verbs[frame])
        fitting = [verb for verb in self.words.verbs[frame] if suits(subject, verb.who)]
        return self.one(fitting) if fitting else self.verb("transitive", subject)

    def clause(self, frame: str, *, subject: NounPhrase | None = None, tense: Tense | None = None, plain: bool = False) -> Clause:
        """A clause around a verb of this frame, with its objects; `plain` keeps it short."""
        verb = self.verb(frame, subject.noun if subject else None)
        tense = "past" if tense == "present" and "result" in verb.flags else tense
        said = Clause(subject=subject or self.phrase(verb.who, plain=plain, subject=True), verb=verb, tense=tense or self.tense(verb))
        self.objects(said, plain=plain)
        if said.tense in ("past", "present", "will"):
            self.deny(said)
        if not plain:
            self.adjuncts(said)
        return said

    def deny(self, said: Clause) -> None:
        """Sometimes negate; "did not see many dogs" has two meanings, so nothing is counted under a negation."""
        if not self.chance(0.12):
            return
        said.negated = True
        for np in (said.object, said.recipient):
            if np and (np.number == "Plur" or np is said.recipient) and np.determiner not in ("", "this", "that"):
                np.determiner = "the"

    def objects(self, said: Clause, *, plain: bool = False) -> None:
        """What the verb needs beside its subject."""
        verb = said.verb
        assert verb
        used = [said.subject.noun.lemma]
        if verb.frame == "transitive":
            said.object = self.phrase(verb.what, used, plain=plain)
        elif verb.frame == "ditransitive":
            said.object = self.phrase(verb.what, used, plain=True)
            said.recipient = self.phrase("person", used, plain=True)
            said.double = self.chance(0.5)
        elif verb.frame == "goal":
            said.goal = self.definite(self.noun(verb.what))

    def adjuncts(self, said: Clause) -> None:
        """Manner, frequency, place and time, each sometimes and where it fits."""
        verb = said.verb
        assert verb
        if (
            verb.frame in ("intransitive", "transitive")
            and "inner" not in verb.flags
            and "stative" not in verb.flags
            and not said.subject.place
            and self.chance(0.25)
        ):
            said.place = self.place(said.subject.noun)
        fitting = self.words.manner.get(verb.lemma, ())
        if fitting and not said.negated and said.tense in ("past", "present") and self.chance(0.3):
            said.manner = self.one(fitting)
        if said.tense == "present" and "stative" not in verb.flags:
            self.habit(said)
        elif said.tense in ("past", "will") and "stative" not in verb.flags and self.chance(0.2):
            said.time = self.one(self.words.time["past" if said.tense == "past" else "future"])
            said.time_first = self.chance(0.3)

    def habit(self, said: Clause) -> None:
        """ "often" or "every day"."""
        if not said.negated and self.chance(0.4):
            said.frequency = self.one(self.words.frequency)
        elif self.chance(0.3):
            said.time = self.one(self.words.time["habit"])

    def copular(self, subject: NounPhrase | None = None, tense: Tense | None = None) -> Clause:
        """Something is tired, or is in the garden."""
        said = subject or self.phrase(
            self.one(("person", "animal", "food", "readable", "thing", "container", "place", "landmark", "path", "furniture", "vehicle")),
            subject=True,
        )
        adjectives = self.words.adjectives[said.noun.lemma] if not said.noun.proper else self.words.adjectives[self.noun("person").lemma]
        predicate = Predicate(place=self.place(said.noun))
        if adjectives and not (said.noun.kind in ("person", "animal") and not said.place and self.chance(0.15)):
            predicate = Predicate(adjective=self.one(adjectives))
            if predicate.adjective and not predicate.adjective.colour:
                predicate.degree = "very" if self.chance(0.25) else "too" if self.chance(0.1) else ""
        negated = not predicate.degree and self.chance(0.15)
        if said.adjective and said.adjective is predicate.adjective:
            said.adjective = None
        return Clause(subject=said, predicate=predicate, tense=tense or self.tense(None), negated=negated)

    def relative(self, np: NounPhrase) -> None:
        """Give a noun phrase a relative clause at its subject or, where a verb fits, its object."""
        tense: Tense = "past" if self.chance(0.7) else "present"
        np.place = np.owner = None
        verb = self.one(self.words.verbs["transitive"])
        tense = "past" if "result" in verb.flags else tense
        if self.chance(0.4) and suits(np.noun, verb.what):
            subject = self.phrase(verb.who, [np.noun.lemma], plain=True)
            inner = Clause(subject=subject, verb=verb, tense=tense)
            np.relative = Relative(inner, "object", self.relative_word(np.noun))
        elif np.noun.kind in ("person", "animal"):
            inner = self.clause("transitive", subject=np, tense=tense, plain=True)
            np.relative = Relative(inner, "subject", self.relative_word(np.noun))

    def relative_word(self, noun: Noun) -> str:
        """ "that", or "who" of persons and "which" of the rest."""
        return "that" if self.chance(0.6) else "who" if noun.kind == "person" else "which"


def suits(noun: Noun, kind: str) -> bool:
    """Whether a noun is of a class or of a group.

    Example:
        >>> from interp.texts.grammar.lexicon import vocabulary
        >>> suits(vocabulary("train").names[0], "animate"), suits(vocabulary("train").names[0], "place")
        (True, False)
    """
    return noun.kind == kind or noun.kind in _kinds(kind)


@cache
def _kinds(group: str) -> frozenset[str]:
    nouns = vocabulary("train").nouns.get(group)
    return frozenset(noun.kind for noun in nouns) if nouns else frozenset()
