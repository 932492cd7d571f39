"""The four things that "disambiguation" asks of one way of reading, each as evidence for the one rule (see `disambiguation`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from interp.claims.protocols.finding import best_upper, sampled_evidence
from interp.claims.protocols.parts.curve_evidence import strongest
from interp.claims.protocols.parts.layer_curves import Curve
from interp.claims.rule import passes
from interp.claims.verdict import Evidence
from interp.core.errors import ClaimError

if TYPE_CHECKING:
    from interp.claims.protocols.disambiguation import Disambiguation

SenseAsk = Literal["sublayer_adds", "ffn_rather", "read_at", "resolved_by", "patched"]
FIRST = {"attention": 0, "ffn": 1}  # the sublayer of a layer, of two


@dataclass(frozen=True, kw_only=True)
class SensesRead:
    """What one way of reading made of a model.

    Attributes:
        curve: by state (see `sense_curves`).
        noise: hits after a random step in place of each sublayer's, axes (sublayer, item); None for a twin.
        majority, bag: what needs no model, curves of one depth.
        rivals: the same reader's curves of untrained twins.
        documents: axes (item,).
        exchanged: whether a pair's occurrences are read as the other's sense, see `sense_patching`, and their documents.
    """

    test: "Disambiguation"
    reader: str
    curve: Curve
    noise: np.ndarray | None
    majority: Curve
    bag: Curve
    rivals: Sequence[Curve]
    documents: np.ndarray
    alpha: float
    seed: int
    exchanged: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def layers(self) -> int:
        """The number of layers."""
        return (len(self.curve.test) - 1) // 2

    @property
    def outputs(self) -> Curve:
        """The states before the first layer and after each."""
        return Curve(check=self.curve.check[::2], test=self.curve.test[::2])

    @property
    def best(self) -> int:
        """The state after the best layer, chosen on the selection half."""
        return 2 * self.outputs.best


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One thing that is asked of a reader: evidence that must all pass, one sentence, a layer or ""; family and smallest effect from the
    parameters (and the number of layers), for the plan."""

    evidence: Callable[[SensesRead], list[Evidence]]
    summary: Callable[[SensesRead], str]
    site: Callable[[SensesRead], str]
    family: "Callable[[Disambiguation, int], int]"
    smallest: "Callable[[Disambiguation], float]"
    unit: str


def read_evidence(ours: SensesRead, curve: Curve) -> Evidence:
    """The best layer of a curve over each word's most frequent sense."""
    best = 2 * Curve(check=curve.check[::2], test=curve.test[::2]).best
    return sampled_evidence(
        name=f"sense, {_state(best)}, {ours.reader}", unit="accuracy", values=curve.test[2::2], baseline=ours.majority.test[0],
        baseline_name="the most frequent sense", clusters=ours.documents, member=best // 2 - 1,
        smallest_effect=ours.test.over_majority, alpha=ours.alpha, seed=ours.seed, highest=1.0,
    )  # fmt: skip


def _state(state: int) -> str:
    return "before L0" if state == 0 else f"after {'the attention of ' if state % 2 else ''}L{(state - 1) // 2}"


def _chosen_layer(ours: SensesRead) -> int:
    """The layer whose sublayer raises the accuracy most on the selection half."""
    steps = np.diff(ours.curve.check.mean(1))[_kind(ours) :: 2]
    return int(steps.argmax())


def _kind(ours: SensesRead) -> int:
    assert ours.test.sublayer is not None  # the parameters saw to it
    return FIRST[ours.test.sublayer]


def _sublayer_adds(ours: SensesRead) -> list[Evidence]:
    kind, layer = _kind(ours), _chosen_layer(ours)
    steps = range(kind, 2 * ours.layers, 2)
    after, before = ours.curve.test[[step + 1 for step in steps]], ours.curve.test[list(steps)]
    noise = [] if ours.noise is None else [("a step as long in a random direction", ours.noise[list(steps)])]
    return [
        sampled_evidence(
            name=f"{ours.test.sublayer} of L{layer}, {ours.reader}", unit="accuracy", values=after, baseline=baseline.astype(float),
            baseline_name=name, clusters=ours.documents, member=layer, smallest_effect=ours.test.margin, alpha=ours.alpha,
            seed=ours.seed, highest=1.0, pieces=1 + len(noise),
        )
        for name, baseline in [("before it", before), *noise]
    ]  # fmt: skip


def _ffn_rather(ours: SensesRead) -> list[Evidence]:
    by_attention, by_ffn = _added(ours)
    return [
        sampled_evidence(
            name=f"all FFNs rather than all attentions, {ours.reader}", unit="accuracy", values=by_ffn[None], baseline=by_attention,
            baseline_name="what attention adds", clusters=ours.documents, member=0, smallest_effect=ours.test.margin,
            alpha=ours.alpha, seed=ours.seed, largest=2.0 * ours.layers,
        )
    ]  # fmt: skip


