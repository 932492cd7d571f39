"""One prompt: run the model once and keep what its parts did.

In numbered steps: (1) the text becomes tokens, in an encoder-decoder two rows of them; (2) the memory is counted; (3) the model runs with a
watcher; (4) the stream is rebuilt from what was written into it, and the error is part of the result.
"""

from collections.abc import Iterable, Sequence
from typing import get_args

import torch

from interp.captures.activations import Activations
from interp.captures.memory import refuse_over
from interp.captures.rebuild import reconstruction_error
from interp.core.errors import SiteError
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.models.points import Kind, watching
from interp.models.reading import target_row
from interp.models.watch import Keep
from interp.texts.example import Example
from interp.texts.tokens import tokenize, windows

MEMORY_LIMIT = 4_000_000_000


def everything(anatomy: Anatomy) -> tuple[Kind, ...]:
    """The kinds of points that a capture keeps by default: what rebuilds the stream, patterns and neurons."""
    common: tuple[Kind, ...] = ("resid_pre", "pattern", "z", "attn_out", "resid_mid", "post", "mlp_out", "resid_post", "ln_final")
    experts: tuple[Kind, ...] = ("mlp_in", "router_probs", "expert_weights") if anatomy.n_experts else ()
    return (*common, *experts, *(("memory",) if anatomy.encoder_decoder else ()))


def capture(
    model: Model,
    text: str | Example,
    *,
    target: str | Example | None = None,
    keep: Kind | Sequence[Kind] | None = None,
    window: bool = False,
    memory_limit: int = MEMORY_LIMIT,
) -> Activations:
    """Run `model` on one text and keep what its parts did.

    Args:
        model: from `interp.load`.
        text: a text, or an example that `interp.texts` made.
        target: for an encoder-decoder: the text that its decoder writes. Its row begins with the model's start token, and each
            position predicts the next.
        keep: kinds of points (see `models.points`), or one; None: what rebuilds the stream, with patterns and neurons.
        window: for a text longer than the context: take as much of its beginning as fits. `Activations.windowed` says so.
        memory_limit: bytes that the kept tensors may take.
    Returns: the activations, with the stream's reconstruction error.
    Raises: EmptyText, TextTooLong, MemoryLimit; TextError for a target that is missing, or that the model does not read; SiteError for a
        kind that does not exist; CheckFailed when the model failed the check that captures rest on.

    Example:
        >>> import interp
        >>> seen = interp.capture(interp.load(), "The bank by the river is steep")
        >>> seen.pattern("L0H0").dims
        ('query_pos', 'key_pos')
        >>> seen.reconstruction_error < 1e-5
        True
    """
    model.require("capture")
    kinds = everything(model.anatomy) if keep is None else _kinds(keep)
    example, windowed = _example(model, text, window)
    row = target_row(model, target)
    refuse_over(memory_limit, model, len(example), kinds, n_target=0 if row is None else len(row))
    watcher = Keep(model, kinds)
    with watching(watcher):
        out = model.run(torch.tensor([example.ids]), target=None if row is None else torch.tensor([row.ids]))
    return Activations(
        model=model,
        example=example,
        target=row,
        arrays=watcher.arrays,
        logits=out[0] if model.anatomy.lm_head else None,
        reconstruction_error=reconstruction_error(model, watcher.arrays),
        windowed=windowed,
    )


def _kinds(keep: object) -> tuple[Kind, ...]:
    one = isinstance(keep, str) or not isinstance(keep, Iterable)
    kinds = (keep,) if one else tuple(keep)  # type: ignore[arg-type]
    unknown = [kind for kind in kinds if kind not in get_args(Kind)]
    if unknown:
        raise SiteError(f"keep={unknown} came; expected kinds out of: {', '.join(get_args(Kind))}")
    return kinds  # type: ignore[return-value]


def _example(model: Model, text: str | Example, window: bool) -> tuple[Example, bool]:
    if isinstance(text, Example):
        return text, False
    if not window:
        return tokenize(text, model.tokenizer, n_ctx=model.anatomy.n_ctx), False
    cut = windows(text, model.tokenizer, model.anatomy.n_ctx)
    return cut[0], len(cut) > 1
