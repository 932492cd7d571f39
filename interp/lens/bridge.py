"""A TransformerLens bridge over the same weights: all of its tools work on our model.

The bridge replaces modules of the model that it wraps, so it gets a copy: `bridge` one that shares the parameters, `processed`
one of its own, since TransformerLens's weight processing (folded norms, centred unembedding) writes into them. Buffers are never shared:
it writes into those too (BART's and Marian's `final_logits_bias` is moved into the unembedding and set to 0). A bridge's hooks are
not safe from two threads; `LOCK` is held by every view of this room.

A bridge is tried on a few tokens when it is made: one that does not run, or says other logits than the model, is refused.
"""

import tempfile
import threading
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from interp.core.errors import ModelUnsupported
from interp.models.model import Model, plain_copy

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LOCK = threading.RLock()


@lru_cache(maxsize=2)
def bridge(model: Model) -> "TransformerBridge":
    """A `TransformerBridge` that shares the model's parameters; made when first asked for.

    An encoder-decoder's takes the decoder's row beside the encoder's: `interp.bridge(model).run_with_cache(ids, decoder_input=row)`.

    Raises: ModelUnsupported for a model without a trained head, which TransformerLens would give a random one; for one that
        TransformerLens does not load, cannot run, or gets wrong.

    Example:
        >>> import interp
        >>> interp.bridge(interp.load()).cfg.n_heads
        8
    """
    return _boot(model, share=True)


@lru_cache(maxsize=1)
def processed(model: Model) -> "TransformerBridge":
    """A bridge in compatibility mode (norms folded, unembedding centred) over a full copy of the weights.

    Value biases stay with their heads: folded away, a head's contribution would lack what it always adds. Where TransformerLens cannot
    fold a family's norms they stay as they are; those of its tools that rest on folded norms look, and refuse.
    """
    booted = _boot(model, share=False)
    with LOCK, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*does not support (fold_ln|center_writing_weights)", category=UserWarning)
        booted.enable_compatibility_mode(fold_value_biases=False)
    return booted


def refuse_headless(model: Model) -> None:
    """Raises: ModelUnsupported for a model without a trained head."""
    if not model.anatomy.lm_head:
        raise ModelUnsupported(f"{model.name} has no trained token-predicting head; TransformerLens would give it a random one")


def _boot(model: Model, *, share: bool) -> "TransformerBridge":
    refuse_headless(model)
    from transformer_lens.model_bridge import TransformerBridge

    twin = plain_copy(model.hf, share=share)
    for module in twin.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.clone())
    twin.config.architectures = [type(twin).__name__]
    with LOCK, tempfile.TemporaryDirectory() as folder:
        # From files: TransformerLens reads a tokenizer with a BOS token anew by its path, which one made in memory lacks. And it sets
        # padding on the tokenizer it is given, so it gets one of its own.
        model.tokenizer.save_pretrained(folder)
        tokenizer = type(model.tokenizer).from_pretrained(folder)
        try:
            booted = TransformerBridge.boot_transformers(model.name, hf_model=twin, tokenizer=tokenizer, device=str(model.device))
        except ValueError as error:
            said = str(error).partition(". Available")[0]
            raise ModelUnsupported(f"{model.name}: TransformerLens does not load this model: {said}") from error
        _refuse_unfaithful(model, booted)
    return booted


@torch.no_grad()
def _refuse_unfaithful(model: Model, booted: "TransformerBridge") -> None:
    """The tolerance is the square root of the type's rounding, relative: another order of sums is below it, a missing part above."""
    n = min(4, model.anatomy.d_vocab)
    ids = torch.arange(model.anatomy.d_vocab - n, model.anatomy.d_vocab, device=model.device)[None]
    target = ids.flip(1) if model.anatomy.encoder_decoder else None
    ours = model.run(ids, target=target)
    try:
        theirs = booted(ids) if target is None else booted(ids, decoder_input=target)
    except (RuntimeError, ValueError) as error:
        raise ModelUnsupported(f"{model.name}: TransformerLens cannot run this model: {error}") from error
    difference = float((ours - theirs).abs().max() / ours.abs().max())
    if not difference <= torch.finfo(ours.dtype).eps ** 0.5:
        raise ModelUnsupported(f"{model.name}: TransformerLens gets this model's logits wrong, by {difference:.1e} of the largest")
