"""Laws that a measure of attention holds for every pattern, and hand-made patterns of which the answer is known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.measures.attention import (
    entropy,
    mean_distance,
    most_attended,
    norm_weighted,
    to_words,
    weight_at_offset,
    weight_on_first,
    without_first,
)
from interp.measures.head_statistics import HEAD_STATISTICS, head_statistic

TOLERANCE = 1e-5  # float32 sums of at most 12 terms


@st.composite
def patterns(draw, causal=None, smallest=1):
    """A batch of rows that sum to 1, some of them with zeros, causal or not."""
    n = draw(st.integers(smallest, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    scores = torch.randn(2, 3, n, n, generator=generator) * draw(st.sampled_from([0.0, 1.0, 30.0]))
    if draw(st.booleans()) if causal is None else causal:
        scores = scores.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), -torch.inf)
    return scores.softmax(-1)


@given(patterns())
def test_entropy_lies_between_0_and_the_log_of_the_keys(pattern):
    nats = entropy(pattern)
    assert (nats >= 0).all()
    assert (nats <= math.log(pattern.shape[-1]) + TOLERANCE).all()


@given(st.integers(1, 40))
def test_entropy_reaches_both_bounds_and_only_there(n):
    torch.testing.assert_close(entropy(torch.full((n, n), 1 / n)), torch.full((n,), math.log(n)))
    assert (entropy(torch.eye(n)) == 0).all()
    if n > 2:
        between = entropy(torch.tensor([0.6, 0.4] + [0.0] * (n - 2)).expand(n, n))
        assert ((between > 0) & (between < math.log(n))).all()


@given(patterns(), st.integers(0, 1000))
def test_entropy_does_not_know_the_order_of_keys_and_distance_does(pattern, seed):
    order = torch.randperm(pattern.shape[-1], generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(entropy(pattern[..., order]), entropy(pattern), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(entropy(pattern[..., order, :]), entropy(pattern)[..., order])
    first_two = torch.tensor([[1.0, 0.0, 0.0]] * 3)
    assert not torch.equal(mean_distance(first_two[:, [2, 1, 0]]), mean_distance(first_two))


@given(patterns(), st.integers(-14, 14))
def test_weight_at_an_offset_is_the_loops(pattern, offset):
    n = pattern.shape[-1]
    weights = weight_at_offset(pattern, offset)
    for query in range(n):
        key = query + offset
        if 0 <= key < n:
            assert torch.equal(weights[..., query], pattern[..., query, key])
        else:
            assert weights[..., query].isnan().all()


@given(patterns())
def test_weights_at_all_offsets_sum_to_1(pattern):
    n = pattern.shape[-1]
    total = sum(weight_at_offset(pattern, offset).nan_to_num(0.0) for offset in range(-n + 1, n))
    torch.testing.assert_close(total, torch.ones_like(total))


@given(patterns())
def test_distance_is_the_offsets_weighted_mean(pattern):
    n = pattern.shape[-1]
    by_offset = sum(abs(offset) * weight_at_offset(pattern, offset).nan_to_num(0.0) for offset in range(-n + 1, n))
    torch.testing.assert_close(mean_distance(pattern), by_offset + torch.zeros_like(pattern[..., 0]), atol=1e-4, rtol=1e-5)
    assert (mean_distance(pattern) <= n - 1 + 1e-4).all()


@given(patterns())
def test_the_first_query_has_no_weight_on_the_first_token(pattern):
    weights = weight_on_first(pattern)
    assert weights[..., 0].isnan().all()
    assert torch.equal(weights[..., 1:], pattern[..., 1:, 0])
    assert not pattern.isnan().any(), "the measure wrote into the pattern that it was given"


@given(patterns(), st.integers(0, 1000))
def test_norm_weighted_rows_sum_to_1_and_equal_norms_change_nothing(pattern, seed):
    norms = torch.rand(*pattern.shape[:-2], pattern.shape[-1], generator=torch.Generator().manual_seed(seed)) + 0.1
    torch.testing.assert_close(norm_weighted(pattern, norms).sum(-1), torch.ones_like(pattern[..., 0]))
    torch.testing.assert_close(norm_weighted(pattern, torch.full_like(norms, 3.0)), pattern)
    torch.testing.assert_close(norm_weighted(pattern, norms * 7), norm_weighted(pattern, norms))


def test_norm_weighting_unmasks_a_sink_that_moves_nothing():
    pattern, norms = torch.tensor([[0.9, 0.05, 0.05]]), torch.tensor([0.0, 1.0, 3.0])
    torch.testing.assert_close(norm_weighted(pattern, norms), torch.tensor([[0.0, 0.25, 0.75]]))
    assert (norm_weighted(pattern, torch.zeros(3)) == 0).all()


@given(patterns(smallest=2))
def test_without_first_takes_out_the_first_key_alone(pattern):
    rest = without_first(pattern)
    assert (rest[..., 0] == 0).all()
    left = 1 - pattern[..., 0]
    torch.testing.assert_close(rest * left.unsqueeze(-1), pattern * (torch.arange(pattern.shape[-1]) > 0), atol=1e-4, rtol=0)


@given(patterns(smallest=3), st.integers(1, 12))
def test_to_words_keeps_row_sums_when_every_token_is_in_a_word(pattern, cut):
    n = pattern.shape[-1]
    cut = min(cut, n - 1)
    words = to_words(pattern, [tuple(range(cut)), tuple(range(cut, n))])
    torch.testing.assert_close(words.sum(-1), torch.ones_like(words[..., 0]))
    torch.testing.assert_close(words[..., 0, 1], pattern[..., :cut, cut:].sum(-1).mean(-1))
    less = to_words(pattern, [(0,), tuple(range(2, n))])  # the second token is of no word
    torch.testing.assert_close(less.sum(-1)[..., 0], 1 - pattern[..., 0, 1])


def test_one_word_for_each_token_is_the_pattern_itself():
    pattern = torch.rand(2, 4, 4).softmax(-1)
    torch.testing.assert_close(to_words(pattern, [(0,), (1,), (2,), (3,)]), pattern)
    torch.testing.assert_close(to_words(pattern, [(3,), (1,)]), pattern[:, [3, 1]][:, :, [3, 1]])


@given(patterns(smallest=2))
def test_the_most_attended_word_is_the_largest_that_may_be_seen(pattern):
    n = pattern.shape[-1]
    causal = torch.ones(n, n, dtype=torch.bool).tril()
    best = most_attended(pattern, causal)
    assert (best[..., 0] == -1).all()
    for query in range(1, n):
        assert torch.equal(best[..., query], pattern[..., query, :query].argmax(-1))
    assert (most_attended(pattern, torch.zeros(n, n, dtype=torch.bool)) == -1).all()


def test_a_word_itself_never_counts_and_what_is_not_seen_neither():
    words = torch.tensor([[0.1, 0.2, 0.7], [0.1, 0.8, 0.1], [0.3, 0.2, 0.5]])
    assert most_attended(words, torch.ones(3, 3, dtype=torch.bool)).tolist() == [2, 0, 0]
    assert most_attended(words, torch.ones(3, 3, dtype=torch.bool).tril()).tolist() == [-1, 0, 0]


@settings(deadline=None)
@given(patterns(causal=True), st.sampled_from(sorted(HEAD_STATISTICS)))
def test_each_statistic_of_a_head_is_its_own_heads_alone(pattern, name):
    n = pattern.shape[-1]
    ids, norms = torch.arange(n).remainder(3).expand(2, n), torch.rand(2, 3, n) + 0.1
    values = head_statistic(name, pattern, ids, norms)
    swapped = head_statistic(name, pattern[:, [2, 0, 1]], ids, norms[:, [2, 0, 1]])
    torch.testing.assert_close(swapped, values[[2, 0, 1]], equal_nan=True)


def test_a_previous_token_head_is_one_in_no_other_statistic():
    n = 6
    pattern = torch.eye(n).roll(-1, dims=-1).roll(0)
    pattern = torch.zeros(n, n)
    pattern[0, 0] = 1.0
    pattern[torch.arange(1, n), torch.arange(n - 1)] = 1.0
    ids, norms = torch.arange(n)[None], torch.ones(1, 1, n)
    values = {name: head_statistic(name, pattern[None, None], ids, norms).item() for name in HEAD_STATISTICS}
    assert values["previous"] == values["previous_moved"] == 1.0
    assert values["next"] == values["entropy"] == 0.0
    assert values["first"] == values["first_moved"] == pytest.approx(1 / 5)  # of 5 queries the second's previous token is the first
    assert values["distance"] == pytest.approx(5 / 6)
    assert math.isnan(values["induction"])  # no token comes twice
