"""Occurrences of ambiguous words that are marked with a sense, and what tells the sense without any model.

majority        the word's most frequent sense among the fitted items
bag of words    logistic regression on which words the rest of the sentence holds: the cue itself, as a reader of the surface sees it
"""

from collections.abc import Sequence

import numpy as np

from interp.captures.word_vectors import WordPlace
from interp.claims.protocols.parts.layer_curves import Curve
from interp.claims.protocols.parts.probe_tasks import ProbeItems
from interp.claims.protocols.parts.probing import Parts, Reader, by_word, logistic_hits
from interp.claims.protocols.parts.sense_words import occurrences
from interp.texts.example import Example


def sense_items(examples: Sequence[Example], n_items: int, seed: int) -> tuple[list[WordPlace], ProbeItems]:
    """The occurrences that are drawn; `form` is the ambiguous word.

    Raises: ClaimError where no word has enough marked occurrences of two senses.
    """
    drawn = occurrences(examples, n_items, seed)
    return [(number, place) for number, place, _, _ in drawn], ProbeItems(
        reads=np.arange(len(drawn))[:, None],
        label=np.array([sense for *_, sense, _ in drawn]),
        form=np.array([word for *_, word in drawn]),
        document=np.array([examples[number].document for number, *_ in drawn]),
    )


def nearest_hits(features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Which test items are nearest, by cosine, to the mean of the training items of their own label. Axes: (test item,), bool.

    Each feature is first scaled to mean 0 and deviation 1 over the training items: a few features of a stream are far larger than the rest.

    Source: Loureiro et al. (2021), Analysis and Evaluation of Language Models for WSD, "1NN", there without scaling.

    Example:
        >>> features, labels = np.array([[0.0, 1], [1, 0], [0.1, 1], [1, 0.1]]), np.array(["a", "b", "a", "b"])
        >>> nearest_hits(features, labels, np.array([1, 1, 0, 0]) > 0, np.array([0, 0, 1, 1]) > 0).tolist()
        [True, True]
    """
    centre, spread = features[train].mean(0), features[train].std(0)
    scaled = (features - centre) / np.where(spread > 0, spread, 1)
    names = np.unique(labels[train])
    means = np.stack([scaled[train & (labels == name)].mean(0) for name in names])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return names[(scaled[test] @ means.T).argmax(1)] == labels[test]


def readers(strength: float) -> dict[str, Reader]:
    """The two ways in which a sense is read."""
    return {
        "nearest": nearest_hits,
        "logistic": lambda features, labels, train, test: logistic_hits(features, labels, train, test, strength),
    }


def bag_curve(examples: Sequence[Example], words: Sequence[WordPlace], items: ProbeItems, parts: Parts) -> Curve:
    """The bag of words, as a curve of one depth."""
    bags = [_bag(examples[number], place) for number, place in words]
    names = {form: column for column, form in enumerate(sorted(set().union(*bags)))}
    features = np.zeros((len(bags), len(names)), np.float32)
    for row, bag in zip(features, bags, strict=True):
        row[[names[form] for form in bag]] = 1
    check = by_word(_bag_hits, features, items.form, items.label, parts.learn, parts.check)
    test = by_word(_bag_hits, features, items.form, items.label, parts.selection, parts.test)
    return Curve(check=check[None].astype(float), test=test[None].astype(float))


def _bag(example: Example, place: int) -> set[str]:
    return {word.form.lower() for number, word in enumerate(example.words) if number != place}


def _bag_hits(features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Words of no training item are left out; features are 0 or 1 as they are: scaled, the rarest words would weigh most."""
    known = features[:, features[train].any(0)]
    if len(set(labels[train].tolist())) < 2 or not known.shape[1]:
        return labels[test] == labels[train][0]
    from sklearn.linear_model import LogisticRegression  # here: half a second of imports that only verdicts need

    return LogisticRegression(max_iter=500).fit(known[train], labels[train]).predict(known[test]) == labels[test]
