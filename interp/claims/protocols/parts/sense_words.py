"""Which occurrences of ambiguous words are asked for their sense, evenly over the words, each word's senses as frequent as they come."""

from collections.abc import Sequence

import numpy as np

from interp.core.errors import ClaimError
from interp.texts.example import Example
from interp.texts.senses import senses_of

FEWEST = 20  # marked occurrences, of two senses at least, that a word needs
Occurrence = tuple[int, int, str, str]
"""Example, place in it, sense, word."""


def occurrences(examples: Sequence[Example], n_items: int, seed: int) -> list[Occurrence]:
    """The occurrences that are drawn, sorted.

    Raises: ClaimError where no word has enough marked occurrences of two senses.
    """
    by_word: dict[str, list[tuple[int, int, str]]] = {}
    for number, example in enumerate(examples):
        for place, sense in senses_of(example.links):
            by_word.setdefault(example.words[place].form.lower(), []).append((number, place, sense))
    enough = {word: found for word, found in by_word.items() if len(found) >= FEWEST and len({sense for *_, sense in found}) > 1}
    if not enough:
        told = f"{len(by_word) or 'no'} words are marked with a sense (a link Sense:NAME of a word to itself)"
        raise ClaimError(f"{told}; expected one at least with {FEWEST} occurrences and two senses (see interp.texts.senses)")
    return sorted(_drawn(enough, n_items, seed))


def _drawn(by_word: dict[str, list[tuple[int, int, str]]], n_items: int, seed: int) -> list[Occurrence]:
    """As many of each word as there are, up to an even share of the whole."""
    rng, found = np.random.default_rng(seed), []
    left = n_items
    for turn, word in enumerate(sorted(by_word, key=lambda word: (len(by_word[word]), word))):
        share = left // (len(by_word) - turn)
        chosen = [by_word[word][number] for number in rng.permutation(len(by_word[word]))[:share]]
        found += [(*one, word) for one in chosen]
        left -= len(chosen)
    return found
