"""The pairs of a grammatical relation in a treebank, and what stands in for one end of them where nothing should be found.

items       (dependent, head) pairs, by place among the words of an example
stand-ins   the same pairs with one end exchanged, on the same side: "another gold head of the sentence", "an unrelated word"; or
            with both: "an unrelated pair as far apart"
shuffled    gold heads replaced by random words of the sentence: labels without meaning
offset      the best fixed distance, chosen on some of the items: the baseline that needs no model
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from interp.claims.protocols.parts.asked import Asked, StandIn
from interp.core.errors import ClaimError
from interp.texts.controls import random_heads
from interp.texts.example import Example

Direction = Literal["dependent", "head"]
DIRECTIONS: tuple[Direction, ...] = ("dependent", "head")
Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Items:
    """The pairs of a relation. Axes (item,): place of the example in the list, its document, places of dependent and head in it."""

    example: np.ndarray
    document: np.ndarray
    dependent: np.ndarray
    head: np.ndarray

    def questions(self) -> dict[str, Asked]:
        """Asked of both ends: from the dependent for its head, and from the head for that dependent."""
        ends = {"dependent": (self.dependent, self.head), "head": (self.head, self.dependent)}
        return {
            name: Asked(example=self.example, document=self.document, start=start, targets=end[:, None])
            for name, (start, end) in ends.items()
        }


def pairs_of(example: Example, relation: str) -> list[Pair]:
    """(dependent, head) of a relation, by place among the words; parts of a multiword token are left out: they share their characters."""
    words = example.words
    return [
        (place, word.head_index)
        for place, word in enumerate(words)
        if word.head_index is not None
        and relation in (word.relation, word.deprel)
        and not word.multiword
        and not words[word.head_index].multiword
    ]


def having(examples: list[Example], relation: str) -> list[Example]:
    """The examples that have the relation.

    Raises: ClaimError when none has, listing the relations that there are.
    """
    found = [example for example in examples if pairs_of(example, relation)]
    if not found:
        known = sorted({name for example in examples for word in example.words for name in (word.relation, word.deprel)} - {"root"})
        raise ClaimError(f"the treebank has no pair of the relation {relation!r}; it has: {', '.join(known)}")
    return found


def items_of(examples: list[Example], relation: str) -> Items:
    """The pairs of the relation; at least one."""
    return _as_items([(number, example.document, *pair) for number, example in enumerate(examples) for pair in pairs_of(example, relation)])


def _as_items(found: list[tuple[int, str, int, int]]) -> Items:
    example, document, dependent, head = zip(*found, strict=True)
    return Items(example=np.array(example), document=np.array(document), dependent=np.array(dependent), head=np.array(head))


Draw = Callable[[Example, Pair, np.random.Generator], Pair | None]


def _wrong_head(example: Example, pair: Pair, rng: np.random.Generator) -> Pair | None:
    """The dependent with another gold head of the sentence (a head of many is as likely as it is often), on the same side."""
    dependent, head = pair
    heads = [word.head_index for word in example.words if word.head_index is not None and not example.words[word.head_index].multiword]
    others = [other for other in heads if other not in pair and (other > dependent) == (head > dependent)]
    return (dependent, others[rng.integers(len(others))]) if others else None


def _unrelated_word(example: Example, pair: Pair, rng: np.random.Generator) -> Pair | None:
    """The head with a word that does not hang on it, nor it on the word, on the same side as the dependent."""
    dependent, head = pair
    others = [
        place
        for place, word in enumerate(example.words)
        if place not in pair
        and not word.multiword
        and word.head_index != head
        and example.words[head].head_index != place
        and (place > head) == (dependent > head)
    ]
    return (others[rng.integers(len(others))], head) if others else None


def _as_far_apart(example: Example, pair: Pair, rng: np.random.Generator) -> Pair | None:
    """Two other words as far apart, in the same order, neither of which hangs on the other."""
    dependent, head = pair
    words, offset = example.words, head - dependent
    others = [
        place
        for place, word in enumerate(words)
        if place != dependent
        and 0 <= place + offset < len(words)
        and not word.multiword
        and not words[place + offset].multiword
        and word.head_index != place + offset
        and words[place + offset].head_index != place
    ]
    return (place := others[rng.integers(len(others))], place + offset) if others else None


STAND_INS: dict[str, Draw] = {
    "another gold head of the sentence": _wrong_head,
    "an unrelated word": _unrelated_word,
    "an unrelated pair as far apart": _as_far_apart,
}


def stand_in(name: str, items: Items, examples: list[Example], draw: Draw, seed: int) -> StandIn:
    """Each pair with one end drawn anew; pairs for which there is no other word are left out."""
    drawn, of = redrawn(name, items, examples, draw, seed)
    return StandIn(name=name, questions=drawn.questions(), of=of)


def redrawn(name: str, items: Items, examples: list[Example], draw: Draw, seed: int) -> tuple[Items, np.ndarray]:
    """The pairs with one end drawn anew, and which item each stands beside."""
    rng = np.random.default_rng(seed)
    found, of = [], []
    for number, (example, document, *pair) in enumerate(zip(items.example, items.document, items.dependent, items.head, strict=True)):
        drawn = draw(examples[example], (int(pair[0]), int(pair[1])), rng)
        if drawn is not None:
            found.append((int(example), str(document), *drawn))
            of.append(number)
    if not found:
        raise ClaimError(f"no pair has {name} to stand in for one of its ends; expected longer sentences")
    return _as_items(found), np.array(of)


def shuffled_items(items: Items, examples: list[Example], seed: int) -> tuple[Items, list[StandIn]]:
    """Labels without meaning: random words for heads, with stand-ins drawn in the same way, so that nothing tells them apart."""

    def draw(example: Example, pair: Pair, rng: np.random.Generator) -> Pair | None:
        return random_heads([pair], len(example.words), seed=rng)[0]

    labels, _ = redrawn("a random head", items, examples, draw, seed)
    return labels, [stand_in("another random head", labels, examples, draw, seed + 1)]
