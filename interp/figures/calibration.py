"""A calibration as figures: false positives as bars, p-values against uniform ones, power over effect."""

import numpy as np

from interp.claims.calibration.calibrated import Calibrated
from interp.figures.description import Bars, Description, Lines, Reference, Series


def calibration_figures(found: Calibrated) -> dict[str, Description]:
    """The figures by the names under which they are written; those for which there are no runs are left out."""
    drawn: dict[str, Description] = {}
    if found.nulls():
        drawn["false-positives"] = false_positives(found)
    if found.p_values():
        drawn["p-values"] = p_values(found)
    return drawn | {f"power-{protocol.replace(' ', '-')}": power(found, protocol) for protocol in _protocols(found)}


def false_positives(found: Calibrated) -> Bars:
    """The share of nulls that came out supported, a bar for each protocol."""
    rows, curse = found.by_protocol(), found.curse()
    rows = [*rows, {**curse, "name": "best of 144 heads"}] if curse else rows
    naive = f' The best of 144 equal heads is "significant" in {curse["naive"]:.0%} where it is tested on what chose it.' if curse else ""
    return Bars(
        title="Supported although nothing is there",
        caption=f"{_several([row['runs'] for row in rows])} runs of each; intervals are exact (Clopper-Pearson), 95 %.{naive}",
        labels=[row["name"] for row in rows],
        values=np.array([row["share"] for row in rows]),
        low=np.array([row["low"] for row in rows]),
        high=np.array([row["high"] for row in rows]),
        label_title="protocol",
        value_title="share supported",
        reference=Reference(value=0.05, label="at most"),
    )


def p_values(found: Calibrated) -> Lines:
    """Sorted p-values over those of a uniform distribution: on the diagonal they are what they say."""
    n = min(map(len, found.p_values().values()))
    expected = (np.arange(n) + 0.5) / n
    tests = {row["name"]: row["p"] for row in found.uniformity()}
    return Lines(
        title="p-values where nothing is there",
        caption="On the diagonal a p of 0.05 comes up in 5 % of the runs. In brackets the p of a Kolmogorov-Smirnov test.",
        x=expected,
        series={"uniform": Series(values=expected)}
        | {
            f"{_short(name)} ({tests[name]:.2f})": Series(values=np.quantile(values, expected)) for name, values in found.p_values().items()
        },
        x_title="uniform",
        value_title="p",
    )


def power(found: Calibrated, protocol: str) -> Lines:
    """The share of runs that find what is planted, over how strong it is."""
    rows = sorted((row for row in found.power() if row["protocol"] == protocol), key=lambda row: row["effect"])
    return Lines(
        title=f"{protocol}: how often what is there is found",
        caption=f"{min(row['runs'] for row in rows)} runs or more of each strength; bands are exact 95 % intervals. "
        "At 1 it is the smallest effect that matters.",
        x=np.array([row["effect"] for row in rows]),
        series={
            "supported": Series(
                values=np.array([row["share"] for row in rows]),
                low=np.array([row["low"] for row in rows]),
                high=np.array([row["high"] for row in rows]),
            )
        },
        x_title="effect / smallest effect",
        value_title="share supported",
    )


def _short(name: str) -> str:
    """The protocol alone: one kind of null of each has p-values that must be uniform."""
    return name.partition(":")[0].partition(",")[0]


def _several(runs: list[int]) -> str:
    fewest, most = min(runs), max(runs)
    return f"{fewest}" if fewest == most else f"{fewest} to {most}"


def _protocols(found: Calibrated) -> list[str]:
    return list(dict.fromkeys(row["protocol"] for row in found.power()))
