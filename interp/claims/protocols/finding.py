"""What a protocol hands to the judge, and the statistics that sampled protocols share."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from interp.claims.verdict import Badges, Control, Evidence, Outcome, Reason
from interp.core.errors import ClaimError
from interp.stats.equivalence import best_upper_bound
from interp.stats.intervals import cluster_means, cluster_sums, with_unseen
from interp.stats.permutation import sign_flip_max_t
from interp.stats.power import n_for, power_at
from interp.stats.split import split_clusters

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A protocol's result: the verdict's part that does not depend on who asked.

    Attributes:
        data: name -> hash of what was read beside the claim's data, such as a table of published numbers.
    """

    outcome: Outcome
    reason: Reason
    summary: str
    site: str = ""
    badges: Badges
    evidence: tuple[Evidence, ...]
    controls: tuple[Control, ...]
    rows: dict[str, list[float]] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)


def sampled_evidence(
    *,
    name: str,
    unit: str,
    values: np.ndarray,
    baseline: np.ndarray,
    baseline_name: str,
    clusters: np.ndarray,
    member: int,
    smallest_effect: float,
    alpha: float,
    seed: int,
    highest: float | None = None,
    families: int = 1,
    largest: float = 1.0,
    pieces: int = 1,
) -> Evidence:
    """Evidence for one member of a family, paired with a baseline on the same items.

    Power is that of a test at alpha / family: what max-T and the bound of the family leave, at the least.

    Args:
        values: every member's value on every item of the confirmation half, axes (member, item).
        baseline: the baseline's value for each member and item, same axes or (item,).
        clusters: each item's cluster, axes (item,).
        member: the one that was selected elsewhere.
        highest: the most that the estimate can be, where the baseline could leave no room.
        families: how many families like this one are looked at together; the power is for all of them, the p of `sign_flip_max_t` for one.
        largest: the largest difference that an item can have: 1 for shares; for nats ln(vocabulary), from knowing nothing to knowing all.
        pieces: of evidence that must all hold. One of them refutes the claim, so that each one's upper bound is at alpha / pieces: a true
            claim is not refuted the more often, the more is asked of it.
    """
    differences = values - baseline
    levels = (0.95, 1 - 2 * alpha / pieces)
    interval, wide = (with_unseen(one, -largest, largest) for one in cluster_means(differences[member], clusters, levels=levels, seed=seed))
    upper = max(wide.high, best_upper(differences, clusters, alpha=alpha / pieces, largest=largest))
    sums = np.stack([cluster_sums(row, clusters)[0] for row in differences])
    flips = sign_flip_max_t(sums, seed=seed)
    level = alpha / (families * len(values))
    spread = max((interval.high - interval.low) / 2 / 1.96 * interval.n_clusters**0.5, 1e-9)
    power = power_at(float(smallest_effect), sd=float(spread), n=interval.n_clusters, alpha=level)
    return Evidence(
        name=name,
        unit=unit,
        estimate=float(values[member].mean()),
        baseline=float(np.broadcast_to(baseline, values.shape)[member].mean()),
        baseline_name=baseline_name,
        effect=float(interval.estimate),
        low=float(interval.low),
        high=float(interval.high),
        level=0.95,
        upper=float(upper),
        smallest_effect=float(smallest_effect),
        n_items=int(interval.n_items),
        n_clusters=int(interval.n_clusters),
        family=families * len(values),
        p_adjusted=float(flips.p_adjusted[member]),
        p_ties=float(flips.ties[member]),
        power=float(power),
        n_for_power=None if power >= 0.8 else int(n_for(float(smallest_effect), sd=float(spread), power=0.8, alpha=level)),
        highest=highest,
        upper_level=1 - alpha / pieces,
    )


def halves(clusters: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Selection and confirmation mask, by document.

    Raises: ClaimError when a half would hold fewer than two documents.
    """
    n = len(set(clusters.tolist()))
    try:
        choose, confirm = split_clusters(clusters, seed=seed)
    except ValueError as error:
        raise ClaimError(f"the data come from {n} documents, too few to choose on one half and confirm on the other; add texts") from error
    if min(len(set(clusters[half].tolist())) for half in (choose, confirm)) < 2:
        raise ClaimError(f"the data come from {n} documents; expected at least two on each half (and 40 to confirm on): add texts")
    return choose, confirm


def best_upper(values: np.ndarray, clusters: np.ndarray, *, alpha: float, largest: float = 1.0) -> float:
    """Upper bound of the best member's mean over items, whole clusters being what varies. Values: at most `largest`; axes (member, item).

    Each cluster stands for itself by R + (S_c - R N_c) C / N (S_c sum, N_c items, R mean over all N items, C clusters): the mean of
    these is R, and their spread that of a ratio of sums. A member whose clusters are all alike has no spread to go by: see `_unseen`.
    """
    split = [cluster_sums(row, clusters) for row in values]
    sums, counts = np.stack([one for one, _ in split]), split[0][1]
    mean = sums.sum(1, keepdims=True) / counts.sum()
    stand_in = mean + (sums - mean * counts) * (len(counts) / counts.sum())
    alike = mean[stand_in.std(1) < 1e-12]
    unseen = float((alike + _unseen(len(counts), alpha) * (largest - alike)).max()) if alike.size else -np.inf
    return max(best_upper_bound(stand_in, alpha=alpha), unseen)


def _unseen(n_clusters: int, alpha: float) -> float:
    """The largest share of other clusters that n of one kind leave possible, at level alpha (.07 for 40: the rule of three)."""
    return float(1 - alpha ** (1 / n_clusters))
