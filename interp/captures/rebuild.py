"""Does what the sublayers write add up to the stream, under the family's own rule?

    stream <- norm_after(stream + write),   write = norm_out(sum over heads of z W_O + b_O), or neurons W_out + b_out, or the experts' sum

Each line is predicted from what was seen before it and compared with what the next part of the model really read: every write from its
heads or neurons; the stream by layer, from what the block read; the stream over the whole stack, from what the first block read, with every
post-norm frozen (its scale held at the one it had). A hook on the wrong module, or a norm in another place than the anatomy
says, shows here as a large error.
"""

import math
from collections.abc import Iterable, Iterator, Mapping

import torch

from interp.core.sites import Stack
from interp.models import experts
from interp.models.anatomy import StackAnatomy, Sublayer
from interp.models.model import Model, bias_of
from interp.models.norms import frozen
from interp.models.points import Kind, Point
from interp.models.precision import wide


@torch.no_grad()
def reconstruction_errors(model: Model, arrays: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Relative errors ||rebuilt - seen|| / ||seen||, the worst of each sort that the kept arrays allow.

    Returns: some of "heads", "neurons", "layers", "whole stack", "final norm", "encoder's output".
    """
    found: dict[str, list[float]] = {}
    for sort, error in _errors(model, _Seen(arrays)):
        found.setdefault(sort, []).append(error)
    return {sort: worst(errors) for sort, errors in found.items()}


def reconstruction_error(model: Model, arrays: Mapping[str, torch.Tensor]) -> float | None:
    """The worst of `reconstruction_errors`, or None when too little was kept to rebuild anything."""
    errors = reconstruction_errors(model, arrays)
    return worst(errors.values()) if errors else None


def worst(values: Iterable[float]) -> float:
    """The largest, or nan where one of them is nan, which `max` would pass over.

    Example:
        >>> worst([1.0, float("nan")])
        nan
    """
    known = list(values)
    return math.nan if any(math.isnan(value) for value in known) else max(known)


def relative(rebuilt: torch.Tensor, seen: torch.Tensor) -> float:
    """||rebuilt - seen|| / ||seen||, in float64."""
    rebuilt, seen = wide(rebuilt), wide(seen.to(rebuilt.device))
    return ((rebuilt - seen).norm() / seen.norm().clamp_min(1e-30)).item()


class _Seen:
    """What was kept, by kind, layer and stack; None where it was not."""

    def __init__(self, arrays: Mapping[str, torch.Tensor]):
        self.arrays = arrays

    def __call__(self, kind: Kind, layer: int, stack: Stack) -> torch.Tensor | None:
        return self.arrays.get(Point(kind=kind, layer=layer, stack=stack).name)

    def write(self, sublayer: Sublayer) -> torch.Tensor | None:
        return self("mlp_out" if sublayer.kind == "mlp" else "attn_out", sublayer.layer, sublayer.stack)


def _errors(model: Model, seen: _Seen) -> Iterator[tuple[str, float]]:
    for sublayer in model.anatomy.sublayers():
        yield from _write_errors(model, seen, sublayer)
    for stack in model.anatomy.stacks.values():
        for layer in range(stack.n_layers):
            yield from _layer_errors(model, seen, stack, layer)
        yield from _whole_stack(model, seen, stack)
        yield from _final_norm(model, seen, stack)
    yield from _memory(model, seen)


def _write_errors(model: Model, seen: _Seen, sublayer: Sublayer) -> Iterator[tuple[str, float]]:
    write, rebuilt = seen.write(sublayer), _rebuilt_write(model, seen, sublayer)
    if write is not None and rebuilt is not None:
        yield "neurons" if sublayer.kind == "mlp" else "heads", relative(rebuilt, write)


def _rebuilt_write(model: Model, seen: _Seen, sublayer: Sublayer) -> torch.Tensor | None:
    """A sublayer's write out of its heads, its neurons or its experts; None where they were not kept."""
    norm = model.at(sublayer.norm_out)
    if sublayer.experts:
        x, weights = (seen(kind, sublayer.layer, sublayer.stack) for kind in ("mlp_in", "expert_weights"))  # type: ignore[arg-type]
        return None if x is None or weights is None else norm(experts.rebuild(model.at(sublayer.module), x, weights))
    parts = seen("post" if sublayer.kind == "mlp" else "z", sublayer.layer, sublayer.stack)
    if parts is None:
        return None
    if sublayer.kind == "mlp":
        return norm(parts @ model.W_out(sublayer.layer, sublayer.stack) + bias_of(model.at(sublayer.out)))
    heads = torch.einsum("bphd,hdm->bphm", parts, model.W_O(sublayer.layer, sublayer.stack))
    return norm(heads.sum(2) + model.b_O(sublayer.layer, sublayer.stack))


def _layer_errors(model: Model, seen: _Seen, stack: StackAnatomy, layer: int) -> Iterator[tuple[str, float]]:
    """From what the block read, through each of its sublayers, to what the next one reads."""
    stream = seen("resid_pre", layer, stack.stack)
    for number, sublayer in enumerate(stack.layers[layer], start=1):
        write = seen.write(sublayer)
        if stream is None or write is None:
            return
        stream = model.at(sublayer.norm_after)(stream.to(write.device) + write)
        last = number == len(stack.layers[layer])
        after = seen("resid_post", layer, stack.stack) if last else seen("resid_mid", layer, sublayer.stack)
        if after is not None:
            yield "layers", relative(stream, after)
    handed_on = seen("resid_pre", layer + 1, stack.stack)
    if stream is not None and handed_on is not None:
        yield "layers", relative(stream, handed_on)


def _whole_stack(model: Model, seen: _Seen, stack: StackAnatomy) -> Iterator[tuple[str, float]]:
    """From what the first block read to what the last one left, with each post-norm's scale held at what it saw."""
    first, end = seen("resid_pre", 0, stack.stack), seen("resid_post", stack.n_layers - 1, stack.stack)
    if first is None or end is None:
        return
    carried = wide(first)
    for layer in range(stack.n_layers):
        read = seen("resid_pre", layer, stack.stack)
        for sublayer in stack.layers[layer]:
            write = seen.write(sublayer)
            if read is None or write is None:
                return
            write = write.to(carried.device)
            norm = frozen(model.at(sublayer.norm_after), read.to(carried.device) + write)
            carried = norm(carried + write) + norm.offset
            after = seen("resid_mid", layer, sublayer.stack)
            read = read.to(write.device) + write if after is None else after
    yield "whole stack", relative(carried, end)


def _final_norm(model: Model, seen: _Seen, stack: StackAnatomy) -> Iterator[tuple[str, float]]:
    last = stack.n_layers - 1
    end, normed = seen("resid_post", last, stack.stack), seen("ln_final", last, stack.stack)
    if end is not None and normed is not None:
        norm = frozen(model.at(stack.ln_final), end)
        yield "final norm", relative(norm(wide(end)) + norm.offset, normed)


def _memory(model: Model, seen: _Seen) -> Iterator[tuple[str, float]]:
    """Every cross-attention's keys and values are made of the encoder's final output."""
    if not model.anatomy.encoder_decoder:
        return
    encoder = model.anatomy.stack("E")
    output = seen("ln_final" if encoder.ln_final else "resid_post", encoder.n_layers - 1, "E")
    for layer in range(model.anatomy.n_layers):
        read = seen("memory", layer, "X")
        if output is not None and read is not None:
            yield "encoder's output", relative(output, read)
