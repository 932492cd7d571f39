"""144 heads, all alike: the best of them is no better than the rest, and luck alone put it first.

Heads are drawn, not run: each hits the right word of an item with the same chance as the best fixed offset does, within documents that are
harder or easier. The trial that the protocols share chooses one and confirms it. Beside it what is done without a second half: the best
head, tested on the data that chose it, as if it had been named before. One head may be better by a gain: then it is there to be found.
"""

from dataclasses import dataclass

import numpy as np

from interp.claims.protocols.finding import sampled_evidence
from interp.claims.protocols.parts.asked import Asked, StandIn
from interp.claims.protocols.parts.looked_at import LookedAt
from interp.claims.protocols.parts.trial import Comparison, Setup, Trial
from interp.claims.rule import decide
from interp.claims.verdict import Evidence
from interp.stats.intervals import cluster_sums
from interp.stats.permutation import sign_flip_max_t

LAYERS, HEADS, PLANTED = 12, 12, (5, 7)
N_DOCUMENTS, PER_DOCUMENT = 600, 2
START, N_WORDS = 10, 21  # each item looks from the middle of its own sentence
RATE, HARDER = 0.3, 0.1
MARGIN, ALPHA = 0.1, 0.05
GAINS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
EQUALS = "equal heads"  # in place of a protocol: the trial that several of them share


@dataclass(frozen=True, kw_only=True)
class OfEquals:
    """What came of one draw.

    Attributes:
        supported: by the trial.
        naive: by the best head on all data, tested on these as if nothing else had been looked at: "significant".
        chosen: its gain over the offset where it was chosen, and
        confirmed: where it was not.
        p: of the confirmation.
        p_best: the smallest adjusted p of all heads on the confirmation half, which no choice has touched.
    """

    supported: bool
    naive: bool
    chosen: float
    confirmed: float
    p: float
    p_best: float


def of_equals(seed: int, gain: float = 0.0) -> OfEquals:
    """Draw the heads, and try them. Head L5H7 is better than the rest by `gain`."""
    trial, offset = _trial(np.random.default_rng(seed), gain, seed)
    gains, first = trial.hits - offset, trial.evidence[0]
    assert first.p_adjusted is not None
    return OfEquals(
        supported=decide(trial.evidence, [], ALPHA)[0] == "supported",
        naive=_significant(_naive(trial.hits, offset, trial.document, seed)),
        chosen=float(gains[trial.member, ~trial.confirm].mean()),
        confirmed=first.effect,
        p=first.p_adjusted,
        p_best=_best(trial.comparisons[0], seed),
    )


def _trial(rng: np.random.Generator, gain: float, seed: int) -> tuple[Trial, np.ndarray]:
    """The trial of the drawn heads, and whether the best offset hits; axes (item,)."""
    rate = np.clip(rng.normal(RATE, HARDER, N_DOCUMENTS), 0.02, 0.98).repeat(PER_DOCUMENT)
    n = len(rate)
    target = np.where(rng.random(n) < rate, START + 1, _elsewhere(rng, n))
    asked = _asked(target)
    beside = StandIn(name="another word", questions={"": _asked(_other(rng, target))}, of=np.arange(n))
    members = [("", layer, head) for layer in range(LAYERS) for head in range(HEADS)]
    setup = Setup(what="equal heads", members=members, margin=MARGIN, alpha=ALPHA, seed=seed)
    return Trial(setup, {"": asked}, [beside], _looked(rng, rate, target, gain)), asked.at_offset(1)


def _asked(target: np.ndarray) -> Asked:
    items = np.arange(len(target))
    documents = np.char.add("d", (items // PER_DOCUMENT).astype(str))
    return Asked(example=items, document=documents, start=np.full(len(items), START), targets=target[:, None])


def _elsewhere(rng: np.random.Generator, n: int) -> np.ndarray:
    """A place that is neither the word's own nor the one behind it. Axes: (item,)."""
    places = np.array([place for place in range(N_WORDS) if place not in (START, START + 1)])
    return places[rng.integers(len(places), size=n)]


def _other(rng: np.random.Generator, target: np.ndarray) -> np.ndarray:
    """A place that is not the right one. Axes: (item,)."""
    return (target + 1 + rng.integers(N_WORDS - 1, size=len(target))) % N_WORDS


def _looked(rng: np.random.Generator, rate: np.ndarray, target: np.ndarray, gain: float) -> LookedAt:
    """Heads that hit as often as the offset, each by its own luck."""
    n = len(target)
    words = np.full((LAYERS, HEADS, n * N_WORDS), -1, dtype=np.int16)
    for layer in range(LAYERS):
        for head in range(HEADS):
            better = gain if (layer, head) == PLANTED else 0.0
            hit = rng.random(n) < np.clip(rate + better, 0.0, 1.0)
            words[layer, head, START::N_WORDS] = np.where(hit, target, _other(rng, target))
    return LookedAt(words=words, starts=np.arange(n) * N_WORDS)


def _naive(hits: np.ndarray, offset: np.ndarray, documents: np.ndarray, seed: int) -> Evidence:
    """The best head on all items, tested on these items as the only one that was looked at."""
    best = hits[(hits - offset).mean(1).argmax()][None]
    return sampled_evidence(
        name="the best head, as if named before",
        unit="accuracy",
        values=best,
        baseline=offset[None],
        baseline_name="best fixed offset",
        clusters=documents,
        member=0,
        smallest_effect=MARGIN,
        alpha=ALPHA,
        seed=seed,
    )


def _significant(evidence: Evidence) -> bool:
    """As papers without a smallest effect have it: above 0, with a small p."""
    assert evidence.p_adjusted is not None
    return evidence.low > 0 and evidence.p_adjusted < ALPHA


def _best(comparison: Comparison, seed: int) -> float:
    """The smallest adjusted p of all heads on the confirmation half: no choice has touched it."""
    sums = np.stack([cluster_sums(row, comparison.documents)[0] for row in comparison.differences])
    return float(sign_flip_max_t(sums, seed=seed).p_adjusted.min())
