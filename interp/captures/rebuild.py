"""Does what the sublayers write add up to the stream, under the family's own rule?

The stream after each block is predicted from the block's input and what attention and FFN wrote, and compared with what the
next part of the model really read. A hook on the wrong module, or a norm in another place than the anatomy says, shows
here as a large error.
"""

import math
from collections.abc import Iterable, Mapping

import torch

from interp.models.model import Model
from interp.models.points import Kind, Point

_NEEDED: tuple[Kind, ...] = ("resid_pre", "attn_out", "mlp_out", "resid_post")


def reconstruction_error(model: Model, arrays: Mapping[str, torch.Tensor]) -> float | None:
    """Largest relative error of the rebuilt stream over layers: ||rebuilt - seen|| / ||seen||, by layer and in total.

    Heads are rebuilt as well where `z` was kept: sum_h z_h W_O^h + b_O against what attention wrote.

    Returns: a ratio, or None when too little was kept to rebuild anything.
    """
    errors = [error for layer in range(model.anatomy.n_layers) for error in _layer_errors(model, arrays, layer)]
    errors += _whole_stream(model, arrays)
    return worst(errors) if errors else None


def worst(values: Iterable[float]) -> float:
    """The largest, or nan where one of them is nan, which `max` would pass over.

    Example:
        >>> worst([1.0, float("nan")])
        nan
    """
    known = list(values)
    return math.nan if any(math.isnan(value) for value in known) else max(known)


def _get(arrays: Mapping[str, torch.Tensor], kind: Kind, layer: int) -> torch.Tensor | None:
    return arrays.get(Point(kind=kind, layer=layer).name)


def relative(rebuilt: torch.Tensor, seen: torch.Tensor) -> float:
    """||rebuilt - seen|| / ||seen||, in float64."""
    return ((rebuilt.double() - seen.double()).norm() / seen.double().norm().clamp_min(1e-30)).item()


@torch.no_grad()
def _layer_errors(model: Model, arrays: Mapping[str, torch.Tensor], layer: int) -> list[float]:
    errors = []
    z, attn_out = _get(arrays, "z", layer), _get(arrays, "attn_out", layer)
    if z is not None and attn_out is not None:
        heads = torch.einsum("bphd,hdm->bpm", z, model.W_O(layer)) + model.b_O(layer)
        errors.append(relative(heads, attn_out))
    resid_pre, attn_out, mlp_out, resid_post = (_get(arrays, kind, layer) for kind in _NEEDED)
    if resid_pre is not None and attn_out is not None and mlp_out is not None and resid_post is not None:
        errors += _stream_errors(model, layer, resid_pre, attn_out, mlp_out, resid_post, _get(arrays, "resid_mid", layer))
    return errors


def _stream_errors(
    model: Model,
    layer: int,
    resid_pre: torch.Tensor,
    attn_out: torch.Tensor,
    mlp_out: torch.Tensor,
    resid_post: torch.Tensor,
    resid_mid: torch.Tensor | None,
) -> list[float]:
    if model.anatomy.norms == "post":
        mid = model.module("ln1", layer)(resid_pre + attn_out)
        post = model.module("ln2", layer)(mid + mlp_out)
    else:
        mid = resid_pre + attn_out
        post = mid + mlp_out
    seen_mid = [] if resid_mid is None else [relative(mid, resid_mid)]
    return [*seen_mid, relative(post, resid_post)]


def _whole_stream(model: Model, arrays: Mapping[str, torch.Tensor]) -> list[float]:
    """Pre-norm: the embedding plus all that was written, against what the final norm read.

    Post-norm: what a block left, against what the next one read.
    """
    n_layers = model.anatomy.n_layers
    if model.anatomy.norms == "post":
        handed_on = [(_get(arrays, "resid_post", layer - 1), _get(arrays, "resid_pre", layer)) for layer in range(1, n_layers)]
        return [relative(left, read) for left, read in handed_on if left is not None and read is not None]
    start, end = _get(arrays, "resid_pre", 0), _get(arrays, "resid_post", n_layers - 1)
    written = [_get(arrays, kind, layer) for layer in range(n_layers) for kind in ("attn_out", "mlp_out")]  # type: ignore[arg-type]
    if start is None or end is None or any(part is None for part in written):
        return []
    return [relative(start + sum(part for part in written if part is not None), end)]
