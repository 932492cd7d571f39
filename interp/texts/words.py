"""A word and a sentence as a treebank annotates them.

Words are the treebank's *syntactic* words: "don't" is two of them, "do" and "n't", written as one multiword token. Both
then have the span of the whole "don't" and say `multiword=True`: a claim may leave them out, or take them together.
`id` and `head` count from 1 as in the file (head 0 is the root); `index` and `head_index` count from 0.
"""

from dataclasses import dataclass

Span = tuple[int, int]
Link = tuple[str, int, int]


@dataclass(frozen=True, kw_only=True)
class Word:
    """One syntactic word.

    Attributes:
        id: its number in the sentence, from 1.
        form: as written.
        lemma: its dictionary form; "_" where the treebank has none.
        upos: universal part of speech ("NOUN").
        deprel: full relation to its head ("nsubj:pass"); see `relation`.
        head: the head's `id`; 0 for the root.
        span: characters [start, end) in the sentence's text; of the whole multiword token if it is in one.
        multiword: it is part of a multiword token, and shares its span with the other parts.
        feats: its morphological features, as in CoNLL-U: "Number=Plur|PronType=Prs"; "_" for none.

    Example:
        >>> word = Word(id=2, form="seen", lemma="see", upos="VERB", deprel="acl:relcl", head=1, span=(4, 8))
        >>> word.relation, word.index, word.head_index
        ('acl', 1, 0)
    """

    id: int
    form: str
    lemma: str
    upos: str
    deprel: str
    head: int
    span: Span
    multiword: bool = False
    feats: str = "_"

    def feature(self, name: str) -> str:
        """The value of a morphological feature; "" for a word without it.

        Example:
            >>> word = Word(id=1, form="cats", lemma="cat", upos="NOUN", deprel="root", head=0, span=(0, 4), feats="Case=Nom|Number=Plur")
            >>> word.feature("Number"), word.feature("Tense")
            ('Plur', '')
        """
        return next((value for one in self.feats.split("|") for key, _, value in [one.partition("=")] if key == name), "")

    @property
    def relation(self) -> str:
        """The relation without its subtype: "nsubj" for "nsubj:pass"."""
        return self.deprel.partition(":")[0]

    @property
    def index(self) -> int:
        """Its place in `Sentence.words`, from 0."""
        return self.id - 1

    @property
    def head_index(self) -> int | None:
        """The head's place in `Sentence.words`, from 0; None for the root."""
        return self.head - 1 if self.head else None


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One annotated sentence.

    Attributes:
        document: the text that it is from: the cluster for intervals and permutations.
        links: annotations of pairs of words, each its name and two places among the words: ("Antecedent", 5, 1).
    """

    id: str
    text: str
    words: tuple[Word, ...]
    document: str
    links: tuple[Link, ...] = ()
