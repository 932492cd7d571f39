"""A derivation in English: a tree of words with constituents and UD relations.

Relations follow UD v2 as English EWT uses them: function words hang on content words, a copula on its predicate, times
without a preposition are `obl:unmarked`, the agent of a passive is `obl:agent`.
"""

from interp.texts.grammar import inflect
from interp.texts.grammar.derivation import Clause, NounPhrase, Place, Predicate, Relative, Statement
from interp.texts.grammar.lexicon import Time
from interp.texts.grammar.morphology import indefinite_article
from interp.texts.grammar.tree import HEAD, Kids, Leaf, Node, Tree

_FRONTED = frozenset({"When", "Because", "Although", "After", "Before"})
_COORDINATING = frozenset({"and", "but", "so"})


def statement(said: Statement) -> Node:
    """The tree of a whole sentence, its final punctuation included."""
    if said.question:
        return _question(said)
    if said.existential:
        return _existential(said)
    if said.second is None:
        return _with_end(clause(said.main), ".")
    if said.linker in _FRONTED:
        return _fronted(said, said.second)
    return _followed(said, said.second)


def clause(each: Clause) -> Node:
    """A finite clause with its subject."""
    kids: Kids = []
    if each.time and each.time_first:
        kids += [("obl:unmarked", _time(each, each.time)), ("punct", Leaf(",", ",", "PUNCT", glued=True))]
    relation = "nsubj:pass" if each.passive else "nsubj"
    kids += [(relation, noun_phrase(_surface_subject(each))), (HEAD, verb_phrase(each))]
    return Node("S", kids)


def noun_phrase(np: NounPhrase, case: str = "nom") -> Node:
    """A noun phrase; `case` is "nom", "acc" or "gen" and tells only on a pronoun."""
    if np.joined:
        np.leaves["and"] = Leaf("and", "and", "CCONJ")
        both = Node("", [("cc", np.leaves["and"]), (HEAD, noun_phrase(np.joined, case))])
        return Node("NP", [(HEAD, _single(np, case)), ("conj", both)])
    return _single(np, case)


def _single(np: NounPhrase, case: str) -> Node:
    if np.antecedent:
        np.leaf = inflect.pronoun(np, case)
        return Node("NP", [(HEAD, np.leaf)])
    inner = Node("NP", _core(np))
    after: Kids = []
    if np.place:
        after.append(("nmod", place(np.place)))
    if np.relative:
        after.append(("acl:relcl", _relative(np.relative)))
    return Node("NP", [(HEAD, inner), *after]) if after else inner


def _core(np: NounPhrase) -> Kids:
    """Determiner or owner, adjective, noun."""
    np.leaf = inflect.noun(np)
    rest: Kids = [(HEAD, np.leaf)]
    if np.adjective:
        np.leaves["adjective"] = Leaf(np.adjective.lemma, np.adjective.lemma, "ADJ", "Degree=Pos")
        rest.insert(0, ("amod", np.leaves["adjective"]))
    if np.owner:
        return [("nmod:poss", _owner(np, np.owner)), *rest]
    if np.determiner and not np.noun.proper:
        following = np.adjective.lemma if np.adjective else np.leaf.form
        relation, np.leaves["determiner"] = inflect.determiner(np, indefinite_article(following))
        rest.insert(0, (relation, np.leaves["determiner"]))
    return rest


def _owner(np: NounPhrase, owner: NounPhrase) -> Tree:
    node = noun_phrase(owner, "gen")
    if owner.antecedent:
        return node
    np.leaves["'s"] = Leaf("'s", "'s", "PART", glued=True)
    return Node("NP", [(HEAD, node), ("case", np.leaves["'s"])])


def place(each: Place) -> Node:
    """A prepositional phrase: its head is the noun."""
    each.leaf = Leaf(each.preposition.form, each.preposition.form, "ADP")
    return Node("PP", [("case", each.leaf), (HEAD, noun_phrase(each.where, "acc"))])


def _preposition(leaves: dict[str, Leaf], form: str, np: NounPhrase) -> Node:
    leaves[form] = Leaf(form, form, "ADP")
    return Node("PP", [("case", leaves[form]), (HEAD, noun_phrase(np, "acc"))])


