"""Does a head point from one end of a grammatical relation to the other, better than the best fixed offset?

Design. For each pair (dependent, head) of the relation in a treebank: does the head's most-attended *other* word hit the other end? Both
directions are tried. Sentences are split by document: on the selection half the offset of the baseline is fixed, and the attention head
and direction with the largest gain over it chosen; on the confirmation half that one choice is tested, paired on the same items, three
times: against the offset; with a *wrong head* in the pair, another gold head of the same sentence ("some word that words hang on" is not
the relation); and with an *unrelated word* for the dependent, one that hangs on something else ("every word looks at the main verb" is not
the relation either). The stand-ins lie on the same side, so that a causal mask hides them where it hides the right word. All three gains
must reach the smallest effect of interest. Unit: the document. p-values are adjusted by max-T over every head and direction, and
refuting "some head" takes the bound of the best of them. A claim that names its head and direction has a family of one.

Attention to a split word is the sum over its pieces, from it the mean; special tokens are ignored (Clark et al. 2019). Under a
causal mask a word that comes later cannot be attended to, and counts as missed.

Controls. Null: untrained twins, and gold heads replaced by random words of the sentence (with other random words for stand-ins), each with
its own selection, must not pass the same rule, all comparisons of it. Positive: a planted head, whose attention is the gold tree, must
score 1 through the same path from tokens to words.
What it does not tell: whether the model uses the head, and whether it is syntax or something that goes with it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from interp.captures.words import visible_words, word_attention
from interp.claims.claim import Claim, HeadRelation
from interp.claims.protocols.finding import Finding, Tell, halves, sampled_evidence
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence
from interp.core.errors import ClaimError
from interp.core.sites import head_site
from interp.measures.attention import most_attended, to_words
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.models.untrained import untrained
from interp.texts.controls import random_heads
from interp.texts.example import Example

Direction = Literal["dependent", "head"]
DIRECTIONS: tuple[Direction, ...] = ("dependent", "head")
Pair = tuple[int, int]
OFFSETS = range(-10, 11)


@dataclass(frozen=True, kw_only=True)
class _Items:
    """The pairs of a relation. Axes (item,): which example, its document, the dependent's and the head's place among the words."""

    example: np.ndarray
    document: np.ndarray
    dependent: np.ndarray
    head: np.ndarray

    def ends(self, direction: Direction) -> tuple[np.ndarray, np.ndarray]:
        """(from, to): the end that attends, and the one that it should hit."""
        return (self.dependent, self.head) if direction == "dependent" else (self.head, self.dependent)


@dataclass(frozen=True, kw_only=True)
class _StandIn:
    """Pairs with one end put in place of the right one. `of`: the item that each stands beside, axes (stand-in item,)."""

    name: str
    items: _Items
    of: np.ndarray


def run(claim: Claim, model: Model, examples: list[Example], seed: int, tell: Tell) -> Finding:
    """Judge "a head points from one end of the relation to the other" on annotated examples."""
    test = claim.test
    assert isinstance(test, HeadRelation)
    examples, items = _items(examples, test.relation)
    tell(f"{model.name}: {len(items.head)} {test.relation} pairs")
    looked = _looked_at(model, examples)
    stand_ins = [_stand_in(name, items, examples, draw, seed) for name, draw in STAND_INS.items()]
    ours = _Test(test, model.anatomy, items, looked, stand_ins, claim.alpha, seed)
    shuffled, beside = _shuffled(items, examples, seed)
    nulls = [_null("random gold heads", _Test(test, model.anatomy, shuffled, looked, beside, claim.alpha, seed), claim.alpha)]
    for number in range(test.n_untrained):
        tell(f"untrained twin {number + 1}")
        twin = _looked_at(untrained(model, seed=number), examples)
        nulls.append(_null(f"untrained twin {number}", _Test(test, model.anatomy, items, twin, stand_ins, claim.alpha, seed), claim.alpha))
    controls = [*nulls, _planted(examples, items)]
    outcome, reason = decide(ours.evidence, controls, claim.alpha)
    direction = "dependent to head" if ours.direction == "dependent" else "head to dependent"
    summary = (
        f"{ours.site} hits the other end of {test.relation}, from {direction}, in {ours.evidence[0].estimate:.1%} of the pairs; "
        f"the best fixed offset ({ours.offset:+d}) in {ours.evidence[0].baseline:.1%}; "
        + ", ".join(f"with {one.baseline_name} in {one.baseline:.1%}" for one in ours.evidence[1:])
        + "."
    )
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=summary,
        site=ours.site,
        badges=Badges(observational=outcome == "supported"),
        evidence=ours.evidence,
        controls=tuple(controls),
        rows=ours.rows(),
    )


class _Test:
    """Selection on one half, confirmation on the other; run once for the model and once for each null."""

    def __init__(
        self,
        test: HeadRelation,
        anatomy: Anatomy,
        items: _Items,
        looked: list[np.ndarray],
        stand_ins: list[_StandIn],
        alpha: float,
        seed: int,
    ):
        self.test, self.anatomy, self.items, self.alpha, self.seed = test, anatomy, items, alpha, seed
        choose, self.confirm = halves(items.document, seed)
        self.members = [(direction, layer, head) for direction in self._directions() for layer, head in self._heads()]
        self.hits = _hits(items, looked, self.members)
        self.offsets = {direction: _best_offset(items, direction, choose) for direction in DIRECTIONS}
        self.baseline = np.stack([_offset_hits(items, direction, self.offsets[direction]) for direction, _, _ in self.members])
        gain = (self.hits - self.baseline)[:, choose].mean(1)
        self.member = int(gain.argmax())
        self.direction, layer, head = self.members[self.member]
        self.site, self.offset = head_site(layer, head), self.offsets[self.direction]
        over_offset = self._evidence(
            f"{test.relation} from the {self.direction}, {self.site}",
            f"best fixed offset, {self.offset:+d}",
            self.baseline,
            None,
            highest=1.0,
        )
        self.evidence = (over_offset, *(self._against(one, looked) for one in stand_ins))

    def _directions(self) -> Iterable[Direction]:
        return DIRECTIONS if self.test.direction is None else (self.test.direction,)

    def _heads(self) -> list[tuple[int, int]]:
        if self.test.head is not None:
            return [(site.layer, site.index) for site in self.anatomy.heads(self.test.head) if site.index is not None]
        return [(layer, head) for layer in range(self.anatomy.n_layers) for head in range(self.anatomy.n_heads)]

    def _against(self, stand_in: _StandIn, looked: list[np.ndarray]) -> Evidence:
        """Each head's hits on the right pair against its hits on the stand-in, beside each other."""
        hits = _hits(stand_in.items, looked, self.members)
        return self._evidence(f"the right pair rather than {stand_in.name}, {self.site}", stand_in.name, hits, stand_in.of)

    def _evidence(
        self, name: str, baseline_name: str, baseline: np.ndarray, of: np.ndarray | None, highest: float | None = None
    ) -> Evidence:
        of = np.arange(len(self.confirm)) if of is None else of
        confirm = self.confirm[of]
        documents = self.items.document[of][confirm]
        if len(set(documents.tolist())) < 2:
            raise ClaimError(f"{self.test.relation}: fewer than two documents have {baseline_name} to compare with; expected more texts")
        return sampled_evidence(
            name=name,
            unit="accuracy",
            values=self.hits[:, of][:, confirm],
            baseline=baseline[:, confirm],
            baseline_name=baseline_name,
            clusters=documents,
            member=self.member,
            smallest_effect=self.test.margin,
            alpha=self.alpha,
            seed=self.seed,
            highest=highest,
        )

    def rows(self) -> dict[str, list[float]]:
        """Each head's accuracy on the confirmation half, in the selected direction."""
        chosen = [number for number, member in enumerate(self.members) if member[0] == self.direction]
        return {head_site(*self.members[number][1:]): [float(self.hits[number, self.confirm].mean())] for number in chosen}


