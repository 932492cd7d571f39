"""Which statistics a run can keep, by name: one line for each reducer.

`statistics=("heads", "neurons", "entropy")` names groups of this table and single head statistics. Asked for nothing, a run keeps the
groups of `by_default` that the model allows and says what it leaves out; what costs much time or room (an unembedding at every depth,
examples of every neuron) or needs annotated texts is kept when it is named.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from interp.captures.corpus.attribution import DirectLogits
from interp.captures.corpus.depth import LensLoss, StreamRank
from interp.captures.corpus.experts import ExpertLabels, ExpertLoad, ExpertTokens
from interp.captures.corpus.fired import rests_on
from interp.captures.corpus.from_weights import neuron_promoted, vocabulary, writes
from interp.captures.corpus.head_examples import DecileExamples, InductionProfile
from interp.captures.corpus.heads import HeadMeans
from interp.captures.corpus.labels import lemmas, places, upos
from interp.captures.corpus.neuron_examples import NeuronExamples
from interp.captures.corpus.neuron_labels import NeuronLabels
from interp.captures.corpus.neurons import NeuronHistogram, NeuronMoments
from interp.captures.corpus.received import ArgmaxHits, DistanceHistogram, KeyMass, MostAttendedKeys, marks
from interp.captures.corpus.reducer import Reducer
from interp.captures.corpus.relations import Relations
from interp.captures.corpus.residual import SublayerWrites
from interp.captures.corpus.stream import WHAT, cannot_stream
from interp.core.errors import DataError, ModelUnsupported
from interp.measures.head_statistics import HEAD_STATISTICS, head_statistic_named
from interp.models.model import Model

# Relations of Universal Dependencies whose two ends are words that mean something or belong to one.
RELATIONS = ("nsubj", "obj", "iobj", "obl", "nmod", "amod", "advmod", "det", "case", "aux", "mark", "conj", "compound", "xcomp", "ccomp")
ATLAS = "atlas"
BY_LEMMA = "neurons_by_lemma"
HITS = ("previous", "next", "first", "self", "duplicate", "induction")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Statistics that one reducer gives.

    Attributes:
        make: the reducer for a model.
        feature: what a model must have for it, as `cannot_stream` and self-checks call it.
        by_default: kept when nothing is asked for.
        rare: most models have no such part, so that its absence is not told.
        annotated: only texts with words and parts of speech have it, as of a treebank.
    """

    make: Callable[[Model], Reducer]
    feature: str
    by_default: bool = False
    rare: bool = False
    annotated: bool = False


GROUPS: Mapping[str, Group] = {
    "heads": Group(make=lambda model: HeadMeans(), feature="patterns", by_default=True),
    "neurons": Group(make=lambda model: NeuronMoments(), feature="neurons", by_default=True),
    "residual": Group(make=SublayerWrites, feature="stream", by_default=True),
    "experts": Group(make=ExpertLoad, feature="experts", by_default=True, rare=True),
    "induction_profile": Group(make=lambda model: InductionProfile(), feature="patterns"),
    "distances": Group(make=lambda model: DistanceHistogram(), feature="patterns"),
    "hits": Group(make=lambda model: ArgmaxHits(HITS), feature="patterns"),
    "most_attended": Group(make=lambda model: MostAttendedKeys(model.anatomy.d_vocab), feature="patterns"),
    "mass_by_mark": Group(make=lambda model: KeyMass(marks()), feature="patterns"),
    "mass_by_upos": Group(make=lambda model: KeyMass(upos()), feature="patterns", annotated=True),
    "relations": Group(make=lambda model: Relations(RELATIONS), feature="patterns", annotated=True),
    "previous_examples": Group(make=lambda model: DecileExamples("previous"), feature="patterns"),
    "induction_examples": Group(make=lambda model: DecileExamples("induction"), feature="patterns"),
    "neuron_histograms": Group(make=lambda model: NeuronHistogram(), feature="neurons"),
    "neuron_examples": Group(make=NeuronExamples, feature="neurons"),
    "neurons_by_upos": Group(make=lambda model: NeuronLabels(upos()), feature="neurons", annotated=True),
    # Which lemmas, the texts say: `reducers` is told. "" is none, for a look at what the model allows.
    BY_LEMMA: Group(make=lambda model: NeuronLabels(lemmas([""])), feature="neurons", annotated=True),
    "neurons_by_place": Group(make=lambda model: NeuronLabels(places()), feature="neurons"),
    "experts_by_upos": Group(make=lambda model: ExpertLabels(model, upos()), feature="experts", rare=True, annotated=True),
    "expert_tokens": Group(make=ExpertTokens, feature="experts", rare=True),
    "rank": Group(make=StreamRank, feature="stream"),
    "lens_loss": Group(make=LensLoss, feature="stream"),
    "direct_logits": Group(make=DirectLogits, feature="contributions"),
    "head_writes": Group(make=writes, feature="contributions"),
    "neuron_promoted": Group(make=neuron_promoted, feature="contributions"),
    "vocabulary": Group(make=vocabulary, feature="capture"),
}