def _relative(relative: Relative) -> Node:
    relative.leaf = Leaf(relative.word, relative.word, "PRON", "PronType=Rel")
    gap = relative.clause
    who = Node("WHNP", [(HEAD, relative.leaf)])
    if relative.gap == "subject":
        return Node("SBAR", [("nsubj", who), (HEAD, verb_phrase(gap))])
    inner = Node("S", [("nsubj", noun_phrase(gap.subject)), (HEAD, verb_phrase(gap, gap="object"))])
    return Node("SBAR", [("obj", who), (HEAD, inner)])


def verb_phrase(each: Clause, gap: str = "", aux: bool = True) -> Node:
    """What is said of the subject; `aux=False` leaves the first auxiliary to a question."""
    before = inflect.auxiliaries(each) if aux else inflect.auxiliaries(each)[1:]
    if each.predicate:
        return Node("VP", [*before, *_predicate(each, each.predicate)])
    each.leaves["verb"] = inflect.verb(each)
    inner: Kids = [*before, *_frequency(each), (HEAD, each.leaves["verb"]), *_complements(each, gap), *_adjuncts(each)]
    return _joined(each, Node("VP", inner))


def _joined(each: Clause, first: Node) -> Node:
    if not each.joined:
        return first
    each.leaves["and"] = Leaf("and", "and", "CCONJ")
    second: Kids = [("cc", each.leaves["and"])]
    if each.then:
        each.leaves["then"] = Leaf("then", "then", "ADV")
        second.append(("advmod", each.leaves["then"]))
    return Node("VP", [(HEAD, first), ("conj", Node("", [*second, (HEAD, verb_phrase(each.joined))]))])


def _frequency(each: Clause) -> Kids:
    if not each.frequency:
        return []
    each.leaves["frequency"] = Leaf(each.frequency.lemma, each.frequency.lemma, "ADV")
    return [("advmod", each.leaves["frequency"])]


def _complements(each: Clause, gap: str) -> Kids:
    """Recipient, object, goal, clause or infinitive, in English order."""
    kids: Kids = []
    if each.passive:
        return [("obl:agent", _preposition(each.leaves, "by", each.subject))]
    if each.recipient and each.double:
        kids.append(("iobj", noun_phrase(each.recipient, "acc")))
    if each.object and gap != "object":
        kids.append(("obj", noun_phrase(each.object, "acc")))
    if each.recipient and not each.double:
        kids.append(("obl", _preposition(each.leaves, "to", each.recipient)))
    if each.goal:
        kids.append(("obl", _preposition(each.leaves, "to", each.goal)))
    if each.into:
        kids.append(("obl", place(each.into)))
    return kids + _clauses(each)


def _clauses(each: Clause) -> Kids:
    if each.content:
        each.leaves["that"] = Leaf("that", "that", "SCONJ")
        return [("ccomp", Node("SBAR", [("mark", each.leaves["that"]), (HEAD, clause(each.content))]))]
    if each.infinitive:
        each.leaves["to"] = Leaf("to", "to", "PART")
        below = each.infinitive
        assert below.verb
        below.leaves["verb"] = Leaf(below.verb.lemma, below.verb.lemma, "VERB", "VerbForm=Inf")
        inner: Kids = [("mark", each.leaves["to"]), (HEAD, below.leaves["verb"]), *_complements(below, ""), *_adjuncts(below)]
        return [("xcomp", Node("VP", inner))]
    return []


def _adjuncts(each: Clause) -> Kids:
    kids: Kids = []
    if each.manner:
        each.leaves["manner"] = Leaf(each.manner.lemma, each.manner.lemma, "ADV")
        kids.append(("advmod", each.leaves["manner"]))
    if each.place:
        kids.append(("obl", place(each.place)))
    if each.time and not each.time_first:
        kids.append(("obl:unmarked", _time(each, each.time)))
    return kids


