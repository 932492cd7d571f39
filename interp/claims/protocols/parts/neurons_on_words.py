"""What neurons do on the words of a treebank, and what the model predicts behind each.

A word stands where its last token stands: there a decoder has read all of it. Parts of a multiword token share their characters and are
left out, and so are words that no token follows, since nothing is predicted there.

Axes: (word,) over all words of all texts; (word, neuron).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from interp.captures.corpus.batches import by_length
from interp.core.errors import ClaimError
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.models.points import Kind, Point, Watcher, watching
from interp.models.watch import Keep
from interp.texts.example import Example
from interp.texts.words import Word

Feed = Callable[[Sequence[int]], Watcher]
"""Makes what edits a batch's run; given the places of its texts."""
_NUMBERS = 2**27  # activations held at a time, 4 bytes each: layers are run in groups of so many


@dataclass(frozen=True, kw_only=True, eq=False)
class Words:
    """The words of some texts. Axes (word,): place of the text in `examples`, position of the last token, document, and the word itself."""

    examples: list[Example]
    text: np.ndarray
    pos: np.ndarray
    document: np.ndarray
    word: list[Word]

    def __len__(self) -> int:
        return len(self.word)

    def part(self, chosen: np.ndarray) -> "Words":
        """Some of the words, with the texts that they are in. Axes: (word,), True for those."""
        places = np.unique(self.text[chosen])
        return Words(
            examples=[self.examples[place] for place in places],
            text=np.searchsorted(places, self.text[chosen]),
            pos=self.pos[chosen],
            document=self.document[chosen],
            word=[self.word[place] for place in np.flatnonzero(chosen)],
        )

    @property
    def next_token(self) -> np.ndarray:
        """The token behind each. Axes: (word,)."""
        return np.array([self.examples[text].ids[pos + 1] for text, pos in zip(self.text, self.pos, strict=True)])

    @property
    def n_tokens(self) -> int:
        """Tokens of all texts."""
        return sum(map(len, self.examples))


def words_of(examples: Sequence[Example], name: str) -> Words:
    """The words of annotated texts. Raises: ClaimError where there is none. `name`: of the claim, for the message."""
    found = [
        (number, tokens[-1], example.document or example.name or str(number), word)
        for number, example in enumerate(examples)
        for word, tokens in zip(example.words, example.word_tokens, strict=True)
        if not word.multiword and tokens[-1] + 1 < len(example) and not example.special[tokens[-1] + 1]
    ]
    if not found:
        raise ClaimError(f"{name}: no text has a word with a token behind it; expected a treebank with sentences of several words")
    text, pos, document, word = zip(*found, strict=True)
    return Words(examples=list(examples), text=np.array(text), pos=np.array(pos), document=np.array(document), word=list(word))


def unread_neurons(anatomy: Anatomy) -> str:
    """Why neurons cannot be read behind the words of a text, as the rest of a sentence on the model; "" where they can."""
    if anatomy.encoder_decoder:
        return "is an encoder-decoder, which reads one text and writes another; the test runs single texts"
    ffns = [anatomy.ffn(layer) for layer in range(anatomy.n_layers)]
    if not all(ffns):
        return f"has no FFN in {sum(ffn is None for ffn in ffns)} of its {len(ffns)} layers"
    if any(ffn is not None and ffn.experts for ffn in ffns):
        return "has FFNs of experts, whose neurons work on the tokens that a router sends them"
    return ""


def without_neurons(anatomy: Anatomy) -> str:
    """Why a claim on neurons and what they make the model predict is not about a model, as the rest of a sentence; "" where it is."""
    if reason := unread_neurons(anatomy):
        return reason
    if not (anatomy.causal and anatomy.lm_head):
        return "does not predict the next token, so that nothing can be said of what its neurons do to that"
    return ""


def neurons_in_layers(anatomy: Anatomy) -> list[int]:
    """How many neurons each layer's FFN has."""
    ffns = [anatomy.ffn(layer) for layer in range(anatomy.n_layers)]
    return [ffn.n_neurons for ffn in ffns if ffn is not None]


@torch.no_grad()
def at_words(model: Model, words: Words, kind: Kind, layers: Sequence[int], feed: Feed | None = None) -> dict[int, torch.Tensor]:
    """What stands at a point behind each word, float32 on the CPU: layer -> (word, neuron or d_model).

    Args: feed: edits what runs, for activations under another input.
    """
    found: dict[int, torch.Tensor] = {}
    for chosen, keep, rows in _batches(model, words, kind, feed):
        for layer in layers:
            values = keep.arrays[Point(kind=kind, layer=layer).name]
            picked = values[rows, words.pos[chosen]].float().cpu()
            found.setdefault(layer, torch.empty(len(words), picked.shape[1]))[chosen] = picked
    return found


