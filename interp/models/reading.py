"""From a text to what a model runs on: one row of tokens, in an encoder-decoder two."""

import torch

from interp.core.errors import TextError
from interp.models.model import Model
from interp.texts.example import Example
from interp.texts.tokens import decoder_row, tokenize

Text = str | Example | tuple[str | Example, str | Example]
"""What a model runs on: one text, or in an encoder-decoder a pair of it and what the decoder writes."""


def rows_of(model: Model, text: Text) -> tuple[Example, Example | None]:
    """The tokens that the model reads, and in an encoder-decoder its decoder's row.

    Raises: TextError for a second text that is missing, or that the model does not read; what `tokenize` raises.
    """
    source, target = text if isinstance(text, tuple) else (text, None)
    example = source if isinstance(source, Example) else tokenize(source, model.tokenizer, n_ctx=model.anatomy.n_ctx)
    return example, target_row(model, target)


def target_row(model: Model, target: str | Example | None) -> Example | None:
    """The row of a decoder that writes `target`; an example is taken as the row that it is.

    Raises: as `rows_of`.
    """
    if not model.anatomy.encoder_decoder:
        if target is not None:
            raise TextError(f"a second text came; {model.name} has one stack and reads one text")
        return None
    if target is None:
        raise TextError(
            f"{model.name} is an encoder-decoder: expected a second text, that its decoder writes: target=..., or a pair (text, target)"
        )
    if isinstance(target, Example):
        return target
    return decoder_row(target, model.tokenizer, start=model.start_token(), n_ctx=model.anatomy.n_ctx)


def run_on(model: Model, text: Text, *, logits: bool = True) -> torch.Tensor:
    """Run a model on one text, or a pair of text and target. Returns: as `Model.run`."""
    example, row = rows_of(model, text)
    return model.run(torch.tensor([example.ids]), target=None if row is None else torch.tensor([row.ids]), logits=logits)