def _added(ours: SensesRead) -> tuple[np.ndarray, np.ndarray]:
    """What all attentions and all FFNs add to each occurrence's hit; together the last state less the first. Axes: (item,)."""
    steps = np.diff(ours.curve.test, axis=0)
    return steps[0::2].sum(0), steps[1::2].sum(0)


def _read_at(ours: SensesRead) -> list[Evidence]:
    named = ours.test.layer
    if named is not None and named >= ours.layers:
        raise ClaimError(f"layer {named} came; this model has layers 0-{ours.layers - 1}")
    member = ours.best // 2 - 1 if named is None else 0
    state = ours.best if named is None else 2 * named + 2
    baseline_name, baseline = _baseline(ours)
    return [
        sampled_evidence(
            name=f"sense, {_state(state)}, {ours.reader}", unit="accuracy",
            values=ours.curve.test[2::2] if named is None else ours.curve.test[state : state + 1], baseline=baseline,
            baseline_name=baseline_name, clusters=ours.documents, member=member, smallest_effect=ours.test.margin,
            alpha=ours.alpha, seed=ours.seed, highest=1.0,
        )
    ]  # fmt: skip


def _baseline(ours: SensesRead) -> tuple[str, np.ndarray]:
    """The strongest of what needs no layer, or no training; chosen on the selection half."""
    state = None if ours.test.layer is None else 2 * ours.test.layer + 2
    twins = [
        (f"untrained twin {number}", rival, state or 2 * Curve(check=rival.check[::2], test=rival.test[::2]).best)
        for number, rival in enumerate(ours.rivals)
    ]
    without = [("the most frequent sense", ours.majority, 0), ("before L0", ours.curve, 0), ("a bag of the other words", ours.bag, 0)]
    return strongest([*without, *twins])


def first_resolved(scores: np.ndarray, best: float, majority: float, within: float, over_majority: float) -> int:
    """The first depth that is within `within` of the best and `over_majority` above the most frequent sense; one more than there are layers
    where none is. To be asked of other items than those that then confirm it: the first of a noisy curve comes too early.

    Args: scores: accuracy by depth, the stream before the first layer first, axes (depth,).

    Example:
        >>> first_resolved(np.array([0.5, 0.7, 0.89, 0.9]), 0.9, 0.5, 0.02, 0.1)
        2
    """
    there = (scores >= best - within - 1e-12) & (scores >= majority + over_majority - 1e-12)
    return int(there.argmax()) if there.any() else len(scores)


def _resolved_by(ours: SensesRead) -> list[Evidence]:
    """The depth that the selection half chose, and that it is as good there as it must be."""
    test, check = ours.test, ours.outputs.check.mean(1)
    best = ours.outputs.best
    first = first_resolved(check, check[best], float(ours.majority.check.mean()), test.within, test.over_majority)
    tests = _tests(ours, first if first <= ours.layers else best, best)
    holds, left, nowhere = all(passes(one, ours.alpha) for one in tests), 1 - first / ours.layers, -1 / ours.layers
    powers = [one.power for one in tests if one.power is not None]
    needed = [one.n_for_power for one in tests if one.n_for_power is not None]
    depth = replace(
        tests[0], name=f"depth left when the sense is resolved, {ours.reader}", unit="of the depth", estimate=left, baseline=0.0,
        baseline_name="resolved after the last layer", effect=left, low=left if holds else nowhere, high=_most_left(ours, 0.025),
        upper=_most_left(ours, ours.alpha), upper_level=1 - ours.alpha, smallest_effect=_depth_left(test), highest=1.0, p_adjusted=None,
        power=min(powers),
        n_for_power=max(needed, default=None),
    )  # fmt: skip
    return [depth, *tests]


def _tests(ours: SensesRead, depth: int, best: int) -> list[Evidence]:
    """A chosen depth over the most frequent sense, and less than `within` below every layer: shown for the one that comes closest to it, as
    the best that was chosen may not be the best (any effect above 0 will do; the power is for a depth as good as that one).

    They refute where all depths up to `by` fail in the same: another one may be resolved where this one is not.
    """
    assert ours.test.by is not None  # the parameters saw to it
    curve, majority = ours.outputs.test, ours.majority.test[0]
    early = curve[: int(ours.test.by * ours.layers + 1e-9) + 1]
    shared: dict[str, Any] = {
        "unit": "accuracy", "values": curve[depth : depth + 1], "clusters": ours.documents, "member": 0, "alpha": ours.alpha,
        "seed": ours.seed, "pieces": 2,
    }  # fmt: skip
    state = _state(2 * depth)
    over = sampled_evidence(
        name=f"sense, {state}, {ours.reader}", baseline=majority, baseline_name="the most frequent sense",
        smallest_effect=ours.test.over_majority, highest=1.0, **shared,
    )  # fmt: skip
    over = replace(over, upper=max(over.upper, best_upper(early - majority, ours.documents, alpha=ours.alpha / 2)))
    rivals = [one for one in range(1, len(curve)) if one != depth]
    rival = max(rivals, key=lambda one: best_upper((curve[one] - curve[depth])[None], ours.documents, alpha=0.025))
    near = sampled_evidence(
        name=f"as good {state} as {_state(2 * rival)}, {ours.reader}", baseline=curve[rival] - ours.test.within,
        smallest_effect=ours.test.within, baseline_name=f"that less {ours.test.within}", largest=1 + ours.test.within, **shared,
    )  # fmt: skip
    behind = early - curve[best] + ours.test.within
    upper = max(near.upper, best_upper(behind, ours.documents, alpha=ours.alpha / 2, largest=1 + ours.test.within))
    return [over, replace(near, upper=upper, smallest_effect=0.0)]


