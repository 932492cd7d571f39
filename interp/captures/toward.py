"""Toward which token, and told from where? A word of the text, any other word, or an id, as a person or a program writes it."""

from operator import index

from interp.core.errors import TextError
from interp.models.model import Model
from interp.texts.example import Example
from interp.texts.tokens import spelled


def target_of(model: Model, row: Example, token: object, pos: object) -> tuple[int, int]:
    """The token's id, and the position from which it is told.

    Args:
        model: whose vocabulary it is.
        row: the tokens that the model read.
        token: a word of the row (told from the token before it), any other (told from the last), or a token id.
        pos: the position, from 0; negative counts from the end; None as above.
    Raises: TextError for what is no token, or no position of this row.
    """
    stripped = [text.strip() for text in row.tokens]
    if pos is None and isinstance(token, str) and token.strip() in stripped[1:]:
        place = stripped.index(token.strip(), 1)
        return row.ids[place], place - 1
    return token_id(model, token), _place(row, -1 if pos is None else pos)


def _place(row: Example, pos: object) -> int:
    try:
        place = index(pos)  # type: ignore[arg-type]
    except TypeError:
        place = len(row)
    if not -len(row) <= place < len(row):
        raise TextError(f"position {pos} came; this text has positions 0-{len(row) - 1}")
    return place % len(row)


def token_id(model: Model, token: object) -> int:
    """The one token that a word is, written with a space before it or without; an id is itself. Raises: TextError for anything else."""
    if not isinstance(token, str):
        return model.token_id(token)
    for written in (f" {token.strip()}", token.strip(), token):
        ids = model.tokenizer(written, add_special_tokens=False)["input_ids"]
        if len(ids) == 1:
            return ids[0]
    pieces = model.tokenizer(f" {token.strip()}", add_special_tokens=False)["input_ids"]
    shown = " + ".join(repr(spelled(piece, model.tokenizer)) for piece in pieces) or "none"
    raise TextError(f"{token!r} is not one token here but {shown}; expected a single token: ask for one of its pieces")
