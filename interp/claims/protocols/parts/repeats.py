"""What a model does with random tokens that come twice, row by row: its heads' weights on the earlier copy, and what each half costs it.

A row is a span of random tokens, said twice, behind the special tokens that the tokenizer puts before a text. Rows are drawn independently,
so that a row is a cluster of its own. Nothing but the earlier copy tells what comes next in the second half.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from interp.measures.induction import profile_by_row
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.watch import Keep
from interp.texts.controls import repeated_token_rows
from interp.texts.example import Example

SPAN, AT_ONCE = 64, 8


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Rows of random tokens that come twice. `ids`: axes (row, pos); `start`: where the first span begins; `span`: its tokens."""

    ids: torch.Tensor
    start: int
    span: int

    def part(self, chosen: slice) -> "Repeats":
        """Some of the rows."""
        return Repeats(ids=self.ids[chosen], start=self.start, span=self.span)

    def batches(self) -> Iterator[torch.Tensor]:
        """A few rows at a time."""
        return iter(self.ids.split(AT_ONCE))

    def examples(self) -> list[Example]:
        """Each row as the instrument takes texts; there are no words in them."""
        n = self.ids.shape[1]
        return [Example(text="", ids=tuple(row), tokens=("",) * n, spans=((0, 0),) * n, special=(False,) * n) for row in self.ids.tolist()]


def draw_repeats(model: Model, n_rows: int, seed: int) -> Repeats:
    """So many rows, the same for the same seed."""
    special = [token for token in model.tokenizer.all_special_ids if token < model.anatomy.d_vocab]
    before = _before_a_text(model)
    span = min(SPAN, (model.anatomy.n_ctx - len(before)) // 2)
    rows = torch.from_numpy(repeated_token_rows(n_rows, span, model.anatomy.d_vocab, seed=seed, forbidden=special))
    frame = torch.tensor(before, dtype=rows.dtype).expand(n_rows, -1)
    return Repeats(ids=torch.cat([frame, rows], dim=1), start=len(before), span=span)


def _before_a_text(model: Model) -> list[int]:
    """The special tokens that a tokenizer sets before a text (a decoder's; what it sets behind one has no place here)."""
    ids, special = model.tokenizer("a")["input_ids"], set(model.tokenizer.all_special_ids)
    first = next((place for place, token in enumerate(ids) if token not in special), 0)
    return list(ids[:first])


@torch.no_grad()
def weights_by_row(model: Model, repeats: Repeats) -> np.ndarray:
    """Each head's mean weight on "earlier copy + shift" in each row, probability. Axes: (row, layer, head, shift)."""
    found = []
    for ids in repeats.batches():
        keep = Keep(model, ["pattern"])
        with watching(keep):
            model.run(ids, logits=False)
        patterns = [keep.arrays[Point(kind="pattern", layer=layer).name] for layer in range(model.anatomy.n_layers)]
        cut = [pattern[..., repeats.start :, repeats.start :] for pattern in patterns]
        found.append(torch.stack([profile_by_row(pattern.float().cpu(), repeats.span) for pattern in cut], dim=1))
    return torch.cat(found).double().numpy()


@torch.no_grad()
def copying_by_row(model: Model, repeats: Repeats) -> np.ndarray:
    """What the second half costs less than the first in each row, nats per token. Axes: (row,).

    The first token of either span does not count: nothing tells it.
    """
    found = []
    for ids in repeats.batches():
        logits = model.run(ids).float().cpu()
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        each = loss.view(len(ids), -1)[:, repeats.start :]
        found.append(each[:, : repeats.span - 1].mean(1) - each[:, repeats.span :].mean(1))
    return torch.cat(found).double().numpy()
