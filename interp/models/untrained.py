"""The untrained twin of a model: the same shape and tokenizer, fresh random weights. The control of every claim.

What a random network already does is not something that training put there (Méloux et al. 2025, "The Dead Salmons of AI
Interpretability"). Weights are drawn by the family's own initialisation in transformers, on the CPU in float32; then they take the type and
the place of the model's own.
"""

from dataclasses import replace

import torch

from interp.models.devices import place_like
from interp.models.model import BUILDING, Model, instrument


def untrained(model: Model, seed: int) -> Model:
    """A model of the same shape whose weights depend on `seed` alone.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> twin = untrained(model, seed=0)
        >>> twin.fingerprint == untrained(model, seed=0).fingerprint, twin.fingerprint == model.fingerprint
        (True, False)
    """
    with BUILDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(model.hf)(type(model.hf.config).from_dict(model.hf.config.to_dict()))
    place_like(fresh, model.hf)
    twin = instrument(fresh, model.tokenizer, name=f"{model.name} (untrained, seed {seed})", lm_head=model.anatomy.lm_head)
    return replace(twin, disabled=model.disabled)
