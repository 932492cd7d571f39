"""Is one row of a published table the best of it? "Six layers are optimal": looked up in the table that is said to show it.

Design. The claim names publication, table, row and quantity. It is right where no other row has a larger number, or, with `alone`, none
that is as large. Rows of which that quantity was not printed are left out, and told. What is said of a table is judged by the table,
printed numbers by printed numbers: whether a difference is more than noise, nobody can say from it.

Controls. Positive: the row with the largest number must come out best of those that are left when ties are allowed. Null: that with the
smallest must not. A comparison that finds everything best, or nothing, is found out.
What it does not tell. Whether the order is real: these are single runs, on one test set.
Source of the numbers: `published/numbers.yaml`, each with its publication.
"""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from interp.claims.plan import Plan, Step
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.exact import exact_evidence
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.protocols.published_number import NUMBERS, published_numbers
from interp.claims.rule import decide_exact
from interp.claims.verdict import Badges, Control
from interp.core.errors import ClaimError
from interp.core.provenance import text_hash


class PublishedOrder(Parameters):
    """Parameters of "published_order"."""

    protocol: Literal["published_order"]
    publication: str = Field(description="its key in the table of numbers, as in vaswani-2017")
    table: str = Field(description="which of its tables, as in 3A")
    row: str = Field(description="the row that is said to be the best")
    quantity: str = Field(description="of which more is better, as in BLEU")
    alone: bool = Field(default=True, description="whether a tie speaks against it")


def larger(numbers: dict[str, Decimal], row: str, *, alone: bool) -> list[str]:
    """The rows that speak against a row's being the best.

    Example:
        >>> bleu = {"h=8": Decimal("25.8"), "h=16": Decimal("25.8"), "h=32": Decimal("25.4")}
        >>> larger(bleu, "h=8", alone=True), larger(bleu, "h=8", alone=False)
        (['h=16'], [])
    """
    return [other for other, number in numbers.items() if other != row and (number > numbers[row] or (alone and number == numbers[row]))]


def run(case: Case[PublishedOrder]) -> Finding:
    """Judge which row is the best."""
    test, numbers = case.test, _numbers(case)
    against = larger(numbers, test.row, alone=test.alone)
    name = f"{test.row} has the largest {test.quantity} of table {test.table}"
    evidence = exact_evidence(name, "rows that speak against it", error=len(against), tolerance=0, n=len(numbers) - 1)
    controls = _controls(numbers)
    outcome, reason = decide_exact([evidence], controls)
    told = ", ".join(f"{row} {number}" for row, number in numbers.items())
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=f"{published_numbers()[test.publication]['title']}, table {test.table}, {test.quantity}: {told}.",
        badges=Badges(),
        evidence=(evidence,),
        controls=controls,
        rows={row: [float(number)] for row, number in numbers.items()},
        data={NUMBERS.name: text_hash([NUMBERS.read_text(encoding="utf-8")])},
    )


def _numbers(case: Case[PublishedOrder]) -> dict[str, Decimal]:
    """The quantity by row. Raises: ClaimError for what was not copied, saying what was."""
    test, known = case.test, published_numbers()
    tables = known.get(test.publication, {}).get("tables", {})
    if test.table not in tables:
        have = ", ".join(f"{publication} {table}" for publication, one in known.items() for table in one["tables"])
        raise ClaimError(f"{case.id}: no numbers of table {test.table!r} of {test.publication!r}; expected one of {have}")
    rows = tables[test.table]["rows"]
    numbers = {row: Decimal(found[test.quantity]) for row, found in rows.items() if test.quantity in found}
    if test.row not in numbers or len(numbers) < 2:
        raise ClaimError(f"{case.id}: no {test.quantity!r} of {test.row!r} and another row in table {test.table}; rows: {', '.join(rows)}")
    return numbers


def _controls(numbers: dict[str, Decimal]) -> tuple[Control, ...]:
    best, worst = max(numbers, key=lambda row: numbers[row]), min(numbers, key=lambda row: numbers[row])
    above, below = len(larger(numbers, best, alone=False)), len(larger(numbers, worst, alone=False))
    return (
        Control(name=f"{best}, the largest", kind="positive", value=float(above), unit="rows above it", passed=above == 0),
        Control(name=f"{worst}, the smallest", kind="null", value=float(below), unit="rows above it", passed=below > 0),
    )


def _plan(case: Case[PublishedOrder]) -> Plan:
    return Plan(steps=(Step(what="looking up", tokens=0),), n_items=len(_numbers(case)) - 1, smallest_effect=0.0, unit="rows above it")


PROTOCOL = Protocol(
    parameters=PublishedOrder,
    needs=None,
    requires=(),
    family="the rows of one table; nothing is sampled",
    controls=("the largest number of the table: no row may be above it", "the smallest: some row must be"),
    why_not=lambda anatomy: "",
    plan=_plan,
    run=run,
    subject=lambda test: "publications",
)
