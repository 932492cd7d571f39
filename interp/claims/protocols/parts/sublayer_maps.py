"""A sublayer as a function of its own: each layer's attention or FFN is fed vectors, and what it writes for them is read off.

    attention_live           z(x) W_O + b_O          the pattern follows from x
    attention_frozen         the same                 under the pattern that the text itself gave
    ffn                      post(x) W_out + b_out
    ffn_without_activation   up(x) W_out + b_out      in a gated FFN gate(x) * up(x) in place of up(x): the activation is the identity

All layers are fed in one run, since each reads what it is given and not what the layers below now write. A norm behind a sublayer (Gemma)
is no part of it; the norm before it is, if asked for.

What it does not tell: anything about inputs that no text gives; it feeds whatever it is given.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Literal

import torch

from interp.core.errors import CheckFailed
from interp.models.anatomy import Anatomy, Sublayer
from interp.models.attention import AttentionCall
from interp.models.model import Model, bias_of
from interp.models.points import Kind, Point, watching
from interp.models.precision import wide
from interp.models.watch import Keep

What = Literal["attention_frozen", "attention_live", "ffn", "ffn_without_activation"]
Vectors = Mapping[int, torch.Tensor]
"""By layer: axes (batch, pos, d_model)."""


class _Fed:
    """Gives each layer's sublayer a prepared input, and a prepared pattern where there is one."""

    def __init__(self, reads: Kind, inputs: Vectors, patterns: Vectors | None):
        self.inputs, self.patterns = inputs, patterns
        self.kinds: frozenset[str] = frozenset({reads, *(("pattern",) if patterns is not None else ())})

    def attend(self, point: Point, call: AttentionCall) -> None:
        assert self.patterns is not None  # it is not called otherwise
        call.replace(self.patterns[point.layer])

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor:
        return self.inputs[point.layer].to(tensor)


class _Linear:
    """Puts a matrix in the place of what a sublayer computes before its output matrix, in the run and in the model's dtype.

    Each layer has its own, drawn; where two activations are multiplied, the second becomes 1.
    """

    def __init__(self, reads: Kind, inside: tuple[Kind, ...], seed: int):
        self.reads, self.first, self.seed = reads, inside[0], seed
        self.kinds: frozenset[str] = frozenset({reads, *inside})
        self.fed: dict[int, torch.Tensor] = {}

    def attend(self, point: Point, call: AttentionCall) -> None:
        return None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        if point.kind == self.reads:
            self.fed[point.layer] = tensor
            return None
        if point.kind != self.first:
            return torch.ones_like(tensor)
        fed, width = self.fed[point.layer], tensor.shape[2:].numel()
        generator = torch.Generator().manual_seed(self.seed + point.layer)
        matrix = torch.randn(fed.shape[-1], width, generator=generator) / fed.shape[-1] ** 0.5
        return (fed @ matrix.to(fed)).view_as(tensor)


