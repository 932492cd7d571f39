"""A verb that agrees with its subject across nouns of the other number, and the same sentence with the verb wrong.

"The dogs near the tower are / is tired" (Linzen, Dupoux and Goldberg 2016, Assessing the ability of LSTMs to learn
syntax-sensitive dependencies). An attractor is a noun between subject and verb whose number is not the subject's. Its frame is
a place ("near the towers"), a relative clause at the subject ("that chased the foxes") or at the object ("that the girls
like"); the tense inside is past, so that no verb there shows a number. The determiner is always "the".

Selection and confirmation have different prepositions and relative words as well as different nouns, verbs and adjectives.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from interp.core.errors import DataError
from interp.texts.grammar import inflect
from interp.texts.grammar.candidate import Candidate, Count, same_length, search
from interp.texts.grammar.derivation import Clause, NounPhrase, Number, Place, Predicate, Relative, Statement
from interp.texts.grammar.draw import Draw, suits
from interp.texts.grammar.lexicon import Noun, Split, check_split
from interp.texts.grammar.realise import belongs, draft, finish
from interp.texts.grammar.sentence import GrammarSentence
from interp.texts.words import Sentence

FRAMES = ("place", "subject-relative", "object-relative")
_PREPOSITIONS: dict[Split, tuple[str, ...]] = {
    "train": ("near", "behind", "beside"),
    "selection": ("near",),
    "confirmation": ("behind", "beside"),
}
_RELATIVES: dict[Split, tuple[str, ...]] = {"train": ("that", "who"), "selection": ("that",), "confirmation": ("who", "which")}
_OTHER: dict[Number, Number] = {"Sing": "Plur", "Plur": "Sing"}


@dataclass(frozen=True, kw_only=True)
class AgreementPair:
    """Two sentences that differ in the form of one verb.

    Attributes:
        grammatical: the right one.
        ungrammatical: the same with the other form; it has no constituents or translation.
        verb: the place of the verb that differs.
        subject: the place of the noun that it agrees with.
        number: of the subject, "Sing" or "Plur".
        attractors: places of the nouns of the other number between subject and verb.
        template: frame and function word: "place near", "subject-relative that"; "plain" without attractors.
    """

    grammatical: GrammarSentence
    ungrammatical: Sentence
    verb: int
    subject: int
    number: Number
    attractors: tuple[int, ...]
    template: str

    @property
    def prefix(self) -> str:
        """The text before the verb, without a space at its end."""
        return self.grammatical.text[: self.grammatical.words[self.verb].span[0]].rstrip()

    @property
    def forms(self) -> tuple[str, str]:
        """The right form and the wrong one."""
        return self.grammatical.words[self.verb].form, self.ungrammatical.words[self.verb].form


def agreement_pairs(
    n: int, *, seed: int, attractors: int = 1, split: Split = "train", frame: str = "", count: Count | None = None
) -> list[AgreementPair]:
    """Pairs with 0, 1 or 2 attractors.

    Args:
        n: how many.
        seed: the same seed gives the same pairs.
        attractors: nouns of the other number between subject and verb.
        split: whose words and frames.
        frame: one of `FRAMES`; empty for all. Without attractors there is none.
        count: tokens in a text, as a tokenizer counts them; given, both sentences of a pair have as many.
    Raises: DataError for an unknown split or frame, another number of attractors, or if `count` leaves no pair.

    Example:
        >>> pair = agreement_pairs(1, seed=3, attractors=1, split="selection", frame="place")[0]
        >>> pair.prefix.split()[2:4], len(pair.attractors), pair.template
        (['near', 'the'], 1, 'place near')
    """
    check_split(split)
    if attractors not in (0, 1, 2):
        raise DataError(f"{attractors} attractors came; expected 0, 1 or 2")
    if frame and frame not in FRAMES:
        raise DataError(f"frame {frame!r} came; expected one of {', '.join(FRAMES)}, or none for all")
    draw = Draw(seed, split, f"agreement {attractors} {frame}")
    return list(islice(_pairs(draw, seed, attractors, (frame,) if frame else FRAMES, count), n))


def agreement(draw: Draw) -> Candidate:
    """The right sentence of a pair, for `generate`."""
    said, template = _said(draw, draw.one((0, 1, 1, 2)), draw.one(FRAMES), _any_number(draw))
    return Candidate(said=said, template=template)


def _any_number(draw: Draw) -> tuple[Number, bool]:
    """The subject's number; and that attractors are as often of the same number, so that the nearest noun is no cue."""
    return ("Sing" if draw.chance(0.5) else "Plur"), draw.chance(0.5)


def _pairs(draw: Draw, seed: int, attractors: int, frames: tuple[str, ...], count: Count | None) -> Iterator[AgreementPair]:
    def attempt(number: int) -> AgreementPair | None:
        subject_number: Number = "Sing" if number % 2 else "Plur"
        said, template = _said(draw, attractors, draw.one(frames), (subject_number, True))
        drafted = draft(said)
        if not belongs(drafted, draw.split):
            return None
        name = f"{draw.split}-agreement{attractors}-{seed}-{number}"
        right = finish(drafted, name=name, kind="agreement", split=draw.split, template=template)
        pair = _pair(said.main, right)
        return pair if same_length([right.text, pair.ungrammatical.text], count) else None

    return search(attempt, "pairs")