def _null(name: str, test: _Test, alpha: float) -> Control:
    """The same test, with its own selection, on what should show nothing: it must not pass all that the claim must pass."""
    passed = not all(passes(one, alpha) for one in test.evidence)
    return Control(name=name, kind="null", value=test.evidence[0].effect, unit="accuracy over baseline", passed=passed)


def _pairs(example: Example, relation: str) -> list[Pair]:
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


def _items(examples: list[Example], relation: str) -> tuple[list[Example], _Items]:
    """The examples that have the relation, and its pairs in them."""
    having = [example for example in examples if _pairs(example, relation)]
    if not having:
        known = sorted({name for example in examples for word in example.words for name in (word.relation, word.deprel)} - {"root"})
        raise ClaimError(f"the treebank has no pair of the relation {relation!r}; it has: {', '.join(known)}")
    return having, _as_items(
        [(number, example.document, *pair) for number, example in enumerate(having) for pair in _pairs(example, relation)]
    )


def _as_items(found: list[tuple[int, str, int, int]]) -> _Items:
    example, document, dependent, head = zip(*found, strict=True)
    return _Items(example=np.array(example), document=np.array(document), dependent=np.array(dependent), head=np.array(head))


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


STAND_INS: dict[str, Draw] = {"another gold head of the sentence": _wrong_head, "an unrelated word": _unrelated_word}


