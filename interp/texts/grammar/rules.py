"""The kinds of sentence: one rule each, from a source of chance to a derivation.

A pronoun is used only where a single phrase before it can be its antecedent; the sentences in which that is left open, and
only the sense decides, are made by `winograd`.
"""

from collections.abc import Callable, Iterable

from interp.texts.grammar.derivation import Clause, NounPhrase, Predicate, Statement, phrases
from interp.texts.grammar.draw import Draw, suits
from interp.texts.grammar.inflect import pronoun_of

_LINKERS = ("because", "because", "but", "so", "and", "when", "Because", "When", "When", "Although", "Although", "After", "Before")
_POSSIBLE = {"": frozenset({"he", "she"})}
_FRAMES = ("intransitive", "transitive", "transitive", "goal")
_OWNED = frozenset({"thing", "container", "readable", "food", "vehicle", "furniture"})


def intransitive(draw: Draw) -> Statement:
    """The dog slept."""
    return Statement(draw.clause("intransitive"))


def transitive(draw: Draw) -> Statement:
    """The girl read a book."""
    return Statement(draw.clause("transitive"))


def ditransitive(draw: Draw) -> Statement:
    """The man gave the girl a book / a book to the girl."""
    return Statement(draw.clause("ditransitive"))


def goal(draw: Draw) -> Statement:
    """The dog ran to the park."""
    return Statement(draw.clause("goal"))


def copular(draw: Draw) -> Statement:
    """The dog is tired."""
    return Statement(draw.copular())


def existential(draw: Draw) -> Statement:
    """There are two dogs in the garden."""
    number = draw.number()
    determiner = "a" if number == "Sing" else draw.one(("two", "three", "some", "many"))
    subject = NounPhrase(draw.noun(draw.one(("person", "animal"))), number, determiner)
    draw.modify(subject, plain=True)
    where = draw.place(subject.noun)
    return Statement(Clause(subject=subject, predicate=Predicate(place=where), tense=draw.tense(None)), existential=True)


def clausal(draw: Draw) -> Statement:
    """The teacher said that the boy found the key."""
    main = draw.clause("clausal", tense=draw.one(("past", "past", "present")), plain=True)
    main.negated = main.negated and "stative" in _flags(main)
    content = _clause(draw, "past")
    content.time_first = False
    main.content = content
    _give_pronoun(draw, main, content)
    return Statement(main)


def infinitive(draw: Draw) -> Statement:
    """The boy decided to read the book."""
    main = draw.clause("infinitive", tense=draw.one(("past", "past", "present")), plain=True)
    main.negated = main.negated and "stative" in _flags(main)
    while True:
        below = draw.clause(draw.one(_FRAMES[1:]), subject=main.subject, tense="present", plain=True)
        if not {"stative", "result"} & _flags(below):
            break
    below.negated = False
    main.infinitive = below
    return Statement(main)


def passive(draw: Draw) -> Statement:
    """The apple was eaten by the dog."""
    while True:
        verb = draw.verb("transitive")
        if "passive" in verb.flags:
            break
    subject = draw.phrase(verb.who, plain=True)
    if subject.determiner == "a":
        subject.determiner = "the"
    acted = Clause(subject=subject, verb=verb, tense="past", passive=True, negated=draw.chance(0.15))
    acted.object = draw.phrase(verb.what, [subject.noun.lemma], plain=True)
    if acted.object.determiner == "a":
        acted.object.determiner = "the"
    return Statement(acted)


def relative(draw: Draw) -> Statement:
    """The dog that chased the fox is tired; the girl read the book that the king wrote."""
    while True:
        said = draw.copular() if draw.chance(0.3) else draw.clause(draw.one(_FRAMES[:3]))
        target = said.object if said.object and draw.chance(0.5) else said.subject
        if target.noun.proper or target.owner:
            continue
        draw.relative(target)
        if target.relative and target is said.object:  # what follows would be of the relative clause
            said.place = said.manner = None
            said.time_first = said.time is not None
        if target.relative:
            return Statement(said)


def coordination(draw: Draw) -> Statement:
    """The man and the dog slept; the girl opened the box and then found a key."""
    if draw.chance(0.5):
        said = draw.clause(draw.one(_FRAMES))
        subject = said.subject
        subject.place = None
        used = [subject.noun.lemma, *([said.object.noun.lemma] if said.object else [])]
        subject.joined = draw.phrase(subject.noun.kind, used, plain=True)
        return Statement(said)
    return Statement(_two_events(draw))


def _two_events(draw: Draw) -> Clause:
    """One subject, two verbs: "opened the box and then found a key"."""
    first = draw.clause(draw.one(_FRAMES), tense="past", plain=True)
    if first.subject.noun.kind not in ("person", "animal"):
        return _two_events(draw)
    second = draw.clause(draw.one(_FRAMES), subject=first.subject, tense="past", plain=True)
    first.negated = second.negated = False
    if "stative" in _flags(first) | _flags(second) or first.verb is second.verb:
        return _two_events(draw)
    first.joined, first.then = second, draw.chance(0.5)
    return first