def _batches(model: Model, words: Words, kind: Kind, feed: Feed | None) -> Iterator[tuple[np.ndarray, Keep, np.ndarray]]:
    """For each batch of texts: which words are in it, what was kept, and the row of each of these words."""
    for numbered in by_length(words.examples):
        row_of = {number: row for row, (number, _) in enumerate(numbered)}
        chosen = np.flatnonzero(np.isin(words.text, list(row_of)))
        keep = Keep(model, [kind])
        with watching(feed(list(row_of))) if feed else nullcontext(), watching(keep):
            model.run(torch.tensor([example.ids for _, example in numbered]), logits=False)
        yield chosen, keep, np.array([row_of[text] for text in words.text[chosen]], dtype=int)


def neurons_by_layer(model: Model, words: Words, feed: Callable[[], Feed] | None = None) -> Iterator[tuple[int, torch.Tensor]]:
    """Each layer's neurons behind each word, (word, neuron); as many layers in one run as memory allows.

    Args: feed: makes anew, for each group of layers, what edits their runs.
    """
    at_once = max(1, _NUMBERS // (len(words) * model.anatomy.d_mlp))
    layers = range(model.anatomy.n_layers)
    for start in layers[::at_once]:
        yield from at_words(model, words, "post", layers[start : start + at_once], feed() if feed else None).items()


@torch.no_grad()
def nats_behind(
    model: Model, words: Words, block: Callable[[int], AbstractContextManager[object]] = lambda number: nullcontext()
) -> np.ndarray:
    """What the token behind each word costs, nats. Axes: (word,).

    Args: block: makes what a batch runs inside of, given the batch's number.
    """
    found = np.empty(len(words))
    following = words.next_token
    for count, numbered in enumerate(by_length(words.examples)):
        row_of = {number: row for row, (number, _) in enumerate(numbered)}
        chosen = np.flatnonzero(np.isin(words.text, list(row_of)))
        with block(count):
            logits = model.run(torch.tensor([example.ids for _, example in numbered]))
        rows = np.array([row_of[text] for text in words.text[chosen]], dtype=int)
        picked = logits[rows, words.pos[chosen]].float().cpu()
        found[chosen] = torch.nn.functional.cross_entropy(picked, torch.from_numpy(following[chosen]), reduction="none").numpy()
    return found


class GaussianInputs:
    """Feeds each FFN normal vectors with the mean and covariance of what it reads behind words: its input without its structure.

    Args: read: what each layer's FFN reads there, layer -> (word, d_model).
    """

    kinds = frozenset({"mlp_in"})

    def __init__(self, read: dict[int, torch.Tensor], seed: int):
        self.mean = {layer: values.double().mean(0) for layer, values in read.items()}
        self.root = {layer: _root(values.double()) for layer, values in read.items()}
        self.generators = {layer: torch.Generator().manual_seed(seed + layer) for layer in read}

    def attend(self, point: Point, call: object) -> None:
        return None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor:
        drawn = torch.randn(tensor.shape, generator=self.generators[point.layer], dtype=torch.float64)
        return (self.mean[point.layer] + drawn @ self.root[point.layer]).to(tensor)


class PlantedNeuron:
    """Makes one neuron 1 at the last token of some words, and 0 at every other token, while the model runs.

    The tokens are found by the words' characters, not by `word_tokens`: whoever reads the neuron through `Words.pos` sees it only where
    the two agree.

    Args: meant: the words at which it fires. Axes: (word,).
    """

    kinds = frozenset({"post"})

    def __init__(self, words: Words, meant: np.ndarray, layer: int, neuron: int):
        self.layer, self.neuron = layer, neuron
        self.values = [torch.zeros(len(example)) for example in words.examples]
        self.texts: list[int] = []
        for place in np.flatnonzero(meant).tolist():
            text, (start, end) = int(words.text[place]), words.word[place].span
            spans = enumerate(words.examples[text].spans)
            self.values[text][max(pos for pos, span in spans if span[0] < end and span[1] > start)] = 1.0

    def of(self, texts: Sequence[int]) -> "PlantedNeuron":
        """For the batch of these texts."""
        self.texts = list(texts)
        return self

    def attend(self, point: Point, call: object) -> None:
        return None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        if point.layer != self.layer:
            return None
        edited = tensor.clone()
        edited[:, :, self.neuron] = torch.stack([self.values[text] for text in self.texts]).to(tensor)
        return edited


def _root(values: torch.Tensor) -> torch.Tensor:
    """The symmetric root of the covariance. Axes: (word, d_model) -> (d_model, d_model)."""
    size, direction = torch.linalg.eigh(torch.cov(values.T))
    return direction * size.clamp_min(0).sqrt() @ direction.T
