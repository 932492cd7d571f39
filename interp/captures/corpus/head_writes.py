"""What each head's OV circuit reads of tokens and writes toward tokens, by its weights alone; no corpus is read.

A head that attends with weight 1 to a place adds x W_V W_O to the stream, x what it reads there. Of W_OV = W_V W_O the strongest singular
directions are kept (`measures.ov`), each with the tokens at its two ends:

    reads       the tokens whose embedding, alone in the stream and normed as the head's layer does it, lies furthest along u_i
    promotes    the tokens whose logits sigma_i v_i raises most, through the norms on the way and the final norm with their weights and with
                their scale held at 1, as in `promoted`; it suppresses those that it lowers most

The sign is chosen so that the largest effect of all is a promoted token's: what the head promotes when it reads the tokens of `reads`, it
suppresses when it reads those of `reads_against`, which lie furthest the other way. Beside them two numbers for each head, of the full
circuit from tokens to logits: `head_copying` and `head_copying_logits`.

It does not tell where the head attends, nor what later layers make of it. In every layer but the first a head reads more than the embedding
of the token that stands there, and an early head writes for later layers to read: then these tokens are the smaller part of what it does.
Queries and keys, biases and position embeddings play no part. Effects can be compared within a head, and between heads of one layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from interp.captures.corpus.heads import of_heads
from interp.captures.corpus.promoted import norms_after
from interp.core.errors import ModelUnsupported
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset
from interp.core.sites import STACKS, Stack
from interp.measures.ov import SOURCE, copying, directions, own_logit, shares
from interp.measures.promoted import promoted
from interp.models.anatomy import Sublayer
from interp.models.model import Model
from interp.models.norms import frozen
from interp.models.readout import at_scale_one
from interp.models.value_weights import value_weights

N_DIRECTIONS, K = 3, 10
ROWS = 4096  # embeddings that are normed together
NAMES = (
    "head_direction_share", "head_reads", "head_reads_ids", "head_reads_against", "head_reads_against_ids",
    "head_promoted", "head_promoted_ids", "head_suppressed", "head_suppressed_ids", "head_copying", "head_copying_logits",
)  # fmt: skip
_ABOUT = {
    "head_direction_share": ("share of each direction in what the head writes", "share"),
    "head_reads": ("how far tokens lie along what the head reads", "1"),
    "head_reads_against": ("how far tokens lie against what the head reads", "1"),
    "head_promoted": ("effect on the logits of tokens that the head promotes", "logits"),
    "head_suppressed": ("effect on the logits of tokens that the head suppresses", "logits"),
    "head_copying": ("copying: eigenvalues of the OV circuit from tokens to logits", "1"),
    "head_copying_logits": ("what attending to a token adds to its own logit", "logits"),
}


@torch.no_grad()
def head_writes(model: Model, k: int = K, n_directions: int = N_DIRECTIONS) -> Dataset:
    """Directions, tokens and copying of every head.

    Args:
        model: with a linear readout; in an encoder-decoder the heads of its decoder and its cross-attention are meant.
        k: tokens in each list.
        n_directions: singular directions of each head, at most d_head.
    Returns: the variables of `NAMES`. Lists (layer, head, direction, rank), ids -1 and numbers nan where there is nothing;
        head_direction_share (layer, head, direction); head_copying and head_copying_logits (layer, head), nan in post-norm models, where
        no embedding reaches a head as it is, in cross-attention, and for a head whose writes do not reach the logits. Over several stacks
        with the axis `stack` before.
    Raises: ModelUnsupported where logits are more than norms and a matrix away from the stream, where there is no attention, or values
        are no linear map; CheckFailed where contributions did not pass the self-check.
    Source: Elhage et al. (2021), the OV circuit and copying; singular directions read as tokens: Millidge & Black (2022).

    Example:
        >>> import interp
        >>> head_writes(interp.load(), k=3)["head_promoted"].dims
        ('layer', 'head', 'direction', 'rank')
    """
    if not model.anatomy.linear_readout or not model.anatomy.attentions():
        what = "no attention" if model.anatomy.linear_readout else "logits more than norms and a matrix away from the stream"
        raise ModelUnsupported(f"{model.name} has {what}, so its heads write toward no tokens by their weights alone")
    model.require("contributions")
    circuits = _Circuits(model, k, n_directions)
    found = {place: circuits.of(*place, W_V) for place, W_V in value_weights(model).items() if place[0] != "E"}
    provenance = Provenance(model=model.name, fingerprint=model.fingerprint, data="weights")
    return Dataset({name: _variable(model, name, {place: each[name] for place, each in found.items()}, provenance) for name in NAMES})


@dataclass(kw_only=True)
class _Embedded:
    """Embeddings as they are read alone: centred where the norm does, each over its own scale; the norm's weights are left out."""

    rows: torch.Tensor
    centred: bool
    own: torch.Tensor


