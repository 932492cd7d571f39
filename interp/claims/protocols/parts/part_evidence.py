"""Evidence on parts that were switched off: one part, most of them, a set and its sum. Nats per token, documents as clusters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from interp.claims.protocols.finding import best_upper, sampled_evidence
from interp.claims.protocols.parts.without_parts import HOWS, Bench, How, Parts, layer_of
from interp.claims.rule import passes
from interp.claims.verdict import Control, Evidence
from interp.stats.intervals import cluster_sums

UNIT = "nats per token"
ALIVE = 1e-6  # rounding of a loss in float32 is below


@dataclass(frozen=True, kw_only=True)
class PartEvidence:
    """How changes of texts become evidence.

    Attributes:
        documents: each text's cluster, axes (text,).
        nats: the smallest effect that matters.
        pieces: of evidence that must all hold (see `sampled_evidence`).
    """

    documents: np.ndarray
    nats: float
    alpha: float
    seed: int
    d_vocab: int
    pieces: int = 1

    def of(
        self,
        name: str,
        values: np.ndarray,
        baseline: np.ndarray | None = None,
        baseline_name: str = "nothing switched off",
        member: int = 0,
        known: np.ndarray | None = None,
    ) -> Evidence:
        """One member of a family against a baseline, both by axes (member, text).

        Args:
            known: members of which no text can differ from what was found, axes (member,): they need no bound for texts not seen.
        """
        told = sampled_evidence(
            name=name,
            unit=UNIT,
            values=values,
            baseline=np.zeros_like(values) if baseline is None else baseline,
            baseline_name=baseline_name,
            clusters=self.documents,
            member=member,
            smallest_effect=self.nats,
            alpha=self.alpha,
            seed=self.seed,
            largest=log(self.d_vocab),
            pieces=self.pieces,
        )
        if known is None or not known.any():
            return told
        most = self.most(values, known)
        if known[member]:
            return replace(told, low=told.effect, high=told.effect, upper=most)
        return replace(told, upper=max(self.of(name, values[[member]]).upper, most))

    def most(self, values: np.ndarray, known: np.ndarray) -> float:
        """Upper bound of the largest mean of some parts, axes (part, text); of those that are known the mean itself."""
        largest = values[known].mean(1).max() if known.any() else -np.inf
        bound = (
            -np.inf
            if known.all()
            else best_upper(values[~known], self.documents, alpha=self.alpha / self.pieces, largest=log(self.d_vocab))
        )
        return float(max(largest, bound))

    def any_other(self, one: Evidence) -> Evidence:
        """The same where it was selected among more than were measured: that there is such a one, this one cannot refute."""
        return replace(one, upper=max(one.upper, self.nats, log(self.d_vocab)))


def most_do_not(evidence: PartEvidence, changes: np.ndarray, order: Sequence[int], n: int, how: How, known: np.ndarray) -> Evidence:
    """That `n` parts change less than what matters: the room below it of the one that is furthest from showing it.

    Args:
        changes: on the confirmation half, axes (part, text).
        order: the parts by their change on the selection half, the smallest first; the first n of them must have room.
        known: parts that are known to change nothing, axes (part,): they have room, and come before all others.
    Returns: evidence that passes where all of them lie below, and whose upper bound is below 0 where so many others that n cannot be
        reached lie above; its power is that of seeing the room of a part that changes nothing.
    """
    room, order = evidence.nats - changes, sorted(order, key=lambda part: not known[part])
    must, others = [part for part in order[:n] if not known[part]] or list(order[:1]), list(order[n - 1 :])
    must = [part for part in must if np.ptp(room[part]) > 0 or room[part].min() <= 0] or must  # alike in all texts and below: not the last
    name = f"room of the last of {n} below {evidence.nats} ({how})"

    def of(place: int) -> Evidence:
        return replace(evidence.of(name, room[[must[place]]], None, "no room", known=known[[must[place]]]), smallest_effect=0.0)

    told = furthest(room[must], evidence.documents, 0.0, of, evidence.alpha)
    return replace(told, upper=evidence.most(room[others], known[others]))


def furthest(rows: np.ndarray, documents: np.ndarray, smallest: float, of: Callable[[int], Evidence], alpha: float) -> Evidence:
    """The evidence of a row that does not pass the rule, if any; else of the one nearest to that. All must pass: no correction needed.

    A row that reaches the smallest effect and is above 0 in every document passes without being asked: so it is in every resample of
    documents, and no flip of signs comes to as much.

    Args:
        rows: axes (row, text).
        of: what the rule is asked about a row.
    """
    sums, counts = (np.stack(found) for found in zip(*(cluster_sums(row, documents) for row in rows), strict=True))
    mean = sums.sum(1) / counts.sum(1)
    error = np.sqrt(((sums - mean[:, None] * counts) ** 2).sum(1)) / counts.sum(1)
    surely = (mean >= smallest) & (sums > 0).all(1) & (error > 1e-9)
    order = ((mean - smallest) / np.maximum(error, 1e-12)).argsort(kind="stable")
    failing = (one for one in map(of, order[~surely[order]].tolist()) if not passes(one, alpha))
    return next(failing, None) or of(int(order[0]))


@dataclass(frozen=True, kw_only=True)
class Joint:
    """A set switched off together. Axes: (text,); `others`: what random sets come to beyond their sums, axes (draw, text)."""

    together: np.ndarray
    singly: np.ndarray
    others: np.ndarray

    @property
    def beyond(self) -> np.ndarray:
        """What the set changes more than its members one by one, added up."""
        return self.together - self.singly


def joint(bench: Bench, members: Parts, parts: Parts, changes: np.ndarray, how: How, n_draws: int) -> Joint:
    """A set against its sum, beside random sets of as many parts that are not in it. `changes`: every part's, axes (part, text)."""
    rng, half = np.random.default_rng(bench.seed), bench.texts.confirm

    def both(of: Parts) -> tuple[np.ndarray, np.ndarray]:
        return bench.change(of, how, half), changes[[parts.index(part) for part in of]].sum(0)

    rest = [part for part in parts if part not in members]
    draws = [both(tuple(rng.choice(rest, len(members), replace=False).tolist())) for _ in range(n_draws)]
    together, singly = both(members)
    return Joint(together=together, singly=singly, others=np.stack([one - added for one, added in draws]))


