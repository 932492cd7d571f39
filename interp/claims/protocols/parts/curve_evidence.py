"""Evidence from curves over depth: single depths beside a baseline, and statistics of whole curves by the cluster bootstrap."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from interp.claims.protocols.finding import sampled_evidence
from interp.claims.protocols.parts.layer_curves import Curve
from interp.claims.verdict import Evidence
from interp.stats.intervals import with_unseen
from interp.stats.power import n_for, power_at
from interp.stats.resampled import Resampled, Statistic, resampled

N_RESAMPLES = 5000


def strongest(candidates: Sequence[tuple[str, Curve, int]]) -> tuple[str, np.ndarray]:
    """The baseline with the most hits where depths are chosen: its name, and its hits where effects are tested, axes (item,).

    Args:
        candidates: name, curve, and depth of it.
    """
    name, curve, depth = max(candidates, key=lambda one: one[1].check[one[2]].mean())
    return name, curve.test[depth]


def one_by_one(
    names: Sequence[str], values: np.ndarray, baseline: np.ndarray, documents: np.ndarray, *, pieces: int, **told: Any
) -> list[Evidence]:
    """Evidence for each of several rows all of which must pass: alone for supporting (no luck helps to pass all), while what refutes one of
    them is at a level that they share.

    Args:
        values, baseline: axes (row, item); a baseline may be one for all, (item,).
        pieces: all that must pass, these rows among them.
        told: what `sampled_evidence` is told besides.
    """
    wide = np.broadcast_to(baseline, values.shape)
    found = []
    for number, name in enumerate(names):
        pair: dict[str, Any] = {"values": values[number : number + 1], "baseline": wide[number : number + 1], "clusters": documents}
        found.append(replace(sampled_evidence(name=name, member=0, pieces=pieces, **pair, **told), family=len(names)))
    return found


class Sums:
    """Hits of several curves by document, as the bootstrap resamples them."""

    def __init__(self, curves: Sequence[np.ndarray], documents: Sequence[np.ndarray]):
        """`curves`: hits, axes (depth, item), one for each task; `documents`: of the items of each."""
        names = np.unique(np.concatenate(documents))
        rows = []
        for hits, of in zip(curves, documents, strict=True):
            place = np.searchsorted(names, of)
            rows += [np.bincount(place, weights=row, minlength=len(names)) for row in (*hits, np.ones(len(of)))]
        self.sums, self.n_items = np.stack(rows), sum(map(len, documents))
        self.ends = np.cumsum([len(hits) + 1 for hits in curves])

    def scores(self, sums: np.ndarray) -> list[np.ndarray]:
        """Sums as accuracies by depth, one for each task, axes (sample, depth); nan where a resample has no item of a task."""
        found = []
        for part in np.split(sums, self.ends[:-1], axis=1):
            counts = part[:, -1:]
            found.append(np.where(counts > 0, part[:, :-1] / np.where(counts > 0, counts, 1), np.nan))
        return found

    def resampled(self, statistic: Statistic, seed: int) -> Resampled:
        """A statistic of `sums`, axes (sample, part), on resamples of the documents."""
        return resampled(self.sums, statistic, n_items=self.n_items, n_resamples=N_RESAMPLES, seed=seed)


def bootstrap_evidence(
    found: Resampled,
    *,
    name: str,
    unit: str,
    baseline: float,
    baseline_name: str,
    smallest_effect: float,
    lowest: float,
    highest: float,
    family: int,
    p_at_least: float = 0.0,
    alpha: float,
) -> Evidence:
    """A resampled statistic against a number, as evidence.

    Args:
        lowest, highest: what the statistic can be; where all resamples are alike, unseen documents could still lead there.
        family: how many such are looked at together: the bound that refutes one is at a level that they share.
        p_at_least: a p of another null that counts too; the larger is told.
    """
    inner = with_unseen(found.interval(0.95), lowest, highest)
    outer = with_unseen(found.interval(1 - 2 * alpha / family), lowest, highest)
    spread = max((inner.high - inner.low) / 2 / 1.96 * found.n_clusters**0.5, 1e-9)
    power = power_at(smallest_effect, sd=spread, n=found.n_clusters, alpha=alpha)
    return Evidence(
        name=name,
        unit=unit,
        estimate=found.estimate,
        baseline=baseline,
        baseline_name=baseline_name,
        effect=found.estimate - baseline,
        low=inner.low - baseline,
        high=inner.high - baseline,
        level=0.95,
        upper=outer.high - baseline,
        smallest_effect=smallest_effect,
        n_items=found.n_items,
        n_clusters=found.n_clusters,
        family=family,
        p_adjusted=max(found.p_above(baseline), p_at_least),
        power=power,
        n_for_power=None if power >= 0.8 else n_for(smallest_effect, sd=spread, power=0.8, alpha=alpha),
        highest=highest,
        upper_level=1 - alpha / family,
    )
