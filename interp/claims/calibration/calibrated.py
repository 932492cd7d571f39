"""What a calibration came to: shares with their intervals, p-values, and the curve of power."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from interp.claims.calibration.equals import EQUALS, MARGIN
from interp.claims.calibration.known_tables import Compared
from interp.claims.calibration.nulls import EXACT
from interp.claims.protocols.registry import PROTOCOLS
from interp.stats.rates import rate, uniformity

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """All runs of a calibration, and what follows from them.

    Attributes:
        runs: how many nulls there were of each protocol.
        rows: one for each run: its part ("null", "planted", "equals"), name, seed, and what came out.
        tables: what is known, beside what the engine makes of it.
    """

    runs: int
    rows: tuple[Row, ...]
    tables: tuple[Compared, ...] = ()

    def nulls(self) -> list[Row]:
        """A row for each kind of null: runs, how many were supported, the share with its exact 95 % interval, and what the others were."""
        return [
            {"name": name, **_share([_found(row) for row in rows]), "others": Counter(_told(row) for row in rows if not _found(row))}
            for name, rows in self._of("null")
        ]

    def by_protocol(self) -> list[Row]:
        """The same for each protocol, its kinds of nulls together: name, runs, supported, share, low, high."""
        rows = [row for row in self.rows if row["part"] == "null"]
        names = dict.fromkeys(row["protocol"] for row in rows)
        return [{"name": name, **_share([_found(row) for row in rows if row["protocol"] == name])} for name in names]

    def without_nulls(self) -> list[str]:
        """Protocols on samples whose false positives nobody counted here."""
        counted = {row["protocol"] for row in self.rows if row["part"] == "null"}
        return sorted(set(PROTOCOLS) - set(EXACT) - counted)

    def p_values(self) -> dict[str, np.ndarray]:
        """p-values that must be uniform, sorted: where truth gives no sign to the differences, and those of the best of equal heads.

        Sums of hits go in steps, and so do their p, which are larger than uniform ones by up to a step. So each is taken at a random place
        within its step (Lehmann & Romano 2005, section 3.2), drawn from one seed.
        """
        rng = np.random.default_rng(0)
        found = {
            f"{name}: p": np.sort([row["p"][number] - rng.random() * row["ties"][number] for row in rows for number in row["exchangeable"]])
            for name, rows in self._of("null")
            if rows[0]["exchangeable"]
        }
        equal = [row for row in self.rows if row["part"] == "equals" and row["gain"] == 0]
        return found | ({"best of 144 equal heads: adjusted p": np.sort([row["p_best"] for row in equal])} if equal else {})

    def uniformity(self) -> list[Row]:
        """A row for each of `p_values`: the Kolmogorov-Smirnov distance from uniform, and its p."""
        return [{"name": name, **asdict(uniformity(values))} for name, values in self.p_values().items()]

    def power(self) -> list[Row]:
        """A row for each strength of what is planted: its effect over the smallest that matters (mean over runs), and the share found."""
        planted = [
            {
                "name": name,
                "protocol": rows[0]["protocol"],
                "effect": float(np.mean([row["share"][0] for row in rows])),
                **_share([_found(row) for row in rows]),
            }
            for name, rows in self._of("planted")
        ]
        equals = [
            {
                "name": f"{EQUALS}, {name}",
                "protocol": EQUALS,
                "effect": rows[0]["gain"] / MARGIN,
                **_share([row["supported"] for row in rows]),
            }
            for name, rows in self._of("equals")
        ]
        return planted + equals

    def curse(self) -> Row:
        """The best of 144 equal heads: how often supported, how often "significant" without a second half, what it seemed to gain."""
        equal = [row for row in self.rows if row["part"] == "equals" and row["gain"] == 0]
        if not equal:
            return {}
        naive = _share([row["naive"] for row in equal])
        gains = {name: float(np.mean([row[name] for row in equal])) for name in ("chosen", "confirmed")}
        return {**_share([row["supported"] for row in equal]), "naive": naive["share"], **gains}

    def to_json(self) -> str:
        """All of it, with the runs that it comes from."""
        found = {
            "protocols": self.by_protocol(),
            "nulls": self.nulls(),
            "uniformity": self.uniformity(),
            "power": self.power(),
            "curse": self.curse(),
        }
        tables = [asdict(one) for one in self.tables]
        return json.dumps({"runs": self.runs, **found, "tables": tables, "rows": self.rows}, indent=1)

    def __str__(self) -> str:
        """Six short tables."""
        told = ["False positives (nothing is there; at most 5 % may be supported)", *map(_of_protocol, self.by_protocol())]
        told += ["The same by what makes it null", *map(_of_null, self.nulls())]
        told += ["p-values where they must be uniform (Kolmogorov-Smirnov)", *map(_of_p, self.uniformity())]
        told += ["Power (effect over the smallest that matters; share found)", *map(_of_power, self.power())]
        told += [*_of_curse(self.curse()), "Known tables (ours, known)", *map(_of_table, self.tables)]
        return "\n".join([*told, f"No nulls were run for: {', '.join(self.without_nulls()) or 'none'}"])

    def _of(self, part: str) -> Iterator[tuple[str, list[Row]]]:
        names = dict.fromkeys(row["name"] for row in self.rows if row["part"] == part)
        return ((name, [row for row in self.rows if row["part"] == part and row["name"] == name]) for name in names)


def _found(row: Row) -> bool:
    return bool(row["outcome"] == "supported")


def _told(row: Row) -> str:
    return str(row["reason"] or row["outcome"])


def _share(hits: list[bool]) -> Row:
    """Runs, hits, their share with its exact (Clopper-Pearson) interval."""
    found = rate(sum(hits), len(hits))
    return {"runs": found.runs, "supported": found.hits, "share": found.share, "low": found.low, "high": found.high}


def _of_protocol(row: Row) -> str:
    return f"  {row['name']:64} {row['supported']:3} of {row['runs']:4} supported [{row['low']:.1%}, {row['high']:.1%}]"


def _of_null(row: Row) -> str:
    interval = f"[{row['low']:.1%}, {row['high']:.1%}]"
    others = ", ".join(f"{n} {what}" for what, n in sorted(row["others"].items()))
    return f"  {row['name']:64} {row['supported']:3} of {row['runs']:4} supported {interval:16} {others}"


def _of_p(row: Row) -> str:
    return f"  {row['name']:64} distance {row['distance']:.3f}, p {row['p']:.2f}"


def _of_power(row: Row) -> str:
    return f"  {row['name']:64} {row['effect']:6.2f}  {row['share']:5.0%} of {row['runs']:4} [{row['low']:.0%}, {row['high']:.0%}]"


def _of_table(one: Compared) -> str:
    return f"  {one.name:64} {one.ours:,.10g}  {one.known:,.10g}{'' if one.agrees else '  DOES NOT AGREE'}"


def _of_curse(row: Row) -> list[str]:
    if not row:
        return []
    return [
        "The best of 144 equal heads",
        f"  supported in {row['share']:.1%} [{row['low']:.1%}, {row['high']:.1%}] of {row['runs']} draws; tested on the data that chose it "
        f'it is "significant" in {row["naive"]:.1%}.',
        f"  It seemed to gain {row['chosen']:+.3f} where it was chosen, and gains {row['confirmed']:+.3f} where it was not.",
    ]
