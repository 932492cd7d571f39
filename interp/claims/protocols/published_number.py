"""Is a quoted number the published one? "Vaswani et al. report 25.4 BLEU for 16 heads": looked up, nothing is run.

Design. The claim names publication, table, row and quantity, and the number as it was quoted. Both are rounded to the places of the quoted
one (halves away from zero, as people do); they must then be equal. A quotation with more places than the publication prints is another
number, unless the added places are zeros.

    supported       equal
    refuted         the publication prints another number there
    inconclusive    not_published: the publication has no such row. That it says otherwise would be untrue: it says nothing.

A row or a number that the publication has and our table lacks is an error: nothing can be said of it.

Controls, on another number of the same table, one that differs, by the way that the quotation goes. Positive: looked up where it stands,
it comes out equal. Null: quoted for the number that was asked, it does not. A look-up that mixes up rows or columns, and a comparison that
finds everything equal, or nothing, are found out.
What it does not tell. Whether the published number is right, nor whether it was read right, which the controls do not tell either: the
table was copied from the publications by hand. Quotations of words and figures are not judged.
Source of the numbers: `published/numbers.yaml`, each with its publication.
"""

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator

from interp.claims.plan import Plan, Step
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.exact import exact_evidence
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide_exact
from interp.claims.verdict import Badges, Control
from interp.core.errors import ClaimError
from interp.core.provenance import text_hash

NUMBERS = Path(__file__).parent.parent / "published" / "numbers.yaml"
Row = dict[str, str]


class PublishedNumber(Parameters):
    """Parameters of "published_number"."""

    protocol: Literal["published_number"]
    publication: str = Field(description="its key in the table of numbers, as in vaswani-2017")
    table: str = Field(description="which of its tables, as in 3A")
    row: str
    quantity: str
    says: str = Field(description="the number as it was quoted, with its places")

    @field_validator("table", "row", "says", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        """YAML reads 25.4 and 3 as numbers; what was written is meant."""
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("says")
    @classmethod
    def _is_a_number(cls, says: str) -> str:
        try:
            finite = Decimal(says).is_finite()
        except InvalidOperation:
            finite = False
        if not finite:
            raise ValueError(f"{says!r} came; expected a number as it was quoted, such as '25.4'")
        return says


def equal_as_quoted(says: str, published: str) -> bool:
    """Whether a quoted number is a published one, at the places quoted.

    Example:
        >>> equal_as_quoted("25.8", "25.8"), equal_as_quoted("26", "25.8"), equal_as_quoted("25.83", "25.8")
        (True, True, False)
    """
    quoted, printed = Decimal(says), Decimal(published)
    places = Decimal(1).scaleb(min(0, int(quoted.as_tuple().exponent)))
    return quoted == printed.quantize(places, rounding=ROUND_HALF_UP)


@cache
def published_numbers() -> dict[str, Any]:
    """Publication -> its title, and its tables of rows of numbers as printed.

    Example:
        >>> published_numbers()["vaswani-2017"]["tables"]["3A"]["rows"]["h=16"]["BLEU"]
        '25.8'
    """
    found: dict[str, Any] = yaml.safe_load(NUMBERS.read_text(encoding="utf-8"))
    return found


def run(case: Case[PublishedNumber]) -> Finding:
    """Judge a quotation."""
    test = case.test
    title, row = _row(case)
    if row is None:
        rows = ", ".join(_table(case)["rows"])
        summary = f"{title}, table {test.table}, has no row {test.row}, so no {test.quantity} of {test.says}: it has {rows}."
        return Finding(
            outcome="inconclusive", reason="not_published", summary=summary, badges=Badges(), evidence=(), controls=(), data=_table_hash()
        )
    printed, same = row[test.quantity], _same(case)
    evidence = exact_evidence(f"{test.quantity} of {test.row}", "quotations that differ", error=int(not same), tolerance=0, n=1)
    controls = _controls(case)
    outcome, reason = decide_exact([evidence], controls)
    summary = f"{title}, table {test.table}, {test.row}: {test.quantity} is {printed}; {test.says} was quoted."
    rows_told = {f"{test.row}, {test.quantity}": [float(test.says), float(printed)]}
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=summary,
        badges=Badges(),
        evidence=(evidence,),
        controls=controls,
        rows=rows_told,
        data=_table_hash(),
    )