def chosen(model: Model, asked: Sequence[str] | None) -> tuple[tuple[str, ...], str]:
    """What a run keeps, and what it leaves out.

    Args: asked: names of `GROUPS`, of single head statistics, or "atlas": all that the model allows and plain texts have, which is what the
        atlas shows; None for the usual groups that the model allows.
    Returns: names, each once; and for people what the model does not allow, "" when nothing is missing or something was asked for.
    Raises: DataError for a name that is not known, and when nothing is left.
    """
    if asked is not None:
        asked = _spread(model, asked)
        unknown = [name for name in asked if name not in GROUPS and not _of_heads(name)]
        if unknown or not asked:
            raise DataError(f"statistics {unknown} came; expected some of: {', '.join([ATLAS, *GROUPS, *HEAD_STATISTICS])}")
        return tuple(dict.fromkeys(asked)), ""
    reasons = {name: _missing(model, group) for name, group in GROUPS.items() if group.by_default}
    names = tuple(name for name, reason in reasons.items() if not reason)
    without = {name: reason for name, reason in reasons.items() if reason and not GROUPS[name].rare}
    left_out = "; ".join(f"{WHAT.get(GROUPS[name].feature, name)}: {reason}" for name, reason in without.items())
    if not names:
        raise DataError(f"{model.name} has no statistics to give: {left_out}")
    return names, left_out


def _spread(model: Model, asked: Sequence[str]) -> list[str]:
    """With the groups for which "atlas" stands in its place."""
    found: list[str] = []
    for name in asked:
        found += [each for each, group in GROUPS.items() if not group.annotated and not _missing(model, group)] if name == ATLAS else [name]
    return found


def _of_heads(name: str) -> bool:
    try:
        head_statistic_named(name)
    except (DataError, KeyError):
        return False
    return True


def _missing(model: Model, group: Group) -> str:
    """Why a model does not allow a group; "" when it does."""
    if reason := cannot_stream(model.anatomy).get(group.feature):
        return reason
    for checked in rests_on(model.anatomy) if group.feature == "neurons" else (group.feature,):
        if checked in model.disabled:
            return model.disabled[checked]
    try:
        reducer = group.make(model)
    except ModelUnsupported as error:
        return str(error)
    return "" if reducer.paired or not model.anatomy.encoder_decoder else "it is kept of models with one stack"


def reducers(model: Model, names: Sequence[str], frequent: Sequence[str] = ()) -> dict[str, Reducer]:
    """Fresh reducers, by what a shard's file calls them: a group's name; single head statistics come together as "heads".

    Args: frequent: the lemmas by which "neurons_by_lemma" tells tokens apart.
    """
    made = {name: GROUPS[name].make(model) for name in names if name in GROUPS}
    if BY_LEMMA in made and frequent:
        made[BY_LEMMA] = NeuronLabels(lemmas(frequent))
    single = tuple(name for name in names if name not in GROUPS)
    if single and "heads" not in made:
        made["heads"] = HeadMeans(single)
    return made
