"""Occurrences of ambiguous words that are marked with a sense, and what tells the sense without any model.

Occurrences are drawn evenly over the words, each word's senses as frequent as they come. A word needs `FEWEST` of them and two senses.

    majority        the word's most frequent sense among the fitted items
    bag of words    logistic regression on which words the rest of the sentence holds: the cue itself, as a reader of the surface sees it
"""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from interp.captures.word_vectors import WordPlace
from interp.claims.protocols.parts.layer_curves import Curve
from interp.claims.protocols.parts.probe_tasks import ProbeItems
from interp.claims.protocols.parts.probing import Parts, logistic_hits
from interp.core.errors import ClaimError
from interp.texts.example import Example
from interp.texts.senses import senses_of

FEWEST = 20
Reader = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From features (item, feature), labels (item,), and the masks of fitted and asked items, to the asked items' hits."""


def sense_items(examples: Sequence[Example], n_items: int, seed: int) -> tuple[list[WordPlace], ProbeItems]:
    """The occurrences that are drawn; `form` is the ambiguous word.

    Raises: ClaimError where no word has enough marked occurrences of two senses.
    """
    by_word: dict[str, list[tuple[int, int, str]]] = {}
    for number, example in enumerate(examples):
        for place, sense in senses_of(example.links):
            by_word.setdefault(example.words[place].form.lower(), []).append((number, place, sense))
    enough = {word: found for word, found in by_word.items() if len(found) >= FEWEST and len({sense for *_, sense in found}) > 1}
    if not enough:
        told = f"{len(by_word) or 'no'} words are marked with a sense (a link Sense:NAME of a word to itself)"
        raise ClaimError(f"{told}; expected one at least with {FEWEST} occurrences and two senses (see interp.texts.senses)")
    drawn = sorted(_drawn(enough, n_items, seed))
    return [(number, place) for number, place, _, _ in drawn], ProbeItems(
        reads=np.arange(len(drawn))[:, None],
        label=np.array([sense for *_, sense, _ in drawn]),
        form=np.array([word for *_, word in drawn]),
        document=np.array([examples[number].document for number, *_ in drawn]),
    )


def _drawn(by_word: dict[str, list[tuple[int, int, str]]], n_items: int, seed: int) -> list[tuple[int, int, str, str]]:
    """(example, place, sense, word), as many of each word as there are, up to an even share of the whole."""
    rng, found = np.random.default_rng(seed), []
    left = n_items
    for turn, word in enumerate(sorted(by_word, key=lambda word: (len(by_word[word]), word))):
        share = left // (len(by_word) - turn)
        chosen = [by_word[word][number] for number in rng.permutation(len(by_word[word]))[:share]]
        found += [(*one, word) for one in chosen]
        left -= len(chosen)
    return found


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


def by_word(read: Reader, features: np.ndarray, items: ProbeItems, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Hits of a reader of its own for each ambiguous word. Axes: (test item,), bool."""
    hits = np.zeros(len(labels), dtype=bool)
    for word in np.unique(items.form):
        of = np.flatnonzero(items.form == word)
        if test[of].any() and train[of].any():
            hits[of[test[of]]] = read(features[of], labels[of], train[of], test[of])
    return hits[test]


def bag_curve(examples: Sequence[Example], words: Sequence[WordPlace], items: ProbeItems, parts: Parts) -> Curve:
    """The bag of words, as a curve of one depth."""
    bags = [_bag(examples[number], place) for number, place in words]
    names = {form: column for column, form in enumerate(sorted(set().union(*bags)))}
    features = np.zeros((len(bags), len(names)), np.float32)
    for row, bag in zip(features, bags, strict=True):
        row[[names[form] for form in bag]] = 1
    check = by_word(_bag_hits, features, items, items.label, parts.learn, parts.check)
    test = by_word(_bag_hits, features, items, items.label, parts.selection, parts.test)
    return Curve(check=check[None].astype(float), test=test[None].astype(float))


def _bag(example: Example, place: int) -> set[str]:
    return {word.form.lower() for number, word in enumerate(example.words) if number != place}


def _bag_hits(features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Words of no training item are left out; features are 0 or 1 as they are: scaled, the rarest words would weigh most."""
    known = features[:, features[train].any(0)]
    if len(set(labels[train].tolist())) < 2 or not known.shape[1]:
        return labels[test] == labels[train][0]
    return LogisticRegression(max_iter=500).fit(known[train], labels[train]).predict(known[test]) == labels[test]
