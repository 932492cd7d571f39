"""Does what stands at an ambiguous word decide how it is read in the end? The other sense's state is put there while the model runs.

Two sentences of a document that mark the same word with different senses, as many tokens long and with the word at the same place, are a
pair. While the model reads the one, the stream at the word is replaced after a layer by what it is in the other; or what all attentions, or
all FFNs, add there is. The word is then read after the last layer by the reader that was fitted on sentences left alone: does it now have
the other's sense? Beside that: the same reading with nothing replaced, and with the same done at another word of the sentence.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from interp.captures.corpus.batches import by_length
from interp.captures.word_vectors import WordPlace, word_vectors
from interp.claims.protocols.parts.sense_curves import Senses
from interp.claims.protocols.parts.sense_items import by_word, readers
from interp.claims.stages import Arrays
from interp.core.errors import ClaimError, InterventionError
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Kind, Point, watching
from interp.models.watch import Keep
from interp.texts.example import Example

if TYPE_CHECKING:
    from interp.claims.protocols.disambiguation import Disambiguation

WRITES: dict[str, Kind] = {"attention": "attn_out", "ffn": "mlp_out"}


def partners(senses: Senses) -> np.ndarray:
    """For each occurrence the one that it is exchanged with, -1 for one without. Axes: (item,)."""
    found, items = np.full(len(senses.words), -1), senses.items
    groups: dict[tuple[str, str, int, tuple[int, ...]], list[int]] = {}
    for item, (number, place) in enumerate(senses.words):
        example = senses.examples[number]
        key = (str(items.document[item]), str(items.form[item]), len(example), tuple(example.word_tokens[place]))
        groups.setdefault(key, []).append(item)
    for group in groups.values():
        for item in group:
            found[item] = next((other for other in group if items.label[other] != items.label[item]), -1)
    return found


def refuse_few(name: str, senses: Senses) -> None:
    """Raises: ClaimError where hardly an occurrence has a partner on the confirmation half."""
    n = int((partners(senses)[senses.parts.test] >= 0).sum())
    if n < 2:
        raise ClaimError(
            f"{name}: {n} occurrences have a sentence of the same document that differs in the sense alone; expected pairs of sentences as "
            "long as each other, such as --data grammar has"
        )


def patched_curves(model: Model, senses: Senses, test: "Disambiguation") -> Arrays:
    """Whether each paired occurrence of the confirmation half is read as the other's sense: "READER untouched", "READER patched", and
    "READER elsewhere"; axes (item,), bool."""
    other = partners(senses)
    paired = np.flatnonzero(senses.parts.test & (other >= 0))
    last = Point(kind="resid_post", layer=model.anatomy.n_layers - 1)
    _, plain = next(word_vectors(model, senses.examples, senses.words, [last]))
    plain = plain[senses.items.reads[:, 0]]
    labels = senses.items.label.copy()
    labels[paired] = senses.items.label[other[paired]]
    asked = np.isin(np.arange(len(labels)), paired)
    swaps = [(senses.words[item], senses.words[other[item]]) for item in paired.tolist()]
    found = {"untouched": plain}
    for name, places in (("patched", [one[1] for one, _ in swaps]), ("elsewhere", _elsewhere(senses, swaps))):
        found[name] = plain.copy()
        found[name][paired] = _patched(model, senses.examples, swaps, places, test)
    return {
        f"{reader} {name}": by_word(read, vectors, senses.items.form, labels, senses.parts.selection, asked)
        for reader, read in readers(test.strength).items()
        for name, vectors in found.items()
    }


def _elsewhere(senses: Senses, swaps: Sequence[tuple[WordPlace, WordPlace]]) -> list[int]:
    """Another word of each sentence that is the same in both and stands at the same tokens; the last one before the ambiguous word."""
    places = []
    for (number, place), (other, _) in swaps:
        mine, theirs = senses.examples[number], senses.examples[other]
        same = [
            one
            for one in range(min(len(mine.words), len(theirs.words)))
            if one != place and mine.word_tokens[one] == theirs.word_tokens[one] and mine.words[one].form == theirs.words[one].form
        ]
        before = [one for one in same if one < place]
        places.append(before[-1] if before else same[0] if same else place)
    return places


@torch.no_grad()
def _patched(
    model: Model, examples: Sequence[Example], swaps: Sequence[tuple[WordPlace, WordPlace]], at: Sequence[int], test: "Disambiguation"
) -> np.ndarray:
    """The ambiguous word after the last layer, with its partner's states put in at a word. Axes: (swap, d_model)."""
    found = np.empty((len(swaps), model.anatomy.d_model), np.float32)
    points = _points(model, test)
    kinds = sorted({point.kind for point in points})
    for batch in by_length([examples[number] for (number, _), _ in swaps]):
        numbers = [number for number, _ in batch]
        ids, theirs = (torch.tensor([examples[swaps[number][side][0]].ids for number in numbers], device=model.device) for side in (0, 1))
        source = Keep(model, kinds)
        with watching(source):
            model.run(theirs, logits=False)
        pieces = [list(examples[swaps[number][0][0]].word_tokens[at[number]]) for number in numbers]
        end, exchanged = Keep(model, ["resid_post"]), _Exchanged(model, {point.name: source.arrays[point.name] for point in points}, pieces)
        with watching(exchanged), watching(end):
            model.run(ids, logits=False)
        exchanged.insist()
        stream = end.arrays[Point(kind="resid_post", layer=model.anatomy.n_layers - 1).name].float().cpu().numpy()
        for row, number in enumerate(numbers):
            example, place = examples[swaps[number][0][0]], swaps[number][0][1]
            found[number] = stream[row, list(example.word_tokens[place])].mean(0)
    return found


def _points(model: Model, test: "Disambiguation") -> list[Point]:
    if test.sublayer is None:
        return [Point(kind="resid_post", layer=test.patched_after(model.anatomy.n_layers))]
    return [Point(kind=WRITES[test.sublayer], layer=layer) for layer in range(model.anatomy.n_layers)]


class _Exchanged:
    """The watcher that puts other states at some positions of each row. `states`: by the point's name; `pieces`: of each row."""

    def __init__(self, model: Model, states: dict[str, torch.Tensor], pieces: Sequence[Sequence[int]]):
        self.owner, self.states, self.pieces = id(model.hf), states, pieces
        self.kinds: frozenset[str] = frozenset({"resid_post", *WRITES.values()})
        self.reached: set[str] = set()

    def attend(self, point: Point, call: AttentionCall) -> None:
        return None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        if point.owner != self.owner or point.name not in self.states:
            return None
        self.reached.add(point.name)
        edited = tensor.clone()
        for row, positions in enumerate(self.pieces):
            edited[row, list(positions)] = self.states[point.name][row, list(positions)].to(tensor)
        return edited

    def insist(self) -> None:
        """Raises: InterventionError where a place was never reached: nothing was put there."""
        if missed := sorted(set(self.states) - self.reached):
            raise InterventionError(f"{missed[0]} was not reached while the model ran, so that nothing was replaced there: a dead hook")
