"""What one prompt's run left behind: tensors by the name of the place where they were seen.

They are kept under TransformerLens's hook names with a batch axis of 1. `activations.Activations` makes labelled results of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from typing import Any, get_args

import torch

from interp.core.errors import SiteError
from interp.core.provenance import Provenance, text_hash
from interp.core.results import DataArray, labelled
from interp.core.sites import Stack
from interp.models.anatomy import Sublayer
from interp.models.model import Model
from interp.models.points import Kind, Point
from interp.models.watch import value_norms_name
from interp.texts.example import Example

_RESTS_ON: Mapping[str, str] = {  # all other kinds rest on "stream"
    "pattern": "patterns",
    "memory": "patterns",
    "post": "neurons",
    "up": "neurons",
    "gate": "neurons",
    "router_probs": "experts",
    "expert_weights": "experts",
}
_OF_CROSS: tuple[Kind, ...] = ("attn_in", "memory", "pattern", "z", "attn_out", "resid_mid")


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One run on one text, or on two: what an encoder-decoder's encoder reads, and what its decoder does.

    Attributes:
        example: the text; in an encoder-decoder the encoder's.
        target: the decoder's row in an encoder-decoder, its start token first; None otherwise.
        arrays: hook name -> tensor, batch axis of 1 first.
        logits: (pos, d_vocab), None for a model without a trained head.
        reconstruction_error: relative error of the stream rebuilt from what was written into it; None when too little was kept.
        windowed: True when only the beginning of a longer text was taken.
    """

    model: Model
    example: Example
    target: Example | None
    arrays: Mapping[str, torch.Tensor]
    logits: torch.Tensor | None
    reconstruction_error: float | None
    windowed: bool

    @property
    def provenance(self) -> Provenance:
        """Model, weights, text and versions behind every result of this run."""
        rows = [self.example] if self.target is None else [self.example, self.target]
        texts = [part for row in rows for part in (row.text, *map(str, row.ids))]
        return Provenance(model=self.model.name, fingerprint=self.model.fingerprint, data=text_hash(texts))

    def row(self, stack: Stack | None = None) -> Example:
        """The tokens whose positions a stack's stream has; for "X" those that attend."""
        return self.example if self.target is None or stack == "E" else self.target

    def tensor(self, kind: Kind, layer: int, stack: Stack | None = None) -> torch.Tensor:
        """The tensor seen at a point, without the batch axis.

        Raises: SiteError when the layer, the stack or the kind does not exist or was not kept; CheckFailed when what it rests on is
            disabled.
        """
        if kind not in get_args(Kind):
            raise SiteError(f"{kind!r} is no kind of point; expected one of: {', '.join(get_args(Kind))}")
        self.model.require(_RESTS_ON.get(kind, "stream"))
        stack = self._stack(stack)
        last = self._refuse_layer(layer, stack)
        if kind == "ln_final" and layer != last:
            raise SiteError(f"layer {layer}: 'ln_final' stands after the last block only; expected layer {last}")
        if stack == "X" and kind not in _OF_CROSS:
            raise SiteError(f"{kind!r} is the decoder's, not its cross-attention's; expected stack='D', or one of: {', '.join(_OF_CROSS)}")
        kept = self.arrays.get(Point(kind=kind, layer=layer, stack=stack).name)
        if kept is None:
            raise SiteError(
                f"{kind!r} of layer {layer} was not kept, or this family has none; ask for it: interp.capture(..., keep=[{kind!r}, ...])"
            )
        return kept[0]

    def _stack(self, stack: Stack | None) -> Stack:
        return self.model.anatomy.main.stack if stack is None else stack

    def _refuse_layer(self, layer: Any, stack: Stack) -> int:
        """Refuse a layer that the stack does not have. Returns: its last one."""
        last = self.model.anatomy.stack(stack).n_layers - 1
        if not hasattr(layer, "__index__") or not 0 <= index(layer) <= last:
            raise SiteError(f"layer {layer}: this model has layers 0-{last}")
        return last

    def _ffn(self, layer: Any, stack: Stack | None, *, mixed: bool) -> Sublayer:
        """The FFN of a layer, where it is a mixture of experts, or where it is none."""
        self._refuse_layer(layer, self._stack(stack))
        ffn = self.model.anatomy.ffn(layer, self._stack(stack))
        if ffn is None:
            raise SiteError(f"layer {layer} has no FFN")
        if mixed and not ffn.experts:
            raise SiteError(f"layer {layer} is no mixture of experts; expected one that is, or neurons({layer})")
        if ffn.experts and not mixed:
            raise SiteError(f"layer {layer} is a mixture of experts: ask for one, expert_neurons('L{layer}E0')")
        return ffn

    def value_norms(self, layer: int, stack: Stack | None = None) -> torch.Tensor:
        """||v_j W_O|| of each key. Axes: (head, key_pos)."""
        self.tensor("pattern", layer, stack)
        return self.arrays[value_norms_name(Point(kind="pattern", layer=layer, stack=self._stack(stack)))][0]

    def _by_pos(self, values: torch.Tensor, dim: str, row: Example, **about: str) -> DataArray:
        return self._labelled(values, ["pos", dim], row=row, coords={"token": ("pos", list(row.tokens))}, **about)

    def _labelled(self, values: torch.Tensor, dims: list[str], *, row: Example | None = None, **about) -> DataArray:
        n = len(self.row() if row is None else row)
        return labelled(values, dims, provenance=self.provenance, **about).assign_attrs(n=n)
