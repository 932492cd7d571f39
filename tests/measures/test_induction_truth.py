"""Induction on patterns made by hand: the profile says 1 where the head rests, and 0 beside it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.measures.induction import SHIFTS, copy_target, earlier_copy, induction_profile, weight_on_target

PERIOD = 12


def _resting_at(shift: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A block that comes twice, and a head that puts everything on "earlier copy + shift", else on itself."""
    ids = torch.arange(PERIOD).repeat(2)
    keys = torch.arange(2 * PERIOD)
    keys[PERIOD:] = torch.arange(PERIOD) + shift
    pattern = torch.zeros(2 * PERIOD, 2 * PERIOD)
    pattern[torch.arange(2 * PERIOD), keys] = 1.0
    return pattern[None, None], ids[None]


@pytest.mark.parametrize("shift", range(SHIFTS))
def test_a_perfect_pattern_has_profile_1_at_its_own_shift_only(shift):
    profile = induction_profile(*_resting_at(shift))[0]
    assert profile.tolist() == [float(at == shift) for at in range(SHIFTS)]


def test_the_neighbouring_head_is_not_called_an_induction_head():
    pattern, ids = _resting_at(1)
    neighbour = torch.eye(2 * PERIOD)[None, None]
    profile = induction_profile(torch.cat([pattern, neighbour], dim=1), ids)
    assert profile[0, 1] == 1.0
    assert (profile[1] == 0.0).all()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=14), st.integers(0, 3))
def test_copies_and_targets_are_the_loops(tokens, shift):
    ids = torch.tensor([tokens])
    copies, targets = earlier_copy(ids)[0].tolist(), copy_target(ids, shift)[0].tolist()
    for query, token in enumerate(tokens):
        earlier = [place for place in range(query) if tokens[place] == token]
        copy = earlier[-1] if earlier else -1
        assert copies[query] == copy
        assert targets[query] == (copy + shift if earlier and copy + shift < query else -1)


def test_a_text_without_repeats_has_no_profile():
    assert induction_profile(torch.eye(5)[None, None], torch.arange(5)[None]).isnan().all()


def test_each_row_of_a_batch_has_its_own_targets():
    pattern = torch.rand(2, 3, 4, 4).softmax(-1)
    targets = torch.tensor([[-1, 0, 1, 2], [-1, -1, 0, 0]])
    weights = weight_on_target(pattern, targets)
    assert torch.equal(weights[0, :, 3], pattern[0, :, 3, 2])
    assert torch.equal(weights[1, :, 3], pattern[1, :, 3, 0])
    assert weights[1, :, 1].isnan().all()
    assert not weights[0, :, 1].isnan().any()
