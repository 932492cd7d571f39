"""Does what a head is said to look for matter to what the model says? The causal half of claims that a head looks from here to there.

Design. The head that was selected is switched off on confirming texts, by its mean and by what it is on other texts. What is lost is told
in nats of the next token, and where the head is said to work less where it is not, so that a head which matters everywhere is not taken
for one that does this (a difference in differences):
  words    behind the words that it looks from (those with a right word that can be seen), less behind all other words of the same texts
  order    on texts, less on the same tokens shuffled: for a head that looks at a fixed place, what it adds must rest on the order
The same is done to `N_OTHERS` other heads, those of its own layer first, then of the layers beside it. The intervention shows something if,
by either way, the head's loss less the mean of theirs is at least `lost_nats`, its interval above 0, p below alpha, there are documents
enough, and it is larger than that of 95 % of them (of all, where there are fewer than 20).
It decides the badge "causal" and nothing else: that a head looks there is seen, and stays seen if nothing is lost without it.
Texts are drawn until they have `N_TOKENS` tokens, since all heads run on them.
Source: STATISTICS 3.6; the smallest effect: loss counts as equal within 0.01 to 0.02 nats (3.5).
What it does not tell: what the head does there (it may be something else than to carry what it looks at), nor that a head without an effect
is useless: others may stand in for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import log
from typing import Any

import numpy as np
import torch
from pydantic import Field

from interp.captures.corpus.batches import by_length
from interp.claims.plan import Plan, Step
from interp.claims.protocols.finding import Finding, sampled_evidence
from interp.claims.protocols.parts.asked import Asked
from interp.claims.protocols.parts.neurons_on_words import Words, words_of
from interp.claims.protocols.parts.switched_off import Block, Sets, kept_for_ablation, lost_by_document, lost_without
from interp.claims.protocols.parts.without_parts import HOWS, How, layer_of, parts_of
from interp.claims.protocols.protocol import Case
from interp.claims.rule import decide
from interp.claims.verdict import Evidence
from interp.core.errors import ClaimError
from interp.interventions.ablate import Recorded, place_of
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.texts.example import Example

N_OTHERS, N_TOKENS = 20, 3000
ENOUGH = 0.95  # of the other heads must lose less

LOST_NATS: Any = Field(
    default=None, gt=0, exclude_if=lambda nats: nats is None,
    description="smallest loss without the head, over that without other heads, that matters, nats; None: none is switched off",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Role:
    """Where a head is said to work.

    Attributes:
        what: in words, "behind upos=PRON over other words".
        lost: what is lost there without each set of heads, over elsewhere, nats. Axes: (set, unit).
        clusters: each unit's document, axes (unit,).
        others: texts of the other half, for what stands in the place of heads.
        longest: tokens of the longest text that runs.
    """

    what: str
    lost: Callable[[Sets, Recorded, How], np.ndarray]
    clusters: np.ndarray
    others: list[Example]
    longest: int


def and_switched_off(case: Case[Any], finding: Finding, lost_nats: float, role: Callable[[], Role]) -> Finding:
    """The finding with what is lost without its head, and the badge for that; or with the reason why it was not tried."""
    try:
        _refuse_untold(case.model)
        found, others = role(), other_heads(case.model.anatomy, finding.site, case.seed)
    except ClaimError as error:
        return replace(finding, summary=f"{finding.summary} What is lost without {finding.site} was not tried: {error}.")
    sites = [finding.site, *others]
    lost = {how: _lost(case, found, sites, how) for how in HOWS}
    evidence = tuple(_evidence(case, found, finding.site, lost_nats, how, lost[how]) for how in HOWS)
    less = [int((one[1:].mean(1) < one[0].mean()).sum()) for one in lost.values()]
    enough = all(n >= ENOUGH * len(others) for n in less)
    shown = enough and all(decide([one], (), case.alpha)[0] == "supported" for one in evidence)
    return replace(
        finding,
        evidence=(*finding.evidence, *evidence),
        badges=replace(finding.badges, causal=shown),
        summary=f"{finding.summary} {_told(found, finding.site, evidence, less, len(others))}",
    )


def _told(role: Role, site: str, evidence: tuple[Evidence, ...], less: list[int], n: int) -> str:
    mean, resample = evidence
    return (
        f"Without {site} a token costs {mean.estimate:+.3f} nats (mean), {resample.estimate:+.3f} (resample) more {role.what}; "
        f"without {less[0]} and {less[1]} of {n} other heads less than that."
    )


def _refuse_untold(model: Model) -> None:
    """Raises: ClaimError for a model of which no loss without a head can be told."""
    if not predicts(model):
        raise ClaimError(f"{model.name} does not predict the next token, so that a loss cannot be told in nats")
    if "ablation" in model.disabled:
        raise ClaimError(f"switching off is disabled, since {model.disabled['ablation']}")


def predicts(model: Model) -> bool:
    """Whether the model says what comes next."""
    return model.anatomy.causal and model.anatomy.lm_head


def other_heads(anatomy: Anatomy, site: str, seed: int) -> list[str]:
    """Heads to compare with: of the same layer first, then of those beside it, drawn where a layer has more than are wanted.

    Raises: ClaimError for a model of one head.
    """
    heads = [head for head in parts_of(anatomy, "heads") if head != site]
    drawn = [heads[place] for place in np.random.default_rng(seed).permutation(len(heads)).tolist()]
    if not drawn:
        raise ClaimError("the model has no other head to compare with")
    return sorted(drawn, key=lambda head: abs(layer_of(head) - layer_of(site)))[:N_OTHERS]


def _lost(case: Case[Any], role: Role, sites: list[str], how: How) -> np.ndarray:
    """Axes: (site, unit). A head that is the same on all other texts has nothing to be switched off: 0."""

    def arrays() -> dict[str, np.ndarray]:
        case.tell(f"{len(sites)} heads switched off ({how})")
        over = kept_for_ablation(case.model, sites, role.others, role.longest, case.seed)
        live = np.array([not _constant(case.model, over, site) for site in sites])
        lost = np.zeros((len(sites), len(role.clusters)))
        if live.any():
            lost[live] = role.lost([[site] for site, alive in zip(sites, live, strict=True) if alive], over, how)
        return {"lost": lost}

    return case.stages.get(f"switched off {how}", arrays)["lost"]


def _constant(model: Model, over: Recorded, site: str) -> bool:
    head = model.anatomy.head(site)
    values = over.values[place_of(head)][:, :, head.index]
    return bool((values == values[:1]).all())


def _evidence(case: Case[Any], role: Role, site: str, lost_nats: float, how: How, lost: np.ndarray) -> Evidence:
    found = sampled_evidence(
        name=f"lost without {site} {role.what} ({how})",
        unit="nats per token",
        values=lost[:1],
        baseline=lost[1:].mean(0)[None],
        baseline_name=f"{len(lost) - 1} other heads",
        clusters=role.clusters,
        member=0,
        smallest_effect=lost_nats,
        alpha=case.alpha,
        seed=case.seed,
        largest=log(case.model.anatomy.d_vocab),
        pieces=len(HOWS),
    )
    return replace(found, decides=False)


def behind_words(case: Case[Any], asked: Asked, confirm: np.ndarray, what: str) -> Role:
    """The role of a head that looks from words: nats behind those, over all other words of the same texts.

    Args:
        confirm: which items confirm, axes (item,).
        what: the words, in words.
    Raises: ClaimError where a right word never comes before, or no token behind such words.
    """
    seen = confirm & ((asked.targets >= 0) & (asked.targets < asked.start[:, None])).any(1)
    if not seen.any():
        raise ClaimError(f"no word {what} has a right word before it, and later ones cannot be seen")
    numbers = _some(case.examples, np.unique(asked.example[seen]).tolist(), N_TOKENS, case.seed)
    words = words_of([case.examples[number] for number in numbers], case.id)
    label = _label(words, numbers, asked, seen)
    if not 0 < label.sum() < len(label) or len(np.unique(words.document)) < 2:
        raise ClaimError(f"of {len(label)} words with a token behind them {label.sum()} are {what}; expected some of both kinds")
    return Role(
        what=f"behind {what} over other words",
        lost=lambda sets, over, how: lost_by_document(case.model, words, label, sets, over, how, case.seed),
        clusters=np.unique(words.document),
        others=[case.examples[number] for number in np.unique(asked.example[~confirm]).tolist()],
        longest=max(map(len, words.examples)),
    )


def _some(examples: Sequence[Example], numbers: list[int], n_tokens: int, seed: int) -> list[int]:
    """Examples drawn until they have so many tokens; at least two."""
    drawn = [numbers[place] for place in np.random.default_rng(seed).permutation(len(numbers)).tolist()]
    so_far = np.cumsum([len(examples[number]) for number in drawn])
    return sorted(drawn[: max(2, int(np.searchsorted(so_far, n_tokens)) + 1)])


def _label(words: Words, numbers: list[int], asked: Asked, seen: np.ndarray) -> np.ndarray:
    """Which words are looked from. Axes: (word,)."""
    place_of_example = {number: place for place, number in enumerate(numbers)}
    meant = {
        (place_of_example[number], words.examples[place_of_example[number]].words[start].id)
        for number, start in zip(asked.example[seen].tolist(), asked.start[seen].tolist(), strict=True)
        if number in place_of_example
    }
    return np.array([(int(text), word.id) in meant for text, word in zip(words.text, words.word, strict=True)])


def by_order(case: Case[Any], examples: Sequence[Example], clusters: np.ndarray, confirm: np.ndarray) -> Role:
    """The role of a head that looks at a fixed place: nats of texts, over the same tokens shuffled. Axes: clusters, confirm (text,)."""
    numbers = _some(examples, np.flatnonzero(confirm).tolist(), N_TOKENS // 2, case.seed)
    texts, rng = [examples[number] for number in numbers], np.random.default_rng(case.seed)
    rows = [*texts, *(_shuffled(text, rng) for text in texts)]

    def lost(sets: Sets, over: Recorded, how: How) -> np.ndarray:
        found = lost_without(case.model, partial(nats_of, case.model, rows), sets, over, how, case.seed)
        return found[:, : len(texts)] - found[:, len(texts) :]

    return Role(
        what="in texts over the same tokens shuffled",
        lost=lost,
        clusters=clusters[numbers],
        others=[examples[number] for number in np.flatnonzero(~confirm).tolist()],
        longest=max(map(len, texts)),
    )


def _shuffled(text: Example, rng: np.random.Generator) -> Example:
    """Special tokens stay where they are."""
    order = np.arange(len(text))
    free = np.flatnonzero(~np.array(text.special))
    order[free] = rng.permutation(free)
    return text.at(order.tolist())


@torch.no_grad()
def nats_of(model: Model, rows: Sequence[Example], block: Block) -> np.ndarray:
    """What each text costs, nats per token. Axes: (text,)."""
    found = np.empty(len(rows))
    for number, numbered in enumerate(by_length(rows)):
        ids = torch.tensor([example.ids for _, example in numbered], device=model.device)
        with block(number):
            logits = model.run(ids).float()
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
        found[[place for place, _ in numbered]] = loss.mean(1).double().cpu().numpy()
    return found


def with_its_step(case: Case[Any], plan: Plan, lost_nats: float | None) -> Plan:
    """The plan with what switching heads off will take."""
    if lost_nats is None or not predicts(case.model):
        return plan
    tokens = min(N_TOKENS, sum(map(len, case.examples)) // 2)
    n = min(N_OTHERS + 1, len(parts_of(case.model.anatomy, "heads")))
    return replace(plan, steps=(*plan.steps, Step(what=f"{n} heads switched off", tokens=(1 + len(HOWS) * n) * tokens)))
