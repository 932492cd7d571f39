"""A generated sentence with everything that is known of it.

It is a treebank's `Sentence` with more fields, so whatever reads a treebank (`annotate`, `examples`) reads it too. All
indices count words from 0.
"""

from dataclasses import dataclass

from interp.texts.words import Sentence, Word


@dataclass(frozen=True, kw_only=True)
class GrammarWord(Word):
    """A word that tells its number."""

    @property
    def number(self) -> str:
        """ "Sing", "Plur", or "" for a word without number.

        Example:
            >>> GrammarWord(id=1, form="dogs", lemma="dog", upos="NOUN", deprel="root", head=0, span=(0, 4), feats="Number=Plur").number
            'Plur'
        """
        return self.feature("Number")


@dataclass(frozen=True, kw_only=True)
class Constituent:
    """Words [start, end) that belong together: "NP", "VP", "PP", "S", "SBAR", "SQ", "WHNP", "ADJP"."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The Chinese sentence.

    Attributes:
        text: without spaces, with its punctuation.
        words: the same, cut into words.
        alignment: (English word, Chinese word), sorted; a word may have several partners or, if it is a function word, none.
    """

    text: str
    words: tuple[str, ...]
    alignment: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class GrammarSentence(Sentence):
    """A generated sentence.

    Attributes:
        words: `GrammarWord`s: form, lemma, upos, feats, head, deprel, place in the text.
        constituents: the outer before the inner; every two are apart or one within the other.
        coreference: (pronoun, head word of its antecedent); for an antecedent in an earlier sentence see `Passage`.
        senses: (word, sense) of ambiguous words: (3, "bank.river").
        translation: into Chinese, with the alignment.
        kind: the construction ("transitive"), or the task ("winograd").
        template: which frame it is of, where frames are kept apart between splits; "" elsewhere.
        split: "train", "selection" or "confirmation".
    """

    words: tuple[GrammarWord, ...]
    constituents: tuple[Constituent, ...]
    coreference: tuple[tuple[int, int], ...]
    senses: tuple[tuple[int, str], ...]
    translation: Translation
    kind: str
    split: str
    template: str = ""

    def constituent_text(self, constituent: Constituent) -> str:
        """The characters that a constituent covers."""
        return self.text[self.words[constituent.start].span[0] : self.words[constituent.end - 1].span[1]]


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Sentences that follow one another; a pronoun may have its antecedent in an earlier one.

    `coreference` has ((sentence, word), (sentence, word)) for every pronoun, those within one sentence included.
    """

    id: str
    sentences: tuple[GrammarSentence, ...]
    coreference: tuple[tuple[tuple[int, int], tuple[int, int]], ...]

    @property
    def text(self) -> str:
        """The sentences with a space between them."""
        return " ".join(each.text for each in self.sentences)

    @property
    def translation(self) -> str:
        """The Chinese sentences, one after the other."""
        return "".join(each.translation.text for each in self.sentences)
