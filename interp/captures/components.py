"""A run's writes, part by part: what the embedding, each head, bias and FFN added to the stream, and what that means for a logit.

Norms on the way (post-norm: after every sublayer; Gemma: on what is written) pass the parts on with their scale held at what it was, and
their biases are parts of their own, so that the parts always add up to the stream.
"""

from typing import TYPE_CHECKING

import torch

from interp.core.sites import head_site
from interp.measures.contributions import direct_logits
from interp.models.anatomy import Sublayer
from interp.models.norms import frozen
from interp.models.precision import wide

if TYPE_CHECKING:
    from interp.captures.activations import Activations


class _Parts:
    """Named parts of the stream at one position; float64."""

    def __init__(self, embedding: torch.Tensor):
        self.values, self.names = wide(embedding)[None], ["embedding"]

    def add(self, values: torch.Tensor, names: list[str]) -> None:
        self.values = torch.cat([self.values, wide(values).to(self.values.device)])
        self.names += names

    def pass_through(self, norm: torch.nn.Module, name: str) -> None:
        """Through a norm with its scale held at the whole stream's; what it adds itself is a part called `name`."""
        held = frozen(norm, self.values.sum(0))
        self.values = held(self.values)
        if held.offset.any():
            self.add(held.offset[None], [name])


@torch.no_grad()
def writes(seen: "Activations", pos: int) -> tuple[torch.Tensor, list[str]]:
    """The parts of the last block's stream at one position: embedding, then per layer its heads, attention's bias, the FFN; float64.

    In an encoder-decoder those of the decoder; what cross-attention brings from the encoder is its heads' ("XL0H1").

    Returns: (component, d_model) and the components' names ("embedding", "L0H0", "L0 bias", "L0 FFN"...).
    """
    stack = seen.model.anatomy.main
    parts = _Parts(seen.tensor("resid_pre", 0)[pos])
    for sublayers in stack.layers:
        for sublayer in sublayers:
            parts.add(*_write(seen, sublayer, pos))
            if sublayer.norm_after:
                parts.pass_through(seen.model.at(sublayer.norm_after), f"{_layer(sublayer)} norm after {_WHAT[sublayer.kind]}")
    return parts.values, parts.names


_WHAT = {"attn": "attention", "cross": "cross-attention", "mlp": "the FFN"}


def _layer(sublayer: Sublayer) -> str:
    return f"{sublayer.stack}L{sublayer.layer}"


def _write(seen: "Activations", sublayer: Sublayer, pos: int) -> tuple[torch.Tensor, list[str]]:
    """What one sublayer added, by head where it has heads; a norm on what is written (Gemma) is held at its scale."""
    model, layer, stack = seen.model, sublayer.layer, sublayer.stack
    if sublayer.kind == "mlp":
        return seen.tensor("mlp_out", layer, stack)[pos][None], [f"{_layer(sublayer)} FFN"]
    heads = torch.einsum("hd,hdm->hm", wide(seen.tensor("z", layer, stack)[pos]), wide(model.W_O(layer, stack)))
    parts = torch.cat([heads, wide(model.b_O(layer, stack))[None]])
    names = [head_site(layer, head, stack) for head in range(len(heads))] + [f"{_layer(sublayer)} bias"]
    held = frozen(model.at(sublayer.norm_out), parts.sum(0))
    parts = held(parts)
    parts[-1] += held.offset
    return parts, names


@torch.no_grad()
def contributions_toward(seen: "Activations", token: int, pos: int, against: int | None) -> tuple[torch.Tensor, list[str], float]:
    """Direct contributions to a logit, or to the difference of two: values (component,), names, and the model's own figure."""
    model = seen.model
    parts, names = writes(seen, pos)
    norm = frozen(model.at(model.anatomy.main.ln_final), parts.sum(0))
    direction = (wide(model.W_U()[:, token]) - (0 if against is None else wide(model.W_U()[:, against]))).to(parts.device)
    direction = direction * model.anatomy.readout_scale
    biases = norm.offset @ direction + _unembed_bias(seen, token, against).to(parts.device)
    values = torch.cat([direct_logits(norm(parts), direction), biases.reshape(1)])
    assert seen.logits is not None  # models without logits were refused by name before
    logits = wide(seen.logits[pos])
    logit = logits[token] - (0 if against is None else logits[against])
    return values, [*names, "final biases"], float(logit)


def _unembed_bias(seen: "Activations", token: int, against: int | None) -> torch.Tensor:
    """The head's own bias; BART and Marian keep theirs in a buffer."""
    hf = seen.model.hf
    bias = getattr(seen.model.at(seen.model.anatomy.unembed), "bias", None)
    bias = getattr(hf, "final_logits_bias", bias)
    if bias is None:
        return torch.zeros(())
    flat = wide(bias.reshape(-1))
    return flat[token] - (0 if against is None else flat[against])
