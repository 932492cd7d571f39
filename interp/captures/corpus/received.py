"""Which keys heads attend to, over a corpus: by what a token is, by its distance, and which one they attend to most."""

import unicodedata
from collections.abc import Hashable
from dataclasses import dataclass

import torch

from interp.captures.corpus.forms import away
from interp.captures.corpus.heads import by_layer, of_heads
from interp.captures.corpus.labels import Scheme
from interp.captures.corpus.pattern_statistics import PatternStatistics
from interp.captures.corpus.reducer import Reducer, part
from interp.captures.corpus.sweep import Rows
from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset
from interp.core.sites import Stack
from interp.measures.head_statistics import head_statistic_named
from interp.measures.per_query import OneKey
from interp.models.points import Point
from interp.texts.example import Example

POSITIONS = 16  # places of the text that are counted by themselves
DOUBLINGS = 17  # distances up to 2^17 tokens are told apart


# --- What is taken of the rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Received:
    """The summed weight of all queries on each key. Axes: (batch, head, key_pos)."""

    def empty(self, statistics: PatternStatistics) -> torch.Tensor:
        batch, heads, _, keys = statistics.call.shape
        return statistics.call.query.new_zeros(batch, heads, keys, dtype=torch.float64)

    def add(self, gathered: torch.Tensor, rows: Rows, statistics: PatternStatistics) -> None:
        gathered[rows.texts, rows.heads, rows.keys] += rows.pattern.sum(2)


@dataclass(frozen=True)
class MostAttended:
    """The key with the largest weight, the first of equals; -1 for a query that sees none. Axes: (batch, head, query_pos)."""

    def empty(self, statistics: PatternStatistics) -> torch.Tensor:
        return torch.full(statistics.call.shape[:3], -1, device=statistics.call.query.device)

    def add(self, gathered: torch.Tensor, rows: Rows, statistics: PatternStatistics) -> None:
        weight, key = rows.pattern.max(-1)
        gathered[rows.where] = torch.where(weight > 0, key + rows.keys.start, -1)


@dataclass(frozen=True)
class ByDistance:
    """The summed weight of all queries at each range of offsets (key - query). Axes: (head, bin)."""

    def empty(self, statistics: PatternStatistics) -> torch.Tensor:
        return statistics.call.query.new_zeros(statistics.call.shape[1], 2 * DOUBLINGS + 1, dtype=torch.float64)

    def add(self, gathered: torch.Tensor, rows: Rows, statistics: PatternStatistics) -> None:
        places = [torch.arange(one.start, one.stop, device=rows.pattern.device) for one in (rows.queries, rows.keys)]
        offset, apart = (places[1] - places[0][:, None]), away(rows)
        bins = DOUBLINGS + offset.sign() * torch.where(apart > 0, apart.log2().ceil() + 1, 0.0).long()
        weights = rows.pattern.sum(0).double().flatten(1)
        gathered[rows.heads] = gathered[rows.heads].index_add(1, bins.flatten().clamp(0, 2 * DOUBLINGS), weights)


def distance_bins() -> list[tuple[int, int]]:
    """The first and the last offset (key - query) of each bin: doubling ranges behind, the token itself, and ahead."""
    behind = [(1, 1)] + [(2 ** (n - 1) + 1, 2**n) for n in range(1, DOUBLINGS)]
    return [(-last, -first) for first, last in reversed(behind)] + [(0, 0)] + behind


# --- What is kept of them ----------------------------------------------------------------------------------------------------------------


class _OfKeys(Reducer):
    kinds = frozenset({"pattern"})
    features = ("patterns",)
    paired = True
    taking: Hashable = Received()

    def asks(self, point: Point) -> list[Hashable]:
        return [self.taking]

    def _of_heads(self, sums: torch.Tensor, dims: tuple[str, ...], provenance: Provenance, **about) -> DataArray:
        found = ["layer", "head", *dims] if sums.ndim == 2 + len(dims) else ["stack", "layer", "head", *dims]
        return of_heads(sums, found, provenance=provenance, **about)