def _table_hash() -> dict[str, str]:
    return {NUMBERS.name: text_hash([NUMBERS.read_text(encoding="utf-8")])}


def _table(case: Case[PublishedNumber]) -> dict[str, Any]:
    known, test = published_numbers(), case.test
    if test.publication not in known:
        raise ClaimError(f"{case.id}: no numbers of the publication {test.publication!r}; expected one of {', '.join(known)}")
    tables: dict[str, Any] = known[test.publication]["tables"]
    if test.table not in tables:
        raise ClaimError(f"{case.id}: no numbers of table {test.table!r} of {test.publication}; expected one of {', '.join(tables)}")
    found: dict[str, Any] = tables[test.table]
    return found


def _row(case: Case[PublishedNumber]) -> tuple[str, Row | None]:
    """The publication's title, and its row; None where the publication has no such row.

    Raises: ClaimError for what is only missing here.
    """
    test, table = case.test, _table(case)
    rows: dict[str, Row] = table["rows"]
    if test.row not in rows and not table["complete"]:
        raise ClaimError(f"{case.id}: row {test.row!r} of table {test.table} was not copied; expected one of {', '.join(rows)}")
    columns = dict.fromkeys(quantity for row in rows.values() for quantity in row)
    if test.quantity not in rows.get(test.row, columns):
        have = ", ".join(rows.get(test.row, columns))
        raise ClaimError(f"{case.id}: no {test.quantity!r} of {test.row!r} was copied from table {test.table}; expected one of {have}")
    return published_numbers()[test.publication]["title"], rows.get(test.row)


def _same(case: Case[PublishedNumber]) -> bool:
    """Look up what is asked, and compare."""
    _, row = _row(case)
    return row is not None and equal_as_quoted(case.test.says, row[case.test.quantity])


def _controls(case: Case[PublishedNumber]) -> tuple[Control, ...]:
    test, rows = case.test, _table(case)["rows"]
    asked = Decimal(rows[test.row][test.quantity])
    numbers = [(name, quantity, number) for name, row in rows.items() for quantity, number in row.items()]
    others = [one for one in numbers if abs(Decimal(one[2]) - asked) >= _last_place(one[2])]
    if not others:
        why = "no other number in this table"
        return (Control(name="another number of the table", kind="positive", value=0.0, unit="numbers", passed=False, detail=why),)
    row, quantity, number = min(others, key=lambda other: (other[0] == test.row, other[1] != test.quantity))
    known = replace(case, test=test.model_copy(update={"row": row, "quantity": quantity, "says": number}))
    taken = replace(case, test=test.model_copy(update={"says": number}))
    name = f"{quantity} of {row}, quoted"
    return (
        Control(name=name, kind="positive", value=float(number), unit="must be equal", passed=_same(known)),
        Control(name=f"{name} for what was asked", kind="null", value=float(number), unit="must differ", passed=not _same(taken)),
    )


def _last_place(number: str) -> Decimal:
    return Decimal(1).scaleb(int(Decimal(number).as_tuple().exponent))


def _plan(case: Case[PublishedNumber]) -> Plan:
    _row(case)
    return Plan(steps=(Step(what="looking up", tokens=0),), n_items=1, smallest_effect=0.0, unit="quotations that differ")


PROTOCOL = Protocol(
    parameters=PublishedNumber,
    needs=None,
    requires=(),
    family="one number; nothing is sampled",
    controls=("another number of the table, where it stands: must be equal", "the same, quoted for the number asked: must differ"),
    why_not=lambda anatomy: "",
    plan=_plan,
    run=run,
    subject=lambda test: "publications",
)
