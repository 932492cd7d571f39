"""How does this model's tokenizer cut a text, and what does each token stand for, as a person reads it?

Any fast Hugging Face tokenizer: byte-level BPE, WordPiece, Unigram. A token is shown as the stretch of the text that it
covers, so that no "Ġ", "▁", "##" or broken UTF-8 reaches a screen. Tokens that share a character (a Chinese character is
three bytes, and can be three tokens) are numbered: "猫 1/3", "猫 2/3", "猫 3/3".

A text that is too long is refused, never cut in silence; `windows` cuts it openly.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from interp.core.errors import EmptyText, TextError, TextTooLong
from interp.texts.example import Example
from interp.texts.words import Span

_BLANKS = str.maketrans({"▁": " ", "Ġ": " ", "Ċ": "\n", "ĉ": "\t"})


@runtime_checkable
class FastTokenizer(Protocol):
    """What is needed of a tokenizer: a fast one of transformers has it."""

    @property
    def is_fast(self) -> bool: ...

    @property
    def all_special_ids(self) -> list[int]: ...

    def __call__(self, text: str, **options: Any) -> Any: ...

    def convert_ids_to_tokens(self, ids: Any) -> Any: ...

    def decode(self, token_ids: Any) -> Any: ...


def tokenize(text: str, tokenizer: FastTokenizer, *, n_ctx: int | None = None, add_special_tokens: bool = True) -> Example:
    """The tokens of a text, with their places in it.

    Args:
        text: as a person wrote it.
        tokenizer: the model's own, fast.
        n_ctx: tokens that the model's context holds, special tokens counted; None for no limit.
        add_special_tokens: add what the tokenizer adds ([CLS] ... [SEP], a beginning of text), as the model was trained.
    Raises:
        EmptyText: nothing but white space, or nothing of which the tokenizer makes a token.
        TextTooLong: more than `n_ctx` tokens.
        TextError: the tokenizer is not a fast one, so it does not say where its tokens stand.
    """
    return _refuse_long(_whole(text, tokenizer, add_special_tokens=add_special_tokens), n_ctx)


def _refuse_long(example: Example, n_ctx: int | None) -> Example:
    if n_ctx is not None and len(example) > n_ctx:
        raise TextTooLong(
            f"the text has {len(example)} tokens, the model's context holds {n_ctx}: shorten it, or ask for a window (window=True)"
        )
    return example


def windows(
    text: str, tokenizer: FastTokenizer, n_ctx: int, stride: int | None = None, *, add_special_tokens: bool = True
) -> list[Example]:
    """A text of any length as windows that fit the context; a text that fits is one window, the same as `tokenize` gives.

    Each window has the special tokens that a whole text would have, around its own stretch; its spans point into the full
    text. What stands left of a window is unknown to the model: with `stride` below the window's size, windows overlap.

    Args:
        text: as a person wrote it.
        tokenizer: the model's own, fast.
        n_ctx: tokens in a window, special tokens counted; the last one may be shorter.
        stride: tokens from the start of one window to the start of the next; None for as many as fit: no overlap.
        add_special_tokens: as in `tokenize`.
    Raises:
        EmptyText: as in `tokenize`.
        TextError: no room for a token beside the special ones, or a stride that would leave tokens out or not advance.
    """
    whole = _whole(text, tokenizer, add_special_tokens=add_special_tokens)
    before, after = _frame(whole)
    n_body = len(whole) - before - after
    size = n_ctx - before - after
    stride = size if stride is None else stride
    if size < 1:
        raise TextError(f"a context of {n_ctx} tokens came; expected at least {before + after + 1}: {before + after} of them are special")
    if not 1 <= stride <= size:
        raise TextError(f"a stride of {stride} tokens came; expected 1 to {size}, the tokens of the text in one window")
    starts = range(0, max(n_body - size, 0) + stride, stride)
    head, tail = list(range(before)), list(range(before + n_body, len(whole)))
    bodies = [range(before + start, before + min(start + size, n_body)) for start in starts]
    return [whole.at([*head, *body, *tail]) for body in bodies]


def decoder_row(text: str, tokenizer: FastTokenizer, *, start: int, n_ctx: int | None = None) -> Example:
    """What the decoder of an encoder-decoder reads while it writes `text`: its start token, then the text's tokens.

    A closing special token is left out: the decoder writes it, and reads it never. Position i predicts what stands at i + 1.

    Args:
        text: what is written.
        tokenizer: the model's own, fast.
        start: id of the model's start token.
        n_ctx: tokens that the decoder's context holds.
    Raises: as `tokenize`.
    """
    whole = _refuse_long(_whole(text, tokenizer, add_special_tokens=True, target=True), n_ctx)
    _, after = _frame(whole)
    body = whole.at(range(len(whole) - after))
    (name,) = tokenizer.convert_ids_to_tokens([start])
    return replace(body, ids=(start, *body.ids), tokens=(name, *body.tokens), spans=((0, 0), *body.spans), special=(True, *body.special))


def spelled(token: int, tokenizer: FastTokenizer) -> str:
    """One entry of the vocabulary by itself, as a person reads it; bytes that are no whole character, as their numbers.

    Example:
        >>> import interp
        >>> spelled(interp.load().tokenizer(" sea")["input_ids"][0], interp.load().tokenizer)
        ' sea'
    """
    (piece,) = tokenizer.convert_ids_to_tokens([token])
    written = tokenizer.decode([token]) or piece.translate(_BLANKS)
    if "\N{REPLACEMENT CHARACTER}" in written:
        return f"byte{'s' if len(piece) > 1 else ''} {' '.join(f'{_BYTES.get(sign, 0):02X}' for sign in piece)}"
    return written.removeprefix("##") if piece.startswith("##") and len(piece) > 2 else written


def _byte_signs() -> dict[str, int]:
    """Byte-level tokenizers write each byte as a sign: printable ones as themselves, the others as the signs from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + number): byte for number, byte in enumerate(others)}