def _stand_in(name: str, items: _Items, examples: list[Example], draw: Draw, seed: int) -> _StandIn:
    """Each pair with one end drawn anew; pairs for which there is no other word are left out."""
    rng = np.random.default_rng(seed)
    found, of = [], []
    for number, (example, document, *pair) in enumerate(zip(items.example, items.document, items.dependent, items.head, strict=True)):
        drawn = draw(examples[example], (int(pair[0]), int(pair[1])), rng)
        if drawn is not None:
            found.append((int(example), str(document), *drawn))
            of.append(number)
    if not found:
        raise ClaimError(f"no pair has {name} to stand in for one of its ends; expected longer sentences")
    return _StandIn(name=name, items=_as_items(found), of=np.array(of))


def _shuffled(items: _Items, examples: list[Example], seed: int) -> tuple[_Items, list[_StandIn]]:
    """Labels without meaning: random words for heads, with stand-ins drawn in the same way, so that nothing tells them apart."""

    def draw(example: Example, pair: Pair, rng: np.random.Generator) -> Pair | None:
        return random_heads([pair], len(example.words), seed=rng)[0]

    labels = _stand_in("a random head", items, examples, draw, seed)
    return labels.items, [_stand_in("another random head", labels.items, examples, draw, seed + 1)]


def _looked_at(model: Model, examples: list[Example]) -> list[np.ndarray]:
    """For each example the word that each head's words attend to most. Axes: (layer, head, query word)."""
    numbers = {id(example): number for number, example in enumerate(examples)}
    found: list[np.ndarray] = [np.empty(0)] * len(examples)
    for example, words in word_attention(model, examples):
        visible = visible_words(len(example.words), causal=model.anatomy.causal).to(words.device)
        found[numbers[id(example)]] = most_attended(words, visible).cpu().numpy()
    return found


def _hits(items: _Items, looked: list[np.ndarray], members: list[tuple[Direction, int, int]]) -> np.ndarray:
    """1 where a member's query word attends most to the other end. Axes: (member, item)."""
    found = {}
    for direction in {direction for direction, _, _ in members}:
        start, end = items.ends(direction)
        at = np.stack([looked[example][:, :, place] for example, place in zip(items.example, start, strict=True)], axis=-1)
        found[direction] = at == end
    return np.stack([found[direction][layer, head] for direction, layer, head in members]).astype(np.float64)


def _best_offset(items: _Items, direction: Direction, choose: np.ndarray) -> int:
    start, end = items.ends(direction)
    distances = (end - start)[choose]
    return max(OFFSETS, key=lambda offset: (int((distances == offset).sum()), -abs(offset)))


def _offset_hits(items: _Items, direction: Direction, offset: int) -> np.ndarray:
    start, end = items.ends(direction)
    return (end - start == offset).astype(np.float64)


def _planted(examples: list[Example], items: _Items) -> Control:
    """A head whose attention is the gold tree, from the tokens' pieces on: the same path must find every pair."""
    hits = []
    for number, dependent, head in zip(items.example, items.dependent, items.head, strict=True):
        example = examples[number]
        pattern = torch.zeros(len(example), len(example))
        pattern[list(example.word_tokens[dependent]), example.word_tokens[head][-1]] = 1.0
        words = to_words(pattern, list(example.word_tokens))
        hits.append(int(most_attended(words, visible_words(len(example.words), causal=False))[dependent]) == head)
    accuracy = float(np.mean(hits))
    return Control(name="planted head", kind="positive", value=accuracy, unit="accuracy", passed=accuracy > 0.999)
