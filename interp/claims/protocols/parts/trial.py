"""The trial that protocols on "a head points from this word to that one" share: choose on one half, confirm on the other, beside controls.

Design. On the selection half of the documents the offset of the baseline is fixed, and the question and head with the largest gain over
it are chosen; on the other half that one choice is tested, paired on the same items: against the offset, and against each stand-in, other
words in place of the right ones. All gains must reach the smallest effect. Unit: the document. p-values are adjusted by max-T over every
question and head, and refuting "some head" takes the bound of the best of them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from interp.captures.words import visible_words
from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, halves, sampled_evidence
from interp.claims.protocols.parts.asked import Asked, Questions, StandIn, best_offset
from interp.claims.protocols.parts.looked_at import LookedAt, Member
from interp.claims.protocols.protocol import Case
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence
from interp.core.errors import ClaimError
from interp.core.sites import head_site
from interp.measures.attention import most_attended, to_words
from interp.models.anatomy import Anatomy
from interp.texts.example import Example


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a trial is made.

    Attributes:
        what: what is looked for, in words ("obj").
        members: the family: every question with every head.
        margin: the smallest gain that matters, in accuracy.
        alpha: level of the adjusted p.
        seed: of the split and the resamples.
        families: how many families like this one are looked at together.
    """

    what: str
    members: list[Member]
    margin: float
    alpha: float
    seed: int
    families: int = 1


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every member's hits less those of a baseline on the confirmation half. Axes: differences (member, item), documents (item,)."""

    differences: np.ndarray
    documents: np.ndarray


class Trial:
    """Selection and confirmation on what one model looked at; made once for the model and once for each null."""

    def __init__(self, setup: Setup, questions: Questions, stand_ins: list[StandIn], looked: LookedAt):
        self.setup = setup
        self.document = next(iter(questions.values())).document
        self.comparisons: list[Comparison] = []
        self.pieces = 1 + len(stand_ins)
        choose, self.confirm = halves(self.document, setup.seed)
        self.hits = looked.hits(questions, setup.members)
        offsets = {name: best_offset(asked, choose) for name, asked in questions.items()}
        baseline = np.stack([questions[name].at_offset(offsets[name]) for name, _, _ in setup.members])
        self.member = int((self.hits - baseline)[:, choose].mean(1).argmax())
        self.question, layer, head = setup.members[self.member]
        self.site, self.offset = head_site(layer, head), offsets[self.question]
        name = f"{setup.what}{f' from the {self.question}' if self.question else ''}, {self.site}"
        over_offset = self._evidence(name, f"best fixed offset, {self.offset:+d}", baseline, None, highest=1.0)
        self.evidence = (over_offset, *(self._against(one, looked) for one in stand_ins))

    def _against(self, stand_in: StandIn, looked: LookedAt) -> Evidence:
        """Each member's hits on the right words against its hits on the stand-ins, beside each other."""
        hits = looked.hits(stand_in.questions, self.setup.members)
        return self._evidence(f"the right pair rather than {stand_in.name}, {self.site}", stand_in.name, hits, stand_in.of)

    def _evidence(
        self, name: str, baseline_name: str, baseline: np.ndarray, of: np.ndarray | None, highest: float | None = None
    ) -> Evidence:
        of = np.arange(len(self.confirm)) if of is None else of
        confirm = self.confirm[of]
        documents = self.document[of][confirm]
        if len(set(documents.tolist())) < 2:
            raise ClaimError(f"{self.setup.what}: fewer than two documents have {baseline_name} to compare with; expected more texts")
        values = self.hits[:, of][:, confirm]
        self.comparisons.append(Comparison(differences=values - baseline[:, confirm], documents=documents))
        return sampled_evidence(
            name=name,
            unit="accuracy",
            values=values,
            baseline=baseline[:, confirm],
            baseline_name=baseline_name,
            clusters=documents,
            member=self.member,
            smallest_effect=self.setup.margin,
            alpha=self.setup.alpha,
            seed=self.setup.seed,
            highest=highest,
            families=self.setup.families,
            pieces=self.pieces,
        )

    def rows(self) -> dict[str, list[float]]:
        """Each head's accuracy on the confirmation half, on the selected question."""
        chosen = [number for number, member in enumerate(self.setup.members) if member[0] == self.question]
        return {head_site(*self.setup.members[number][1:]): [float(self.hits[number, self.confirm].mean())] for number in chosen}


def null(name: str, trial: Trial) -> Control:
    """The same test, with its own selection, on what should show nothing: it must not pass all that the claim must pass."""
    passed = not all(passes(one, trial.setup.alpha) for one in trial.evidence)
    return Control(name=name, kind="null", value=trial.evidence[0].effect, unit="accuracy over baseline", passed=passed)


def planted(examples: list[Example], asked: Asked) -> Control:
    """A head whose attention is on the first right word, from the tokens' pieces on: the same path must find every one."""
    hits = []
    for number in np.unique(asked.example):
        example, mine = examples[number], asked.example == number
        starts, targets = asked.start[mine], asked.targets[mine, 0]
        pattern = torch.zeros(len(example), len(example))
        for start, target in zip(starts, targets, strict=True):
            pattern[list(example.word_tokens[start]), example.word_tokens[target][-1]] = 1.0
        words = to_words(pattern, list(example.word_tokens))
        found = most_attended(words, visible_words(len(example.words), causal=False)).numpy()
        hits += (found[starts] == targets).tolist()
    accuracy = float(np.mean(hits))
    return Control(name="planted head", kind="positive", value=accuracy, unit="accuracy", passed=accuracy > 0.999)


def trial_plan(case: Case[Any], setup: Setup, documents: np.ndarray, n_untrained: int) -> Plan:
    """What `look` and the trial would do: the model and its twins on all examples, once each. `documents`: each item's, axes (item,)."""
    tokens = sum(map(len, case.examples))
    model = Step(what=f"the model on {len(case.examples)} sentences", tokens=tokens)
    return sampled_plan(
        steps=(model, Step(what=f"{n_untrained} untrained twins", tokens=n_untrained * tokens)),
        clusters=documents[halves(documents, case.seed)[1]],
        family=len(setup.members),
        smallest_effect=setup.margin,
        unit="accuracy",
        alpha=case.alpha,
    )


def conclude(ours: Trial, evidence: tuple[Evidence, ...], controls: tuple[Control, ...], summary: str) -> Finding:
    """The finding. `evidence`: the trial's, its p perhaps of a wider family."""
    outcome, reason = decide(evidence, controls, ours.setup.alpha)
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=summary,
        site=ours.site,
        badges=Badges(observational=outcome == "supported"),
        evidence=evidence,
        controls=controls,
        rows=ours.rows(),
    )


def members_of(questions: tuple[str, ...], head: str | None, anatomy: Anatomy) -> list[Member]:
    """The family: every question with every head, or with the one that is named."""
    if head is not None:
        heads = [(site.layer, site.index) for site in anatomy.heads(head) if site.index is not None]
    else:
        heads = [(layer, number) for layer in range(anatomy.n_layers) for number in range(anatomy.n_heads)]
    return [(question, layer, number) for question in questions for layer, number in heads]
