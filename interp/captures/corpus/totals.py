"""Totals: what a reducer has seen of a corpus, as named arrays that can be put together and written to a file.

Four rules of putting together, all associative and without regard to order (sums in float64):
    sums      added
    largest   the larger of two, entry by entry
    rows      by number: each text has a row of its own
    top       the k largest of each neuron, with where they stand (see `top`)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from interp.captures.corpus.top import FIELDS, Top
from interp.core.errors import DataError


@dataclass(kw_only=True)
class Totals:
    """Arrays by name, in the rule by which they are put together; all on the CPU.

    Example:
        >>> one, other = Totals(), Totals()
        >>> one.add("n", torch.tensor(3)); other.add("n", torch.tensor(4)); one.merge(other)
        >>> one.sums["n"].item()
        7.0
    """

    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    largest: dict[str, torch.Tensor] = field(default_factory=dict)
    rows: dict[str, dict[int, torch.Tensor]] = field(default_factory=dict)
    top: dict[str, Top] = field(default_factory=dict)

    def add(self, name: str, values: torch.Tensor) -> None:
        """Add to a sum; a name that is new begins at 0."""
        values = values.detach().cpu().double()
        self.sums[name] = values if name not in self.sums else self.sums[name] + values

    def enlarge(self, name: str, values: torch.Tensor) -> None:
        """Keep the larger, entry by entry."""
        values = values.detach().cpu()
        self.largest[name] = values if name not in self.largest else torch.maximum(self.largest[name], values)

    def put(self, name: str, rows: Mapping[int, torch.Tensor]) -> None:
        """Keep a row for each text, by its number.

        Raises: DataError when a text has one already.
        """
        mine = self.rows.setdefault(name, {})
        twice = mine.keys() & rows.keys()
        if twice:
            raise DataError(
                f"{len(twice)} texts, such as number {min(twice)}, are in both parts; expected parts numbered through: stream(first=...)"
            )
        mine.update({number: row.detach().cpu() for number, row in rows.items()})

    def merge(self, other: "Totals") -> None:
        """Put together with what was seen of another part of the corpus. Raises: DataError for a text that is in both."""
        for name, rows in other.rows.items():
            self.put(name, rows)
        for name, values in other.sums.items():
            self.add(name, values)
        for name, values in other.largest.items():
            self.enlarge(name, values)
        for name, best in other.top.items():
            if name in self.top:
                self.top[name].merge(best)
            else:
                self.top[name] = best.copy()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For a file: rule and name -> array; rows as their numbers and one stacked array, the top as an array for each of its fields."""
        arrays = {f"sums/{name}": values.numpy() for name, values in self.sums.items()}
        arrays |= {f"largest/{name}": values.numpy() for name, values in self.largest.items()}
        for name, rows in self.rows.items():
            arrays[f"numbers/{name}"] = np.array(sorted(rows))
            arrays[f"rows/{name}"] = torch.stack([rows[number] for number in sorted(rows)]).numpy()
        for name, best in self.top.items():
            arrays |= {f"top {field}/{name}": values for field, values in best.to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Totals":
        """What `to_arrays` gave."""
        totals = cls()
        for key, values in arrays.items():
            rule, name = key.split("/", 1)
            if rule == "rows":
                totals.put(name, dict(zip(arrays[f"numbers/{name}"].tolist(), torch.from_numpy(values), strict=True)))
            elif rule == "top values":
                best = {field: torch.from_numpy(np.array(arrays[f"top {field}/{name}"])) for field in FIELDS}  # a copy: it is written into
                totals.top[name] = Top(**best)
            elif rule in ("sums", "largest"):
                getattr(totals, rule)[name] = torch.from_numpy(np.asarray(values))
        return totals
