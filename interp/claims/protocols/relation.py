"""Does a head point from one end of a grammatical relation to the other, better than the best fixed offset?

Design. For each pair (dependent, head) of the relation in a treebank: does the head's most-attended *other* word hit the other end? Both
directions are tried. Sentences are split by document: on the selection half the offset of the baseline is fixed, and the attention head
and direction with the largest gain over it chosen; on the confirmation half that one choice is tested, paired on the same items, four
times: against the offset; with a *wrong head* in the pair, another gold head of the same sentence ("some word that words hang on" is not
the relation); with an *unrelated word* for the dependent, one that hangs on something else ("every word looks at the main verb" is not the
relation either); and with two *unrelated words as far apart* ("it looks that far" is not the relation). The stand-ins lie on the same side,
so that a causal mask hides them where it hides the right word. All four gains must reach the smallest effect of interest. Unit: the
document. p-values are adjusted by max-T over every head and direction, and refuting "some head" takes the bound of the best of them. A
claim that names its head and direction has a family of one.

Attention to a split word is the sum over its pieces, from it the mean; special tokens are ignored (Clark et al. 2019). Under a
causal mask a word that comes later cannot be attended to, and counts as missed.

Controls. Null: untrained twins, and gold heads replaced by random words of the sentence (with other random words for stand-ins), each with
its own selection, must not pass the same rule, all comparisons of it. Positive: a planted head, whose attention is the gold tree, must
score 1 through the same path from tokens to words.
Where the claim says `lost_nats`, the head is switched off as well (`without_head`), which decides the badge "causal" alone.
What it does not tell: whether the model uses the head for that, and whether it is syntax or something that goes with it.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from interp.claims.plan import Plan
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.looked_at import LookedAt, look
from interp.claims.protocols.parts.relation_items import DIRECTIONS, STAND_INS, Direction, having, items_of, shuffled_items, stand_in
from interp.claims.protocols.parts.trial import Setup, Trial, conclude, members_of, null, planted, trial_plan
from interp.claims.protocols.parts.without_head import LOST_NATS, and_switched_off, behind_words, with_its_step
from interp.claims.protocols.protocol import Case, Parameters, Protocol, needs_attention
from interp.claims.verdict import Evidence
from interp.texts.example import Example


class HeadRelation(Parameters):
    """Parameters of "head_relation"."""

    protocol: Literal["head_relation"]
    relation: str = Field(description="a Universal Dependencies relation, subtypes included, such as obj")
    head: str | None = Field(default=None, description="a head such as L2H0; None: the best is selected on one half of the data")
    direction: Direction | None = Field(default=None, description="the end that attends; None: selected with the head")
    margin: float = Field(gt=0, lt=1, description="smallest difference from the best fixed offset that matters, in accuracy")
    margin_source: str
    n_untrained: int = Field(default=5, ge=5)
    lost_nats: float | None = LOST_NATS

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Those that the claim leaves open."""
        return DIRECTIONS if self.direction is None else (self.direction,)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the model and its untrained twins looked at in the same examples, and the trial to make of it."""

    setup: Setup
    examples: list[Example]
    looked: LookedAt
    twins: list[LookedAt]


def _plan(case: Case[HeadRelation]) -> Plan:
    documents = items_of(having(case.examples, case.test.relation), case.test.relation).document
    return with_its_step(case, trial_plan(case, setup_of(case), documents, case.test.n_untrained), case.test.lost_nats)


def setup_of(case: Case[HeadRelation], families: int = 1) -> Setup:
    """The trial of a claim."""
    test = case.test
    members = members_of(test.directions, test.head, case.model.anatomy)
    return Setup(what=test.relation, members=members, margin=test.margin, alpha=case.alpha, seed=case.seed, families=families)


def run(case: Case[HeadRelation]) -> Finding:
    """Judge "a head points from one end of the relation to the other" on annotated examples."""
    having(case.examples, case.test.relation)  # refuses a treebank without it before anything is run
    looked, twins = look(case, None), [look(case, number) for number in range(case.test.n_untrained)]
    seen = Seen(setup=setup_of(case), examples=case.examples, looked=looked, twins=twins)
    ours = try_out(seen, seen.looked)
    finding, lost_nats = found_on(seen, ours, ours.evidence), case.test.lost_nats
    if lost_nats is None:
        return finding
    items = items_of(case.examples, case.test.relation).questions()[ours.question]
    words = f"a word with its {case.test.relation}" if ours.question == "head" else case.test.relation
    return and_switched_off(case, finding, lost_nats, lambda: behind_words(case, items, ours.confirm, words))


def try_out(seen: Seen, looked: LookedAt) -> Trial:
    """The relation and its stand-ins, tried on what one model looked at."""
    items, seed = items_of(seen.examples, seen.setup.what), seen.setup.seed
    stand_ins = [stand_in(name, items, seen.examples, draw, seed) for name, draw in STAND_INS.items()]
    return Trial(seen.setup, items.questions(), stand_ins, looked)


def found_on(seen: Seen, ours: Trial, evidence: tuple[Evidence, ...]) -> Finding:
    """The finding out of the model's trial, with the controls. `evidence`: the trial's, its p perhaps of a wider family."""
    items = items_of(seen.examples, seen.setup.what)
    shuffled, beside = shuffled_items(items, seen.examples, seen.setup.seed)
    nulls = [null("random gold heads", Trial(seen.setup, shuffled.questions(), beside, seen.looked))]
    nulls += [null(f"untrained twin {number}", try_out(seen, twin)) for number, twin in enumerate(seen.twins)]
    return conclude(ours, evidence, (*nulls, planted(seen.examples, items.questions()["dependent"])), _summary(ours))


def _summary(trial: Trial) -> str:
    over_offset, *rest = trial.evidence
    ends = "dependent to head" if trial.question == "dependent" else "head to dependent"
    return (
        f"{trial.site} hits the other end of {trial.setup.what}, from {ends}, in {over_offset.estimate:.1%} of the pairs; "
        f"the best fixed offset ({trial.offset:+d}) in {over_offset.baseline:.1%}; "
        + ", ".join(f"with {one.baseline_name} in {one.baseline:.1%}" for one in rest)
        + "."
    )


PROTOCOL = Protocol(
    parameters=HeadRelation,
    needs="treebank",
    requires=("patterns",),
    family="every head and direction, unless the claim names them",
    controls=("untrained twins", "random words as gold heads", "a planted head, whose attention is the gold tree"),
    why_not=needs_attention,
    plan=_plan,
    run=run,
)