class SublayerMaps:
    """One kind of sublayer in every layer that has it, as functions.

    Args:
        keep_norm: whether the norm before the sublayer belongs to the function; its input is then the stream.
    """

    def __init__(self, model: Model, what: What, *, keep_norm: bool):
        self.model, self.what, self.keep_norm = model, what, keep_norm
        self.sublayers = {one.layer: one for one in sublayers_of(model.anatomy, what)}
        self.reads: Kind = "attn_in" if what.startswith("attention") else "mlp_in"
        self.inside: tuple[Kind, ...] = self._inside()

    def _inside(self) -> tuple[Kind, ...]:
        if self.what == "ffn_without_activation":
            return ("up", "gate") if self.model.anatomy.gated else ("up",)
        return ("z",) if self.reads == "attn_in" else ("post",)

    def inputs(self, ids: torch.Tensor) -> dict[int, torch.Tensor]:
        """What each layer's function is given in these texts. Axes: ids (batch, pos)."""
        kinds = {layer: self._input_kind(one) for layer, one in self.sublayers.items()}
        keep = Keep(self.model, set(kinds.values()))
        with watching(keep):
            self.model.run(ids, logits=False)
        return {layer: keep.arrays[Point(kind=kind, layer=layer).name] for layer, kind in kinds.items()}

    def _input_kind(self, sublayer: Sublayer) -> Kind:
        if not self.keep_norm:
            return self.reads
        first = self.model.anatomy.main.layers[sublayer.layer][0] is sublayer
        return "resid_pre" if first or self.model.anatomy.parallel else "resid_mid"

    def patterns(self, ids: torch.Tensor, vectors: Vectors) -> dict[int, torch.Tensor] | None:
        """The pattern that each layer has when it is fed these; None where none is to be held. Axes: (batch, head, query_pos, key_pos)."""
        if self.what != "attention_frozen":
            return None
        fed = _Patterns(self.reads, self._read(vectors))
        with watching(fed):
            self.model.run(ids, logits=False)
        return fed.found

    def hidden(
        self, ids: torch.Tensor, vectors: Vectors, patterns: Vectors | None = None, *, linear: int | None = None
    ) -> dict[int, torch.Tensor]:
        """What stands before each layer's output matrix when it is fed these, float64. Axes: (batch, pos, neuron or head x d_head).

        Args:
            ids: any tokens of the same shape; they are not looked at.
            patterns: attention to hold.
            linear: the seed of a matrix that is put in the place of what is computed, with the norm before it; None: none is.
        Raises: CheckFailed for what is not finite.
        """
        given = self._read(vectors) if linear is None else vectors
        fed, keep = _Fed(self.reads, given, patterns), Keep(self.model, self.inside)
        put = nullcontext() if linear is None else watching(_Linear(self.reads, self.inside, linear))
        with watching(fed), put, watching(keep):
            self.model.run(ids, logits=False)
        found = {layer: self._product(keep, layer) for layer in self.sublayers}
        if not all(one.isfinite().all() for one in found.values()):
            raise CheckFailed(f"{self.model.name}: what a sublayer computes is not finite; load the model in float32")
        return found

    def _product(self, keep: Keep, layer: int) -> torch.Tensor:
        first, *more = (wide(keep.arrays[Point(kind=kind, layer=layer).name]) for kind in self.inside)
        for factor in more:
            first = first * factor
        return first.flatten(-2) if self.inside == ("z",) else first

    def written(self, hidden: Vectors, *, bias: bool = True) -> dict[int, torch.Tensor]:
        """What each layer adds to the stream for that, before any norm behind it. Axes: (batch, pos, d_model).

        Args: bias: False for a difference in which it cancels.
        """
        found = {}
        for layer, inner in hidden.items():
            matrix = self._matrix(layer)
            out = inner.to(matrix) @ matrix
            found[layer] = out + bias_of(self.model.at(self.sublayers[layer].out)) if bias else out
        return found

    def _matrix(self, layer: int) -> torch.Tensor:
        return self.model.W_O(layer).flatten(0, 1) if self.reads == "attn_in" else self.model.W_out(layer)

    def _read(self, vectors: Vectors) -> Vectors:
        if not self.keep_norm:
            return vectors
        # forward, not a call: nobody is to see it
        norms = {layer: self.model.at(one.norm_in) for layer, one in self.sublayers.items()}
        return {layer: norms[layer].forward(vector) for layer, vector in vectors.items()}


class _Patterns:
    """Gives each layer's attention a prepared input and keeps the pattern that follows."""

    def __init__(self, reads: Kind, inputs: Vectors):
        self.reads, self.inputs = reads, inputs
        self.kinds: frozenset[str] = frozenset({reads, "pattern"})
        self.found: dict[int, torch.Tensor] = {}

    def attend(self, point: Point, call: AttentionCall) -> None:
        self.found[point.layer] = call.pattern().detach()

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor:
        return self.inputs[point.layer].to(tensor)


def sublayers_of(anatomy: Anatomy, what: What) -> list[Sublayer]:
    """The sublayers that a claim on these is about; there may be none."""
    kind = "attn" if what.startswith("attention") else "mlp"
    return [one for layer in anatomy.main.layers for one in layer if one.kind == kind]


def outside(anatomy: Anatomy, what: What) -> str:
    """Why a claim on these sublayers is not about a model, as the rest of a sentence; "" where it is.

    Example:
        >>> import interp
        >>> outside(interp.load("small-attn").anatomy, "ffn"), outside(interp.load("small-attn").anatomy, "attention_live")
        ('has no FFN', '')
    """
    found = sublayers_of(anatomy, what)
    if not found:
        return "has no attention" if what.startswith("attention") else "has no FFN"
    if any(one.experts for one in found):
        return "has FFNs of experts, whose router is a choice and not a map that is linear or not by its activation"
    return ""
