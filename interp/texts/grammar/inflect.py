"""Which form of a word its place in an English sentence asks for."""

from interp.texts.grammar.derivation import Clause, NounPhrase, Number
from interp.texts.grammar.tree import Leaf, Tree

_BE = {("Sing", "present"): "is", ("Plur", "present"): "are", ("Sing", "past"): "was", ("Plur", "past"): "were"}
_PRONOUNS = {
    "he": ("he", "him", "his", "Gender=Masc|Number=Sing"),
    "she": ("she", "her", "her", "Gender=Fem|Number=Sing"),
    "it": ("it", "it", "its", "Gender=Neut|Number=Sing"),
    "they": ("they", "them", "their", "Number=Plur"),
}
_CASES = ("nom", "acc", "gen")
_NUMBERS = {"two": "2", "three": "3"}
_PLURAL_DETERMINERS = {"this": "these", "that": "those"}


def pronoun_of(np: NounPhrase) -> str:
    """ "he", "she", "it", "they"; "" for one person whose gender the noun does not say.

    Example:
        >>> from interp.texts.grammar.lexicon import vocabulary
        >>> [pronoun_of(NounPhrase(noun)) for noun in vocabulary("selection").names[:2]]
        ['he', 'she']
    """
    if np.agreement == "Plur":
        return "they"
    if np.noun.kind != "person":
        return "it"
    return {"m": "he", "f": "she", "": ""}[np.noun.gender]


def pronoun(np: NounPhrase, case: str) -> Leaf:
    """The pronoun for the antecedent of `np`."""
    assert np.antecedent
    assert np.antecedent.leaf, "an antecedent is written before its pronoun"
    forms = _PRONOUNS[pronoun_of(np.antecedent)]
    poss = "|Poss=Yes" if case == "gen" else ""
    feats = "|".join(sorted(f"{forms[3]}|Person=3|PronType=Prs{poss}".split("|")))
    made = Leaf(forms[_CASES.index(case)], forms[0] if case != "gen" else forms[2], "PRON", feats)
    made.antecedent = np.antecedent.leaf
    return made


def noun(np: NounPhrase) -> Leaf:
    """The noun or name in its number."""
    each = np.noun
    form = each.plural if np.number == "Plur" else each.lemma
    return Leaf(form, each.lemma, "PROPN" if each.proper else "NOUN", f"Number={np.number}", sense=each.sense)


def determiner(np: NounPhrase, article: str) -> tuple[str, Leaf]:
    """(relation, word): "an", "these", "two"."""
    given = np.determiner
    if given in _NUMBERS:
        return "nummod", Leaf(given, given, "NUM", "NumType=Card")
    if given == "many":
        return "amod", Leaf(given, given, "ADJ", "Degree=Pos")
    if given == "a":
        return "det", Leaf(article, "a", "DET", "Definite=Ind|PronType=Art")
    if given in _PLURAL_DETERMINERS:
        form = _PLURAL_DETERMINERS[given] if np.number == "Plur" else given
        return "det", Leaf(form, given, "DET", f"Number={np.number}|PronType=Dem")
    return "det", Leaf(given, given, "DET", "Definite=Def|PronType=Art" if given == "the" else "_")


def be(number: Number, tense: str, upos: str = "AUX") -> Leaf:
    """ "is", "are", "was" or "were"."""
    return Leaf(_BE[number, tense], "be", upos, _finite(number, tense))


def auxiliaries(each: Clause) -> list[tuple[str, Tree]]:
    """The words before the verb (or the copula and what is before it), as (relation, word)."""
    number = (each.object if each.passive and each.object else each.subject).agreement
    kids: list[tuple[str, Tree]] = []
    if each.predicate or each.passive or "progressive" in each.tense:
        tense = "past" if each.tense in ("past", "was-progressive") else "present"
        relation = "cop" if each.predicate else "aux:pass" if each.passive else "aux"
        each.leaves["be"] = be(number, tense)
        kids.append((relation, each.leaves["be"]))
    elif each.tense in ("will", "can"):
        each.leaves["modal"] = Leaf(each.tense, each.tense, "AUX", "VerbForm=Fin")
        kids.append(("aux", each.leaves["modal"]))
    elif each.negated or each.supported:
        each.leaves["do"] = _do(number, each.tense)
        kids.append(("aux", each.leaves["do"]))
    if each.negated:
        each.leaves["not"] = Leaf("not", "not", "PART", "Polarity=Neg")
        kids.append(("advmod", each.leaves["not"]))
    return kids


def verb(each: Clause) -> Leaf:
    """The verb in the form that its tense, subject and auxiliaries ask for."""
    word = each.verb
    assert word
    if each.passive:
        return Leaf(word.participle, word.lemma, "VERB", "Tense=Past|VerbForm=Part|Voice=Pass")
    if "progressive" in each.tense:
        return Leaf(word.ing, word.lemma, "VERB", "Tense=Pres|VerbForm=Part")
    if each.negated or each.supported or each.tense in ("will", "can"):
        return Leaf(word.lemma, word.lemma, "VERB", "VerbForm=Inf")
    number = each.subject.agreement
    form = word.past if each.tense == "past" else word.third if number == "Sing" else word.lemma
    return Leaf(form, word.lemma, "VERB", _finite(number, each.tense))


def _do(number: Number, tense: str) -> Leaf:
    form = "did" if tense == "past" else "does" if number == "Sing" else "do"
    return Leaf(form, "do", "AUX", _finite(number, tense))


def _finite(number: Number, tense: str) -> str:
    return f"Mood=Ind|Number={number}|Person=3|Tense={'Past' if tense == 'past' else 'Pres'}|VerbForm=Fin"
