"""A run's writes, part by part: what each head, bias and FFN added to the stream, and what that means for a logit."""

from typing import TYPE_CHECKING

import torch

from interp.core.sites import head_site
from interp.measures.contributions import direct_logits, through_frozen_norm

if TYPE_CHECKING:
    from interp.captures.activations import Activations


@torch.no_grad()
def writes(seen: "Activations", pos: int) -> tuple[torch.Tensor, list[str]]:
    """What each part wrote into the stream at one position: embedding, then per layer its heads, attention's bias, the FFN; float64.

    Returns: (component, d_model) and the components' names ("embedding", "L0H0", "L0 bias", "L0 FFN"...).
    """
    model = seen.model
    parts, names = [seen.tensor("resid_pre", 0)[pos][None]], ["embedding"]
    for layer in range(model.anatomy.n_layers):
        heads = torch.einsum("hd,hdm->hm", seen.tensor("z", layer)[pos].double(), model.W_O(layer).double())
        parts += [heads, model.b_O(layer)[None], seen.tensor("mlp_out", layer)[pos][None]]
        names += [head_site(layer, head) for head in range(model.anatomy.n_heads)]
        names += [f"L{layer} bias", f"L{layer} FFN"]
    return torch.cat([part.double() for part in parts]), names


@torch.no_grad()
def contributions_toward(seen: "Activations", token: int, pos: int, against: int | None) -> tuple[torch.Tensor, list[str], float]:
    """Direct contributions to a logit, or to the difference of two: values (component,), names, and the model's own figure."""
    model = seen.model
    norm, unembed = model.module("ln_final"), model.module("unembed")
    parts, names = writes(seen, pos)
    stream = seen.tensor("resid_post", model.anatomy.n_layers - 1)[pos].double()
    centred = isinstance(norm, torch.nn.LayerNorm)
    eps = norm.eps if centred else norm.variance_epsilon
    passed_on = through_frozen_norm(parts, stream, norm.weight.double(), eps, centred=centred)  # type: ignore[arg-type]
    direction = model.W_U()[:, token].double() - (0 if against is None else model.W_U()[:, against].double())
    biases = _bias(norm, direction) + _unembed_bias(unembed, token, against)
    values = torch.cat([direct_logits(passed_on, direction), biases.reshape(1)])
    assert seen.logits is not None  # models without logits were refused by name before
    logits = seen.logits[pos].double()
    logit = logits[token] - (0 if against is None else logits[against])
    return values, [*names, "final biases"], float(logit)


def _bias(norm: torch.nn.Module, direction: torch.Tensor) -> torch.Tensor:
    bias = getattr(norm, "bias", None)
    return direction.new_zeros(()) if bias is None else bias.double() @ direction


def _unembed_bias(unembed: torch.nn.Module, token: int, against: int | None) -> torch.Tensor:
    bias = getattr(unembed, "bias", None)
    if bias is None:
        return torch.zeros((), device=unembed.weight.device)  # type: ignore[arg-type]
    return bias[token] - (0 if against is None else bias[against])
