"""Before and after an intervention, side by side: what does the model predict now, token by token, and how far did its stream move?

    loss before, after   - ln p of each next token, in nats (decoders)
    KL                   sum_t p(t) ln (p(t) / q(t)) of the whole prediction at each position, p before, q after, in nats
    next tokens          ln p of the likeliest before and the likeliest after, at one position
    moved                ||after - before|| / ||before|| of the stream, by depth and position: for models without a head, too

The loss says what became worse at the text's own words, KL how much became different at all: a prediction may change a lot and lose
nothing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import SupportsIndex

import torch

from interp.core.errors import TextError
from interp.core.provenance import Provenance, text_hash
from interp.core.results import DataArray, Dataset, labelled
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.precision import wide
from interp.models.reading import Text, rows_of
from interp.models.watch import Keep
from interp.texts.example import Example
from interp.texts.tokens import spelled

_AT_ONCE = 128  # positions


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """One run: logits (pos, d_vocab) or None without a head, and the main stack's stream (depth, pos, d_model)."""

    logits: torch.Tensor | None
    stream: torch.Tensor

    def log_probs(self, positions: slice) -> torch.Tensor:
        """At some positions, float64: a whole text's would be too much for a large vocabulary. Axes (pos, d_vocab)."""
        assert self.logits is not None  # a model without a head is compared by its stream alone
        return wide(self.logits[positions]).log_softmax(-1)


def side_by_side(
    model: Model, text: Text, intervention: Callable[[], AbstractContextManager], *, pos: SupportsIndex = -1, top: int = 8
) -> Dataset:
    """Run a text without and with an intervention, and compare.

    Args:
        model: from `interp.load`.
        text: what runs; for an encoder-decoder a pair, whose decoder is compared.
        intervention: makes the `with` block, e.g. `lambda: ablate(model, "L2 FFN", how="zero")`.
        pos: the position whose next tokens are told, from 0 (negative: from the end).
        top: of the likeliest before, and of the likeliest after.
    Returns: `moved` (depth, pos), a ratio; for a model with a trained head also `kl` (pos), `log_prob_before` and `log_prob_after` (rank),
        in nats, with the tokens in the coordinate `candidate`; for one that predicts the next token `loss_before` and `loss_after` (pos),
        nan at the last position, with the token that is predicted in the coordinate `next`.
    Raises: TextError for a position that is not there; what the intervention raises.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> found = side_by_side(model, "The old man looked at the sea.", lambda: interp.ablate(model, "L0 FFN", how="zero"))
        >>> bool((found["kl"] > 0).all()), found["moved"].dims
        (True, ('depth', 'pos'))
    """
    example, target = rows_of(model, text)
    row = example if target is None else target
    if not hasattr(pos, "__index__") or not -len(row) <= pos.__index__() < len(row):
        raise TextError(f"position {pos} came; this text has positions 0-{len(row) - 1}")
    before = _seen(model, example, target)
    with intervention():
        after = _seen(model, example, target)
    texts = [part for one in (example, target) if one is not None for part in (one.text, *map(str, one.ids))]
    compared = _Compared(model, row, Provenance(model=model.name, fingerprint=model.fingerprint, data=text_hash(texts)))
    return Dataset(compared.variables(before, after, pos.__index__() % len(row), top))


@torch.no_grad()
def _seen(model: Model, example: Example, target: Example | None) -> _Seen:
    keep = Keep(model, ["resid_pre", "resid_post"])
    with watching(keep):
        out = model.run(torch.tensor([example.ids]), target=None if target is None else torch.tensor([target.ids]))
    stack = model.anatomy.main
    points = [Point(kind="resid_pre", layer=layer, stack=stack.stack) for layer in range(stack.n_layers)]
    points.append(Point(kind="resid_post", layer=stack.n_layers - 1, stack=stack.stack))
    stream = torch.stack([keep.arrays[point.name][0].cpu() for point in points])
    return _Seen(logits=out[0].cpu() if model.anatomy.lm_head else None, stream=stream)


class _Compared:
    """The labelled numbers of two runs on one row."""

    def __init__(self, model: Model, row: Example, provenance: Provenance):
        self.model, self.row, self.provenance = model, row, provenance

    def variables(self, before: _Seen, after: _Seen, pos: int, top: int) -> dict[str, DataArray]:
        found = {"moved": self._moved(before.stream, after.stream)}
        if before.logits is None:
            return found
        parts = [slice(first, first + _AT_ONCE) for first in range(0, len(self.row), _AT_ONCE)]
        kl = torch.cat([_kl(before.log_probs(part), after.log_probs(part)) for part in parts])
        found["kl"] = self._by_pos(kl, "kl", "KL of the prediction, before to after")
        if self.model.anatomy.causal:
            for when, run in (("before", before), ("after", after)):
                losses = torch.cat([_losses(run, part, self.row) for part in parts])
                found[f"loss_{when}"] = self._by_pos(losses, f"loss_{when}", f"loss of the next token {when}")
        one = slice(pos, pos + 1)
        return found | self._next(before.log_probs(one)[0], after.log_probs(one)[0], pos, top)

    def _moved(self, before: torch.Tensor, after: torch.Tensor) -> DataArray:
        before, after = wide(before), wide(after)
        values = (after - before).norm(dim=-1) / before.norm(dim=-1).clamp_min(1e-30)
        return self._labelled(values, ["depth", "pos"], "moved", "change of the stream, relative to its size", "1", self._tokens())

    def _next(self, before: torch.Tensor, after: torch.Tensor, pos: int, top: int) -> dict[str, DataArray]:
        top = min(top, len(before))
        ids = list(dict.fromkeys([*before.topk(top).indices.tolist(), *after.topk(top).indices.tolist()]))
        coords = {"candidate": ("rank", [spelled(token, self.model.tokenizer) for token in ids]), "candidate_id": ("rank", ids)}
        return {
            f"log_prob_{when}": self._labelled(
                told[ids], ["rank"], f"log_prob_{when}", f"log probability at position {pos}, {when}", "nats", coords
            ).assign_attrs(pos=pos)
            for when, told in (("before", before), ("after", after))
        }

    def _by_pos(self, values: torch.Tensor, name: str, long_name: str) -> DataArray:
        return self._labelled(values, ["pos"], name, long_name, "nats", self._tokens())

    def _tokens(self) -> dict[str, tuple[str, list[str]]]:
        tokens = list(self.row.tokens)
        return {"token": ("pos", tokens), **({"next": ("pos", [*tokens[1:], ""])} if self.model.anatomy.causal else {})}

    def _labelled(self, values: torch.Tensor, dims: list[str], name: str, long_name: str, units: str, coords: dict) -> DataArray:
        found = labelled(values, dims, name=name, long_name=long_name, units=units, coords=coords, provenance=self.provenance)
        return found.assign_attrs(n=len(self.row))


def _kl(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Of log probabilities; rounding must not make it negative. (pos, d_vocab) -> (pos,)."""
    return torch.nn.functional.kl_div(after, before, reduction="none", log_target=True).sum(-1).clamp_min(0)


def _losses(run: _Seen, positions: slice, row: Example) -> torch.Tensor:
    """Of each next token, nan where there is none. (pos,)."""
    following = torch.tensor([*row.ids[1:], -1])[positions]
    told = -run.log_probs(positions).gather(-1, following.clamp_min(0)[:, None])[:, 0]
    return told.masked_fill(following < 0, torch.nan)
