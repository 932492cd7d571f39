"""Our captures as TransformerLens's `ActivationCache`, so that its methods read what we captured."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch

from interp.lens.bridge import bridge
from interp.models.model import Model

if TYPE_CHECKING:
    from transformer_lens import ActivationCache

# What post-norm families call by another name: there `hook_resid_mid` is the second norm's input (see models.points).
_POST_NORM = {"hook_resid_mid": "ln1.hook_out"}
_ALSO = {"attn.o.hook_out": "hook_attn_out", "mlp.hook_out": "hook_mlp_out"}


def hook_names(model: Model, names: Iterable[str]) -> dict[str, str]:
    """Our name of each tensor -> the bridge's name of the same tensor; what the bridge does not have is left out."""
    ours = [name for name in names if not name.endswith("value_norms")]
    if model.anatomy.norms == "pre":
        return {name: name for name in ours}
    return {name: name.replace("hook_resid_mid", _POST_NORM["hook_resid_mid"]) for name in ours}


def to_cache(model: Model, arrays: Mapping[str, torch.Tensor]) -> "ActivationCache":
    """The tensors of a capture (`seen.arrays`) as an `ActivationCache`, with a batch axis of 1.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> to_cache(model, interp.capture(model, "The old man").arrays)["blocks.0.attn.hook_z"].shape[0]
        1
    """
    from transformer_lens import ActivationCache

    named = {theirs: arrays[ours] for ours, theirs in hook_names(model, arrays).items()}
    if model.anatomy.norms == "pre":
        named |= {name.replace(ours, also): array for name, array in named.items() for ours, also in _ALSO.items() if name.endswith(ours)}
    return ActivationCache(named, bridge(model))
