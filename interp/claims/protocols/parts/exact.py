"""Evidence of exact claims: an error and its tolerance, or how many cases are not as said; and the controls that stand beside it.

An exact claim is about every case in its scope, so nothing is sampled: no interval, no p; one counter-example refutes what is said of all.
"""

from collections.abc import Callable, Mapping

from interp.claims.protocols.parts.expression import Expression, Quantity, truths
from interp.claims.verdict import Control, Evidence


def exact_evidence(name: str, unit: str, *, error: float | int, tolerance: float | int, n: int) -> Evidence:
    """How far `n` cases are from what is said, and how far they may be. An error may be a count: of the cases that are not as said.

    Args:
        unit: of the error; of a count, what is counted.
        tolerance: 0 for a count of counter-examples to what is said of all.

    Example:
        >>> exact_evidence("d_ff == 4 * d_model", "configurations in which it is false", error=2, tolerance=0, n=9).estimate
        2.0
    """
    return Evidence(
        name=name,
        unit=unit,
        estimate=float(error),
        baseline=0.0,
        baseline_name="no error",
        effect=float(error),
        low=float(error),
        high=float(error),
        level=1.0,
        upper=float(error),
        smallest_effect=float(tolerance),
        n_items=n,
        n_clusters=1,
        family=1,
    )


def at_most(name: str, value: float, most: float, unit: str, detail: str = "") -> Control:
    """A null control: what must not happen happens at most this much."""
    told = detail or f"must be at most {most:g}"
    return Control(name=name, kind="null", value=value, unit=unit, passed=value <= most, detail=told)


def at_least(name: str, value: float, least: float, unit: str, detail: str = "") -> Control:
    """A positive control: what must happen happens at least this much."""
    told = detail or f"must be at least {least:g}"
    return Control(name=name, kind="positive", value=value, unit=unit, passed=value >= least, detail=told)


def can_be_false(name: str, statement: Expression, draw: Callable[[], Mapping[str, Quantity]], where: Expression | None = None) -> Control:
    """A null control: of numbers drawn at random, those of which `where` is true, a statement is not true every time.

    Example:
        >>> can_be_false("random", Expression("d_ff > 0", ["d_ff"]), lambda: {"d_ff": 5}).passed
        False
    """
    true = truths(statement, draw, where)
    scope = f" where {where.text}" if where else ""
    detail = f"must not be all; {len(true)} draws{scope}" if true else f"no draw{scope}: whether it could be false is not known"
    share = sum(true) / len(true) if true else 0.0
    return Control(name=name, kind="null", value=share, unit="of draws in which it is true", passed=not all(true), detail=detail)