class KeyMass(_OfKeys):
    """The mean weight on keys of each kind. Axes: (layer, head, and the scheme's: "upos", "special", "mark"...).

    Args: scheme: what keys are told apart by, from `labels`; `marks()` for first, special, punctuation and other tokens.
    """

    def __init__(self, scheme: Scheme):
        super().__init__((f"mass_on_{scheme.name}",))
        self.scheme = scheme

    def attend(self, point: Point, statistics: PatternStatistics) -> None:
        labels = self.scheme.of_batch(self.batch, _read_by(point.stack)).cpu()
        received = statistics.take(self.taking).cpu().transpose(0, 1).flatten(1)
        sums = torch.zeros(len(received), len(self.scheme.labels) + 1, dtype=torch.float64).index_add_(1, labels + 1, received)
        self.totals.add(part(self.names[0], point), sums[:, 1:])
        self.totals.add(part("n", point), torch.tensor(statistics.call.shape[0] * statistics.call.shape[2]))

    def result(self, provenance: Provenance) -> Dataset:
        """One variable; mean over all queries, so that it sums to 1 over the labels where each token has one and there is no sink.

        Raises: DataError when no token of the corpus had a label.
        """
        name, counts = self.names[0], by_layer(self.totals.sums, "n")
        if not any(mass.any() for key, mass in self.totals.sums.items() if key.startswith(f"{name} ")):
            raise DataError(f"no token has a label {self.scheme.name!r}; expected {self.scheme.needs}")
        about = {"long_name": f"weight on keys by {self.scheme.name}", "units": "probability"}
        coords = {self.scheme.name: list(self.scheme.labels)}
        means = by_layer(self.totals.sums, name) / counts[..., None, None]
        return Dataset({name: self._of_heads(means, (self.scheme.name,), provenance, name=name, coords=coords, **about)})


class DistanceHistogram(_OfKeys):
    """How much weight lies at which distance: mean over queries. Axes: (layer, head, distance_bin); see `distance_bins`."""

    taking = ByDistance()

    def __init__(self) -> None:
        super().__init__(("distance_histogram",))

    def asks(self, point: Point) -> list[Hashable]:
        return [self.taking] if point.stack != "X" else []  # places in two texts have no distance

    def attend(self, point: Point, statistics: PatternStatistics) -> None:
        if point.stack != "X":
            self.totals.add(part(self.names[0], point), statistics.take(self.taking))
            self.totals.add(part("n", point), torch.tensor(statistics.call.shape[0] * statistics.call.shape[2]))

    def result(self, provenance: Provenance) -> Dataset:
        """One variable, with the first and the last offset (key - query) of each bin as coordinates."""
        name, counts = self.names[0], by_layer(self.totals.sums, "n")
        first, last = zip(*distance_bins(), strict=True)
        about = {"long_name": "weight by distance", "units": "probability", "source": "Vig & Belinkov (2019), section 4.3"}
        means = by_layer(self.totals.sums, name) / counts[..., None, None]
        coords = {"first_offset": ("distance_bin", list(first)), "last_offset": ("distance_bin", list(last))}
        return Dataset({name: self._of_heads(means, ("distance_bin",), provenance, name=name, coords=coords, **about)})


