"""Which word does each head's word attend to most? Asked once of a model on all examples; every relation is then a lookup.

Attention to a split word is the sum over its pieces, from it the mean; special tokens are ignored, and a word itself never counts (Clark et
al. 2019, section 4.1). Under a causal mask a later word cannot be attended to. Kept as one integer for each head and word.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from interp.captures.words import visible_words, word_attention
from interp.claims.protocols.parts.asked import Questions
from interp.claims.protocols.protocol import Case
from interp.measures.attention import most_attended
from interp.models.model import Model
from interp.texts.example import Example

Member = tuple[str, int, int]  # a question, a layer, a head


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """The most attended words of all examples.

    Attributes:
        words: place of the word that each word attends to most, -1 where it sees none; the examples' words one after the other; axes
            (layer, head, word).
        starts: where each example's words begin, axes (example,).
    """

    words: np.ndarray
    starts: np.ndarray

    def hits(self, questions: Questions, members: list[Member]) -> np.ndarray:
        """1 where a member attends most to a right word. Axes: (member, item)."""
        found = {}
        for name in {name for name, _, _ in members}:
            asked = questions[name]
            found[name] = asked.hit(self.words[:, :, self.starts[asked.example] + asked.start])
        return np.stack([found[name][layer, head] for name, layer, head in members]).astype(np.float64)


def word_starts(examples: list[Example]) -> np.ndarray:
    """Where each example's words begin when they follow each other; axes (example,)."""
    return np.cumsum([0, *(len(example.words) for example in examples)])[:-1]


def looked_at(model: Model, examples: list[Example]) -> LookedAt:
    """Run the model over the examples, a batch at a time."""
    numbers = {id(example): number for number, example in enumerate(examples)}
    starts, n_words = word_starts(examples), sum(len(example.words) for example in examples)
    found = np.empty((model.anatomy.n_layers, model.anatomy.n_heads, n_words), dtype=np.int16)
    for example, words in word_attention(model, examples):
        visible = visible_words(len(example.words), causal=model.anatomy.causal).to(words.device)
        start = starts[numbers[id(example)]]
        found[:, :, start : start + len(example.words)] = most_attended(words, visible).cpu().numpy()
    return LookedAt(words=found, starts=starts)


def look(case: Case[Any], twin: int | None) -> LookedAt:
    """What the model, or its untrained twin of that number, looks at in all examples; kept as a stage, and shared by claims."""

    def words() -> dict[str, np.ndarray]:
        case.tell(f"{case.model.name}: {len(case.examples)} sentences" if twin is None else f"untrained twin {twin + 1}")
        return {"words": looked_at(case.model if twin is None else case.twin(twin), case.examples).words}

    name = "model" if twin is None else f"untrained twin {twin}"
    key = ("most attended words", case.model.fingerprint, twin, case.read)
    return LookedAt(words=case.shared.get(key, lambda: case.stages.get(name, words))["words"], starts=word_starts(case.examples))
