"""The twin that lacks the circuit: the same model, with the numbers of one head or one neuron in other places.

A head's query rows go to channels in which no key answers: same rows, same norms, same multiset of values, and nothing it asks for
is found. A neuron's weights go to other words, so that it fires on the class as often as on any word. Nothing else changes: what
the circuit rests on (the previous-token head) stays, and so does all that its neighbours do.
"""

import copy
from dataclasses import replace

import torch

from interp.core.errors import ModelUnsupported
from interp.core.sites import Site
from interp.models.constructed.circuits import Constructed
from interp.models.constructed.heads import N_HEADS, attention_of
from interp.models.constructed.words import SPECIAL, VOCABULARY, ids_of
from interp.models.transformer import DecoderForCausalLM


@torch.no_grad()
def scrambled(made: Constructed, seed: int) -> Constructed:
    """The twin without what the model is named after, which is the last entry of its truth; `made` stays as it is.

    Raises: ModelUnsupported for a model in which nothing is planted.

    Example:
        >>> from interp.models.constructed import constructed
        >>> scrambled(constructed("induction"), seed=0).truth
        {'previous': ('L0H1',)}
    """
    if not made.truth:
        raise ModelUnsupported(f"{made.name}: nothing is planted in it, so there is nothing to scramble; expected a model with a truth")
    twin, generator = copy.deepcopy(made.hf), torch.Generator().manual_seed(seed)
    planted = list(made.truth)[-1]
    for site in map(Site.parse, made.truth[planted]):
        if site.kind == "head":
            _scramble_head(twin, site, generator)
        else:
            _scramble_neuron(twin, site, ids_of(*made.words["class"]), generator)
    rest = {name: sites for name, sites in made.truth.items() if name != planted}
    return replace(made, name=f"{made.name} (scrambled, seed {seed})", hf=twin, truth=rest)


def _scramble_head(hf: DecoderForCausalLM, site: Site, generator: torch.Generator) -> None:
    """Exchange each row of W_Q that asks for something with a row that does not; the bias, which asks for the rest, stays."""
    rows = attention_of(hf, site.layer).q.weight.unflatten(0, (N_HEADS, -1))[site.index]
    asks = rows.any(dim=-1)
    used, free = asks.nonzero().flatten(), (~asks).nonzero().flatten()
    free = free[torch.randperm(len(free), generator=generator)][: len(used)]
    order = torch.arange(len(rows))
    order[used], order[free] = free, used
    rows.copy_(rows[order])


def _scramble_neuron(hf: DecoderForCausalLM, site: Site, members: list[int], generator: torch.Generator) -> None:
    """Exchange the weights of all but a proportional part of the class with those of as many other words."""
    weights = hf.model.blocks[site.layer].mlp.fc_in.weight[site.index]
    others = [word for word in range(len(SPECIAL), len(VOCABULARY)) if word not in members]
    n_leaving = len(members) - round(len(members) ** 2 / (len(members) + len(others)))
    leaving = torch.tensor(members)[torch.randperm(len(members), generator=generator)[:n_leaving]]
    entering = torch.tensor(others)[torch.randperm(len(others), generator=generator)[:n_leaving]]
    weights[leaving], weights[entering] = weights[entering].clone(), weights[leaving].clone()
