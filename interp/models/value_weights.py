"""Each head's value weights W_V, in any family: what comes out of its value projections when unit vectors go in.

Families keep them in many ways (one matrix for query, key and value, interleaved heads, values shared by several heads), so they are not
read off parameters: the model runs once on a text of no meaning while a watcher puts the unit vectors where attention reads, and the
values that reach the attention function are the rows of W_V, the bias taken off. A vector that is none of them shows whether the map is
linear; in latent attention, which norms its values on the way, it is not, and there is no W_V.
"""

from collections.abc import Iterator

import torch

from interp.core.errors import ModelUnsupported
from interp.core.sites import Stack
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Point, watching

ROW = 128  # positions of a text that the unit vectors are spread over
LATENT = "latent attention norms values on the way"
LINEAR = 1e-3  # relative; in bfloat16 a sum of d_model rounded products is off by as much as 4e-3 of its largest term
LINEAR_HALF = 5e-2


class _Units:
    """Puts a zero, the unit vectors and one vector of all kinds of numbers where attention reads its values; keeps the values."""

    kinds = frozenset({"attn_in", "memory", "pattern"})

    def __init__(self, model: Model):
        self.owner = id(model.hf)
        self.found: dict[tuple[Stack, int], torch.Tensor] = {}

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        if point.owner != self.owner or (point.stack == "X") != (point.kind == "memory"):
            return None
        return _probe(tensor.shape[-1]).to(tensor)[: tensor.shape[0] * tensor.shape[1]].view_as(tensor)

    def attend(self, point: Point, call: AttentionCall) -> None:
        if point.owner == self.owner:
            self.found[point.stack, point.layer] = call.value.detach().transpose(1, 2).flatten(0, 1)


def cannot_have_value_weights(model: Model) -> str:
    """Why a model has no W_V, as far as its configuration tells before anything is run; "" where nothing speaks against it."""
    return LATENT if getattr(model.hf.config, "kv_lora_rank", None) else ""


@torch.no_grad()
def value_weights(model: Model) -> dict[tuple[Stack, int], torch.Tensor]:
    """W_V of every attention sublayer: by (stack, layer), axes (head, d_model, d_head), float32; what they read is a normed stream.

    Heads that share their values (grouped queries) have the same. In cross-attention, stack "X", what is read is the encoder's output.

    Raises: ModelUnsupported where values are no linear map of what is read; CheckFailed where patterns did not pass the self-check.

    Example:
        >>> import interp
        >>> value_weights(interp.load())["", 0].shape
        torch.Size([8, 256, 32])
    """
    model.require("patterns")
    units = _Units(model)
    width = min(ROW, model.anatomy.n_ctx)
    ids = torch.zeros(-(-(model.anatomy.d_model + 2) // width), width, dtype=torch.long)
    with watching(units):
        model.run(ids, target=ids if model.anatomy.encoder_decoder else None, logits=False)
    return dict(_weights(model, units))


def _weights(model: Model, units: _Units) -> Iterator[tuple[tuple[Stack, int], torch.Tensor]]:
    n = model.anatomy.d_model
    for place, values in units.found.items():
        values = values.float()
        W_V = (values[1 : n + 1] - values[0]).transpose(0, 1)
        expected, found = torch.einsum("d,hde->he", _probe(n)[n + 1].to(W_V), W_V), values[n + 1] - values[0]
        allowed = LINEAR if model.hf.dtype == torch.float32 else LINEAR_HALF
        if not torch.allclose(found, expected, rtol=0.0, atol=allowed * float(expected.abs().max().clamp_min(1e-6))):
            raise ModelUnsupported(
                f"{model.name}: the values of its attention in layer {place[1]} are no linear map of what it reads ({LATENT}), so its "
                "heads have no W_V to be read off"
            )
        yield place, W_V.contiguous()


def _probe(n: int) -> torch.Tensor:
    """Zero, the n unit vectors, one vector of numbers from -1 to 1, and zeros to fill whole rows. Axes: (row, d_model)."""
    mixed = torch.sin(torch.arange(n, dtype=torch.float32) * 1.7 + 0.3)
    return torch.cat([torch.zeros(1, n), torch.eye(n), mixed[None], torch.zeros(ROW, n)])
