"""`interp.figure(x)`: the figure that fits a result or a verdict."""

from collections.abc import Callable, Mapping

import numpy as np

from interp.claims.across import Across
from interp.claims.calibration.calibrated import Calibrated
from interp.claims.hierarchy import Hierarchy
from interp.claims.relation_table import RelationTable
from interp.claims.senses_by_layer import SensesByLayer
from interp.claims.verdict import Verdict
from interp.core.errors import DataError
from interp.core.results import DataArray, Dataset
from interp.figures.by_token import layer_map, neuron_map
from interp.figures.calibration import false_positives
from interp.figures.description import Bars, Description, Reference
from interp.figures.figure import Figure
from interp.figures.forest import forest
from interp.figures.from_profile import distance_bars, histogram_bars, label_bars
from interp.figures.from_results import attention_pattern, contribution_bars, curve, expert_map, head_map, pattern_mosaic, token_bars
from interp.figures.from_results import word_lines as lines_between_words
from interp.figures.hierarchy import sense_lines, task_lines
from interp.figures.relations import relation_bars
from interp.figures.stream import depth_map, loss_rows, patch_map, similarity_map

_BY_AXES: Mapping[tuple[str, ...], Callable[[DataArray], Description]] = {
    ("layer", "head"): head_map,
    ("query_pos", "key_pos"): attention_pattern,
    ("layer", "head", "query_pos", "key_pos"): pattern_mosaic,
    ("pos", "expert"): expert_map,
    ("pos", "neuron"): neuron_map,
    ("pos",): token_bars,
    ("component",): contribution_bars,
    ("depth", "pos"): depth_map,
    ("depth", "other_depth"): similarity_map,
    ("layer", "pos"): lambda result: (patch_map if "before" in result.attrs else layer_map)(result),
    ("distance_bin",): distance_bars,
    ("bin",): histogram_bars,
    ("sublayer",): label_bars,
    ("upos",): label_bars,
}


def figure(x: Figure | DataArray | Dataset | Verdict | RelationTable | Across | Calibrated | Hierarchy | SensesByLayer) -> Figure:
    """The figure of a labelled result (head map, pattern, routing, neurons, layers at each token, contributions, curve), of a training, of
    a verdict, of relations, of a claim over models, of an intervention's before and after, of a calibration (its false positives;
    `figures.calibration` has the others), of probes by layer (`figures.hierarchy` has more of them). A figure is given back as it is.

    Raises: DataError for a result with other axes: choose with `.sel` what is to be drawn; for a dataset that is no training: choose one
        of its variables.

    Example:
        >>> import interp
        >>> interp.figure(interp.capture(interp.load(), "The old man").pattern("L0H0")).csv().splitlines()[0].split(",")[0]
        'row_index'
    """
    if isinstance(x, Figure):
        return x
    if isinstance(x, Dataset):
        if "kl" in x:
            return Figure(loss_rows(x))
        from interp.figures.training import training_figure  # matplotlib, half a second

        return training_figure(x)
    if isinstance(x, RelationTable):
        return Figure(relation_bars(x))
    if isinstance(x, Across):
        return Figure(forest(x))
    if isinstance(x, Calibrated):
        return Figure(false_positives(x))
    if isinstance(x, Hierarchy):
        return Figure(task_lines(x))
    if isinstance(x, SensesByLayer):
        return Figure(sense_lines(x))
    return Figure(_verdict(x) if isinstance(x, Verdict) else _result(x))


def word_lines(pattern: DataArray) -> Figure:
    """A head's pattern as lines between the words, for screen and print; of a difference of two heads, in two colours.

    Args: pattern: axes (query_pos, key_pos), as `seen.pattern("L0H0")` gives; a page has room for 88 words: take `.isel` of more.
    Raises: DataError for other axes, or more words.

    Example:
        >>> import interp
        >>> interp.word_lines(interp.capture(interp.load(), "The old man").pattern("L0H0")).alt[:40]
        'Attention, L0H0. Lines between words for'
    """
    return Figure(lines_between_words(pattern))


def _result(result: DataArray) -> Description:
    axes = tuple(str(dim) for dim in result.dims)
    if result.name == "patch_grid":
        return patch_map(result)
    if axes in _BY_AXES:
        return _BY_AXES[axes](result)
    if len(axes) == 1:
        return curve(result)
    drawn = ", ".join("(" + ", ".join(known) + ")" for known in _BY_AXES)
    raise DataError(f"a result with the axes {axes} came; expected {drawn} or a single axis: choose with .sel")


def _verdict(verdict: Verdict) -> Bars:
    """Each piece of evidence with its interval, as a multiple of the smallest effect that matters (or of the tolerance): 1 decides.

    Evidence that is decided at 0 has no such multiple and is left out; the caption says so.

    Raises: DataError for a verdict without evidence that can be drawn.
    """
    evidence = [one for one in verdict.evidence if one.smallest_effect > 0]
    nulls = [control for control in verdict.controls if control.kind == "null"]
    if not evidence:
        raise DataError(f"the verdict on {verdict.claim['id']} ({verdict.outcome}) has no evidence to draw: print it instead")
    left_out = "".join(f" Not drawn, decided at 0: {one.name} {one.effect:+.3g}." for one in verdict.evidence if one.smallest_effect == 0)
    scale = np.array([one.smallest_effect for one in evidence])
    limit = "tolerance" if evidence[0].power is None else "smallest effect of interest"
    return Bars(
        title=f"{verdict.claim['id']}: {verdict.outcome}",
        caption=f"{verdict.claim['statement']} Model {verdict.model}. {verdict.summary} "
        + (f"Null controls: {', '.join(f'{one.name} {one.value:.3f}' for one in nulls)}." if nulls else "")
        + left_out,
        n=evidence[0].n_items,
        labels=[one.name if one.power is None else f"vs {one.baseline_name}" for one in evidence],
        values=np.array([one.effect for one in evidence]) / scale,
        low=np.array([one.low for one in evidence]) / scale,
        high=np.array([one.high for one in evidence]) / scale,
        value_title=f"effect over {limit}",
        reference=Reference(value=1.0, label=limit),
    )
