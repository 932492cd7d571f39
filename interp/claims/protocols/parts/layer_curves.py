"""Curves over depth: which items a probe gets right at each depth of a model, and of its untrained twins, for every task at once.

Depth 0 is the stream before the first layer, depth d what d layers have made of it. A run goes over the model once, depth by depth; every
task is fitted on the vectors at hand, so that no more than a few depths are ever held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from interp.captures.word_vectors import WordPlace, stream_points, word_vectors
from interp.claims.protocols.parts.probe_tasks import ProbeItems
from interp.claims.protocols.parts.probing import Parts, by_word, control_labels, exchanged, form_hits, logistic_hits, with_planted
from interp.claims.stages import Arrays
from interp.models.model import Model
from interp.stats.expected_layer import best_so_far
from interp.texts.example import Example


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One task on one model.

    Attributes:
        check: hits that choose a depth, axes (depth, item of part check).
        test: hits that tell how good it is, axes (depth, item of part test).
    """

    check: np.ndarray
    test: np.ndarray

    @property
    def best(self) -> int:
        """The depth, from 1, with the most hits on `check`; of two alike the earlier."""
        return 1 + int(self.check[1:].mean(1).argmax())

    @property
    def so_far(self) -> np.ndarray:
        """Hits on `test` of the best depth up to each, chosen on `check`: what can be read of that many layers. Axes: (depth, item)."""
        return self.test[best_so_far(self.check.mean(1))]


@dataclass(frozen=True, kw_only=True)
class Probed:
    """A task of which a probe is asked: its items, which are for what, and the penalty's strength."""

    items: ProbeItems
    parts: Parts
    strength: float
    seed: int

    @property
    def documents(self) -> np.ndarray:
        """The documents of the items on which effects are tested."""
        return self.items.document[self.parts.test]

    def fitted(self, features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hits on `check` when fitted on `learn`, and on `test` when fitted on both."""
        return self.hits(features, labels, self.parts.learn, self.parts.check), self.hits(
            features, labels, self.parts.selection, self.parts.test
        )

    def hits(self, features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Which test items a probe gets right that was fitted on the training items; of senses, one for each word. Axes: (test item,)."""

        def read(features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
            return logistic_hits(features, labels, train, test, self.strength)

        if self.items.by_form:
            return by_word(read, features, self.items.form, labels, train, test)
        return read(features, labels, train, test)

    def meaningless(self) -> np.ndarray:
        """The labels of the control task. Axes: (item,)."""
        of = exchanged if self.items.by_form else control_labels
        return of(self.items.form, self.items.label, self.seed)

    def form(self) -> Curve:
        """The most frequent label of the word's form, as a curve of one depth."""
        items, split = self.items, self.parts
        check = form_hits(items.form, items.label, split.learn, split.check)
        test = form_hits(items.form, items.label, split.selection, split.test)
        return Curve(check=check[None].astype(float), test=test[None].astype(float))


def curves(model: Model, examples: Sequence[Example], words: Sequence[WordPlace], tasks: Mapping[str, Probed]) -> Arrays:
    """Hits of every task by depth, "TASK check" and "TASK test"; axes (depth, item), bool."""
    found: dict[str, list[np.ndarray]] = {f"{name} {part}": [] for name in tasks for part in ("check", "test")}
    for _, vectors in word_vectors(model, examples, words, stream_points(model)):
        for name, task in tasks.items():
            check, test = task.fitted(features_of(vectors, task.items), task.items.label)
            found[f"{name} check"].append(check)
            found[f"{name} test"].append(test)
    return {name: np.stack(hits) for name, hits in found.items()}


def control_curves(
    model: Model, examples: Sequence[Example], words: Sequence[WordPlace], tasks: Mapping[str, Probed], planted: int
) -> Arrays:
    """What probes make of labels that mean nothing.

    Returns: "TASK control", hits on `test` by depth on the control task (see `probing`); of the first task "shuffled check" and
        "shuffled test", with its labels exchanged among all items; and "planted check" and "planted test", the same where at depth
        `planted` those labels are written into the vectors.
    """
    found: dict[str, list[np.ndarray]] = {}
    first = next(iter(tasks.values()))
    shuffled = np.random.default_rng(first.seed).permutation(first.items.label)
    for depth, (_, vectors) in enumerate(word_vectors(model, examples, words, stream_points(model))):
        for name, task in tasks.items():
            hits = task.hits(features_of(vectors, task.items), task.meaningless(), task.parts.selection, task.parts.test)
            found.setdefault(f"{name} control", []).append(hits)
        features = features_of(vectors, first.items)
        without = first.fitted(features, shuffled)
        written = first.fitted(with_planted(features, shuffled, first.seed), shuffled) if depth == planted else without
        for part, plain, coded in zip(("check", "test"), without, written, strict=True):
            found.setdefault(f"shuffled {part}", []).append(plain)
            found.setdefault(f"planted {part}", []).append(coded)
    return {name: np.stack(hits) for name, hits in found.items()}


def features_of(vectors: np.ndarray, items: ProbeItems) -> np.ndarray:
    """The vectors of each item's words, one after the other. Axes: (item, feature)."""
    return vectors[items.reads].reshape(len(items.label), -1)


def curve_of(arrays: Arrays, name: str) -> Curve:
    """The curve of a task, "shuffled" or "planted" among what `curves` and `control_curves` return."""
    return Curve(check=arrays[f"{name} check"].astype(float), test=arrays[f"{name} test"].astype(float))