class MostAttendedKeys(_OfKeys):
    """Which tokens of the vocabulary, and which of the first places, a head attends to most: shares of queries.

    Takes memory for heads x vocabulary. In cross-attention the keys are the encoder's tokens.

    Args:
        d_vocab: entries of the vocabulary.
        k: entries of the list.
    """

    taking = MostAttended()

    def __init__(self, d_vocab: int, k: int = 20):
        super().__init__(("most_attended_token", "most_attended_share", "most_attended_place"))
        self.d_vocab, self.k = d_vocab, min(k, d_vocab)

    def attend(self, point: Point, statistics: PatternStatistics) -> None:
        keys = statistics.take(self.taking).transpose(0, 1).flatten(1).cpu()
        ids = self.batch.ids_of(_read_by(point.stack)).cpu()
        text = torch.arange(len(ids)).repeat_interleave(statistics.call.shape[2])
        tokens = torch.where(keys >= 0, ids[text, keys.clamp_min(0)], -1)
        for name, found, size in (("tokens", tokens, self.d_vocab), ("places", keys.clamp_max(POSITIONS), POSITIONS + 1)):
            self.totals.add(part(name, point), torch.stack([torch.bincount(head + 1, minlength=size + 1)[1:] for head in found]))
        self.totals.add(part("n", point), torch.tensor(keys.shape[1]))

    def result(self, provenance: Provenance) -> Dataset:
        """The k tokens that are most often attended to most, their shares, (layer, head, rank); and shares of places, (layer, head, pos).

        The last place stands for all places from there on.
        """
        n = by_layer(self.totals.sums, "n")[..., None, None]
        best = by_layer(self.totals.sums, "tokens").topk(self.k, dim=-1)
        places = by_layer(self.totals.sums, "places") / n
        given = (
            (self.names[0], best.indices, "token most often attended to most", "token id", "key_rank"),
            (self.names[1], best.values / n, "share of queries that attend to it most", "share", "key_rank"),
            (self.names[2], places, "share of queries that attend to this place most", "share", "pos"),
        )
        return Dataset(
            {
                name: self._of_heads(values, (dim,), provenance, name=name, long_name=long_name, units=units)
                for name, values, long_name, units, dim in given
            }
        )


class ArgmaxHits(_OfKeys):
    """For statistics that ask each query for one key ("previous", "induction", "offset_-3"): how often it is the one attended to most.

    Raises: DataError for a statistic that is not known; TypeError for one that is of another form.
    """

    taking = MostAttended()

    def __init__(self, statistics: tuple[str, ...]):
        super().__init__(tuple(f"{name}_hits" for name in statistics))
        self.targets = {name: head_statistic_named(name).ask for name in statistics}
        wrong = [name for name, ask in self.targets.items() if not isinstance(ask, OneKey)]
        if wrong:
            raise TypeError(
                f"statistics {wrong} came; expected such as ask for the weight on one key: previous, first, induction, offset_-3"
            )

    def asks(self, point: Point) -> list[Hashable]:
        return [self.taking] if point.stack != "X" else []

    def attend(self, point: Point, statistics: PatternStatistics) -> None:
        if point.stack == "X":
            return
        for name, ask in self.targets.items():
            assert isinstance(ask, OneKey)
            wanted = statistics.targets(ask.target)
            hits = (statistics.take(self.taking) == wanted[:, None]) & (wanted >= 0)[:, None]
            self.totals.add(part(f"{name}_hits", point), hits.sum((0, 2)))
            self.totals.add(part(f"n {name}", point), (wanted >= 0).sum())

    def result(self, provenance: Provenance) -> Dataset:
        """One variable for each statistic, "previous_hits": share of the queries that have such a key."""
        found = {}
        for name in self.targets:
            shares = by_layer(self.totals.sums, f"{name}_hits") / by_layer(self.totals.sums, f"n {name}")[..., None]
            about = {"long_name": f"attends most to: {head_statistic_named(name).long_name.removeprefix('weight on ')}", "units": "share"}
            found[f"{name}_hits"] = self._of_heads(shares, (), provenance, name=f"{name}_hits", **about)
        return Dataset(found)


def _read_by(stack: Stack) -> Stack:
    """The stack whose tokens the keys are: in cross-attention the encoder's."""
    return "E" if stack == "X" else stack


def marks() -> Scheme:
    """First token, special tokens elsewhere (separators), punctuation, and all others; each token is one of them."""

    def of(example: Example) -> list[int]:
        return [_mark(pos, example) for pos in range(len(example))]

    return Scheme(name="mark", labels=("first", "special", "punctuation", "other"), of=of)


def _mark(pos: int, example: Example) -> int:
    if pos == 0:
        return 0
    written = example.tokens[pos].strip()
    if example.special[pos]:
        return 1
    return 2 if written and all(unicodedata.category(one).startswith("P") for one in written) else 3
