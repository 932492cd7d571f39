"""Examples of what a head does at each strength of a statistic, and its induction profile.

The top examples of a head flatter it: they show what it does at its strongest. So the range of the statistic is cut into ten equal parts,
and of the queries in each a few are kept, drawn at random but the same ones in whatever order and parts the corpus comes: each query has
a number by lot that depends on its place in the corpus only, and the largest are kept.
"""

from collections.abc import Hashable

import numpy as np
import torch

from interp.captures.corpus.heads import _OfHeads, by_layer, computed_by, of_heads
from interp.captures.corpus.pattern_statistics import PatternStatistics
from interp.captures.corpus.reducer import Reducer, part
from interp.captures.corpus.stacked import most_by_stack
from interp.captures.corpus.top import Top
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, counted
from interp.measures.head_statistics import head_statistic_named
from interp.measures.induction import SHIFTS
from interp.models.points import Point

PARTS = 10
WINDOW = 8  # tokens before and after the query that are kept with it


class DecileExamples(Reducer):
    """Some queries from each tenth of a statistic's range, with their places and the tokens around.

    Args:
        statistic: by name.
        k: examples of each tenth.
        highest: the range is 0 to this; None: 1, for probabilities and shares. Larger values count to the last tenth.
    Raises: DataError for a statistic that is not known, or not of the range 0 to 1 when no other is named.
    """

    kinds = frozenset({"pattern"})
    features = ("patterns",)

    def __init__(self, statistic: str, k: int = 5, highest: float | None = None):
        about = head_statistic_named(statistic)
        if highest is None and about.units not in ("probability", "share"):
            raise DataError(f"{statistic} is in {about.units}; expected the end of its range: DecileExamples({statistic!r}, highest=...)")
        super().__init__(
            tuple(f"{statistic}_{what}" for what in ("examples", "example_places", "example_values", "share_of_queries", "example_tokens"))
        )
        self.statistic, self.k, self.highest = statistic, k, 1.0 if highest is None else highest

    def asks(self, point: Point) -> list[Hashable]:
        return [head_statistic_named(self.statistic).ask]

    def attend(self, point: Point, statistics: PatternStatistics) -> None:
        values = statistics.values(self.statistic).cpu().float()
        tenth = (values / self.highest * PARTS).long().clamp(0, PARTS - 1).masked_fill(values.isnan(), -1)
        heads = values.shape[1]
        chosen = tenth.transpose(0, 1).flatten(1)[:, None] == torch.arange(PARTS)[:, None]  # (head, tenth, query)
        self.totals.add(part("n", point), chosen.sum(-1))
        lots = torch.where(chosen, self._lots(values.shape[2]).flatten(), -torch.inf).flatten(0, 1)
        best, index = lots.topk(min(self.k, lots.shape[1]), dim=1)
        name = part("examples", point)
        top = self.totals.top.setdefault(name, Top.nothing(heads * PARTS, self.k, 2 * WINDOW + 2))
        top.take(torch.arange(heads * PARTS), self._found(best, index, values.transpose(0, 1).flatten(1).repeat_interleave(PARTS, 0)))

    def _lots(self, length: int) -> torch.Tensor:
        """A number from 0 to 1 for each query of the batch, by lot. Axes: (text, pos)."""
        mixed = torch.tensor(self.batch.numbers)[:, None] * 2654435761 + torch.arange(length) * 40503 + 12345
        for _ in range(3):
            mixed = (mixed ^ (mixed >> 15)) * 73244475 & 0xFFFFFFFF
        return (mixed >> 8).float() / 2**24

    def _found(self, lots: torch.Tensor, index: torch.Tensor, values: torch.Tensor) -> Top:
        """The chosen as a `Top`: ordered by lot; a window is the value in whole millionths of the range, and the tokens around."""
        ids, length = self.batch.ids.cpu(), self.batch.ids.shape[1]
        texts, places = index // length, index % length
        around = places[..., None] + torch.arange(-WINDOW, WINDOW + 1)
        tokens = ids[texts[..., None], around.clamp(0, length - 1)].masked_fill((around < 0) | (around >= length), -1)
        scaled = (values.gather(1, index).nan_to_num() / self.highest * 1e6).round().long()
        none = lots == -torch.inf
        numbers = torch.tensor(self.batch.numbers)[texts].masked_fill(none, -1)
        return Top(values=lots, numbers=numbers, positions=places.masked_fill(none, -1), windows=torch.cat([scaled[..., None], tokens], -1))

    def result(self, provenance: Provenance) -> Dataset:
        """Variables (layer, head, tenth, example): the text's number of each example, -1 where there are fewer, its place, its value; the
        tokens around it, (..., around), -1 outside of the text; and the share of queries in each tenth (layer, head, tenth).
        """
        tops = {int(name.rpartition("L")[2]): top for name, top in self.totals.top.items()}
        numbers, places, windows = (self._stacked(tops, field) for field in ("numbers", "positions", "windows"))
        n, about = by_layer(self.totals.sums, "n"), head_statistic_named(self.statistic)
        examples, example_places, example_values, shares, tokens = self.names
        edges = {
            "lower": ("tenth", np.arange(PARTS) * self.highest / PARTS),
            "upper": ("tenth", np.arange(1, PARTS + 1) * self.highest / PARTS),
        }

        def variable(name: str, values: torch.Tensor, dims: str, long_name: str, units: str) -> DataArray:
            dims_of = ["layer", "head", "tenth", *dims.split()]
            return of_heads(values, dims_of, name=name, long_name=long_name, units=units, provenance=provenance, coords=edges)

        values = torch.where(numbers >= 0, windows[..., 0] * 1e-6 * self.highest, torch.nan)
        return Dataset(
            {
                examples: variable(examples, numbers.double(), "example", "text's number", "1").astype(int),
                example_places: variable(example_places, places.double(), "example", "query's place", "1").astype(int),
                example_values: variable(example_values, values, "example", about.long_name, about.units),
                shares: variable(shares, n / n.sum(-1, keepdim=True), "", "share of queries", "share"),
                tokens: variable(tokens, windows[..., 1:].double(), "example around", "tokens around the query", "token id")
                .astype(int)
                .assign_coords(around=np.arange(-WINDOW, WINDOW + 1)),
            }
        )

    def _stacked(self, tops: dict[int, Top], field: str) -> torch.Tensor:
        return torch.stack([getattr(tops[layer], field).unflatten(0, (-1, PARTS)) for layer in sorted(tops)])