def _pair(main: Clause, right: GrammarSentence) -> AgreementPair:
    verb, subject = main.leaves["be" if main.predicate else "verb"], main.subject.leaf
    assert subject
    number = main.subject.agreement
    between = right.words[subject.index + 1 : verb.index]
    others = tuple(word.index for word in between if word.upos == "NOUN" and word.number == _OTHER[number])
    wrong = _wrong_form(main, verb.form)
    return AgreementPair(
        grammatical=right,
        ungrammatical=_with_form(right, verb.index, wrong),
        verb=verb.index,
        subject=subject.index,
        number=number,
        attractors=others,
        template=right.template,
    )


def _wrong_form(main: Clause, right: str) -> str:
    if main.predicate:
        return inflect.be(_OTHER[main.subject.agreement], "past" if main.tense == "past" else "present").form
    assert main.verb
    return main.verb.lemma if right == main.verb.third else main.verb.third


def _with_form(sentence: GrammarSentence, place: int, form: str) -> Sentence:
    """The sentence with another form of one word; the words behind it move along."""
    start, end = sentence.words[place].span
    shift = len(form) - (end - start)
    moved = [word if word.index < place else replace(word, span=(word.span[0] + shift, word.span[1] + shift)) for word in sentence.words]
    moved[place] = replace(sentence.words[place], form=form, span=(start, start + len(form)))
    text = sentence.text[:start] + form + sentence.text[end:]
    return Sentence(id=f"{sentence.id}-wrong", text=text, words=tuple(moved), document=sentence.document)


def _said(draw: Draw, attractors: int, frame: str, numbers: tuple[Number, bool]) -> tuple[Statement, str]:
    number, opposite = numbers
    subject = NounPhrase(draw.noun("animate"), number, "the")
    word = ""
    if attractors:
        word = _attract(draw, subject, attractors, frame, _OTHER[number] if opposite else number)
    return Statement(_main(draw, subject)), f"{frame} {word}" if attractors else "plain"


def _attract(draw: Draw, subject: NounPhrase, attractors: int, frame: str, number: Number) -> str:
    """Put nouns of this number behind the subject; returns the function word that leads to them."""
    if frame == "place":
        subject.place, word = _place(draw, number, [subject.noun])
        nearest = subject.place.where
    else:
        word = draw.one([each for each in _RELATIVES[draw.split] if each != ("which" if subject.noun.kind == "person" else "who")])
        nearest = _relative(draw, subject, frame, number, word)
    if attractors == 2:
        nearest.place, _ = _place(draw, number, [subject.noun, nearest.noun])
    return f"{word}"


def _place(draw: Draw, number: Number, apart_from: list[Noun]) -> tuple[Place, str]:
    form = draw.one(_PREPOSITIONS[draw.split])
    preposition = next(each for each, _ in draw.words.places if each.form == form)
    nouns = [noun for noun in (*draw.words.nouns["landmark"], *draw.words.nouns["furniture"]) if noun not in apart_from]
    return Place(preposition, NounPhrase(draw.one(nouns), number, "the")), form


def _relative(draw: Draw, subject: NounPhrase, frame: str, number: Number, word: str) -> NounPhrase:
    """Attach a relative clause in the past; returns its noun."""
    verbs = [each for each in draw.words.verbs["transitive"] if {each.who, each.what} <= {"person", "animal", "animate", "visible"}]
    if frame == "subject-relative":
        verb = draw.one([each for each in verbs if suits(subject.noun, each.who)])
        other = NounPhrase(draw.noun(_living(verb.what), [subject.noun.lemma]), number, "the")
        subject.relative = Relative(Clause(subject=subject, verb=verb, object=other), "subject", word)
    else:
        verb = draw.one([each for each in verbs if suits(subject.noun, each.what)])
        other = NounPhrase(draw.noun(verb.who, [subject.noun.lemma]), number, "the")
        subject.relative = Relative(Clause(subject=other, verb=verb), "object", word)
    return other


def _living(kind: str) -> str:
    return "animate" if kind == "visible" else kind


def _main(draw: Draw, subject: NounPhrase) -> Clause:
    """A copula with an adjective, or a verb in the present."""
    if draw.chance(0.5):
        fitting = [each for each in draw.words.adjectives[subject.noun.lemma] if not each.colour and not each.bare]
        return Clause(subject=subject, predicate=Predicate(adjective=draw.one(fitting)), tense=draw.one(("present", "present", "past")))
    verbs = [each for each in draw.words.verbs["intransitive"] if suits(subject.noun, each.who)]
    said = Clause(subject=subject, verb=draw.one(verbs), tense="present")
    if draw.chance(0.5):
        said.time = draw.one(draw.words.time["habit"])
    return said
