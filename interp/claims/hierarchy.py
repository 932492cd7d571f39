"""In which order do tasks arise over the layers? Probes for several tasks at once, as labelled results, with the test of the order.

All of it is the protocol "layer_probe" (`protocols.layer_probe`, where the design, the controls and the sources stand): its words, its two
halves of the documents, its twins. Here its curves are handed on with intervals, which a verdict has no room for:

    accuracy            of the probe at each depth, on documents that it was not fitted on
    control_accuracy    the same probe on the control task: a random label for each word type; of senses, the senses exchanged
    selectivity         the one less the other
    untrained           mean accuracy over the untrained twins
    expected_layer      the mean depth of the rise, of the best layer so far (chosen on the other half); Tenney et al. (2019)
    centre_of_gravity   the mean depth, weighted by selectivity where it is above 0: where the task can be read, not where it arises

Intervals are 95 % over documents. A task that is read nowhere better than before the first layer (`rises`) has no expected layer that
means anything. What none of it tells: that the model uses what a probe reads.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import verdict_of
from interp.claims.protocols import layer_probe
from interp.claims.protocols.layer_probe import LayerProbe, Looked
from interp.claims.protocols.parts.curve_evidence import Sums
from interp.claims.protocols.parts.layer_asks import ENOUGH_FOR_TAU, Ours
from interp.claims.protocols.parts.probe_tasks import TaskName
from interp.claims.protocols.protocol import Case
from interp.claims.stages import Stages
from interp.claims.tested_on import Data, examples_for
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, labelled
from interp.models.model import Model
from interp.stats.expected_layer import SOURCE, centre_of_gravity, expected_layer
from interp.stats.intervals import cluster_mean, with_unseen

TASKS: tuple[TaskName, ...] = ("upos", "chunk", "head_distance", "deprel")
N_ITEMS, N_UNTRAINED = 1500, 5
MARGIN, MARGIN_SOURCE = 0.6, "ours; of five pairs of tasks four stand as claimed"
SHARE, SHARE_SOURCE = 0.1, "ours; a tenth of the depth"
ACCURACY, ACCURACY_SOURCE = 0.02, "ours; two points of accuracy"
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """Probes by layer, and what they say of the order.

    Attributes:
        probes: the variables of this module's docstring, axes (task, depth) and (task,), with "_low" and "_high" beside those that have
            intervals; `rises`, `n_items`, `n_documents`, `form_accuracy` (the form's most frequent label) by task.
        verdict: that the tasks arise in the order in which they were named; of a single task, that some layer reads it.
        elapsed_s: seconds for all of it.
    """

    probes: Dataset
    verdict: Verdict
    elapsed_s: float

    @property
    def tasks(self) -> list[str]:
        """Their names, in the order that was asked for."""
        return [str(task) for task in self.probes.task.values]

    def __str__(self) -> str:
        """A line for each task, then the verdict."""
        head = f"{'task':14} {'best':>5} {'accuracy':>8} {'control':>8} {'expected layer':>24} {'centre':>7} {'n':>6}"
        return "\n".join([head, *map(self._line, self.tasks), "", str(self.verdict)])

    def _line(self, task: str) -> str:
        one = self.probes.sel(task=task)
        best = int(np.argmax(one.accuracy.values))
        rise = f"{float(one.expected_layer):.2f} [{float(one.expected_layer_low):.2f}, {float(one.expected_layer_high):.2f}]"
        told = rise if bool(one.rises) else "no rise"
        numbers = (
            f"{float(one.accuracy[best]):8.3f} {float(one.control_accuracy[best]):8.3f} {told:>24} {float(one.centre_of_gravity):7.2f}"
        )
        return f"{task:14} {best:5} {numbers} {int(one.n_items):6}"


def hierarchy(
    model: Model,
    data: Data,
    *,
    tasks: Sequence[str] = TASKS,
    n_items: int = N_ITEMS,
    n_untrained: int = N_UNTRAINED,
    seed: int = 0,
    stages: Stages | None = None,
    progress: Callable[[str], None] | None = None,
) -> Hierarchy:
    """Probes by layer for several tasks, with the test that they arise in the order in which they are named.

    Args:
        model: from `interp.load`; a decoder or an encoder of two layers or more.
        data: a .conllu treebank, its sentences, a folder of CoarseWSD-20 (for the senses alone), or "grammar" for generated sentences.
        tasks: of `probe_tasks`: upos, chunk, head_distance, deprel, sense; in the order that is claimed.
        n_items: words drawn.
        n_untrained: untrained twins, 5 or more.
        seed: of the draw, the split and the resamples.
        stages: keeps the finished parts, so that a run that was stopped goes on behind them.
        progress: called with what is being done.
    Raises: ClaimError for an unknown task, one that the data do not mark, a model with one layer or an encoder-decoder, too few documents.

    Example:
        >>> import interp
        >>> found = interp.hierarchy(interp.load(), "en_ewt-ud-test.conllu")  # doctest: +SKIP
        >>> found.probes["selectivity"].sel(task="deprel").argmax()  # doctest: +SKIP
    """
    began = time.perf_counter()
    claim = _claim(tasks, n_items, n_untrained)
    if outside := claim.why_not(model):
        raise ClaimError(f"{model.name} {outside}")
    model.require("capture")
    examples, hashes = examples_for(claim, model, data)
    assert isinstance(claim.test, LayerProbe)
    case = Case[LayerProbe](
        id=claim.id, test=claim.test, alpha=claim.alpha, model=model, examples=examples, seed=seed,
        tell=progress or (lambda what: None), stages=stages or Stages(),
    )  # fmt: skip
    looked = layer_probe.look(case)
    case.tell("intervals over documents")
    made = Provenance(model=model.name, fingerprint=model.fingerprint, data=hashes["sentences"], seed=seed)
    probes = _probes(looked, made).assign_attrs(data=hashes["name"], n_layers=model.anatomy.n_layers)
    finding, elapsed_s = layer_probe.found_on(looked), time.perf_counter() - began
    verdict = verdict_of(claim, model, finding, hashes, seed=seed, elapsed_s=elapsed_s)
    return Hierarchy(probes=probes, verdict=verdict, elapsed_s=elapsed_s)


def why_not(model: Model) -> str:
    """Why there is no such hierarchy of a model, as the rest of a sentence on it; "" where there is."""
    return _claim(TASKS, N_ITEMS, N_UNTRAINED).why_not(model)


def _claim(tasks: Sequence[str], n_items: int, n_untrained: int) -> Claim:
    """The claim that is tested beside the curves."""
    unknown = [task for task in tasks if task not in get_args(TaskName)]
    if unknown or not tasks:
        raise ClaimError(f"tasks {list(tasks)} came; expected one or more of: {', '.join(get_args(TaskName))}")
    if len(tasks) == 1:
        asks, margin, source = "some_layer", ACCURACY, ACCURACY_SOURCE
    else:
        asks, (margin, source) = "order", (MARGIN, MARGIN_SOURCE) if len(tasks) >= ENOUGH_FOR_TAU else (SHARE, SHARE_SOURCE)
    said = f"The tasks arise in this order: {', '.join(tasks)}." if len(tasks) > 1 else f"Some layer reads {tasks[0]}."
    test = {"protocol": "layer_probe", "asks": asks, "tasks": list(tasks), "margin": margin, "margin_source": source}
    fields = {
        "id": f"hierarchy:{','.join(tasks)}", "statement": said, "kind": ["obs"], "quantifier": "order" if len(tasks) > 1 else "some",
        "scope": "every transformer of one stack and several layers, on the language of the data",
        "test": {**test, "n_items": n_items, "n_untrained": n_untrained},
        "does_not_show": "that the model uses what a probe reads, nor that another probe would find the same order.",
    }  # fmt: skip
    return parse_claim(fields, f"hierarchy(tasks={list(tasks)})")


def _probes(looked: Looked, made: Provenance) -> Dataset:
    ours = looked.ours
    names: list[str] = list(ours.test.tasks)
    by_depth = [_by_depth(ours, name) for name in names]
    by_task = [_by_task(ours, name) for name in names]
    found = {name: _labelled(np.stack([one[name] for one in by_depth]), ["task", "depth"], name, names, made) for name in by_depth[0]}
    found |= {name: _labelled(np.array([one[name] for one in by_task]), ["task"], name, names, made) for name in by_task[0]}
    return Dataset(found)


_ABOUT: dict[str, tuple[str, str, str]] = {
    "accuracy": ("accuracy of a linear probe", "share of words", ""),
    "control_accuracy": ("accuracy on the control task", "share of words", "Hewitt & Liang (2019), control tasks"),
    "selectivity": ("selectivity: accuracy over the control task", "share of words", "Hewitt & Liang (2019), control tasks"),
    "untrained": ("accuracy in untrained twins", "share of words", ""),
    "expected_layer": ("expected layer of the rise", "layers", SOURCE),
    "centre_of_gravity": ("centre of gravity of the selectivity", "layers", SOURCE),
    "rises": ("read above the stream before the first layer", "1", ""),
    "form_accuracy": ("accuracy of the form's most frequent label", "share of words", ""),
    "n_items": ("words that were tested", "words", ""),
    "n_documents": ("documents that they are from", "documents", ""),
}


def _labelled(values: np.ndarray, dims: list[str], name: str, tasks: list[str], made: Provenance) -> DataArray:
    stem, _, end = name.rpartition("_") if name.endswith(("_low", "_high")) else (name, "", "")
    long_name, units, source = _ABOUT[stem]
    told = f"{long_name}, {end} end of its interval" if end else long_name
    return labelled(values, dims, name=name, long_name=told, units=units, source=source, provenance=made, coords={"task": tasks})


def _by_depth(ours: Ours, name: str) -> dict[str, np.ndarray]:
    """What there is at each depth, with intervals; axes (depth,)."""
    hits, control, documents = ours.curves[name].test, ours.control[name], ours.tasks[name].documents
    untrained = np.mean([rival[name].test.mean(1) for rival in ours.rivals], axis=0)
    return {
        **with_intervals("accuracy", hits, documents, 0.0, ours.seed),
        "control_accuracy": control.mean(1),
        **with_intervals("selectivity", hits - control, documents, -1.0, ours.seed),
        "untrained": untrained,
    }


def with_intervals(name: str, values: np.ndarray, documents: np.ndarray, lowest: float, seed: int) -> dict[str, np.ndarray]:
    """Means with their intervals. Args: values: axes (row, item), from `lowest` to 1."""
    found = [with_unseen(cluster_mean(row, documents, level=LEVEL, seed=seed), lowest, 1.0) for row in values]
    ends = {f"{name}_low": [one.low for one in found], f"{name}_high": [one.high for one in found]}
    return {name: np.array([one.estimate for one in found]), **{end: np.array(each) for end, each in ends.items()}}


def _by_task(ours: Ours, name: str) -> dict[str, Any]:
    """What there is for a task as a whole."""
    curve, task = ours.curves[name], ours.tasks[name]
    rise = Sums([curve.so_far], [task.documents])
    read = Sums([curve.test, ours.control[name]], [task.documents, task.documents])
    return {
        **_over_documents("expected_layer", rise, lambda scores: expected_layer(scores[0]), ours.seed),
        **_over_documents("centre_of_gravity", read, lambda scores: centre_of_gravity(np.maximum(scores[0] - scores[1], 0)), ours.seed),
        "rises": layer_probe.readable(ours, name).passed,
        "form_accuracy": float(task.form().test.mean()),
        "n_items": len(task.documents),
        "n_documents": len(set(task.documents.tolist())),
    }


def _over_documents(name: str, sums: Sums, of: Callable[[list[np.ndarray]], np.ndarray], seed: int) -> dict[str, float]:
    """A statistic of accuracies by depth with its interval; nan where it has none."""
    found = sums.resampled(lambda drawn: of(sums.scores(drawn)), seed)
    if not np.isfinite(found.estimate) or not len(found.samples):
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    interval = found.interval(LEVEL)
    return {name: found.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
