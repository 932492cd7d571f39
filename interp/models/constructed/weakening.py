"""The same circuit, asking more softly: its head's attention is spread the more, the weaker it is. For curves of power over effect."""

import copy
from dataclasses import replace

import torch

from interp.core.errors import ModelUnsupported
from interp.core.sites import Site
from interp.models.constructed.circuits import Constructed
from interp.models.constructed.heads import N_HEADS, attention_of


@torch.no_grad()
def weakened(made: Constructed, strength: float) -> Constructed:
    """The twin whose named head asks `strength` times as loudly: at 1 the same, at 0 it attends to all tokens alike.

    Raises: ModelUnsupported for a model in which no head is planted.

    Example:
        >>> from interp.models.constructed import constructed
        >>> weakened(constructed("previous-token"), 0.1).name
        'previous-token (strength 0.1)'
    """
    planted = [Site.parse(site) for site in made.truth[list(made.truth)[-1]]] if made.truth else []
    heads = [site for site in planted if site.kind == "head"]
    if not heads:
        raise ModelUnsupported(f"{made.name}: no head is planted in it, so there is none to weaken; expected a model named after a head")
    twin = copy.deepcopy(made.hf)
    for site in heads:
        projection = attention_of(twin, site.layer).q
        for asked in (projection.weight, projection.bias):
            asked.unflatten(0, (N_HEADS, -1))[site.index].mul_(strength)
    return replace(made, name=f"{made.name} (strength {strength:g})", hf=twin)
