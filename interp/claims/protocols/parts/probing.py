"""A probe: what a linear classifier reads off vectors, on documents that it was not fitted on, beside what needs no model.

Four parts of the documents, two of them within the selection half: fitted on `learn` and scored on `check`, a probe tells which depth to
choose; fitted on both of these together and scored on `test`, the confirmation half, it tells how good that depth is.

The probe is multinomial logistic regression with an L2 penalty, on features scaled to mean 0 and deviation 1 over the items it is fitted
on; one strength of the penalty for all depths and models, fixed by the claim. Where the solver stops early the probe is a little weaker.

Beside it
    form            the most frequent label of the word's form among the fitted items, or of all where it was not among them
    control task    a random label for each word type, as frequent as the real ones (Hewitt & Liang 2019): what a probe gets right there it
                    learned by heart. Of senses, which differ within a word type: the senses exchanged among its occurrences
    planted labels  labels that nothing tells, written into the vectors: a code of their own size for each label
"""

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interp.claims.protocols.finding import halves
from interp.core.stopping import go_on

_ITERATIONS, _TOLERANCE = 500, 1e-3
Reader = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From features (item, feature), labels (item,), and the masks of fitted and asked items, to the asked items' hits."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Which items are for what, masks with axes (item,). `check` and `learn` make up the selection half, `test` is the other."""

    learn: np.ndarray
    check: np.ndarray
    test: np.ndarray

    @property
    def selection(self) -> np.ndarray:
        """Items that may choose, and that the final probe is fitted on."""
        return self.learn | self.check


def parts(documents: np.ndarray, seed: int) -> Parts:
    """The parts, by document. Raises: ClaimError for too few documents."""
    selection, test = halves(documents, seed)
    learn, check = np.zeros_like(selection), np.zeros_like(selection)
    learn[selection], check[selection] = halves(documents[selection], seed + 1)
    return Parts(learn=learn, check=check, test=test)


def logistic_hits(features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, strength: float) -> np.ndarray:
    """Which test items a probe gets right that was fitted on the training items. Axes: (test item,), bool.

    Args:
        features: (item, feature).
        labels: (item,).
        train, test: masks, (item,).
        strength: scikit-learn's C, the inverse of the penalty.

    Example:
        >>> features, labels, half = np.array([[0.0], [1.0], [0.1], [0.9]]), np.array(["a", "b", "a", "b"]), np.array([1, 1, 0, 0]) > 0
        >>> logistic_hits(features, labels, half, ~half, 1.0).tolist()
        [True, True]
    """
    go_on()
    known = labels[train]
    if len(set(known.tolist())) < 2:
        return labels[test] == known[0]
    centre, spread = features[train].mean(0), features[train].std(0)
    scaled = (features - centre) / np.where(spread > 0, spread, 1)
    from sklearn.exceptions import ConvergenceWarning  # here: half a second of imports that only verdicts need
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=_TOLERANCE).fit(scaled[train], known)
    return fitted.predict(scaled[test]) == labels[test]


def by_word(read: Reader, features: np.ndarray, forms: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Hits of a reader of its own for each word form, such as an ambiguous word. Axes: (test item,), bool."""
    hits = np.zeros(len(labels), dtype=bool)
    for word in np.unique(forms):
        of = np.flatnonzero(forms == word)
        if test[of].any() and train[of].any():
            hits[of[test[of]]] = read(features[of], labels[of], train[of], test[of])
    return hits[test]


def form_hits(forms: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Which test items have the label that is the most frequent of their form among the training items. Axes: (test item,), bool.

    Example:
        >>> forms, labels, half = np.array(["a", "b", "a", "c"]), np.array(["x", "y", "x", "x"]), np.array([1, 1, 0, 0]) > 0
        >>> form_hits(forms, labels, half, ~half).tolist()
        [True, True]
    """
    counts: dict[str, Counter[str]] = {}
    for form, label in zip(forms[train].tolist(), labels[train].tolist(), strict=True):
        counts.setdefault(form, Counter())[label] += 1
    overall = Counter(labels[train].tolist())
    return np.array([_top(counts.get(form, overall)) == label for form, label in zip(forms[test].tolist(), labels[test], strict=True)])


def _top(counts: Counter[str]) -> str:
    """The most frequent; of two alike the first in the alphabet."""
    return min(counts, key=lambda label: (-counts[label], label))


def control_labels(forms: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """A label for each word type, drawn as the real labels are distributed over items. Axes: (item,).

    Example:
        >>> found = control_labels(np.array(["a", "b", "a"]), np.array(["x", "y", "x"]), seed=0)
        >>> bool(found[0] == found[2])
        True
    """
    types, place = np.unique(forms, return_inverse=True)
    return np.random.default_rng(seed).choice(labels, size=len(types))[place]


def exchanged(forms: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """The labels, exchanged among the items of each form: what the form tells stays, what the place tells is lost. Axes: (item,).

    Example:
        >>> exchanged(np.array(["a", "a", "b"]), np.array(["x", "y", "z"]), seed=0)[2]
        np.str_('z')
    """
    found, rng = labels.copy(), np.random.default_rng(seed)
    for word in np.unique(forms):
        of = np.flatnonzero(forms == word)
        found[of] = rng.permutation(found[of])
    return found


def with_planted(features: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """The features with each label's code added: a random vector, in each feature as large as the feature's own deviation."""
    names, place = np.unique(labels, return_inverse=True)
    codes = np.random.default_rng(seed).normal(size=(len(names), features.shape[1])) * features.std(0)
    return features + codes[place]
