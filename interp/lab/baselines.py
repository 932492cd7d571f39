"""What held-out text costs without a network: by token frequencies, by pairs of tokens, by gzip. Bits per byte."""

import gzip
import math

import numpy as np
from transformers import PreTrainedTokenizerBase

from interp.lab.corpus import TokenStream

UNIGRAM_WEIGHT = 200.0  # pseudo-counts that pairs borrow from frequencies; 100 to 500 give the zoo's held-out books the same to 0.01 bits


def unigram_bits_per_byte(train: TokenStream, held: TokenStream, d_vocab: int) -> float:
    """By token frequencies alone, counted on the training books, one added to each."""
    return _bits(frequencies(train, d_vocab)[held.tokens], held)


def bigram_bits_per_byte(train: TokenStream, held: TokenStream, d_vocab: int) -> float:
    """By the token before: pair counts of the training books, smoothed by the frequencies."""
    alone = frequencies(train, d_vocab)
    pairs = np.bincount(train.tokens[:-1].astype(np.int64) * d_vocab + train.tokens[1:], minlength=d_vocab**2)
    before = np.bincount(train.tokens[:-1], minlength=d_vocab)
    first, second = held.tokens[:-1].astype(np.int64), held.tokens[1:].astype(np.int64)
    told = (pairs[first * d_vocab + second] + UNIGRAM_WEIGHT * alone[second]) / (before[first] + UNIGRAM_WEIGHT)
    return _bits(np.append(alone[held.tokens[0]], told), held)


def gzip_bits_per_byte(held: TokenStream, tokenizer: PreTrainedTokenizerBase) -> float:
    """By gzip at its best, which has read nothing before."""
    text = str(tokenizer.decode(held.tokens, skip_special_tokens=True)).encode()
    return 8 * len(gzip.compress(text, 9)) / len(text)


def frequencies(train: TokenStream, d_vocab: int) -> np.ndarray:
    """Each token's share of the training books, one added to each count. Axes: (d_vocab,)."""
    counts = np.bincount(train.tokens, minlength=d_vocab) + 1.0
    return counts / counts.sum()


def _bits(probabilities: np.ndarray, held: TokenStream) -> float:
    return float(-np.log(probabilities).sum() / math.log(2) / held.n_bytes)
