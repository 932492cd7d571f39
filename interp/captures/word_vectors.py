"""The stream at chosen words of a corpus, one point after another: what a probe reads.

A word of several pieces is the mean of their vectors (first and last piece are other choices; the mean favours neither end). The texts are
read in batches of equal length, so that nothing is padded. What is held is one float32 vector for each word and point; points that would
not fit together are read in several passes, so that the memory is bounded whatever the depth of the model.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float

from interp.captures.corpus.batches import by_length
from interp.captures.corpus.stream import refuse_pairs
from interp.core.errors import DataError
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.texts.example import Example

if TYPE_CHECKING:
    from interp.models.attention import AttentionCall

_NEURONS = ("up", "gate", "post")
MAX_BYTES = 256 * 2**20
WordPlace = tuple[int, int]
"""An example's number and a word's place in it."""


def stream_points(model: Model) -> list[Point]:
    """The stream before the first layer and after each, depth by depth: entry d is what d layers have made of it.

    Example:
        >>> import interp
        >>> [point.name for point in stream_points(interp.load())][:2]
        ['blocks.0.hook_resid_pre', 'blocks.1.hook_resid_pre']
    """
    last = model.anatomy.n_layers - 1
    before = [Point(kind="resid_pre", layer=layer) for layer in range(last + 1)]
    return [*before, Point(kind="resid_post", layer=last)]


def word_vectors(
    model: Model,
    examples: Sequence[Example],
    words: Sequence[WordPlace],
    points: Sequence[Point],
    *,
    max_tokens: int = 2048,
    max_bytes: int = MAX_BYTES,
) -> Iterator[tuple[Point, Float[np.ndarray, "word d_model"]]]:
    """The stream at each word, the mean over its pieces, at one point after another.

    Args:
        model: from `interp.load`.
        examples: annotated examples; those without a chosen word are not run.
        words: which words, by number of the example and place in it; a word may come twice.
        points: of kinds that are (batch, pos, something), such as `stream_points` or an FFN's neurons ("post").
        max_tokens: tokens in a batch.
        max_bytes: of vectors held at a time; one point is always held whole.
    Returns: (point, vectors) in the order of `points`; axes (word, d_model), for neurons (word, neuron), float32, in their own unit.
    Raises: DataError for no word, or a point at which nothing was seen; ModelUnsupported for an encoder-decoder.
    """
    refuse_pairs(model, "vectors of words")
    if not words:
        raise DataError("no word came; expected at least one whose vector is wanted")
    widest = max(model.anatomy.d_mlp if point.kind in _NEURONS else model.anatomy.d_model for point in points)
    at_once = max(1, max_bytes // (4 * len(words) * widest))
    for start in range(0, len(points), at_once):
        chosen = points[start : start + at_once]
        found = _read(model, examples, words, chosen, max_tokens)
        for point in chosen:
            yield point, found.pop(point.name)


class _AtWords:
    """Keeps, of each point that is wanted, the vectors at the words of the batch that runs."""

    def __init__(self, points: Sequence[Point], n_words: int):
        self.kinds: frozenset[str] = frozenset(point.kind for point in points)
        self.wanted, self.n_words = {point.name for point in points}, n_words
        self.found: dict[str, np.ndarray] = {}
        self.rows, self.words = torch.empty(0, 0, 0), np.empty(0, int)

    def next_batch(self, rows: torch.Tensor, words: np.ndarray) -> None:
        """`rows`: the weight of each position for each word, axes (word, batch, pos); `words`: which words these are."""
        self.rows, self.words = rows, words

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        if point.name in self.wanted:
            mean = torch.einsum("wbp,bpd->wd", self.rows.to(tensor.device), tensor.detach().float())
            empty = np.full((self.n_words, tensor.shape[-1]), np.nan, np.float32)
            self.found.setdefault(point.name, empty)[self.words] = mean.cpu().numpy()

    def attend(self, point: Point, call: "AttentionCall") -> None:
        return None


@torch.no_grad()
def _read(
    model: Model, examples: Sequence[Example], words: Sequence[WordPlace], points: Sequence[Point], max_tokens: int
) -> dict[str, np.ndarray]:
    asked: dict[int, list[int]] = {}
    for number, (example, _) in enumerate(words):
        asked.setdefault(example, []).append(number)
    chosen = sorted(asked)
    keep = _AtWords(points, len(words))
    with watching(keep):
        for batch in by_length([examples[number] for number in chosen], max_tokens=max_tokens):
            texts = [(chosen[number], example) for number, example in batch]
            keep.next_batch(*_rows(texts, words, asked))
            model.run(torch.tensor([example.ids for _, example in texts]), logits=False)
    unseen = [point.name for point in points if point.name not in keep.found]
    if unseen:
        raise DataError(f"{model.name} showed nothing at {', '.join(unseen)}; expected points that its family has")
    return keep.found


def _rows(texts: list[tuple[int, Example]], words: Sequence[WordPlace], asked: dict[int, list[int]]) -> tuple[torch.Tensor, np.ndarray]:
    """What each position weighs in each word's mean, axes (word, batch, pos), and the words' numbers."""
    numbers = [(row, number) for row, (text, _) in enumerate(texts) for number in asked[text]]
    weights = torch.zeros(len(numbers), len(texts), len(texts[0][1]))
    for place, (row, number) in enumerate(numbers):
        pieces = list(texts[row][1].word_tokens[words[number][1]])
        weights[place, row, pieces] = 1 / len(pieces)
    return weights, np.array([number for _, number in numbers])
