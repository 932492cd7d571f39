"""Does it copy, by which heads, and does copying go when they are switched off?

Random tokens come twice: what comes next can be known in the second half alone, and from the earlier copy alone. The *copying effect* is
what the second half costs less than the first, in nats per token. *Induction heads* are those with at least 0.2 of their weight at one
shift after the earlier copy: the best head and its like. They are switched off together, by their mean over other repeated rows (which
keeps their scale, and what they say of a place) and by zero; the control switches off as many other heads of the same layers. Where a
layer has not enough others (all its heads may copy), the rest is drawn from other layers, out of the heads of neither kind: not the
previous-token heads, on which the circuit stands.

What it does not tell: that these heads do the copying by themselves. They rest on others (previous-token heads), whose loss would end it,
too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from interp.core.sites import head_site
from interp.interventions.ablate import ablate
from interp.lab.measured.words import NONE, Rows
from interp.lab.scores import Copying, best_head, copying_of, halves_nats
from interp.measures.induction import SHIFTS
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.watch import Keep
from interp.texts.controls import repeated_token_rows
from interp.texts.example import Example

N_ROWS, SPAN = 32, 64
N_ABLATED, N_DRAWS = 16, 5
LEAST = 0.2
HOWS: tuple[Literal["mean", "zero"], ...] = ("mean", "zero")


@dataclass(frozen=True, kw_only=True)
class SwitchedOff:
    """What is left of copying, in nats per token on the first and on the second half.

    Attributes:
        first_nats, second_nats: with the induction heads switched off.
        control_first_nats, control_second_nats: with others of the same layers switched off, one for each draw. Axes: (draw,).
        n_same, n_elsewhere: heads that a draw switches off, in the same layers and in others.
    """

    first_nats: float
    second_nats: float
    control_first_nats: tuple[float, ...]
    control_second_nats: tuple[float, ...]
    n_same: int
    n_elsewhere: int

    @property
    def effect_nats(self) -> float:
        """The copying effect that is left."""
        return self.first_nats - self.second_nats

    @property
    def control_effects_nats(self) -> np.ndarray:
        """The copying effect that the control leaves. Axes: (draw,)."""
        return np.array(self.control_first_nats) - np.array(self.control_second_nats)


def rows_of_repeats(model: Model, n_rows: int, seed: int) -> torch.Tensor:
    """Random tokens that come twice, 64 and 64 where the context allows. Axes: (row, pos)."""
    span = min(SPAN, model.anatomy.n_ctx // 2)
    return torch.from_numpy(repeated_token_rows(n_rows, span, model.anatomy.d_vocab, seed=seed, forbidden=model.tokenizer.all_special_ids))


@torch.no_grad()
def copying(model: Model, *, seed: int = 0) -> Copying:
    """Measure copying and the heads behind it on spans of 64 random tokens, each twice."""
    ids = rows_of_repeats(model, N_ROWS, seed)
    keep = Keep(model, ["pattern"])
    with watching(keep):
        logits = model.run(ids)
    return copying_of(logits, [keep.arrays[Point(kind="pattern", layer=layer).name] for layer in range(model.anatomy.n_layers)], ids)


def induction_heads(found: Copying) -> list[tuple[int, int]]:
    """(layer, head) of those with at least 0.2 of their weight at one shift after the earlier copy."""
    return [(int(layer), int(head)) for layer, head in (found.profile.amax(-1) >= LEAST).nonzero()]


def switched_off(model: Model, found: Copying, how: Literal["mean", "zero"], *, seed: int = 0) -> SwitchedOff:
    """Copying without the induction heads that were found, and without as many others, five times drawn."""
    heads = induction_heads(found)
    ids, over = rows_of_repeats(model, N_ABLATED, seed), _examples(rows_of_repeats(model, N_ABLATED, seed + 1))
    draws = list(other_heads(found.previous >= LEAST, heads, N_DRAWS, seed))
    first, second = _halves(model, ids, _off(model, heads, how, over))
    controls = [_halves(model, ids, _off(model, drawn, how, over)) for drawn in draws]
    n_same = sum(layer in {layer for layer, _ in heads} for layer, _ in draws[0])
    return SwitchedOff(
        first_nats=first,
        second_nats=second,
        control_first_nats=tuple(nats for nats, _ in controls),
        control_second_nats=tuple(nats for _, nats in controls),
        n_same=n_same,
        n_elsewhere=len(draws[0]) - n_same,
    )


def other_heads(previous: torch.Tensor, heads: Sequence[tuple[int, int]], n_draws: int, seed: int) -> Iterator[list[tuple[int, int]]]:
    """As many other heads of each layer as there are, the rest out of those of neither kind in other layers; drawn `n_draws` times.

    Args:
        previous: which heads are previous-token heads, axes (layer, head).
        heads: the induction heads.
    """
    rng, used = np.random.default_rng(seed), Counter(layer for layer, _ in heads)
    n_layers, n_heads = previous.shape
    elsewhere = [(layer, head) for layer in range(n_layers) for head in range(n_heads) if layer not in used and not previous[layer, head]]
    for _ in range(n_draws):
        drawn = []
        for layer, n in sorted(used.items()):
            left = [(layer, head) for head in range(n_heads) if (layer, head) not in heads]
            drawn += _drawn(left, n, rng)
        yield drawn + _drawn(elsewhere, len(heads) - len(drawn), rng)


def _drawn(of: list[tuple[int, int]], n: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    return [of[place] for place in rng.choice(len(of), min(n, len(of)), replace=False)]


def _off(model: Model, heads: Sequence[tuple[int, int]], how: Literal["mean", "zero"], over: list[Example]) -> AbstractContextManager:
    """Nothing is switched off where no head was drawn."""
    sites = [head_site(*head) for head in heads]
    return ablate(model, sites, how=how, over=over if how == "mean" else ()) if sites else nullcontext()


@torch.no_grad()
def _halves(model: Model, ids: torch.Tensor, block: AbstractContextManager) -> tuple[float, float]:
    with block:
        return halves_nats(model.run(ids), ids)


def _examples(ids: torch.Tensor) -> list[Example]:
    """Rows of ids as the instrument takes texts; there are no words in them."""
    n = ids.shape[1]
    return [Example(text="", ids=tuple(row), tokens=("",) * n, spans=((0, 0),) * n, special=(False,) * n) for row in ids.tolist()]


def copying_rows(found: Copying) -> Rows:
    """The behaviour and the two kinds of head."""
    previous, induction = best_head(found.previous), best_head(found.profile.amax(-1))
    profile = found.profile[induction]
    return {
        "random tokens, first time": f"{found.first_nats:.2f} nats per token",
        "the same tokens, second time": f"{found.second_nats:.2f} nats per token",
        "best previous-token head on random tokens": f"{head_site(*previous)}, mean weight {found.previous[previous]:.2f}",
        f"best head on the earlier copy, shifts 0 to {SHIFTS - 1}": (
            f"{head_site(*induction)}, mean weight {profile.max():.2f} at shift {int(profile.argmax())}"
        ),
        f"its weight at shifts 0 to {SHIFTS - 1} (at 1: the classical score)": ", ".join(f"{weight:.2f}" for weight in profile.tolist()),
        f"heads with {LEAST} or more at one shift: the induction heads": _named(induction_heads(found)),
    }


def ablation_rows(found: Mapping[str, SwitchedOff], n_heads: int) -> Rows:
    """First and second half without the induction heads, and without others."""
    rows = {}
    for how, off in found.items():
        place = "their mean" if how == "mean" else "zero"
        rows[f"copying with the induction heads at {place}"] = f"{off.first_nats:.2f} the first time, {off.second_nats:.2f} the second"
        first, second, left = np.mean(off.control_first_nats), np.mean(off.control_second_nats), off.control_effects_nats
        which = f"{off.n_same} of the same layers and {off.n_elsewhere} elsewhere for {n_heads}"
        rows[f"control: as many other heads at {place}"] = (
            f"{first:.2f} the first time, {second:.2f} the second ({which}, mean of {len(left)} draws; "
            f"their effects {left.min():.2f} to {left.max():.2f})"
        )
    return rows


def _named(heads: list[tuple[int, int]]) -> str:
    return ", ".join(head_site(*head) for head in heads) or NONE
