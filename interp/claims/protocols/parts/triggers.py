"""What makes neurons fire, and what their value vectors would say then: the triggers of every neuron on two halves of a treebank.

A *trigger* is a word behind which a neuron is among its largest, at most one from a text, so that one text's repetitions count once.
A *label* of a word is its part of speech, its lemma, or its lemma and that of the word before. Axes: (neuron, rank) over neurons of all
layers, the largest trigger first.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from interp.captures.corpus.promoted import promoted_tokens
from interp.claims.protocols.parts.neurons_on_words import Words, neurons_by_layer
from interp.models.model import Model
from interp.texts.example import Example
from interp.texts.words import Word

N_TRIGGERS = 20
Label = Literal["upos", "lemma", "bigram"]


@dataclass(frozen=True, kw_only=True)
class Triggers:
    """What one model's neurons fire on. Neurons that are above 0 on fewer than twenty texts of a half are left out.

    Attributes:
        choose, confirm: places of the words, on the selection and on the confirmation half, (neuron, rank).
        dealt_choose, dealt_confirm: the same when the activations were dealt anew over the words of each half.
        layer: of each neuron, (neuron,).
        token: the token that its value vector raises most, (neuron,).
    """

    choose: np.ndarray
    confirm: np.ndarray
    dealt_choose: np.ndarray
    dealt_confirm: np.ndarray
    layer: np.ndarray
    token: np.ndarray


def triggers_of(model: Model, words: Words, choose: np.ndarray, n_neurons: int, seed: int) -> dict[str, np.ndarray]:
    """The fields of `Triggers`, for at most `n_neurons` neurons of each layer, drawn. Axes: choose (word,)."""
    ids = promoted_tokens(model, k=1)["neuron_promoted_ids"].values[..., 0]
    rng, found = np.random.default_rng(seed), []
    orders = {half: rng.permutation(np.flatnonzero(mine)) for half, mine in (("choose", choose), ("confirm", ~choose))}
    for layer, post in neurons_by_layer(model, words):
        drawn = np.sort(rng.choice(post.shape[1], min(n_neurons, post.shape[1]), replace=False))
        found.append(_of_layer(post[:, drawn], words.text, orders) | {"layer": np.full(len(drawn), layer), "token": ids[layer, drawn]})
    joined = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    alive = joined.pop("alive")
    return {name: values[alive] for name, values in joined.items()}


def most_said(model: Model, following: np.ndarray) -> tuple[int, int, int]:
    """The neuron whose value vector raises most the token that comes next most often: its layer, its number, the token.

    Args: following: next tokens, axes (word,).
    """
    ids = promoted_tokens(model, k=1)["neuron_promoted_ids"].values[..., 0]
    often = np.where(ids >= 0, np.bincount(following, minlength=int(ids.max()) + 1)[ids], -1)
    layer, neuron = np.unravel_index(int(often.argmax()), ids.shape)
    return int(layer), int(neuron), int(ids[layer, neuron])


def _of_layer(post: torch.Tensor, text: np.ndarray, orders: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    alive = np.ones(post.shape[1], dtype=bool)
    for half, order in orders.items():
        places = np.sort(order)
        for name, values in ((half, post[places]), (f"dealt_{half}", post[order])):
            top, rows = top_triggers(values, text[places])
            found[name] = places[rows]
            alive &= top[:, -1] > 0
    return found | {"alive": alive}


def top_triggers(values: torch.Tensor, text: np.ndarray, k: int = N_TRIGGERS) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of each column, at most one from a text: their values and rows.

    Args:
        values: axes (word, neuron).
        text: of each word, in rising order; at least k of them. Axes: (word,).
    Returns: axes (neuron, rank) both.

    Example:
        >>> top, rows = top_triggers(torch.tensor([[5.0], [4.0], [1.0], [2.0]]), np.array([0, 0, 1, 2]), k=2)
        >>> top.tolist(), rows.tolist()
        ([[5.0, 2.0]], [[0, 3]])
    """
    starts = np.flatnonzero(np.diff(text, prepend=text[0] - 1))
    best = [part.max(0) for part in values.tensor_split(starts[1:].tolist())]
    largest = torch.stack([one.values for one in best])
    rows = torch.stack([one.indices for one in best]) + torch.from_numpy(starts)[:, None]
    top = largest.topk(k, dim=0)
    return top.values.T.numpy(), rows.gather(0, top.indices).T.numpy()


def labels_of(words: Words, label: Label) -> np.ndarray:
    """Each word's label as a number. Axes: (word,)."""
    said = [_said(words.examples[text], word, label) for text, word in zip(words.text, words.word, strict=True)]
    return np.unique(np.array(said), return_inverse=True)[1]


def _said(example: Example, word: Word, label: Label) -> str:
    if label == "upos":
        return word.upos
    if label == "lemma":
        return word.lemma
    before = example.words[word.index - 1].lemma if word.index else ""
    return f"{before} {word.lemma}"


def gain(train: np.ndarray, test: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """By how many nats the label of each test trigger is better known from the neuron's other triggers than from frequencies alone.

    ln(q / p), p the label's frequency, q = (its share among the neuron's training triggers + p) / 2. Labels drawn by frequency give less
    than 0 on average, whatever the training triggers are; no single one gives less than -ln 2.

    Args:
        train, test: labels, axes (neuron, rank).
        frequency: of each label, above 0 for those in `test`. Axes: (label,).

    Example:
        >>> gain(np.array([[0, 0, 0, 1]]), np.array([[0, 1]]), np.array([0.25, 0.75])).round(3).tolist()
        [[0.693, -0.405]]
    """
    share = (test[:, :, None] == train[:, None, :]).mean(2)
    return np.log((share / frequency[test] + 1) / 2)


def entropy_nats(labels: np.ndarray) -> np.ndarray:
    """Entropy of each row's labels, nats. Axes: (neuron, rank) -> (neuron,).

    Example:
        >>> entropy_nats(np.array([[0, 0, 0, 0], [0, 1, 2, 3]])).round(3).tolist()
        [-0.0, 1.386]
    """
    return -np.log((labels[:, :, None] == labels[:, None, :]).mean(2)).mean(1)
