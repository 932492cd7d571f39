"""One prompt: run the model once and keep what its parts did.

In numbered steps: (1) the text becomes tokens; (2) the memory is counted; (3) the model runs with a watcher; (4) the stream is rebuilt
from what was written into it, and the error is part of the result.
"""

from collections.abc import Sequence
from typing import get_args

import torch

from interp.captures.activations import Activations
from interp.captures.memory import refuse_over
from interp.captures.rebuild import reconstruction_error
from interp.core.errors import SiteError
from interp.models.model import Model
from interp.models.points import Kind, watching
from interp.models.watch import Keep
from interp.texts.example import Example
from interp.texts.tokens import tokenize, windows

EVERYTHING: tuple[Kind, ...] = ("resid_pre", "pattern", "z", "attn_out", "resid_mid", "post", "mlp_out", "resid_post", "ln_final")
MEMORY_LIMIT = 4_000_000_000


def capture(
    model: Model,
    text: str | Example,
    *,
    keep: Sequence[Kind] = EVERYTHING,
    window: bool = False,
    memory_limit: int = MEMORY_LIMIT,
) -> Activations:
    """Run `model` on one text and keep what its parts did.

    Args:
        model: from `interp.load`.
        text: a text, or an example that `interp.texts` made.
        keep: kinds of points (see `models.points`); all of them by default.
        window: for a text longer than the context: take as much of its beginning as fits. `Activations.windowed` says so.
        memory_limit: bytes that the kept tensors may take.
    Returns: the activations, with the stream's reconstruction error.
    Raises: EmptyText, TextTooLong, MemoryLimit; SiteError for a kind that does not exist; CheckFailed when the model failed the check that
        captures rest on.

    Example:
        >>> import interp
        >>> seen = interp.capture(interp.load(), "The bank by the river is steep")
        >>> seen.pattern("L0H0").dims
        ('query_pos', 'key_pos')
        >>> seen.reconstruction_error < 1e-5
        True
    """
    model.require("capture")
    unknown = [kind for kind in keep if kind not in get_args(Kind)]
    if unknown:
        raise SiteError(f"keep={unknown} came; expected kinds out of: {', '.join(get_args(Kind))}")
    example, windowed = _example(model, text, window)
    refuse_over(memory_limit, model.anatomy, len(example), keep)
    watcher = Keep(model, keep)
    with watching(watcher):
        out = model.run(torch.tensor([example.ids]))
    logits = out[0] if model.anatomy.lm_head else None
    error = reconstruction_error(model, watcher.arrays)
    return Activations(model=model, example=example, arrays=watcher.arrays, logits=logits, reconstruction_error=error, windowed=windowed)


def _example(model: Model, text: str | Example, window: bool) -> tuple[Example, bool]:
    if isinstance(text, Example):
        return text, False
    if not window:
        return tokenize(text, model.tokenizer, n_ctx=model.anatomy.n_ctx), False
    cut = windows(text, model.tokenizer, model.anatomy.n_ctx)
    return cut[0], len(cut) > 1
