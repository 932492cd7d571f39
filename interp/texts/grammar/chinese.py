"""The same derivation in Chinese, word by word, each word linked to the English words that it renders.

Rules: subject, time, frequency, 没有/不, 正在, 在 + place, manner, verb + 了, object; what modifies stands before its noun
(relative clause + 的, 那只, place + 的, adjective, noun); 把 for a definite thing that is given; 被 for a passive;
因为..., 虽然...但是, 当...的时候 for linked clauses.

English decides the Chinese, so that a model can learn it exactly: "the" is nothing in a subject and 那 + classifier in an
object; past is 了 (没有 when negated; nothing for states, in temporal clauses and where a relative clause lacks its object); a
pronoun is written out; "did not see a dog" has no 一只.
An ambiguous word has the Chinese of its sense; without a cue that is the default sense of `senses.yaml`.

Linked are content words, pronouns, prepositions, conjunctions, negation, auxiliaries, numbers and articles where Chinese has
something for them; classifiers go with the article or number, 了 with the verb. Left alone: 的 of an adjective, 很, 所以 beside 因为.
"""

from interp.texts.grammar.derivation import Clause, NounPhrase, Place, Predicate, Statement
from interp.texts.grammar.inflect import pronoun_of
from interp.texts.grammar.lexicon import Adjective, Verb
from interp.texts.grammar.tree import Leaf

Piece = tuple[str, tuple[Leaf | None, ...]]
Pieces = list[Piece]

_DETERMINERS = {"this": "这", "that": "那", "a": "一", "two": "两", "three": "三"}
_PLURALS = {"the": "那些", "this": "这些", "that": "那些", "some": "一些", "many": "许多"}
_PRONOUNS = {"he": "他", "she": "她", "it": "它"}
_FRONTED = {"Because": ("因为", ""), "Although": ("虽然", ""), "When": ("当", "的时候"), "After": ("", "之后"), "Before": ("", "之前")}
_ANSWERED = {"Because": "所以", "Although": "但是"}
_FOLLOWED = {"because": "因为", "but": "但是", "so": "所以", "and": "而"}


def statement(said: Statement) -> Pieces:
    """The words of the whole sentence with its punctuation."""
    if said.existential:
        return [*_existential(said.main), _mark("。")]
    if said.question:
        return _question(said)
    if said.second is None:
        return [*clause(said.main), _mark("。")]
    linker = said.leaves["linker"]
    if said.linker == "when":
        return [*_fronted("When", linker, said.second), *clause(said.main), _mark("。")]
    if said.linker in _FRONTED:
        answer = [_mark(_ANSWERED[said.linker])] if said.linker in _ANSWERED else []
        return [*_fronted(said.linker, linker, said.second), *answer, *clause(said.main), _mark("。")]
    return [*clause(said.main), _mark("，"), (_FOLLOWED[said.linker], (linker,)), *clause(said.second), _mark("。")]


def clause(each: Clause, *, plain: bool = False, asked: Piece | None = None) -> Pieces:
    """A clause with its subject; `plain` leaves 了 out, `asked` stands for the subject."""
    subject = each.object if each.passive and each.object else each.subject
    said = [asked] if asked else noun_phrase(subject, "subject")
    time: Pieces = [(each.time.zh, (each.leaves["time"], each.leaves.get("time modifier")))] if each.time else []
    if each.time_first:
        return [*time, _mark("，"), *said, *verb_phrase(each, plain=plain)]
    return [*said, *time, *verb_phrase(each, plain=plain)]


def noun_phrase(np: NounPhrase, role: str) -> Pieces:
    """A noun phrase as a "subject", an "object" (definite: 那 + classifier), "denied" (an object of 没有/不: "a" is nothing)
    or "bare" (definite: nothing)."""
    if np.joined:
        return [*_single(np, role), ("和", (np.leaves["and"],)), *noun_phrase(np.joined, role)]
    return _single(np, role)