def fewer(how: How, found: Joint) -> Control:
    """The share of the random sets that come to less than the set."""
    share = float((found.others.mean(1) < found.beyond.mean()).mean())
    name = f"random sets come to less ({how})"
    return Control(name=name, kind="null", value=share, unit="share of the draws", passed=share >= 0.95, detail="at least 0.95 of them")


def positives(bench: Bench, parts: Parts, least: float | None) -> tuple[Control, ...]:
    """Nothing is nothing, exactly; and all parts of a layer together are something.

    Args:
        least: what some layer must be worth; None: what is switched off must reach the loss, whatever it is worth.
    """
    confirm = bench.texts.confirm
    layers = [[part for part in parts if layer_of(part) == layer] for layer in sorted(set(map(layer_of, parts)))]
    changes = np.stack([bench.change(together, "mean", confirm) for together in layers])
    nothing, whole = bench.unchanged(confirm), float((np.abs(changes) if least is None else changes).mean(1).max())
    told = f"must reach the loss: more than {ALIVE:g} either way" if least is None else f"must be at least {least:g}"
    name, passed = f"all {'ffns' if ' ' in parts[0] else 'heads'} of a layer switched off", whole >= (ALIVE if least is None else least)
    return (
        Control(name="nothing switched off", kind="positive", value=nothing, unit=UNIT, passed=nothing == 0.0, detail="must be 0"),
        Control(name=name, kind="positive", value=whole, unit=UNIT, passed=passed, detail=told),
    )


def by_part(evidence: PartEvidence, parts: Parts, changes: dict[How, np.ndarray], known: np.ndarray) -> dict[str, list[float]]:
    """Each part: its change by mean and by resample, and the 95 % upper bound of either."""
    one, means = replace(evidence, pieces=1), {how: changes[how].mean(1) for how in HOWS}
    bounds = {how: [one.most(changes[how][[place]], known[[place]]) for place in range(len(parts))] for how in HOWS}
    return {part: [*(float(means[how][place]) for how in HOWS), *(bounds[how][place] for how in HOWS)] for place, part in enumerate(parts)}
