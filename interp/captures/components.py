"""A run's writes, part by part: what the embedding, each sublayer, head, bias and neuron added to the stream, and what it is to a logit.

Norms on the way (post-norm: after every sublayer; Gemma: on what is written) pass the parts on with their scale held at what it was, and
their biases are parts of their own, so that the parts always add up to the stream. A held norm is linear, so the direction of a logit can
be carried back through those behind a sublayer: there each neuron's share is one product, and no neuron's write need be made.
"""

from typing import Literal, get_args

import torch

from interp.captures.run import Run
from interp.core.errors import SiteError
from interp.core.sites import Site, head_site
from interp.measures.contributions import direct_logits
from interp.models.anatomy import Sublayer
from interp.models.model import bias_of
from interp.models.norms import FrozenNorm, frozen
from interp.models.precision import wide

By = Literal["sublayer", "head", "neuron"]


class _Parts:
    """Named parts of the stream at one position, float64; the norms they went through, and how many a sublayer's write had before it."""

    def __init__(self, embedding: torch.Tensor):
        self.values, self.names = wide(embedding)[None], ["embedding"]
        self.held: list[FrozenNorm] = []
        self.written: list[tuple[Sublayer, int]] = []

    def add(self, values: torch.Tensor, names: list[str]) -> None:
        self.values = torch.cat([self.values, wide(values).to(self.values.device)])
        self.names += names

    def pass_through(self, norm: torch.nn.Module, name: str) -> None:
        """Through a norm with its scale held at the whole stream's; what it adds itself is a part called `name`."""
        held = frozen(norm, self.values.sum(0))
        self.held.append(held)
        self.values = held(self.values)
        if held.offset.any():
            self.add(held.offset[None], [name])


def _writes(seen: Run, pos: int, by: By) -> _Parts:
    """The parts of the last block's stream at one position: embedding, then per layer its heads, attention's bias, the FFN.

    In an encoder-decoder those of the decoder; what cross-attention brings from the encoder is its heads' ("XL0H1").
    """
    stack = seen.model.anatomy.main
    parts = _Parts(seen.tensor("resid_pre", 0)[pos])
    for sublayers in stack.layers:
        for sublayer in sublayers:
            parts.written.append((sublayer, len(parts.held)))
            parts.add(*_write(seen, sublayer, pos, whole=by == "sublayer"))
            if sublayer.norm_after:
                parts.pass_through(seen.model.at(sublayer.norm_after), f"{_layer(sublayer)} norm after {_WHAT[sublayer.kind]}")
    return parts


_WHAT = {"attn": "attention", "cross": "cross-attention", "mlp": "the FFN"}


def _layer(sublayer: Sublayer) -> str:
    return f"{sublayer.stack}L{sublayer.layer}"


def _write(seen: Run, sublayer: Sublayer, pos: int, *, whole: bool) -> tuple[torch.Tensor, list[str]]:
    """What one sublayer added, by head where it has heads; a norm on what is written (Gemma) is held at its scale."""
    model, layer, stack = seen.model, sublayer.layer, sublayer.stack
    if sublayer.kind == "mlp":
        return seen.tensor("mlp_out", layer, stack)[pos][None], [f"{_layer(sublayer)} FFN"]
    if whole:
        return seen.tensor("attn_out", layer, stack)[pos][None], [f"{_layer(sublayer)} attention"]
    heads = torch.einsum("hd,hdm->hm", wide(seen.tensor("z", layer, stack)[pos]), wide(model.W_O(layer, stack)))
    parts = torch.cat([heads, wide(model.b_O(layer, stack))[None]])
    names = [head_site(layer, head, stack) for head in range(len(heads))] + [f"{_layer(sublayer)} bias"]
    held = frozen(model.at(sublayer.norm_out), parts.sum(0))
    parts = held(parts)
    parts[-1] += held.offset
    return parts, names


@torch.no_grad()
def contributions_toward(seen: Run, token: int, pos: int, against: int | None, by: By = "head") -> tuple[torch.Tensor, list[str], float]:
    """Direct contributions to a logit, or to the difference of two: values (component,), names, and the model's own figure.

    Raises: SiteError for a `by` that there is not.
    """
    if by not in get_args(By):
        raise SiteError(f"by={by!r} came; expected one of: {', '.join(get_args(By))}")
    model = seen.model
    parts = _writes(seen, pos, by)
    device = parts.values.device
    norm = frozen(model.at(model.anatomy.main.ln_final), parts.values.sum(0))
    direction = (wide(model.W_U()[:, token]) - (0 if against is None else wide(model.W_U()[:, against]))).to(device)
    direction = direction * model.anatomy.readout_scale
    biases = norm.offset @ direction + _unembed_bias(seen, token, against).to(device)
    values, names = direct_logits(norm(parts.values), direction), parts.names
    if by == "neuron":
        values, names = _by_neuron(seen, parts, pos, values, [*parts.held, norm], direction)
    assert seen.logits is not None  # models without logits were refused by name before
    logits = wide(seen.logits[pos])
    logit = logits[token] - (0 if against is None else logits[against])
    return torch.cat([values, biases.reshape(1)]), [*names, "final biases"], float(logit)


def _by_neuron(
    seen: Run, parts: _Parts, pos: int, values: torch.Tensor, held: list[FrozenNorm], direction: torch.Tensor
) -> tuple[torch.Tensor, list[str]]:
    """Each dense FFN's share in those of its neurons and of its biases; all other parts as they were."""
    split: dict[str, tuple[torch.Tensor, list[str]]] = {}
    for sublayer, before in parts.written:
        if sublayer.kind == "mlp" and sublayer.out:
            pulled = direction
            for norm in reversed(held[before:]):
                pulled = norm.back(pulled)
            split[f"{_layer(sublayer)} FFN"] = _neurons(seen, sublayer, pos, pulled)
    found = [split.get(name, (value.reshape(1), [name])) for name, value in zip(parts.names, values, strict=True)]
    return torch.cat([share.to(values.device) for share, _ in found]), [name for _, names in found for name in names]


def _neurons(seen: Run, ffn: Sublayer, pos: int, direction: torch.Tensor) -> tuple[torch.Tensor, list[str]]:
    """What each neuron, and the biases, of one FFN write along a direction of the stream that it writes into."""
    post, w_out = wide(seen.tensor("post", ffn.layer, ffn.stack)[pos]), wide(seen.model.W_out(ffn.layer, ffn.stack))
    bias = wide(bias_of(seen.model.at(ffn.out)))
    held = frozen(seen.model.at(ffn.norm_out), post @ w_out + bias)
    pulled = held.back(direction.to(w_out.device))
    rest = bias @ pulled + held.offset @ direction.to(w_out.device)
    names = [str(Site(stack=ffn.stack, layer=ffn.layer, kind="neuron", index=neuron)) for neuron in range(len(post))]
    return torch.cat([post * (w_out @ pulled), rest.reshape(1)]), [*names, f"{_layer(ffn)} FFN bias"]


def _unembed_bias(seen: Run, token: int, against: int | None) -> torch.Tensor:
    """The head's own bias; BART and Marian keep theirs in a buffer."""
    hf = seen.model.hf
    bias = getattr(seen.model.at(seen.model.anatomy.unembed), "bias", None)
    bias = getattr(hf, "final_logits_bias", bias)
    if bias is None:
        return torch.zeros(())
    flat = wide(bias.reshape(-1))
    return flat[token] - (0 if against is None else flat[against])
