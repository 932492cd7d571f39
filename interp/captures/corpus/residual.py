"""What each sublayer writes into the residual stream over a corpus: how much, and in which direction.

    write_norm           ||w||, w what an attention or FFN adds at a token
    write_cosine         cos(w, x), x the stream that it is added to: below 0 it takes away what was there
    write_final_cosine   cos(w, x_L), x_L the stream that the last block leaves

A write is what is added: after the norm that Gemma puts behind its sublayers, before the norm that post-norm models put behind the
addition; there the final direction has no meaning for it, and is left out (see `readout.cannot_stream_residual`). In parallel blocks x is
what both sublayers read. A large norm is no large effect: later norms see directions.
"""

from typing import Any

import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.reducer import Reducer
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, labelled
from interp.core.sites import Stack
from interp.models.anatomy import StackAnatomy
from interp.models.model import Model
from interp.models.points import Point
from interp.models.readout import cannot_stream_residual

_ABOUT = {
    "write_norm": ("mean norm of what each sublayer writes", "1"),
    "write_cosine": ("mean cosine of what each sublayer writes with the stream before it", "1"),
    "write_final_cosine": ("mean cosine of what each sublayer writes with the final stream", "1"),
}


Writer = tuple[Stack, int, str]
"""Stack, layer, and the kind of point at which a sublayer shows what it writes."""


def sublayers_of(stack: StackAnatomy) -> dict[Writer, str]:
    """The sublayers of a stack in the order in which they write, and their names for people ("L0 attention", "XL0 attention")."""
    told = {"attn": ("attention", "attn_out"), "cross": ("attention", "attn_out"), "mlp": ("FFN", "mlp_out")}
    every = [sublayer for layer in stack.layers for sublayer in layer]
    return {(one.stack, one.layer, told[one.kind][1]): f"{one.stack}L{one.layer} {told[one.kind][0]}" for one in every}


class SublayerWrites(Reducer):
    """Norm and direction of what each sublayer writes. Holds what a batch's sublayers wrote until its end, for the final direction.

    Over pairs the sublayers of the encoder come first; the decoder's writes and those of its cross-attention go into one stream.
    """

    kinds = frozenset({"resid_pre", "resid_mid", "attn_out", "mlp_out", "resid_post"})
    features = ("stream",)
    paired = True

    def __init__(self, model: Model):
        missing = cannot_stream_residual(model.anatomy)
        super().__init__(tuple(name for name in _ABOUT if name not in missing))
        self.sublayers = {writer: name for stack in model.anatomy.stacks.values() for writer, name in sublayers_of(stack).items()}
        self.ends = {(stack.stack, stack.n_layers - 1) for stack in model.anatomy.stacks.values()}

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self._held: dict[str, torch.Tensor] = {}

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        flat = tensor.detach().flatten(0, -2)
        if point.kind in ("resid_pre", "resid_mid"):
            self._before = flat
        elif point.kind != "resid_post":
            self._write(self.sublayers[point.stack, point.layer, point.kind], flat)
        elif (point.stack, point.layer) in self.ends and "write_final_cosine" in self.names:
            for name in list(self._held):
                self._add("write_final_cosine", name, _cosines(self._held.pop(name), flat))

    def _write(self, name: str, write: torch.Tensor) -> None:
        self._add("write_norm", name, write.float().norm(dim=-1))
        self._add("write_cosine", name, _cosines(write, self._before))
        self.totals.add(f"n {name}", torch.tensor(len(write)))
        if "write_final_cosine" in self.names:
            self._held[name] = write

    def _add(self, what: str, name: str, values: torch.Tensor) -> None:
        self.totals.add(f"{what} {name}", values.double().sum())

    def result(self, provenance: Provenance) -> Dataset:
        """Each mean over tokens, axis (sublayer,), n a list where the stacks read unequally many; write_final_cosine not in post-norm
        models."""
        return Dataset({what: self._variable(what, provenance) for what in self.names})

    def _variable(self, what: str, provenance: Provenance) -> DataArray:
        names, sums = list(self.sublayers.values()), self.totals.sums
        values = torch.stack([sums[f"{what} {name}"] / sums[f"n {name}"] for name in names])
        long_name, units = _ABOUT[what]
        about: dict[str, Any] = {"long_name": long_name, "units": units, "provenance": provenance, "coords": {"sublayer": names}}
        n = [int(sums[f"n {name}"]) for name in names]
        return labelled(values, ["sublayer"], name=what, **about).assign_attrs(n=n if len(set(n)) > 1 else n[0])


def _cosines(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """0 where either is all 0."""
    return torch.nn.functional.cosine_similarity(one.float(), other.to(one.device).float(), dim=-1, eps=1e-30)
