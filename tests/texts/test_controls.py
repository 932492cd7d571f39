"""Controls: what they destroy, and what they keep."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.errors import DataError
from interp.texts.controls import random_heads, random_token_rows, repeated_token_rows, wrong_heads


def test_random_rows_are_uniform_over_what_is_allowed():
    rows = random_token_rows(200, 100, 12, seed=1, forbidden=[0, 5])
    counts = np.bincount(rows.ravel(), minlength=12)
    assert rows.shape == (200, 100)
    assert counts[[0, 5]].tolist() == [0, 0]
    # 20,000 draws over 10 ids: 2,000 each, standard deviation 42; six of them
    assert np.abs(np.delete(counts, [0, 5]) - 2000).max() < 6 * 42


def test_the_seed_decides():
    first = random_token_rows(2, 50, 100, seed=3)
    assert np.array_equal(first, random_token_rows(2, 50, 100, seed=3))
    assert not np.array_equal(first, random_token_rows(2, 50, 100, seed=4))


def test_repeated_rows_repeat_and_random_rows_do_not():
    rows = repeated_token_rows(3, 20, 1000, seed=2, repeats=3, forbidden=[7])
    copies = rows.reshape(3, 3, 20)
    assert np.array_equal(copies[:, 0], copies[:, 1])
    assert np.array_equal(copies[:, 0], copies[:, 2])
    assert np.array_equal(copies[:, 0], random_token_rows(3, 20, 1000, seed=2, forbidden=[7]))
    single = random_token_rows(3, 60, 1000, seed=2, forbidden=[7]).reshape(3, 3, 20)
    assert (single[:, 0] == single[:, 1]).mean() < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random_token_rows(0, 5, 9, seed=0), "0 rows of 5 tokens came; expected at least one of each"),
        (lambda: random_token_rows(1, 5, 9, seed=0, forbidden=[9]), r"forbidden ids \[9\] are not in the vocabulary; expected 0 to 8"),
        (lambda: random_token_rows(1, 5, 3, seed=0, forbidden=[0, 1]), "1 ids are left of a vocabulary of 3; expected at least two"),
        (lambda: repeated_token_rows(1, 5, 9, seed=0, repeats=1), "1 copies came; expected at least 2"),
        (lambda: wrong_heads([(0, 1), (0, 2)], seed=0), "expected each dependent once, and none its own head"),
        (lambda: random_heads([(0, 1)], 1, seed=0), "a sentence of 1 words came; expected at least two"),
        (lambda: wrong_heads([(1, 1)], seed=0), "expected each dependent once, and none its own head"),
    ],
)
def test_what_makes_no_control_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


@st.composite
def trees(draw):
    """Pairs of a random tree over 2 to 12 words: each word but the root hangs on an earlier one, then places are mixed."""
    n_words = draw(st.integers(2, 12))
    places = draw(st.permutations(range(n_words)))
    return [(places[word], places[draw(st.integers(0, word - 1))]) for word in range(1, n_words)]


@settings(max_examples=60, deadline=None)
@given(pairs=trees(), seed=st.integers(0, 99))
def test_no_exchanged_head_is_right(pairs, seed):
    exchanged = wrong_heads(pairs, seed=seed)
    gold, heads = dict(pairs), {head for _, head in pairs}
    assert all(head != gold[dependent] and head != dependent and head in heads for dependent, head in exchanged)
    left_out = set(gold) - {dependent for dependent, _ in exchanged}
    assert all(heads <= {gold[dependent], dependent} for dependent in left_out)
    assert exchanged == wrong_heads(pairs, seed=seed)


def test_exchanged_heads_are_drawn_as_often_as_they_are_heads():
    """0 hangs on 4; the others' heads are 5 twice and 6 once: 5 comes twice as often."""
    generator = np.random.default_rng(0)
    pairs = [(0, 4), (1, 5), (2, 5), (3, 6)]
    seen = Counter(dict(wrong_heads(pairs, seed=generator))[0] for _ in range(3000))
    assert set(seen) == {5, 6}
    assert abs(seen[5] - 2000) < 6 * np.sqrt(3000 * 2 / 9)  # six standard deviations


def test_exchanging_breaks_the_relation():
    """A chain, each word's head the next: gold agrees with offset +1 always, exchanged heads never."""
    pairs = [(word, word + 1) for word in range(30)]
    assert not any(head == dependent + 1 for dependent, head in wrong_heads(pairs, seed=1))


def test_random_heads_are_even_over_the_other_words():
    generator = np.random.default_rng(0)
    seen = Counter(random_heads([(2, 0)], 5, seed=generator)[0][1] for _ in range(4000))
    assert set(seen) == {0, 1, 3, 4}
    assert max(abs(count - 1000) for count in seen.values()) < 6 * np.sqrt(750)  # six standard deviations
