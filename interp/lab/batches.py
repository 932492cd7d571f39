"""Rows to train on: text, generated sentences, tokens to recall, spans that come back.

A batch depends only on the recipe and the step, so a run that was killed draws the same rows when it goes on.

Each row comes with its *targets*: for each token, what the output at its place should say. In text and generated sentences that
is the next token. In a row of repeats it is the next token too, but only copied ones count: a fresh random token cannot be
predicted. In a recall row it is the token *before*, which nothing but a look at the previous place can tell. For an encoder the
targets are other ones: `mask`. Half of the rows of text and of generated sentences begin with the end-of-text token: a sentence must
be one to the model whether that token stands before it or not.

Rows of repeats have two kinds, half each: *periodic* (one span over and over) and *scattered* (two to four spans in random
order, so that no fixed distance gives the copy away).
"""

from dataclasses import dataclass

import numpy as np
import torch

from interp.core.errors import DataError
from interp.lab.corpus import TokenStream
from interp.lab.recipes import Phase, Recipe

IGNORED = -100
END_ID = 0  # the first piece of every tokenizer of ours
KINDS = ("text", "grammar", "recall", "repeats")
Row = tuple[np.ndarray, np.ndarray]  # tokens and targets, axes (pos,), (pos,)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What rows are cut from: fiction and generated paragraphs; for an encoder the id of the mask."""

    text: TokenStream
    grammar: TokenStream
    mask_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one step reads.

    Attributes:
        inputs: what the model is called with: token ids, positions; axes (batch, pos).
        targets: what the output at each place should say, -100 where that does not count; axes (batch, pos).
        n_of: rows of each kind, in this order in the batch.
    """

    inputs: dict[str, torch.Tensor]
    targets: torch.Tensor
    n_of: dict[str, int]


def text_row(stream: TokenStream, n_tokens: int, rng: np.random.Generator) -> np.ndarray:
    """n_tokens of text from the start of a paragraph on.

    Raises: DataError when no paragraph has so many after its start.
    """
    last = np.searchsorted(stream.starts, len(stream.tokens) - n_tokens)
    if last == 0:
        raise DataError(f"{len(stream.tokens)} tokens of text came; expected more than a row of {n_tokens}: add books, held-out ones too")
    start = stream.starts[rng.integers(last)]
    return stream.tokens[start : start + n_tokens].astype(np.int64)


def next_tokens(row: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """Targets of a row in which the next token is asked for, where that one is `counted`. Axes: (pos,)."""
    following = row if counted is None else np.where(counted, row, IGNORED)
    return np.append(following[1:], IGNORED)


def recall_row(n_tokens: int, d_vocab: int, rng: np.random.Generator) -> Row:
    """Random tokens, each to be answered with the one before it."""
    row = rng.integers(1, d_vocab, n_tokens)
    return row, np.concatenate([[IGNORED], row[:-1]])


def repeat_row(n_tokens: int, d_vocab: int, lengths: tuple[int, int], rng: np.random.Generator) -> Row:
    """Random spans that come back. Which span comes next cannot be known, how it goes on can: only that counts."""
    periodic = rng.random() < 0.5
    spans = [rng.integers(1, d_vocab, rng.integers(lengths[0], lengths[1] + 1)) for _ in range(1 if periodic else rng.integers(2, 5))]
    pieces, copied, seen, n_drawn = [], [], set[int](), 0
    while n_drawn < n_tokens:
        which = int(rng.integers(len(spans)))
        known = np.full(len(spans[which]), which in seen)
        known[0] &= periodic and n_drawn > len(known)  # that a span comes back at all is told by its second beginning
        pieces.append(spans[which])
        copied.append(known)
        seen.add(which)
        n_drawn += len(known)
    row, known = np.concatenate(pieces)[:n_tokens], np.concatenate(copied)[:n_tokens]
    return row, next_tokens(row, known)


def draw(kind: str, reading: Reading, phase: Phase, d_vocab: int, rng: np.random.Generator) -> Row:
    """One row of a kind."""
    if kind == "recall":
        return recall_row(phase.row_tokens, d_vocab, rng)
    if kind == "repeats":
        return repeat_row(phase.row_tokens, d_vocab, phase.span_lengths, rng)
    row = text_row(reading.text if kind == "text" else reading.grammar, phase.row_tokens, rng)
    if rng.random() < 0.5:
        row = np.append(END_ID, row[:-1])
    return row, next_tokens(row)


def mask(
    row: np.ndarray, mask_id: int, d_vocab: int, rng: np.random.Generator, share: float = 0.15, copied: np.ndarray | None = None
) -> Row:
    """A row with holes, and as targets what was there: a share of the tokens, of which a tenth are left as they are and a tenth exchanged.

    Args:
        copied: which tokens may be asked for; None for all.
    """
    asked = rng.random(len(row)) < share
    if copied is not None:
        asked &= copied
    how = rng.random(len(row))
    shown = np.where(how < 0.8, mask_id, np.where(how < 0.9, rng.integers(1, d_vocab, len(row)), row))
    return np.where(asked, shown, row), np.where(asked, row, IGNORED)


def batch(reading: Reading, recipe: Recipe, step: int) -> Batch:
    """The batch of one step."""
    phase = recipe.phase_at(step)
    rng = np.random.default_rng([recipe.seed, step])
    shares = [1 - phase.grammar - phase.recall - phase.repeats, phase.grammar, phase.recall, phase.repeats]
    counts = rng.multinomial(phase.batch_rows, np.clip(shares, 0, 1))
    return assemble(reading, phase, recipe, dict(zip(KINDS, map(int, counts), strict=True)), rng)


def assemble(reading: Reading, phase: Phase, recipe: Recipe, n_of: dict[str, int], rng: np.random.Generator) -> Batch:
    """A batch of so many rows of each kind."""
    drawn = [draw(kind, reading, phase, recipe.d_vocab, rng) for kind in KINDS for _ in range(n_of[kind])]
    if reading.mask_id is not None:
        drawn = [mask(row, reading.mask_id, recipe.d_vocab, rng, recipe.masked, _copied(targets)) for row, targets in drawn]
    starts = rng.integers(recipe.n_ctx - phase.row_tokens + 1, size=(len(drawn), 1))
    rows, positions = np.stack([row for row, _ in drawn]), starts + np.arange(phase.row_tokens)
    return Batch(
        inputs={"input_ids": torch.from_numpy(rows), "position_ids": torch.from_numpy(positions)},
        targets=torch.from_numpy(np.stack([targets for _, targets in drawn])),
        n_of=n_of,
    )


def _copied(targets: np.ndarray) -> np.ndarray:
    """Which tokens of a row counted as next tokens: of text all but the first, of repeats the copies."""
    return np.append(False, targets[:-1] != IGNORED)