def _single(np: NounPhrase, role: str) -> Pieces:
    if np.antecedent:
        return [(_pronoun(np.antecedent), (np.leaf,))]
    if np.noun.proper:
        return [(np.noun.zh, (np.leaf,))]
    front, behind = _determiner(np, role)
    indefinite = np.determiner not in ("the", "this", "that", "")
    relative = _relative(np)
    head: Pieces = [*front, *relative] if indefinite else [*relative, *front]
    if np.place:
        head = [*_location(np.place), ("的", ()), *head]
    head += _owner(np)
    if np.adjective:
        head += _attribute(np.adjective, np.leaves["adjective"], short=np.owner is not None)
    return [*head, (np.noun.zh, (np.leaf,)), *behind]


def _determiner(np: NounPhrase, role: str) -> tuple[Pieces, Pieces]:
    """What stands before the noun, and after it (们)."""
    if np.owner or not np.determiner or (role == "denied" and np.determiner == "a"):
        return [], []
    leaf = (np.leaves["determiner"],)
    if np.determiner == "the" and role in ("subject", "bare") and not np.relative:
        if np.number == "Sing":
            return [], []
        if np.noun.kind == "person":
            return [], [("们", (np.leaf,))]
    if np.number == "Plur" and np.determiner in _PLURALS:
        return [(_PLURALS[np.determiner], leaf)], []
    return [(_DETERMINERS.get(np.determiner, "那"), leaf), (np.noun.classifier, leaf)], []


def _owner(np: NounPhrase) -> Pieces:
    if not np.owner:
        return []
    return [*noun_phrase(np.owner, "bare"), ("的", (np.leaves.get("'s"),))]


def _relative(np: NounPhrase) -> Pieces:
    relative = np.relative
    if not relative:
        return []
    inner = relative.clause
    if relative.gap == "subject":
        said = verb_phrase(inner)
    else:
        said = [*noun_phrase(inner.subject, "subject"), *verb_phrase(inner, plain=True, gap=True)]
    return [*said, ("的", (relative.leaf,))]


def _attribute(adjective: Adjective, leaf: Leaf, *, short: bool) -> Pieces:
    """The adjective with 的, which an owner's 的 makes superfluous."""
    return [(adjective.zh, (leaf,))] if adjective.bare or short else [(adjective.zh, (leaf,)), ("的", ())]


def _pronoun(antecedent: NounPhrase) -> str:
    kind = pronoun_of(antecedent)
    if kind != "they":
        return _PRONOUNS[kind]
    every = [antecedent, *([antecedent.joined] if antecedent.joined else [])]
    if any(each.noun.kind == "person" for each in every):
        return "她们" if all(each.noun.gender == "f" for each in every) else "他们"
    return "它们"


def _location(place: Place) -> Pieces:
    return [*noun_phrase(place.where, "bare"), (place.preposition.zh, (place.leaf,))]


def verb_phrase(each: Clause, *, plain: bool = False, gap: bool = False) -> Pieces:
    """What is said of the subject."""
    if each.predicate:
        return _predicate(each, each.predicate)
    leaves = each.leaves
    said: Pieces = []
    if each.frequency:
        said.append((each.frequency.zh, (leaves["frequency"],)))
    said += [*_negation(each), *_modal(each), *_surroundings(each)]
    if each.passive:
        return [*said, ("被", (leaves["by"],)), *noun_phrase(each.subject, "bare"), *_aspect(each, plain)]
    said += _core(each, plain=plain, gap=gap)
    return [*said, *_second(each)] if each.joined else said


def _second(each: Clause) -> Pieces:
    assert each.joined
    linked: Piece = ("然后", (each.leaves["then"],)) if each.then else ("并", (each.leaves["and"],))
    return [_mark("，"), linked, *verb_phrase(each.joined)]


def _negation(each: Clause) -> Pieces:
    if not each.negated or "unable" in _verb(each).flags:
        return []
    past = each.tense == "past" and "stative" not in _verb(each).flags
    return [("没有" if past else "不", (each.leaves.get("do"), each.leaves["not"]))]


def _modal(each: Clause) -> Pieces:
    if each.tense in ("will", "can"):
        return [("会" if each.tense == "will" else "能", (each.leaves["modal"],))]
    if "progressive" in each.tense:
        return [("正" if each.place else "正在", (each.leaves["be"],))]
    return []