class InductionProfile(_OfHeads):
    """Mean weight on "the latest earlier copy + s" for s = 0 to 8. Axes: (layer, head, shift). See `measures.induction`."""

    def __init__(self) -> None:
        super().__init__(tuple(f"induction_{shift}" for shift in range(SHIFTS)))
        self.shifts, self.names = self.names, ("induction_profile",)

    def at_point(self, point: Point) -> list:
        return [head_statistic_named(name) for name in self.shifts] if point.stack != "X" else []

    def result(self, provenance: Provenance) -> Dataset:
        """One variable; attribute n: queries that had such a token, for each shift."""
        sums, counts = (torch.stack([by_layer(self.totals.sums, f"{what}{name}") for name in self.shifts], -1) for what in ("", "n "))
        dims = ["stack", "layer", "head", "shift"][4 - sums.ndim :]
        about = {
            "long_name": "weight on the latest earlier copy + shift",
            "units": "probability",
            "source": "Olsson et al. (2022); profile ours",
        }
        result = of_heads(sums / counts[..., None, :], dims, name=self.names[0], provenance=provenance, **about)
        by_shift = [most_by_stack(self.totals.sums, f"n {name}") for name in self.shifts]
        n = {stack: [of_shift[stack] for of_shift in by_shift] for stack in by_shift[0]}
        result = result.assign_attrs(computed_by=computed_by(self.totals.sums, self.shifts[0]))
        return Dataset({self.names[0]: counted(result, n)})
