"""Induction: does a head look at what came after an earlier copy of the current token?

The classical score is the weight on the token right after the earlier copy (Olsson et al. 2022, prefix matching). A model
can copy perfectly with a circuit that rests several tokens further on, which that score does not see. So the measure is a profile:
weight on "earlier copy + s" for s = 0 to 8, the classical score being its value at s = 1. Weights are only half of it:
the behaviour (loss on the second half of a repeat) and an ablation belong beside them.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

SHIFTS = 9


def earlier_copy(ids: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
    """Position of the latest earlier copy of each token, or -1 when it is the first of its kind. By sorting, without an n x n table.

    Example:
        >>> earlier_copy(torch.tensor([[5, 7, 5, 5, 7]])).tolist()
        [[-1, -1, 0, 2, 1]]
    """
    ordered, order = ids.sort(dim=-1, stable=True)  # copies stand beside each other, in the order of their places
    again = ordered[..., 1:] == ordered[..., :-1]
    before = torch.where(again, order[..., :-1], -1)
    return torch.full_like(order, -1).scatter(-1, order[..., 1:], before)


def copy_target(ids: Int[Tensor, "batch pos"], shift: int) -> Int[Tensor, "batch pos"]:
    """Position `shift` tokens after the latest earlier copy, or -1 when there is none before the token itself.

    Example:
        >>> copy_target(torch.tensor([[5, 7, 5, 5, 7]]), 1).tolist()
        [[-1, -1, 1, -1, 2]]
    """
    copies = earlier_copy(ids)
    targets = copies + shift
    queries = torch.arange(ids.shape[-1], device=ids.device)
    return torch.where((copies >= 0) & (targets < queries), targets, -1)


def weight_on_target(
    pattern: Float[Tensor, "batch head query_pos key_pos"], targets: Int[Tensor, "batch query_pos"]
) -> Float[Tensor, "batch head query_pos"]:
    """Each query's weight on its own target position, probability; nan where the target is -1.

    Args:
        pattern: axes (batch, head, query_pos, key_pos).
        targets: key position for each query, or -1, axes (batch, query_pos).
    """
    index = targets.clamp_min(0)[:, None, :, None].expand(-1, pattern.shape[1], -1, 1)
    weights = pattern.gather(-1, index).squeeze(-1)
    return weights.masked_fill((targets < 0).unsqueeze(1), torch.nan)


def profile_by_row(pattern: Float[Tensor, "batch head query_pos key_pos"], span: int) -> Float[Tensor, "batch head shift"]:
    """Mean weight on "earlier copy + s" by row, of rows that are one span of `span` tokens, said twice.

    Token i's earlier copy is at i - span: by exact place, so that a token which comes again by chance does not matter. A diagonal's first
    `shift` queries are in the first half, before any copy; as many queries are counted for every shift.

    Returns: probability, axes (batch, head, shift).
    """
    shifts = [pattern.diagonal(shift - span, -2, -1)[:, :, shift : shift + span - SHIFTS].mean(2) for shift in range(SHIFTS)]
    return torch.stack(shifts, dim=-1)


def induction_profile(
    pattern: Float[Tensor, "batch head query_pos key_pos"], ids: Int[Tensor, "batch query_pos"]
) -> Float[Tensor, "head shift"]:
    """Mean weight on "earlier copy + s" for s = 0 to 8, probability.

    On random tokens that come twice (`texts.controls.repeated_token_rows`) this is free of what language itself repeats.

    Args:
        pattern: axes (batch, head, query_pos, key_pos).
        ids: the token ids, axes (batch, query_pos).
    Returns: probability, axes (head, shift); nan where no token has an earlier copy.
    Source: Olsson et al. (2022), "In-context Learning and Induction Heads", prefix matching, which is shift 1; the profile is ours.
    """
    return torch.stack([weight_on_target(pattern, copy_target(ids, shift)).nanmean((0, 2)) for shift in range(SHIFTS)], dim=-1)
