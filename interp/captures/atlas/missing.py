"""What does a run lack, and how is it got? Which group of `captures.corpus.registry` gives which variable."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

_HEADS = "heads"
GROUPS: Mapping[str, str] = {
    "neuron_*upos": "neurons_by_upos",
    "neuron_*lemma": "neurons_by_lemma",
    "neuron_*place": "neurons_by_place",
    "neuron_histogram": "neuron_histograms",
    "neuron_top*": "neuron_examples",
    "neuron_promoted*": "neuron_promoted",
    "neuron_suppressed*": "neuron_promoted",
    "neuron_*": "neurons",
    "write_*": "residual",
    "expert_load": "experts",
    "*_entropy": "experts",
    "expert_by_upos": "experts_by_upos",
    "expert_token_*": "expert_tokens",
    "induction_profile": "induction_profile",
    "previous_[es]*": "previous_examples",
    "induction_[es]*": "induction_examples",
    "distance_histogram": "distances",
    "most_attended_*": "most_attended",
    "mass_on_mark": "mass_by_mark",
    "mass_on_upos": "mass_by_upos",
    "*dependent*": "relations",
    "best_offset*": "relations",
    "*_hits": "hits",
    "effective_rank": "rank",
    "rank_one_distance": "rank",
    "distance_to_one_token": "rank",
    "lens_loss": "lens_loss",
    "direct_logits": "direct_logits",
    "head_*": "head_writes",
    "token_text": "vocabulary",
}
"""What variables are called -> the group that gives them; the first that fits."""
ANNOTATED = ("mass_by_upos", "relations", "neurons_by_upos", "neurons_by_lemma", "experts_by_upos")


def group_of(name: str) -> str:
    """The group that gives a variable; "heads" for a single head statistic.

    Example:
        >>> group_of("expert_neuron_top"), group_of("entropy")
        ('neuron_examples', 'heads')
    """
    plain = re.sub("^(expert|shared)_neuron", "neuron", name)
    return next((group for pattern, group in GROUPS.items() if fnmatchcase(plain, pattern)), _HEADS)


def command(about: Mapping[str, Any], group: str) -> str:
    """The command that runs the corpus again with a group beside what the run has.

    Args: about: what stands in the run's run.json.
    """
    asked = list(dict.fromkeys([*about.get("statistics", ()), group]))
    corpus = f"CORPUS{about.get('corpus', {}).get('kind', '')}" if group not in ANNOTATED else "TREEBANK.conllu"
    window = " --window" if about.get("window") else ""
    return f"interp profile {about.get('model', 'MODEL')} {corpus} --out OTHER{window} --statistics {','.join(asked)}"


def told(name: str, about: Mapping[str, Any], there: Sequence[str]) -> str:
    """Why a variable is not there and what to do, in one sentence each.

    Args:
        about: what stands in the run's run.json.
        there: the groups that were run.
    """
    group = group_of(name)
    if group in there:
        return f"this run has no {name}, though {group} was kept: the model has no such part, or no text of the corpus gave it a value"
    if group in ANNOTATED and len(about.get("corpus", {}).get("fields", ())) > 1:
        return f"this run has no {name}: it needs annotated texts, and the pairs that an encoder-decoder reads carry no annotation"
    needs = "; it needs annotated texts, as of a treebank" if group in ANNOTATED else ""
    return (
        f"this run has no {name}, since the group {group} was not kept{needs}. Run the corpus into another folder: {command(about, group)}"
    )
