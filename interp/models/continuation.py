"""How does a model go on with a text? Token by token, each the likeliest one, or drawn from what the model predicts with a seed.

The model runs as it always does, with nobody looking, and remembers its keys and values from one token to the next. No setting of the
checkpoint for generation (temperature, penalties, forced tokens) takes part: what comes out is what the logits say.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from interp.core.errors import ModelUnsupported, TextError, TextTooLong
from interp.models.model import Model
from interp.models.reading import target_row
from interp.texts.tokens import spelled, tokenize

MOST = 256


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """What a model wrote.

    Attributes:
        text: what stood there before: the text, in an encoder-decoder the target.
        written: what came behind it.
        ids, tokens: the tokens that were written, an end-of-text token left out. Read again, `text + written` may be cut into others.
        probabilities: of each, as the model gave it before it was chosen.
        ended: after as many tokens as were asked for, at the model's end-of-text token, or at the end of its context.
    """

    text: str
    written: str
    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]
    ended: Literal["length", "end", "context"]


@torch.no_grad()
def continued(model: Model, text: str, n: int = 20, *, target: str = "", seed: int | None = None) -> Continuation:
    """Let a model go on with a text, in an encoder-decoder with the text that it writes.

    Args:
        model: with its head: a decoder, or an encoder-decoder.
        text: what it reads.
        n: tokens to write at most, 1 to 256.
        target: for an encoder-decoder: what it has written so far; "" for nothing.
        seed: draws each token from the model's probabilities; None: always the likeliest.
    Raises: ModelUnsupported for an encoder, or a model without a trained head; EmptyText, TextTooLong for a text that fills the context;
        TextError for a number of tokens out of range, or a target that nobody reads.

    Example:
        >>> import interp
        >>> found = continued(interp.load(), "The old man looked at the", 3)
        >>> len(found.ids), found.ended, found.written == continued(interp.load(), "The old man looked at the", 3).written
        (3, 'length', True)
    """
    if why := cannot_go_on(model):
        raise ModelUnsupported(f"{model.name} {why}")
    if not 1 <= n <= MOST:
        raise TextError(f"n={n} tokens came; expected 1 to {MOST}")
    if target and not model.anatomy.encoder_decoder:
        raise TextError(f"a second text came; {model.name} has one stack and reads one text")
    inputs, row = _begin(model, text, target)
    ids, probabilities, ended = _write(model, inputs, row, n, None if seed is None else torch.Generator().manual_seed(seed))
    return Continuation(
        text=target if model.anatomy.encoder_decoder else text,
        written=str(model.tokenizer.decode(ids)) if ids else "",
        ids=tuple(ids),
        tokens=tuple(spelled(token, model.tokenizer) for token in ids),
        probabilities=tuple(probabilities),
        ended=ended,
    )


def cannot_go_on(model: Model) -> str:
    """Why a model writes nothing; "" when it does."""
    if not model.anatomy.causal and not model.anatomy.encoder_decoder:
        return "is an encoder: it reads a whole text and does not go on with one"
    return "" if model.anatomy.lm_head else "has no trained head, so what it would write means nothing"


def _begin(model: Model, text: str, target: str) -> tuple[dict[str, Any], list[int]]:
    """What the model is called with, and the row of tokens that grows."""
    example = tokenize(text, model.tokenizer, n_ctx=model.anatomy.n_ctx)
    if not model.anatomy.encoder_decoder:
        row = list(example.ids)
        while example.special[len(row) - 1] and example.spans[len(row) - 1][0] == example.spans[len(row) - 1][1]:
            row.pop()  # a token that closes a text: there is nothing to say behind it
        return {}, row
    written = target_row(model, target) if target.strip() else None
    row = [model.start_token()] if written is None else list(written.ids)
    encoded = model.hf.get_encoder()(input_ids=torch.tensor([example.ids], device=model.device))
    return {"encoder_outputs": encoded}, row


def _write(
    model: Model, inputs: dict[str, Any], row: list[int], n: int, generator: torch.Generator | None
) -> tuple[list[int], list[float], Literal["length", "end", "context"]]:
    room = model.anatomy.n_ctx - len(row)
    if room < 1:
        raise TextTooLong(f"the text has {len(row)} tokens and fills the context of {model.name}; expected room for one more: shorten it")
    ends, past, ids, probabilities = _ends(model), None, list[int](), list[float]()
    name = "decoder_input_ids" if inputs else "input_ids"
    for _ in range(min(n, room)):
        fresh = row if past is None else row[-1:]
        out = model.hf(**inputs, **{name: torch.tensor([fresh], device=model.device)}, past_key_values=past, use_cache=True)
        past = out.past_key_values
        shares = out.logits[0, -1].float().softmax(-1).cpu()
        token = int(shares.argmax()) if generator is None else int(torch.multinomial(shares, 1, generator=generator))
        if token in ends:
            return ids, probabilities, "end"
        row.append(token)
        ids.append(token)
        probabilities.append(float(shares[token]))
    return ids, probabilities, "length" if len(ids) == n else "context"


def _ends(model: Model) -> set[int]:
    """Tokens at which a text ends."""
    found: set[int] = set()
    for config in (model.hf.config, getattr(model.hf, "generation_config", None)):
        ends = getattr(config, "eos_token_id", None)
        found |= {int(end) for end in (ends if isinstance(ends, list | tuple) else [ends]) if end is not None}
    return found
