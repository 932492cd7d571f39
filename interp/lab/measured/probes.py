"""Can a linear classifier read something off the stream at one place, and better than off the words of the text?

A classifier (least squares, its penalty chosen by leave-one-out within the training items) is fitted on some items and tested on others.
The baselines get the same classifier, the same items, and the whole text but for the token asked about:

    bag of words        how often each token of the vocabulary is in the text
    bag of embeddings   the mean of the tokens' input embeddings, in which words that were not in the training items have neighbours

The first cannot know a word it was not trained on; where test items have other words, only the second is a fair opponent.

What it does not tell: that the model uses what can be read (a probe is correlational). What an untrained network gives to the same
probe is the other control: mixing words at random also makes them readable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV

from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.watch import Keep

PENALTIES = np.logspace(-4, 2, 7)
BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Item:
    """A text, the place that is asked about, and the answer.

    Attributes:
        ids: the text's tokens, what is asked about masked if need be.
        place: position of the token at which the stream is read.
        hidden: positions that a bag does not see: the word asked about.
        label: 0 or 1.
        cluster: what items belong together for an interval: a sentence, a cue.
    """

    ids: tuple[int, ...]
    place: int
    hidden: tuple[int, ...]
    label: int
    cluster: str


@torch.no_grad()
def streams(model: Model, items: Sequence[Item]) -> np.ndarray:
    """The stream at each item's place, before the first layer and after each. Axes: (layer + 1, item, d_model)."""
    found = [_streams(model, items[start : start + BATCH]) for start in range(0, len(items), BATCH)]
    return np.concatenate(found, axis=1)


def _streams(model: Model, items: Sequence[Item]) -> np.ndarray:
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(item.ids) for item in items], batch_first=True)
    mask = torch.arange(ids.shape[1]) < torch.tensor([[len(item.ids)] for item in items])
    keep = Keep(model, ["resid_pre", "resid_post"])
    with watching(keep):
        model.run(ids, mask.long(), logits=False)
    points = [Point(kind="resid_pre", layer=0), *(Point(kind="resid_post", layer=layer) for layer in range(model.anatomy.n_layers))]
    at = torch.arange(len(items)), torch.tensor([item.place for item in items])
    return np.stack([keep.arrays[point.name][at].float().numpy() for point in points])


def bag_of_words(items: Sequence[Item], d_vocab: int) -> np.ndarray:
    """How often each token is in each text, the word asked about left out; tokens of no text have no column. Axes: (item, token)."""
    counts = _counts(items, d_vocab)
    return counts[:, counts.any(0)]


def bag_of_embeddings(items: Sequence[Item], model: Model) -> np.ndarray:
    """The mean input embedding of each text's other tokens. Axes: (item, d_model)."""
    weight = model.hf.get_input_embeddings().weight
    assert isinstance(weight, torch.Tensor)
    counts = _counts(items, len(weight))
    return counts @ weight.detach().float().numpy() / counts.sum(1, keepdims=True)


def _counts(items: Sequence[Item], d_vocab: int) -> np.ndarray:
    counts = np.zeros((len(items), d_vocab), np.float32)
    for row, item in zip(counts, items, strict=True):
        np.add.at(row, [token for place, token in enumerate(item.ids) if place not in item.hidden], 1)
    return counts


def hits(features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Which test items a classifier gets right that was fitted on the training items.

    Args:
        features: (item, feature).
        labels: (item,), 0 or 1.
        train, test: items, axes (item,).
    Returns: axes (test item,). With training items of one label alone, that one is the answer.
    """
    if len(np.unique(labels[train])) < 2:
        return labels[test] == (labels[train[0]] if len(train) else 0)
    centre = features[train].mean(0)
    shifted = features - centre
    size = np.sqrt((shifted[train] ** 2).sum(1).mean()) or 1.0
    fitted = RidgeClassifierCV(alphas=PENALTIES).fit(shifted[train] / size, labels[train])
    return fitted.predict(shifted[test] / size) == labels[test]


def labels_of(items: Sequence[Item]) -> np.ndarray:
    """Axes: (item,)."""
    return np.array([item.label for item in items])