class _Circuits:
    """The ends that all heads share: embedding and unembedding."""

    def __init__(self, model: Model, k: int, n_directions: int):
        self.model, self.k, self.n_directions = model, k, n_directions
        self.W_U = model.W_U().float().cpu() * model.anatomy.readout_scale
        self._embedded: _Embedded | None = None

    @cached_property
    def W_E(self) -> torch.Tensor:
        """Axes: (d_vocab, d_model)."""
        decoder = self.model.hf.get_decoder() if self.model.anatomy.encoder_decoder else self.model.hf
        weight: torch.Tensor = decoder.get_input_embeddings().weight  # type: ignore[operator, union-attr, assignment]
        return weight.detach().float().cpu()[: self.model.anatomy.d_vocab]

    def of(self, stack: Stack, layer: int, W_V: torch.Tensor) -> dict[str, torch.Tensor]:
        """The heads of one sublayer, by the names of the results."""
        sublayer, W_V = self.model.attention(layer, stack), W_V.cpu()
        W_O = self._through_norms(sublayer, self.model.W_O(layer, stack).float().cpu())
        sigma, read, written = directions(W_V, self.model.W_O(layer, stack).float().cpu(), self.n_directions)
        total = (torch.linalg.matrix_norm(W_V @ self.model.W_O(layer, stack).float().cpu())) ** 2
        found = {"head_direction_share": shares(sigma, total)}
        out = self._through_norms(sublayer, sigma[..., None] * written)
        return found | self._tokens(sublayer, read, out) | self._copying(sublayer, W_V, W_O)

    def _through_norms(self, sublayer: Sublayer, written: torch.Tensor) -> torch.Tensor:
        for norm in norms_after(self.model, sublayer):
            written = at_scale_one(self.model.at(norm), self.model.anatomy.d_model)(written.to(self._device(norm))).float().cpu()
        return written

    def _device(self, norm: str) -> torch.device:
        return next(self.model.at(norm).parameters(), torch.empty(0)).device

    def _tokens(self, sublayer: Sublayer, read: torch.Tensor, out: torch.Tensor) -> dict[str, torch.Tensor]:
        (up, raised), (down, lowered) = self._ranked(out.flatten(0, 1), self.W_U, out.shape[:2])
        turned = (down[..., 0].abs() > up[..., 0])[..., None]
        found = {
            "head_promoted": torch.where(turned, -down, up), "head_promoted_ids": torch.where(turned, lowered, raised),
            "head_suppressed": torch.where(turned, -up, down), "head_suppressed_ids": torch.where(turned, raised, lowered),
        }  # fmt: skip
        if not self._reads_tokens(sublayer):
            none, nothing = torch.full_like(up, torch.nan), torch.full_like(raised, -1)
            return found | {name: nothing if name.endswith("_ids") else none for name in NAMES[1:5]}
        weights = read * torch.where(turned, -1.0, 1.0) * self._gain(sublayer)
        (along, near), (against, far) = self._ranked(weights.flatten(0, 1), self._read(sublayer).rows.T, out.shape[:2])
        return found | dict(zip(NAMES[1:5], (along, near, against, far), strict=True))

    def _ranked(self, rows: torch.Tensor, columns: torch.Tensor, shape: torch.Size) -> Any:
        return tuple(tuple(each.unflatten(0, shape) for each in side) for side in promoted(rows, columns, self.k))

    def _reads_tokens(self, sublayer: Sublayer) -> bool:
        return self.model.anatomy.norms != "post" and sublayer.stack != "X"

    def _gain(self, sublayer: Sublayer) -> torch.Tensor:
        """The weights of the norm before, as they are at scale 1."""
        return at_scale_one(self.model.at(sublayer.norm_in), self.model.anatomy.d_model).gain.float().cpu().expand(self.W_E.shape[1])

    def _read(self, sublayer: Sublayer) -> _Embedded:
        """Kept for the next layer, whose norm mostly has the same form: then only its weights differ."""
        norm, d_model = self.model.at(sublayer.norm_in), self.model.anatomy.d_model
        unit = at_scale_one(norm, d_model)
        parts = [frozen(norm, rows.to(unit.gain.device)).gain.expand(len(rows), -1) for rows in self.W_E.split(ROWS)]
        # A norm's gain on each row is its weights over the row's scale: how much larger than at scale 1, whatever the weights.
        own = torch.cat([((gain * unit.gain).sum(-1) / unit.gain.pow(2).sum()).float().cpu() for gain in parts])
        kept = self._embedded
        if kept is None or kept.centred != unit.centred or not torch.allclose(kept.own, own, rtol=1e-5):
            rows = self.W_E - self.W_E.mean(-1, keepdim=True) if unit.centred else self.W_E
            self._embedded = kept = _Embedded(rows=rows * own[:, None], centred=unit.centred, own=own)
            self._kernel = self.W_U @ kept.rows[: self.W_U.shape[1]]
        return kept

    def _copying(self, sublayer: Sublayer, W_V: torch.Tensor, W_O: torch.Tensor) -> dict[str, torch.Tensor]:
        if not self._reads_tokens(sublayer):
            none = torch.full((len(W_V),), torch.nan)
            return {"head_copying": none, "head_copying_logits": none}
        embedded, gain = self._read(sublayer), self._gain(sublayer)
        kernel = W_O @ self._kernel @ (gain[:, None] * W_V)
        size = torch.linalg.matrix_norm(W_O) * torch.linalg.matrix_norm(self._kernel) * torch.linalg.matrix_norm(gain[:, None] * W_V)
        said, read = W_O @ self.W_U.mean(1), (embedded.rows.mean(0) * gain) @ W_V
        return {"head_copying": copying(kernel, size), "head_copying_logits": own_logit(kernel, read, said, self.W_U.shape[1])}


