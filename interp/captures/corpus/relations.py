"""How much heads attend from one end of a grammatical relation to the other, over a treebank.

For each pair of words (dependent, head) of a relation, in both directions: to a word the sum over its tokens, from it the mean (Clark et
al. 2019, section 4.1). The parts of a multiword token ("do" and "n't") share their tokens and are left out, and so are words after the
query under a causal mask: they count, with weight 0. Beside it what a fixed offset would reach: most relations are short and point one way,
so a head that looks at the previous word seems to know grammar. A weight is no test: `claims` has one, with controls.
"""

from collections.abc import Hashable, Iterator, Sequence

import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.fused import Fused
from interp.captures.corpus.heads import by_layer, computed_by, of_heads
from interp.captures.corpus.pairs import PairWeights
from interp.captures.corpus.reducer import Reducer, part
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, labelled
from interp.models.points import Point
from interp.texts.example import Example

DIRECTIONS = ("dependent_to_head", "head_to_dependent")
FARTHEST = 10  # words; the offsets that the baseline chooses from
SOURCE = "Clark et al. (2019), section 4"


class Relations(Reducer):
    """Mean weight on the other end of each relation. Axes: (layer, head, relation).

    Args: relations: without subtype ("nsubj" counts "nsubj:pass", too).
    Raises: DataError for none, or one that comes twice.
    """

    kinds = frozenset({"pattern"})
    features = ("patterns",)

    def __init__(self, relations: Sequence[str]):
        if not relations or len(set(relations)) < len(relations):
            raise DataError(f"relations {tuple(relations)} came; expected at least one, and each once")
        self.relations = tuple(relations)
        super().__init__((*DIRECTIONS, "best_offset", "best_offset_share"))

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self.asked: dict[str, tuple[PairWeights, torch.Tensor, torch.Tensor]] = {}
        found = [(text, *pair) for text, example in enumerate(batch.examples) for pair in pairs(example, self.relations)]
        for direction in DIRECTIONS:
            ends = [(text, label, *((one, other) if direction == DIRECTIONS[0] else (other, one))) for text, label, one, other in found]
            if ends:
                self.asked[direction] = _tokens(batch, ends)
        offsets = torch.zeros(len(self.relations), 2 * FARTHEST + 1)
        counts = torch.zeros(len(self.relations))
        for _, label, dependent, head in found:
            counts[label] += 1
            if abs(head - dependent) <= FARTHEST:
                offsets[label, head - dependent + FARTHEST] += 1
        self.totals.add("offsets", offsets)
        self.totals.add("n", counts)

    def asks(self, point: Point) -> list[Hashable]:
        return [taking for taking, _, _ in self.asked.values()] if point.stack in ("", "E") else []

    def attend(self, point: Point, fused: Fused) -> None:
        if point.stack not in ("", "E"):
            return
        for direction in DIRECTIONS:
            sums = torch.zeros(len(self.relations), fused.call.shape[1], dtype=torch.float64)
            if direction in self.asked:
                taking, share, label = self.asked[direction]
                sums.index_add_(0, label.cpu(), (fused.take(taking).double() * share).T.cpu())
                self.totals.add(f"{fused.way(taking)} {direction}", torch.tensor(1))
            self.totals.add(part(direction, point), sums)

    def result(self, provenance: Provenance) -> Dataset:
        """Both directions, and for dependent to head the best fixed offset in words with the share of pairs that it hits.

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
        return Dataset({direction: self._variable(direction, n, provenance) for direction in DIRECTIONS} | given)

    def _variable(self, direction: str, n: torch.Tensor, provenance: Provenance) -> DataArray:
        sums = by_layer({key.replace(" EL", " L"): values for key, values in self.totals.sums.items()}, direction)
        result = of_heads(
            (sums / n[:, None]).movedim(1, 2),
            ["layer", "head", "relation"],
            name=direction,
            long_name=f"weight from {direction.replace('_', ' ')}",
            units="probability",
            source=SOURCE,
            provenance=provenance,
            coords={"relation": list(self.relations)},
        )
        return result.assign_attrs(n=[int(count) for count in n], computed_by=computed_by(self.totals.sums, direction))

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


def _tokens(batch: Batch, ends: list[tuple[int, int, int, int]]) -> tuple[PairWeights, torch.Tensor, torch.Tensor]:
    """Pairs of tokens for pairs of words (text, label, from, to), with the share of each in its word's mean, and its label."""
    rows = [
        (text, query, key, 1 / len(batch.examples[text].word_tokens[one]), label)
        for text, label, one, other in ends
        for query in batch.examples[text].word_tokens[one]
        for key in batch.examples[text].word_tokens[other]
    ]
    texts, queries, keys, labels = (torch.tensor([row[field] for row in rows], device=batch.ids.device) for field in (0, 1, 2, 4))
    shares = torch.tensor([row[3] for row in rows], dtype=torch.float64, device=batch.ids.device)
    return PairWeights(texts=texts, queries=queries, keys=keys), shares, labels