def _surroundings(each: Clause) -> Pieces:
    """Place and manner."""
    said: Pieces = []
    if each.place:
        said += [("在", (each.place.leaf,)), *_location(each.place)]
    if each.manner:
        said.append((each.manner.zh, (each.leaves["manner"],)))
    return said


def _core(each: Clause, *, plain: bool, gap: bool) -> Pieces:
    """The verb with its objects."""
    if each.recipient:
        return _given(each, each.recipient, plain)
    said = _aspect(each, plain)
    if each.object and not gap:
        said += noun_phrase(each.object, "denied" if each.negated else "object")
    if each.goal:
        said += noun_phrase(each.goal, "bare")
    if each.into:
        said += noun_phrase(each.into.where, "object")
    if each.content:
        said += clause(each.content)
    if each.infinitive:
        said += [*_surroundings(each.infinitive), *_core(each.infinitive, plain=True, gap=False)]
    return said


def _given(each: Clause, recipient: NounPhrase, plain: bool) -> Pieces:
    """把那本书给了女孩 for a definite thing, 给了女孩一本书 for another."""
    assert each.object
    to = noun_phrase(recipient, "bare")
    thing = noun_phrase(each.object, "denied" if each.negated else "object")
    if each.object.determiner in ("the", "this", "that") or each.object.owner:
        return [("把", ()), *thing, *_aspect(each, plain), *to]
    return [*_aspect(each, plain), *to, *thing]


def _aspect(each: Clause, plain: bool) -> Pieces:
    """The verb, with 了 where something happened."""
    verb = _verb(each)
    leaf = (each.leaves["verb"],)
    silent = {"stative", "speech"} & verb.flags or each.infinitive
    if "unable" in verb.flags:  # 放不进: the negation is inside
        return [(verb.zh[0], (*leaf, each.leaves["do"], each.leaves["not"]))]
    if plain or silent or each.negated or each.tense != "past":
        return [("".join(verb.zh), leaf)]
    return [(verb.zh[0], leaf), ("了", leaf), *((part, leaf) for part in verb.zh[1:])]


def _predicate(each: Clause, said: Predicate) -> Pieces:
    leaves = each.leaves
    denied: Pieces = [("不", (leaves["not"],))] if each.negated else []
    if said.place:
        return [*denied, ("在", (leaves["be"], said.place.leaf)), *_location(said.place)]
    if said.noun:
        return [*denied, ("是", (leaves["be"],)), *noun_phrase(said.noun, "bare")]
    assert said.adjective
    quality: Piece = (said.adjective.zh, (leaves["adjective"],))
    if said.adjective.colour:
        return [*denied, ("是", (leaves["be"],)), quality, ("的", ())]
    if said.degree:
        degree: Piece = ("太" if said.degree == "too" else "非常", (leaves["degree"],))
        return [*denied, degree, quality, *([("了", ())] if said.degree == "too" else [])]
    return [*denied, quality] if denied else [("很", ()), quality]


def _existential(each: Clause) -> Pieces:
    assert each.predicate
    assert each.predicate.place
    return [*_location(each.predicate.place), ("有", (each.leaves["be"],)), *noun_phrase(each.subject, "object")]


def _question(said: Statement) -> Pieces:
    if said.question == "who":
        return [*clause(said.main, asked=("谁", (said.leaves["wh"],))), _mark("？")]
    if said.question == "polar":
        return [*clause(said.main), ("吗", ()), _mark("？")]
    subject = noun_phrase(said.main.subject, "subject")
    asked: Piece = ("什么", (said.leaves["wh"],))
    return [*subject, *verb_phrase(said.main, gap=True), asked, _mark("？")]


def _fronted(linker: str, leaf: Leaf, second: Clause) -> Pieces:
    first, last = _FRONTED[linker]
    opened: Pieces = [(first, (leaf,))] if first else []
    closed: Pieces = [(last, (leaf,))] if last else []
    return [*opened, *clause(second, plain=bool(last)), *closed, _mark("，")]


def _mark(text: str) -> Piece:
    return (text, ())


def _verb(each: Clause) -> Verb:
    assert each.verb
    return each.verb
