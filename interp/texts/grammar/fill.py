"""What stands between a cue and an ambiguous word, word for word, so that their distance is exact."""

from dataclasses import dataclass

from interp.texts.grammar.derivation import Clause, NounPhrase, Place
from interp.texts.grammar.draw import Draw
from interp.texts.grammar.lexicon import HALVES, Adverb, noun_named, read_yaml

_LEAST = 4  # "the river and photographed the bank": four words on from "river"


@dataclass(frozen=True, kw_only=True)
class Fill:
    """Which words: `manner` and `then` 0 or 1, `time` 0 to 2, `place` 0 or 3 ("in the hotel"), 6 with a landmark after it."""

    joined: bool = False
    then: bool = False
    manner: bool = False
    time: int = 0
    place: int = 0

    @property
    def distance(self) -> int:
        """Words from the noun before to the noun after.

        Example:
            >>> Fill(joined=True).distance, Fill(then=True, place=3).distance
            (3, 8)
        """
        return 3 if self.joined else _LEAST + self.then + self.manner + self.time + self.place

    @property
    def name(self) -> str:
        """Its parts, for `GrammarSentence.template`."""
        return "joined" if self.joined else f"then{self.then:d}-manner{self.manner:d}-time{self.time}-place{self.place}"


def _fills() -> dict[int, tuple[Fill, ...]]:
    every = [
        Fill(then=then, manner=manner, time=time, place=place)
        for then in (False, True)
        for manner in (False, True)
        for time in (0, 1, 2)
        for place in (0, 3, 6)
    ]
    every.append(Fill(joined=True))
    return {distance: tuple(fill for fill in every if fill.distance == distance) for distance in sorted({fill.distance for fill in every})}


FILLS = _fills()


def filled(draw: Draw, fill: Fill) -> Clause:
    """A clause that has these words; its subject and verb are not used."""
    clause = Clause(subject=draw.name())
    fillers = [read_yaml("senses.yaml")["fillers"][half] for half in (HALVES if draw.split == "train" else (draw.split,))]
    if fill.manner:
        form, zh = draw.one([row for each in fillers for row in each["manner"]]).split()
        clause.manner = Adverb(lemma=form, zh=zh)
    if fill.time:
        fitting = [each for each in draw.words.time["past"] if len(each.words) == fill.time]
        clause.time = draw.one(fitting)
    if fill.place:
        clause.place = _place(draw, "in", [row for each in fillers for row in each["places"]])
    if fill.place == 6:
        assert clause.place
        clause.place.where.place = _place(draw, "near", [row for each in fillers for row in each["landmarks"]])
    return clause


def _place(draw: Draw, form: str, nouns: list[str]) -> Place:
    preposition = next(each for each, _ in draw.words.places if each.form == form)
    return Place(preposition, NounPhrase(noun_named(draw.one(nouns)), "Sing", "the"))
