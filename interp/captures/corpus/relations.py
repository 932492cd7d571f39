"""Do heads attend from one end of a grammatical relation to the other, over a treebank: how much, and how often to no word more?

For each pair of words (dependent, head) of a relation, in both directions: the weight from the one to the other, to a word the sum over
its tokens, from it the mean (Clark et al. 2019, section 4.1); and whether that is the word which the query word attends to most, as
accuracy is measured (ibid., section 4.2; Voita et al. 2019, section 5.2). A word itself does not count, nor do special tokens and others
that are in no word, as in the claims about relations (`claims`). The parts of a multiword token ("do" and "n't") share their tokens: pairs
with one of them are left out; as a rival of other words they are one. Words after the query under a causal mask count, with weight 0, as
missed.

Beside it what a fixed offset would reach: most relations are short and point one way, so a head that looks at the previous word seems to
know grammar. No test: `claims` has one, with a choice of the head on other texts than those it is measured on, and controls.
"""

from collections.abc import Hashable, Iterator, Sequence

import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.between_words import BetweenWords
from interp.captures.corpus.heads import by_layer, computed_by, of_heads
from interp.captures.corpus.pattern_statistics import PatternStatistics
from interp.captures.corpus.reducer import Reducer, part
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, labelled
from interp.models.points import Point
from interp.texts.example import Example

DIRECTIONS = ("dependent_to_head", "head_to_dependent")
HITS = tuple(f"{direction}_hits" for direction in DIRECTIONS)
FARTHEST = 10  # words; the offsets that the baseline chooses from
SOURCE = "Clark et al. (2019), section 4"
_ABOUT = {
    DIRECTIONS[0]: ("weight from a dependent to its head", "probability"),
    DIRECTIONS[1]: ("weight from a head to its dependent", "probability"),
    HITS[0]: ("the head is the word that a dependent attends to most", "share"),
    HITS[1]: ("the dependent is the word that a head attends to most", "share"),
}


class Relations(Reducer):
    """Weight on the other end of each relation, and how often it is the word attended to most. Axes: (layer, head, relation).

    Args: relations: without subtype ("nsubj" counts "nsubj:pass", too).
    Raises: DataError for none, or one that comes twice.

    Example:
        >>> import interp
        >>> from interp.captures.corpus.stream import stream
        >>> from interp.texts.sentences import annotate
        >>> from interp.texts.words import Sentence, Word
        >>> dogs = Word(id=1, form="Dogs", lemma="dog", upos="NOUN", deprel="nsubj", head=2, span=(0, 4))
        >>> bark = Word(id=2, form="bark", lemma="bark", upos="VERB", deprel="root", head=0, span=(5, 9))
        >>> model = interp.load()
        >>> text = annotate(Sentence(id="1", text="Dogs bark", words=(dogs, bark), document="1"), model.tokenizer)
        >>> found = stream(model, [text], [Relations(["nsubj"])])
        >>> found["head_to_dependent_hits"].dims, float(found["best_offset_share"][0])
        (('layer', 'head', 'relation'), 1.0)
    """

    kinds = frozenset({"pattern"})
    features = ("patterns",)
    paired = True

    def __init__(self, relations: Sequence[str]):
        if not relations or len(set(relations)) < len(relations):
            raise DataError(f"relations {tuple(relations)} came; expected at least one, and each once")
        self.relations = tuple(relations)
        super().__init__((*_ABOUT, "best_offset", "best_offset_share"))

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        found = [(text, *pair) for text, example in enumerate(batch.examples) for pair in pairs(example, self.relations)]
        both = [(text, dependent, head) for text, _, dependent, head in found] + [
            (text, head, dependent) for text, _, dependent, head in found
        ]
        self.taking = BetweenWords(batch, both) if found else None
        self.labels = torch.tensor([label for _, label, _, _ in found], dtype=torch.long)
        self.totals.add("n", torch.bincount(self.labels, minlength=len(self.relations)))
        offsets = torch.zeros(len(self.relations), 2 * FARTHEST + 1)
        for _, label, dependent, head in found:
            if abs(head - dependent) <= FARTHEST:
                offsets[label, head - dependent + FARTHEST] += 1
        self.totals.add("offsets", offsets)

    def asks(self, point: Point) -> list[Hashable]:
        return [self.taking] if self.taking is not None and point.stack in ("", "E") else []

    def attend(self, point: Point, statistics: PatternStatistics) -> None:
        if point.stack not in ("", "E"):
            return
        heads = statistics.call.shape[1]
        taken = torch.zeros(2, heads, 0) if self.taking is None else statistics.take(self.taking).cpu()
        found = taken.double().unflatten(-1, (len(DIRECTIONS), len(self.labels))).transpose(1, 2).flatten(0, 1)  # in the order of _ABOUT
        for name, values in zip(_ABOUT, found, strict=True):
            sums = torch.zeros(len(self.relations), heads, dtype=torch.float64)
            self.totals.add(part(name, point), sums.index_add_(0, self.labels, values.T))
            if self.taking is not None:
                self.totals.add(f"{statistics.way(self.taking)} {name}", torch.tensor(1))

    def result(self, provenance: Provenance) -> Dataset:
        """Weights and hits in both directions; for dependent to head the best fixed offset in words and the share of pairs that it hits.

        From head to dependent the best offset is the same with its sign turned, and so is its share.
        Attribute n: pairs of each relation; nan where there are none.
        Raises: DataError when no text of the corpus had a pair of any.
        """
        n, offsets = self.totals.sums["n"], self.totals.sums["offsets"]
        if not n.any():
            raise DataError(
                f"no text has words in the relations {', '.join(self.relations)}; expected annotated ones: a treebank (.conllu)"
            )
        best = (offsets.argmax(1) - FARTHEST).double().masked_fill(n == 0, torch.nan)
        shares = offsets.amax(1) / n
        given = {
            "best_offset": self._of_label("best_offset", best, "best fixed offset from dependent to head", "words", provenance),
            "best_offset_share": self._of_label("best_offset_share", shares, "pairs at the best fixed offset", "share", provenance),
        }
        return Dataset({name: self._variable(name, n, provenance) for name in _ABOUT} | given)

    def _variable(self, name: str, n: torch.Tensor, provenance: Provenance) -> DataArray:
        sums = by_layer({key.replace(" EL", " L"): values for key, values in self.totals.sums.items()}, name)
        long_name, units = _ABOUT[name]
        result = of_heads(
            (sums / n[:, None]).movedim(1, 2),
            ["layer", "head", "relation"],
            name=name,
            long_name=long_name,
            units=units,
            source=SOURCE,
            provenance=provenance,
            coords={"relation": list(self.relations)},
        )
        return result.assign_attrs(n=[int(count) for count in n], computed_by=computed_by(self.totals.sums, name))

    def _of_label(self, name: str, values: torch.Tensor, long_name: str, units: str, provenance: Provenance) -> DataArray:
        coords = {"relation": list(self.relations)}
        return labelled(values, ["relation"], name=name, long_name=long_name, units=units, provenance=provenance, coords=coords)


def pairs(example: Example, relations: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """(place among the relations, dependent, head) of each pair in a text, words counted from 0."""
    for place, word in enumerate(example.words):
        if (
            word.relation in relations
            and word.head_index is not None
            and not word.multiword
            and not example.words[word.head_index].multiword
        ):
            yield relations.index(word.relation), place, word.head_index
