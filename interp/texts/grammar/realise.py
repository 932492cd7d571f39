"""From a derivation to a `GrammarSentence`; and which sentences the training split may have.

Held out: the set of a sentence's content lemmas, hashed, decides whether the sentence belongs to the training split or to the
other two. So no sentence is in both, nor are two that differ only in number, tense, negation or articles.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

from interp.texts.grammar import chinese, english
from interp.texts.grammar.derivation import Statement
from interp.texts.grammar.lexicon import Split
from interp.texts.grammar.sentence import Constituent, GrammarSentence, GrammarWord, Translation
from interp.texts.grammar.tree import Leaf, place_words

_CONTENT = frozenset({"NOUN", "PROPN", "VERB", "ADJ", "ADV"})
_HELD_OUT_OF = 4


@dataclass(slots=True)
class Drafted:
    """The English words of a derivation with heads and constituents, before anything else is made."""

    said: Statement
    leaves: list[Leaf]
    spans: list[tuple[int, int, str]]


def draft(said: Statement) -> Drafted:
    """Write a derivation in English."""
    leaves, spans = place_words(english.statement(said))
    return Drafted(said, leaves, spans)


def held_out(lemmas: Iterable[str]) -> bool:
    """Whether sentences of just these content words are kept from the training split: one set in four is.

    Example:
        >>> held_out(["dog", "chase", "fox"]) == held_out(["fox", "dog", "chase", "dog"])
        True
    """
    return crc32(" ".join(sorted(set(lemmas))).encode()) % _HELD_OUT_OF == 0


def belongs(drafted: Drafted, split: Split, *, ignoring: Iterable[str] = ()) -> bool:
    """Whether a sentence may be in this split; words in `ignoring` are not looked at."""
    lemmas = {leaf.lemma for leaf in drafted.leaves if leaf.upos in _CONTENT}
    return held_out(lemmas.difference(ignoring)) != (split == "train")


def finish(drafted: Drafted, *, name: str, kind: str, split: Split, template: str = "", document: str = "") -> GrammarSentence:
    """The sentence with words, text, constituents, reference, senses and translation."""
    leaves = drafted.leaves
    text, words = _written(leaves)
    coreference = tuple((leaf.index, leaf.antecedent.index) for leaf in leaves if leaf.antecedent and _within(leaf.antecedent, leaves))
    return GrammarSentence(
        id=name,
        text=text,
        words=words,
        document=document or name,
        constituents=tuple(Constituent(start=start, end=end, label=label) for start, end, label in drafted.spans),
        coreference=coreference,
        links=tuple(("Antecedent", pronoun, antecedent) for pronoun, antecedent in coreference),
        senses=tuple((leaf.index, leaf.sense) for leaf in leaves if leaf.sense),
        translation=_translated(drafted.said),
        kind=kind,
        split=split,
        template=template,
    )


def _within(leaf: Leaf, leaves: list[Leaf]) -> bool:
    return leaf.index < len(leaves) and leaves[leaf.index] is leaf


def _written(leaves: list[Leaf]) -> tuple[str, tuple[GrammarWord, ...]]:
    """The text, and the words with their places in it; the first one with a capital."""
    text = ""
    words: list[GrammarWord] = []
    for leaf in leaves:
        form = leaf.form if words else leaf.form[0].upper() + leaf.form[1:]
        text += form if leaf.glued or not words else " " + form
        head = 0 if leaf.head is None else leaf.head.index + 1
        span = (len(text) - len(form), len(text))
        words.append(
            GrammarWord(
                id=leaf.index + 1,
                form=form,
                lemma=leaf.lemma,
                upos=leaf.upos,
                deprel=leaf.deprel,
                head=head,
                span=span,
                feats=leaf.feats,
            )
        )
    return text, tuple(words)


def _translated(said: Statement) -> Translation:
    pieces = chinese.statement(said)
    links = {(leaf.index, place) for place, (_, sources) in enumerate(pieces) for leaf in sources if leaf is not None}
    words = tuple(word for word, _ in pieces)
    return Translation(text="".join(words), words=words, alignment=tuple(sorted(links)))
