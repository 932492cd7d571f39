"""Evidence on parts that were switched off: one part, most of them, a set and its sum. Nats per token, documents as clusters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from interp.claims.protocols.finding import best_upper, sampled_evidence
from interp.claims.protocols.parts.without_parts import Bench, How, Parts
from interp.claims.verdict import Control, Evidence
from interp.stats.intervals import cluster_sums

UNIT = "nats per token"


@dataclass(frozen=True, kw_only=True)
class PartEvidence:
    """How changes of texts become evidence. `documents`: each text's cluster, axes (text,); `nats`: the smallest effect that matters."""

    documents: np.ndarray
    nats: float
    alpha: float
    seed: int
    d_vocab: int

    def of(
        self,
        name: str,
        values: np.ndarray,
        baseline: np.ndarray | None = None,
        baseline_name: str = "nothing switched off",
        member: int = 0,
    ) -> Evidence:
        """One member of a family against a baseline, both by axes (member, text)."""
        return sampled_evidence(
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
        )

    def bound(self, values: np.ndarray) -> float:
        """Upper bound of the largest mean of some parts. Axes: (part, text)."""
        return best_upper(values, self.documents, alpha=self.alpha, largest=log(self.d_vocab))


def most_do_not(evidence: PartEvidence, changes: np.ndarray, order: Sequence[int], n: int, how: How) -> Evidence:
    """That `n` parts change less than what matters: the room below it of the one that is furthest from showing it.

    Args:
        changes: on the confirmation half, axes (part, text).
        order: the parts by their change on the selection half, the smallest first; the first n of them must have room.
    Returns: evidence that passes where all of them lie below, and whose upper bound is below 0 where so many others that n cannot be
        reached lie above; its power is that of seeing the room of a part that changes nothing.
    """
    room, must, others = evidence.nats - changes, list(order[:n]), list(order[n - 1 :])
    furthest = min(must, key=lambda part: _t(room[part], evidence.documents))
    told = evidence.of(f"room of the last of {n} below {evidence.nats} ({how})", room[[furthest]], None, "no room")
    return replace(told, smallest_effect=0.0, upper90=evidence.bound(room[others]))


def _t(values: np.ndarray, documents: np.ndarray) -> float:
    """The mean in standard errors between documents; without spread as large as its sign."""
    sums, counts = cluster_sums(values, documents)
    mean = sums.sum() / counts.sum()
    error = np.sqrt(((sums - mean * counts) ** 2).sum()) / counts.sum()
    return float(mean / max(error, 1e-12))


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
    return Control(name=name, kind="null", value=share, unit="of the draws", passed=share >= 0.95, detail="at least 0.95 of them")