_BYTES = _byte_signs()


def _whole(text: str, tokenizer: FastTokenizer, *, add_special_tokens: bool, target: bool = False) -> Example:
    encoding = _encoded(text, tokenizer, add_special_tokens=add_special_tokens, target=target)
    ids = [int(i) for i in encoding["input_ids"]]
    pieces: list[str] = tokenizer.convert_ids_to_tokens(ids)
    offsets = zip(pieces, encoding["offset_mapping"], strict=True)
    spans = [_span(text, piece, (int(start), int(end))) for piece, (start, end) in offsets]
    special_ids = set(tokenizer.all_special_ids)
    known = {piece for i, piece in zip(ids, pieces, strict=True) if i in special_ids}
    written = [piece in known and text[slice(*span)].strip() == piece for piece, span in zip(pieces, spans, strict=True)]
    special = [bool(added) or there for added, there in zip(encoding["special_tokens_mask"], written, strict=True)]
    if all(special):
        raise EmptyText(f"the tokenizer makes no token of the text {text[:40]!r}; expected at least one word")
    tokens = _readable(text, pieces, spans, special)
    return Example(text=text, ids=tuple(ids), tokens=tuple(tokens), spans=tuple(spans), special=tuple(special))


def _encoded(text: str, tokenizer: FastTokenizer, *, add_special_tokens: bool, target: bool) -> Any:
    if not isinstance(text, str):
        raise TextError(f"a {type(text).__name__} came as a text; expected a str (an encoder-decoder's second text: target=...)")
    if not tokenizer.is_fast:
        name = type(tokenizer).__name__
        raise TextError(f"{name} is not a fast tokenizer, so its tokens have no place in the text; load the fast one (use_fast=True)")
    if not text.strip():
        raise EmptyText("the text is empty; expected at least one word")
    return tokenizer(
        **{"text_target" if target else "text": text},  # translators mark the language, and may cut it otherwise
        add_special_tokens=add_special_tokens,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        truncation=False,  # a tokenizer's file may ask for either
        padding=False,
        verbose=False,  # no warning for a text longer than the context: that is ours to refuse
    )


def _span(text: str, piece: str, span: Span) -> Span:
    """Metaspace puts a "▁" before the text and gives it the first character's span: it covers nothing of the text."""
    start, end = span
    invented = piece and not piece.strip("▁") and bool(text[start:end].strip().strip("▁"))
    return (start, start) if invented else span


def _readable(text: str, pieces: list[str], spans: list[Span], special: list[bool]) -> list[str]:
    """Special tokens by name, others by their stretch of the text; white space that a tokenizer trims off, as itself."""
    shown = []
    for piece, (start, end), is_special in zip(pieces, spans, special, strict=True):
        shown.append(piece if is_special else text[start:end] or piece.translate(_BLANKS))
    for run in _runs(spans):
        for number, pos in enumerate(run, start=1):
            shown[pos] = f"{shown[pos]} {number}/{len(run)}"
    return shown


def _runs(spans: Sequence[Span]) -> list[list[int]]:
    """Runs of two or more neighbouring tokens, each of which shares a character with the next.

    Example:
        >>> _runs([(0, 1), (1, 3), (2, 3), (2, 3), (3, 4)])
        [[1, 2, 3]]
    """
    runs: list[list[int]] = []
    for pos, (start, end) in enumerate(spans):
        if pos and max(start, spans[pos - 1][0]) < min(end, spans[pos - 1][1]):
            runs[-1].append(pos)
        else:
            runs.append([pos])
    return [run for run in runs if len(run) > 1]


def _frame(example: Example) -> tuple[int, int]:
    """How many special tokens the tokenizer adds before and after the text; those written in the text are text."""
    of_text = [pos for pos, (start, end) in enumerate(example.spans) if start < end or not example.special[pos]]
    return of_text[0], len(example) - 1 - of_text[-1]