def _predicate(each: Clause, said: Predicate) -> Kids:
    """What a copula leads to; the copula itself is an auxiliary of it."""
    if said.adjective:
        each.leaves["adjective"] = Leaf(said.adjective.lemma, said.adjective.lemma, "ADJ", "Degree=Pos")
        kids: Kids = [(HEAD, each.leaves["adjective"])]
        if said.degree:
            each.leaves["degree"] = Leaf(said.degree, said.degree, "ADV")
            kids.insert(0, ("advmod", each.leaves["degree"]))
        return [(HEAD, Node("ADJP", kids))]
    if said.noun:
        return [(HEAD, noun_phrase(said.noun))]
    assert said.place
    return [(HEAD, place(said.place))]


def _time(each: Clause, when: Time) -> Node:
    *modifiers, noun = when.words
    each.leaves["time"] = Leaf(noun, noun, "NOUN", "Number=Sing")
    kids: Kids = [(HEAD, each.leaves["time"])]
    if modifiers:
        each.leaves["time modifier"] = Leaf(modifiers[0], modifiers[0], "DET" if modifiers[0] == "every" else "ADJ")
        kids.insert(0, ("det" if modifiers[0] == "every" else "amod", each.leaves["time modifier"]))
    return Node("NP", kids)


def _surface_subject(each: Clause) -> NounPhrase:
    return each.object if each.passive and each.object else each.subject


def _question(said: Statement) -> Node:
    main = said.main
    if said.question == "who":
        said.leaves["wh"] = Leaf("who", "who", "PRON", "PronType=Int")
        return _with_end(Node("SQ", [("nsubj", Node("WHNP", [(HEAD, said.leaves["wh"])])), (HEAD, verb_phrase(main))]), "?")
    kids: Kids = []
    if said.question == "what":
        said.leaves["wh"] = Leaf("what", "what", "PRON", "PronType=Int")
        kids.append(("obj", Node("WHNP", [(HEAD, said.leaves["wh"])])))
    gap = "object" if said.question == "what" else ""
    kids += [inflect.auxiliaries(main)[0], ("nsubj", noun_phrase(main.subject)), (HEAD, verb_phrase(main, gap, aux=False))]
    return _with_end(Node("SQ", kids), "?")


def _existential(said: Statement) -> Node:
    main = said.main
    assert main.predicate
    assert main.predicate.place
    main.leaves["there"] = Leaf("there", "there", "PRON")
    main.leaves["be"] = inflect.be(main.subject.agreement, "past" if main.tense == "past" else "present", "VERB")
    inner: Kids = [(HEAD, main.leaves["be"]), ("nsubj", noun_phrase(main.subject)), ("obl", place(main.predicate.place))]
    return _with_end(Node("S", [("expl", Node("NP", [(HEAD, main.leaves["there"])])), (HEAD, Node("VP", inner))]), ".")


def _fronted(said: Statement, second: Clause) -> Node:
    """ "When the dog slept, the cat ate": the second clause comes first."""
    said.leaves["linker"] = Leaf(said.linker.lower(), said.linker.lower(), "SCONJ")
    sub = Node("SBAR", [("mark", said.leaves["linker"]), (HEAD, clause(second))])  # before the main clause, for its pronoun
    main = clause(said.main)
    main.kids[:0] = [("advcl", sub), ("punct", Leaf(",", ",", "PUNCT", glued=True))]
    return _with_end(main, ".")


def _followed(said: Statement, second: Clause) -> Node:
    coordinating = said.linker in _COORDINATING
    said.leaves["linker"] = Leaf(said.linker, said.linker, "CCONJ" if coordinating else "SCONJ")
    main = clause(said.main)  # before the second one: a pronoun there asks for its antecedent's word
    if not coordinating:
        main.kids.append(("advcl", Node("SBAR", [("mark", said.leaves["linker"]), (HEAD, clause(second))])))
        return _with_end(main, ".")
    comma = Leaf(",", ",", "PUNCT", glued=True)
    other = Node("", [("punct", comma), ("cc", said.leaves["linker"]), (HEAD, clause(second))])
    return _with_end(Node("S", [(HEAD, main), ("conj", other)]), ".")


def _with_end(node: Node, mark: str) -> Node:
    node.kids.append(("punct", Leaf(mark, mark, "PUNCT", glued=True)))
    return node
