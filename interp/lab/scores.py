"""Has it learned to copy, and by which heads? Measured on random tokens that come twice, while a model trains and when its card is written.

Copying is the behaviour (the second time costs fewer nats), the previous-token and the induction heads are what it is believed to rest
on. Weights alone decide nothing: an ablation does (see `measures.induction`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from interp.core.sites import head_site
from interp.measures.attention import weight_at_offset
from interp.measures.induction import profile_by_row


@dataclass(frozen=True, kw_only=True)
class Copying:
    """What a model does with random tokens that come twice.

    Attributes:
        first_nats, second_nats: mean loss on the first and on the second half, per token.
        previous: (layer, head) weight on the previous token.
        profile: (layer, head, shift) weight on "earlier copy + shift".
    """

    first_nats: float
    second_nats: float
    previous: torch.Tensor
    profile: torch.Tensor

    def row(self) -> dict:
        """As a training log keeps it: the losses, the two best heads, and all heads' weights (for induction at their best shifts)."""
        best = self.profile.amax(-1)
        previous, induction = best_head(self.previous), best_head(best)
        return {
            "first": self.first_nats,
            "second": self.second_nats,
            "previous": self.previous[previous].item(),
            "previous_head": head_site(*previous),
            "induction": best[induction].item(),
            "induction_head": head_site(*induction),
            "shift": int(self.profile[induction].argmax()),
            "all_previous": _rounded(self.previous),
            "all_induction": _rounded(best),
        }


def copying_of(logits: torch.Tensor, patterns: Sequence[torch.Tensor], ids: torch.Tensor) -> Copying:
    """From what a model made of spans that come twice.

    Args:
        logits: axes (batch, pos, d_vocab).
        patterns: a layer each, axes (batch, head, query_pos, key_pos).
        ids: the tokens, axes (batch, pos); the second half is the first again.
    """
    span = ids.shape[1] // 2
    first, second = halves_nats(logits, ids)
    return Copying(
        first_nats=first,
        second_nats=second,
        previous=torch.stack([weight_at_offset(pattern, -1).nanmean((0, 2)) for pattern in patterns]),
        profile=torch.stack([profile_of(pattern, span) for pattern in patterns]),
    )


def halves_nats(logits: torch.Tensor, ids: torch.Tensor) -> tuple[float, float]:
    """Mean loss on the first and on the second half, nats per token; the second half's first token cannot be known, and does not count."""
    span = ids.shape[1] // 2
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(len(ids), -1)
    return loss[:, : span - 1].mean().item(), loss[:, span:].mean().item()


def profile_of(pattern: torch.Tensor, span: int) -> torch.Tensor:
    """Mean over rows of the weight on "earlier copy + shift". Axes: (head, shift)."""
    return profile_by_row(pattern, span).mean(0)


def best_head(values: torch.Tensor) -> tuple[int, int]:
    """Layer and head of the largest of (layer, head) values."""
    place = int(values.argmax())
    return place // values.shape[1], place % values.shape[1]


def _rounded(values: torch.Tensor) -> list[list[float]]:
    return [[round(value, 3) for value in layer] for layer in values.tolist()]
