"""What a run reads, as tokens: made once, kept in the run's folder, read back when the run goes on."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from interp.lab.agreement import ATTRACTORS, agreement_rows
from interp.lab.batches import Reading
from interp.lab.corpus import TokenStream, books, split, tokenize_books, tokenize_grammar
from interp.lab.pairs import Pairs, sentence_pairs, tokenize_pairs
from interp.lab.recipes import Recipe
from interp.lab.shapes import SHAPES
from interp.lab.tokenizer import MASK, train_pair_tokenizer, train_tokenizer
from interp.models import zoo

TOKENIZER_PAIRS = 10_000
Kept = TypeVar("Kept", TokenStream, Pairs)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a run reads.

    Attributes:
        words: its tokenizer.
        reading, held: what is trained on, what is held out.
        n_books: how many books are in each; none for pairs.
        agreement: by attractors, rows of `agreement_rows`; for a decoder alone.
    """

    words: PreTrainedTokenizerBase
    reading: Reading | Pairs
    held: Reading | Pairs
    n_books: tuple[int, int]
    agreement: dict[int, torch.Tensor]


def prepare(recipe: Recipe, data: Path, run: Path) -> Prepared:
    """The tokenizer of a run, and what is read in training and held out; made once and then read back.

    Raises: DataError when `data` is needed and holds no text; nothing is written then.
    """
    if SHAPES[recipe.shape].predicts == "translation":
        return _prepare_pairs(recipe, run)
    train_paths, held_paths = split(books(data))
    words = _saved_tokenizer(run, lambda: _tokenizer(recipe, train_paths))
    few = max(2, recipe.grammar_paragraphs // 40)
    reading = Reading(
        text=_kept(run / "train.npz", TokenStream, lambda: tokenize_books(train_paths, words)),
        grammar=_kept(
            run / "grammar.npz",
            TokenStream,
            lambda: tokenize_grammar(
                recipe.grammar_paragraphs, words, seed=0, alone={"agreement": recipe.agreement, "sense": recipe.senses}
            ),
        ),
        mask_id=words.mask_token_id,
    )
    held = Reading(
        text=_kept(run / "held_out.npz", TokenStream, lambda: tokenize_books(held_paths, words)),
        grammar=_kept(run / "grammar_held_out.npz", TokenStream, lambda: tokenize_grammar(few, words, seed=0, split="confirmation")),
        mask_id=words.mask_token_id,
    )
    told = ATTRACTORS if SHAPES[recipe.shape].predicts == "next" else ()
    agreement = {attractors: agreement_rows(words, recipe.n_ctx, attractors) for attractors in told}
    return Prepared(words=words, reading=reading, held=held, n_books=(len(train_paths), len(held_paths)), agreement=agreement)


def _prepare_pairs(recipe: Recipe, run: Path) -> Prepared:
    n, n_tokens = recipe.pairs, recipe.phases[0].row_tokens
    both = (side for pair in sentence_pairs(min(n, TOKENIZER_PAIRS), seed=0) for side in pair)
    words = _saved_tokenizer(run, lambda: train_pair_tokenizer(both, recipe.d_vocab, recipe.n_ctx))
    held = _kept(run / "held_out.npz", Pairs, lambda: tokenize_pairs(max(2, n // 100), words, n_tokens, seed=0, split="confirmation"))
    reading = _kept(run / "train.npz", Pairs, lambda: tokenize_pairs(n, words, n_tokens, seed=0))
    return Prepared(words=words, reading=reading, held=held, n_books=(0, 0), agreement={})


def _saved_tokenizer(run: Path, make: Callable[[], PreTrainedTokenizerBase]) -> PreTrainedTokenizerBase:
    run.mkdir(parents=True, exist_ok=True)
    if not (run / "tokenizer").exists():
        partial = run / "tokenizer.partial"
        make().save_pretrained(partial)
        os.replace(partial, run / "tokenizer")
    return AutoTokenizer.from_pretrained(run / "tokenizer")


def _tokenizer(recipe: Recipe, train_paths: list[Path]) -> PreTrainedTokenizerBase:
    if recipe.tokenizer is None:
        words: PreTrainedTokenizerBase = train_tokenizer(train_paths, recipe.d_vocab, recipe.n_ctx)
    else:
        words = AutoTokenizer.from_pretrained(zoo.folder(recipe.tokenizer))
    if SHAPES[recipe.shape].predicts == "masked":
        words.add_special_tokens({"mask_token": MASK})
    return words


def _kept(file: Path, kind: type[Kept], make: Callable[[], Kept]) -> Kept:
    if not file.exists():
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, **vars(make()))
        os.replace(partial, file)
    with np.load(file) as saved:
        return kind(**{name: array if array.ndim else array.item() for name, array in saved.items()})
