"""An attention call tells the truth: position biases, caps, sinks, every kind of mask, the statistics made of it; and under edits."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_attention import HALF, TOLERANCE, agrees, cases, close, naive, simple, size_of

from interp.captures.corpus.pattern_statistics import STATISTICS, PatternStatistics
from interp.core.errors import InterventionError, ModelUnsupported
from interp.measures.head_statistics import HEAD_STATISTICS
from interp.models import attention
from interp.models.attention import AttentionCall


@settings(derandomize=True, deadline=None, max_examples=300)
@given(cases())
def test_every_kind_of_call_is_the_naive_computation(case):
    agrees(case.call(), case)


@settings(derandomize=True, deadline=None, max_examples=80)
@given(cases(plain=True))
def test_a_plain_call_says_so_and_its_two_ways_agree(case):
    call = case.call()
    assert call.plain
    agrees(call, case)
    (output, lse), (again, sums) = call._kernel(call.value), call._blockwise(call.value, block=2)
    tolerance = TOLERANCE * size_of(naive(case)[0])
    close(output[..., : case.value.shape[-1]], again, tolerance * max(1.0, case.value.abs().max().item()))
    close(lse, sums, tolerance)


def test_what_makes_a_call_not_plain():
    plain = simple()
    assert plain.call().plain
    zeros = torch.zeros(1, 4, 5, 5)
    assert replace(plain, bias=zeros).call().plain  # the cross-attention of T5
    for change in ({"bias": zeros + 1.0}, {"softcap": 9.0}, {"sinks": torch.zeros(4)}, {"mask": zeros + 0.5}):
        assert not replace(plain, **change).call().plain
    hidden = plain.call()
    hidden.hide(torch.eye(5, dtype=torch.bool))
    assert hidden.plain
    hidden.replace(hidden.pattern())
    assert not hidden.plain


def test_a_score_that_is_nan_shows_in_every_kind_of_call():
    for changes in ({}, {"softcap": 2.0}, {"sinks": torch.zeros(4)}, {"bias": torch.ones(1, 4, 5, 5)}):
        case = simple(**changes)
        case.query[0, 1, 3] = torch.nan
        for ours in (case.call().pattern()[..., 0], case.call().output_and_lse()[0][..., 0], case.call().output_and_lse()[1]):
            assert ours[0, 1, 3].isnan()
            assert not ours[0, 1, 2].isnan()
    mask = torch.zeros(1, 1, 5, 5)
    mask[..., 3, 1] = torch.nan
    assert simple(mask=mask).call().pattern()[:, :, 3].isnan().all()


# The statistics.


def statistics_agree(call: AttentionCall, pattern: torch.Tensor, size: float) -> None:
    n, heads = pattern.shape[-1], pattern.shape[1]
    ids, w_o = torch.randint(0, 3, (pattern.shape[0], n)), torch.randn(heads, call.value.shape[-1], 6)
    statistics = PatternStatistics(call, ids, w_o)
    for name, statistic in HEAD_STATISTICS.items():
        naive_values = statistic.of(pattern.float(), ids, statistics.norms)
        close(STATISTICS[name](statistics), naive_values, 2 * TOLERANCE * size * (n if name == "distance" else 1))
    for offset in (-2, 3):
        diagonal = pattern.diagonal(offset, -2, -1)
        weights = statistics.at_offset(offset)
        close(weights[~weights.isnan()].sort()[0], diagonal.flatten().sort()[0], TOLERANCE * size)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(cases(square=True))
def test_fused_statistics_are_the_patterns_in_every_kind_of_call(case):
    scores, pattern, _ = naive(case)
    statistics_agree(case.call(), pattern, size_of(scores))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(cases(square=True), st.floats(0.1, 0.9))
def test_fused_statistics_of_an_edited_call_are_the_edited_patterns(case, share):
    call, edges = case.call(), torch.rand(*case.call().shape) < share
    call.hide(edges)
    scores, pattern, _ = naive(replace(case, hidden=edges))
    statistics_agree(call, pattern, size_of(scores))
    other = torch.rand(call.shape).softmax(-1)
    call.replace(other)
    statistics_agree(call, other.double(), 1.0)


@pytest.mark.parametrize("times", [30.0, 300.0])
@pytest.mark.parametrize(
    "changes", [{}, {"sinks": torch.tensor([0.0, 50.0, -50.0, 400.0])}, {"bias": torch.linspace(-200, 200, 25).view(1, 1, 5, 5)}]
)
def test_statistics_of_very_large_scores_neither_overflow_nor_vanish(times, changes):
    case = simple(**changes)
    case = replace(case, query=case.query * times)
    scores, pattern, _ = naive(case)
    assert scores[scores > -torch.inf].abs().max() > 88  # where exp ends in float32
    statistics_agree(case.call(), pattern, size_of(scores))


def test_the_entropy_beside_a_sink_is_over_the_real_keys():
    """By hand: two keys with scores ln 1 and ln 2, a sink of ln 3: weights 1/6 and 2/6."""
    keys, sinks = torch.tensor([1.0, 2.0]).log()[None, None, :, None], torch.tensor([3.0]).log()
    call = AttentionCall(torch.ones(1, 1, 2, 1), keys, torch.ones(1, 1, 2, 1), None, 1.0, False, sinks=sinks)
    torch.testing.assert_close(call.pattern()[0, 0, 0], torch.tensor([1 / 6, 2 / 6]))
    expected = -(torch.tensor([1 / 6, 2 / 6]) * torch.tensor([1 / 6, 2 / 6]).log()).sum()
    torch.testing.assert_close(PatternStatistics(call, torch.tensor([[0, 1]]), torch.ones(1, 1, 1)).values("entropy")[0, 0, 0], expected)
    torch.testing.assert_close(call.output_and_lse()[1][0, 0, 0], torch.tensor(6.0).log())


# Edits.


@settings(derandomize=True, deadline=None, max_examples=150)
@given(cases(), st.floats(0.05, 0.95), st.booleans())
def test_hiding_edges_adds_minus_infinity_to_their_scores(case, share, asked_before):
    call, edges = case.call(), torch.rand(case.call().shape) < share
    if asked_before:  # what was computed before is dropped
        call.pattern()
        call.output_and_lse()
    call.hide(edges)
    agrees(call, replace(case, hidden=edges))
    more = torch.rand(1, 1, *call.shape[2:]) < share  # hiding adds up, and broadcasts
    call.hide(more)
    agrees(call, replace(case, hidden=edges | more))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(cases())
def test_a_pattern_that_was_put_in_is_what_everyone_sees(case):
    call = case.call()
    call.pattern()
    other = torch.rand(call.shape) * (torch.rand(call.shape) < 0.7)
    call.replace(other)
    z = other.double() @ case.values.double()
    tolerance = (2e-2 if case.query.dtype in HALF else TOLERANCE) * max(1.0, z.abs().max().item())
    assert torch.equal(call.pattern().double(), other.double())
    assert torch.equal(call.seen, other != 0)
    close(call.output(), z.transpose(1, 2), tolerance)
    close(call.output_and_lse()[0], z, tolerance)
    close(torch.exp(call.scores() - call.output_and_lse()[1][..., None]), other, TOLERANCE)
    close(call.attend_to(torch.ones(*case.values.shape[:3], 1))[..., 0], other.sum(-1), TOLERANCE * 9)


def test_hiding_in_a_pattern_that_was_put_in_keeps_each_rows_sum():
    call = simple().call()
    put_in = torch.tensor([[0.5, 0.3, 0.0, 0.1, 0.0]]).expand(2, 4, 5, 5).clone()
    put_in[:, :, 4] = torch.tensor([1.0, 0, 0, 0, 0])
    call.replace(put_in)
    call.hide(torch.tensor([True, False, False, False, False]))
    torch.testing.assert_close(call.pattern()[0, 0, 0], torch.tensor([0.0, 0.675, 0.0, 0.225, 0.0]))
    assert (call.pattern()[:, :, 4] == 0).all()
    assert (call.output()[:, 4] == 0).all()
    call.hide(torch.zeros(1, dtype=torch.bool))
    torch.testing.assert_close(call.pattern()[0, 0, 0], torch.tensor([0.0, 0.675, 0.0, 0.225, 0.0]))


@pytest.mark.parametrize("softcap", [None, 9.0])
def test_a_query_left_with_no_key_attends_to_nothing(softcap):
    call = simple(softcap=softcap).call()
    call.hide(torch.eye(5, dtype=torch.bool) & (torch.arange(5) == 0))  # the first token sees itself only
    assert (call.pattern()[:, :, 0] == 0).all()
    assert (call.output()[:, 0] == 0).all()
    assert (call.output_and_lse()[1][:, :, 0] == 0).all()
    assert (call.pattern()[:, :, 1:].sum(-1) - 1).abs().max() < 1e-6


def test_edits_of_another_shape_or_kind_are_refused():
    call = simple().call()
    for edges in (torch.zeros(5, 4, dtype=torch.bool), torch.zeros(1, 2, 4, 5, 5, dtype=torch.bool), torch.zeros(5, 5)):
        with pytest.raises(InterventionError, match=r"came; expected bool that broadcasts to \[2, 4, 5, 5\]"):
            call.hide(edges)
    for pattern in (torch.ones(4, 5, 5), torch.full((2, 4, 5, 5), -0.1)):
        with pytest.raises(InterventionError, match=r"came; expected weights of 0 or more, of shape \[2, 4, 5, 5\]"):
            call.replace(pattern)
    torch.testing.assert_close(call.pattern(), simple().call().pattern())  # and left as it was


def test_dropout_is_refused_rather_than_left_out():
    query, key, value = (torch.randn(1, 2, 3, 4) for _ in range(3))
    with pytest.raises(ModelUnsupported, match=r"dropout=0\.1\); expected a model in evaluation mode"):
        attention.attention(torch.nn.Identity(), query, key, value, None, dropout=0.1, softcap=3.0)
    attention.attention(torch.nn.Identity(), query, key, value, None, dropout=0.1)  # plain SDPA may train
