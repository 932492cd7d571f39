"""Two sentences that follow one another, the second about something in the first."""

from interp.texts.grammar.derivation import Clause, NounPhrase, Statement, phrases
from interp.texts.grammar.draw import Draw
from interp.texts.grammar.realise import Drafted, belongs, draft, finish
from interp.texts.grammar.rules import alone, refer
from interp.texts.grammar.sentence import Passage

_FIRST = ("intransitive", "transitive", "transitive", "goal", "ditransitive")


def passage(draw: Draw, name: str) -> Passage:
    """A passage of two sentences with a pronoun that can mean one thing only."""
    while True:
        first, second = _said(draw)
        drafts = draft(first), draft(second)
        if all(belongs(each, draw.split) for each in drafts):
            return _finished(draw, drafts, name)


def _said(draw: Draw) -> tuple[Statement, Statement]:
    while True:
        first = draw.clause(draw.one(_FIRST), tense="past")
        said = list(phrases(first))
        clear = [each for each in said if alone(each, said) and each.noun.kind in ("person", "animal")]
        if clear:
            return Statement(first), Statement(_about(draw, clear[0] if draw.chance(0.7) else draw.one(clear)))


def _about(draw: Draw, np: NounPhrase) -> Clause:
    if draw.chance(0.3):
        said = draw.copular(NounPhrase(np.noun, np.number, "the"), tense="past")
        said.subject = refer(np)
        return said
    while True:
        said = draw.clause(draw.one(_FIRST), subject=refer(np), tense="past", plain=True)
        if all(each.noun is not np.noun or each is said.subject for each in phrases(said)):
            return said


def _finished(draw: Draw, drafts: tuple[Drafted, Drafted], name: str) -> Passage:
    sentences = tuple(
        finish(each, name=f"{name}-{number}", kind="passage", split=draw.split, document=name)
        for number, each in enumerate(drafts, start=1)
    )
    links = []
    for number, each in enumerate(drafts):
        for leaf in each.leaves:
            if leaf.antecedent:
                home = next(place for place, other in enumerate(drafts) if leaf.antecedent in other.leaves)
                links.append(((number, leaf.index), (home, leaf.antecedent.index)))
    return Passage(id=name, sentences=sentences, coreference=tuple(links))