def subordinate(draw: Draw) -> Statement:
    """Two clauses with because, when, although, after, before, and, but, so; often with a pronoun."""
    linker = draw.one(_LINKERS)
    earlier = _clause(draw, "past")
    later = _clause(draw, "past")
    earlier.time_first = later.time_first = False
    if linker in ("When", "After", "Before", "when"):
        earlier, later = _event(draw, earlier), _event(draw, later)
    elif linker == "because" and draw.chance(0.7):
        later = draw.copular(tense="past")
    elif linker == "Because" and draw.chance(0.7):
        earlier = draw.copular(tense="past")
    if linker != "when":
        _give_pronoun(draw, earlier, later)
    return Statement(later, linker, earlier) if linker[0].isupper() else Statement(earlier, linker, later)


def question(draw: Draw) -> Statement:
    """Did the boy read the book? Who read the book? What did the boy read?"""
    form = draw.one(("polar", "polar", "who", "what"))
    said = draw.clause(draw.one(("intransitive", "transitive", "goal")) if form == "polar" else "transitive", tense="past", plain=True)
    said.negated, said.supported = False, form != "who"
    if form == "polar":
        return Statement(said, question="polar")
    if form == "who":
        said.subject = NounPhrase(draw.one(draw.words.names), "Sing", "")
        said.verb = draw.verb("transitive", said.subject.noun)
        draw.objects(said, plain=True)
        return Statement(said, question="who")
    while said.object and said.object.noun.kind in ("person", "animal"):
        said = draw.clause("transitive", tense="past", plain=True)
    said.negated, said.supported = False, True
    return Statement(said, question="what")


def possessive(draw: Draw) -> Statement:
    """The girl lost her key; the king's horse slept."""
    while True:
        said = draw.clause(draw.one(("transitive", "ditransitive")))
        owned = said.object
        if owned and owned.noun.kind in _OWNED and said.subject.noun.kind == "person":
            break
    owned.place = owned.relative = None
    owned.owner = None
    if draw.chance(0.6) and alone(said.subject, phrases(said)):
        owned.owner = refer(said.subject)
    else:
        owned.owner = draw.definite(draw.noun("person", [said.subject.noun.lemma]))
    return Statement(said)


KINDS: dict[str, Callable[[Draw], Statement]] = {
    rule.__name__: rule
    for rule in (
        intransitive,
        transitive,
        ditransitive,
        goal,
        copular,
        existential,
        clausal,
        infinitive,
        passive,
        relative,
        coordination,
        subordinate,
        question,
        possessive,
    )
}


def refer(np: NounPhrase) -> NounPhrase:
    """A pronoun for this phrase."""
    return NounPhrase(np.noun, np.agreement, "", antecedent=np)


def alone(np: NounPhrase, others: Iterable[NounPhrase]) -> bool:
    """Whether a pronoun for `np` can mean none of the others; a doctor may be "he" or "she"."""
    wanted = pronoun_of(np)
    return bool(wanted) and all(each is np or each is np.joined or wanted not in _possible(each) for each in others)


def _possible(np: NounPhrase) -> frozenset[str]:
    if np.antecedent:
        return frozenset()
    kind = pronoun_of(np)
    return _POSSIBLE.get(kind, frozenset({kind}))


def _clause(draw: Draw, tense: str) -> Clause:
    return draw.clause(draw.one(_FRAMES), tense="past", plain=draw.chance(0.7)) if tense == "past" else draw.copular()


def _event(draw: Draw, said: Clause) -> Clause:
    """Something that happened, not a state: what "when" and "after" can be said of."""
    while said.verb is None or "stative" in said.verb.flags or said.negated:
        said = draw.clause(draw.one(_FRAMES), tense="past", plain=True)
    return said


def _give_pronoun(draw: Draw, earlier: Clause, later: Clause) -> None:
    """Let the subject of the later clause be a pronoun for something in the earlier one, if that is clear."""
    found = [each for each in phrases(earlier) if not each.antecedent and alone(each, phrases(earlier))]
    if not found or draw.chance(0.35):
        return
    about = found[0] if draw.chance(0.8) else draw.one(found)
    if later.predicate:
        _describe(draw, about, later)
    elif later.verb and _can(about, later):
        later.subject = refer(about)


def _describe(draw: Draw, about: NounPhrase, later: Clause) -> None:
    """Say of `about`, as a pronoun, how it is: a state of its own ("because it was hungry"), not a colour or a size."""
    noun = draw.words.nouns["person"][0] if about.noun.proper else about.noun
    fitting = [each for each in draw.words.adjectives[noun.lemma] if not each.bare and not each.colour and each is not about.adjective]
    if fitting:
        later.predicate = Predicate(adjective=draw.one(fitting), degree=draw.one(("", "", "very", "too")))
        later.negated = False
        later.subject = refer(about)


def _can(about: NounPhrase, later: Clause) -> bool:
    return later.verb is not None and suits(about.noun, later.verb.who) and all(each.noun is not about.noun for each in phrases(later))


def _flags(said: Clause) -> frozenset[str]:
    assert said.verb
    return said.verb.flags