def _variable(model: Model, name: str, found: Mapping[tuple[Stack, int], torch.Tensor], provenance: Provenance) -> DataArray:
    """One result of all layers: axes ([stack,] layer, head, ...); a stack or layer that has none holds nothing."""
    like = next(iter(found.values()))
    stacks = STACKS if model.anatomy.encoder_decoder else ("",)
    ids = name.endswith("_ids")
    every = model.anatomy.stacks.values()  # of an encoder, too, which may be the deeper one
    sizes = (len(stacks), max(stack.n_layers for stack in every), max(stack.n_heads for stack in every), *like.shape[1:])
    table = torch.full(sizes, -1 if ids else torch.nan, dtype=like.dtype)
    for (stack, layer), values in found.items():
        table[stacks.index(stack), layer, : len(values)] = values
    dims = ["stack", "layer", "head", *["direction", "rank"][: like.ndim - 1]]
    long_name, units = (f"ids of tokens: {_ABOUT[name[:-4]][0]}", "1") if ids else _ABOUT[name]
    table, dims = (table, dims) if len(stacks) > 1 else (table[0], dims[1:])
    about: dict[str, Any] = {"long_name": long_name, "units": units, "source": SOURCE, "provenance": provenance}
    result = of_heads(table, dims, name=name, **about).assign_attrs(n=model.anatomy.d_vocab)
    return result.astype(int) if ids else result
