"""Does a head attend from these words to those, better than the best fixed offset and than to other words?

Design. Words to look from and words that are right are named by selectors (`texts.selectors`): "upos=PRON" to "link=Antecedent",
"lemma=bank" to "upos=NOUN". An item is a word to look from that has a right word; it is hit when the other word that the head attends
to most is one of them. Choice, confirmation, family and statistics are those of `trial`. The one stand-in: as many other words, each on
the same side as the right one that it stands for.

Where an offset is what is claimed ("offset=-1"), the best fixed offset is always right and the claim is ill-posed here:
`positional_head` tests it.

Controls. Null: untrained twins; right words replaced by as many random ones of the sentence. Positive: a planted head that looks at the
first right word must score 1 through the same path.
Where the claim says `lost_nats`, the head is switched off as well (`without_head`), which decides the badge "causal" alone.
What it does not tell: whether the model uses the head for that, and whether it goes by what the selector names or by something that goes
with it.
"""

from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from interp.claims.plan import Plan
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.asked import Asked, StandIn, as_targets
from interp.claims.protocols.parts.looked_at import LookedAt, look
from interp.claims.protocols.parts.trial import Setup, Trial, conclude, members_of, null, planted, trial_plan
from interp.claims.protocols.parts.without_head import LOST_NATS, and_switched_off, behind_words, with_its_step
from interp.claims.protocols.protocol import Case, Parameters, Protocol, needs_attention
from interp.core.errors import ClaimError
from interp.texts.example import Example
from interp.texts.selectors import parse_selector, select, select_from

QUESTION = ("",)


class Attends(Parameters):
    """Parameters of "attends"."""

    protocol: Literal["attends"]
    from_words: str = Field(description="a selector of words, such as upos=PRON")
    to_words: str = Field(description="a selector seen from such a word, such as head, offset=-1, upos=NOUN")
    head: str | None = Field(default=None, description="a head such as L2H0; None: the best is selected on one half of the data")
    margin: float = Field(gt=0, lt=1, description="smallest difference from the best fixed offset that matters, in accuracy")
    margin_source: str
    n_untrained: int = Field(default=5, ge=5)
    lost_nats: float | None = LOST_NATS

    @field_validator("from_words")
    @classmethod
    def _words(cls, text: str) -> str:
        return _checked(text, relative=False)

    @field_validator("to_words")
    @classmethod
    def _words_from_there(cls, text: str) -> str:
        return _checked(text, relative=True)

    @property
    def what(self) -> str:
        """The claim in short."""
        return f"{self.from_words} to {self.to_words}"


def _checked(text: str, *, relative: bool) -> str:
    try:
        parse_selector(text, relative=relative)
    except ClaimError as error:
        raise ValueError(str(error)) from error
    return text


def asked(test: Attends, examples: list[Example]) -> Asked:
    """The items: every word to look from that has a right word.

    Raises: ClaimError when no word has one, saying how many words there were to look from.
    """
    start, there = parse_selector(test.from_words), parse_selector(test.to_words, relative=True)
    words = [(number, place) for number, example in enumerate(examples) for place in select(start, example)]
    found = [(number, place, select_from(there, examples[number], place)) for number, place in words]
    having = [(number, place, targets) for number, place, targets in found if targets]
    if not having:
        raise ClaimError(f"{len(words)} words are {test.from_words!r}, and none has a word that is {test.to_words!r} beside it")
    return _as_asked([(examples[number].document, number, place, tuple(targets)) for number, place, targets in having])


def _as_asked(found: list[tuple[str, int, int, tuple[int, ...]]]) -> Asked:
    document, example, start, targets = zip(*found, strict=True)
    return Asked(example=np.array(example), document=np.array(document), start=np.array(start), targets=as_targets(list(targets)))


def _redrawn(name: str, items: Asked, examples: list[Example], seed: int, *, same_side: bool) -> tuple[Asked, np.ndarray]:
    """As many other words in place of each item's right ones; items without so many are left out."""
    rng = np.random.default_rng(seed)
    found, of = [], []
    for number, (example, document, start) in enumerate(zip(items.example, items.document, items.start, strict=True)):
        right = [int(place) for place in items.targets[number] if place >= 0]
        drawn = _others(examples[example], int(start), right, rng, same_side=same_side)
        if drawn is not None:
            found.append((str(document), int(example), int(start), drawn))
            of.append(number)
    if not found:
        raise ClaimError(f"no item has {name} to stand in for the right ones; expected longer sentences")
    return _as_asked(found), np.array(of)


def _others(example: Example, start: int, right: list[int], rng: np.random.Generator, *, same_side: bool) -> tuple[int, ...] | None:
    left = [place for place, word in enumerate(example.words) if place != start and place not in right and not word.multiword]
    drawn: list[int] = []
    for place in right:
        among = [other for other in left if other not in drawn and (not same_side or (other > start) == (place > start))]
        if not among:
            return None
        drawn.append(among[rng.integers(len(among))])
    return tuple(drawn)


def _setup(case: Case[Attends]) -> Setup:
    test = case.test
    members = members_of(QUESTION, test.head, case.model.anatomy)
    return Setup(what=test.what, members=members, margin=test.margin, alpha=case.alpha, seed=case.seed)


def _plan(case: Case[Attends]) -> Plan:
    told = trial_plan(case, _setup(case), asked(case.test, case.examples).document, case.test.n_untrained)
    return with_its_step(case, told, case.test.lost_nats)


def run(case: Case[Attends]) -> Finding:
    """Judge "a head attends from these words to those" on annotated examples."""
    examples, items = case.examples, asked(case.test, case.examples)
    looked, twins = look(case, None), [look(case, number) for number in range(case.test.n_untrained)]
    ours = _try_out(case, examples, items, looked)
    shuffled, _ = _redrawn("random words", items, examples, case.seed, same_side=False)
    nulls = [null("random right words", _try_out(case, examples, shuffled, looked))]
    nulls += [null(f"untrained twin {number}", _try_out(case, examples, items, twin)) for number, twin in enumerate(twins)]
    finding = conclude(ours, ours.evidence, (*nulls, planted(examples, items)), _summary(ours))
    if case.test.lost_nats is None:
        return finding
    return and_switched_off(case, finding, case.test.lost_nats, lambda: behind_words(case, items, ours.confirm, case.test.from_words))


def _try_out(case: Case[Attends], examples: list[Example], items: Asked, looked: LookedAt) -> Trial:
    beside, of = _redrawn("as many other words", items, examples, case.seed, same_side=True)
    stand_in = StandIn(name="as many other words of the same side", questions={"": beside}, of=of)
    return Trial(_setup(case), {"": items}, [stand_in], looked)


def _summary(trial: Trial) -> str:
    over_offset, over_others = trial.evidence
    return (
        f"{trial.site} attends from {trial.setup.what} in {over_offset.estimate:.1%} of the words; the best fixed offset "
        f"({trial.offset:+d}) is right in {over_offset.baseline:.1%}, as many other words in {over_others.baseline:.1%}."
    )


PROTOCOL = Protocol(
    parameters=Attends,
    needs="treebank",
    requires=("patterns",),
    family="every head, unless the claim names one",
    controls=("untrained twins", "random words in place of the right ones", "a planted head that looks at the first right word"),
    why_not=needs_attention,
    plan=_plan,
    run=run,
)
