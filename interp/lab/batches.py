"""Rows to train on: text, sequences in which spans come back, and at first skip rows.

A row depends only on the seed, the step and how many pieces random spans are drawn from, so a run that was killed draws
the same rows when it goes on.

Repeated-span rows have two kinds, half each: *periodic* (one span of 8 to 32 tokens over and over) and *scattered* (fresh spans
and copies of earlier ones in random order, so that no fixed distance gives the copy away). The loss counts copied
tokens only: a fresh random token cannot be predicted.

Skip rows: the token after the next is a fixed function of the current one, so that only the previous token tells what comes.
"""

from dataclasses import dataclass

import numpy as np
import torch

from interp.core.errors import DataError
from interp.lab.corpus import TokenStream
from interp.lab.recipes import Recipe

IGNORED = -100
SPAN_LENGTHS = (8, 33)
SKIP_VOCAB = 512
TEXT_SPAN_SHARE = 0.25


def repeat_share(recipe: Recipe, step: int) -> float:
    """Share of rows with repeats at `step`, in [0, 1]."""
    done = step / max(recipe.n_steps, 1)
    return recipe.repeats_start + (recipe.repeats_end - recipe.repeats_start) * done


def scaffold_share(recipe: Recipe, step: int) -> float:
    """Share of skip rows among those that are not repeats, in [0, 1]: in full while rows are short, then falling to none."""
    past = max(0, step - recipe.short_steps) / max(recipe.short_steps / 4, 1)
    return recipe.scaffold_share * max(0.0, 1 - past)


def text_row(stream: TokenStream, n_ctx: int, rng: np.random.Generator) -> np.ndarray:
    """n_ctx tokens of text from the start of a paragraph on.

    Raises: DataError when no paragraph has so many after its start.
    """
    last = np.searchsorted(stream.starts, len(stream.tokens) - n_ctx)
    if last == 0:
        raise DataError(f"{len(stream.tokens)} tokens of text came; expected more than a row of {n_ctx}: add books, held-out ones too")
    start = stream.starts[rng.integers(last)]
    return stream.tokens[start : start + n_ctx].astype(np.int64)


def repeat_row(stream: TokenStream, n_ctx: int, vocab: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A row of spans that come back, and which of its tokens are copies. Axes: (pos,), (pos,)."""
    periodic, from_text = rng.random() < 0.5, rng.random() < TEXT_SPAN_SHARE
    spans: list[np.ndarray] = []
    row, copied = np.empty(0, np.int64), np.empty(0, bool)
    while len(row) < n_ctx:
        again = bool(spans) and (periodic or rng.random() < 0.6)
        if not again:
            length = rng.integers(*SPAN_LENGTHS)
            fresh = text_row(stream, int(length), rng) if from_text else rng.integers(1, vocab, length)
            spans.append(fresh)
        span = spans[rng.integers(len(spans))] if again else spans[-1]
        row = np.concatenate([row, span])
        known = np.full(len(span), again)
        known[0] &= periodic  # which span comes back cannot be known; how it goes on can
        copied = np.concatenate([copied, known])
    return row[:n_ctx], copied[:n_ctx]


def skip_row(n_ctx: int, d_vocab: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two interleaved chains of one fixed permutation of at most 512 pieces, and which tokens can be told. Axes: (pos,), (pos,)."""
    pieces = min(SKIP_VOCAB, d_vocab - 1)
    follows = np.random.default_rng(0).permutation(np.arange(1, pieces + 1))
    row = rng.integers(1, pieces + 1, n_ctx)
    for pos in range(2, n_ctx):
        row[pos] = follows[row[pos - 2] - 1]
    return row, np.arange(n_ctx) >= 2


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one step reads.

    Attributes:
        rows, labels: token ids, axes (batch, pos); labels that do not count are -100.
        positions: each token's position, axes (batch, pos).
        n_repeats: rows at the end that are repeats.
    """

    rows: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    n_repeats: int


def batch(stream: TokenStream, recipe: Recipe, step: int, vocab: int) -> Batch:
    """The batch of one step: text, skip rows, repeats, in this order."""
    rng = np.random.default_rng([recipe.seed, step])
    n_ctx = recipe.short_ctx if step < recipe.short_steps else recipe.n_ctx
    n_repeats = int(rng.binomial(recipe.batch_rows, repeat_share(recipe, step)))
    n_skips = int(rng.binomial(recipe.batch_rows - n_repeats, scaffold_share(recipe, step)))
    rows = [text_row(stream, n_ctx, rng) for _ in range(recipe.batch_rows - n_repeats - n_skips)]
    labels = [row.copy() for row in rows]
    made = [skip_row(n_ctx, recipe.d_vocab, rng) for _ in range(n_skips)]
    made += [repeat_row(stream, n_ctx, vocab, rng) for _ in range(n_repeats)]
    rows += [row for row, _ in made]
    labels += [np.where(known, row, IGNORED) for row, known in made]
    starts = rng.integers(recipe.n_ctx - n_ctx + 1, size=(len(rows), 1))
    return Batch(
        rows=torch.from_numpy(np.stack(rows)),
        labels=torch.from_numpy(np.stack(labels)),
        positions=torch.from_numpy(starts + np.arange(n_ctx)),
        n_repeats=n_repeats,
    )
