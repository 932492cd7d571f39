"""A TransformerLens bridge over the same weights: all of its tools work on our model.

The bridge replaces modules of the model that it wraps, so it gets a copy: `bridge` one that shares the parameters, `processed`
one of its own, since TransformerLens's weight processing (folded norms, centred unembedding) writes into them. A bridge's hooks are
not safe from two threads; `LOCK` is held by every view of this room.
"""

import tempfile
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from interp.core.errors import ModelUnsupported
from interp.models.model import Model, plain_copy

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LOCK = threading.RLock()


@lru_cache(maxsize=2)
def bridge(model: Model) -> "TransformerBridge":
    """A `TransformerBridge` that shares the model's parameters; made when first asked for.

    Raises: ModelUnsupported for a model without a trained head, which TransformerLens would give a random one.

    Example:
        >>> import interp
        >>> interp.bridge(interp.load()).cfg.n_heads
        8
    """
    return _boot(model, share=True)


@lru_cache(maxsize=1)
def processed(model: Model) -> "TransformerBridge":
    """A bridge in compatibility mode (norms folded, unembedding centred) over a full copy of the weights.

    Value biases stay with their heads: folded away, a head's contribution would lack what it always adds.
    """
    booted = _boot(model, share=False)
    booted.enable_compatibility_mode(fold_value_biases=False)
    return booted


def _boot(model: Model, *, share: bool) -> "TransformerBridge":
    if not model.anatomy.lm_head:
        raise ModelUnsupported(f"{model.name} has no trained token-predicting head; TransformerLens would give it a random one")
    from transformer_lens.model_bridge import TransformerBridge

    twin = plain_copy(model.hf, share=share)
    twin.config.architectures = [type(twin).__name__]
    with LOCK, tempfile.TemporaryDirectory() as folder:
        # From files: TransformerLens reads a tokenizer with a BOS token anew by its path, which one made in memory lacks. And it sets
        # padding on the tokenizer it is given, so it gets one of its own.
        model.tokenizer.save_pretrained(folder)
        tokenizer = type(model.tokenizer).from_pretrained(folder)
        return TransformerBridge.boot_transformers(model.name, hf_model=twin, tokenizer=tokenizer, device=str(model.device))
