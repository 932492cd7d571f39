"""What a finding must not show on: token ids without content, repeats without meaning, heads exchanged.

A head that looks like "previous token" on random ids as on text does not need the text; a head relation that holds as well
after the gold heads were exchanged is not about heads. Ids here are all that a model is given: special tokens that it needs
in front are the caller's to add, and to forbid inside.
"""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Int64

from interp.core.errors import DataError


def random_token_rows(
    n_rows: int, n_tokens: int, d_vocab: int, *, seed: int, forbidden: Collection[int] = ()
) -> Int64[np.ndarray, "row pos"]:
    """Token ids drawn uniformly, with replacement: text with its content removed.

    Args:
        n_rows: texts.
        n_tokens: tokens in each.
        d_vocab: entries of the vocabulary; ids are 0 to d_vocab - 1.
        seed: the same seed gives the same rows.
        forbidden: ids never drawn (special tokens).
    Returns: (row, pos) ids.
    Raises: DataError for sizes below 1, a forbidden id outside the vocabulary, or fewer than two ids left to draw from.

    Example:
        >>> random_token_rows(2, 3, 5, seed=0, forbidden=[0]).shape
        (2, 3)
    """
    if n_rows < 1 or n_tokens < 1:
        raise DataError(f"{n_rows} rows of {n_tokens} tokens came; expected at least one of each")
    outside = sorted(set(forbidden) - set(range(d_vocab)))
    if outside:
        raise DataError(f"forbidden ids {outside} are not in the vocabulary; expected 0 to {d_vocab - 1}")
    allowed = np.setdiff1d(np.arange(d_vocab, dtype=np.int64), list(forbidden))
    if len(allowed) < 2:
        raise DataError(f"{len(allowed)} ids are left of a vocabulary of {d_vocab}; expected at least two to draw from")
    return np.random.default_rng(seed).choice(allowed, size=(n_rows, n_tokens))


def repeated_token_rows(
    n_rows: int, length: int, d_vocab: int, *, seed: int, repeats: int = 2, forbidden: Collection[int] = ()
) -> Int64[np.ndarray, "row pos"]:
    """A random span of token ids, said again: what comes next can be known only from the earlier copy (induction).

    An id may by chance stand twice within a span; with a vocabulary far larger than `length` that is rare.

    Args:
        n_rows: texts.
        length: tokens in the span.
        d_vocab: entries of the vocabulary.
        seed: the same seed gives the same rows; the span is `random_token_rows(n_rows, length, ...)` of this seed.
        repeats: copies of the span in a row, at least 2.
        forbidden: ids never drawn.
    Returns: (row, pos) ids, `length * repeats` positions.
    Raises: DataError as `random_token_rows`, and for fewer than two copies.

    Example:
        >>> rows = repeated_token_rows(1, 3, 50, seed=0)
        >>> bool((rows[:, :3] == rows[:, 3:]).all())
        True
    """
    if repeats < 2:
        raise DataError(f"{repeats} copies came; expected at least 2")
    return np.tile(random_token_rows(n_rows, length, d_vocab, seed=seed, forbidden=forbidden), (1, repeats))


def wrong_heads(pairs: Sequence[tuple[int, int]], *, seed: int | np.random.Generator) -> list[tuple[int, int]]:
    """Gold heads of one sentence, exchanged so that none is right: what a head relation must be told from.

    Each dependent gets, by chance, one of the sentence's gold heads that is neither its own nor itself. A word that is the head of many
    stays a likely head, so what remains is "points to some word that words hang on"; that it is the right one is gone. Dealing the heads
    anew without this condition is no control: a verb has several dependents, so a good part of them would get it back. A
    dependent for which no other head is left (all hang on one word) is left out.

    Args:
        pairs: (dependent, head) of one sentence, without the root, each dependent once.
        seed: the same seed gives the same pairs; a generator goes on where it is, for one sentence after another.
    Returns: (dependent, wrong head), in the order of the pairs.
    Raises: DataError for a dependent that is there twice or is its own head.

    Example:
        >>> wrong_heads([(0, 2), (1, 2), (3, 2), (2, 4)], seed=0)
        [(0, 4), (1, 4), (3, 4)]
    """
    dependents = [dependent for dependent, _ in pairs]
    if len(set(dependents)) < len(pairs) or any(dependent == head for dependent, head in pairs):
        raise DataError(f"pairs {list(pairs)[:8]} came; expected each dependent once, and none its own head")
    generator = np.random.default_rng(seed)
    exchanged = []
    for dependent, right in pairs:
        others = [head for _, head in pairs if head not in (right, dependent)]
        if others:
            exchanged.append((dependent, others[generator.integers(len(others))]))
    return exchanged


def random_heads(pairs: Sequence[tuple[int, int]], n_words: int, *, seed: int | np.random.Generator) -> list[tuple[int, int]]:
    """Gold heads of one sentence replaced by words drawn evenly from it: labels without meaning, the null of a claim about heads.

    Args:
        pairs: (dependent, head) of one sentence, without the root.
        n_words: words in the sentence, at least two.
        seed: as in `wrong_heads`.
    Returns: (dependent, random word other than itself), in the order of the pairs.
    Raises: DataError for a sentence of fewer than two words.

    Example:
        >>> random_heads([(0, 1), (1, 0)], 2, seed=0)
        [(0, 1), (1, 0)]
    """
    if n_words < 2:
        raise DataError(f"a sentence of {n_words} words came; expected at least two: a word is not its own head")
    generator = np.random.default_rng(seed)
    drawn = [int(generator.integers(n_words - 1)) for _ in pairs]
    return [(dependent, other + (other >= dependent)) for (dependent, _), other in zip(pairs, drawn, strict=True)]
