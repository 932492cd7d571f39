"""The five things that "layer_probe" asks of curves over depth, each as evidence for the one rule (see `layer_probe` for the design)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from interp.claims.protocols.finding import sampled_evidence
from interp.claims.protocols.parts.curve_evidence import Sums, bootstrap_evidence, one_by_one, strongest
from interp.claims.protocols.parts.layer_curves import Curve, Probed
from interp.claims.verdict import Evidence
from interp.core.errors import ClaimError
from interp.stats.expected_layer import expected_layer, gain_within
from interp.stats.intervals import cluster_sums
from interp.stats.layer_clusters import layer_clusters
from interp.stats.order import order_agreement, order_p

if TYPE_CHECKING:
    from interp.claims.protocols.layer_probe import LayerProbe

Asked = Literal["some_layer", "each_layer", "last_layer", "order", "band"]
ENOUGH_FOR_TAU = 4  # of four tasks one order in 24 is .042


@dataclass(frozen=True, kw_only=True)
class Ours:
    """What is judged: the curves of one model, beside those of its rivals.

    Attributes:
        curves: of each task.
        rivals: the same of untrained twins.
        control: hits on the control task, by task, axes (depth, item); empty for a twin.
    """

    test: "LayerProbe"
    tasks: Mapping[str, Probed]
    curves: Mapping[str, Curve]
    rivals: Sequence[Mapping[str, Curve]]
    control: Mapping[str, np.ndarray]
    alpha: float
    seed: int

    def of(self, twin: Mapping[str, Curve], others: Sequence[Mapping[str, Curve]]) -> "Ours":
        """The same question to an untrained twin, without its control task: it is then all the easier to pass for what must not."""
        return replace(self, curves=twin, rivals=others, control={})

    @property
    def name(self) -> str:
        """The one task, or the first."""
        return self.test.tasks[0]

    @property
    def by_heart(self) -> list[np.ndarray]:
        """Hits on the one task's control task, where it was run."""
        return [self.control[self.name]] if self.control else []

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.curves[self.name].test) - 1


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One thing that is asked.

    Attributes:
        evidence: that must all pass.
        summary: one sentence.
        site: a layer that was selected, or "".
        family, unit: what is looked at together, and in which unit, from the parameters (and the number of layers).
        rises: it speaks of a rise, which each task must have.
    """

    evidence: Callable[[Ours], list[Evidence]]
    summary: Callable[[Ours, Sequence[Evidence]], str]
    site: Callable[[Ours], str]
    family: "Callable[[LayerProbe, int], int]"
    unit: "Callable[[LayerProbe], str]"
    rises: bool


def gain_evidence(ours: Ours, name: str, curve: Curve) -> Evidence:
    """The best depth of a curve over the stream before the first layer."""
    return sampled_evidence(
        name=f"{name}, {_layer(curve.best)}", unit="accuracy", values=curve.test[1:], baseline=curve.test[0],
        baseline_name="before the first layer", clusters=ours.tasks[name].documents, member=curve.best - 1,
        smallest_effect=ours.test.gain, alpha=ours.alpha, seed=ours.seed,
    )  # fmt: skip


def _layer(depth: int) -> str:
    return f"after L{depth - 1}"


def _baseline(ours: Ours) -> tuple[str, np.ndarray]:
    """The strongest of what needs no layer, or no training; chosen on the selection half."""
    curve = ours.curves[ours.name]
    candidates = [("the stream before the first layer", curve, 0), ("the form's most frequent label", ours.tasks[ours.name].form(), 0)]
    rivals = [(f"untrained twin {number}", rival[ours.name], rival[ours.name].best) for number, rival in enumerate(ours.rivals)]
    return strongest([*candidates, *rivals])


def _some_layer(ours: Ours) -> list[Evidence]:
    curve, (baseline_name, baseline) = ours.curves[ours.name], _baseline(ours)
    shared: dict[str, Any] = {
        "unit": "accuracy", "values": curve.test[1:], "clusters": ours.tasks[ours.name].documents, "member": curve.best - 1,
        "alpha": ours.alpha, "seed": ours.seed, "highest": 1.0, "pieces": 1 + len(ours.by_heart),
    }  # fmt: skip
    what = f"{ours.name}, {_layer(curve.best)}"
    gain = sampled_evidence(name=what, baseline=baseline, baseline_name=baseline_name, smallest_effect=ours.test.margin, **shared)
    selective = [
        sampled_evidence(
            name=f"{what}, selectivity", baseline=by_heart[1:], baseline_name="a random label for each word type",
            smallest_effect=ours.test.selectivity, **shared,
        )
        for by_heart in ours.by_heart
    ]  # fmt: skip
    return [gain, *selective]


def _each_layer(ours: Ours) -> list[Evidence]:
    curve, (baseline_name, baseline) = ours.curves[ours.name], _baseline(ours)
    names = [f"{ours.name}, {_layer(depth)}" for depth in range(1, ours.depth + 1)]
    shared: dict[str, Any] = {
        "unit": "accuracy", "values": curve.test[1:], "documents": ours.tasks[ours.name].documents, "alpha": ours.alpha,
        "seed": ours.seed, "highest": 1.0, "pieces": (1 + len(ours.by_heart)) * ours.depth,
    }  # fmt: skip
    gains = one_by_one(names, baseline=baseline, baseline_name=baseline_name, smallest_effect=ours.test.margin, **shared)
    told: dict[str, Any] = {"baseline_name": "a random label for each word type", "smallest_effect": ours.test.selectivity, **shared}
    selective = [one_by_one([f"{name}, selectivity" for name in names], baseline=by_heart[1:], **told) for by_heart in ours.by_heart]
    return [*gains, *(one for each in selective for one in each)]


def _last_layer(ours: Ours) -> list[Evidence]:
    curve = ours.curves[ours.name]
    rival = int(curve.check[:-1].mean(1).argmax())
    others = [rival, *(depth for depth in range(ours.depth) if depth != rival)]
    told = ["before L0" if depth == 0 else _layer(depth) for depth in others]
    return one_by_one(
        [f"{ours.name}, the last layer rather than {one}" for one in told], np.broadcast_to(curve.test[-1], curve.test[others].shape),
        curve.test[others], ours.tasks[ours.name].documents, pieces=len(others), unit="accuracy", baseline_name="the other layer",
        smallest_effect=ours.test.margin, alpha=ours.alpha, seed=ours.seed,
    )  # fmt: skip


def _sums(ours: Ours) -> Sums:
    names = ours.test.tasks
    return Sums([ours.curves[name].so_far for name in names], [ours.tasks[name].documents for name in names])


def expected_layers(ours: Ours) -> np.ndarray:
    """The expected layer of each task, in layers from 1; nan for one without a rise. Axes: (task,)."""
    return np.array([expected_layer(ours.curves[name].so_far.mean(1)) for name in ours.test.tasks]).astype(float)


def _order(ours: Ours) -> list[Evidence]:
    if not np.isfinite(expected_layers(ours)).all():
        return []
    sums = _sums(ours)

    def layers(drawn: np.ndarray) -> np.ndarray:
        return np.stack([expected_layer(scores) for scores in sums.scores(drawn)], axis=-1)

    if len(ours.test.tasks) >= ENOUGH_FOR_TAU:
        found = sums.resampled(lambda drawn: order_agreement(layers(drawn)), ours.seed)
        return [
            bootstrap_evidence(
                found, name="agreement with the claimed order", unit="tau", baseline=0.0, baseline_name="no order",
                smallest_effect=ours.test.margin, lowest=-1.0, highest=1.0, family=1, p_at_least=order_p(expected_layers(ours)),
                alpha=ours.alpha,
            )
        ]  # fmt: skip
    return [_neighbours(ours, sums, layers, place) for place in range(len(ours.test.tasks) - 1)]


def _neighbours(ours: Ours, sums: Sums, layers: Callable[[np.ndarray], np.ndarray], place: int) -> Evidence:
    """How much later the next task arises than this one."""

    def later(drawn: np.ndarray) -> np.ndarray:
        found = layers(drawn)
        return (found[:, place + 1] - found[:, place]) / ours.depth

    first, second = ours.test.tasks[place : place + 2]
    return bootstrap_evidence(
        sums.resampled(later, ours.seed), name=f"{second} later than {first}", unit="of the depth", baseline=0.0,
        baseline_name="at the same depth", smallest_effect=ours.test.margin, lowest=-1.0, highest=1.0, family=len(ours.test.tasks) - 1,
        alpha=ours.alpha,
    )  # fmt: skip


def band_depths(band: tuple[float, float], depth: int) -> list[int]:
    """The depths of a band, from 1: above its first share of the depth, up to its second.

    Raises: ClaimError for a band in which no layer of this model ends.

    Example:
        >>> band_depths((0.0, 0.5), 6)
        [1, 2, 3]
    """
    found = [one for one in range(1, depth + 1) if band[0] + 1e-9 < one / depth <= band[1] + 1e-9]
    if not found:
        raise ClaimError(f"band {band} came; expected one in which at least one of {depth} layers ends")
    return found


def _band(ours: Ours) -> list[Evidence]:
    assert ours.test.band is not None  # the parameters saw to it
    depths = band_depths(ours.test.band, ours.depth)
    sums, even = _sums(ours), len(depths) / ours.depth
    found = sums.resampled(lambda drawn: gain_within(sums.scores(drawn)[0], depths), ours.seed)
    if not np.isfinite(found.estimate):
        return []
    return [
        bootstrap_evidence(
            found, name=f"{ours.name}, rise after L{depths[0] - 1} to L{depths[-1] - 1}", unit="of the rise", baseline=even,
            baseline_name="an even rise", smallest_effect=max(ours.test.margin, ours.test.at_least - even), lowest=0.0, highest=1.0,
            family=1, alpha=ours.alpha,
        )
    ]  # fmt: skip


def _told_best(ours: Ours, evidence: Sequence[Evidence]) -> str:
    """The best layer, and the stretches of layers that are above the baseline together."""
    curve, (baseline_name, baseline) = ours.curves[ours.name], _baseline(ours)
    differences = np.stack([cluster_sums(row - baseline, ours.tasks[ours.name].documents)[0] for row in curve.test[1:]])
    found = [one for one in layer_clusters(differences, seed=ours.seed) if one.p < ours.alpha]
    told = " and ".join(f"from L{one.first} to L{one.last} (p = {one.p:.2g})" for one in found) or "nowhere"
    return (
        f"{ours.name} is read best {_layer(curve.best)}: {curve.test[curve.best].mean():.3f}, {baseline_name} {baseline.mean():.3f}; "
        f"above that as a stretch {told}."
    )


def _told_last(ours: Ours, evidence: Sequence[Evidence]) -> str:
    curve = ours.curves[ours.name]
    best = int(curve.check.mean(1).argmax())
    where = _layer(best) if best else "before the first layer"
    return f"{ours.name} is read best {where}: {curve.test[best].mean():.3f}; after the last layer {curve.test[-1].mean():.3f}."


def _told_rise(ours: Ours, evidence: Sequence[Evidence]) -> str:
    layers = zip(ours.test.tasks, expected_layers(ours), strict=True)
    told = ", ".join(f"{name} {'nowhere' if np.isnan(layer) else f'{layer:.2f}'}" for name, layer in layers)
    return f"Expected layers, of {ours.depth} counted from 1: {told}."


def _n_pairs(test: "LayerProbe", depth: int) -> int:
    return 1 if len(test.tasks) >= ENOUGH_FOR_TAU else len(test.tasks) - 1


def _best_site(ours: Ours) -> str:
    return f"L{ours.curves[ours.name].best - 1}"


def _accuracy(test: "LayerProbe") -> str:
    return "accuracy"


ASKS: dict[Asked, Ask] = {
    "some_layer": Ask(
        evidence=_some_layer, summary=_told_best, site=_best_site, family=lambda test, depth: depth, unit=_accuracy, rises=False
    ),
    "each_layer": Ask(
        evidence=_each_layer, summary=_told_best, site=lambda ours: "", family=lambda test, depth: depth, unit=_accuracy, rises=False
    ),
    "last_layer": Ask(
        evidence=_last_layer, summary=_told_last, site=lambda ours: "", family=lambda test, depth: depth, unit=_accuracy, rises=False
    ),
    "order": Ask(
        evidence=_order, summary=_told_rise, site=lambda ours: "", family=_n_pairs,
        unit=lambda test: "tau" if len(test.tasks) >= ENOUGH_FOR_TAU else "of the depth", rises=True,
    ),
    "band": Ask(
        evidence=_band, summary=_told_rise, site=lambda ours: "", family=lambda test, depth: 1, unit=lambda test: "of the rise", rises=True
    ),
}  # fmt: skip
