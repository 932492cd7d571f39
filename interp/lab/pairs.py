"""Sentence pairs to translate: generated English with its Chinese translation, in rows of one length.

A batch depends only on the recipe and the step, as those of `batches` do. The decoder reads its own translation one place later, beginning
with padding, as Marian does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from interp.lab.batches import IGNORED, Batch
from interp.lab.recipes import Recipe
from interp.texts.grammar.generate import stream
from interp.texts.grammar.lexicon import Split


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Source and target sentences as token ids, 0 where a sentence is over. Axes: (pair, pos)."""

    source: np.ndarray
    target: np.ndarray


def sentence_pairs(n: int, *, seed: int, split: Split = "train") -> Iterator[tuple[str, str]]:
    """So many English sentences, each with its Chinese translation."""
    return ((sentence.text, sentence.translation.text) for sentence in islice(stream(seed=seed, split=split), n))


def tokenize_pairs(n: int, words: PreTrainedTokenizerBase, row_tokens: int, *, seed: int, split: Split = "train") -> Pairs:
    """So many pairs; one that does not fit into `row_tokens` is left out."""
    pairs = list(sentence_pairs(n, seed=seed, split=split))
    sides = [words([pair[side] for pair in pairs])["input_ids"] for side in (0, 1)]
    fitting = [pair for pair in zip(*sides, strict=True) if max(map(len, pair)) <= row_tokens]
    source, target = (_padded([pair[side] for pair in fitting], row_tokens) for side in (0, 1))
    return Pairs(source=source, target=target)


def pair_batch(pairs: Pairs, recipe: Recipe, step: int) -> Batch:
    """The batch of one step."""
    rng = np.random.default_rng([recipe.seed, step])
    return chosen(pairs, rng.integers(len(pairs.source), size=recipe.phase_at(step).batch_rows))


def chosen(pairs: Pairs, which: np.ndarray) -> Batch:
    """A batch of these pairs."""
    source, target = (torch.from_numpy(side[which].astype(np.int64)) for side in (pairs.source, pairs.target))
    return Batch(
        inputs={
            "input_ids": source,
            "attention_mask": (source != 0).long(),
            "decoder_input_ids": torch.nn.functional.pad(target, (1, -1)),
        },
        targets=target.masked_fill(target == 0, IGNORED),
        n_of={"pairs": len(which)},
    )


def _padded(rows: list[list[int]], n_tokens: int) -> np.ndarray:
    padded = np.zeros((len(rows), n_tokens), np.uint16)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return padded
