"""What does a run lack, and how is it got? Which group of `captures.corpus.registry` gives which variable."""

from collections.abc import Mapping, Sequence
from typing import Any

_HEADS = "heads"
GROUPS: Mapping[str, str] = {
    "neuron_mean": "neurons",
    "write_norm": "residual",
    "expert_load": "experts",
    "induction_profile": "induction_profile",
    "distance_histogram": "distances",
    "previous_hits": "hits",
    "most_attended_token": "most_attended",
    "mass_on_mark": "mass_by_mark",
    "mass_on_upos": "mass_by_upos",
    "dependent_to_head": "relations",
    "previous_examples": "previous_examples",
    "induction_examples": "induction_examples",
    "neuron_histogram": "neuron_histograms",
    "neuron_top": "neuron_examples",
    "neuron_by_upos": "neurons_by_upos",
    "neuron_by_lemma": "neurons_by_lemma",
    "neuron_by_place": "neurons_by_place",
    "expert_by_upos": "experts_by_upos",
    "expert_token_ids": "expert_tokens",
    "effective_rank": "rank",
    "lens_loss": "lens_loss",
    "direct_logits": "direct_logits",
    "head_promoted": "head_writes",
    "neuron_promoted": "neuron_promoted",
    "token_text": "vocabulary",
}
"""A variable -> the group that gives it, and others with it."""
ANNOTATED = ("mass_by_upos", "relations", "neurons_by_upos", "neurons_by_lemma", "experts_by_upos")


def group_of(name: str) -> str:
    """The group that gives a variable; "heads" for a single head statistic.

    Example:
        >>> group_of("expert_neuron_top"), group_of("entropy")
        ('neuron_examples', 'heads')
    """
    return GROUPS.get(name.removeprefix("expert_").removeprefix("shared_"), GROUPS.get(name, _HEADS))


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
    needs = "; it needs annotated texts, as of a treebank" if group in ANNOTATED else ""
    return (
        f"this run has no {name}, since the group {group} was not kept{needs}. Run the corpus into another folder: {command(about, group)}"
    )