def _most_left(ours: SensesRead, alpha: float) -> float:
    """The share of the depth that is left after the first depth that is not shown to be unresolved.

    Only the first truly resolved depth could be passed over wrongly, in one of two ways: each has half of alpha, and depths share nothing.
    """
    curve, least = ours.outputs.test, ours.outputs.test[ours.outputs.best] - ours.test.within
    for depth, hits in enumerate(curve):
        over = best_upper((hits - ours.majority.test[0])[None], ours.documents, alpha=alpha / 2)
        near = best_upper((hits - least)[None], ours.documents, alpha=alpha / 2, largest=1 + ours.test.within)
        if over >= ours.test.over_majority and near >= 0:
            return 1 - depth / ours.layers
    return -1 / ours.layers


def _depth_left(test: "Disambiguation") -> float:
    """What must be left of the depth, less the rounding of thirds."""
    assert test.by is not None  # the parameters saw to it
    return 1 - test.by - 1e-9


def _patched(ours: SensesRead) -> list[Evidence]:
    """How much more often the other's sense is read with its state at the word: than with nothing replaced, and at another word."""
    hits = {name: ours.exchanged[f"{ours.reader} {name}"].astype(float) for name in ("patched", "untouched", "elsewhere")}
    return [
        sampled_evidence(
            name=f"read as the other sense with {_replaced(ours)}, {ours.reader}", unit="of the pairs", values=hits["patched"][None],
            baseline=hits[name][None], baseline_name=told, clusters=ours.exchanged["documents"], member=0,
            smallest_effect=ours.test.margin, alpha=ours.alpha, seed=ours.seed, highest=1.0, pieces=2,
        )
        for name, told in (("untouched", "nothing replaced"), ("elsewhere", "the same at another word"))
    ]  # fmt: skip


def _replaced(ours: SensesRead) -> str:
    if ours.test.sublayer is None:
        return f"the stream after L{ours.test.patched_after(ours.layers)} from there"
    return f"what all {ours.test.sublayer} sublayers add from there"


def _told_patched(ours: SensesRead) -> str:
    patched, untouched, elsewhere = (
        float(ours.exchanged[f"{ours.reader} {name}"].mean()) for name in ("patched", "untouched", "elsewhere")
    )
    return (
        f"{_told(ours)} With {_replaced(ours)} at the word, {patched:.3f} are read as the other sense in the end; {untouched:.3f} "
        f"with nothing replaced, {elsewhere:.3f} with the same at another word."
    )


def _told(ours: SensesRead) -> str:
    scores = ours.curve.test.mean(1)
    return (
        f"Sense by the {ours.reader} reader: {scores[0]:.3f} before L0, best {_state(ours.best)} ({scores[ours.best]:.3f}), "
        f"{scores[-1]:.3f} at the end; most frequent sense {ours.majority.test.mean():.3f}, bag of words {ours.bag.test.mean():.3f}."
    )


def _told_added(ours: SensesRead) -> str:
    by_attention, by_ffn = (float(one.mean()) for one in _added(ours))
    return f"{_told(ours)} Of the rise, attention adds {by_attention:+.3f} and the FFNs {by_ffn:+.3f}."


def _margin(test: "Disambiguation") -> float:
    return test.margin


def _best_site(ours: SensesRead) -> str:
    return f"L{ours.best // 2 - 1 if ours.test.layer is None else ours.test.layer}"


SENSE_ASKS: dict[SenseAsk, Ask] = {
    "sublayer_adds": Ask(
        evidence=_sublayer_adds, summary=_told_added, site=lambda ours: f"L{_chosen_layer(ours)}", family=lambda test, layers: layers,
        smallest=_margin, unit="accuracy",
    ),
    "ffn_rather": Ask(
        evidence=_ffn_rather, summary=_told_added, site=lambda ours: "", family=lambda test, layers: 1, smallest=_margin, unit="accuracy"
    ),
    "read_at": Ask(
        evidence=_read_at, summary=_told, site=_best_site, family=lambda test, layers: layers if test.layer is None else 1,
        smallest=_margin, unit="accuracy",
    ),
    "patched": Ask(
        evidence=_patched, summary=_told_patched,
        site=lambda ours: f"L{ours.test.patched_after(ours.layers)}" if ours.test.sublayer is None else "",
        family=lambda test, layers: 1, smallest=_margin, unit="of the pairs",
    ),
    "resolved_by": Ask(
        evidence=_resolved_by, summary=_told, site=lambda ours: "", family=lambda test, layers: 1, smallest=_depth_left,
        unit="of the depth",
    ),
}  # fmt: skip
