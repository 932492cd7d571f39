"""Curves of sense separability: which occurrences of ambiguous words are read rightly before and after every sublayer.

States of the stream, in the order in which it passes them: 0 before the first layer, 2l + 1 after the attention of layer l (`resid_mid`),
2l + 2 after its FFN (`resid_post`). A sublayer leads from one state to the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from interp.captures.word_vectors import WordPlace, word_vectors
from interp.claims.protocols.parts.layer_curves import Curve
from interp.claims.protocols.parts.probe_tasks import ProbeItems
from interp.claims.protocols.parts.probing import Parts, by_word, exchanged, form_hits, with_planted
from interp.claims.protocols.parts.sense_items import bag_curve, readers
from interp.claims.stages import Arrays
from interp.models.model import Model
from interp.models.points import Point
from interp.texts.example import Example


@dataclass(frozen=True, kw_only=True)
class Senses:
    """The occurrences, which are for what, and how they are read."""

    examples: Sequence[Example]
    words: Sequence[WordPlace]
    items: ProbeItems
    parts: Parts
    strength: float
    seed: int

    @property
    def documents(self) -> np.ndarray:
        """The documents of the occurrences on which effects are tested."""
        return self.items.document[self.parts.test]

    def majority(self, labels: np.ndarray | None = None) -> Curve:
        """The word's most frequent sense, as a curve of one depth; of other labels, where some are given."""
        items, split = self.items, self.parts
        labels = items.label if labels is None else labels
        check = form_hits(items.form, labels, split.learn, split.check)
        test = form_hits(items.form, labels, split.selection, split.test)
        return Curve(check=check[None].astype(float), test=test[None].astype(float))

    def bag(self) -> Curve:
        """The words of the rest of the sentence."""
        return bag_curve(self.examples, self.words, self.items, self.parts)

    def states(self, model: Model) -> Iterator[np.ndarray]:
        """The occurrences' vectors in each state, axes (item, d_model)."""
        layers = range(model.anatomy.n_layers)
        through = [point for layer in layers for point in (Point(kind="resid_mid", layer=layer), Point(kind="resid_post", layer=layer))]
        for _, vectors in word_vectors(model, self.examples, self.words, [Point(kind="resid_pre", layer=0), *through]):
            yield vectors[self.items.reads[:, 0]]

    def fitted(self, features: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        """Hits of each reader, "READER check" fitted on `learn` and "READER test" fitted on both."""
        split, found = self.parts, {}
        for name, read in readers(self.strength).items():
            found[f"{name} check"] = by_word(read, features, self.items.form, labels, split.learn, split.check)
            found[f"{name} test"] = by_word(read, features, self.items.form, labels, split.selection, split.test)
        return found


def sense_curves(model: Model, senses: Senses, *, noise: bool) -> Arrays:
    """Hits of each reader in each state, "READER check" and "READER test"; axes (state, item), bool.

    Args: noise: also "READER noise", axes (sublayer, item): hits on `test` where the sublayer's step is replaced by one as long, in a
        random direction.
    """
    found: dict[str, list[np.ndarray]] = {}
    rng, before = np.random.default_rng(senses.seed), None
    for vectors in senses.states(model):
        _keep(found, senses.fitted(vectors, senses.items.label), "")
        if noise and before is not None:
            stepped = senses.fitted(before + _noise(vectors - before, rng), senses.items.label)
            _keep(found, {name.replace("test", "noise"): hits for name, hits in stepped.items() if name.endswith("test")}, "")
        before = vectors
    return {name: np.stack(hits) for name, hits in found.items()}


def meaningless_curves(model: Model, senses: Senses, planted: int) -> Arrays:
    """Senses exchanged among the occurrences of each word: "shuffled READER check" and "... test"; and "planted ...", the same where in the
    state `planted` they are written into the vectors; axes (state, item), bool. And "majority check" and "... test": hits of a word's most
    frequent sense as exchanged, axes (1, item)."""
    labels = exchanged(senses.items.form, senses.items.label, senses.seed)
    found: dict[str, list[np.ndarray]] = {}
    for state, vectors in enumerate(senses.states(model)):
        plain = senses.fitted(vectors, labels)
        _keep(found, plain, "shuffled ")
        _keep(found, senses.fitted(with_planted(vectors, labels, senses.seed), labels) if state == planted else plain, "planted ")
    majority = senses.majority(labels)
    return {**{name: np.stack(hits) for name, hits in found.items()}, "majority check": majority.check, "majority test": majority.test}


def _keep(found: dict[str, list[np.ndarray]], hits: dict[str, np.ndarray], prefix: str) -> None:
    for name, each in hits.items():
        found.setdefault(prefix + name, []).append(each)


def _noise(step: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random directions, each as long as the step of its item."""
    drawn = rng.normal(size=step.shape).astype(np.float32)
    return drawn * (np.linalg.norm(step, axis=1, keepdims=True) / np.linalg.norm(drawn, axis=1, keepdims=True))
