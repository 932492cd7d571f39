"""Logit lens and direct logit attribution by TransformerLens's own tools, as labelled results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from interp.core.errors import ModelUnsupported, TextError
from interp.core.provenance import Provenance, text_hash
from interp.core.results import DataArray, labelled
from interp.lens.bridge import LOCK, bridge, processed, refuse_headless
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.texts.tokens import spelled, tokenize

_Refusals = tuple[tuple[Callable[[Anatomy], bool], str], ...]
_OURS = "ask for capture(...).contributions(...)"
_NO_LENS: _Refusals = (
    (lambda a: a.encoder_decoder, "is an encoder-decoder, and TransformerLens reads logits off a stream in models with one stack only"),
    (lambda a: not a.causal, "is an encoder; expected a decoder, which predicts the next token"),
    (lambda a: not a.unembed, "has a head that is more than a norm and a matrix, so a stream cannot be read off through these"),
)
_NO_ATTRIBUTION: _Refusals = (
    (lambda a: a.encoder_decoder, f"is an encoder-decoder, and TransformerLens attributes in models with one stack only: {_OURS}"),
    *_NO_LENS,
    (lambda a: a.softcapped, "caps its logits softly, so contributions do not add up to them"),
    (lambda a: a.norms == "sandwich", f"has a norm behind its heads, and TransformerLens attributes what stands before it: {_OURS}"),
)


def logit_lens(model: Model, text: str) -> DataArray:
    """What the model would lose if it stopped after each layer: loss of the next token, read off the stream at each layer.

    The stream goes through the model's own final norm and unembedding. An early layer that reads badly has not failed: nothing
    trained it to be read there.

    Args:
        model: a decoder with its head.
        text: a text that fits the context.
    Returns: nats, axes (layer, pos): layer l is the stream that block l reads, the last row what the last block leaves; coordinate
        `best` holds the token predicted there, `token` the token at each position.
    Raises: ModelUnsupported for an encoder, an encoder-decoder, a head that is more than a norm and a matrix, without a trained head, or
        where TransformerLens refuses; EmptyText, TextTooLong; TextError for a text of one token.
    Source: nostalgebraist (2020), "interpreting GPT: the logit lens", through transformer_lens.tools.analysis.logit_lens.

    Example:
        >>> import interp
        >>> interp.logit_lens(interp.load(), "The old man looked at the sea").dims
        ('layer', 'pos')
    """
    from transformer_lens.tools.analysis import logit_lens as theirs

    _refuse(model, _NO_LENS)
    example = tokenize(text, model.tokenizer, n_ctx=model.anatomy.n_ctx)
    if len(example) < 2:
        raise TextError(f"{text!r} is one token, and the loss is that of the next; expected two or more")
    ids = torch.tensor([example.ids], device=model.device)
    with LOCK, torch.no_grad(), _their_refusals(model):
        booted = bridge(model)
        _, cache = booted.run_with_cache(ids[:, :-1])
        likely = theirs(booted, cache=cache, positions=None, targets=ids[:, 1:], return_type="log_probs")
        best = theirs(booted, cache=cache, positions=None, top_k=1)
    words = [[spelled(int(token), model.tokenizer) for token in row] for row in best.readout.top_ids[:, 0, :, 0]]  # type: ignore[index]
    provenance = Provenance(model=model.name, fingerprint=model.fingerprint, data=text_hash([text]))
    return labelled(
        -likely.values[:, 0, :, 0],
        ["layer", "pos"],
        name="logit_lens",
        long_name="loss of the next token, read off the stream",
        units="nats",
        source="nostalgebraist (2020), by TransformerLens",
        provenance=provenance,
        coords={"best": (("layer", "pos"), words), "token": ("pos", list(example.tokens[:-1]))},
    ).assign_attrs(n=len(example) - 1)


def direct_logit_attribution(model: Model, text: str, answer: int, against: int) -> DataArray:
    """What each head, and the rest, writes toward one token against another at the last position, by TransformerLens.

    Our `seen.contributions(..., against=...)` says the same; a test holds the two together.

    Args:
        model: a decoder with its head.
        text: a text that fits the context.
        answer, against: token ids.
    Returns: logits, axis (component,): heads as "L0H0", and "remainder" for all else in the stream. The final norm's bias is in neither
        (in ours it is "final biases"), so the sum is not quite the model's own difference of logits.
    Raises: ModelUnsupported for an encoder, an encoder-decoder, without a trained head, where contributions do not add up to logits
        (soft caps, larger heads), and where TransformerLens refuses, or would attribute something else than what is added (a norm
        behind the heads); TextError for an id that the vocabulary does not have.

    Example:
        >>> import interp
        >>> result = interp.direct_logit_attribution(interp.load(), "The old man looked at the", 300, 301)
        >>> result.dims
        ('component',)
    """
    from transformer_lens.tools.analysis import direct_logit_attribution as theirs

    _refuse(model, _NO_ATTRIBUTION)
    answer, against = model.token_id(answer), model.token_id(against)
    example = tokenize(text, model.tokenizer, n_ctx=model.anatomy.n_ctx)
    with LOCK, torch.no_grad(), _their_refusals(model):
        found = theirs(processed(model), torch.tensor([example.ids], device=model.device), answer, against, unit="head")
    return labelled(
        found.attribution.flatten(),
        ["component"],
        name="direct_logit_attribution",
        long_name=f"direct attribution to {spelled(answer, model.tokenizer)!r} against {spelled(against, model.tokenizer)!r}",
        units="logits",
        source="transformer_lens.tools.analysis.direct_logit_attribution",
        provenance=Provenance(model=model.name, fingerprint=model.fingerprint, data=text_hash([text])),
        coords={"component": found.labels},
    )


def _refuse(model: Model, refusals: _Refusals) -> None:
    refuse_headless(model)
    for applies, reason in refusals:
        if applies(model.anatomy):
            raise ModelUnsupported(f"{model.name} {reason}")


@contextmanager
def _their_refusals(model: Model) -> Iterator[None]:
    """What TransformerLens's tools refuse for a family, as an error of ours."""
    try:
        yield
    except (ValueError, NotImplementedError) as error:
        raise ModelUnsupported(f"{model.name}: TransformerLens refuses: {error}") from error
